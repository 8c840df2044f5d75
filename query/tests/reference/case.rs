//! One case: series, an expression and instants, asked of the engine and of the reference.
//!
//! Place in the flow: bytes → **`Case`** → equal answers, or what differs.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::TimestampMs;
use model::clock::ManualClock;
use promql::ast::ExprKind;
use promql::functions::ValueType;
use query::{Engine, Error, QueryOptions, Settings, Source, Value, VectorSample};

use crate::choices::Choices;
use crate::grammar::Grammar;
use crate::naive::{self, Element, Labels, Outcome, Point, Series, World};
use crate::table::{Stored, Table, distribution};
use crate::{close, data, order};

/// Where the engine reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    Table,
    Store,
    /// Everything before this instant is in a block.
    Blocks(i64),
}

/// What is asked, on what.
#[derive(Debug)]
pub struct Case {
    pub series: Vec<Series>,
    pub text: String,
    pub start_ms: i64,
    pub end_ms: i64,
    /// `None` for an instant query.
    pub step_ms: Option<i64>,
    pub lookback_ms: i64,
    pub is_delayed: bool,
    pub backing: Backing,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Both gave the same series.
    Same,
    /// Both gave the same nothing.
    SameNothing,
    /// Both refused.
    BothRefused,
    /// The definition leaves the answer open.
    Open,
}

/// An answer: label sets with their points.
pub type Answer = BTreeMap<Labels, BTreeMap<i64, Point>>;

impl Case {
    /// The case that these bytes stand for.
    pub fn new(bytes: &[u8]) -> Case {
        // The question comes first, so that it does not change when the data shrinks.
        let choices = &mut Choices::new(bytes);
        let step_ms = match choices.below(3) {
            0 => None,
            _ => Some([30_000, 15_000, 60_000, 7_000, 1_000][choices.below(5)]),
        };
        let start_ms = choices.below(900) as i64 * 1000 - 20_000;
        let end_ms = start_ms + step_ms.unwrap_or(0) * choices.below(20) as i64;
        let lookback_ms = [300_000, 60_000, 300_000, 20_000][choices.below(4)];
        let is_delayed = !choices.one_in(4);
        let backing = match choices.below(8) {
            6 => Backing::Store,
            7 => Backing::Blocks(choices.below(1000) as i64 * 1000),
            _ => Backing::Table,
        };
        let text = Grammar { choices }.query(step_ms.is_none());
        let series = data::series(choices);
        Case { series, text, start_ms, end_ms, step_ms, lookback_ms, is_delayed, backing }
    }

    /// Asks both.
    pub fn run(&self, runtime: &tokio::runtime::Runtime) -> Result<Verdict, String> {
        let mut notes = BTreeSet::new();
        let found = runtime.block_on(self.engine(&mut notes))?;
        let (expected, expected_notes, is_open) = self.reference(0);
        if is_open {
            return Ok(Verdict::Open);
        }
        if found.is_ok() && expected.is_ok() {
            self.check_notes(&notes, &expected_notes)?;
        }
        let is_exact = self.is_exact();
        let share = if is_exact { 0.0 } else { close::SHARE };
        let difference = match (&found, &expected) {
            (Err(_), Err(_)) => return Ok(Verdict::BothRefused),
            (Ok(found), Ok(expected)) => match close::difference(found, expected, share) {
                None if expected.is_empty() => return Ok(Verdict::SameNothing),
                None => return Ok(Verdict::Same),
                Some(difference) => difference,
            },
            (Ok(_), Err(problem)) => format!("the reference refuses: {problem}"),
            (Err(problem), Ok(_)) => format!("the engine refuses: {problem}"),
        };
        // What other orders of additions may change by itself shows nothing.
        for seed in (1..4).filter(|_| !is_exact) {
            let (noisy, _, _) = self.reference(seed);
            let is_shaky = match (&noisy, &expected) {
                (Ok(noisy), Ok(expected)) => {
                    close::difference(noisy, expected, close::SHARE).is_some()
                }
                (Err(_), Err(_)) => false,
                _ => true,
            };
            if is_shaky {
                return Ok(Verdict::Open);
            }
        }
        Err(format!("{difference}\n{}", self.describe()))
    }

    /// Whether the definition says in which order numbers are added: one window of one series.
    fn is_exact(&self) -> bool {
        const IN_ORDER: [&str; 25] = [
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "changes",
            "resets",
            "sum_over_time",
            "avg_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "deriv",
            "predict_linear",
            "min_over_time",
            "max_over_time",
            "count_over_time",
            "last_over_time",
            "first_over_time",
            "quantile_over_time",
            "mad_over_time",
            "double_exponential_smoothing",
            "ts_of_first_over_time",
            "ts_of_last_over_time",
            "ts_of_min_over_time",
            "ts_of_max_over_time",
        ];
        let Ok(expr) = promql::parse(&self.text, &promql::ParseOptions::all()) else {
            return false;
        };
        let ExprKind::Call(call) = &expr.without_parens().kind else { return false };
        let is_window = |arg: &promql::ast::Expr| match &arg.without_parens().kind {
            ExprKind::Matrix(matrix) => matrix.selector.extension.is_none(),
            _ => false,
        };
        // A mean whose sum is too large for a number goes on in a way of its own.
        let is_huge = |point: &Point| matches!(point, Point::Number(own) if own.abs() > 1e290);
        let has_huge = |own: &Series| own.samples.iter().any(|(_, point)| is_huge(point));
        self.step_ms.is_none()
            && !self.series.iter().any(has_huge)
            && IN_ORDER.contains(&call.function.name)
            && call.args.iter().any(is_window)
    }

    /// What one needs to see it again.
    pub fn describe(&self) -> String {
        let Case { text, start_ms, end_ms, step_ms, lookback_ms, is_delayed, backing, .. } = self;
        let mut described = format!(
            "{text}\nfrom {start_ms} to {end_ms} step {step_ms:?}, look-back {lookback_ms}, names \
             dropped late: {is_delayed}, {backing:?}\n"
        );
        for own in &self.series {
            let expr = promql::parse(text, &promql::ParseOptions::all());
            let is_asked = expr.is_ok_and(|expr| {
                expr.selectors().iter().any(|selector| {
                    selector.matchers.iter().all(|matcher| {
                        matcher.matches(own.labels.get(matcher.name()).map_or("", String::as_str))
                    })
                })
            });
            if is_asked {
                described.push_str(&format!("{:?} {:?}\n", own.labels, own.samples));
            }
        }
        described
    }

    async fn engine(&self, notes: &mut BTreeSet<String>) -> Result<Result<Answer, Error>, String> {
        let settings = Settings { delayed_name_removal: self.is_delayed, ..Settings::default() };
        let clock = Arc::new(ManualClock::new(TimestampMs(self.end_ms)));
        let (source, _stored): (Arc<dyn Source>, Option<Stored>) = match self.backing {
            Backing::Table => (Arc::new(Table::new(&self.series)), None),
            Backing::Store | Backing::Blocks(_) => {
                let until = match self.backing {
                    Backing::Blocks(until_ms) => Some(until_ms),
                    _ => None,
                };
                let stored = Stored::new(&self.series, until).await?;
                (stored.store.clone(), Some(stored))
            }
        };
        let engine = Engine::new(source, clock, settings);
        let options =
            QueryOptions { lookback_ms: Some(self.lookback_ms), ..QueryOptions::default() };
        let (start, end) = (TimestampMs(self.start_ms), TimestampMs(self.end_ms));
        let answer = match self.step_ms {
            None => engine.instant(&self.text, start, &options).await,
            Some(step_ms) => engine.range(&self.text, start, end, step_ms, &options).await,
        };
        match answer {
            Err(Error::Parse { message }) => Err(format!("{message}: {}", self.text)),
            Err(problem) => Ok(Err(problem)),
            Ok(answer) => {
                notes.extend(answer.warnings.iter().chain(&answer.infos).cloned());
                if let (Value::Vector(samples), None) = (&answer.value, self.step_ms) {
                    self.check_order(samples)?;
                }
                answer_of(answer.value).map(Ok)
            }
        }
    }

    /// The notes that the reference knows of are said by both.
    fn check_notes(
        &self,
        found: &BTreeSet<String>,
        expected: &BTreeSet<String>,
    ) -> Result<(), String> {
        // What smoothing says of its neighbours is left to upstream's files.
        if ["smoothed", "anchored"].iter().any(|word| self.text.contains(word)) {
            return Ok(());
        }
        // How many steps a sort sees inside of a subquery, or when time stands still, is its own.
        let is_plain = !self.text.contains(['@', ':']);
        let is_known = |text: &&str| {
            naive::note::KNOWN.iter().any(|known| text.starts_with(known))
                && (is_plain || !text.starts_with("sort is"))
        };
        let bare = |text: &'_ String| -> Option<String> {
            let (_, text) = text.split_once(": ")?;
            Some(text.rsplit_once(" (")?.0.to_owned())
        };
        let found: BTreeSet<String> = found.iter().filter_map(bare).collect();
        let found: BTreeSet<&str> = found.iter().map(String::as_str).filter(is_known).collect();
        let expected: BTreeSet<&str> =
            expected.iter().map(String::as_str).filter(is_known).collect();
        match found == expected {
            true => Ok(()),
            false => Err(format!("said {found:?}, not {expected:?}\n{}", self.describe())),
        }
    }

    fn check_order(&self, samples: &[VectorSample]) -> Result<(), String> {
        let expr = promql::parse(&self.text, &promql::ParseOptions::all());
        let expr = expr.map_err(|problems| format!("{problems:?}"))?;
        let samples: Vec<order::Sample> =
            samples.iter().map(|own| (labels_of(&own.labels), point_of(own))).collect();
        match order::difference(&expr, &samples) {
            Some(difference) => Err(format!("{difference}\n{}", self.describe())),
            None => Ok(()),
        }
    }

    /// The reference's answer, and whether the definition leaves it open.
    fn reference(&self, noise: u64) -> (Outcome<Answer>, BTreeSet<String>, bool) {
        let world = World {
            series: &self.series,
            lookback_ms: self.lookback_ms,
            is_delayed: self.is_delayed,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            step_ms: self.step_ms.unwrap_or(0),
            subquery_step_ms: Settings::default().default_subquery_step_ms,
            is_ambiguous: Cell::new(false),
            noise: Cell::new(noise),
            notes: RefCell::default(),
        };
        let answer = self.step_by_step(&world);
        (answer, world.notes.take(), world.is_ambiguous.get())
    }

    fn step_by_step(&self, world: &World) -> Outcome<Answer> {
        let expr = promql::parse(&self.text, &promql::ParseOptions::all());
        let expr = expr.map_err(|problems| format!("{problems:?}"))?;
        let plain = expr.without_parens();
        if expr.value_type() == ValueType::Matrix {
            let mut answer = Answer::new();
            for window in world.at(self.start_ms).windows(plain)? {
                let mut labels = window.labels;
                if window.drop_name && matches!(plain.kind, ExprKind::Subquery(_)) {
                    naive::drop_name(&mut labels);
                }
                for (at_ms, point) in window.samples {
                    put(&mut answer, &labels, at_ms, point)?;
                }
            }
            return Ok(answer);
        }
        // Per label set: whether the name goes, and the points.
        let mut all: BTreeMap<Labels, (bool, BTreeMap<i64, Point>)> = BTreeMap::new();
        let mut at_ms = self.start_ms;
        while at_ms <= self.end_ms {
            let elements = match world.at(at_ms).eval(&expr)? {
                naive::Value::Vector(elements) => elements,
                naive::Value::Scalar(value) => vec![Element {
                    labels: Labels::new(),
                    drop_name: false,
                    point: Point::Number(value),
                }],
                naive::Value::Text(text) => return Err(text),
            };
            naive::unique(&elements)?;
            for own in elements {
                let entry = all.entry(own.labels).or_default();
                entry.0 |= own.drop_name;
                entry.1.insert(at_ms, own.point);
            }
            at_ms += self.step_ms.unwrap_or(i64::MAX / 2);
        }
        let mut answer = Answer::new();
        for (mut labels, (drop_name, points)) in all {
            if drop_name {
                naive::drop_name(&mut labels);
            }
            for (at_ms, point) in points {
                put(&mut answer, &labels, at_ms, point)?;
            }
        }
        Ok(answer)
    }
}

fn put(answer: &mut Answer, labels: &Labels, at_ms: i64, point: Point) -> Outcome<()> {
    match answer.entry(labels.clone()).or_default().insert(at_ms, point) {
        None => Ok(()),
        Some(_) => Err("vector cannot contain metrics with the same labelset".to_owned()),
    }
}

fn labels_of(own: &model::Labels) -> Labels {
    own.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn point_of(own: &VectorSample) -> Point {
    match &own.histogram {
        None => Point::Number(own.value),
        Some(histogram) => distribution(histogram).into(),
    }
}

/// The engine's answer; it must not hold one label set twice.
fn answer_of(value: Value) -> Result<Answer, String> {
    let mut answer = Answer::new();
    match value {
        Value::Scalar { at, value } => {
            put(&mut answer, &Labels::new(), at.0, Point::Number(value))?;
        }
        Value::Text { .. } => return Err("a text".to_owned()),
        Value::Vector(samples) => {
            for own in samples {
                put(&mut answer, &labels_of(&own.labels), own.at.0, point_of(&own))?;
            }
        }
        Value::Matrix(all) => {
            if !all.is_sorted_by(|a, b| a.labels < b.labels) {
                return Err("the matrix is not sorted by labels".to_owned());
            }
            for own in all {
                let labels = labels_of(&own.labels);
                for (at, value) in own.points {
                    put(&mut answer, &labels, at.0, Point::Number(value))?;
                }
                for (at, histogram) in own.histograms {
                    put(&mut answer, &labels, at.0, distribution(&histogram).into())?;
                }
            }
        }
    }
    Ok(answer)
}
