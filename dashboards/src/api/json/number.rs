//! Numbers as the field's JSON has them.
//!
//! Place in the flow: a value of an answer → **`write_number`** → the bytes of a piece. Most of the
//! time of a long answer is spent here.
//!
//! Not here: quotes (json), the text formats' spelling ([`model::sample::format_value`]).

/// The numbers from 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// A whole number: digits, two at a time.
pub fn write_whole(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    while value >= 10 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[start..]);
}

/// Whole numbers below this are written digit by digit.
const WHOLE_MAX: f64 = 1e15;
/// From here on, and below the next, numbers stand without an exponent.
const PLAIN_MIN: f64 = 1e-5;
/// Numbers below this stand with an exponent of two digits or more.
const SMALL_MAX: f64 = 1e-9;

/// A value: Go's shortest form, with an exponent of two digits at least.
pub fn write_number(out: &mut Vec<u8>, value: f64) {
    let (whole, size) = (value as i64, value.abs());
    if (whole as f64).to_bits() == value.to_bits() && size < WHOLE_MAX {
        if whole < 0 {
            out.push(b'-');
        }
        return write_whole(out, whole.unsigned_abs());
    }
    // There the shortest form of the library is that of the field.
    if (PLAIN_MIN..WHOLE_MAX).contains(&size) || 0.0 < size && size < SMALL_MAX {
        return out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
    out.extend_from_slice(model::sample::format_value(value).as_bytes());
}
