//! Annotations of a query: warnings and infos with upstream's words and the place they are about.
//!
//! Place in the flow: functions and operators → **`Notes`** → `Answer::warnings`, `Answer::infos`.
//!
//! Equal texts are kept once. A note about buckets that had to be raised grows with every step.
//!
//! Not here: errors.

use std::collections::BTreeMap;
use std::sync::Mutex;

use model::histogram::Added;
use model::sample::format_value;
use promql::ast::Span;
use promql::line_and_column;

use crate::kernel::histogram::Raised;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Warning,
    Info,
}

/// Collects the notes of one query.
#[derive(Debug, Default)]
pub struct Notes {
    plain: Mutex<BTreeMap<(Level, String), usize>>,
    raised: Mutex<BTreeMap<String, RaisedNote>>,
    unplaced: Mutex<Vec<String>>,
}

/// Buckets that were raised, over all steps.
#[derive(Debug, Clone, Copy)]
struct RaisedNote {
    start_byte: usize,
    raised: Raised,
    first_ms: i64,
    last_ms: i64,
    count: usize,
}

impl Notes {
    fn add(&self, level: Level, span: Span, text: String) {
        let mut plain = self.plain.lock().unwrap_or_else(|held| held.into_inner());
        plain.entry((level, text)).or_insert(span.start_byte);
    }

    /// A quantile outside 0…1 or NaN.
    pub fn invalid_quantile(&self, span: Span, phi: f64) {
        let phi = short(phi);
        let text = format!("quantile value should be between 0 and 1, got {phi}");
        self.add(Level::Warning, span, text);
    }

    /// A ratio outside -1…1.
    pub fn invalid_ratio(&self, span: Span, ratio: f64, capped: f64) {
        let (ratio, capped) = (short(ratio), short(capped));
        let text =
            format!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}");
        self.add(Level::Warning, span, text);
    }

    /// A bucket without a usable `le`.
    pub fn bad_bucket(&self, span: Span, le: &str, metric: &str) {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {le:?}");
        self.add(Level::Warning, span, with_metric(text, metric));
    }

    /// `sort` in a range query.
    pub fn sort_without_effect(&self, span: Span) {
        let text =
            "sort is ineffective for range queries since results are always ordered by labels";
        self.add(Level::Warning, span, text.to_owned());
    }

    /// `rate` of something that is not named like a counter.
    pub fn possibly_not_a_counter(&self, span: Span, metric: &str) {
        let text =
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        self.add(Level::Info, span, format!("{text} {metric:?}"));
    }

    /// `rate` of something whose type label says that it is not a counter.
    pub fn type_is_not_a_counter(&self, span: Span, metric: &str) {
        let text = "metric might not be a counter, __type__ label is not set to \"counter\" or \
                    \"histogram\":";
        self.add(Level::Info, span, format!("{text} {metric:?}"));
    }

    /// An operator between kinds of samples it has no meaning for.
    pub fn incompatible_types(&self, span: Span, sign: &str, left: &str, right: &str) {
        let text = "incompatible sample types encountered for binary operator";
        self.add(Level::Info, span, format!("{text} {sign:?}: {left} {sign} {right}"));
    }

    /// A warning about one metric, or about none in particular when the name is empty.
    pub fn warning(&self, span: Span, text: &str, metric: &str) {
        self.add(Level::Warning, span, with_metric(text.to_owned(), metric));
    }

    /// An info about one metric, or about none in particular when the name is empty.
    pub fn info(&self, span: Span, text: &str, metric: &str) {
        self.add(Level::Info, span, with_metric(text.to_owned(), metric));
    }

    /// A histogram where only the other kind has a meaning.
    pub fn wrong_histogram_kind(&self, span: Span, wanted: &str, metric: &str) {
        let text = format!("this native histogram metric is not a {wanted}: {metric:?}");
        self.add(Level::Warning, span, text);
    }

    /// Numbers and histograms in one window.
    pub fn mixed_range(&self, span: Span, metric: &str) {
        let text = "encountered a mix of histograms and floats for metric name";
        self.add(Level::Warning, span, format!("{text} {metric:?}"));
    }

    /// Numbers and histograms in one group.
    pub fn mixed_group(&self, span: Span) {
        self.warning(span, "encountered a mix of histograms and floats for aggregation", "");
    }

    /// Exponential and custom bounds in one sum.
    pub fn mixed_bounds(&self, span: Span, metric: &str) {
        let text =
            "vector contains a mix of histograms with exponential and custom buckets schemas";
        self.warning(span, text, metric);
    }

    /// Bounds that no operator can bring together.
    pub fn incompatible_bounds(&self, span: Span, sign: &str) {
        let text = format!("incompatible bucket layout encountered for binary operator {sign}");
        self.warning(span, &text, "");
    }

    /// What came of an addition; `during` is `addition`, `subtraction` or `aggregation`.
    pub fn added(&self, span: Span, added: Added, during: &str) {
        if added.hints_collide {
            let text = format!("conflicting counter resets during histogram {during}");
            self.warning(span, &text, "");
        }
        if added.bounds_reconciled {
            let text = format!("mismatched custom buckets were reconciled during {during}");
            self.info(span, &text, "");
        }
    }

    /// An aggregation that has no meaning for histograms.
    pub fn histogram_ignored(&self, span: Span, operator: &str) {
        self.info(span, &format!("ignored histogram in {operator} aggregation"), "");
    }

    /// A function of numbers over a window that holds histograms too.
    pub fn histograms_ignored(&self, span: Span, metric: &str) {
        let text = "ignored histograms in a range containing both floats and histograms";
        self.info(span, text, metric);
    }

    /// Buckets that had to be raised at one step.
    pub fn forced_monotonicity(&self, span: Span, metric: &str, raised: Raised, at_ms: i64) {
        let mut notes = self.raised.lock().unwrap_or_else(|held| held.into_inner());
        let new = RaisedNote {
            start_byte: span.start_byte,
            raised,
            first_ms: at_ms,
            last_ms: at_ms,
            count: 0,
        };
        let note = notes.entry(metric.to_owned()).or_insert(new);
        note.raised.lowest = note.raised.lowest.min(raised.lowest);
        note.raised.highest = note.raised.highest.max(raised.highest);
        note.raised.difference = note.raised.difference.max(raised.difference);
        note.first_ms = note.first_ms.min(at_ms);
        note.last_ms = note.last_ms.max(at_ms);
        note.count += 1;
    }

    /// Something the store could not read: the answer is partial.
    pub fn partial(&self, text: String) {
        let mut unplaced = self.unplaced.lock().unwrap_or_else(|held| held.into_inner());
        if !unplaced.contains(&text) {
            unplaced.push(text);
        }
    }

    /// The warnings and the infos, rendered with their places in the query.
    pub fn render(self, query: &str) -> (Vec<String>, Vec<String>) {
        let place = |start_byte| {
            let (line, column) = line_and_column(query, start_byte);
            format!("({line}:{column})")
        };
        let mut warnings = self.unplaced.into_inner().unwrap_or_else(|held| held.into_inner());
        let mut infos = Vec::new();
        for ((level, text), start_byte) in
            self.plain.into_inner().unwrap_or_else(|held| held.into_inner())
        {
            match level {
                Level::Warning => {
                    warnings.push(format!("PromQL warning: {text} {}", place(start_byte)));
                }
                Level::Info => infos.push(format!("PromQL info: {text} {}", place(start_byte))),
            }
        }
        for (metric, note) in self.raised.into_inner().unwrap_or_else(|held| held.into_inner()) {
            infos.push(format!("{} {}", note.text(&metric), place(note.start_byte)));
        }
        (warnings, infos)
    }
}

impl RaisedNote {
    fn text(&self, metric: &str) -> String {
        let text = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity \
                    (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let Raised { lowest, highest, difference } = self.raised;
        let (lowest, highest, difference) = (short(lowest), short(highest), short(difference));
        format!(
            "{}, from buckets {lowest} to {highest}, with a max diff of {difference}, over {} \
             samples from {} to {}",
            with_metric(text.to_owned(), metric),
            self.count,
            rfc3339(self.first_ms),
            rfc3339(self.last_ms),
        )
    }
}

fn with_metric(text: String, metric: &str) -> String {
    if metric.is_empty() { text } else { format!("{text} for metric name {metric:?}") }
}

/// A number as Go's `%g` writes it: short, with an exponent below 1e-4 and from 1e6 on.
pub fn short(value: f64) -> String {
    let magnitude = value.abs();
    if value.is_finite() && magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:e}");
        if let Some((mantissa, exponent)) = text.split_once('e') {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            return format!("{mantissa}e{sign}{digits:0>2}");
        }
    }
    format_value(value)
}

fn rfc3339(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| format!("{at_ms} ms"), |at| at.to_string())
}
