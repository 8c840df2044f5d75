//! A catalogue of parameters: what several routes share, told once.
//!
//! Place in the flow: **here** → `table` → [`super::document`]. Reading them is `api::params`.

use serde_json::Value;
use utoipa::openapi::schema::{Object, Type};

use super::shape::{self, Shape};

/// What a parameter is told as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Decimal seconds since 1970, or RFC 3339.
    Time,
    /// Decimal seconds, or `5m`.
    Duration,
    /// A whole number within bounds.
    Whole(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// A parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether it must be there.
    pub is_required: bool,
    /// Whether it may be repeated.
    pub is_repeated: bool,
    /// Whether it is a part of the path.
    pub is_in_path: bool,
    /// For example.
    pub example: Option<&'static str>,
}

impl Parameter {
    /// A parameter that may be left out.
    pub const fn new(name: &'static str, kind: Kind, meaning: &'static str) -> Parameter {
        Parameter {
            name,
            meaning,
            kind,
            is_required: false,
            is_repeated: false,
            is_in_path: false,
            example: None,
        }
    }

    /// A part of the path.
    pub const fn path(name: &'static str, kind: Kind, meaning: &'static str) -> Parameter {
        let own = Parameter::new(name, kind, meaning);
        Parameter { is_in_path: true, is_required: true, ..own }
    }

    /// The same, and it must be there.
    pub const fn required(self) -> Parameter {
        Parameter { is_required: true, ..self }
    }

    /// The same, and it may be repeated.
    pub const fn repeated(self) -> Parameter {
        Parameter { is_repeated: true, ..self }
    }

    /// The same with an example.
    pub const fn like(self, example: &'static str) -> Parameter {
        Parameter { example: Some(example), ..self }
    }

    /// Its shape in the document.
    pub fn shape(&self) -> Shape {
        let one = self.one();
        if self.is_repeated { shape::list(one) } else { one }
    }

    fn one(&self) -> Shape {
        match self.kind {
            Kind::Text => shape::text(),
            Kind::Time => shape::pattern(TIME_PATTERN),
            Kind::Duration => shape::pattern(DURATION_PATTERN),
            Kind::Boolean => shape::boolean(),
            Kind::Choice(forms) => shape::choice(forms),
            Kind::Whole(least, most) => {
                let mut own = Object::with_type(Type::Integer);
                own.minimum = Some((least as isize).into());
                own.maximum = Some((most as isize).into());
                own.into()
            }
        }
    }

    /// Its example in the document.
    pub fn example(&self) -> Option<Value> {
        let example = Value::from(self.example?);
        Some(if self.is_repeated { Value::from(vec![example]) } else { example })
    }
}

const TIME_PATTERN: &str = r"^(-?\d{1,12}(\.\d{1,3})?|\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))$";
const DURATION_PATTERN: &str = r"^(\d{1,9}(\.\d{1,3})?|\d{1,6}(ms|s|m|h|d|w|y))$";

/// The PromQL expression.
pub const QUERY: Parameter =
    Parameter::new("query", Kind::Text, "A PromQL expression.").required().like("up");
/// When.
pub const TIME: Parameter =
    Parameter::new("time", Kind::Time, "The instant of the evaluation; now when left out.");
/// How long at most.
pub const TIMEOUT: Parameter = Parameter::new(
    "timeout",
    Kind::Duration,
    "How long the evaluation may take; never longer than the server's own limit.",
);
/// How many.
pub const LIMIT: Parameter = Parameter::new(
    "limit",
    Kind::Whole(0, 1_000_000_000),
    "Most results; 0 means all. A warning tells when there were more.",
);
/// How far a sample reaches.
pub const LOOKBACK: Parameter = Parameter::new(
    "lookback_delta",
    Kind::Duration,
    "How far back the newest sample of a series may lie.",
);
/// Figures about the query.
pub const STATS: Parameter = Parameter::new(
    "stats",
    Kind::Text,
    "Any value adds figures about the evaluation; `all` adds them for every step.",
)
.like("all");
/// From when.
pub const START: Parameter = Parameter::new("start", Kind::Time, "The first instant.");
/// To when.
pub const END: Parameter = Parameter::new("end", Kind::Time, "The last instant.");
/// How often.
pub const STEP: Parameter =
    Parameter::new("step", Kind::Duration, "Time between two steps.").required().like("15s");
/// Which series.
pub const MATCH: Parameter =
    Parameter::new("match[]", Kind::Text, "A series selector; several are joined by \"or\".")
        .repeated()
        .like("up");
