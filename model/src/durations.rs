//! How long things took, counted: a histogram with fixed bounds, from a millisecond to two minutes.
//!
//! Place in the flow: rooms that serve somebody add to **`Durations`** → a family of metrics.
//!
//! Not here: measuring, and the names of the families.

use std::time::Duration;

use crate::exporter::{Family, FamilySample};

/// The bounds: three to ten times as much as the one before, up to the longest a query may take.
const BOUNDS_MS: [u64; 9] = [1, 10, 100, 300, 1_000, 3_000, 10_000, 30_000, 120_000];

/// How long things took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many took no longer than each bound.
    within: [u64; BOUNDS_MS.len()],
    count: u64,
    sum: Duration,
}

impl Durations {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        for (within, bound_ms) in self.within.iter_mut().zip(BOUNDS_MS) {
            *within += u64::from(took <= Duration::from_millis(bound_ms));
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds them, in seconds, to a family of the kind histogram.
    pub fn show(&self, family: &mut Family, labels: &[(&str, &str)]) {
        let bounds = BOUNDS_MS.iter().map(|bound_ms| (*bound_ms as f64 / 1000.0).to_string());
        let bounds = bounds.chain(std::iter::once("+Inf".to_owned()));
        for (bound, within) in bounds.zip(self.within.iter().chain([&self.count])) {
            let labels = [labels, &[("le", &bound)]].concat();
            family.samples.push(FamilySample::new("_bucket", &labels, *within as f64));
        }
        family.samples.push(FamilySample::new("_sum", labels, self.sum.as_secs_f64()));
        family.samples.push(FamilySample::new("_count", labels, self.count as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporter::MetricKind;

    #[test]
    fn each_is_within_its_bound_and_all_wider_ones() {
        let mut durations = Durations::default();
        for ms in [1, 2, 200_000] {
            durations.add(Duration::from_millis(ms));
        }
        let mut family = Family::new("took_seconds", MetricKind::Histogram, "");
        durations.show(&mut family, &[("what", "it")]);
        let label = |sample: &FamilySample, name: &str| {
            let found = sample.labels.iter().find(|(own, _)| own == name);
            found.map(|(_, text)| text.clone()).unwrap_or_default()
        };
        let shown: Vec<_> = family.samples.iter().map(|s| (label(s, "le"), s.value)).collect();
        let expected = [
            ("0.001", 1.0),
            ("0.01", 2.0),
            ("0.1", 2.0),
            ("0.3", 2.0),
            ("1", 2.0),
            ("3", 2.0),
            ("10", 2.0),
            ("30", 2.0),
            ("120", 2.0),
            ("+Inf", 3.0),
            ("", 200.003),
            ("", 3.0),
        ];
        assert_eq!(shown, expected.map(|(bound, value)| (bound.to_owned(), value)));
        assert!(family.samples.iter().all(|sample| label(sample, "what") == "it"));
    }
}
