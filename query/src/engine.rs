//! Admission, deadline and the two questions: at an instant, over a range.
//!
//! Place in the flow: HTTP API and rules → **`Engine`** → parser → evaluator → `Answer`.
//!
//! A query is read and checked here; then it waits for a place, and is evaluated on a blocking
//! thread, so that the runtime's own threads stay free; only a small one stays where it is. Some
//! places are kept for rules. Dropping the future cancels the query; it gives its place back when it
//! has noticed.
//!
//! Not here: the evaluation itself (`evaluate`), the shape of answers (`answer`).

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use datafusion_execution::TaskContext;
use datafusion_execution::config::SessionConfig;
use datafusion_execution::runtime_env::RuntimeEnv;
use model::re2::Expression;
use model::{Clock, TimestampMs};
use promql::ast::Expr;
use promql::duration::DurationContext;
use promql::functions::ValueType;
use promql::{ParseOptions, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::answer;
use crate::block::Grid;
use crate::context::Context;
use crate::counts::{Counting, Looked};
use crate::error::Error;
use crate::evaluate::{Evaluator, Hints};
use crate::known::Known;
use crate::ledger::{EVALUATION, Ledger, Limits};
use crate::notes::Notes;
use crate::pool::{Pool, QueryPool};
use crate::running::{Entry, Failure, Heading, Language, List, Observer, Running};
use crate::scoped::Scoped;
use crate::seat::Seat;
use crate::settings::{Priority, QueryOptions, Settings};
use crate::small::{self, InPlace};
use crate::source::Source;
use crate::value::{Answer, Stats};

/// Answers PromQL. Cloning is cheap; all clones share admission and settings.
#[derive(Clone)]
pub struct Engine {
    source: Arc<dyn Source>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    shared: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    pool: Arc<Pool>,
    list: Arc<List>,
    queries: Arc<Known<Arc<Expr>>>,
    expressions: Arc<Known<Arc<Expression>>>,
    threads: usize,
    in_place: InPlace,
    runtime: RuntimeEnv,
    session: SessionConfig,
}

/// What is asked, read and checked.
struct Question<'a> {
    text: &'a str,
    expr: Arc<Expr>,
    started: Instant,
}

/// When a query is evaluated.
#[derive(Debug, Clone, Copy)]
struct When {
    grid: Grid,
    end_ms: i64,
    is_range: bool,
    counting: Counting,
}

impl Engine {
    /// An engine over one source of series. Spawns nothing.
    pub fn new(source: Arc<dyn Source>, clock: Arc<dyn Clock>, settings: Settings) -> Engine {
        let reserved = settings.reserved_for_rules.min(settings.concurrent_max.saturating_sub(1));
        let shared = settings.concurrent_max.max(1) - reserved;
        Engine {
            source,
            clock,
            pool: Arc::new(Pool::new(&settings)),
            // It reads files: a small query would take half its time for it.
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            in_place: InPlace::default(),
            list: Arc::default(),
            queries: Arc::new(Known::new(QUERIES_KNOWN_MAX)),
            expressions: Arc::new(Known::new(EXPRESSIONS_KNOWN_MAX)),
            settings: Arc::new(settings),
            shared: Arc::new(Semaphore::new(shared)),
            reserved: Arc::new(Semaphore::new(reserved)),
            runtime: RuntimeEnv::default(),
            session: SessionConfig::new(),
        }
    }

    /// The same engine, which tells of each query that ends.
    pub fn with_observers(self, observers: Vec<Arc<dyn Observer>>) -> Engine {
        self.list.observe(observers);
        self
    }

    /// The settings it runs with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The queries that wait or run now, the oldest first.
    pub fn running(&self) -> Vec<Running> {
        self.list.all()
    }

    /// Ends a query by its number; `false` when it is not there any more.
    pub fn kill(&self, id: u64) -> bool {
        self.list.kill(id)
    }

    /// How many queries wait for a place now.
    pub fn waiting(&self) -> usize {
        self.list.len().saturating_sub(self.list.len_evaluated())
    }

    /// How many queries have a place now.
    pub fn evaluated(&self) -> usize {
        self.list.len_evaluated()
    }

    /// Bytes that all queries hold now.
    pub fn memory_bytes(&self) -> usize {
        self.pool.bytes()
    }

    /// Bytes that all queries may hold.
    pub fn memory_bytes_max(&self) -> usize {
        self.pool.bytes_max()
    }

    /// The present, as queries without a time mean it.
    pub fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    /// Answers a query at one instant.
    pub async fn instant(
        &self,
        text: &str,
        at: TimestampMs,
        options: &QueryOptions,
    ) -> Result<Answer, Error> {
        let started = Instant::now();
        let expr = self.read(text)?;
        let (grid, counting) = (Grid::instant(at.0), options.counting());
        let when = When { grid, end_ms: at.0, is_range: false, counting };
        self.run(Question { text, expr, started }, when, options).await
    }

    /// Answers a query at `start`, `start + step`, … up to `end`.
    #[expect(clippy::too_many_arguments, reason = "the question has these parts in every API")]
    pub async fn range(
        &self,
        text: &str,
        start: TimestampMs,
        end: TimestampMs,
        step_ms: i64,
        options: &QueryOptions,
    ) -> Result<Answer, Error> {
        let started = Instant::now();
        let expr = self.read(text)?;
        let kind = expr.value_type();
        if !matches!(kind, ValueType::Vector | ValueType::Scalar) {
            return Err(Error::Parse {
                message: format!(
                    "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                    kind.describe()
                ),
            });
        }
        if step_ms <= 0 {
            return Err(Error::Execution("the step must be greater than 0".to_owned()));
        }
        let grid = Grid::range(start.0, end.0, step_ms);
        let counting = options.counting();
        let when = When { grid, end_ms: end.0, is_range: true, counting };
        self.run(Question { text, expr, started }, when, options).await
    }

    /// The tree of a query, which may have been asked before.
    fn read(&self, text: &str) -> Result<Arc<Expr>, Error> {
        self.queries.get_or(text, || self.parse(text).map(Arc::new))
    }

    /// Reads a query with the parts of the language that are switched on.
    pub fn parse(&self, text: &str) -> Result<Expr, Error> {
        promql::parse(text, &self.parse_options()).map_err(|problems: Vec<Problem>| {
            let first = problems.first().map(|problem| problem.render(text));
            Error::Parse { message: first.unwrap_or_default() }
        })
    }

    /// The parts of the language that are switched on.
    pub fn parse_options(&self) -> ParseOptions {
        ParseOptions {
            experimental_functions: self.settings.experimental_functions,
            extended_ranges: self.settings.extended_range_selectors,
            fill: self.settings.fill_modifiers,
            ..ParseOptions::default()
        }
    }

    async fn run(
        &self,
        question: Question<'_>,
        when: When,
        options: &QueryOptions,
    ) -> Result<Answer, Error> {
        let Question { text, expr, started } = question;
        let prepare_us = micros(started);
        let step_ms = if when.is_range { when.grid.step_ms } else { 0 };
        let heading = Heading {
            text: text.to_owned(),
            language: Language::PromQl,
            range: (TimestampMs(when.grid.start_ms), TimestampMs(when.end_ms), step_ms),
            priority: options.priority,
            origin: options.origin.clone(),
            user: options.user.clone(),
        };
        let mut seat = self.seat(heading, started, options).await?;
        let (cancel, killed, deadline) = (seat.cancel().clone(), seat.killed(), seat.deadline());
        let guard = cancel.clone().drop_guard();
        let mut context = self.context(text, when, options, seat.ledger().clone());
        let is_small = small::is_small(&expr, when.grid.steps, &context);
        let in_place = is_small.then(|| self.in_place.take(&context.runtime)).flatten();
        if in_place.is_some() {
            // Other threads would be woken for less than that takes.
            context.threads = 1;
        }
        let work = move || {
            // The seat is held until the work has ended, also when nobody waits for it.
            let mut outcome = evaluate(&expr, when, context).map_err(|error| seat.or_killed(error));
            let mut failed = Stats::default();
            let stats = outcome.as_mut().map_or(&mut failed, |answer| &mut answer.stats);
            (stats.prepare_us, stats.queue_us) = (prepare_us, seat.queue_us());
            let stats = stats.clone();
            seat.set_outcome(stats, outcome.as_ref().err().map(Failure::from));
            // A seat that is given up cancels what it was for, so it goes after the answer.
            (outcome, seat)
        };
        if in_place.is_some() {
            let (outcome, _seat) = catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
                Error::Execution("the evaluation ended early: it panicked".to_owned())
            })?;
            drop(guard);
            return outcome;
        }
        let work = tokio::task::spawn_blocking(work);
        // The caller need not wait until the work notices: it ends soon after.
        let answer = tokio::select! {
            biased;
            ended = work => {
                let (outcome, _seat) = ended.map_err(|problem| {
                    Error::Execution(format!("the evaluation ended early: {problem}"))
                })?;
                outcome
            }
            () = cancel.cancelled() => {
                Err(or_killed(Error::Cancelled { phase: EVALUATION }, &killed))
            }
            () = tokio::time::sleep_until((deadline + NOTICED_WITHIN).into()) => {
                Err(Error::TimedOut { phase: EVALUATION })
            }
        };
        drop(guard);
        answer
    }

    /// A place among the queries that run, for work that brings its own evaluation: the same
    /// queue, budgets, deadline, list and log as for PromQL.
    pub async fn seat(
        &self,
        heading: Heading,
        started: Instant,
        options: &QueryOptions,
    ) -> Result<Seat, Error> {
        let timeout_ms = options
            .timeout_ms
            .map_or(self.settings.timeout_ms, |own| own.min(self.settings.timeout_ms));
        let deadline = started + Duration::from_millis(timeout_ms);
        let cancel = options.cancel.clone().unwrap_or_default().child_token();
        let guard = cancel.clone().drop_guard();
        let ledger = self.ledger(options, deadline, &cancel);
        let mut entry = self.enter(heading, (ledger.clone(), cancel.clone()))?;
        let waited = Instant::now();
        let permit = self.place(options.priority, deadline, &cancel).await;
        let queue_us = micros(waited);
        let permit = permit.map_err(|error| {
            let error = or_killed(error, &entry.killed());
            let stats = Stats { queue_us, ..Stats::default() };
            entry.set_outcome(stats, Some(Failure::from(&error)));
            error
        })?;
        entry.set_evaluated();
        guard.disarm();
        Ok(Seat::new(entry, permit, (ledger, cancel, deadline), queue_us))
    }

    /// Puts a query on the list. When too many wait already it is refused, and leaves at once.
    fn enter(
        &self,
        heading: Heading,
        (ledger, cancel): (Ledger, CancellationToken),
    ) -> Result<Entry, Error> {
        let listed_max = self.settings.queue_max.saturating_add(self.settings.concurrent_max);
        let (listed, is_rule) = (self.list.len(), heading.priority == Priority::Rule);
        let mut entry = self.list.enter(heading, ledger, cancel);
        if !is_rule && listed >= listed_max {
            let reason = format!("{listed} queries run or wait, at most {listed_max} may");
            let error = Error::Busy { reason };
            entry.set_outcome(Stats::default(), Some(Failure::from(&error)));
            return Err(error);
        }
        Ok(entry)
    }

    /// Waits for a place until the deadline, or until the query is cancelled.
    async fn place(
        &self,
        priority: Priority,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<OwnedSemaphorePermit, Error> {
        let waiting = tokio::time::timeout_at(deadline.into(), self.admit(priority));
        tokio::select! {
            permit = waiting => permit.map_err(|_| Error::TimedOut { phase: QUEUE }),
            () = cancel.cancelled() => Err(Error::Cancelled { phase: QUEUE }),
        }
    }

    /// A place to run: rules may also take the reserved ones.
    async fn admit(&self, priority: Priority) -> OwnedSemaphorePermit {
        let shared = Arc::clone(&self.shared).acquire_owned();
        let permit = match priority {
            Priority::Rule if self.settings.reserved_for_rules > 0 => tokio::select! {
                biased;
                permit = Arc::clone(&self.reserved).acquire_owned() => permit,
                permit = shared => permit,
            },
            Priority::Rule | Priority::Interactive => shared.await,
        };
        permit.expect("the engine never closes its semaphores")
    }

    fn ledger(
        &self,
        options: &QueryOptions,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Ledger {
        let bytes_max = self.settings.memory_bytes_max;
        let samples_max = options.samples_max.unwrap_or(usize::MAX).min(self.settings.samples_max);
        let limits = Limits { samples_max, bytes_max, deadline, cancel: cancel.clone() };
        let pool = QueryPool::new(&self.pool, bytes_max, options.priority);
        Ledger::new(Arc::new(pool), limits)
    }

    fn context(&self, text: &str, when: When, options: &QueryOptions, ledger: Ledger) -> Context {
        let environment =
            RuntimeEnv { memory_pool: Arc::clone(ledger.pool()), ..self.runtime.clone() };
        // Built by hand: the default would make a runtime environment of its own, per query.
        let task = TaskContext::new(
            None,
            "promql".to_owned(),
            self.session.clone(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            Arc::new(environment),
        );
        let start_ms = when.grid.start_ms;
        let durations = if when.is_range {
            let range_ms = when.end_ms.saturating_sub(start_ms);
            DurationContext { step_ms: when.grid.step_ms, range_ms }
        } else {
            DurationContext::default()
        };
        Context {
            text: text.to_owned(),
            source: Scoped::narrow(&self.source, &options.scope),
            settings: Arc::clone(&self.settings),
            lookback_ms: options.lookback_ms.unwrap_or(self.settings.lookback_ms),
            start_ms,
            end_ms: when.end_ms,
            durations,
            ledger,
            notes: Notes::default(),
            task: Arc::new(task),
            runtime: tokio::runtime::Handle::current(),
            expressions: Arc::clone(&self.expressions),
            threads: self.threads,
            trace: options.is_explained.then(Default::default),
            nodes: std::sync::Mutex::default(),
            looked: Looked::new(when.counting, when.grid.steps).into(),
            series_total: 0.into(),
        }
    }
}

/// Queries whose trees are kept.
const QUERIES_KNOWN_MAX: usize = 256;
/// Regular expressions of functions that are kept.
const EXPRESSIONS_KNOWN_MAX: usize = 64;
/// The phase named when a query waits too long for a place.
const QUEUE: &str = "query queue";
/// Work that has not noticed its deadline after this time is not waited for.
const NOTICED_WITHIN: Duration = Duration::from_millis(100);

/// A query that an operator ended says so, rather than that its caller went away.
pub(crate) fn or_killed(error: Error, killed: &AtomicBool) -> Error {
    match error {
        Error::Cancelled { .. } if killed.load(Ordering::Relaxed) => Error::Killed,
        error => error,
    }
}

/// Stack that one level of a tree takes at most, without optimisation.
const STACK_BYTES_PER_LEVEL: usize = 64 * 1024;

/// Evaluates a tree; a deep one on a thread with a stack that is large enough, which is waited for.
fn evaluate(expr: &Expr, when: When, context: Context) -> Result<Answer, Error> {
    let depth = expr.depth();
    if depth <= small::DEPTH_MAX {
        return evaluate_here(expr, when, context);
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("deep query".to_owned())
            .stack_size(depth * STACK_BYTES_PER_LEVEL)
            .spawn_scoped(scope, || evaluate_here(expr, when, context))
            .map_err(|problem| Error::Busy { reason: format!("no thread for it: {problem}") })?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn evaluate_here(expr: &Expr, when: When, context: Context) -> Result<Answer, Error> {
    let started = Instant::now();
    context.charge_steps(when.grid.steps)?;
    let When { grid, is_range, counting, .. } = when;
    let evaluator = Evaluator { context: &context, grid, hints: Hints::default(), counting };
    let value = answer::value(&evaluator, expr, is_range)?;
    let trace = context.trace.as_ref().map(|trace| {
        let mut trace = trace.lock().unwrap_or_else(|held| held.into_inner());
        (std::mem::take(&mut *trace), context.text.clone())
    });
    let ledger = context.ledger.clone();
    let mut answer = answer::answer(value, context)?;
    // Loops that were told to stop have handed on what there was: that is no answer.
    ledger.check()?;
    if let Some((trace, text)) = trace {
        let tree = trace.tree(expr, &text, &answer.stats.nodes);
        answer.stats.tree = Some(Box::new(tree));
    }
    answer.stats.eval_us = micros(started);
    Ok(answer)
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
