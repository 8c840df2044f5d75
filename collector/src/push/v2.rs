//! Remote write 2.0: `io.prometheus.write.v2.Request`.
//!
//! Place in the flow: unpacked body → **`decode_v2`** → `Decoded` → receiver.
//!
//! Texts stand once in a table of symbols, everything else refers to them. A series is known by a
//! hash of the hashes of the texts that its labels refer to: each text is hashed once per message, and
//! a series is known whatever table it comes with.
//!
//! Field 6 of a series, the created timestamp of drafts before rc.4, is read too: senders of that
//! time are still about, and the number was never given away again.
//!
//! Not here: the protobuf itself (`protobuf`), what is known (`cache`).

use std::collections::HashSet;

use model::append::{Metadata, SeriesId};
use model::labels::METRIC_NAME;
use model::limits::{LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};
use model::{Labels, MetricKind};

use super::cache::Key;
use super::decoded::{
    Building, Content, Decoded, Found, Lookup, NAMED_MAX, Target, kind_of, text_of,
};
use super::error::PushError;
use super::histogram::RawHistogram;
use super::labels::Pairs;
use super::protobuf::{Reader, Value, sample_of, usual_sample};

/// The first byte of packed label references in a series.
const REFS_TAG: u8 = 0x0a;
/// Most symbols of a message: more than its honest series can refer to.
const SYMBOLS_MAX: usize = 4_000_000;
/// Most references of one series that are read; more name more labels than a series may have.
const REFS_MAX: usize = 2 * LABELS_PER_SERIES_MAX + 2;
/// Longest texts that the labels of all series of a message may refer to. A symbol stands once and
/// can be referred to a thousand times, so this must be bounded too; honest messages have a tenth.
const TEXT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most references that an error shows.
const SHOWN_MAX: usize = 20;

/// Decodes a message in which no series is known.
pub fn decode_v2(message: &[u8]) -> Result<Decoded, PushError> {
    decode(message, Lookup::default())
}

/// Decodes a message.
pub(super) fn decode(message: &[u8], lookup: Lookup<'_>) -> Result<Decoded, PushError> {
    let symbols = symbols_of(message)?;
    let building = walk(message, &symbols, lookup)?;
    if building.scattered {
        return Ok(walk(message, &symbols, Lookup::default())?.decoded);
    }
    Ok(building.decoded)
}

fn symbols_of(message: &[u8]) -> Result<Vec<&[u8]>, PushError> {
    let mut symbols = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next_field()? {
        if let (4, Value::Bytes(symbol)) = (field, value) {
            if symbols.len() == SYMBOLS_MAX {
                let reason = format!("the message holds more than {SYMBOLS_MAX} symbols");
                return Err(PushError::malformed(reason));
            }
            symbols.push(symbol);
        }
    }
    match symbols.first() {
        Some(first) if !first.is_empty() => {
            Err(PushError::malformed("the first symbol must be the empty string"))
        }
        _ => Ok(symbols),
    }
}

fn walk<'a>(
    message: &'a [u8],
    symbols: &'a [&'a [u8]],
    lookup: Lookup<'a>,
) -> Result<Building<'a>, PushError> {
    let name = symbols.iter().position(|symbol| *symbol == METRIC_NAME.as_bytes());
    let mut walk = Walk {
        building: Building::new(lookup, message.len()),
        symbols,
        name: name.and_then(|index| u32::try_from(index).ok()),
        metric: None,
        refs: Vec::new(),
        keys: lookup.memory.map_or_else(Vec::new, |memory| {
            symbols.iter().map(|symbol| memory.hasher.key(symbol).to_bytes()).collect()
        }),
        text: Vec::new(),
        text_bytes: 0,
        pairs: Pairs::default(),
        told: HashSet::new(),
        told_last: None,
    };
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next_field()? {
        if let (5, Value::Bytes(series)) = (field, value) {
            walk.series(series)?;
        }
        if walk.building.is_done() {
            break;
        }
    }
    Ok(walk.building)
}

/// A family by the symbol of its name, and what is said of it: kind, help, unit.
type ToldRefs = (u32, u64, u32, u32);

struct Walk<'a> {
    building: Building<'a>,
    symbols: &'a [&'a [u8]],
    /// The symbol `__name__`.
    name: Option<u32>,
    /// The symbol that is the metric's name of the series at hand.
    metric: Option<u32>,
    /// References of the series at hand.
    refs: Vec<u32>,
    /// The hash of each symbol, when series are looked up.
    keys: Vec<[u8; Key::BYTES]>,
    /// The hashes of the symbols of the series at hand.
    text: Vec<u8>,
    /// Bytes of the texts of all series so far.
    text_bytes: usize,
    pairs: Pairs<'a>,
    told: HashSet<ToldRefs>,
    told_last: Option<ToldRefs>,
}

impl<'a> Walk<'a> {
    fn series(&mut self, message: &'a [u8]) -> Result<(), PushError> {
        let mut reader = Reader::new(message);
        if let Some(packed) = self.building.known().and_then(|_| reader.small_field(REFS_TAG))
            // Usually it is a sample or a histogram that follows the labels.
            && matches!(reader.rest().first(), Some(0x12 | 0x1a))
            && let Some(id) = self.known(packed)
        {
            return self.content(reader, Target::Known(id), true);
        }
        self.refs.clear();
        self.collect_refs(message)?;
        let content = count(message)?;
        if content.samples + content.histograms == 0 {
            return self.refuse_empty(content);
        }
        let key = self.key();
        if self.text_bytes > TEXT_BYTES_MAX {
            return Err(PushError::malformed("the labels of all series are longer than allowed"));
        }
        let key = match key {
            Ok(key) => key,
            Err(problem) => {
                self.building.refuse(content, &problem);
                return Ok(());
            }
        };
        let key = match key {
            Some(Found::Known(id)) => {
                return self.content(Reader::new(message), Target::Known(id), false);
            }
            Some(Found::New(key)) => key,
            None => None,
        };
        fill(&mut self.pairs, &self.refs, self.symbols);
        match self.pairs.series() {
            Ok(pairs) => {
                let Some(target) = self.building.describe(pairs, key) else { return Ok(()) };
                self.content(Reader::new(message), target, false)
            }
            Err(problem) => {
                self.building.refuse(content, &problem);
                Ok(())
            }
        }
    }

    /// The number of a series whose references are packed in front, if it is known. Nothing is
    /// collected and no symbol looked at; what is unusual is left to the long way.
    fn known(&mut self, packed: &[u8]) -> Option<SeriesId> {
        self.text.clear();
        self.metric = None;
        let (mut rest, mut count, mut name) = (packed, 0_usize, None);
        while !rest.is_empty() {
            let (number, size) = match *rest {
                [a, ..] if a < 0x80 => (u32::from(a), 1),
                [a, b, ..] if b < 0x80 => (u32::from(a & 0x7f) | u32::from(b) << 7, 2),
                [a, b, c, ..] if c < 0x80 => {
                    (u32::from(a & 0x7f) | u32::from(b & 0x7f) << 7 | u32::from(c) << 14, 3)
                }
                _ => return None,
            };
            rest = &rest[size..];
            self.text.extend_from_slice(self.keys.get(number as usize)?);
            if count % 2 == 0 {
                name = Some(number);
            } else if name == self.name {
                self.metric = Some(number);
            }
            count += 1;
        }
        let memory = self.building.known()?;
        match self.building.find(memory.hasher.key(&self.text), 0) {
            Found::Known(id) => Some(id),
            Found::New(_) => None,
        }
    }

    /// References wherever they stand, packed or not.
    fn collect_refs(&mut self, message: &'a [u8]) -> Result<(), PushError> {
        let mut reader = Reader::new(message);
        while let Some((field, value)) = reader.next_field()? {
            if field == 1 {
                push_refs(value, &mut self.refs)?;
            }
        }
        Ok(())
    }

    /// Checks the references and looks the series up; `None` when nothing is remembered.
    fn key(&mut self) -> Result<Option<Found>, String> {
        if !self.refs.len().is_multiple_of(2) {
            return Err(format!(
                "parsing labels for series {:?}: invalid labelRefs length {}",
                &self.refs[..self.refs.len().min(SHOWN_MAX)],
                self.refs.len()
            ));
        }
        self.text.clear();
        let mut pairs = self.refs.chunks_exact(2);
        self.metric = pairs.find(|pair| Some(pair[0]) == self.name).map(|pair| pair[1]);
        if self.refs.len() > 2 * LABELS_PER_SERIES_MAX {
            return Err(format!("a series has more than {LABELS_PER_SERIES_MAX} labels"));
        }
        for pair in self.refs.chunks_exact(2) {
            let (Some(name), Some(value)) =
                (self.symbols.get(pair[0] as usize), self.symbols.get(pair[1] as usize))
            else {
                return Err(format!(
                    "parsing labels for series {:?}: labelRefs {} (name) = {} (value) outside of \
                     symbols table (size {})",
                    &self.refs[..self.refs.len().min(SHOWN_MAX)],
                    pair[0],
                    pair[1],
                    self.symbols.len()
                ));
            };
            if name.len().max(value.len()) > LABEL_VALUE_BYTES_MAX {
                return Err(format!("a label is longer than {LABEL_VALUE_BYTES_MAX} bytes"));
            }
            self.text_bytes += name.len() + value.len();
            // The keys lie like the symbols; there are none when nothing is looked up.
            if let (Some(name), Some(value)) =
                (self.keys.get(pair[0] as usize), self.keys.get(pair[1] as usize))
            {
                self.text.extend_from_slice(name);
                self.text.extend_from_slice(value);
            }
        }
        let Some(memory) = self.building.lookup.memory else { return Ok(None) };
        let key = memory.hasher.key(&self.text);
        Ok(Some(self.building.find(key, 0)))
    }

    fn refuse_empty(&mut self, content: Content) -> Result<(), PushError> {
        // Only the first few are shown; building the text of all would take for ever.
        if self.building.decoded.refusals.named.len() >= NAMED_MAX {
            self.building.refuse(counted(content), "");
            return Ok(());
        }
        let labels = self.key().and_then(|_| {
            fill(&mut self.pairs, &self.refs, self.symbols);
            let pairs = self.pairs.series()?;
            Ok(Labels::from_pairs(pairs.iter().copied()).to_string())
        });
        let text = match labels {
            Ok(labels) => {
                format!(
                    "TimeSeries must contain at least one sample or histogram for series {labels}"
                )
            }
            Err(problem) => problem,
        };
        self.building.refuse(counted(content), &text);
        Ok(())
    }

    fn content(
        &mut self,
        mut reader: Reader<'a>,
        mut target: Target,
        is_known: bool,
    ) -> Result<(), PushError> {
        let batch = &self.building.decoded.batch;
        let before = (batch.samples().len(), batch.histograms().len());
        let mut created_ms = 0;
        loop {
            if let Some((sample, size)) = usual_sample(reader.rest()) {
                reader.skip(size);
                self.building.sample(&mut target, sample)?;
                continue;
            }
            let Some((field, value)) = reader.next_field()? else { break };
            match (field, value) {
                (1, _) if is_known => {
                    self.building.scattered = true;
                    return Ok(());
                }
                (2, Value::Bytes(sample)) => {
                    self.building.sample(&mut target, sample_of(sample)?)?;
                }
                (3, Value::Bytes(histogram)) => {
                    self.building.histogram(&mut target, RawHistogram::read(histogram)?)?;
                }
                (4, Value::Bytes(exemplar)) => self.exemplar(exemplar, &mut target)?,
                (5, Value::Bytes(metadata)) => self.metadata(metadata)?,
                (6, Value::Varint(bits)) => created_ms = bits as i64,
                _ => {}
            }
        }
        if created_ms != 0 {
            self.created(before, created_ms)?;
        }
        Ok(())
    }

    /// The created timestamp of a whole series is the start of each of its samples.
    fn created(&mut self, before: (usize, usize), created_ms: i64) -> Result<(), PushError> {
        let batch = &self.building.decoded.batch;
        let samples = batch.samples()[before.0..].iter().map(|one| (one.series, one.at));
        let histograms = batch.histograms()[before.1..].iter().map(|one| (one.series, one.at));
        let added: Vec<_> = samples.chain(histograms).collect();
        for (series, at) in added {
            self.building.start(series, at.0, created_ms)?;
        }
        Ok(())
    }

    fn exemplar(&mut self, message: &'a [u8], target: &mut Target) -> Result<(), PushError> {
        let (mut value, mut at_ms) = (0.0, 0);
        let mut refs = Vec::new();
        let mut reader = Reader::new(message);
        while let Some((field, own)) = reader.next_field()? {
            match (field, own) {
                (1, own) => push_refs(own, &mut refs)?,
                (2, Value::Fixed64(bits)) => value = f64::from_bits(bits),
                (3, Value::Varint(bits)) => at_ms = bits as i64,
                _ => {}
            }
        }
        self.pairs.clear();
        let mut is_good = refs.len().is_multiple_of(2);
        for pair in refs.chunks_exact(2) {
            match (self.symbols.get(pair[0] as usize), self.symbols.get(pair[1] as usize)) {
                (Some(name), Some(value)) => self.pairs.push(name, value),
                _ => is_good = false,
            }
        }
        let labels = if is_good {
            self.pairs.exemplar()
        } else {
            Err("the labels of an exemplar are outside of the symbols table".to_owned())
        };
        self.building.exemplar(target, value, at_ms, labels)
    }

    /// What is said of the family of the series at hand: told once per message.
    fn metadata(&mut self, message: &[u8]) -> Result<(), PushError> {
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        let mut reader = Reader::new(message);
        while let Some((field, value)) = reader.next_field()? {
            match (field, value) {
                (1, Value::Varint(number)) => kind = number,
                (3, Value::Varint(number)) => help = number as u32,
                (4, Value::Varint(number)) => unit = number as u32,
                _ => {}
            }
        }
        if (kind, help, unit) == (0, 0, 0) {
            return Ok(());
        }
        let Some(metric) = self.metric else { return Ok(()) };
        let told = (metric, kind, help, unit);
        if self.told_last.replace(told) == Some(told) || !self.told.insert(told) {
            return Ok(());
        }
        let symbol = |number: u32| self.symbols.get(number as usize).copied().unwrap_or(b"");
        let longest = [metric, help, unit].map(|number| symbol(number).len()).into_iter().max();
        if longest > Some(LABEL_VALUE_BYTES_MAX) {
            return Ok(());
        }
        let kind = kind_of(kind);
        let name = text_of(symbol(metric));
        let metadata = Metadata { kind, unit: text_of(symbol(unit)), help: text_of(symbol(help)) };
        self.building.family(family_of(&name, kind), metadata)
    }
}

/// The labels that references name; they have been checked.
fn fill<'a>(pairs: &mut Pairs<'a>, refs: &[u32], symbols: &'a [&'a [u8]]) {
    pairs.clear();
    for pair in refs.chunks_exact(2) {
        pairs.push(symbols[pair[0] as usize], symbols[pair[1] as usize]);
    }
}

/// The family of a series: classic histograms and summaries have several series each.
fn family_of(name: &str, kind: MetricKind) -> &str {
    let suffixes: &[&str] = match kind {
        MetricKind::Histogram => &["_bucket", "_sum", "_count"],
        MetricKind::Summary => &["_sum", "_count"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn push_refs(value: Value<'_>, refs: &mut Vec<u32>) -> Result<(), PushError> {
    // A number beyond the range names no symbol, as it would not if it were cut to size.
    let clamped = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    match value {
        Value::Varint(number) if refs.len() < REFS_MAX => refs.push(clamped(number)),
        Value::Bytes(packed) => {
            let mut reader = Reader::new(packed);
            while let Some(number) = reader.next_varint()? {
                if refs.len() < REFS_MAX {
                    refs.push(clamped(number));
                }
            }
        }
        Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32 => {}
    }
    Ok(())
}

fn count(message: &[u8]) -> Result<Content, PushError> {
    let mut content = Content::default();
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next_field()? {
        match (field, value) {
            (2, Value::Bytes(_)) => content.samples += 1,
            (3, Value::Bytes(_)) => content.histograms += 1,
            (4, Value::Bytes(_)) => content.exemplars += 1,
            _ => {}
        }
    }
    Ok(content)
}

/// A series with nothing at all is wrong too; it counts as one sample that did not come.
fn counted(content: Content) -> Content {
    if content.exemplars == 0 { Content { samples: 1, ..content } } else { content }
}

#[cfg(test)]
mod tests;
