//! Rows to the series of a recording rule.
//!
//! Place in the flow: engine → **`recording::series`** → `Append`.
//!
//! Not here: stale markers (`rule`), writing (`group`).

use std::collections::HashSet;
use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{Batch, Histogram, Labels, SeriesIx, TimestampMs};

use crate::error::Error;
use crate::evaluate::Row;

/// What a rule stores.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Recorded {
    /// A number; the stale marker too, which ends histograms as well.
    Number(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

impl Recorded {
    /// Adds it to a batch.
    pub(crate) fn add_to(&self, batch: &mut Batch, series: SeriesIx, at: TimestampMs) {
        match self {
            Recorded::Number(value) => batch.sample(series, at, *value),
            Recorded::Histogram(own) => batch.histogram(series, at, Arc::clone(own)),
        }
    }
}

/// The labelled values of a rule, or why its result can't be stored.
pub(crate) fn series(
    rows: Vec<Row>,
    name: &str,
    labels: &[(String, String)],
    limit: u64,
) -> Result<Vec<(Labels, Recorded)>, Error> {
    let mut seen = HashSet::with_capacity(rows.len());
    let mut series = Vec::with_capacity(rows.len());
    for row in rows {
        let mut builder = row.labels.to_builder();
        builder.set(METRIC_NAME, name);
        for (label, value) in labels {
            builder.set(label, value);
        }
        let labels = builder.build();
        if !seen.insert(labels.clone()) {
            let text = "vector contains metrics with the same labelset after applying rule labels";
            return Err(Error::Rule(text.to_owned()));
        }
        let recorded = row.histogram.map_or(Recorded::Number(row.value), Recorded::Histogram);
        series.push((labels, recorded));
    }
    if limit > 0 && series.len() as u64 > limit {
        return Err(Error::Rule(format!("exceeded limit of {limit} with {} series", series.len())));
    }
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, &str)], value: f64) -> Row {
        Row::number(Labels::from_pairs(pairs.iter().copied()), value)
    }

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_rule_names_and_labels_its_series() {
        let rows = vec![row(&[("__name__", "x"), ("a", "1"), ("b", "2")], 5.0)];
        let made = series(rows, "r", &labels(&[("a", "9"), ("b", "")]), 0).expect("is fine");
        assert_eq!(made[0].0.to_string(), "r{a=\"9\"}");
        let own = Arc::new(Histogram { count: 2.0, ..Histogram::default() });
        let rows = vec![Row { histogram: Some(Arc::clone(&own)), ..row(&[("a", "1")], 0.0) }];
        let made = series(rows, "r", &[], 0).expect("is fine");
        assert_eq!(made[0].1, Recorded::Histogram(own));
        let rows = vec![row(&[("a", "1")], 1.0), row(&[("a", "2")], 1.0)];
        let doubled = series(rows.clone(), "r", &labels(&[("a", "")]), 0).expect_err("doubled");
        assert!(doubled.to_string().contains("same labelset after applying rule labels"));
        let many = series(rows.clone(), "r", &[], 1).expect_err("too many");
        assert_eq!(many.to_string(), "exceeded limit of 1 with 2 series");
        assert_eq!(series(rows, "r", &[], 2).map(|series| series.len()), Ok(2));
    }
}
