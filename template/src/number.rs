//! Floats as Go's strconv writes them.
//!
//! Place in the flow: `print` and the humanize functions → **`number`**.
//!
//! Not here: flags and widths (`print`).

/// Shape of a float's text: Go's verbs `e`, `f` and `g`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Exponent,
    Fixed,
    General,
}

/// Most digits after the point that are written.
pub(crate) const PRECISION_MAX: usize = 1_000;

/// Writes a float; without a precision the shortest text that reads back the same.
pub(crate) fn float(value: f64, shape: Shape, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let precision = precision.map(|count| count.min(PRECISION_MAX));
    match (shape, precision) {
        (Shape::Fixed, None) => format!("{value}"),
        (Shape::Fixed, Some(count)) => format!("{value:.count$}"),
        (Shape::Exponent, None) => exponent_form(&format!("{value:e}")),
        (Shape::Exponent, Some(count)) => exponent_form(&format!("{value:.count$e}")),
        (Shape::General, _) => general(value, precision),
    }
}

/// `1.5e-7` → `1.5e-07`.
fn exponent_form(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn general(value: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(count) => {
            let after_point = count.max(1) - 1;
            format!("{value:.after_point$e}")
        }
    };
    let (mantissa, exponent_text) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent_text.parse().unwrap_or(0);
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let threshold = match precision {
        None => 6,
        Some(count) => {
            let count = count.max(1);
            let before_point = exponent + 1;
            let whole = i32::try_from(digits).unwrap_or(i32::MAX) >= before_point;
            if count > digits && whole { digits } else { count }
        }
    };
    if exponent < -4 || exponent >= i32::try_from(threshold).unwrap_or(i32::MAX) {
        return exponent_form(&format!("{mantissa}e{exponent}"));
    }
    let after_point = usize::try_from(i32::try_from(digits).unwrap_or(0) - 1 - exponent);
    format!("{value:.*}", after_point.unwrap_or(0))
}
