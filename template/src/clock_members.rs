//! The methods of Go's `time.Time` and `time.Duration` that templates use.
//!
//! Place in the flow: `.StartsAt.Format "…"` → executor → **`clock_members`**.
//!
//! Not here: layouts (`clock_text`).

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};

use crate::clock_text;
use crate::value::Value;

type Member = Option<Result<Value, String>>;

/// A method of an instant; `None` when there is none of that name.
pub(crate) fn of_time(at: &Zoned, name: &str, arguments: &[Value]) -> Member {
    match (name, arguments) {
        ("Format", [layout]) => Some(match layout.as_text() {
            Some(layout) => Ok(Value::text(clock_text::layout(at, layout))),
            None => Err("the layout must be a string".to_owned()),
        }),
        ("Sub", [Value::Time(other)]) => {
            let span = at.timestamp().duration_since(other.timestamp());
            Some(Ok(Value::DurationNs(nanoseconds(span))))
        }
        ("Add", [Value::DurationNs(span)]) => Some(
            at.checked_add(SignedDuration::from_nanos(*span))
                .map(Value::Time)
                .map_err(|error| error.to_string()),
        ),
        ("Before", [Value::Time(other)]) => Some(Ok(Value::Bool(at < other))),
        ("After", [Value::Time(other)]) => Some(Ok(Value::Bool(at > other))),
        ("Equal", [Value::Time(other)]) => {
            Some(Ok(Value::Bool(at.timestamp() == other.timestamp())))
        }
        ("Format" | "Sub" | "Add" | "Before" | "After" | "Equal", _) => {
            Some(Err(format!("wrong arguments for {name}")))
        }
        (_, []) => of_time_without_arguments(at, name).map(Ok),
        _ => None,
    }
}

fn of_time_without_arguments(at: &Zoned, name: &str) -> Option<Value> {
    let int = |number: i64| Some(Value::Int(number));
    match name {
        "Unix" => int(at.timestamp().as_second()),
        "UnixMilli" => int(at.timestamp().as_millisecond()),
        "UnixMicro" => int(at.timestamp().as_microsecond()),
        "UnixNano" => int(i64::try_from(at.timestamp().as_nanosecond()).unwrap_or(i64::MAX)),
        "Year" => int(at.year().into()),
        "Month" => Some(Value::text(clock_text::month_name(at.month()))),
        "Day" => int(at.day().into()),
        "YearDay" => int(at.day_of_year().into()),
        "Weekday" => Some(Value::text(clock_text::weekday_name(at))),
        "Hour" => int(at.hour().into()),
        "Minute" => int(at.minute().into()),
        "Second" => int(at.second().into()),
        "Nanosecond" => int(at.subsec_nanosecond().into()),
        "UTC" => Some(Value::Time(at.with_time_zone(TimeZone::UTC))),
        // Belfry tells time zones apart only where a template names one, so local is UTC.
        "Local" => Some(Value::Time(at.clone())),
        "String" => Some(Value::text(clock_text::go_string(at))),
        "IsZero" => Some(Value::Bool(at.timestamp().as_second() == ZERO_TIME_SECONDS)),
        _ => None,
    }
}

/// Go's zero instant: the first of January of year 1.
const ZERO_TIME_SECONDS: i64 = -62_135_596_800;

fn nanoseconds(span: SignedDuration) -> i64 {
    let limit = if span.is_negative() { i64::MIN } else { i64::MAX };
    i64::try_from(span.as_nanos()).unwrap_or(limit)
}

/// A method of a span; `None` when there is none of that name.
pub(crate) fn of_duration(span_ns: i64, name: &str, arguments: &[Value]) -> Member {
    let unit = match arguments {
        [] => None,
        [Value::DurationNs(unit) | Value::Int(unit)] => Some(*unit),
        _ => return Some(Err(format!("wrong arguments for {name}"))),
    };
    let value = match (name, unit) {
        ("Hours", None) => Value::Float(span_ns as f64 / 3.6e12),
        ("Minutes", None) => Value::Float(span_ns as f64 / 6e10),
        ("Seconds", None) => Value::Float(span_ns as f64 / 1e9),
        ("Milliseconds", None) => Value::Int(span_ns / 1_000_000),
        ("Microseconds", None) => Value::Int(span_ns / 1_000),
        ("Nanoseconds", None) => Value::Int(span_ns),
        ("String", None) => Value::text(clock_text::duration(span_ns)),
        ("Abs", None) => Value::DurationNs(span_ns.saturating_abs()),
        ("Truncate" | "Round", Some(unit)) if unit <= 0 => Value::DurationNs(span_ns),
        ("Truncate", Some(unit)) => Value::DurationNs(span_ns - span_ns % unit),
        ("Round", Some(unit)) => {
            let rest = span_ns % unit;
            let down = span_ns - rest;
            let away = if span_ns < 0 { -unit } else { unit };
            let rounds_away = rest.unsigned_abs() >= unit.unsigned_abs().div_ceil(2);
            Value::DurationNs(if rounds_away { down.saturating_add(away) } else { down })
        }
        _ => return None,
    };
    Some(Ok(value))
}
