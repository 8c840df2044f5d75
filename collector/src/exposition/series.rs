//! The labels inside the raw text of a series.
//!
//! Place in the flow: `text` (raw text of a new series) → **`labels`** → `pass`.
//!
//! Both forms are read: `name{label="value"}` and `{"quoted name", "quoted label"="value"}`.
//!
//! Not here: where the raw text ends (`text`), renaming and relabelling (`pass`).

use std::borrow::Cow;

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MetricKind};

use super::Format;

/// A name and a value that point into the page unless they had escapes.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Whether a classic metric name can begin with this byte.
pub fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b':'
}

/// Whether a classic metric name can go on with this byte.
pub fn is_name_byte(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit()
}

/// How many bytes of a text are a metric name, quoted or not.
pub fn name_size(text: &[u8]) -> usize {
    match text.first() {
        Some(b'"') => quoted_size(text).unwrap_or(0),
        Some(&byte) if is_name_start(byte) => {
            text.iter().position(|&byte| !is_name_byte(byte)).unwrap_or(text.len())
        }
        _ => 0,
    }
}

/// A name without its quotes.
pub fn unquoted(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(name)
}

/// The size of a quoted text with both quotes; `None` when it does not end.
fn quoted_size(text: &[u8]) -> Option<usize> {
    let mut index = 1;
    loop {
        match *text.get(index)? {
            b'"' => return Some(index + 1),
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
}

/// Takes the raw text of a series apart: metric name first, labels in the order of the page. `le`
/// of histograms and `quantile` of summaries are written the canonical way.
pub fn labels<'a>(
    raw: &'a [u8],
    format: Format,
    kind: MetricKind,
    pairs: &mut Vec<Pair<'a>>,
) -> Result<(), String> {
    pairs.clear();
    let size = if raw.first() == Some(&b'{') { 0 } else { name_size(raw) };
    let mut name = (size > 0).then(|| utf8(&raw[..size])).transpose()?.map(Cow::Borrowed);
    let rest = raw[size..].trim_ascii_start();
    if !rest.is_empty() {
        let mut reader = Reader { text: rest, position: 1, format };
        reader.read(&mut name, pairs)?;
    }
    let name = name.filter(|name| !name.is_empty()).ok_or("the metric has no name")?;
    for (label, value) in pairs.iter_mut() {
        canonical(kind, label, value);
    }
    pairs.insert(0, (Cow::Borrowed(METRIC_NAME), name));
    Ok(())
}

/// Checks the labels of an exemplar.
pub fn check_exemplar(raw: &[u8]) -> Result<(), String> {
    let mut reader = Reader { text: raw, position: 1, format: Format::OpenMetrics };
    // An exemplar has no name, so it counts as one that is there already.
    reader.read(&mut Some(Cow::Borrowed("")), &mut Vec::new())
}

/// The labels of an exemplar that was checked before; of two with one name the later counts.
pub fn exemplar_labels(raw: &[u8]) -> Option<Labels> {
    let mut reader = Reader { text: raw, position: 1, format: Format::OpenMetrics };
    let mut pairs = Vec::new();
    reader.read(&mut Some(Cow::Borrowed("")), &mut pairs).ok()?;
    let mut builder = LabelsBuilder::new();
    for (name, value) in &pairs {
        builder.set(name, value);
    }
    Some(builder.build())
}

/// The text of a `# HELP` line without its escapes; other backslashes stay.
pub fn help(raw: &[u8]) -> String {
    let raw = String::from_utf8_lossy(raw);
    let mut text = String::with_capacity(raw.len());
    let mut letters = raw.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => text.push('\n'),
            Some(own @ ('\\' | '"')) => text.push(own),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

struct Reader<'a> {
    text: &'a [u8],
    position: usize,
    format: Format,
}

impl<'a> Reader<'a> {
    fn read(
        &mut self,
        name: &mut Option<Cow<'a, str>>,
        pairs: &mut Vec<Pair<'a>>,
    ) -> Result<(), String> {
        loop {
            if self.next_is(b'}') {
                return self.end();
            }
            let quoted = self.peek() == Some(b'"');
            let label = self.label_name()?;
            self.skip_blanks();
            if quoted && matches!(self.peek(), Some(b',' | b'}')) {
                if name.replace(label).is_some() {
                    return Err("the metric's name is given twice".into());
                }
                self.next_is(b',');
                continue;
            }
            if !self.next_is(b'=') {
                return Err(format!("an equals sign is missing after the label {label:?}"));
            }
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(format!("the value of the label {label:?} is not quoted"));
            }
            pairs.push((label, self.quoted()?));
            let comma = self.next_is(b',');
            // Prometheus text gets by without commas; OpenMetrics does not.
            if !comma && self.format == Format::OpenMetrics && self.peek() != Some(b'}') {
                return Err("a comma or a closing brace is missing after a label".into());
            }
        }
    }

    fn end(&self) -> Result<(), String> {
        match self.position == self.text.len() {
            true => Ok(()),
            false => Err("there is more after the labels".into()),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }

    fn skip_blanks(&mut self) {
        while self.format == Format::Text && matches!(self.peek(), Some(b' ' | b'\t')) {
            self.position += 1;
        }
    }

    fn next_is(&mut self, wanted: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(wanted);
        self.position += usize::from(found);
        self.skip_blanks();
        found
    }

    fn label_name(&mut self) -> Result<Cow<'a, str>, String> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let rest = &self.text[self.position..];
        let size = rest.iter().position(|&byte| !is_name_byte(byte) || byte == b':');
        let size = size.unwrap_or(rest.len());
        if size == 0 || rest[0].is_ascii_digit() {
            return Err("a label name is missing".into());
        }
        self.position += size;
        utf8(&rest[..size]).map(Cow::Borrowed)
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        let rest = &self.text[self.position..];
        let size = quoted_size(rest).ok_or("a quoted text is not closed")?;
        self.position += size;
        let inner = utf8(&rest[1..size - 1])?;
        if self.format == Format::OpenMetrics && inner.contains('\n') {
            return Err("a quoted text has a line break".into());
        }
        Ok(if inner.contains('\\') { Cow::Owned(unescaped(inner)) } else { Cow::Borrowed(inner) })
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a name or label value is no UTF-8".into())
}

/// `\"`, `\\` and `\n`; any other backslash stays as it is, as upstream has it.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some(char @ ('"' | '\\')) => plain.push(char),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}

/// Writes the bound of a bucket or quantile as `0.5`, `1.0`, `1e+06`, `+Inf`, so that the same bound
/// is the same series whichever format a target spoke.
fn canonical(kind: MetricKind, label: &str, value: &mut Cow<'_, str>) {
    let bound =
        matches!((kind, label), (MetricKind::Histogram, "le") | (MetricKind::Summary, "quantile"));
    let Some(number) = bound.then(|| model::sample::parse_value(value)).flatten() else { return };
    let text = canonical_number(number);
    if text != value.as_ref() {
        *value = Cow::Owned(text);
    }
}

fn canonical_number(number: f64) -> String {
    if !number.is_finite() {
        return model::sample::format_value(number);
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    // The field's shortest form turns to an exponent from seven digits on.
    if (-4..6).contains(&power) {
        let text = format!("{number}");
        return if text.contains('.') { text } else { format!("{text}.0") };
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}
