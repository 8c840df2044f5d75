//! Numbers as they stand on pages.
//!
//! Place in the flow: `text` reads a sample's value, a time or a value of an exemplar → **here**.
//!
//! Invariant: the short way and the long way give the same bits.
//!
//! Not here: where a number ends and what it is (`text`).

use model::sample::NORMAL_NAN_BITS;

/// Digits of a plain number at most: they fit 64 bits.
const PLAIN_DIGITS: usize = 18;
/// The largest whole number up to which all are numbers.
const PLAIN_MAX: u64 = 1 << 53;
/// All of them are exact.
const POWERS_OF_TEN: [f64; PLAIN_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// A number of a few digits, perhaps with a point, which nearly all are, and how many bytes it takes;
/// `None` when it is to be read with more care.
pub fn plain(text: &[u8]) -> Option<(f64, usize)> {
    let (mut digits, mut mantissa) = (0, 0_u64);
    let mut take_digits = |mut at: usize| {
        while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
            at += 1;
        }
        at
    };
    let start = usize::from(text.first() == Some(&b'-'));
    let whole_end = take_digits(start);
    let has_point = text.get(whole_end) == Some(&b'.');
    let end = if has_point { take_digits(whole_end + 1) } else { whole_end };
    let fraction = end - whole_end - usize::from(has_point);
    let is_plain = whole_end > start && (fraction > 0) == has_point && digits <= PLAIN_DIGITS;
    if !is_plain || mantissa > PLAIN_MAX || !matches!(text.get(end), Some(b' ' | b'\n')) {
        return None;
    }
    // Both are exact, so that the quotient is the nearest number to what is written.
    let value = mantissa as f64 / POWERS_OF_TEN[fraction];
    Some((if start > 0 { -value } else { value }, end))
}

/// A number as both formats write it; `None` when it is none. Any NaN becomes the ordinary one.
pub fn parse(token: &[u8]) -> Option<f64> {
    let plain =
        |&byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let text = std::str::from_utf8(token).ok()?;
    if !token.is_empty() && token.iter().all(plain) {
        // Beyond the largest number is an error upstream too, not an infinity.
        return text.parse().ok().filter(|value: &f64| value.is_finite());
    }
    let (negative, word) = match token.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("infinity") {
        return Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    text.eq_ignore_ascii_case("nan").then(|| f64::from_bits(NORMAL_NAN_BITS))
}
