//! The lines of a page: raw series text, value, time.
//!
//! Place in the flow: page → **`Lines`** → `pass`, which looks the raw text up in its cache and asks
//! `series` for the labels when it is new.
//!
//! Prometheus text is read as lax as upstream does: blanks anywhere between tokens, free comments.
//!
//! Not here: the lines of OpenMetrics (`text::open_metrics`), the labels (`series`), writing (`write`).

/// The lines of OpenMetrics.
mod open_metrics;

use memchr::{memchr, memchr2};
use model::MetricKind;
use model::TimestampMs;

use super::known::Known;
use super::series::{is_name_byte, is_name_start};
use super::{ExpositionError, Format, number, series};

/// One sample of a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    /// The raw text of metric name and labels.
    pub series: &'a [u8],
    /// The value; any NaN is the ordinary one.
    pub value: f64,
    /// The time, when the page has one.
    pub at: Option<TimestampMs>,
    /// The exemplar, when the line has one.
    pub exemplar: Option<RawExemplar<'a>>,
}

/// An exemplar of a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawExemplar<'a> {
    /// The raw text of its labels, braces included.
    pub labels: &'a [u8],
    /// What was observed.
    pub value: f64,
    /// When, if the page says it.
    pub at: Option<TimestampMs>,
}

/// What a page says about a family, as raw texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RawFamily<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its kind, when there was a `# TYPE` line.
    pub kind: Option<MetricKind>,
    /// Its unit.
    pub unit: &'a [u8],
    /// Its help, escapes and all.
    pub help: &'a [u8],
}

/// Reads a page from top to bottom.
pub struct Lines<'a> {
    body: &'a [u8],
    position: usize,
    line: usize,
    format: Format,
    kind: MetricKind,
    family: &'a [u8],
    families: Vec<RawFamily<'a>>,
    /// More of the page may follow in another part.
    is_part: bool,
    /// Whether `# EOF` was read.
    ended: bool,
}

/// Where the reading of a page stands that comes in parts, each of whole lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    line: usize,
    kind: MetricKind,
    family: Vec<u8>,
    /// Whether `# EOF` was read.
    pub ended: bool,
}

impl Default for Standing {
    fn default() -> Standing {
        Standing { line: 1, kind: MetricKind::Unknown, family: Vec::new(), ended: false }
    }
}

impl Standing {
    /// The line that is read next, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl<'a> Lines<'a> {
    /// Starts at the top of a page.
    pub fn new(body: &'a [u8], format: Format) -> Lines<'a> {
        let kind = MetricKind::Unknown;
        let (is_part, ended) = (false, false);
        let families = Vec::new();
        Lines { body, position: 0, line: 1, format, kind, family: b"", families, is_part, ended }
    }

    /// Goes on with the next part of a page.
    pub fn resumed(body: &'a [u8], format: Format, standing: &'a Standing) -> Lines<'a> {
        let Standing { line, kind, family, ended } = standing;
        let (line, kind, ended) = (*line, *kind, *ended);
        let families = Vec::new();
        Lines { body, position: 0, line, format, kind, family, families, is_part: true, ended }
    }

    /// Where the reading stands at the end of a part.
    pub fn standing(&self) -> Standing {
        let family = self.family.to_vec();
        Standing { line: self.line, kind: self.kind, family, ended: self.ended }
    }

    /// The line of the sample that was read last, from 1.
    pub fn sample_line(&self) -> usize {
        let is_behind = self.position > 0 && self.body[self.position - 1] == b'\n';
        self.line - usize::from(is_behind)
    }

    /// The kind that the last `# TYPE` line said.
    pub fn kind(&self) -> MetricKind {
        self.kind
    }

    /// What the page said so far about families.
    pub fn families(&self) -> &[RawFamily<'a>] {
        &self.families
    }

    fn told(&mut self, name: &'a [u8]) -> &mut RawFamily<'a> {
        if self.families.last().is_none_or(|last| last.name != name) {
            self.families.push(RawFamily { name, ..RawFamily::default() });
        }
        self.families.last_mut().expect("one was just put there")
    }

    /// How the page is read.
    pub fn format(&self) -> Format {
        self.format
    }

    /// An error at the current line.
    pub fn error(&self, reason: impl Into<String>) -> ExpositionError {
        ExpositionError { line: self.line, reason: reason.into() }
    }

    /// The next sample; `None` at the end of the page.
    pub fn next_line(&mut self) -> Result<Option<Line<'a>>, ExpositionError> {
        self.next_line_knowing(&mut ())
    }

    /// The same, with lines that are known already. What a known comment says of its family is not
    /// among the [`Lines::families`].
    pub fn next_line_knowing(
        &mut self,
        known: &mut impl Known,
    ) -> Result<Option<Line<'a>>, ExpositionError> {
        match self.format {
            Format::Text => self.next_text(known),
            Format::OpenMetrics => self.next_open_metrics(known),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.position).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.position += 1;
        }
    }

    fn skip_line(&mut self) -> &'a [u8] {
        let rest = &self.body[self.position..];
        let size = memchr(b'\n', rest).unwrap_or(rest.len());
        self.position = (self.position + size + 1).min(self.body.len());
        self.line += 1;
        &rest[..size]
    }

    fn next_text(&mut self, known: &mut impl Known) -> Result<Option<Line<'a>>, ExpositionError> {
        loop {
            self.skip_blanks();
            match self.peek() {
                None => return Ok(None),
                Some(b'\n') => {
                    self.position += 1;
                    self.line += 1;
                }
                Some(b'#') if self.known_comment(known) => {}
                Some(b'#') => self.text_comment(known)?,
                Some(b'{') => return self.text_sample(known).map(Some),
                Some(byte) if is_name_start(byte) => return self.text_sample(known).map(Some),
                Some(byte) => {
                    return Err(self.error(format!("a line can't begin with {}", shown(byte))));
                }
            }
        }
    }

    /// Takes in a comment line that is known; `false` when the line is not.
    fn known_comment(&mut self, known: &mut impl Known) -> bool {
        let text = &self.body[self.position..];
        let Some((size, said)) = known.comment(text) else { return false };
        if let Some(kind) = said {
            self.kind = kind;
            // Only OpenMetrics asks for it.
            let name = text[..size].strip_prefix(b"# TYPE ").unwrap_or_default();
            self.family = series::unquoted(&name[..series::name_size(name)]);
        }
        self.position = (self.position + size + 1).min(self.body.len());
        self.line += 1;
        true
    }

    fn text_comment(&mut self, known: &mut impl Known) -> Result<(), ExpositionError> {
        let end = self.position
            + memchr(b'\n', &self.body[self.position..]).unwrap_or(self.body.len() - self.position);
        let comment = &self.body[self.position + 1..end];
        let words = comment.trim_ascii_start();
        let keyword = [&b"HELP"[..], b"TYPE"].into_iter().find(|keyword| {
            words.len() < comment.len()
                && words.starts_with(keyword)
                && matches!(words.get(keyword.len()), Some(b' ' | b'\t'))
        });
        let mut said = None;
        if let Some(keyword) = keyword {
            let rest = words[keyword.len()..].trim_ascii();
            if !rest.is_empty() {
                self.metadata(keyword, rest)?;
                said = (keyword == b"TYPE").then_some(self.kind);
            }
        }
        known.learn_comment(&self.body[self.position..end], said);
        self.position = (end + 1).min(self.body.len());
        self.line += 1;
        Ok(())
    }

    /// `name rest` after HELP, TYPE or UNIT.
    fn metadata(&mut self, keyword: &[u8], text: &'a [u8]) -> Result<(), ExpositionError> {
        let word = || String::from_utf8_lossy(keyword);
        let size = series::name_size(text);
        if size == 0 {
            let word = word();
            return Err(self.error(format!("a metric name is missing after {word}")));
        }
        let name = series::unquoted(&text[..size]);
        let rest = &text[size..];
        let value = match self.format {
            Format::Text => rest.trim_ascii(),
            Format::OpenMetrics => match rest.split_first() {
                Some((b' ', value)) => value,
                _ => return Err(self.error(format!("a text is missing after {}", word()))),
            },
        };
        match keyword {
            b"TYPE" => {
                self.kind = kind_of(value, self.format).ok_or_else(|| {
                    let shown = String::from_utf8_lossy(&value[..value.len().min(80)]);
                    self.error(format!("{shown:?} is no metric type"))
                })?;
                self.family = name;
                self.told(name).kind = Some(self.kind);
            }
            b"UNIT" => {
                let before = name.len().checked_sub(value.len() + 1);
                let suffix = before.is_some_and(|at| name[at] == b'_' && name.ends_with(value));
                if !value.is_empty() && !suffix {
                    return Err(self.error("the unit is no suffix of the metric's name"));
                }
                self.told(name).unit = value;
            }
            _ if std::str::from_utf8(value).is_err() => {
                return Err(self.error("the help text is no UTF-8"));
            }
            _ => self.told(name).help = value,
        }
        Ok(())
    }

    /// The raw text of name and labels; the position is behind it afterwards.
    fn series(&mut self, known: &mut impl Known) -> Result<&'a [u8], ExpositionError> {
        let text = &self.body[self.position..];
        match known.series_bytes(text) {
            Some(size) if self.ends_series(&text[..size], &text[size..]) => {
                self.position += size;
                Ok(&text[..size])
            }
            _ => self.raw_series(),
        }
    }

    /// Whether the raw text of a series ends before the rest: a name alone may go on.
    fn ends_series(&self, series: &[u8], rest: &[u8]) -> bool {
        if series.ends_with(b"}") {
            return true;
        }
        let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        match self.format {
            Format::Text => match rest.iter().find(|byte| !is_blank(byte)) {
                Some(b'{') => false,
                _ => rest.first().as_ref().is_some_and(is_blank),
            },
            Format::OpenMetrics => rest.first() == Some(&b' '),
        }
    }

    fn raw_series(&mut self) -> Result<&'a [u8], ExpositionError> {
        let start = self.position;
        while self.peek().is_some_and(is_name_byte) {
            self.position += 1;
        }
        let name_end = self.position;
        if self.format == Format::Text {
            self.skip_blanks();
        }
        if self.peek() != Some(b'{') {
            return Ok(&self.body[start..name_end]);
        }
        self.position += 1;
        loop {
            match self.peek() {
                Some(b'}') => {
                    self.position += 1;
                    return Ok(&self.body[start..self.position]);
                }
                Some(b'"') => self.skip_quoted()?,
                None | Some(b'\n') => return Err(self.error("the label braces are not closed")),
                Some(_) => self.position += 1,
            }
        }
    }

    fn skip_quoted(&mut self) -> Result<(), ExpositionError> {
        self.position += 1;
        loop {
            let rest = &self.body[self.position.min(self.body.len())..];
            match memchr2(b'"', b'\\', rest) {
                None => return Err(self.error("a quoted text is not closed")),
                Some(offset) if rest[offset] == b'"' => {
                    self.position += offset + 1;
                    return Ok(());
                }
                Some(offset) => self.position += offset + 2,
            }
        }
    }

    fn text_sample(&mut self, known: &mut impl Known) -> Result<Line<'a>, ExpositionError> {
        let series = self.series(known)?;
        self.skip_blanks();
        let value = match self.plain_number() {
            Some(value) => value,
            None => {
                let value = self.token(|byte| matches!(byte, b'{' | b' ' | b'\t' | b'\n'));
                self.number(value, "the value after the metric")?
            }
        };
        self.skip_blanks();
        let mut at = None;
        if matches!(self.peek(), Some(b'0'..=b'9' | b'-')) {
            let token = self.token(|byte| !byte.is_ascii_digit() && byte != b'-');
            let ms = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok());
            at = Some(TimestampMs(ms.ok_or_else(|| self.error("the timestamp is no number"))?));
            self.skip_blanks();
        }
        match self.peek() {
            None => {}
            Some(b'\n') => {
                self.position += 1;
                self.line += 1;
            }
            Some(byte) => {
                return Err(self.error(format!("unexpected {} after the sample", shown(byte))));
            }
        }
        Ok(Line { series, value, at, exemplar: None })
    }

    /// A plain number; the position is behind it afterwards.
    fn plain_number(&mut self) -> Option<f64> {
        let (value, size) = number::plain(&self.body[self.position..])?;
        self.position += size;
        Some(value)
    }

    fn token(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.body[self.position..];
        let size = rest.iter().position(|&byte| ends(byte)).unwrap_or(rest.len());
        self.position += size;
        &rest[..size]
    }

    fn number(&self, token: &[u8], what: &str) -> Result<f64, ExpositionError> {
        number::parse(token).ok_or_else(|| {
            let shown = String::from_utf8_lossy(&token[..token.len().min(40)]);
            self.error(format!("{what} is {shown:?}, which is no number"))
        })
    }
}

fn shown(byte: u8) -> String {
    format!("{:?}", char::from(byte))
}

fn kind_of(word: &[u8], format: Format) -> Option<MetricKind> {
    Some(match (word, format) {
        (b"counter", _) => MetricKind::Counter,
        (b"gauge", _) => MetricKind::Gauge,
        (b"histogram", _) => MetricKind::Histogram,
        (b"summary", _) => MetricKind::Summary,
        (b"untyped", Format::Text) | (b"unknown", Format::OpenMetrics) => MetricKind::Unknown,
        (b"info", Format::OpenMetrics) => MetricKind::Info,
        (b"stateset", Format::OpenMetrics) => MetricKind::StateSet,
        // Read like any other family; the house has no word of its own for it.
        (b"gaugehistogram", Format::OpenMetrics) => MetricKind::Unknown,
        _ => return None,
    })
}
