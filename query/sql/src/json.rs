//! Cells as JSON.
//!
//! Numbers stay numbers; what JSON has no number for (`NaN`, `+Inf`) is a text, as in PromQL
//! answers. A map is an object, a time is RFC 3339, anything else is its text.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

/// One row of a batch.
pub fn row_values(batch: &RecordBatch, row: usize) -> Vec<Value> {
    batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect()
}

fn cell(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => Value::from(column.as_primitive::<UInt64Type>().value(row)),
        DataType::Float64 => number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Map(..) => object(column, row),
        _ => text(column, row),
    }
}

fn number(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None => Value::String(model::sample::format_value(value)),
    }
}

fn object(column: &dyn Array, row: usize) -> Value {
    let entries = column.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let pairs = (0..entries.len()).map(|index| {
        let key = match cell(keys.as_ref(), index) {
            Value::String(key) => key,
            other => other.to_string(),
        };
        (key, cell(values.as_ref(), index))
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn text(column: &dyn Array, row: usize) -> Value {
    let options = FormatOptions::default();
    match ArrayFormatter::try_new(column, &options) {
        Ok(formatter) => {
            let text = formatter.value(row).to_string();
            // Other whole numbers (counts of narrow types) are numbers too.
            match (column.data_type().is_integer(), text.parse::<i64>()) {
                (true, Ok(number)) => Value::from(number),
                _ => Value::String(text),
            }
        }
        Err(error) => Value::String(format!("unprintable: {error}")),
    }
}
