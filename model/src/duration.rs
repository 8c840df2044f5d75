//! Prometheus durations: `1h30m`, `15s`, `250ms`.
//!
//! Place in the flow: configuration files, rule files, PromQL and the HTTP API all read them.
//!
//! Not here: PromQL's arithmetic on durations (promql).

/// Units from the longest to the shortest, each with its milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration. `None` when the text is none, or when it does not fit an i64 of milliseconds.
///
/// Units go from long to short, each at most once; the bare text `0` is allowed, any other number
/// without a unit is not.
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total_ms: u64 = 0;
    let mut next_unit_index = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_index = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters])?;
        if unit_index < next_unit_index {
            return None;
        }
        next_unit_index = unit_index + 1;
        total_ms = total_ms.checked_add(number.checked_mul(UNITS[unit_index].1)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty() && i64::try_from(total_ms).is_ok()).then_some(total_ms)
}

/// Writes a duration as Prometheus does: `1h30m`, `0s`. Days, weeks and years only when exact.
pub fn format_duration_ms(duration_ms: u64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut rest_ms = duration_ms;
    let mut text = String::new();
    for (unit, unit_ms) in UNITS {
        let exact_only = matches!(unit, "y" | "w" | "d");
        if exact_only && !rest_ms.is_multiple_of(unit_ms) {
            continue;
        }
        let count = rest_ms / unit_ms;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest_ms -= count * unit_ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller] // A failure points at the row below, not at this line.
    fn check(text: &str, expected_ms: Option<u64>) {
        assert_eq!(parse_duration_ms(text), expected_ms, "input {text:?}");
    }

    #[test]
    fn durations() {
        check("0", Some(0));
        check("0s", Some(0));
        check("90s", Some(90_000));
        check("1h30m", Some(5_400_000));
        check("1m1ms", Some(60_001));
        check("1y1w1d", Some(373 * 86_400_000));
        // Refused, because two readers could read them two ways.
        check("", None);
        check("5", None);
        check("30m1h", None);
        check("1m1m", None);
        check("1.5h", None);
        check("-1m", None);
        // Refused, because the sum does not fit.
        check("999999999999y", None);
        check("99999999999999999999s", None);
    }

    #[test]
    fn formats() {
        for (ms, text) in
            [(0, "0s"), (1, "1ms"), (5_400_000, "1h30m"), (86_400_000, "1d"), (90_000_000, "25h")]
        {
            assert_eq!(format_duration_ms(ms), text);
            assert_eq!(parse_duration_ms(text), Some(ms));
        }
    }
}
