//! Cells as JSON.
//!
//! Numbers stay numbers; what JSON has no number for (`NaN`, `+Inf`) is a text, as in PromQL
//! answers. A map or a struct is an object, a list is an array, a time is RFC 3339, anything else is
//! its text.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, UInt64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One row of a batch.
pub fn row_values(batch: &RecordBatch, row: usize) -> Vec<Value> {
    batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect()
}

/// The same batch, columns of the types that `is_nested` tells written as JSON texts.
pub fn flat(
    batch: &RecordBatch,
    schema: &Arc<Schema>,
    is_nested: fn(&DataType) -> bool,
) -> Result<RecordBatch, ArrowError> {
    let flatten = |column: &ArrayRef| -> ArrayRef {
        if !is_nested(column.data_type()) {
            return Arc::clone(column);
        }
        let text = |row: usize| (!column.is_null(row)).then(|| cell(column, row).to_string());
        Arc::new(StringArray::from_iter((0..column.len()).map(text)))
    };
    let columns = batch.columns().iter().map(flatten).collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// The schema of a flat batch.
pub fn flat_schema(schema: &Schema, is_nested: fn(&DataType) -> bool) -> Arc<Schema> {
    let flatten = |field: &Arc<Field>| match is_nested(field.data_type()) {
        true => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        false => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(flatten).collect::<Vec<_>>()))
}

fn cell(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => Value::from(column.as_primitive::<UInt64Type>().value(row)),
        DataType::Float64 => number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        DataType::Utf8View => Value::from(column.as_string_view().value(row)),
        DataType::Map(..) => object(column, row),
        DataType::Struct(fields) => {
            let own = column.as_struct();
            let pairs = fields.iter().zip(own.columns());
            let pair =
                |(field, inner): (&Arc<Field>, &ArrayRef)| (field.name().clone(), cell(inner, row));
            Value::Object(pairs.map(pair).collect())
        }
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|index| cell(&items, index)).collect())
        }
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
