//! Which columns a table has, and what each is filled with.
//!
//! Place in the flow: the catalog makes a [`Shape`] per table → planner (its schema), `filter`
//! (which column is which label), `columns` (how it is filled).
//!
//! Not here: the filling (`columns`).

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use model::labels::METRIC_NAME;

/// The time zone of `ts`.
pub const UTC: &str = "+00:00";

/// What a column is filled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The series' number.
    SeriesId,
    /// All labels but the name, as a map.
    Labels,
    /// One label; NULL where it is absent. The metric's name is one too.
    Label(String),
    /// When.
    Ts,
    /// The number.
    Value,
    /// A part of a native histogram.
    Histogram(Part),
}

/// A part of a native histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All observations.
    Count,
    /// Their sum.
    Sum,
    /// How fine the buckets are.
    Schema,
    /// Half the width of the zero bucket.
    ZeroThreshold,
    /// Observations in the zero bucket.
    ZeroCount,
    /// Bounds and counts.
    Buckets,
}

/// The columns of one table.
#[derive(Debug, Clone)]
pub struct Shape {
    schema: SchemaRef,
    columns: Vec<Column>,
}

impl Shape {
    fn new(columns: Vec<(Field, Column)>) -> Shape {
        let (fields, columns): (Vec<Field>, Vec<Column>) = columns.into_iter().unzip();
        Shape { schema: Arc::new(Schema::new(fields)), columns }
    }

    /// `series(series_id, name, labels)`.
    pub fn series() -> Shape {
        Shape::new(identity())
    }

    /// `samples(series_id, name, labels, ts, value)`.
    pub fn samples() -> Shape {
        let mut columns = identity();
        columns.extend([ts(), value()]);
        Shape::new(columns)
    }

    /// `histograms(series_id, name, labels, ts, count, sum, schema, …, buckets)`.
    pub fn histograms() -> Shape {
        let mut columns = identity();
        columns.push(ts());
        let number = |name: &str, part| {
            (Field::new(name, DataType::Float64, false), Column::Histogram(part))
        };
        columns.extend([
            number("count", Part::Count),
            number("sum", Part::Sum),
            (Field::new("schema", DataType::Int32, false), Column::Histogram(Part::Schema)),
            number("zero_threshold", Part::ZeroThreshold),
            number("zero_count", Part::ZeroCount),
            (Field::new("buckets", buckets_type(), false), Column::Histogram(Part::Buckets)),
        ]);
        Shape::new(columns)
    }

    /// A metric's own table: `ts`, `value`, its labels as columns, `series_id`. A label with the
    /// name of another column is called `label_…`.
    pub fn metric(label_names: &[String]) -> Shape {
        let mut columns = vec![ts(), value()];
        let mut taken: Vec<String> = ["ts", "value", "series_id"].map(str::to_owned).into();
        taken.extend(label_names.iter().filter(|name| !is_fixed(name)).cloned());
        for label in label_names.iter().filter(|name| *name != METRIC_NAME) {
            let mut name = label.clone();
            if is_fixed(label) {
                while taken.contains(&name) {
                    name.insert_str(0, "label_");
                }
                taken.push(name.clone());
            }
            let field = Field::new(name, DataType::Utf8View, true);
            columns.push((field, Column::Label(label.clone())));
        }
        columns.push(series_id());
        Shape::new(columns)
    }

    /// The same table with some columns only.
    pub fn projected(&self, indices: Option<&Vec<usize>>) -> Shape {
        let Some(indices) = indices else { return self.clone() };
        let field = |index: &usize| self.schema.field(*index).clone();
        Shape::new(
            indices.iter().map(|index| (field(index), self.columns[*index].clone())).collect(),
        )
    }

    /// The schema as DataFusion sees it.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What each column is filled with.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.schema.index_of(name).ok().map(|index| &self.columns[index])
    }
}

fn is_fixed(label: &str) -> bool {
    matches!(label, "ts" | "value" | "series_id")
}

fn series_id() -> (Field, Column) {
    (Field::new("series_id", DataType::UInt64, false), Column::SeriesId)
}

fn ts() -> (Field, Column) {
    (Field::new("ts", timestamp_type(), false), Column::Ts)
}

fn value() -> (Field, Column) {
    (Field::new("value", DataType::Float64, false), Column::Value)
}

fn identity() -> Vec<(Field, Column)> {
    vec![
        series_id(),
        (Field::new("name", DataType::Utf8View, true), Column::Label(METRIC_NAME.to_owned())),
        (Field::new("labels", labels_type(), false), Column::Labels),
    ]
}

/// The type of every time.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()))
}

/// The type of every set of labels.
pub fn labels_type() -> DataType {
    let fields =
        vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Utf8, true)];
    let entry = Field::new("entries", DataType::Struct(fields.into()), false);
    DataType::Map(Arc::new(entry), false)
}

fn buckets_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Struct(bucket_fields()), true)))
}

/// The fields of a bucket.
pub fn bucket_fields() -> arrow::datatypes::Fields {
    let number = |name: &str| Field::new(name, DataType::Float64, false);
    vec![number("lower"), number("upper"), number("count")].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_hide_columns() {
        let check = |labels: &[&str], expected: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|own| (*own).to_owned()).collect();
            let shape = Shape::metric(&labels);
            let names: Vec<&str> =
                shape.schema.fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(names, expected);
        };
        check(&["__name__", "job"], &["ts", "value", "job", "series_id"]);
        check(&["value"], &["ts", "value", "label_value", "series_id"]);
        check(&["label_ts", "ts"], &["ts", "value", "label_ts", "label_label_ts", "series_id"]);
    }
}
