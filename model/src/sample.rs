//! Values with a meaning of their own, and how the field writes numbers.
//!
//! Place in the flow: parsers and staleness write these values, queries read them.
//!
//! Not here: batches (`append`).

/// The bits of the NaN that says "this series has ended here".
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;
/// The bits of the NaN that upstream writes for an ordinary "not a number".
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The stale marker.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether a value is the stale marker; an ordinary NaN is not.
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Writes a value as the HTTP API and the text format do: `1`, `0.5`, `1e+21`, `+Inf`, `NaN`.
///
/// This is Go's shortest form `'f'` up to exponents below 21, and `e+XX` beyond, as upstream has it.
pub fn format_value(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{value}")
}

/// Reads a value as the text format and PromQL's series notation do.
pub fn parse_value(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.to_ascii_lowercase().as_str() {
        "nan" => return Some(f64::from_bits(NORMAL_NAN_BITS)),
        "inf" | "infinity" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        _ => {}
    }
    // `f64::from_str` knows spellings of its own ("infinity" is taken above); all else is digits.
    let plain =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if unsigned.is_empty() || !unsigned.bytes().all(plain) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_text() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (123456789.5, "123456789.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (2.5e-7, "2.5e-07"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_value(value), text);
        }
    }

    #[test]
    fn text_as_values() {
        assert_eq!(parse_value("1e3"), Some(1000.0));
        assert_eq!(parse_value("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_value("-inf"), Some(f64::NEG_INFINITY));
        assert!(parse_value("NaN").is_some_and(f64::is_nan));
        for bad in ["", "+", "abc", "1_000", "0x10", "1 "] {
            assert_eq!(parse_value(bad), None, "{bad:?}");
        }
        assert!(is_stale_nan(stale_nan()) && !is_stale_nan(f64::NAN));
    }
}
