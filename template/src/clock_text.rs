//! Instants and spans as Go writes them, and Go's layouts such as `2006-01-02 15:04:05`.
//!
//! Place in the flow: `print`, time methods and the `date` function → **`clock_text`**.
//!
//! Not here: which methods an instant has (`clock_members`).

use std::fmt::Write as _;

use jiff::Zoned;

/// Go's `Time.String`.
pub(crate) fn go_string(at: &Zoned) -> String {
    layout(at, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// Go's `Duration.String`: `1h2m3.5s`, `250ms`, `0s`.
pub(crate) fn duration(span_ns: i64) -> String {
    let magnitude = span_ns.unsigned_abs();
    let sign = if span_ns < 0 { "-" } else { "" };
    let fraction = |unit_ns: u64, value_ns: u64| {
        let digits = unit_ns.ilog10() as usize;
        let text = format!("{}.{:0digits$}", value_ns / unit_ns, value_ns % unit_ns);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if magnitude == 0 {
        return "0s".to_owned();
    }
    if magnitude < 1_000 {
        return format!("{sign}{magnitude}ns");
    }
    if magnitude < 1_000_000 {
        return format!("{sign}{}µs", fraction(1_000, magnitude));
    }
    if magnitude < 1_000_000_000 {
        return format!("{sign}{}ms", fraction(1_000_000, magnitude));
    }
    let (hours, minutes) = (magnitude / 3_600_000_000_000, magnitude / 60_000_000_000 % 60);
    let seconds = fraction(1_000_000_000, magnitude % 60_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The English name of a month, from 1.
pub(crate) fn month_name(month: i8) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or("")
}

/// The English name of the weekday.
pub(crate) fn weekday_name(at: &Zoned) -> &'static str {
    let index = at.weekday().to_monday_zero_offset();
    usize::try_from(index).ok().and_then(|index| DAYS.get(index)).copied().unwrap_or("")
}

/// The pieces of a layout, longest first where one begins another.
const PIECES: [&str; 36] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "_2006",
    "__2",
    "_2",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
    "Z",
    "0",
];

/// Writes an instant after a Go layout.
pub(crate) fn layout(at: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some(count) = fraction_digits(rest) {
            fraction(&mut out, at, rest.as_bytes()[1] == b'9', count);
            rest = &rest[1 + count..];
            continue;
        }
        let piece = PIECES.iter().find(|piece| rest.starts_with(**piece) && is_whole(piece, rest));
        match piece {
            Some(piece) if write_piece(&mut out, at, piece) => rest = &rest[piece.len()..],
            _ => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// `Jan` must not begin a longer lower-case word, as in Go.
fn is_whole(piece: &str, rest: &str) -> bool {
    let lower_follows = rest[piece.len()..].starts_with(|c: char| c.is_ascii_lowercase());
    !(matches!(piece, "Jan" | "Mon") && lower_follows)
}

/// `.000` or `.999` (a comma too), not followed by another digit: how many digits.
fn fraction_digits(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    if !matches!(bytes[0], b'.' | b',') {
        return None;
    }
    let digit = *bytes.get(1).filter(|byte| matches!(**byte, b'0' | b'9'))?;
    let count = bytes[1..].iter().take_while(|byte| **byte == digit).count();
    let digit_follows = bytes.get(1 + count).is_some_and(u8::is_ascii_digit);
    (!digit_follows).then_some(count)
}

fn fraction(out: &mut String, at: &Zoned, trims: bool, count: usize) {
    let nanoseconds = format!("{:09}", at.subsec_nanosecond());
    let kept = &nanoseconds[..count.min(9)];
    let kept = if trims { kept.trim_end_matches('0') } else { kept };
    if !kept.is_empty() {
        out.push('.');
        out.push_str(kept);
    }
}

fn write_piece(out: &mut String, at: &Zoned, piece: &str) -> bool {
    let hour_of_12 = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let done = match piece {
        "January" => write!(out, "{}", month_name(at.month())),
        "Jan" => write!(out, "{}", &month_name(at.month())[..3]),
        "Monday" => write!(out, "{}", weekday_name(at)),
        "Mon" => write!(out, "{}", &weekday_name(at)[..3]),
        "MST" => write!(out, "{}", at.strftime("%Z")),
        "2006" => write!(out, "{:04}", at.year()),
        "_2006" => write!(out, "_{:04}", at.year()),
        "06" => write!(out, "{:02}", at.year().rem_euclid(100)),
        "01" => write!(out, "{:02}", at.month()),
        "1" => write!(out, "{}", at.month()),
        "002" => write!(out, "{:03}", at.day_of_year()),
        "__2" => write!(out, "{:3}", at.day_of_year()),
        "02" => write!(out, "{:02}", at.day()),
        "_2" => write!(out, "{:2}", at.day()),
        "2" => write!(out, "{}", at.day()),
        "15" => write!(out, "{:02}", at.hour()),
        "03" => write!(out, "{hour_of_12:02}"),
        "3" => write!(out, "{hour_of_12}"),
        "04" => write!(out, "{:02}", at.minute()),
        "4" => write!(out, "{}", at.minute()),
        "05" => write!(out, "{:02}", at.second()),
        "5" => write!(out, "{}", at.second()),
        "PM" => write!(out, "{}", if at.hour() < 12 { "AM" } else { "PM" }),
        "pm" => write!(out, "{}", if at.hour() < 12 { "am" } else { "pm" }),
        _ if piece.starts_with("Z07") || piece.starts_with("-07") => {
            offset(out, at.offset().seconds(), piece);
            Ok(())
        }
        _ => return false,
    };
    done.is_ok()
}

fn offset(out: &mut String, offset_s: i32, piece: &str) {
    if piece.starts_with('Z') && offset_s == 0 {
        out.push('Z');
        return;
    }
    let seconds = offset_s.unsigned_abs();
    let sign = if offset_s < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = match &piece[1..] {
        "07" => write!(out, "{sign}{hours:02}"),
        "07:00" => write!(out, "{sign}{hours:02}:{minutes:02}"),
        "07:00:00" => write!(out, "{sign}{hours:02}:{minutes:02}:{rest:02}"),
        "070000" => write!(out, "{sign}{hours:02}{minutes:02}{rest:02}"),
        _ => write!(out, "{sign}{hours:02}{minutes:02}"),
    };
}
