//! One statement: plan, run, collect.
//!
//! Place in the flow: text → **`Session::query`** → columns and rows.
//!
//! Invariants: statements only read; memory, rows and time of one statement are limited; the plan
//! runs on the caller's runtime and ends when the caller goes away.

use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use serde_json::Value;
use storage::Store;

use crate::json::row_values;
use crate::tables::Table;

/// What one statement may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory of sorts, joins and aggregations.
    pub memory_bytes_max: usize,
    /// Rows of an answer; more are cut with a warning.
    pub rows_max: usize,
    /// From the text to the last row.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            memory_bytes_max: 512 * 1024 * 1024,
            rows_max: 100_000,
            timeout: Duration::from_secs(120),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The statement is wrong, or does something else than read. Change it.
    #[error("{0}")]
    Statement(String),
    /// The statement could not be run to its end: too much memory, too long, unreadable data.
    #[error("{0}")]
    Execution(String),
}

/// The answer of one statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Names and types.
    pub columns: Vec<(String, String)>,
    /// Cells by row.
    pub rows: Vec<Vec<Value>>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// Runs statements over one store.
pub struct Session {
    store: Arc<Store>,
    settings: Settings,
}

impl Session {
    /// A session over a store.
    pub fn new(store: Arc<Store>, settings: Settings) -> Session {
        Session { store, settings }
    }

    /// Runs one statement.
    pub async fn query(&self, text: &str) -> Result<Answer, Error> {
        let work = self.run(text);
        match tokio::time::timeout(self.settings.timeout, work).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let seconds = self.settings.timeout.as_secs();
                Err(Error::Execution(format!("the statement took longer than {seconds} s")))
            }
        }
    }

    async fn run(&self, text: &str) -> Result<Answer, Error> {
        let context = self.context()?;
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = context.sql_with_options(text, read_only).await.map_err(statement_error)?;
        let mut stream = frame.execute_stream().await.map_err(execution_error)?;
        let schema = stream.schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().to_string()))
            .collect();
        let mut answer = Answer { columns, rows: Vec::new(), warnings: Vec::new() };
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(execution_error)?;
            for row in 0..batch.num_rows() {
                if answer.rows.len() == self.settings.rows_max {
                    let rows = self.settings.rows_max;
                    answer.warnings.push(format!("the answer was cut after {rows} rows"));
                    return Ok(answer);
                }
                answer.rows.push(row_values(&batch, row));
            }
        }
        Ok(answer)
    }

    /// A context of its own for each statement, so that one statement's memory is its own.
    fn context(&self) -> Result<SessionContext, Error> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(self.settings.memory_bytes_max, 1.0)
            .build_arc()
            .map_err(execution_error)?;
        let config = SessionConfig::new().with_information_schema(true);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let samples = Arc::new(Table::samples(Arc::clone(&self.store)));
        let series = Arc::new(Table::series(Arc::clone(&self.store)));
        context.register_table("samples", samples).map_err(execution_error)?;
        context.register_table("series", series).map_err(execution_error)?;
        Ok(context)
    }
}

fn statement_error(error: DataFusionError) -> Error {
    Error::Statement(first_line(&error))
}

fn execution_error(error: DataFusionError) -> Error {
    Error::Execution(first_line(&error))
}

fn first_line(error: &DataFusionError) -> String {
    error.strip_backtrace().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
