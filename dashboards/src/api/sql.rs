//! `/api/v1/sql`: one read-only statement, answered as columns and rows: JSON, CSV or Arrow's stream
//! format. Rows leave as they become ready; the whole answer is never held.
//!
//! Place in the flow: parameters → `sql::Session` → a [`Writer`] → the body, piece by piece.
//!
//! A statement that fails after its first rows have left ends the connection: a client then sees a
//! body that is cut off, never one that looks whole.
//!
//! Not here: tables, limits (sql).

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sql::output::{Encoder, Format};
use sql::{RecordBatch, Rows};

use crate::api::envelope::ApiError;
use crate::api::params::Params;
use crate::api::query::options;
use crate::parts::Parts;

/// Rows of a JSON answer, unless the caller asks for another limit; more are cut with a warning.
const JSON_ROWS_MAX: usize = 100_000;

/// Runs the statement under `q` or `query`.
pub async fn sql(
    State(parts): State<Parts>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let session = parts.sql.clone().ok_or_else(|| ApiError::not_here("query"))?;
    let text = match params.get("q") {
        Some(text) => text,
        None => params.required("query")?,
    };
    let format = format(&params, &headers)?;
    let limit = match (format, params.get("limit")) {
        (None, None) => JSON_ROWS_MAX,
        _ => params.limit()?,
    };
    let rows = session.query(text, &options(&params)?).await.map_err(refused)?;
    let json = header::HeaderValue::from_static("application/json");
    let (writer, content_type) = match format {
        None => (Writer::json(&rows), json),
        Some(format) => {
            let encoder = Encoder::new(format, rows.schema());
            let encoder = encoder.map_err(|error| ApiError::internal(error.to_string()))?;
            let content_type = header::HeaderValue::from_static(format.content_type());
            (Writer::Bytes(Box::new(encoder)), content_type)
        }
    };
    let mut answer = Answering { rows: Some(rows), writer, left: limit };
    // What fails before the first rows is answered with its own status.
    let first = answer.next().await.map_err(refused)?;
    let rest = futures::stream::unfold(Some(answer), |answer| async {
        let mut answer = answer?;
        match answer.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(answer))),
            Ok(None) => None,
            Err(error) => Some((Err(std::io::Error::other(error.to_string())), None)),
        }
    });
    let first = futures::stream::iter(first.map(Ok));
    // A body may be asked again after its end.
    let rest = futures::StreamExt::fuse(rest);
    let body = Body::from_stream(futures::StreamExt::chain(first, rest));
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// The form that is asked for; `None` is JSON.
fn format(params: &Params, headers: &HeaderMap) -> Result<Option<Format>, ApiError> {
    if let Some(name) = params.get("format") {
        return match name {
            "json" => Ok(None),
            "csv" => Ok(Some(Format::Csv)),
            "arrow" => Ok(Some(Format::Arrow)),
            _ => {
                let message = format!("{name:?} is none of json, csv, arrow");
                Err(ApiError::bad_parameter("format", message))
            }
        };
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let types = accept.split(',').map(|part| part.split(';').next().unwrap_or("").trim());
    for own in types {
        match own {
            "text/csv" => return Ok(Some(Format::Csv)),
            "application/vnd.apache.arrow.stream" => return Ok(Some(Format::Arrow)),
            "application/json" => return Ok(None),
            _ => {}
        }
    }
    Ok(None)
}

fn refused(error: sql::Error) -> ApiError {
    match error {
        sql::Error::Statement { .. } => ApiError::bad_parameter("query", error.to_string()),
        sql::Error::Query(error) => error.into(),
        other => ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", other.to_string()),
    }
}

/// An answer that is on its way.
struct Answering {
    /// `None` after the last piece.
    rows: Option<Rows>,
    writer: Writer,
    /// How many more rows may leave.
    left: usize,
}

/// How rows are written.
enum Writer {
    Json { columns: Value, is_begun: bool, has_rows: bool },
    Bytes(Box<Encoder>),
}

impl Answering {
    /// The next piece of the body.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, sql::Error> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let batch = rows.next().await.transpose()?;
        let Some(batch) = batch else {
            let warnings = rows.warnings();
            self.rows = None;
            return self.writer.finish(warnings).map(Some);
        };
        if batch.num_rows() <= self.left {
            self.left -= batch.num_rows();
            return self.writer.rows(&batch).map(Some);
        }
        let mut warnings = rows.warnings();
        warnings.push("the answer was cut by its limit; see the parameter limit".to_owned());
        let mut piece = self.writer.rows(&batch.slice(0, self.left))?;
        piece.extend(self.writer.finish(warnings)?);
        if let Some(rows) = self.rows.take() {
            rows.finish();
        }
        Ok(Some(piece))
    }
}

impl Writer {
    fn json(rows: &Rows) -> Writer {
        let columns = rows.schema().fields().iter().map(|field| {
            let kind = field.data_type().to_string();
            json!({"name": field.name(), "type": kind})
        });
        Writer::Json { columns: columns.collect(), is_begun: false, has_rows: false }
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, sql::Error> {
        let mut had_rows = match self {
            Writer::Bytes(encoder) => {
                let bytes = encoder.rows(batch);
                return bytes.map_err(|error| sql::Error::Execution(error.to_string()));
            }
            Writer::Json { has_rows, .. } => {
                std::mem::replace(has_rows, *has_rows || batch.num_rows() > 0)
            }
        };
        let mut text = self.begin();
        for row in 0..batch.num_rows() {
            if std::mem::replace(&mut had_rows, true) {
                text.push(',');
            }
            text.push_str(&Value::Array(sql::row_values(batch, row)).to_string());
        }
        Ok(text.into_bytes())
    }

    /// What comes before the first rows.
    fn begin(&mut self) -> String {
        match self {
            Writer::Json { columns, is_begun, .. } if !*is_begun => {
                *is_begun = true;
                format!("{{\"status\":\"success\",\"data\":{{\"columns\":{columns},\"rows\":[")
            }
            _ => String::new(),
        }
    }

    fn finish(&mut self, warnings: Vec<String>) -> Result<Vec<u8>, sql::Error> {
        if let Writer::Bytes(encoder) = self {
            return encoder.finish().map_err(|error| sql::Error::Execution(error.to_string()));
        }
        let mut text = self.begin();
        text.push_str("]}");
        if !warnings.is_empty() {
            text.push_str(",\"warnings\":");
            text.push_str(&Value::from(warnings).to_string());
        }
        text.push('}');
        Ok(text.into_bytes())
    }
}
