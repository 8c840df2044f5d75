//! Text import: a page of samples in the exposition formats, as long as it likes.
//!
//! Place in the flow: dashboards' `/api/v1/import/prometheus` → **`Import`** → `Append`.
//!
//! The page is read in portions of whole lines, and each portion is committed before the next one is
//! read: a page of gigabytes takes as little memory as a small one. When a line can't be read, the
//! lines before it are stored and the answer names the line.
//!
//! Invariants: no portion is longer than [`PORTION_BYTES`] and the longest line.
//!
//! Not here: the formats (`exposition`), HTTP (dashboards).

use std::io::Write;

use flate2::write::MultiGzDecoder;
use model::append::{AppendError, Refused, RefusedReason};
use model::labels::LabelsBuilder;
use model::{Batch, TimestampMs};

use super::cache::{Key, NOWHERE};
use super::counters::add;
use super::decoded::{Miss, NAMED_MAX};
use super::receiver::{Answer, Receiver, Written};
use crate::exposition::series::{self, Pair};
use crate::exposition::text::{Line, Lines, Standing};
use crate::exposition::{ExpositionError, Format};

/// Bytes that are committed together.
const PORTION_BYTES: usize = 1024 * 1024;
/// Longest line: all labels at their longest would be longer, no line of a person's is.
const LINE_BYTES_MAX: usize = PORTION_BYTES;
/// Longest page, unpacked. Longer ones are sent in parts, each of which is answered.
const PAGE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Packed bytes that are unpacked at once: they grow to a portion at most.
const PACKED_BYTES: usize = 1024;

/// How a page is read.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Whether it is OpenMetrics text.
    pub is_open_metrics: bool,
    /// Whether it is packed with gzip.
    pub is_gzip: bool,
    /// Labels that every series gets; they replace its own of the same name.
    pub extra_labels: Vec<(String, String)>,
    /// The time of samples without one; the time of arrival when absent.
    pub at: Option<TimestampMs>,
}

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A line can't be read. The lines before it are stored; answer 400.
    #[error("{0}; the lines before it are stored")]
    Line(#[from] ExpositionError),
    /// The page or the way it is packed is wrong; answer 400 or 413.
    #[error("{reason}")]
    Page {
        /// What is wrong.
        reason: String,
        /// The HTTP status.
        status: u16,
    },
    /// The store can't take samples now. Send the whole page again later; answer 503.
    #[error(transparent)]
    Store(#[from] AppendError),
}

impl ImportError {
    fn http_status(&self) -> u16 {
        match self {
            ImportError::Line(_) => 400,
            ImportError::Page { status, .. } => *status,
            ImportError::Store(AppendError::Unavailable { .. } | AppendError::Stopping) => 503,
            ImportError::Store(_) => 500,
        }
    }
}

/// A page on its way in.
pub struct Import<'r> {
    receiver: &'r Receiver,
    format: Format,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    extra: Vec<(String, String)>,
    context: Key,
    at: TimestampMs,
    standing: Standing,
    pending: Vec<u8>,
    bytes: u64,
    stored: u64,
    refused: u64,
    named: Vec<String>,
}

/// A portion that was read.
#[derive(Default)]
struct Portion {
    batch: Batch,
    misses: Vec<Miss>,
    /// The line of each series of the batch.
    lines: Vec<usize>,
    standing: Standing,
    error: Option<ExpositionError>,
}

impl Receiver {
    /// Begins to take a page.
    pub fn import(&self, options: ImportOptions) -> Import<'_> {
        let format = if options.is_open_metrics { Format::OpenMetrics } else { Format::Text };
        // What the same raw text means depends on these.
        let context = format!("{format:?} {:?}", options.extra_labels);
        let context = self.memory().hasher.key(context.as_bytes());
        Import {
            receiver: self,
            format,
            gzip: options.is_gzip.then(|| MultiGzDecoder::new(Vec::new())),
            extra: options.extra_labels,
            context,
            at: options.at.unwrap_or_else(|| self.clock.now()),
            standing: Standing::default(),
            pending: Vec::new(),
            bytes: 0,
            stored: 0,
            refused: 0,
            named: Vec::new(),
        }
    }
}

impl Import<'_> {
    /// Takes the next piece of the page.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), ImportError> {
        add(&self.receiver.counters.bytes_packed, piece.len() as u64);
        if self.gzip.is_none() {
            for part in piece.chunks(PORTION_BYTES) {
                self.feed(part).await?;
            }
            return Ok(());
        }
        for packed in piece.chunks(PACKED_BYTES) {
            let Some(gzip) = &mut self.gzip else { break };
            gzip.write_all(packed).map_err(|error| bad_gzip(&error))?;
            let unpacked = std::mem::take(gzip.get_mut());
            self.feed(&unpacked).await?;
        }
        Ok(())
    }

    /// The page has ended.
    pub async fn finish(&mut self) -> Result<(), ImportError> {
        if let Some(gzip) = self.gzip.take() {
            let unpacked = gzip.finish().map_err(|error| bad_gzip(&error))?;
            self.feed(&unpacked).await?;
        }
        let rest = std::mem::take(&mut self.pending);
        self.take(&rest).await?;
        if self.format == Format::OpenMetrics && !self.standing.ended {
            let reason = "the page does not end with # EOF".to_owned();
            return Err(ExpositionError { line: self.standing.line(), reason }.into());
        }
        Ok(())
    }

    /// What the sender is told.
    pub fn answer(self, outcome: Result<(), ImportError>) -> Answer {
        let mut lines = Vec::new();
        let status = match outcome {
            Ok(()) if self.refused == 0 => 204,
            Ok(()) => 400,
            Err(error) => {
                lines.push(error.to_string());
                error.http_status()
            }
        };
        if status != 204 {
            lines.extend(self.named);
            lines.push(format!("{} samples stored, {} refused", self.stored, self.refused));
        }
        self.receiver.counters.request("text", status);
        let written = Written { samples: self.stored, ..Written::default() };
        Answer { status, written, is_v2: false, text: lines.join("\n") }
    }

    async fn feed(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        add(&self.receiver.counters.bytes, bytes.len() as u64);
        self.bytes += bytes.len() as u64;
        if self.bytes > PAGE_BYTES_MAX {
            let reason = format!(
                "the page has more than {PAGE_BYTES_MAX} bytes; send it in parts; what came before \
                 that is stored"
            );
            return Err(ImportError::Page { reason, status: 413 });
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() < PORTION_BYTES {
            return Ok(());
        }
        let Some(end) = memchr::memrchr(b'\n', &self.pending) else {
            if self.pending.len() > LINE_BYTES_MAX {
                let reason = format!("the line has more than {LINE_BYTES_MAX} bytes");
                let line = self.standing.line();
                return Err(ExpositionError { line, reason }.into());
            }
            return Ok(());
        };
        let rest = self.pending.split_off(end + 1);
        let portion = std::mem::replace(&mut self.pending, rest);
        self.take(&portion).await
    }

    /// Reads and commits a portion of whole lines.
    async fn take(&mut self, text: &[u8]) -> Result<(), ImportError> {
        if text.is_empty() {
            return Ok(());
        }
        if self.standing.ended {
            let reason = "there is more after # EOF".to_owned();
            return Err(ExpositionError { line: self.standing.line(), reason }.into());
        }
        let Portion { batch, misses, lines, standing, error } = self.read(text, None);
        if !batch.is_empty() {
            let this = &*self;
            let again = |only: &[u32]| {
                let portion = this.read(text, Some(only));
                (portion.batch, portion.misses)
            };
            let (stored, refused) = self.receiver.commit_lines(batch, &misses, again).await?;
            self.stored += stored;
            self.note(&refused, &lines);
        }
        self.standing = standing;
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    fn note(&mut self, refused: &[Refused], lines: &[usize]) {
        self.refused += refused.len() as u64;
        for refused in refused.iter().take(NAMED_MAX.saturating_sub(self.named.len())) {
            let line = lines.get(refused.series.0 as usize).copied().unwrap_or_default();
            self.named.push(format!("line {line}: {} at {}", refused.reason.message(), refused.at));
        }
    }

    /// Reads lines into a batch, each as a series of its own; all of them or only those wanted.
    fn read(&self, text: &[u8], only: Option<&[u32]>) -> Portion {
        let memory = self.receiver.memory();
        let mut portion = Portion::default();
        let mut lines = Lines::resumed(text, self.format, &self.standing);
        let mut pairs = Vec::new();
        let (mut last, mut position) = (NOWHERE, 0_u32);
        loop {
            let line = match lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    portion.error = Some(error);
                    break;
                }
            };
            // No series begins like this, so that the two never cancel each other.
            let kind = memory.hasher.key(format!("# {}", lines.kind().as_str()).as_bytes());
            let key = memory.hasher.key(line.series).within(self.context).within(kind);
            let is_wanted = only.is_none_or(|only| only.binary_search(&position).is_ok());
            position += 1;
            if !is_wanted {
                continue;
            }
            let known = match only {
                None => memory.series.find_after(last, key),
                Some(_) => None,
            };
            let series = match known.and_then(|(index, entry)| Some((index, entry.id()?))) {
                Some((index, id)) => {
                    last = index;
                    portion.batch.known_series(id)
                }
                None => {
                    let described = self.describe(&mut pairs, &line, &lines, &mut portion.batch);
                    match described {
                        Ok(series) => {
                            portion.misses.push(Miss { series, key, size_bytes: 0 });
                            series
                        }
                        Err(reason) => {
                            let error = ExpositionError { line: lines.sample_line(), reason };
                            portion.error = Some(error);
                            break;
                        }
                    }
                }
            };
            portion.lines.push(lines.sample_line());
            portion.batch.sample(series, line.at.unwrap_or(self.at), line.value);
        }
        portion.standing = lines.standing();
        portion
    }

    fn describe<'t>(
        &self,
        pairs: &mut Vec<Pair<'t>>,
        line: &Line<'t>,
        lines: &Lines<'_>,
        batch: &mut Batch,
    ) -> Result<model::SeriesIx, String> {
        series::labels(line.series, lines.format(), lines.kind(), pairs)?;
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(other, _)| other == name) {
                return Err(format!("the label {name:?} is given twice"));
            }
        }
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs.iter() {
            builder.set(name, value);
        }
        for (name, value) in &self.extra {
            builder.set(name, value);
        }
        let labels = builder.build();
        if labels.metric_name().is_empty() {
            return Err(RefusedReason::InvalidLabels.message().to_owned());
        }
        Ok(batch.series(&labels))
    }
}

fn bad_gzip(error: &std::io::Error) -> ImportError {
    let reason = format!("unpack the page: {error}; the lines before that are stored");
    ImportError::Page { reason, status: 400 }
}

#[cfg(test)]
mod tests;
