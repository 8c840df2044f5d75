//! The journal's records of what series have beside their numbers.
//!
//! Place in the flow: the committer encodes a group of batches, the journal keeps it together with
//! its numbers, opening the store decodes it. docs/format/store-journal.md says every byte.
//!
//! A record stands alone: a difference is always one to an entry before it in the same record.
//!
//! Not here: series and numbers (`record`), framing and checksums (journal).

use std::sync::Arc;

use model::append::{Metadata, SeriesId};
use model::{Histogram, Labels, TimestampMs};

use super::codec;
use super::exemplars::{Exemplar, Numbered};
use super::metadata::{kind_number, kind_of_number};
use crate::encoding::float::{put_single, single};
use crate::encoding::varint::{Reader, put_bytes, put_i64, put_u64};

/// Native histograms of series by number.
pub const KIND_HISTOGRAMS: u8 = 16;
/// Start timestamps of samples and histograms.
pub const KIND_STARTS: u8 = 17;
/// Exemplars.
pub const KIND_EXEMPLARS: u8 = 18;
/// What is known of metric families.
pub const KIND_METADATA: u8 = 19;
/// All kinds of records in here.
pub const KINDS: [u8; 4] = [KIND_HISTOGRAMS, KIND_STARTS, KIND_EXEMPLARS, KIND_METADATA];

/// Bytes beyond which the next record begins.
const RECORD_BYTES_MAX: usize = 32 * 1024;

/// One histogram of a series by number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedHistogram {
    /// The series.
    pub id: SeriesId,
    /// When.
    pub at_ms: i64,
    /// The distribution.
    pub histogram: Arc<Histogram>,
}

/// When the counting behind a sample began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedStart {
    /// The series.
    pub id: SeriesId,
    /// The sample's instant.
    pub at_ms: i64,
    /// The start of its counting.
    pub start_ms: i64,
}

/// What stands in a record.
#[derive(Debug, PartialEq)]
pub enum Record {
    /// Histograms.
    Histograms(Vec<NumberedHistogram>),
    /// Start timestamps.
    Starts(Vec<NumberedStart>),
    /// Exemplars.
    Exemplars(Vec<Numbered>),
    /// Families.
    Metadata(Vec<(String, Metadata)>),
}

/// Series number and instant, each as the difference to those before in the record.
#[derive(Default)]
struct Place {
    id: u64,
    at_ms: i64,
}

impl Place {
    fn put(&mut self, id: SeriesId, at_ms: i64, out: &mut Vec<u8>) {
        put_i64(out, id.0.wrapping_sub(self.id) as i64);
        put_i64(out, at_ms.wrapping_sub(self.at_ms));
        *self = Place { id: id.0, at_ms };
    }

    fn read(&mut self, reader: &mut Reader<'_>) -> Option<(SeriesId, i64)> {
        self.id = self.id.wrapping_add(reader.i64()? as u64);
        self.at_ms = self.at_ms.wrapping_add(reader.i64()?);
        Some((SeriesId(self.id), self.at_ms))
    }
}

type Records = Vec<(u8, Vec<u8>)>;

/// Cuts entries into records of one kind. `put` gets whether the record has just begun.
fn encode<T>(
    kind: u8,
    all: &[T],
    records: &mut Records,
    mut put: impl FnMut(&T, bool, &mut Vec<u8>),
) {
    let mut body = Vec::new();
    for one in all {
        if body.len() > RECORD_BYTES_MAX {
            records.push((kind, std::mem::take(&mut body)));
        }
        put(one, body.is_empty(), &mut body);
    }
    if !body.is_empty() {
        records.push((kind, body));
    }
}

/// Appends records with histograms, in the order given.
pub fn encode_histograms(all: &[NumberedHistogram], records: &mut Records) {
    let mut place = Place::default();
    let mut previous: Option<Arc<Histogram>> = None;
    encode(KIND_HISTOGRAMS, all, records, |one, begins, body| {
        if begins {
            (place, previous) = (Place::default(), None);
        }
        place.put(one.id, one.at_ms, body);
        codec::put(previous.as_deref(), &one.histogram, body);
        previous = Some(Arc::clone(&one.histogram));
    });
}

/// Appends records with start timestamps.
pub fn encode_starts(all: &[NumberedStart], records: &mut Records) {
    let (mut place, mut start_ms) = (Place::default(), 0i64);
    encode(KIND_STARTS, all, records, |one, begins, body| {
        if begins {
            (place, start_ms) = (Place::default(), 0);
        }
        place.put(one.id, one.at_ms, body);
        put_i64(body, one.start_ms.wrapping_sub(start_ms));
        start_ms = one.start_ms;
    });
}

/// Appends records with exemplars.
pub fn encode_exemplars(all: &[Numbered], records: &mut Records) {
    let mut place = Place::default();
    encode(KIND_EXEMPLARS, all, records, |one, begins, body| {
        if begins {
            place = Place::default();
        }
        let Exemplar { at, value, labels } = &one.exemplar;
        place.put(one.id, at.0, body);
        put_single(body, *value);
        put_u64(body, labels.ends().len() as u64);
        let mut start = 0;
        for end in labels.ends() {
            put_u64(body, u64::from(end - start));
            start = *end;
        }
        body.extend_from_slice(labels.text().as_bytes());
    });
}

/// Appends records with families.
pub fn encode_families(all: &[(String, Metadata)], records: &mut Records) {
    encode(KIND_METADATA, all, records, |(name, metadata), _, body| {
        put_bytes(body, name.as_bytes());
        body.push(kind_number(metadata.kind));
        put_bytes(body, metadata.unit.as_bytes());
        put_bytes(body, metadata.help.as_bytes());
    });
}

/// Reads a record of one of [`KINDS`]; `None` when its bytes make no sense.
pub fn decode(kind: u8, payload: &[u8]) -> Option<Record> {
    let mut reader = Reader::new(payload);
    match kind {
        KIND_HISTOGRAMS => decode_histograms(&mut reader).map(Record::Histograms),
        KIND_STARTS => decode_starts(&mut reader).map(Record::Starts),
        KIND_EXEMPLARS => decode_exemplars(&mut reader).map(Record::Exemplars),
        KIND_METADATA => decode_families(&mut reader).map(Record::Metadata),
        _ => None,
    }
}

fn decode_histograms(reader: &mut Reader<'_>) -> Option<Vec<NumberedHistogram>> {
    let mut place = Place::default();
    let mut all: Vec<NumberedHistogram> = Vec::new();
    while !reader.is_empty() {
        let (id, at_ms) = place.read(reader)?;
        let previous = all.last().map(|one| Arc::clone(&one.histogram));
        let histogram = Arc::new(codec::read(previous.as_deref(), reader)?);
        all.push(NumberedHistogram { id, at_ms, histogram });
    }
    Some(all)
}

fn decode_starts(reader: &mut Reader<'_>) -> Option<Vec<NumberedStart>> {
    let (mut place, mut start_ms) = (Place::default(), 0i64);
    let mut all = Vec::new();
    while !reader.is_empty() {
        let (id, at_ms) = place.read(reader)?;
        start_ms = start_ms.wrapping_add(reader.i64()?);
        all.push(NumberedStart { id, at_ms, start_ms });
    }
    Some(all)
}

fn decode_exemplars(reader: &mut Reader<'_>) -> Option<Vec<Numbered>> {
    let mut place = Place::default();
    let mut all = Vec::new();
    let mut ends = Vec::new();
    while !reader.is_empty() {
        let (id, at_ms) = place.read(reader)?;
        let value = single(reader)?;
        ends.clear();
        let mut end = 0u32;
        for _ in 0..reader.count()? {
            end = end.checked_add(reader.u32()?)?;
            ends.push(end);
        }
        let text = std::str::from_utf8(reader.take(end as usize)?).ok()?;
        let labels = Labels::from_parts(text, &ends)?;
        let exemplar = Exemplar { at: TimestampMs(at_ms), value, labels };
        all.push(Numbered { id, exemplar });
    }
    Some(all)
}

fn decode_families(reader: &mut Reader<'_>) -> Option<Vec<(String, Metadata)>> {
    let mut all = Vec::new();
    while !reader.is_empty() {
        let name = std::str::from_utf8(reader.bytes()?).ok()?.to_owned();
        let kind = kind_of_number(reader.u8()?);
        let unit = std::str::from_utf8(reader.bytes()?).ok()?.to_owned();
        let help = std::str::from_utf8(reader.bytes()?).ok()?.to_owned();
        all.push((name, Metadata { kind, unit, help }));
    }
    Some(all)
}
