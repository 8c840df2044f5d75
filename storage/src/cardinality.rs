//! Where series come from: the metrics, labels and pairs that have the most.
//!
//! Place in the flow: [`crate::Store::cardinality`] → **`Cardinality`** → status page, HTTP status.
//!
//! Everything is read off the dictionary of label pairs and their postings; no series is visited.
//!
//! Not here: figures of one number each (`stats`).

use std::collections::HashMap;

use model::labels::METRIC_NAME;

use crate::index::{BlockIndex, Index};
use crate::shared::Shared;
use crate::source::index_or_set_aside;

/// A name and a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How much.
    pub count: u64,
}

/// The largest of each kind, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cardinality {
    /// Series the store knows.
    pub series: u64,
    /// Distinct label pairs.
    pub label_pairs: u64,
    /// Distinct label names.
    pub label_names: u64,
    /// Series of each metric.
    pub series_by_metric: Vec<Count>,
    /// Distinct values of each label.
    pub values_by_label: Vec<Count>,
    /// Bytes of all values of each label, counted once for every series that carries them.
    pub value_bytes_by_label: Vec<Count>,
    /// Series of each pair, written `name=value`.
    pub series_by_pair: Vec<Count>,
    /// Bytes in blocks of each metric, by its share of the samples of each block.
    pub block_bytes_by_metric: Vec<Count>,
}

/// Keeps the largest.
struct Top {
    counts: Vec<(u64, u32)>,
    limit: usize,
}

impl Top {
    fn new(limit: usize) -> Top {
        Top { counts: Vec::new(), limit }
    }

    fn add(&mut self, count: u64, number: u32) {
        self.counts.push((count, number));
        if self.counts.len() >= 2 * self.limit.max(512) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.counts.sort_unstable_by_key(|(count, number)| (std::cmp::Reverse(*count), *number));
        self.counts.truncate(self.limit);
    }

    fn named(mut self, name: impl Fn(u32) -> String) -> Vec<Count> {
        self.cut();
        self.counts
            .iter()
            .map(|(count, number)| Count { name: name(*number), count: *count })
            .collect()
    }
}

/// Looks at everything the store knows; at most `limit` of each kind.
pub fn cardinality(shared: &Shared, limit: usize) -> Cardinality {
    let mut found = {
        let head = shared.head();
        let mut found = in_index(head.registry.index(), limit);
        found.series = head.registry.len() as u64;
        found
    };
    found.block_bytes_by_metric = block_bytes(shared, limit);
    found
}

fn in_index(index: &Index, limit: usize) -> Cardinality {
    let pairs = index.pairs();
    let (mut by_metric, mut by_pair) = (Top::new(limit), Top::new(limit));
    let (mut values, mut bytes) = (Top::new(limit), Top::new(limit));
    for (number, label) in (0u32..).zip(pairs.labels()) {
        let mut value_bytes = 0;
        for pair in &label.pairs {
            let series = index.postings(*pair).len();
            value_bytes += pairs.value(*pair).len() as u64 * series;
            by_pair.add(series, *pair);
            if *label.name == *METRIC_NAME {
                by_metric.add(series, *pair);
            }
        }
        values.add(label.pairs.len() as u64, number);
        bytes.add(value_bytes, number);
    }
    let label_name = |number: u32| pairs.labels()[number as usize].name.to_string();
    Cardinality {
        label_pairs: pairs.len() as u64,
        label_names: pairs.labels().len() as u64,
        series_by_metric: by_metric.named(|pair| pairs.value(pair).to_owned()),
        values_by_label: values.named(label_name),
        value_bytes_by_label: bytes.named(label_name),
        series_by_pair: by_pair.named(|pair| format!("{}={}", pairs.name(pair), pairs.value(pair))),
        ..Cardinality::default()
    }
}

fn block_bytes(shared: &Shared, limit: usize) -> Vec<Count> {
    let mut bytes: HashMap<String, f64> = HashMap::new();
    for block in shared.blocks().iter() {
        let Some(index) = index_or_set_aside(block, &mut Vec::new()) else { continue };
        let per_row = block.meta().size_bytes() as f64 / block.meta().rows.max(1) as f64;
        for (metric, rows) in rows_by_metric(&index) {
            *bytes.entry(metric).or_default() += rows as f64 * per_row;
        }
    }
    let mut counts: Vec<Count> =
        bytes.into_iter().map(|(name, bytes)| Count { name, count: bytes as u64 }).collect();
    counts.sort_unstable_by(|one, other| {
        other.count.cmp(&one.count).then_with(|| one.name.cmp(&other.name))
    });
    counts.truncate(limit);
    counts
}

fn rows_by_metric(index: &BlockIndex) -> Vec<(String, u64)> {
    let pairs = index.index().pairs();
    let Some(label) = pairs.label_of(METRIC_NAME) else { return Vec::new() };
    let rows = |sid: u32| index.series()[sid as usize].rows;
    let own = pairs.labels()[label as usize].pairs.iter();
    own.map(|pair| {
        let total = index.index().postings(*pair).iter().map(rows).sum();
        (pairs.value(*pair).to_owned(), total)
    })
    .collect()
}
