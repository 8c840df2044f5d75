//! Values as text: Go's `fmt`.
//!
//! Place in the flow: actions and `print`, `printf`, `println` → **`print`** → output.
//!
//! All text goes into a [`Sink`] with a limit, so that a nested value can't fill the memory.
//!
//! Not here: floats (`number`), instants (`clock_text`).

use std::fmt::Write as _;

use crate::clock_text;
use crate::number::{Shape, float};
use crate::value::Value;

/// Largest width or precision, as in Go.
const WIDTH_MAX: usize = 1_000_000;

/// A text that refuses to grow beyond its limit.
#[derive(Debug)]
pub(crate) struct Sink {
    text: String,
    bytes_max: usize,
    full: bool,
}

impl Sink {
    pub(crate) fn new(bytes_max: usize) -> Sink {
        Sink { text: String::new(), bytes_max, full: false }
    }

    pub(crate) fn push(&mut self, text: &str) {
        if self.full || self.text.len() + text.len() > self.bytes_max {
            self.full = true;
            return;
        }
        self.text.push_str(text);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn bytes_count(&self) -> usize {
        self.text.len()
    }

    /// The text, or what to say when it did not fit.
    pub(crate) fn finish(self) -> Result<String, String> {
        if self.full {
            return Err(format!("output is larger than {} bytes", self.bytes_max));
        }
        Ok(self.text)
    }
}

/// Writes a value as `%v` does.
pub(crate) fn value(sink: &mut Sink, value: &Value) {
    formatted(sink, value, &Spec::default(), 'v');
}

/// The text of a value as `%v` writes it.
pub(crate) fn value_text(given: &Value, bytes_max: usize) -> Result<String, String> {
    let mut sink = Sink::new(bytes_max);
    value(&mut sink, given);
    sink.finish()
}

/// Go's `Sprint`: a space between neighbours that are both no strings.
pub(crate) fn print(sink: &mut Sink, values: &[Value]) {
    let mut previous_is_text = true;
    for (index, item) in values.iter().enumerate() {
        let is_text = matches!(item, Value::Text(_));
        if index > 0 && !is_text && !previous_is_text {
            sink.push(" ");
        }
        value(sink, item);
        previous_is_text = is_text;
    }
}

/// Go's `Sprintln`.
pub(crate) fn println(sink: &mut Sink, values: &[Value]) {
    for (index, item) in values.iter().enumerate() {
        if index > 0 {
            sink.push(" ");
        }
        value(sink, item);
    }
    sink.push("\n");
}

#[derive(Debug, Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Go's `Sprintf`.
pub(crate) fn printf(sink: &mut Sink, format: &str, arguments: &[Value]) {
    let mut cursor = Cursor { rest: format, arguments, next: 0, reordered: false };
    while !cursor.rest.is_empty() && !sink.is_full() {
        let Some(start) = cursor.rest.find('%') else {
            sink.push(cursor.rest);
            break;
        };
        sink.push(&cursor.rest[..start]);
        cursor.rest = &cursor.rest[start + 1..];
        cursor.directive(sink);
    }
    if !cursor.reordered && cursor.next < arguments.len() {
        sink.push("%!(EXTRA ");
        for (index, extra) in arguments[cursor.next..].iter().enumerate() {
            if index > 0 {
                sink.push(", ");
            }
            sink.push(&extra.type_name());
            if !matches!(extra, Value::Null) {
                sink.push("=");
                value(sink, extra);
            }
        }
        sink.push(")");
    }
}

struct Cursor<'a> {
    rest: &'a str,
    arguments: &'a [Value],
    next: usize,
    reordered: bool,
}

impl Cursor<'_> {
    fn directive(&mut self, sink: &mut Sink) {
        let mut spec = Spec::default();
        while let Some(flag) = self.rest.bytes().next() {
            match flag {
                b'-' => spec.minus = true,
                b'+' => spec.plus = true,
                b'#' => spec.sharp = true,
                b' ' => spec.space = true,
                b'0' => spec.zero = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        self.index();
        match self.count() {
            Ok(Some(width)) => {
                spec.minus |= width < 0;
                spec.width = usize::try_from(width.unsigned_abs()).ok();
            }
            Ok(None) => {}
            Err(()) => sink.push("%!(BADWIDTH)"),
        }
        if self.rest.starts_with('.') {
            self.rest = &self.rest[1..];
            self.index();
            match self.count() {
                Ok(precision) => spec.precision = usize::try_from(precision.unwrap_or(0)).ok(),
                Err(()) => sink.push("%!(BADPREC)"),
            }
        }
        self.index();
        let Some(verb) = self.rest.chars().next() else {
            sink.push("%!(NOVERB)");
            return;
        };
        self.rest = &self.rest[verb.len_utf8()..];
        if verb == '%' {
            sink.push("%");
            return;
        }
        let Some(argument) = self.arguments.get(self.next) else {
            sink.push(&format!("%!{verb}(MISSING)"));
            return;
        };
        self.next += 1;
        formatted(sink, argument, &spec, verb);
    }

    /// `[3]`: the next argument is the third.
    fn index(&mut self) {
        let Some(after) = self.rest.strip_prefix('[') else { return };
        let Some((inside, tail)) = after.split_once(']') else { return };
        self.rest = tail;
        self.reordered = true;
        match inside.parse::<usize>() {
            Ok(number) if number > 0 => self.next = number - 1,
            _ => self.next = self.arguments.len(),
        }
    }

    /// A number or `*`.
    fn count(&mut self) -> Result<Option<i64>, ()> {
        if let Some(tail) = self.rest.strip_prefix('*') {
            self.rest = tail;
            let argument = self.arguments.get(self.next);
            self.next += 1;
            return match argument {
                Some(Value::Int(count)) if count.unsigned_abs() <= WIDTH_MAX as u64 => {
                    Ok(Some(*count))
                }
                _ => Err(()),
            };
        }
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let text = &self.rest[..digits];
        self.rest = &self.rest[digits..];
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse::<i64>() {
            Ok(count) if count <= WIDTH_MAX as i64 => Ok(Some(count)),
            _ => Err(()),
        }
    }
}

fn formatted(sink: &mut Sink, given: &Value, spec: &Spec, verb: char) {
    if sink.is_full() {
        return;
    }
    if verb == 'T' {
        return pad(sink, &given.type_name(), spec);
    }
    let stringy = matches!(verb, 'v' | 's' | 'q' | 'x' | 'X');
    match given {
        Value::Null if verb == 'v' => pad(sink, "<nil>", spec),
        Value::Null => sink.push(&format!("%!{verb}(<nil>)")),
        Value::Bool(flag) if matches!(verb, 'v' | 't') => pad(sink, &flag.to_string(), spec),
        Value::DurationNs(span) if stringy => {
            text(sink, &clock_text::duration(*span), spec, verb);
        }
        Value::Int(number) | Value::DurationNs(number) => integer(sink, given, *number, spec, verb),
        Value::Float(number) => floating(sink, given, *number, spec, verb),
        Value::Text(own) | Value::SafeHtml(own) | Value::SafeUrl(own) if stringy => {
            text(sink, own, spec, verb);
        }
        Value::Time(at) if stringy => text(sink, &clock_text::go_string(at), spec, verb),
        Value::List(list) => {
            sink.push("[");
            for (index, item) in list.items().iter().enumerate() {
                if index > 0 {
                    sink.push(" ");
                }
                formatted(sink, item, spec, verb);
                if sink.is_full() {
                    return;
                }
            }
            sink.push("]");
        }
        Value::Map(map) => {
            sink.push("map[");
            for (index, (key, item)) in map.entries().iter().enumerate() {
                if index > 0 {
                    sink.push(" ");
                }
                formatted(sink, &Value::Text(key.clone()), spec, verb);
                sink.push(":");
                formatted(sink, item, spec, verb);
                if sink.is_full() {
                    return;
                }
            }
            sink.push("]");
        }
        Value::Object(object) => match object.underlying() {
            Some(plain) => formatted(sink, &plain, spec, verb),
            None => structure(sink, &object.fields(), spec, verb),
        },
        _ => bad_verb(sink, given, spec, verb),
    }
}

fn structure(sink: &mut Sink, fields: &[(&'static str, Value)], spec: &Spec, verb: char) {
    sink.push("{");
    for (index, (name, item)) in fields.iter().enumerate() {
        if index > 0 {
            sink.push(" ");
        }
        if spec.plus && verb == 'v' {
            sink.push(name);
            sink.push(":");
        }
        formatted(sink, item, spec, verb);
    }
    sink.push("}");
}

fn bad_verb(sink: &mut Sink, given: &Value, spec: &Spec, verb: char) {
    sink.push(&format!("%!{verb}({}=", given.type_name()));
    // Go keeps width and precision here, so an int under `%.2f` shows as `05`.
    formatted(sink, given, spec, 'v');
    sink.push(")");
}

fn pad(sink: &mut Sink, text: &str, spec: &Spec) {
    let count = text.chars().count();
    let missing = spec.width.unwrap_or(0).saturating_sub(count);
    if missing == 0 {
        return sink.push(text);
    }
    if spec.minus {
        sink.push(text);
        sink.push(&" ".repeat(missing));
    } else {
        sink.push(&if spec.zero { "0" } else { " " }.repeat(missing));
        sink.push(text);
    }
}

fn text(sink: &mut Sink, given: &str, spec: &Spec, verb: char) {
    let cut = match spec.precision {
        Some(count) if !matches!(verb, 'x' | 'X') => {
            let end = given.char_indices().nth(count).map_or(given.len(), |(index, _)| index);
            &given[..end]
        }
        _ => given,
    };
    match verb {
        'q' if spec.sharp && !cut.contains('`') => pad(sink, &format!("`{cut}`"), spec),
        'q' => pad(sink, &quoted(cut), spec),
        'v' if spec.sharp => pad(sink, &quoted(cut), spec),
        'x' | 'X' => {
            let mut hex = String::with_capacity(cut.len() * 2);
            for byte in cut.bytes().take(spec.precision.unwrap_or(usize::MAX)) {
                let _ =
                    if verb == 'x' { write!(hex, "{byte:02x}") } else { write!(hex, "{byte:02X}") };
            }
            pad(sink, &hex, spec);
        }
        _ => pad(sink, cut, spec),
    }
}

/// Go's quoted string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            _ if (character as u32) < 0x20 || character == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", character as u32);
            }
            _ if character.is_control() || character == '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", character as u32);
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

fn integer(sink: &mut Sink, given: &Value, number: i64, spec: &Spec, verb: char) {
    let magnitude = number.unsigned_abs();
    let (prefix, digits) = match verb {
        'v' | 'd' => ("", magnitude.to_string()),
        'b' => (if spec.sharp { "0b" } else { "" }, format!("{magnitude:b}")),
        'o' => (if spec.sharp { "0" } else { "" }, format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => (if spec.sharp { "0x" } else { "" }, format!("{magnitude:x}")),
        'X' => (if spec.sharp { "0X" } else { "" }, format!("{magnitude:X}")),
        'c' | 'q' | 'U' => {
            let code = u32::try_from(number).unwrap_or(0xfffd);
            let character = char::from_u32(code).unwrap_or('\u{fffd}');
            let shown = match verb {
                'c' => character.to_string(),
                'U' => format!("U+{magnitude:04X}"),
                _ if character == '\'' => "'\\''".to_owned(),
                _ => format!("'{character}'"),
            };
            return pad(sink, &shown, spec);
        }
        _ => return bad_verb(sink, given, spec, verb),
    };
    let mut digits = digits;
    if let Some(precision) = spec.precision {
        let missing = precision.saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        if precision == 0 && number == 0 {
            digits.clear();
        }
    }
    let sign = sign_of(number < 0, spec);
    if spec.zero && !spec.minus && spec.precision.is_none() {
        let used = sign.len() + digits.len();
        let missing = spec.width.unwrap_or(0).saturating_sub(used);
        digits.insert_str(0, &"0".repeat(missing));
    }
    let unzeroed = Spec { zero: false, ..*spec };
    pad(sink, &format!("{sign}{prefix}{digits}"), &unzeroed);
}

fn sign_of(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn floating(sink: &mut Sink, given: &Value, number: f64, spec: &Spec, verb: char) {
    let shown = match verb {
        'v' | 'g' => float(number, Shape::General, spec.precision),
        'G' => float(number, Shape::General, spec.precision).to_uppercase(),
        'f' | 'F' => float(number, Shape::Fixed, Some(spec.precision.unwrap_or(6))),
        'e' => float(number, Shape::Exponent, Some(spec.precision.unwrap_or(6))),
        'E' => float(number, Shape::Exponent, Some(spec.precision.unwrap_or(6))).to_uppercase(),
        _ => return bad_verb(sink, given, spec, verb),
    };
    let shown = if number.is_nan() || number.is_infinite() {
        shown.replace("NAN", "NaN").replace("INF", "Inf")
    } else {
        shown
    };
    let negative = shown.starts_with('-');
    let digits = shown.trim_start_matches(['-', '+']);
    // Go keeps the plus of an infinity only when it was asked for, but for `%v` and `%g`.
    let sign = if number == f64::INFINITY && !spec.space { "+" } else { sign_of(negative, spec) };
    let finite = number.is_finite();
    if spec.zero && !spec.minus && finite {
        let used = sign.len() + digits.len();
        let missing = spec.width.unwrap_or(0).saturating_sub(used);
        return sink.push(&format!("{sign}{}{digits}", "0".repeat(missing)));
    }
    let unzeroed = Spec { zero: false, ..*spec };
    pad(sink, &format!("{sign}{digits}"), &unzeroed);
}
