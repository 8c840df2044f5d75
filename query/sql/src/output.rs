//! Rows as bytes: CSV and Arrow's stream format.
//!
//! Place in the flow: [`Rows`](crate::Rows) → **`Encoder`** → the HTTP API's body, piece by piece.
//!
//! Not here: JSON, whose shape is the API's (dashboards); the Postgres wire (`wire`).

use std::sync::Arc;

use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

use crate::json::{flat, flat_schema};

/// Which bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, a header first; maps and lists as JSON.
    Csv,
    /// Arrow's stream format, all types kept.
    Arrow,
}

impl Format {
    /// The content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// Writes the rows of one answer.
pub struct Encoder {
    schema: SchemaRef,
    kind: Kind,
}

enum Kind {
    Csv { is_begun: bool },
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Encoder {
    /// A writer for rows of these columns.
    pub fn new(format: Format, schema: &Schema) -> Result<Encoder, ArrowError> {
        Ok(match format {
            Format::Csv => {
                let kind = Kind::Csv { is_begun: false };
                Encoder { schema: flat_schema(schema, is_nested), kind }
            }
            Format::Arrow => {
                let schema = Arc::new(schema.clone());
                let writer = StreamWriter::try_new(Vec::new(), &schema)?;
                Encoder { schema, kind: Kind::Arrow(Box::new(writer)) }
            }
        })
    }

    /// The bytes of some rows; what comes before the first rows is with them.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        match &mut self.kind {
            Kind::Csv { is_begun } => {
                let mut bytes = Vec::new();
                let header = !std::mem::replace(is_begun, true);
                let mut writer = WriterBuilder::new().with_header(header).build(&mut bytes);
                writer.write(&flat(batch, &self.schema, is_nested)?)?;
                drop(writer);
                Ok(bytes)
            }
            Kind::Arrow(writer) => {
                writer.write(batch)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// The bytes after the last rows; the header too when there were none.
    pub fn finish(&mut self) -> Result<Vec<u8>, ArrowError> {
        match &mut self.kind {
            Kind::Csv { is_begun: true } => Ok(Vec::new()),
            Kind::Csv { is_begun: false } => {
                let empty = RecordBatch::new_empty(Arc::clone(&self.schema));
                let mut bytes = Vec::new();
                WriterBuilder::new().with_header(true).build(&mut bytes).write(&empty)?;
                Ok(bytes)
            }
            Kind::Arrow(writer) => {
                writer.finish()?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

fn is_nested(kind: &DataType) -> bool {
    kind.is_nested()
}
