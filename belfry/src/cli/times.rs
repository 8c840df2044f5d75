//! Instants and durations on the command line.
//!
//! Place in the flow: arguments → **here** → parameters of the API, ranges of the store.

use std::time::Duration;

use model::TimestampMs;
use model::duration::parse_duration_ms;

/// A duration such as `1h30m`, or seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && let Ok(duration) = Duration::try_from_secs_f64(seconds)
    {
        return Ok(duration);
    }
    let ms = parse_duration_ms(text);
    ms.map(Duration::from_millis).ok_or_else(|| "needs a duration such as 30s or 1h30m".to_owned())
}

/// Seconds since 1970 with a fraction, or RFC 3339.
pub fn instant(text: &str) -> Result<TimestampMs, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok(TimestampMs((seconds * 1000.0).round() as i64));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(TimestampMs(at.as_millisecond()));
    }
    Err(format!("cannot parse {text:?} to a valid timestamp"))
}

/// Seconds with as many digits as needed, as the API takes and shows them.
pub fn seconds(at: TimestampMs) -> String {
    let (sign, ms) = (if at.0 < 0 { "-" } else { "" }, at.0.unsigned_abs());
    let text = format!("{sign}{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `2023-11-14 22:13:20 UTC`, for people.
pub fn civil(at: TimestampMs) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(instant) => instant.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{} s", seconds(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        for (text, ms) in [
            ("1700000000", 1_700_000_000_000),
            ("1700000000.5", 1_700_000_000_500),
            ("-1.25", -1250),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T22:13:20.123+01:00", 1_699_996_400_123),
        ] {
            assert_eq!(instant(text), Ok(TimestampMs(ms)), "{text}");
        }
        for bad in ["", "x", "inf", "2023-11-14"] {
            assert!(instant(bad).is_err(), "{bad:?}");
        }
        for (ms, text) in
            [(1_700_000_000_500, "1700000000.5"), (-1250, "-1.25"), (0, "0"), (20, "0.02")]
        {
            assert_eq!(seconds(TimestampMs(ms)), text);
        }
        assert_eq!(civil(TimestampMs(1_700_000_000_000)), "2023-11-14 22:13:20 UTC");
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("2.5"), Ok(Duration::from_millis(2500)));
        assert!(duration("-1").is_err());
    }
}
