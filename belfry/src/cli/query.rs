//! `belfry query instant|range|series|labels|analyze|sql`: questions to a running server.
//!
//! Place in the flow: arguments → **here** → [`Server`] → `show`. The first five work with every
//! server that speaks Prometheus' API; their forms `promql` and `json` are those of promtool.
//!
//! Exit codes: 0 for an answer, 1 for none.

/// How use is spread over the buckets of histograms.
mod analyze;
/// Answers as text, JSON, tables.
mod show;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use model::clock::SystemClock;
use model::{Clock, TimestampMs};
use serde_json::Value;

use super::server::{Answer, Reach, Server};
use super::{block_on, note, say, times};

/// How far a range goes back when no start is given.
const RANGE_MS: i64 = 5 * 60 * 1000;
/// Points of a range when no step is given.
const POINTS: i64 = 250;

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As PromQL shows values, like promtool.
    Promql,
    /// JSON, like promtool.
    Json,
    /// Columns for people.
    Table,
}

/// The server and the form of its answer.
#[derive(Debug, Clone, Args)]
pub struct Asked {
    /// The server to ask, such as http://localhost:9090.
    #[arg(value_name = "SERVER")]
    server: String,
    #[command(flatten)]
    reach: Reach,
    /// How the answer is written.
    #[arg(short = 'o', long = "format", value_enum, default_value = "promql")]
    format: Format,
}

/// From when to when.
#[derive(Debug, Clone, Args)]
pub struct Span {
    /// The first instant: RFC 3339, or seconds since 1970.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<String>,
    /// The last instant: RFC 3339, or seconds since 1970.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<String>,
}

/// What is asked.
#[derive(Debug, Clone, Subcommand)]
pub enum Query {
    /// The value of an expression at one instant.
    Instant {
        #[command(flatten)]
        asked: Asked,
        /// The expression.
        #[arg(value_name = "EXPR", allow_hyphen_values = true)]
        expr: String,
        /// The instant: RFC 3339, or seconds since 1970 [default: now].
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        time: Option<String>,
    },
    /// The values of an expression over a range of time.
    Range {
        #[command(flatten)]
        asked: Asked,
        /// The expression.
        #[arg(value_name = "EXPR", allow_hyphen_values = true)]
        expr: String,
        #[command(flatten)]
        span: Span,
        /// The time between two values, such as 30s [default: a 250th of the range].
        #[arg(long, value_name = "DURATION", value_parser = times::duration)]
        step: Option<Duration>,
    },
    /// The series that match.
    Series {
        #[command(flatten)]
        asked: Asked,
        /// A selector; can be given several times.
        #[arg(long = "match", value_name = "SELECTOR", required = true)]
        selectors: Vec<String>,
        #[command(flatten)]
        span: Span,
    },
    /// The values of a label; the names of all labels when none is given.
    Labels {
        #[command(flatten)]
        asked: Asked,
        /// The label.
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Only of series that match; can be given several times.
        #[arg(long = "match", value_name = "SELECTOR")]
        selectors: Vec<String>,
        #[command(flatten)]
        span: Span,
    },
    /// How well the buckets of histograms are used.
    Analyze(analyze::Arguments),
    /// Rows of a read-only SQL statement (Belfry only).
    Sql {
        #[command(flatten)]
        asked: Asked,
        /// The statement.
        #[arg(value_name = "STATEMENT")]
        statement: String,
    },
}

/// Asks and shows the answer.
pub fn main(query: Query) -> ExitCode {
    // promtool writes a line for each of these, and so nothing for none.
    let is_list = matches!(query, Query::Series { .. } | Query::Labels { .. });
    block_on(async move {
        let text = match query {
            Query::Instant { asked, expr, time } => instant(&asked, expr, time.as_deref()).await,
            Query::Range { asked, expr, span, step } => range(&asked, expr, &span, step).await,
            Query::Series { asked, selectors, span } => series(&asked, &selectors, &span).await,
            Query::Labels { asked, name, selectors, span } => {
                labels(&asked, name.as_deref(), &selectors, &span).await
            }
            Query::Analyze(arguments) => analyze::run(&arguments).await,
            Query::Sql { asked, statement } => sql(&asked, statement).await,
        }?;
        Ok(if is_list && text.is_empty() { ExitCode::SUCCESS } else { say(&text) })
    })
}

async fn instant(asked: &Asked, expr: String, time: Option<&str>) -> Result<String, String> {
    let at = time_or(time, "evaluation", SystemClock.now())?;
    let form = [("query", expr), ("time", times::seconds(at))];
    let data = asked.data("/api/v1/query", &form).await?;
    Ok(show::value(&data, asked.format))
}

async fn range(
    asked: &Asked,
    expr: String,
    span: &Span,
    step: Option<Duration>,
) -> Result<String, String> {
    let end = time_or(span.end.as_deref(), "end", SystemClock.now())?;
    let start = time_or(span.start.as_deref(), "start", end.plus_ms(-RANGE_MS))?;
    if start >= end {
        return Err("start time is not before end time".to_owned());
    }
    let wide = (end.0.saturating_sub(start.0) / 1000 / POINTS).max(1);
    let step = match step {
        Some(step) if !step.is_zero() => step.as_secs_f64().to_string(),
        _ => wide.to_string(),
    };
    let form = [
        ("query", expr),
        ("start", times::seconds(start)),
        ("end", times::seconds(end)),
        ("step", step),
    ];
    let data = asked.data("/api/v1/query_range", &form).await?;
    Ok(show::value(&data, asked.format))
}

async fn series(asked: &Asked, selectors: &[String], span: &Span) -> Result<String, String> {
    let mut form = span.form()?;
    form.extend(selectors.iter().map(|selector| ("match[]", selector.clone())));
    let data = asked.data("/api/v1/series", &form).await?;
    Ok(show::series(&data, asked.format))
}

async fn labels(
    asked: &Asked,
    name: Option<&str>,
    selectors: &[String],
    span: &Span,
) -> Result<String, String> {
    let mut form = span.form()?;
    form.extend(selectors.iter().map(|selector| ("match[]", selector.clone())));
    let Some(name) = name else {
        return Ok(show::words(&asked.data("/api/v1/labels", &form).await?, asked.format));
    };
    let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let path = format!("/api/v1/label/{}/values", encoded.replace('+', "%20"));
    let server = Server::new(&asked.server, &asked.reach).await?;
    let answer = server.get(&path, &form).await.map_err(query_error)?;
    Ok(show::words(&told(answer), asked.format))
}

async fn sql(asked: &Asked, statement: String) -> Result<String, String> {
    let data = asked.data("/api/v1/sql", &[("query", statement)]).await?;
    Ok(show::rows(&data, asked.format))
}

impl Asked {
    async fn data(&self, path: &str, form: &[(&str, String)]) -> Result<Value, String> {
        let server = Server::new(&self.server, &self.reach).await?;
        Ok(told(server.ask(path, form).await.map_err(query_error)?))
    }
}

impl Span {
    /// What the API is told; it takes all there is without.
    fn form(&self) -> Result<Vec<(&'static str, String)>, String> {
        let mut form = Vec::new();
        for (name, text) in [("start", &self.start), ("end", &self.end)] {
            if let Some(text) = text {
                let at = time_or(Some(text), name, TimestampMs(0))?;
                form.push((name, times::seconds(at)));
            }
        }
        Ok(form)
    }
}

/// The data, after its notes were told.
fn told(answer: Answer) -> Value {
    for text in &answer.notes {
        note(&format!("query warning: {text}"));
    }
    answer.data
}

fn query_error(error: String) -> String {
    format!("query error: {error}")
}

fn time_or(text: Option<&str>, what: &str, otherwise: TimestampMs) -> Result<TimestampMs, String> {
    let Some(text) = text else { return Ok(otherwise) };
    times::instant(text).map_err(|error| format!("error parsing {what} time: {error}"))
}
