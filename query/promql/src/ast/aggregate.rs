//! Aggregations and their groups.
//!
//! Place in the flow: part of `ast`.

use super::{Expr, ValueType};

/// The aggregation operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `topk`
    Topk,
    /// `bottomk`
    Bottomk,
    /// `quantile`
    Quantile,
    /// `count_values`
    CountValues,
    /// `limitk`
    Limitk,
    /// `limit_ratio`
    LimitRatio,
}

/// Every aggregation operator with its name.
const AGGREGATES: &[(AggregateOp, &str)] = &[
    (AggregateOp::Sum, "sum"),
    (AggregateOp::Avg, "avg"),
    (AggregateOp::Min, "min"),
    (AggregateOp::Max, "max"),
    (AggregateOp::Count, "count"),
    (AggregateOp::Group, "group"),
    (AggregateOp::Stddev, "stddev"),
    (AggregateOp::Stdvar, "stdvar"),
    (AggregateOp::Topk, "topk"),
    (AggregateOp::Bottomk, "bottomk"),
    (AggregateOp::Quantile, "quantile"),
    (AggregateOp::CountValues, "count_values"),
    (AggregateOp::Limitk, "limitk"),
    (AggregateOp::LimitRatio, "limit_ratio"),
];

impl AggregateOp {
    /// The operator of a name, in any letter case.
    pub fn from_name(name: &str) -> Option<AggregateOp> {
        AGGREGATES.iter().find(|(_, own)| own.eq_ignore_ascii_case(name)).map(|(op, _)| *op)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        AGGREGATES.iter().find(|(op, _)| *op == self).map_or("", |(_, name)| name)
    }

    /// The type of its parameter; `None` when it takes none.
    pub fn parameter(self) -> Option<ValueType> {
        match self {
            AggregateOp::CountValues => Some(ValueType::String),
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Quantile
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => Some(ValueType::Scalar),
            _ => None,
        }
    }

    /// Whether it needs the experimental functions switched on.
    pub fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::Limitk | AggregateOp::LimitRatio)
    }
}

/// `by (…)` or `without (…)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    /// `true` for `without`. Neither written is `by ()`.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// The parameter of `topk`, `quantile`, `count_values` and their like.
    pub parameter: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// The groups.
    pub grouping: Grouping,
}
