//! `/api/v1/sql`: one read-only statement, answered as columns and rows.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::parts::Parts;

/// The answer's data.
#[derive(Debug, Serialize)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<serde_json::Value>>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    r#type: String,
}

/// Runs the statement under `query`.
pub async fn sql(State(parts): State<Parts>, params: Params) -> Result<Success<Table>, ApiError> {
    let session = parts.sql.clone().ok_or_else(|| ApiError::not_here("query"))?;
    let answer = session.query(params.required("query")?).await.map_err(|error| match error {
        sql::Error::Statement(message) => ApiError::bad_parameter("query", message),
        other => ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", other.to_string()),
    })?;
    let columns =
        answer.columns.into_iter().map(|(name, kind)| Column { name, r#type: kind }).collect();
    Ok(Success::new(Table { columns, rows: answer.rows }).with_warnings(answer.warnings))
}
