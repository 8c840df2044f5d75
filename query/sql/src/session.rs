//! Statements over one store: plan, admit, run, hand out.
//!
//! Place in the flow: text → **`Session::query`** → [`Rows`], batch by batch → HTTP, the wire.
//!
//! Invariants: statements only read; a statement waits, is limited, listed and ended as a PromQL
//! query is, because it has a seat of the same engine; it ends when its rows are dropped; nothing is
//! spilled to disk, and no file or address is in reach.
//!
//! Not here: which tables there are (`catalog`), how they are read (`reading`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList};
use datafusion::config::Dialect;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;
use futures::StreamExt;
use query::{Charge, Engine, Heading, Language, Ledger, QueryOptions, Seat, Stats};
use storage::Store;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::catalog::{self, DATABASE, PUBLIC};
use crate::cores::{Cores, Lent};
use crate::reading::{Shared, Tally};
use crate::told::Told;
use crate::{Error, functions, statement};

/// Longest statement, as for PromQL.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Batches that wait for the client.
const BATCHES_MAX: usize = 2;
/// The phase named when a statement ends early.
const EVALUATION: &str = "expression evaluation";

/// What statements are answered from.
#[derive(Clone)]
pub struct Parts {
    /// Samples and series.
    pub store: Arc<Store>,
    /// Who admits and limits.
    pub engine: Arc<Engine>,
    /// Alerts and notifications.
    pub told: Arc<dyn Told>,
}

/// Runs statements over one store.
pub struct Session {
    engine: Arc<Engine>,
    /// Functions, catalogs and settings of every statement.
    template: SessionState,
    cores: Cores,
}

impl Session {
    /// A session over a store, and the threads that compute its statements.
    pub fn start(parts: Parts) -> Result<Session, Error> {
        let template = template(&parts).map_err(Error::of_planning)?;
        let cores = Cores::start()
            .map_err(|error| Error::Execution(format!("start threads for statements: {error}")))?;
        Ok(Session { engine: parts.engine, template, cores })
    }

    /// Runs one statement. Rows come as they are asked for.
    pub async fn query(&self, text: &str, options: &QueryOptions) -> Result<Rows, Error> {
        let started = Instant::now();
        let statement = self.parse(text)?;
        let work = Work::Statement(Box::new(statement));
        self.run(text, work, (started, options)).await
    }

    /// The settings and functions that statements are planned with.
    pub(crate) fn template(&self) -> &SessionState {
        &self.template
    }

    /// Reads a text; refuses what does not only read.
    fn parse(&self, text: &str) -> Result<Statement, Error> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("the statement is longer than {TEXT_BYTES_MAX} bytes");
            return Err(Error::statement(message));
        }
        let parsed = self.template.sql_to_statement(text, &Dialect::PostgreSQL);
        let parsed = parsed.map_err(Error::of_planning)?;
        statement::read_only(&parsed)?;
        Ok(parsed)
    }

    /// Runs what has been read or planned already.
    pub(crate) async fn run(
        &self,
        text: &str,
        work: Work,
        (started, options): (Instant, &QueryOptions),
    ) -> Result<Rows, Error> {
        let now = self.engine.now();
        let heading = Heading {
            text: text.to_owned(),
            language: Language::Sql,
            range: (now, now, 0),
            priority: options.priority,
            origin: options.origin.clone(),
            user: options.user.clone(),
        };
        let prepare_us = micros(started);
        let seat = self.engine.seat(heading, started, options).await?;
        let shared = Arc::new(Shared {
            ledger: seat.ledger().clone(),
            tally: Tally::default(),
            series_max: self.engine.settings().series_max,
        });
        let running = Running {
            shared,
            bytes_max: seat.ledger().bytes_max(),
            seat,
            cores: self.cores.lend(),
            evaluated: Instant::now(),
            prepare_us,
            is_enough: Arc::default(),
        };
        self.begin(running, work).await
    }

    /// Plans and begins; what follows comes from a task, so that a client that takes its rows
    /// slowly holds its place until the deadline and no longer.
    async fn begin(&self, mut running: Running, work: Work) -> Result<Rows, Error> {
        let state = self.state(&running.shared);
        let bytes_max = running.bytes_max;
        let begun = running.compute(async move {
            let planned = match work {
                Work::Statement(statement) => state.statement_to_plan(*statement).await,
                Work::Plan(plan) => Ok(*plan),
            };
            let plan = planned.and_then(|plan| verified(&plan).map(|()| plan));
            let plan = plan.map_err(Error::of_planning)?;
            let physical = state.create_physical_plan(&plan).await;
            // An expression of constants is computed while it is planned.
            let physical = physical.map_err(|error| running_or_planning(error, bytes_max))?;
            let stream = execute_stream(physical, state.task_ctx());
            stream.map_err(|error| Error::of_running(error, bytes_max))
        });
        let stream = match begun.await {
            Ok(stream) => stream,
            Err(error) => {
                running.end(Some(&error));
                return Err(error);
            }
        };
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        Ok(Rows {
            batches,
            schema: stream.schema(),
            shared: Arc::clone(&running.shared),
            cancel: running.seat.cancel().clone(),
            is_enough: Arc::clone(&running.is_enough),
            ended: Some(tokio::spawn(running.pump(stream, sender))),
        })
    }

    /// The template with the account of one statement.
    fn state(&self, shared: &Arc<Shared>) -> SessionState {
        let mut config = self.template.config().clone();
        config.set_extension(Arc::clone(shared));
        let environment = RuntimeEnv {
            memory_pool: Arc::clone(shared.ledger.pool()),
            ..self.template.runtime_env().as_ref().clone()
        };
        let mut state = SessionStateBuilder::new_from_existing(self.template.clone())
            .with_config(config)
            .with_runtime_env(Arc::new(environment))
            .build();
        state.mark_start_execution();
        state
    }
}

/// What is run.
pub(crate) enum Work {
    /// A statement that has been read.
    Statement(Box<Statement>),
    /// A statement that has been planned, its parameters filled in.
    Plan(Box<LogicalPlan>),
}

/// The rows of one statement, as they become ready.
pub struct Rows {
    batches: mpsc::Receiver<(RecordBatch, Charge)>,
    schema: SchemaRef,
    shared: Arc<Shared>,
    cancel: CancellationToken,
    is_enough: Arc<AtomicBool>,
    ended: Option<JoinHandle<Result<(), Error>>>,
}

impl Rows {
    /// Names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Error>> {
        if let Some((batch, _charge)) = self.batches.recv().await {
            return Some(Ok(batch));
        }
        let ended = self.ended.take()?.await;
        let ended = ended.unwrap_or_else(|problem| {
            Err(Error::Execution(format!("the statement ended early: {problem}")))
        });
        ended.err().map(Err)
    }

    /// Has enough: what comes is not wanted, and that is no failure.
    pub fn finish(self) {
        self.is_enough.store(true, Ordering::Relaxed);
    }

    /// What the reader should know; whole after the last rows.
    pub fn warnings(&self) -> Vec<String> {
        let warnings = &self.shared.tally.warnings;
        warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A statement at work.
struct Running {
    shared: Arc<Shared>,
    seat: Seat,
    cores: Lent,
    evaluated: Instant,
    prepare_us: u64,
    bytes_max: usize,
    is_enough: Arc<AtomicBool>,
}

impl Running {
    /// Hands out what the stream gives, until all is out or the statement has ended otherwise.
    async fn pump(
        mut self,
        stream: SendableRecordBatchStream,
        sender: mpsc::Sender<(RecordBatch, Charge)>,
    ) -> Result<(), Error> {
        let handing_out = hand_out(stream, sender, (self.seat.ledger().clone(), self.bytes_max));
        let outcome = self.compute(handing_out).await;
        self.end(outcome.as_ref().err());
        outcome
    }

    /// Computes until the deadline, a kill, or the caller's own end.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let mut task = self.cores.compute(work);
        let outcome = tokio::select! {
            biased;
            () = self.seat.cancel().cancelled() => {
                Err(query::Error::Cancelled { phase: EVALUATION }.into())
            }
            joined = &mut task => joined.unwrap_or_else(|problem| {
                Err(Error::Execution(format!("the statement ended early: {problem}")))
            }),
            () = tokio::time::sleep_until(self.seat.deadline().into()) => {
                Err(query::Error::TimedOut { phase: EVALUATION }.into())
            }
        };
        if !task.is_finished() {
            // The place is not given to others while this one still computes.
            task.abort();
            let _ = task.await;
        }
        outcome.map_err(|error| match error {
            Error::Query(own) => Error::Query(self.seat.or_killed(own)),
            other => other,
        })
    }

    /// Tells the log how it ended.
    fn end(&mut self, error: Option<&Error>) {
        let tally = &self.shared.tally;
        let stats = Stats {
            series: tally.series.load(Ordering::Relaxed),
            samples_total: tally.samples.load(Ordering::Relaxed),
            samples_peak: self.shared.ledger.samples_peak() as u64,
            bytes_peak: self.shared.ledger.bytes_peak() as u64,
            queue_us: self.seat.queue_us(),
            prepare_us: self.prepare_us,
            eval_us: micros(self.evaluated),
            ..Stats::default()
        };
        let error = error.filter(|_| !self.is_enough.load(Ordering::Relaxed));
        self.seat.set_outcome(stats, error.map(Error::failure));
    }
}

/// Sends batches, each charged for until it is taken, until all are out or nobody wants more.
async fn hand_out(
    mut stream: SendableRecordBatchStream,
    sender: mpsc::Sender<(RecordBatch, Charge)>,
    (ledger, bytes_max): (Ledger, usize),
) -> Result<(), Error> {
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| Error::of_running(error, bytes_max))?;
        let charge = ledger.charge(0, batch.get_array_memory_size())?;
        if sender.send((batch, charge)).await.is_err() {
            return Err(query::Error::Cancelled { phase: EVALUATION }.into());
        }
    }
    Ok(())
}

/// What every statement is planned with.
fn template(parts: &Parts) -> Result<SessionState, DataFusionError> {
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(DATABASE, PUBLIC);
    let parser = &mut config.options_mut().sql_parser;
    parser.dialect = Dialect::PostgreSQL;
    parser.collect_spans = true;
    let database = Arc::new(MemoryCatalogProvider::new());
    catalog::fill(database.as_ref(), &parts.store, &parts.told)?;
    let databases = MemoryCatalogProviderList::new();
    databases.register_catalog(DATABASE.to_owned(), database);
    let state = SessionStateBuilder::new()
        .with_default_features()
        // No kind of file can be a table, and no file can be written.
        .with_table_factories(HashMap::new())
        .with_file_formats(Vec::new())
        .with_config(config)
        .with_runtime_env(closed_environment()?)
        .with_catalog_list(Arc::new(databases))
        .build();
    let context = SessionContext::new_with_state(state);
    setup_pg_catalog(&context, DATABASE, EmptyContextProvider).map_err(|error| *error)?;
    functions::all().into_iter().for_each(|function| context.register_udf(function));
    Ok(context.state())
}

/// An environment without files: none to read from, none to spill to.
fn closed_environment() -> Result<Arc<RuntimeEnv>, DataFusionError> {
    let no_spilling = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let environment =
        RuntimeEnvBuilder::new().with_disk_manager_builder(no_spilling).build_arc()?;
    environment.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;
    Ok(environment)
}

/// Looks into the plan for anything that does not only read.
pub(crate) fn verified(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    let read_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    read_only.verify_plan(plan)
}

/// Limits that are met while a plan is made are limits all the same.
fn running_or_planning(error: DataFusionError, bytes_max: usize) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Error::of_running(error, bytes_max),
        _ => Error::of_planning(error),
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
