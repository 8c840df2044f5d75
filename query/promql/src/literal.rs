//! What numbers, durations and quoted texts stand for.
//!
//! Place in the flow: `lexer` → **`literal`** → `parser`.
//!
//! Not here: where they end (the lexer knows) and duration arithmetic (`duration`).

use model::duration::parse_duration_ms;

/// The value of a number: decimal, hexadecimal, octal with a leading zero, `Inf`, `NaN`.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    if text.eq_ignore_ascii_case("inf") {
        return Ok(f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    let digits = without_underscores(text)?;
    let lower = digits.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16)
            .map(|value| value as f64)
            .map_err(|_| format!("error parsing number: {text:?} is not a number in range"));
    }
    let is_octal = digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_octal && let Ok(value) = i64::from_str_radix(&digits, 8) {
        return Ok(value as f64);
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("error parsing number: {text:?}: value out of range")),
        Err(_) => Err(format!("error parsing number: {text:?}: invalid syntax")),
    }
}

/// Underscores may stand between digits only, and behind `0x`.
fn without_underscores(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let is_digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_hexdigit);
    for (index, _) in text.match_indices('_') {
        let behind_prefix = index == 2 && matches!(bytes[1], b'x' | b'X');
        let between = index > 0 && is_digit(index - 1) && is_digit(index + 1);
        if !(between || behind_prefix && is_digit(index + 1)) {
            return Err(format!("error parsing number: {text:?}: '_' must separate digits"));
        }
    }
    Ok(text.replace('_', ""))
}

/// The seconds of a duration such as `1h30m`.
pub(crate) fn duration_seconds(text: &str) -> Result<f64, String> {
    let ms = parse_duration_ms(text).filter(|&ms| ms <= crate::duration::DURATION_MS_MAX as u64);
    match ms {
        Some(ms) => Ok(ms as f64 / 1000.0),
        None if text.len() > 15 => Err("duration out of range".to_owned()),
        None => Err(format!("not a valid duration string: {text:?}")),
    }
}

/// The bytes that a quoted text stands for; `quoted` includes its quotes.
pub(crate) fn unquote(quoted: &str) -> Result<Vec<u8>, String> {
    let quote = quoted.as_bytes().first().copied().unwrap_or(b'"');
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or("");
    if quote == b'`' || !inner.contains('\\') {
        return Ok(inner.as_bytes().to_vec());
    }
    let bytes = inner.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            at += unescape(&bytes[at..], quote, &mut out)?;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    Ok(out)
}

/// Resolves the escape at the start of `bytes` and says how many bytes it took.
fn unescape(bytes: &[u8], quote: u8, out: &mut Vec<u8>) -> Result<usize, String> {
    let Some(&kind) = bytes.get(1) else {
        return Err("escape sequence not terminated".to_owned());
    };
    let simple = match kind {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'\'' | b'"' if kind == quote => quote,
        b'x' => {
            let value = digits(bytes, 2, 2, 16)?;
            out.push(u8::try_from(value).map_err(|_| escape_problem(kind))?);
            return Ok(4);
        }
        b'0'..=b'7' => {
            let value = digits(bytes, 1, 3, 8)?;
            out.push(u8::try_from(value).map_err(|_| "octal escape value > 255".to_owned())?);
            return Ok(4);
        }
        b'u' | b'U' => {
            let count = if kind == b'u' { 4 } else { 8 };
            let value = digits(bytes, 2, count, 16)?;
            let found = char::from_u32(value)
                .ok_or_else(|| "escape sequence is an invalid Unicode code point".to_owned())?;
            out.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(2 + count);
        }
        _ => return Err(escape_problem(kind)),
    };
    out.push(simple);
    Ok(2)
}

fn escape_problem(kind: u8) -> String {
    let shown = char::from(kind);
    match kind {
        b' '..=b'~' => format!("unknown escape sequence U+{kind:04X} '{shown}'"),
        _ => format!("unknown escape sequence U+{kind:04X}"),
    }
}

fn digits(bytes: &[u8], from: usize, count: usize, radix: u32) -> Result<u32, String> {
    let found = bytes.get(from..from + count).ok_or("escape sequence not terminated")?;
    let mut value = 0_u32;
    for &byte in found {
        let digit = char::from(byte).to_digit(radix);
        value = value
            .checked_mul(radix)
            .and_then(|value| value.checked_add(digit?))
            .ok_or_else(|| "unknown escape sequence: digit expected".to_owned())?;
    }
    Ok(value)
}

/// Writes bytes as a double-quoted text that [`unquote`] reads back.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for found in chunk.valid().chars() {
            match found {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                found if found.is_control() && (found as u32) < 0x80 => {
                    out.push_str(&format!("\\x{:02x}", found as u32));
                }
                found if found.is_control() => {
                    out.push_str(&format!("\\u{:04x}", found as u32));
                }
                found => out.push(found),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}
