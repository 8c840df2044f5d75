//! What a store holds, as plain maps.
//!
//! Place in the flow: after each restart the ledger asks **`held`** for everything there is and
//! compares.
//!
//! Histograms are told apart by a fingerprint of all their bits, so that a map of them stays small.
//!
//! Invariant: reading is strict: a series that was never sent, two rows at one instant and a row out
//! of order are errors here already.
//!
//! Not here: what ought to be there (`ledger`).

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};
use model::append::{BatchExemplar, Metadata, SeriesIx};
use model::exporter::MetricKind;
use model::histogram::{Buckets, CUSTOM_SCHEMA, ResetHint};
use model::sample::STALE_NAN_BITS;
use model::{Histogram, Labels, MatchOp, Matcher, TimeRange, TimestampMs};
use storage::Store;
use xxhash_rust::xxh3::Xxh3Default;

/// What stands at one instant of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A number, by its bits.
    Number(u64),
    /// A native histogram, by its fingerprint.
    Histogram(u64),
}

/// Everything a store holds. Series by number, then by instant.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Numbers and histograms.
    pub series: BTreeMap<u64, BTreeMap<i64, Held>>,
    /// Start timestamps.
    pub starts: BTreeMap<u64, BTreeMap<i64, i64>>,
    /// Exemplars: each is known by its series and instant.
    pub exemplars: BTreeMap<u64, Vec<i64>>,
    /// What is known of families, the newest word first.
    pub families: BTreeMap<String, Vec<Metadata>>,
    /// What reading warned of.
    pub warnings: Vec<String>,
}

/// The labels of a series by number.
pub fn labels(number: u64) -> Labels {
    let parity = if number.is_multiple_of(2) { "even" } else { "odd" };
    let number = number.to_string();
    Labels::from_pairs([("__name__", "metric"), ("number", &number), ("parity", parity)])
}

/// One histogram of many shapes: every schema, custom bounds, gauges, the stale marker, sums of any
/// bits, counts beyond what an f64 holds exactly.
pub fn histogram(shape: u64) -> Histogram {
    let counts: Vec<f64> =
        (0..shape % 7).map(|bucket| (shape % 997 * 31 % (bucket + 5)) as f64).collect();
    let own = Histogram {
        count: counts.iter().sum(),
        sum: f64::from_bits(shape.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        positive: Buckets::dense((shape % 5) as i32, counts.clone()),
        hint: [ResetHint::Unknown, ResetHint::NotReset, ResetHint::Reset, ResetHint::Gauge]
            [(shape % 4) as usize],
        ..Histogram::default()
    };
    match shape % 6 {
        0 => Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() },
        1 => own.scaled(0.1),
        2 => Histogram {
            schema: CUSTOM_SCHEMA,
            custom_values: (0..10).map(|bound| f64::from(bound) * 0.25).collect(),
            ..own
        },
        3 => Histogram { count: 9e15, zero_count: (1u64 << 53) as f64, ..own },
        _ => Histogram {
            schema: (shape % 13) as i32 - 4,
            zero_threshold: 1e-9,
            negative: Buckets::dense(-3, counts),
            ..own
        },
    }
}

/// A number that stands for all bits of a histogram.
pub fn fingerprint(own: &Histogram) -> u64 {
    let mut hash = Xxh3Default::new();
    let mut number = |bits: u64| hash.update(&bits.to_le_bytes());
    number(own.schema as u64);
    number(own.hint as u64);
    for value in [own.zero_threshold, own.zero_count, own.count, own.sum] {
        number(value.to_bits());
    }
    for value in &own.custom_values {
        number(value.to_bits());
    }
    for side in [&own.positive, &own.negative] {
        for span in side.spans() {
            number(u64::from(span.offset as u32) << 32 | u64::from(span.length));
        }
        side.iter().for_each(|(_, count)| number(count.to_bits()));
    }
    hash.digest()
}

/// The start timestamp that is sent with a sample; some series have none.
pub fn start_of(number: u64, at_ms: i64) -> Option<i64> {
    number.is_multiple_of(3).then(|| at_ms / 3_600_000 * 3_600_000 - 7)
}

/// The exemplar of a series at an instant.
pub fn exemplar(number: u64, series: SeriesIx, at_ms: i64) -> BatchExemplar {
    let labels = Labels::from_pairs([("trace_id", format!("{number}-{at_ms}").as_str())]);
    BatchExemplar { series, at: TimestampMs(at_ms), value: exemplar_value(at_ms), labels }
}

fn exemplar_value(at_ms: i64) -> f64 {
    at_ms as f64 / 1e17
}

/// What is told of a family.
pub fn description(word: u64) -> Metadata {
    let help = format!("Word {word} on this family.");
    Metadata { kind: MetricKind::Gauge, unit: String::new(), help }
}

/// Everything a store holds.
pub fn content(store: &Store) -> Result<Content, String> {
    let text = |error: storage::Error| format!("can't read: {error}");
    let everything = Matcher::new("__name__", MatchOp::NotEqual, "").map_err(|e| e.to_string())?;
    let entries = store.series(&[everything], TimeRange::ALL, 0).map_err(text)?;
    let mut numbers = Vec::with_capacity(entries.len());
    for entry in &entries {
        let number = entry.labels.get("number").and_then(|number| number.parse().ok());
        let number = number.filter(|number| labels(*number) == entry.labels);
        numbers.push(number.ok_or_else(|| format!("series {} was never sent", entry.labels))?);
    }
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let mut content = Content::default();
    let mut scan = store.scan(&ids, TimeRange::ALL).map_err(text)?;
    for batch in scan.by_ref() {
        let batch = batch.map_err(text)?;
        let positions = batch.column(0).as_primitive::<UInt32Type>().values();
        let instants = batch.column(1).as_primitive::<Int64Type>().values();
        let values = batch.column(2).as_primitive::<Float64Type>().values();
        for ((position, at_ms), value) in positions.iter().zip(instants).zip(values) {
            let series = content.series.entry(numbers[*position as usize]).or_default();
            if series.last_key_value().is_some_and(|last| last.0 >= at_ms) {
                return Err(format!("a row at {at_ms} of series {position} is out of order"));
            }
            series.insert(*at_ms, Held::Number(value.to_bits()));
        }
    }
    content.warnings = scan.warnings().to_vec();
    let mut scan = store.beside(&ids, TimeRange::ALL).map_err(text)?;
    for beside in scan.by_ref() {
        let beside = beside.map_err(text)?;
        let number = numbers[beside.position];
        let series = content.series.entry(number).or_default();
        for (at, histogram) in &beside.histograms {
            // Over a number, too: that one belongs to a write that failed.
            series.insert(at.0, Held::Histogram(fingerprint(histogram)));
        }
        let starts = beside.starts.iter().map(|(at, start)| (at.0, start.0));
        content.starts.entry(number).or_default().extend(starts);
    }
    content.warnings.extend_from_slice(scan.warnings());
    for own in store.exemplars(&[Vec::new()], TimeRange::ALL).map_err(text)? {
        let number: u64 =
            own.labels.get("number").and_then(|number| number.parse().ok()).unwrap_or(u64::MAX);
        let mut instants = Vec::new();
        for one in own.exemplars {
            let sent = exemplar(number, SeriesIx(0), one.at.0);
            if (sent.labels, sent.value.to_bits()) != (one.labels.clone(), one.value.to_bits()) {
                return Err(format!("exemplar {one:?} of series {number} was never sent"));
            }
            instants.push(one.at.0);
        }
        content.exemplars.insert(number, instants);
    }
    content.families = store.metadata(0, None).map_err(text)?.into_iter().collect();
    Ok(content)
}
