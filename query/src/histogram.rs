//! Native histograms in the evaluator: windows, groups and operators over them.
//!
//! Place in the flow: where a leaf, an aggregation or an operator meets histograms → **`histogram`**
//! → elements of the same blocks.
//!
//! Only series that have histograms (or start timestamps) come here; all others take the columnar
//! path. What a series gives is the same either way.
//!
//! Not here: the arithmetic (`model::histogram`), functions by name (`function::histogram`).

/// A series of numbers and histograms.
pub mod series;
/// Leaves over such series.
mod leaf;
/// Range functions over windows that hold histograms.
pub mod range;
/// `rate` and its kin.
mod rate;
/// `anchored` and `smoothed` windows.
mod extended;
/// Quantile, fraction, variance and trimming of one histogram.
pub mod shape;
/// `sum`, `avg`, `count` of histograms.
pub mod aggregate;
/// Operators between elements.
pub mod binary;
