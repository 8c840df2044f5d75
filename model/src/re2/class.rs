//! Escapes and classes of characters.
//!
//! Place in the flow: part of `parser`.

use regex::Regex;

use super::Error;

/// What an escape stands for.
pub(super) enum Piece {
    /// One character; a surrogate is a character that no text holds.
    Character(u32),
    /// Several, as the inside of a class.
    Set(String),
}

/// A class that matches nothing, for characters that no text holds.
const NOTHING: &str = "^\\x00-\\x{10FFFF}";

/// A character as itself.
pub(super) fn literal(found: u32) -> String {
    match char::from_u32(found) {
        Some(found) if found.is_ascii_alphanumeric() || !found.is_ascii() => found.to_string(),
        Some(_) => format!("\\x{{{found:X}}}"),
        None => format!("[{NOTHING}]"),
    }
}

/// Reads the escape at the start of a text that stands for characters, and gives what follows it.
pub(super) fn escaped(text: &str) -> Result<(Piece, &str), Error> {
    let kind = text[1..].chars().next();
    let set = match kind {
        Some('p' | 'P') => return unicode(text),
        Some('d') => "0-9",
        Some('D') => "^0-9",
        Some('w') => "0-9A-Za-z_",
        Some('W') => "^0-9A-Za-z_",
        Some('s') => "\\t\\n\\f\\r\\x20",
        Some('S') => "^\\t\\n\\f\\r\\x20",
        _ => {
            let (found, rest) = character(text)?;
            return Ok((Piece::Character(found), rest));
        }
    };
    Ok((Piece::Set(set.to_owned()), &text[2..]))
}

/// Reads an escape that stands for one character.
fn character(text: &str) -> Result<(u32, &str), Error> {
    let mut rest = text[1..].chars();
    let Some(kind) = rest.next() else {
        return Err(Error::new("trailing backslash at end of expression", ""));
    };
    let octal = |digit: Option<char>| digit.and_then(|digit| digit.to_digit(8));
    let simple = match kind {
        '0'..='7' if kind == '0' || octal(rest.clone().next()).is_some() => {
            let mut value = u32::from(kind) - u32::from('0');
            for _ in 0..2 {
                let Some(digit) = octal(rest.clone().next()) else { break };
                value = value * 8 + digit;
                rest.next();
            }
            Some(value)
        }
        'x' => return hexadecimal(text),
        'a' => Some(7),
        'f' => Some(12),
        'n' => Some(10),
        'r' => Some(13),
        't' => Some(9),
        'v' => Some(11),
        _ if kind.is_ascii() && !kind.is_ascii_alphanumeric() => Some(u32::from(kind)),
        _ => None,
    };
    match simple {
        Some(found) => Ok((found, rest.as_str())),
        None => Err(invalid_escape(text, rest.as_str())),
    }
}

fn invalid_escape(text: &str, rest: &str) -> Error {
    Error::new("invalid escape sequence", &text[..text.len() - rest.len()])
}

/// `\x7F` and `\x{10FFFF}`
fn hexadecimal(text: &str) -> Result<(u32, &str), Error> {
    let mut rest = text[2..].chars();
    let digit = |found: char| found.to_digit(16);
    match rest.next() {
        Some('{') => {
            let (mut value, mut digits_count) = (0, 0);
            while let Some(found) = rest.next() {
                match digit(found) {
                    Some(digit) if value * 16 + digit <= u32::from(char::MAX) => {
                        value = value * 16 + digit;
                        digits_count += 1;
                    }
                    None if found == '}' && digits_count > 0 => return Ok((value, rest.as_str())),
                    _ => break,
                }
            }
        }
        Some(first) => {
            let second = rest.next();
            if let (Some(high), Some(low)) = (digit(first), second.and_then(digit)) {
                return Ok((high * 16 + low, rest.as_str()));
            }
        }
        None => {}
    }
    Err(invalid_escape(text, rest.as_str()))
}

/// `\pL`, `\p{Greek}`, `\P{Lu}`, `\p{^Lu}`
fn unicode(text: &str) -> Result<(Piece, &str), Error> {
    let bad = |part: &str| Error::new("invalid character class range", part);
    let (length_bytes, name) = match text[2..].chars().next() {
        Some('{') => {
            let end_byte = text.find('}').ok_or_else(|| bad(text))?;
            (end_byte + 1, &text[3..end_byte])
        }
        single => {
            let length_bytes = 2 + single.map_or(0, char::len_utf8);
            (length_bytes, &text[2..length_bytes])
        }
    };
    let (part, rest) = text.split_at(length_bytes);
    let (is_negated, name) = match name.strip_prefix('^') {
        Some(name) => (text.starts_with("\\p"), name),
        None => (text.starts_with("\\P"), name),
    };
    let property = property(name).ok_or_else(|| bad(part))?;
    let set = match (property, is_negated) {
        (Some(property), false) => format!("\\p{{{property}}}"),
        (Some(property), true) => format!("\\P{{{property}}}"),
        (None, false) => NOTHING.to_owned(),
        (None, true) => "\\x00-\\x{10FFFF}".to_owned(),
    };
    Ok((Piece::Set(set), rest))
}

/// The library's name of a category or script; `Some(None)` for one that no text has characters of.
/// Letter case, spaces, underscores and hyphens do not count.
fn property(name: &str) -> Option<Option<String>> {
    let own: String = name.chars().filter(|found| !matches!(found, ' ' | '_' | '-')).collect();
    let own = own.to_ascii_lowercase();
    if own.is_empty() || !own.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match own.as_str() {
        "cs" | "surrogate" => return Some(None),
        "any" | "ascii" | "assigned" => return Some(Some(own)),
        _ => {}
    }
    let properties = [format!("gc={own}"), format!("sc={own}")];
    let known = |property: &String| Regex::new(&format!("\\p{{{property}}}")).is_ok();
    properties.into_iter().find(known).map(Some)
}

/// Reads a class from its `[` to its `]`, and gives what follows it.
pub(super) fn bracketed(text: &str) -> Result<(String, &str), Error> {
    let mut rest = &text[1..];
    let mut out = String::from("[");
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let empty_bytes = out.len();
    let mut is_first = true; // A closing bracket in the first place is a plain character.
    while is_first || !rest.starts_with(']') {
        is_first = false;
        if let Some((name, after)) = named(rest)? {
            out.push_str(name);
            rest = after;
            continue;
        }
        let kind = rest.strip_prefix('\\').and_then(|escape| escape.chars().next());
        if matches!(kind, Some('p' | 'P' | 'd' | 'D' | 'w' | 'W' | 's' | 'S')) {
            let (piece, after) = escaped(rest)?;
            if let Piece::Set(set) = piece {
                out.push_str(&format!("[{set}]"));
            }
            rest = after;
            continue;
        }
        let start = rest;
        let (low, after) = class_character(rest, text)?;
        rest = after;
        let mut high = low;
        if let Some(after) =
            rest.strip_prefix('-').filter(|after| !after.is_empty() && !after.starts_with(']'))
        {
            (high, rest) = class_character(after, text)?;
            if high < low {
                let range = &start[..start.len() - rest.len()];
                return Err(Error::new("invalid character class range", range));
            }
        }
        push_range(low, high, &mut out);
    }
    if out.len() == empty_bytes {
        out.push_str(&format!("[{NOTHING}]"));
    }
    out.push(']');
    Ok((out, &rest[1..]))
}

/// `[:alpha:]` and its like inside of a class.
fn named(text: &str) -> Result<Option<(&str, &str)>, Error> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
        "space", "upper", "word", "xdigit",
    ];
    let Some((inside, rest)) = text.strip_prefix("[:").and_then(|own| own.split_once(":]")) else {
        return Ok(None);
    };
    let whole = &text[..text.len() - rest.len()];
    match NAMES.contains(&inside.strip_prefix('^').unwrap_or(inside)) {
        true => Ok(Some((whole, rest))),
        false => Err(Error::new("invalid character class range", whole)),
    }
}

fn class_character<'a>(text: &'a str, class: &str) -> Result<(u32, &'a str), Error> {
    match text.chars().next() {
        None => Err(Error::new("missing closing ]", class)),
        Some('\\') => character(text),
        Some(found) => Ok((u32::from(found), &text[found.len_utf8()..])),
    }
}

/// Writes a range; surrogates, which no text holds, are left out.
fn push_range(low: u32, high: u32, out: &mut String) {
    let is_surrogate = |found: u32| (0xD800..=0xDFFF).contains(&found);
    let low = if is_surrogate(low) { 0xE000 } else { low };
    let high = if is_surrogate(high) { 0xD7FF } else { high };
    if low == high {
        out.push_str(&literal(low));
    } else if low < high {
        out.push_str(&format!("{}-{}", literal(low), literal(high)));
    }
}
