//! Numbers, durations and instants for people.
//!
//! Place in the flow: `prometheus` and `alertmanager` → **`humanize`**.
//!
//! Not here: which values count as numbers (`prometheus`).

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock_text;
use crate::number::{Shape, float};

fn four_digits(value: f64) -> String {
    float(value, Shape::General, Some(4))
}

/// `humanize`: four digits and a metric prefix.
pub(crate) fn metric(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let mut scaled = value;
    let mut prefix = "";
    if value.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if scaled.abs() < 1000.0 {
                break;
            }
            prefix = next;
            scaled /= 1000.0;
        }
    } else {
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if scaled.abs() >= 1.0 {
                break;
            }
            prefix = next;
            scaled *= 1000.0;
        }
    }
    format!("{}{prefix}", four_digits(scaled))
}

/// `humanize1024`: four digits and a binary prefix.
pub(crate) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    let mut scaled = value;
    let mut prefix = "";
    for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if scaled.abs() < 1024.0 {
            break;
        }
        prefix = next;
        scaled /= 1024.0;
    }
    format!("{}{prefix}", four_digits(scaled))
}

/// `humanizeDuration`: `1d 2h 3m 4s` from one minute up, four digits below.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds);
    }
    if seconds == 0.0 {
        return format!("{}s", four_digits(seconds));
    }
    if seconds.abs() >= 1.0 {
        let sign = if seconds < 0.0 { "-" } else { "" };
        let magnitude = seconds.abs();
        if magnitude >= i64::MAX as f64 {
            return format!("{}s", four_digits(seconds));
        }
        // A float cast saturates and the bound above keeps it exact enough for whole seconds.
        let whole = magnitude as i64;
        let (days, hours) = (whole / 86_400, whole / 3_600 % 24);
        let (minutes, rest) = (whole / 60 % 60, whole % 60);
        if days != 0 {
            return format!("{sign}{days}d {hours}h {minutes}m {rest}s");
        }
        if hours != 0 {
            return format!("{sign}{hours}h {minutes}m {rest}s");
        }
        if minutes != 0 {
            return format!("{sign}{minutes}m {rest}s");
        }
        return format!("{sign}{}s", four_digits(magnitude));
    }
    let mut scaled = seconds;
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if scaled.abs() >= 1.0 {
            break;
        }
        prefix = next;
        scaled *= 1000.0;
    }
    format!("{}{prefix}s", four_digits(scaled))
}

/// `humanizePercentage`.
pub(crate) fn percentage(ratio: f64) -> String {
    format!("{}%", four_digits(ratio * 100.0))
}

/// An instant from seconds since the epoch, cut to milliseconds as upstream does; `None` beyond
/// what an i64 of nanoseconds holds.
pub(crate) fn instant(seconds: f64) -> Option<Timestamp> {
    let nanoseconds = seconds * 1e9;
    if !nanoseconds.is_finite() || nanoseconds.abs() >= i64::MAX as f64 {
        return None;
    }
    Timestamp::from_millisecond(nanoseconds as i64 / 1_000_000).ok()
}

/// `humanizeTimestamp`.
pub(crate) fn timestamp(seconds: f64) -> Result<String, String> {
    if !seconds.is_finite() {
        return Ok(four_digits(seconds));
    }
    let at = instant(seconds).ok_or_else(|| {
        let shown = float(seconds, Shape::General, None);
        format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64")
    })?;
    Ok(clock_text::go_string(&at.to_zoned(TimeZone::UTC)))
}
