//! The records of a write-ahead log.
//!
//! Place in the flow: `segments` → **`decode`** → `wal`.

use std::sync::Arc;

use model::append::Metadata;
use model::histogram::{Buckets, Histogram, ResetHint, Span};
use model::{Labels, MetricKind};

use crate::bytes::Bytes;
use crate::error::Malformed;

/// What a record holds; series by the numbers that the log gives them.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// New series.
    Series(Vec<(u64, Labels)>),
    /// Series, instant, value.
    Samples(Vec<(u64, i64, f64)>),
    /// Series, first and last instant that are deleted.
    Tombstones(Vec<(u64, i64, i64)>),
    /// Series, instant, value, labels.
    Exemplars(Vec<(u64, i64, f64, Labels)>),
    /// Series, what is known of its metric.
    Metadata(Vec<(u64, Metadata)>),
    /// Series, instant, histogram.
    Histograms(Vec<(u64, i64, Arc<Histogram>)>),
    /// Says only where Prometheus keeps a copy.
    Marker,
    /// A kind that is not known.
    Unknown(u8),
}

/// Reads a record.
pub fn decode(record: &[u8]) -> Result<Record, Malformed> {
    let mut bytes = Bytes(record);
    match bytes.u8()? {
        1 => all(bytes, |bytes| Ok((bytes.be64()?, labels(bytes)?))).map(Record::Series),
        2 => based(bytes, |bytes, series, at| Ok((series, at, bytes.f64()?))).map(Record::Samples),
        3 => all(bytes, |bytes| Ok((bytes.be64()?, bytes.varint()?, bytes.varint()?)))
            .map(Record::Tombstones),
        4 => based(bytes, |bytes, series, at| Ok((series, at, bytes.f64()?, labels(bytes)?)))
            .map(Record::Exemplars),
        5 => Ok(Record::Marker),
        6 => all(bytes, metadata).map(Record::Metadata),
        kind @ (7..=10) => {
            let (is_float, has_bounds) = (matches!(kind, 8 | 10), kind >= 9);
            based(bytes, |bytes, series, at| {
                Ok((series, at, Arc::new(histogram(bytes, is_float, has_bounds)?)))
            })
            .map(Record::Histograms)
        }
        other => Ok(Record::Unknown(other)),
    }
}

fn all<T>(
    mut bytes: Bytes<'_>,
    mut one: impl FnMut(&mut Bytes<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        list.push(one(&mut bytes)?);
    }
    Ok(list)
}

/// Entries whose series and instant are written as differences to the first one's.
fn based<T>(
    mut bytes: Bytes<'_>,
    mut one: impl FnMut(&mut Bytes<'_>, u64, i64) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (series, at) = (bytes.be64()?, bytes.be64()?.cast_signed());
    all(bytes, |bytes| {
        let own = series.wrapping_add_signed(bytes.varint()?);
        let own_at = at.wrapping_add(bytes.varint()?);
        one(bytes, own, own_at)
    })
}

fn labels(bytes: &mut Bytes<'_>) -> Result<Labels, Malformed> {
    let mut pairs = Vec::new();
    for _ in 0..bytes.count()? {
        pairs.push((bytes.text()?, bytes.text()?));
    }
    Ok(Labels::from_pairs(pairs))
}

fn metadata(bytes: &mut Bytes<'_>) -> Result<(u64, Metadata), Malformed> {
    let series = bytes.uvarint()?;
    let kind = match bytes.u8()? {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    };
    let mut metadata = Metadata { kind, unit: String::new(), help: String::new() };
    for _ in 0..bytes.count()? {
        match (bytes.text()?, bytes.text()?) {
            ("UNIT", text) => text.clone_into(&mut metadata.unit),
            ("HELP", text) => text.clone_into(&mut metadata.help),
            _ => {}
        }
    }
    Ok((series, metadata))
}

fn histogram(
    bytes: &mut Bytes<'_>,
    is_float: bool,
    has_bounds: bool,
) -> Result<Histogram, Malformed> {
    let hint = match bytes.u8()? {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    let schema = i32::try_from(bytes.varint()?);
    let schema = schema.map_err(|_| Malformed("holds an impossible schema"))?;
    let zero_threshold = bytes.f64()?;
    let number = |bytes: &mut Bytes<'_>| {
        if is_float { bytes.f64() } else { bytes.uvarint().map(|count| count as f64) }
    };
    let (zero_count, count, sum) = (number(bytes)?, number(bytes)?, bytes.f64()?);
    let (positive, negative) = (spans(bytes)?, spans(bytes)?);
    let (positive_counts, negative_counts) = (counts(bytes, is_float)?, counts(bytes, is_float)?);
    let mut custom_values = Vec::new();
    if has_bounds {
        for _ in 0..bytes.count()? {
            custom_values.push(bytes.f64()?);
        }
    }
    let wrong = Malformed("holds buckets that do not fit their spans");
    Ok(Histogram {
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive: Buckets::from_spans(positive, positive_counts).ok_or(wrong)?,
        negative: Buckets::from_spans(negative, negative_counts).ok_or(wrong)?,
        custom_values,
        hint,
    })
}

fn spans(bytes: &mut Bytes<'_>) -> Result<Vec<Span>, Malformed> {
    let mut spans = Vec::new();
    for _ in 0..bytes.count()? {
        let wrong = Malformed("holds an impossible span");
        let offset = i32::try_from(bytes.varint()?).map_err(|_| wrong)?;
        let length = u32::try_from(bytes.uvarint()?).map_err(|_| wrong)?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

/// Counts themselves; whole numbers are written as differences to their neighbours.
fn counts(bytes: &mut Bytes<'_>, is_float: bool) -> Result<Vec<f64>, Malformed> {
    let (mut counts, mut last) = (Vec::new(), 0_i64);
    for _ in 0..bytes.count()? {
        if is_float {
            counts.push(bytes.f64()?);
        } else {
            last = last.wrapping_add(bytes.varint()?);
            counts.push(last as f64);
        }
    }
    Ok(counts)
}
