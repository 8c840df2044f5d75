//! The catalogue of functions: names, argument types, what they return. A catalogue may be long.
//!
//! Place in the flow: `parser` looks a name up in **`functions`**, `check` compares the arguments,
//! the engine finds what to do by the name.
//!
//! Not here: what the functions do.

use std::fmt;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// One text.
    String,
    /// One sample per series.
    Vector,
    /// Many samples per series.
    Matrix,
}

impl ValueType {
    /// As error messages call it.
    pub fn describe(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

/// One function of the language.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// As it is written.
    pub name: &'static str,
    /// The types of the arguments; the last one repeats when there may be more.
    pub args: &'static [ValueType],
    /// How many of `args`, from the end, may be left out.
    pub optional_count: usize,
    /// Most arguments; `None` when there is no limit.
    pub args_max: Option<usize>,
    /// The type of the result.
    pub returns: ValueType,
    /// Whether it needs the experimental functions switched on.
    pub is_experimental: bool,
}

use ValueType::{Matrix as M, Scalar as S, String as T, Vector as V};

const fn plain(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    let args_max = Some(args.len());
    Function { name, args, optional_count: 0, args_max, returns, is_experimental: false }
}

const fn experimental(function: Function) -> Function {
    Function { is_experimental: true, ..function }
}

const fn optional(function: Function, optional_count: usize) -> Function {
    Function { optional_count, ..function }
}

const fn up_to(function: Function, args_max: Option<usize>) -> Function {
    Function { args_max, ..function }
}

/// Every function, sorted by name.
pub const FUNCTIONS: &[Function] = &[
    plain("abs", &[V], V),
    plain("absent", &[V], V),
    plain("absent_over_time", &[M], V),
    plain("acos", &[V], V),
    plain("acosh", &[V], V),
    plain("asin", &[V], V),
    plain("asinh", &[V], V),
    plain("atan", &[V], V),
    plain("atanh", &[V], V),
    plain("avg_over_time", &[M], V),
    plain("ceil", &[V], V),
    plain("changes", &[M], V),
    plain("clamp", &[V, S, S], V),
    plain("clamp_max", &[V, S], V),
    plain("clamp_min", &[V, S], V),
    plain("cos", &[V], V),
    plain("cosh", &[V], V),
    plain("count_over_time", &[M], V),
    optional(plain("day_of_month", &[V], V), 1),
    optional(plain("day_of_week", &[V], V), 1),
    optional(plain("day_of_year", &[V], V), 1),
    optional(plain("days_in_month", &[V], V), 1),
    plain("deg", &[V], V),
    plain("delta", &[M], V),
    plain("deriv", &[M], V),
    experimental(plain("double_exponential_smoothing", &[M, S, S], V)),
    experimental(plain("end", &[], S)),
    plain("exp", &[V], V),
    plain("first_over_time", &[M], V),
    plain("floor", &[V], V),
    plain("histogram_avg", &[V], V),
    plain("histogram_count", &[V], V),
    plain("histogram_fraction", &[S, S, V], V),
    plain("histogram_quantile", &[S, V], V),
    experimental(up_to(plain("histogram_quantiles", &[V, T, S], V), Some(12))),
    plain("histogram_stddev", &[V], V),
    plain("histogram_stdvar", &[V], V),
    plain("histogram_sum", &[V], V),
    optional(plain("hour", &[V], V), 1),
    plain("idelta", &[M], V),
    plain("increase", &[M], V),
    experimental(optional(plain("info", &[V, V], V), 1)),
    plain("irate", &[M], V),
    optional(up_to(plain("label_join", &[V, T, T, T], V), None), 1),
    plain("label_replace", &[V, T, T, T, T], V),
    plain("last_over_time", &[M], V),
    plain("ln", &[V], V),
    plain("log10", &[V], V),
    plain("log2", &[V], V),
    experimental(plain("mad_over_time", &[M], V)),
    experimental(plain("max_of", &[S, S], S)),
    plain("max_over_time", &[M], V),
    experimental(plain("min_of", &[S, S], S)),
    plain("min_over_time", &[M], V),
    optional(plain("minute", &[V], V), 1),
    optional(plain("month", &[V], V), 1),
    plain("pi", &[], S),
    plain("predict_linear", &[M, S], V),
    plain("present_over_time", &[M], V),
    plain("quantile_over_time", &[S, M], V),
    plain("rad", &[V], V),
    experimental(plain("range", &[], S)),
    plain("rate", &[M], V),
    plain("resets", &[M], V),
    optional(plain("round", &[V, S], V), 1),
    plain("scalar", &[V], S),
    plain("sgn", &[V], V),
    plain("sin", &[V], V),
    plain("sinh", &[V], V),
    plain("sort", &[V], V),
    experimental(optional(up_to(plain("sort_by_label", &[V, T], V), None), 1)),
    experimental(optional(up_to(plain("sort_by_label_desc", &[V, T], V), None), 1)),
    plain("sort_desc", &[V], V),
    plain("sqrt", &[V], V),
    experimental(plain("start", &[], S)),
    experimental(plain("start_timestamp", &[V], V)),
    plain("stddev_over_time", &[M], V),
    plain("stdvar_over_time", &[M], V),
    experimental(plain("step", &[], S)),
    plain("sum_over_time", &[M], V),
    plain("tan", &[V], V),
    plain("tanh", &[V], V),
    plain("time", &[], S),
    plain("timestamp", &[V], V),
    experimental(plain("ts_of_first_over_time", &[M], V)),
    experimental(plain("ts_of_last_over_time", &[M], V)),
    experimental(plain("ts_of_max_over_time", &[M], V)),
    experimental(plain("ts_of_min_over_time", &[M], V)),
    plain("vector", &[S], V),
    optional(plain("year", &[V], V), 1),
];

/// The function of a name, letter case as written.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .binary_search_by(|function| function.name.cmp(name))
        .ok()
        .map(|index| &FUNCTIONS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_is_sorted_and_complete() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(FUNCTIONS.iter().filter(|function| function.is_experimental).count(), 17);
        assert_eq!(find("rate").map(|function| function.args), Some(&[M][..]));
        assert!(find("Rate").is_none());
    }
}
