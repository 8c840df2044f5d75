//! What was sent, acknowledged and deleted, and whether a store is right about it.
//!
//! Place in the flow: `story` writes down every step here; after each restart **`ledger`** compares.
//!
//! Invariants: an acknowledged sample is in the store bit for bit; the store holds nothing that was
//! never sent; what a completed deletion took does not come back.
//!
//! Not here: damage on purpose (`flips` counts what it may cost).

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};
use model::{Labels, MatchOp, Matcher, TimeRange};
use storage::Store;

/// Series by number, samples by instant, values by bits.
pub type Content = BTreeMap<u64, BTreeMap<i64, u64>>;

/// The labels of a series by number.
pub fn labels(number: u64) -> Labels {
    let parity = if number.is_multiple_of(2) { "even" } else { "odd" };
    let number = number.to_string();
    Labels::from_pairs([("__name__", "metric"), ("number", &number), ("parity", parity)])
}

/// Everything a store holds, and the warnings of reading it.
pub fn content(store: &Store) -> Result<(Content, Vec<String>), String> {
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
    let mut content = Content::new();
    let mut scan = store.scan(&ids, TimeRange::ALL).map_err(text)?;
    for batch in scan.by_ref() {
        let batch = batch.map_err(text)?;
        let positions = batch.column(0).as_primitive::<UInt32Type>().values();
        let instants = batch.column(1).as_primitive::<Int64Type>().values();
        let values = batch.column(2).as_primitive::<Float64Type>().values();
        for ((position, at_ms), value) in positions.iter().zip(instants).zip(values) {
            let series = content.entry(numbers[*position as usize]).or_default();
            if series.insert(*at_ms, value.to_bits()).is_some() {
                return Err(format!("two rows at {at_ms} of series {position}"));
            }
        }
    }
    Ok((content, scan.warnings().to_vec()))
}

/// What may stand at one instant of one series.
#[derive(Debug, Clone, Default)]
struct Place {
    acknowledged: Option<u64>,
    sent: Vec<u64>,
}

/// Everything that was sent to one store.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    places: BTreeMap<u64, BTreeMap<i64, Place>>,
    acknowledged_count: u64,
}

impl Ledger {
    /// Samples acknowledged so far, repetitions too.
    pub fn acknowledged_count(&self) -> u64 {
        self.acknowledged_count
    }

    /// The newest instant sent for a series.
    pub fn newest_ms(&self, number: u64) -> Option<i64> {
        self.places.get(&number)?.last_key_value().map(|(at_ms, _)| *at_ms)
    }

    /// A value that was acknowledged for a series, `back` samples before its newest one.
    pub fn acknowledged(&self, number: u64, back: usize) -> Option<(i64, u64)> {
        let places = self.places.get(&number)?.iter().rev();
        let mut known = places.filter_map(|(at_ms, place)| Some((*at_ms, place.acknowledged?)));
        known.nth(back)
    }

    /// A sample goes out.
    pub fn send(&mut self, number: u64, at_ms: i64, bits: u64) {
        self.places.entry(number).or_default().entry(at_ms).or_default().sent.push(bits);
    }

    /// The store says that it has a sample. An error when it took a second value for an instant.
    pub fn acknowledge(&mut self, number: u64, at_ms: i64, bits: u64) -> Result<(), String> {
        let place = self.places.entry(number).or_default().entry(at_ms).or_default();
        self.acknowledged_count += 1;
        match place.acknowledged.replace(bits) {
            Some(before) if before != bits => Err(format!(
                "series {number} at {at_ms}: {bits:016x} was accepted over {before:016x}"
            )),
            _ => Ok(()),
        }
    }

    /// Compares everything in a store.
    pub fn check(&self, store: &Store) -> Result<(), String> {
        let (found, warnings) = content(store)?;
        if !warnings.is_empty() {
            return Err(format!("warnings: {warnings:?}"));
        }
        if let Some((number, at_ms)) = self.missing(&found).first() {
            return Err(format!("series {number} at {at_ms}: acknowledged, and not there"));
        }
        self.check_known(&found)
    }

    /// Acknowledged samples that are not there.
    pub fn missing(&self, found: &Content) -> Vec<(u64, i64)> {
        let mut missing = Vec::new();
        for (number, places) in &self.places {
            let stored = found.get(number);
            for (at_ms, place) in places {
                let is_there = stored.is_some_and(|series| series.contains_key(at_ms));
                if place.acknowledged.is_some() && !is_there {
                    missing.push((*number, *at_ms));
                }
            }
        }
        missing
    }

    /// Whether what is there was sent, and is what was acknowledged.
    pub fn check_known(&self, found: &Content) -> Result<(), String> {
        for (number, series) in found {
            for (at_ms, bits) in series {
                let place = self.places.get(number).and_then(|places| places.get(at_ms));
                let place = place.ok_or_else(|| {
                    format!("series {number} at {at_ms}: {bits:016x} was never sent")
                })?;
                match place.acknowledged {
                    Some(acknowledged) if acknowledged != *bits => {
                        return Err(format!(
                            "series {number} at {at_ms}: {bits:016x} in place of the acknowledged {acknowledged:016x}"
                        ));
                    }
                    None if !place.sent.contains(bits) => {
                        return Err(format!(
                            "series {number} at {at_ms}: {bits:016x} was never sent"
                        ));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
