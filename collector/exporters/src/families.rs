//! Collects values into families by name, in the order in which names first appear.
//!
//! Place in the flow: every map function fills one [`Families`]; `collect` hands out its list.
//!
//! Invariants: one family per name; no two samples of a family carry the same labels (the second is
//! dropped, since a duplicate would poison the whole scrape).
//!
//! Not here: names.

use std::collections::{HashMap, HashSet};

use model::exporter::FamilySample;
use model::{Family, MetricKind};

/// Families under construction.
#[derive(Debug, Default)]
pub(crate) struct Families {
    list: Vec<Family>,
    index_by_name: HashMap<String, usize>,
    seen: HashSet<(usize, Vec<(String, String)>)>,
}

impl Families {
    pub(crate) fn new() -> Families {
        Families::default()
    }

    fn index_of(&mut self, name: &str, kind: MetricKind, help: &str) -> usize {
        if let Some(&index) = self.index_by_name.get(name) {
            return index;
        }
        self.list.push(Family::new(name, kind, help));
        self.index_by_name.insert(name.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }

    /// Adds a counter's value.
    pub(crate) fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add((name, MetricKind::Counter, help), labels, value);
    }

    /// Adds a gauge's value.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add((name, MetricKind::Gauge, help), labels, value);
    }

    /// Adds a value of the family described by name, kind and help.
    pub(crate) fn add(
        &mut self,
        (name, kind, help): (&str, MetricKind, &str),
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.add_with_suffix((name, kind, help), "", labels, value);
    }

    /// Adds a `_sum` or `_count`, or a quantile of a summary.
    pub(crate) fn add_with_suffix(
        &mut self,
        (name, kind, help): (&str, MetricKind, &str),
        suffix: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let index = self.index_of(name, kind, help);
        let labels: Vec<(String, String)> =
            labels.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let mut key = labels.clone();
        key.sort();
        key.push(("suffix".to_owned(), suffix.to_owned()));
        if self.seen.insert((index, key)) {
            self.list[index].samples.push(FamilySample { suffix, labels, value });
        }
    }

    /// The finished list.
    pub(crate) fn into_list(self) -> Vec<Family> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_sample_with_the_same_labels_is_dropped() {
        let mut families = Families::new();
        families.gauge("a", "A.", &[("x", "1"), ("y", "2")], 1.0);
        families.gauge("a", "A.", &[("y", "2"), ("x", "1")], 2.0);
        families.gauge("a", "A.", &[("x", "2")], 3.0);
        let list = families.into_list();
        let values: Vec<f64> = list[0].samples.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [1.0, 3.0]);
    }
}
