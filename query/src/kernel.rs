//! Kernels: plain functions over the samples of one series, one output per step.
//!
//! Place in the flow: the leaf and subqueries bring timestamps and values → **`kernel`** → a row of
//! a series block.
//!
//! Invariants: timestamps ascend; stale markers were removed before a range kernel sees them; a
//! kernel goes about once through its series, however long the windows are. One that can't looks at
//! its query's ledger now and then, and stops when the query is over.
//!
//! Not here: Arrow, DataFusion, labels, annotations.

use std::sync::Arc;

use model::Histogram;

use crate::ledger::Pace;

/// Windows over a series, and folds that slide with them.
pub mod window;
/// What is asked of all values of a series at once.
pub mod finite;
/// The newest sample of an instant selector.
pub mod lookback;
/// What rate-like functions share: extrapolation, resets, changes.
pub mod counter;
/// `anchored` and `smoothed` windows.
pub mod extended;
/// Sums and averages.
pub mod sums;
/// Variances and standard deviations.
pub mod spread;
/// Smallest and largest values.
pub mod extrema;
/// Quantiles and medians.
pub mod order;
/// Straight lines.
pub mod regression;
/// Double exponential smoothing.
pub mod smoothing;
/// Classic histograms: quantile and fraction from cumulative buckets.
pub mod histogram;

pub use window::Window;

/// The samples of one series.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// Instants in milliseconds, ascending.
    pub ts: &'a [i64],
    /// Values, as many as instants.
    pub values: &'a [f64],
}

/// The outputs of one series: a value per step, where there is one.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// One value per step; meaningless where `valid` is false.
    pub values: Vec<f64>,
    /// Whether the step has a value.
    pub valid: Vec<bool>,
    /// The steps that have a histogram instead, ascending.
    pub histograms: Vec<(usize, Arc<Histogram>)>,
}

/// What a series has at a step.
#[derive(Debug, Clone)]
pub enum Element {
    /// A number.
    Float(f64),
    /// A distribution.
    Histogram(Arc<Histogram>),
}

impl Element {
    /// As annotations call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Element::Float(_) => "float",
            Element::Histogram(_) => "histogram",
        }
    }
}

impl Row {
    /// A row without any value.
    pub fn new(steps: usize) -> Row {
        Row { values: vec![0.0; steps], valid: vec![false; steps], histograms: Vec::new() }
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.valid.fill(false);
        self.histograms.clear();
    }

    /// Gives a step its value.
    pub fn set(&mut self, step: usize, value: f64) {
        self.values[step] = value;
        self.valid[step] = true;
    }

    /// The value of a step, if it has one.
    pub fn get(&self, step: usize) -> Option<f64> {
        self.valid[step].then(|| self.values[step])
    }

    /// Gives a step what it has; steps with histograms must come in order.
    pub fn set_element(&mut self, step: usize, element: Element) {
        match element {
            Element::Float(value) => self.set(step, value),
            Element::Histogram(histogram) => self.histograms.push((step, histogram)),
        }
    }

    /// The histogram of a step, if it has one.
    pub fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        let found = self.histograms.binary_search_by_key(&step, |(own, _)| *own);
        found.ok().map(|index| &self.histograms[index].1)
    }

    /// What a step has, if anything.
    pub fn element(&self, step: usize) -> Option<Element> {
        match self.get(step) {
            Some(value) => Some(Element::Float(value)),
            None => self.histogram(step).map(|own| Element::Histogram(Arc::clone(own))),
        }
    }

    /// Takes out what a step has, if anything.
    pub fn take(&mut self, step: usize) -> Option<Element> {
        if let Some(value) = self.get(step) {
            self.valid[step] = false;
            return Some(Element::Float(value));
        }
        let found = self.histograms.binary_search_by_key(&step, |(own, _)| *own);
        found.ok().map(|index| Element::Histogram(self.histograms.remove(index).1))
    }

    /// Keeps only the steps that the function says yes to.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for (step, valid) in self.valid.iter_mut().enumerate() {
            *valid &= keep(step);
        }
        self.histograms.retain(|(step, _)| keep(*step));
    }

    /// How many steps have a value or a histogram.
    pub fn count(&self) -> usize {
        self.valid.iter().filter(|valid| **valid).count() + self.histograms.len()
    }

    /// Bytes that its histograms take.
    pub fn histogram_bytes(&self) -> usize {
        self.histograms.iter().map(|(_, own)| own.bytes()).sum()
    }

    /// Gives all steps what the first one has.
    pub fn spread_first(&mut self) {
        let (value, valid) = (self.values[0], self.valid[0]);
        self.values.fill(value);
        self.valid.fill(valid);
        if let Some((0, histogram)) = self.histograms.pop() {
            let all = (0..self.valid.len()).map(|step| (step, Arc::clone(&histogram)));
            self.histograms = all.collect();
        }
    }
}

/// When the windows of a query end, step by step.
#[derive(Debug, Clone, Copy)]
pub struct Frames<'a> {
    /// The right edge of each step's window, inside it; never falling.
    pub right_ms: &'a [i64],
    /// The evaluation time of each step (differs from the edge under `offset` and `@`).
    pub eval_ms: &'a [i64],
    /// The windows' length; the left edge is outside.
    pub range_ms: i64,
}

/// What a range kernel works on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The series.
    pub samples: Samples<'a>,
    /// Which samples lie in each step's window.
    pub windows: &'a [Window],
    /// Where the windows lie.
    pub frames: Frames<'a>,
    /// Scalar parameters, one value per step each.
    pub params: &'a [Vec<f64>],
    /// What the windows' instants say to functions that extrapolate, when that is known already.
    pub edges: Option<&'a counter::Edges>,
    /// Says when to stop early.
    pub pace: &'a Pace<'a>,
}

/// The functions that take a range vector and give one number per series and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeFunction {
    /// `rate`
    Rate,
    /// `increase`
    Increase,
    /// `delta`
    Delta,
    /// `irate`
    Irate,
    /// `idelta`
    Idelta,
    /// `changes`
    Changes,
    /// `resets`
    Resets,
    /// `deriv`
    Deriv,
    /// `predict_linear`
    PredictLinear,
    /// `double_exponential_smoothing`
    DoubleExponentialSmoothing,
    /// `sum_over_time`
    Sum,
    /// `avg_over_time`
    Avg,
    /// `min_over_time`
    Min,
    /// `max_over_time`
    Max,
    /// `count_over_time`
    Count,
    /// `present_over_time`
    Present,
    /// `first_over_time`
    First,
    /// `last_over_time`
    Last,
    /// `stddev_over_time`
    Stddev,
    /// `stdvar_over_time`
    Stdvar,
    /// `quantile_over_time`
    Quantile,
    /// `mad_over_time`
    Mad,
    /// `ts_of_first_over_time`
    TsOfFirst,
    /// `ts_of_last_over_time`
    TsOfLast,
    /// `ts_of_min_over_time`
    TsOfMin,
    /// `ts_of_max_over_time`
    TsOfMax,
}

/// Every range function with its name.
const NAMES: &[(RangeFunction, &str)] = &[
    (RangeFunction::Rate, "rate"),
    (RangeFunction::Increase, "increase"),
    (RangeFunction::Delta, "delta"),
    (RangeFunction::Irate, "irate"),
    (RangeFunction::Idelta, "idelta"),
    (RangeFunction::Changes, "changes"),
    (RangeFunction::Resets, "resets"),
    (RangeFunction::Deriv, "deriv"),
    (RangeFunction::PredictLinear, "predict_linear"),
    (RangeFunction::DoubleExponentialSmoothing, "double_exponential_smoothing"),
    (RangeFunction::Sum, "sum_over_time"),
    (RangeFunction::Avg, "avg_over_time"),
    (RangeFunction::Min, "min_over_time"),
    (RangeFunction::Max, "max_over_time"),
    (RangeFunction::Count, "count_over_time"),
    (RangeFunction::Present, "present_over_time"),
    (RangeFunction::First, "first_over_time"),
    (RangeFunction::Last, "last_over_time"),
    (RangeFunction::Stddev, "stddev_over_time"),
    (RangeFunction::Stdvar, "stdvar_over_time"),
    (RangeFunction::Quantile, "quantile_over_time"),
    (RangeFunction::Mad, "mad_over_time"),
    (RangeFunction::TsOfFirst, "ts_of_first_over_time"),
    (RangeFunction::TsOfLast, "ts_of_last_over_time"),
    (RangeFunction::TsOfMin, "ts_of_min_over_time"),
    (RangeFunction::TsOfMax, "ts_of_max_over_time"),
];

impl RangeFunction {
    /// The function of a name.
    pub fn from_name(name: &str) -> Option<RangeFunction> {
        NAMES.iter().find(|(_, own)| *own == name).map(|(function, _)| *function)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(function, _)| *function == self).map_or("", |(_, name)| name)
    }

    /// Whether the result still is the metric that went in.
    pub fn keeps_name(self) -> bool {
        matches!(self, RangeFunction::First | RangeFunction::Last)
    }

    /// Whether values play no part in it.
    pub fn reads_instants_only(self) -> bool {
        matches!(
            self,
            RangeFunction::Count
                | RangeFunction::Present
                | RangeFunction::TsOfFirst
                | RangeFunction::TsOfLast
        )
    }

    /// Whether it goes through a series once, or about once, however long the windows are.
    pub fn goes_once(self) -> bool {
        !matches!(
            self,
            RangeFunction::Quantile
                | RangeFunction::Mad
                | RangeFunction::DoubleExponentialSmoothing
                | RangeFunction::Deriv
                | RangeFunction::PredictLinear
        )
    }

    /// Whether equal windows at different evaluation times may give different results.
    pub fn depends_on_eval_time(self) -> bool {
        self == RangeFunction::PredictLinear
    }

    /// How it extrapolates, if it does.
    pub fn extrapolates(self) -> Option<counter::Kind> {
        match self {
            RangeFunction::Rate => Some(counter::Kind::Rate),
            RangeFunction::Increase => Some(counter::Kind::Increase),
            RangeFunction::Delta => Some(counter::Kind::Delta),
            _ => None,
        }
    }

    /// Evaluates the function at every step of one series.
    pub fn evaluate(self, input: &Input, row: &mut Row) {
        match self {
            RangeFunction::Rate => counter::extrapolated(input, counter::Kind::Rate, row),
            RangeFunction::Increase => counter::extrapolated(input, counter::Kind::Increase, row),
            RangeFunction::Delta => counter::extrapolated(input, counter::Kind::Delta, row),
            RangeFunction::Irate => counter::last_two(input, true, row),
            RangeFunction::Idelta => counter::last_two(input, false, row),
            RangeFunction::Changes => counter::tally(input, counter::is_change, row),
            RangeFunction::Resets => counter::tally(input, counter::is_reset, row),
            RangeFunction::Deriv => regression::deriv(input, row),
            RangeFunction::PredictLinear => regression::predict_linear(input, row),
            RangeFunction::DoubleExponentialSmoothing => smoothing::smooth(input, row),
            RangeFunction::Sum => sums::sum(input, row),
            RangeFunction::Avg => sums::avg(input, row),
            RangeFunction::Stddev => spread::variance(input, true, row),
            RangeFunction::Stdvar => spread::variance(input, false, row),
            RangeFunction::Min => extrema::extremum(input, extrema::Which::Min, row),
            RangeFunction::Max => extrema::extremum(input, extrema::Which::Max, row),
            RangeFunction::TsOfMin => extrema::extremum(input, extrema::Which::TsOfMin, row),
            RangeFunction::TsOfMax => extrema::extremum(input, extrema::Which::TsOfMax, row),
            RangeFunction::Quantile => order::quantile_over_time(input, row),
            RangeFunction::Mad => order::mad_over_time(input, row),
            RangeFunction::Count => per_window(input, row, |window, _| window.len() as f64),
            RangeFunction::Present => per_window(input, row, |_, _| 1.0),
            RangeFunction::First => per_window(input, row, |window, own| own.values[window.lo]),
            RangeFunction::Last => per_window(input, row, |window, own| own.values[window.hi - 1]),
            RangeFunction::TsOfFirst => {
                per_window(input, row, |window, own| own.ts[window.lo] as f64 / 1000.0);
            }
            RangeFunction::TsOfLast => {
                per_window(input, row, |window, own| own.ts[window.hi - 1] as f64 / 1000.0);
            }
        }
    }
}

/// One output for every window that holds a sample.
fn per_window(input: &Input, row: &mut Row, output: impl Fn(Window, &Samples) -> f64) {
    for (step, window) in input.windows.iter().enumerate() {
        if !window.is_empty() {
            row.set(step, output(*window, &input.samples));
        }
    }
}

#[cfg(test)]
mod tests;
