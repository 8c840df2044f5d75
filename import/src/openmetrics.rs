//! OpenMetrics text, as batches, however long it is.
//!
//! Place in the flow: file → **`Pages::next`** → the store, or a running server.
//!
//! Every sample needs a time. Lines may stand in any order of time. The text is read in portions of
//! whole lines; a line that can't be read ends the import there, because it ends the format too.
//!
//! Not here: the format itself (`collector::exposition`).

use std::io::Read;

use collector::exposition::Format;
use collector::exposition::series::{self, Pair};
use collector::exposition::text::{Line, Lines, Standing};
use model::append::{BatchExemplar, Metadata};
use model::{Batch, LabelsBuilder, MetricKind, TimestampMs};

use crate::Error;
use crate::block::Filter;
use crate::prometheus::{Options, Progress};

/// Bytes that become one batch.
const PORTION_BYTES: usize = 1024 * 1024;
/// Longest line.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A text on its way in.
#[derive(Debug)]
pub struct Pages<R> {
    input: R,
    pending: Vec<u8>,
    standing: Standing,
    is_read: bool,
    filter: Filter,
    progress: Progress,
}

impl<R: Read> Pages<R> {
    /// A text from its beginning.
    pub fn new(input: R, options: Options) -> Pages<R> {
        let Options { range, matchers } = options;
        Pages {
            input,
            pending: Vec::new(),
            standing: Standing::default(),
            is_read: false,
            filter: Filter { range, matchers },
            progress: Progress::default(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The next batch; `None` at the end of the text.
    #[allow(clippy::should_implement_trait)] // It has more to tell than an iterator does.
    pub fn next(&mut self) -> Option<Result<Batch, Error>> {
        loop {
            let portion = match self.portion() {
                Ok(portion) if portion.is_empty() => return self.end(),
                Ok(portion) => portion,
                Err(error) => return Some(Err(error)),
            };
            match self.batch(&portion) {
                Ok(batch) if batch.is_empty() => {}
                Ok(batch) => {
                    self.progress.samples += batch.samples().len() as u64;
                    self.progress.place = format!("line {}", self.standing.line());
                    return Some(Ok(batch));
                }
                Err(error) => {
                    // What comes behind it has no meaning.
                    self.is_read = true;
                    self.pending.clear();
                    self.standing.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }

    fn end(&mut self) -> Option<Result<Batch, Error>> {
        if self.standing.ended {
            return None;
        }
        self.standing.ended = true;
        Some(Err(self.line_error("the text does not end with # EOF")))
    }

    fn line_error(&self, reason: &str) -> Error {
        Error::Line { line: self.standing.line(), reason: reason.to_owned() }
    }

    /// Whole lines, or the rest of the text.
    fn portion(&mut self) -> Result<Vec<u8>, Error> {
        while !self.is_read && self.pending.len() < PORTION_BYTES + LINE_BYTES_MAX {
            let before = self.pending.len();
            let mut input = (&mut self.input).take(PORTION_BYTES as u64);
            let read = input.read_to_end(&mut self.pending);
            let read = read.map_err(|error| self.line_error(&format!("can't be read: {error}")))?;
            self.is_read = read == 0;
            if self.pending[before..].contains(&b'\n') {
                break;
            }
        }
        if self.is_read {
            return Ok(std::mem::take(&mut self.pending));
        }
        let end = self.pending.iter().rposition(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| self.line_error("is too long"))?;
        let rest = self.pending.split_off(end + 1);
        Ok(std::mem::replace(&mut self.pending, rest))
    }

    fn batch(&mut self, portion: &[u8]) -> Result<Batch, Error> {
        if self.standing.ended {
            return Err(self.line_error("there is more after # EOF"));
        }
        let mut batch = Batch::new();
        let standing = self.standing.clone();
        let mut lines = Lines::resumed(portion, Format::OpenMetrics, &standing);
        let mut pairs = Vec::new();
        loop {
            let line = lines.next_line();
            let line =
                line.map_err(|error| Error::Line { line: error.line, reason: error.reason })?;
            let Some(line) = line else { break };
            let wrong = |reason: String| Error::Line { line: lines.sample_line(), reason };
            self.add(&mut batch, &mut pairs, &line, lines.kind()).map_err(wrong)?;
        }
        for family in lines.families() {
            let metadata = Metadata {
                kind: family.kind.unwrap_or(MetricKind::Unknown),
                unit: String::from_utf8_lossy(family.unit).into_owned(),
                help: series::help(family.help),
            };
            batch.metadata(&String::from_utf8_lossy(family.name), metadata);
        }
        self.standing = lines.standing();
        Ok(batch)
    }

    fn add<'t>(
        &self,
        batch: &mut Batch,
        pairs: &mut Vec<Pair<'t>>,
        line: &Line<'t>,
        kind: MetricKind,
    ) -> Result<(), String> {
        series::labels(line.series, Format::OpenMetrics, kind, pairs)?;
        let mut builder = LabelsBuilder::new();
        for (index, (name, value)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(other, _)| other == name) {
                return Err(format!("the label {name:?} is given twice"));
            }
            builder.set(name, value);
        }
        let labels = builder.build();
        let at = line.at.ok_or_else(|| format!("the sample of {labels} has no time"))?;
        if !self.filter.range.contains(at) || !self.filter.takes(&labels) {
            return Ok(());
        }
        let series = batch.series(&labels);
        batch.sample(series, at, line.value);
        if let Some(exemplar) = line.exemplar
            && let Some(labels) = series::exemplar_labels(exemplar.labels)
        {
            let at: TimestampMs = exemplar.at.unwrap_or(at);
            batch.exemplar(BatchExemplar { series, at, value: exemplar.value, labels });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Batch>, Option<String>) {
        let mut pages = Pages::new(text.as_bytes(), Options::default());
        let (mut batches, mut error) = (Vec::new(), None);
        while let Some(next) = pages.next() {
            match next {
                Ok(batch) => batches.push(batch),
                Err(own) => error = Some(own.to_string()),
            }
        }
        (batches, error)
    }

    #[test]
    fn a_text_with_everything() {
        let (batches, error) = read(
            "# HELP req Requests.\n# TYPE req counter\nreq_total{a=\"b\"} 1 1.5 # {id=\"x\"} 0.5\n\
             plain NaN 2\n# EOF\n",
        );
        assert_eq!(error, None);
        let [batch] = batches.as_slice() else { panic!("{batches:?}") };
        assert_eq!(batch.samples().len(), 2);
        assert_eq!((batch.samples()[0].at, batch.samples()[0].value), (TimestampMs(1500), 1.0));
        assert_eq!(batch.exemplars()[0].at, TimestampMs(1500));
        assert_eq!(batch.families()[0].1.help, "Requests.");
    }

    #[test]
    fn long_texts_come_in_parts() {
        let mut text: String =
            (0..100_000).map(|at| format!("metric{{a=\"{at}\"}} 1 {at}\n")).collect();
        text.push_str("# EOF\n");
        let (batches, error) = read(&text);
        assert_eq!(error, None);
        assert!(batches.len() > 2, "{} batches", batches.len());
        assert_eq!(batches.iter().map(|batch| batch.samples().len()).sum::<usize>(), 100_000);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("a 1 1\nb 2\n# EOF\n", "line 2: the sample of b has no time"),
            ("a 1 1\n", "line 2: the text does not end with # EOF"),
            ("", "line 1: the text does not end with # EOF"),
            ("a 1 1\nb{ 2 2\n# EOF\n", "line 2: the label braces are not closed"),
        ] {
            assert_eq!(read(text).1.as_deref(), Some(expected), "{text:?}");
        }
    }
}
