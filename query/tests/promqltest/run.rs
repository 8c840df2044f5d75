//! Runs the commands of one file against an engine and judges every case.
//!
//! Place in the flow: `script` → **`run`** (asks the engine, `compare`, `pinned`) → `main` counts.
//!
//! A case passes when its query and all its variants agree with what is expected.

use std::sync::Arc;
use std::time::Duration;

use model::TimestampMs;
use model::clock::ManualClock;
use promql::series::Item;
use promql::{Expr, ParseOptions};
use query::{Answer, Engine, QueryOptions, Settings};

use crate::backing::{Backing, Data};
use crate::compare;
use crate::native;
use crate::pinned::{pinned, times};
use crate::script::{Case, Command, Load, When};
use crate::table::{Element, Sample};

/// Longest that one engine call may take before the case counts as failed.
const CALL_MAX: Duration = Duration::from_secs(120);

/// What became of a case.
pub enum Outcome {
    Passed,
    Failed(String),
    /// Needs a feature that a plain server does not have, and was refused as it must be.
    Gated(&'static str),
}

/// What is the same for all files.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Everything on, or a plain server.
    pub all_features: bool,
    pub backing: Backing,
    /// Ask each question once only, without its variants.
    pub once: bool,
}

/// Judges one file after another.
pub struct Runner<'a> {
    plan: Plan,
    runtime: &'a tokio::runtime::Runtime,
    data: Data,
    engine: Engine,
    has_starts: bool,
}

/// Why there is no answer.
enum Trouble {
    /// The engine said no.
    Refused(String),
    /// It did not come to an end by itself: always a failure.
    Broken(String),
}

impl<'a> Runner<'a> {
    pub fn new(plan: Plan, runtime: &'a tokio::runtime::Runtime) -> Result<Runner<'a>, String> {
        let data = Data::new(plan.backing)?;
        let engine = engine(plan, &data);
        Ok(Runner { plan, runtime, data, engine, has_starts: false })
    }

    /// Runs one command; an outcome when it was a case. An error ends the file.
    pub fn command(&mut self, command: &Command) -> Result<Option<Outcome>, String> {
        match command {
            Command::Clear => {
                self.data = Data::new(self.plan.backing)?;
                self.engine = engine(self.plan, &self.data);
                self.has_starts = false;
                Ok(None)
            }
            Command::Load(load) => self.load(load).map(|()| None),
            Command::Eval(case) => Ok(Some(self.case(case))),
        }
    }

    fn load(&mut self, load: &Load) -> Result<(), String> {
        let mut samples = Vec::new();
        for series in &load.series {
            self.has_starts |= series.starts.is_some();
            for (index, item) in series.items.iter().enumerate() {
                let at = TimestampMs(load.step_ms * index as i64);
                let element = match item {
                    Item::Missing => continue,
                    Item::Float(value) => Element::Float(*value),
                    Item::Histogram(literal) => {
                        Element::Histogram(Arc::new(native::histogram(literal)))
                    }
                };
                let start = series.starts.as_ref().and_then(|starts| starts[index]);
                let start = start.map(|offset_ms| at.plus_ms(offset_ms));
                samples.push((series.labels.clone(), at, Sample { element, start }));
            }
        }
        if load.with_nhcb {
            for (labels, step, histogram) in native::converted(&load.series) {
                let at = TimestampMs(load.step_ms * step as i64);
                let element = Element::Histogram(Arc::new(histogram));
                samples.push((labels, at, Sample { element, start: None }));
            }
        }
        let line = load.line;
        let loaded = self.runtime.block_on(self.data.add(samples));
        loaded.map_err(|message| format!("{line}:1: load failed: {message}"))
    }

    fn case(&self, case: &Case) -> Outcome {
        let expr = match promql::parse(&case.text, &ParseOptions::all()) {
            Ok(expr) => expr,
            Err(problems) => return Outcome::Failed(problems[0].render(&case.text)),
        };
        if !self.plan.all_features
            && let Some(outcome) = self.gated(case)
        {
            return outcome;
        }
        let engine = &self.engine;
        match (Judge { engine, plan: self.plan, runtime: self.runtime }).judge(case, &expr) {
            Ok(()) => Outcome::Passed,
            Err(reason) => Outcome::Failed(reason),
        }
    }

    /// A plain server must refuse what needs a feature.
    fn gated(&self, case: &Case) -> Option<Outcome> {
        if self.has_starts {
            return Some(Outcome::Gated("start-timestamps"));
        }
        let plain = ParseOptions::default();
        if promql::parse(&case.text, &plain).is_ok() {
            return None;
        }
        let features = [
            ("experimental-functions", ParseOptions { experimental_functions: true, ..plain }),
            ("extended-range-selectors", ParseOptions { extended_ranges: true, ..plain }),
            ("fill", ParseOptions { fill: true, ..plain }),
        ];
        let is_enough = |options: &ParseOptions| promql::parse(&case.text, options).is_ok();
        let feature = features.iter().find(|(_, options)| is_enough(options));
        let feature = feature.map_or("several features", |(feature, _)| feature);
        let judge = Judge { engine: &self.engine, plan: self.plan, runtime: self.runtime };
        Some(match judge.ask(&case.text, case.when) {
            Err(Trouble::Refused(_)) => Outcome::Gated(feature),
            Err(Trouble::Broken(reason)) => Outcome::Failed(reason),
            Ok(_) => Outcome::Failed(format!("a plain server must refuse {feature}")),
        })
    }
}

/// Asks one engine.
struct Judge<'a> {
    engine: &'a Engine,
    plan: Plan,
    runtime: &'a tokio::runtime::Runtime,
}

impl Judge<'_> {
    fn judge(&self, case: &Case, expr: &Expr) -> Result<(), String> {
        let at = match (case.when, case.expected.range_vector) {
            (When::Range { start, step_ms, .. }, _) => {
                return self.check(case, &case.text, case.when, |answer| match &answer.value {
                    query::Value::Matrix(series) => {
                        compare::matrix(&case.expected, start, step_ms, series)
                    }
                    other => Err(format!("expected a matrix, got a {}", other.kind())),
                });
            }
            (When::Instant(_), Some((_, end, _))) => end,
            (When::Instant(at), None) => at,
        };
        self.instant(case, &case.text, at)?;
        if self.plan.once {
            return Ok(());
        }
        self.range_form(case, &case.text, at)?;
        let Some(variant) = pinned(&case.text, expr, at) else { return Ok(()) };
        for time in times(at) {
            let describe = |reason| format!("as {variant:?} at {} s: {reason}", time.seconds());
            self.instant(case, &variant, time).map_err(describe)?;
            self.range_form(case, &variant, time).map_err(describe)?;
        }
        Ok(())
    }

    fn instant(&self, case: &Case, text: &str, at: TimestampMs) -> Result<(), String> {
        self.check(case, text, When::Instant(at), |answer| {
            compare::instant(&case.expected, &answer.value)
        })
    }

    fn check(
        &self,
        case: &Case,
        text: &str,
        when: When,
        judge: impl FnOnce(&Answer) -> Result<(), String>,
    ) -> Result<(), String> {
        match (self.ask(text, when), &case.expected.fail) {
            (Err(Trouble::Broken(reason)), _) => Err(reason),
            (Err(Trouble::Refused(message)), Some(wanted)) if wanted.matches(&message) => Ok(()),
            (Err(Trouble::Refused(message)), Some(wanted)) => {
                Err(format!("expected failure {wanted:?}, got {message:?}"))
            }
            (Err(Trouble::Refused(message)), None) => Err(format!("query failed: {message}")),
            (Ok(_), Some(_)) => Err("expected a failure, the query succeeded".to_owned()),
            (Ok(answer), None) => {
                judge(&answer)?;
                compare::notes(&case.expected, &answer)
            }
        }
    }

    /// The same question as a range query around its instant.
    fn range_form(&self, case: &Case, text: &str, at: TimestampMs) -> Result<(), String> {
        let expected = &case.expected;
        let is_bound = ["start()", "end()", "range()", "step()"]
            .iter()
            .any(|call| text.to_ascii_lowercase().contains(call));
        if expected.fail.is_some()
            || expected.range_vector.is_some()
            || expected.text.is_some()
            || is_bound
        {
            return Ok(());
        }
        let minute_ms = 60_000;
        let (start, end) = (at.plus_ms(-minute_ms), at.plus_ms(minute_ms));
        match self.ask(text, When::Range { start, end, step_ms: minute_ms }) {
            Ok(answer) => compare::at_instant(expected, at, &answer.value),
            Err(Trouble::Refused(reason) | Trouble::Broken(reason)) => Err(reason),
        }
        .map_err(|reason| format!("as a range query: {reason}"))
    }

    fn ask(&self, text: &str, when: When) -> Result<Answer, Trouble> {
        let (engine, text) = (self.engine.clone(), text.to_owned());
        let call = self.runtime.spawn(async move {
            let options = QueryOptions::default();
            match when {
                When::Instant(at) => engine.instant(&text, at, &options).await,
                When::Range { start, end, step_ms } => {
                    engine.range(&text, start, end, step_ms, &options).await
                }
            }
        });
        match self.runtime.block_on(async { tokio::time::timeout(CALL_MAX, call).await }) {
            Err(_) => Err(Trouble::Broken("the engine did not answer in time".to_owned())),
            Ok(Err(error)) => Err(Trouble::Broken(format!("the engine panicked: {error}"))),
            Ok(Ok(Err(error))) => Err(Trouble::Refused(without_position(&error.to_string()))),
            Ok(Ok(Ok(answer))) => Ok(answer),
        }
    }
}

fn engine(plan: Plan, data: &Data) -> Engine {
    let settings = Settings {
        samples_max: 10_000,
        timeout_ms: 100_000,
        lookback_ms: 5 * 60 * 1000,
        default_subquery_step_ms: 60 * 1000,
        delayed_name_removal: true,
        experimental_functions: plan.all_features,
        extended_range_selectors: plan.all_features,
        fill_modifiers: plan.all_features,
        ..Settings::default()
    };
    Engine::new(data.source(), Arc::new(ManualClock::default()), settings)
}

/// `1:2: parse error: message` without the place.
fn without_position(message: &str) -> String {
    match message.split_once(": parse error: ") {
        Some((place, rest)) if place.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') => {
            rest.to_owned()
        }
        _ => message.to_owned(),
    }
}
