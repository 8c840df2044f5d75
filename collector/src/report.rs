//! The series that each scrape reports about itself: `up` and its siblings.
//!
//! Place in the flow: `pass` (counts of one page) → **`Report`** → the same batch.
//!
//! Not here: the target's labels (`target`), staleness of these series (`pass` ends them with the
//! target).

use model::Labels;
use model::labels::METRIC_NAME;

/// How many series a report can have.
pub(crate) const SERIES_MAX: usize = 8;
/// How many of them every target has.
const SERIES_ALWAYS: usize = 5;

const NAMES: [&str; SERIES_MAX] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// What one scrape says about itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Report {
    pub(crate) up: bool,
    pub(crate) duration_seconds: f64,
    pub(crate) scraped: u64,
    pub(crate) kept: u64,
    pub(crate) added: u64,
    /// Timeout, sample limit and body size, when the job wants them.
    pub(crate) extra: Option<[f64; SERIES_MAX - SERIES_ALWAYS]>,
}

impl Report {
    /// The values in the order of [`labels`].
    pub(crate) fn values(&self) -> Vec<f64> {
        let mut values = vec![
            f64::from(u8::from(self.up)),
            self.duration_seconds,
            self.scraped as f64,
            self.kept as f64,
            self.added as f64,
        ];
        values.extend(self.extra.into_iter().flatten());
        values
    }
}

/// The labels of one report series of a target.
pub(crate) fn labels(index: usize, target: &Labels) -> Labels {
    let mut builder = target.to_builder();
    builder.set(METRIC_NAME, NAMES[index]);
    builder.build()
}
