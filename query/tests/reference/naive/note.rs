//! What is said of an answer: the notes whose condition is plain from the samples.
//!
//! Left out: notes about buckets, hints and binary operators, and where a note points to.

use promql::ast::{AggregateOp, Call};

use super::select::Window;
use super::{Element, Moment, NAME, Point};

/// How the notes begin that the reference knows of.
pub const KNOWN: [&str; 6] = [
    "metric might not be a counter, name",
    "encountered a mix of histograms and floats",
    "ignored histograms in a range",
    "ignored histogram in ",
    "sort is ineffective",
    "quantile value should be",
];

impl Moment<'_> {
    fn note(&self, text: String) {
        self.world.notes.borrow_mut().insert(text);
    }

    /// Of a function over one window.
    pub fn note_window(&self, call: &Call, window: &Window, point: Option<&Point>) {
        let name = call.function.name;
        let metric = window.labels.get(NAME).map_or("", String::as_str);
        let histograms = window.samples.iter().filter(|own| own.1.histogram().is_some()).count();
        let numbers = window.samples.len() - histograms;
        let is_mixed = histograms > 0 && numbers > 0;
        match name {
            "rate" | "increase" | "delta" | "sum_over_time" | "avg_over_time" if is_mixed => {
                self.mixed_range(metric);
            }
            "irate" | "idelta" => {
                let last_two = window.samples.iter().rev().take(2);
                let kinds: Vec<bool> = last_two.map(|own| own.1.number().is_some()).collect();
                if kinds.len() == 2 && kinds[0] != kinds[1] {
                    self.mixed_range(metric);
                }
            }
            "min_over_time"
            | "max_over_time"
            | "stddev_over_time"
            | "stdvar_over_time"
            | "quantile_over_time"
            | "mad_over_time"
            | "deriv"
            | "predict_linear"
            | "double_exponential_smoothing"
            | "ts_of_min_over_time"
            | "ts_of_max_over_time"
                if is_mixed =>
            {
                let text = "ignored histograms in a range containing both floats and histograms";
                self.note(of_metric(text, metric));
            }
            _ => {}
        }
        let ends = ["_total", "_sum", "_count", "_bucket"];
        let is_counter = ends.iter().any(|end| metric.ends_with(end));
        let is_number = matches!(point, Some(Point::Number(_)));
        if matches!(name, "rate" | "increase") && is_number && !metric.is_empty() && !is_counter {
            self.note(format!(
                "metric might not be a counter, name does not end in \
                 _total/_sum/_count/_bucket: {metric:?}"
            ));
        }
    }

    fn mixed_range(&self, metric: &str) {
        let text = "encountered a mix of histograms and floats for metric name";
        self.note(format!("{text} {metric:?}"));
    }

    /// Of an aggregation of one group.
    pub fn note_group(&self, op: AggregateOp, members: &[Element]) {
        use AggregateOp as Op;
        let has_histogram = members.iter().any(|own| own.point.histogram().is_some());
        let has_number = members.iter().any(|own| own.point.number().is_some());
        match op {
            Op::Sum | Op::Avg if has_histogram && has_number => {
                self.note("encountered a mix of histograms and floats for aggregation".to_owned());
            }
            Op::Min | Op::Max | Op::Stddev | Op::Stdvar | Op::Quantile | Op::Topk | Op::Bottomk
                if has_histogram =>
            {
                self.note(format!("ignored histogram in {} aggregation", op.name()));
            }
            _ => {}
        }
    }

    /// Of a parameter that should lie between 0 and 1.
    pub fn note_quantile(&self, phi: f64) {
        if !(0.0..=1.0).contains(&phi) {
            let phi = match phi {
                f64::INFINITY => "+Inf".to_owned(),
                f64::NEG_INFINITY => "-Inf".to_owned(),
                phi => format!("{phi}"),
            };
            self.note(format!("quantile value should be between 0 and 1, got {phi}"));
        }
    }

    /// Of a sort, which tells something of an instant only.
    pub fn note_sort(&self) {
        if self.world.end_ms - self.world.start_ms >= self.world.step_ms && self.world.step_ms > 0 {
            let text =
                "sort is ineffective for range queries since results are always ordered by labels";
            self.note(text.to_owned());
        }
    }
}

fn of_metric(text: &str, metric: &str) -> String {
    if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {metric:?}") }
}
