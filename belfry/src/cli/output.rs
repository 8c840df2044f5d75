//! How results are written: tables, Go's quoting and JSON, sizes.
//!
//! Place in the flow: every command → **here** → text.
//!
//! The JSON is that of promtool to the byte, because scripts compare it: keys sorted, `<`, `>` and
//! `&` escaped, numbers without an exponent.

use std::fmt::Write;

/// Columns padded to their widest cell, two blanks between them. The first row is the head. What
/// would steer a terminal is shown as an escape: label values may hold anything.
pub fn table(rows: &[Vec<String>]) -> String {
    let shown = |cell: &String| -> String {
        let letters = cell.chars();
        let letter = |letter: char| match letter.is_control() {
            true => letter.escape_default().to_string(),
            false => letter.to_string(),
        };
        letters.map(letter).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut lines = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let blanks = width - cell.chars().count() + 2;
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', blanks));
        }
        line.truncate(line.trim_end().len());
        lines.push(line);
    }
    lines.join("\n")
}

/// A text in quotes as Go's `%q` writes it.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            letter if is_printable(letter) => out.push(letter),
            letter if (letter as u32) < 0x80 => {
                put(&mut out, format_args!("\\x{:02x}", letter as u32))
            }
            letter if (letter as u32) < 0x1_0000 => {
                put(&mut out, format_args!("\\u{:04x}", letter as u32));
            }
            letter => put(&mut out, format_args!("\\U{:08x}", letter as u32)),
        }
    }
    out.push('"');
    out
}

/// Letters, marks, numbers, punctuation, symbols and the blank.
fn is_printable(letter: char) -> bool {
    letter == ' '
        || (!letter.is_whitespace()
            && (letter.escape_debug().len() == 1 || letter.is_alphanumeric() || is_mark(letter)))
}

/// Marks that go over other letters: printable, though Rust writes them as escapes.
fn is_mark(letter: char) -> bool {
    matches!(letter as u32, 0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5c7 | 0x610..=0x61a
        | 0x64b..=0x65f | 0x900..=0x903 | 0x93a..=0x94f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff
        | 0x20d0..=0x20f0 | 0x302a..=0x302f | 0x3099..=0x309a | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f)
}

/// A JSON text as Go's encoder writes it.
pub fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                put(&mut out, format_args!("\\u{:04x}", letter as u32));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = out.write_fmt(arguments);
}

/// A number without exponent, its shortest digits.
pub fn plain_number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => format!("{value}"),
    }
}

/// A size for people.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let rows =
            [vec!["A".to_owned(), "LONG".to_owned()], vec!["äöü".to_owned(), "x\n".to_owned()]];
        assert_eq!(table(&rows), "A    LONG\näöü  x\\n");
        for (text, shown) in [
            ("a<b>&\"q\\é\n", r#""a<b>&\"q\\é\n""#),
            ("\u{1}\u{7f}\u{a0}\u{200b}", r#""\x01\x7f\u00a0\u200b""#),
            ("日本 e\u{301}", "\"日本 e\u{301}\""),
            ("\u{10ffff}", r#""\U0010ffff""#),
        ] {
            assert_eq!(quoted(text), shown);
        }
        assert_eq!(json_text("a<b>&\"\u{8}é\u{2028}"), r#""a\u003cb\u003e\u0026\"\u0008é\u2028""#);
        for (value, text) in [
            (1e22, "10000000000000000000000"),
            (1e-7, "0.0000001"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(plain_number(value), text);
        }
        assert_eq!((bytes(12), bytes(1536)), ("12 B".to_owned(), "1.5 KiB".to_owned()));
    }
}
