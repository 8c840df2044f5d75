//! `info`: adds the labels of info metrics that share `job` and `instance`.
//!
//! Place in the flow: `function::call` → **`info`** → the same values under more labels.
//!
//! At each step the newest matching info series of every info metric gives its labels; labels the
//! base series has stay as they are. Which labels are wanted, and from which metrics, is said by the
//! matchers of the second argument.
//!
//! Not here: choosing samples (`leaf`).

use std::collections::{BTreeMap, HashMap};

use model::labels::METRIC_NAME;
use model::{Labels, MatchOp, Matcher};
use promql::ast::{Duration, Expr, ExprKind, Modifiers, Span, VectorSelector};

use crate::block::{Block, Key, MergingBuilder};
use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::evaluate::range::any_valid;
use crate::kernel::Row;
use crate::names::braced;

/// The labels that say whom an info series is about.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// What the second argument asks for.
struct Wanted {
    name: Vec<Matcher>,
    data: Vec<Matcher>,
}

impl Wanted {
    fn of(args: &[Expr]) -> Result<Wanted, Error> {
        let selector = args.get(1).map(|arg| &arg.without_parens().kind);
        let matchers = match selector {
            Some(ExprKind::Vector(selector)) => selector.matchers.as_slice(),
            _ => &[],
        };
        let (mut name, data): (Vec<_>, Vec<_>) =
            matchers.iter().cloned().partition(|matcher| matcher.name() == METRIC_NAME);
        if name.is_empty() {
            name.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !name.iter().any(is_positive) {
            let any = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info");
            name.push(any.map_err(|problem| Error::Execution(problem.to_string()))?);
        }
        Ok(Wanted { name, data })
    }

    fn is_info(&self, labels: &Labels) -> bool {
        self.name.iter().all(|matcher| matcher.matches(labels.metric_name()))
    }

    fn wants(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|matcher| matcher.name() == label)
    }
}

fn is_positive(matcher: &Matcher) -> bool {
    matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex)
}

fn identity(labels: &Labels) -> Labels {
    labels.filtered(|label| IDENTIFYING.contains(&label))
}

/// `info`
pub fn info(own: &Evaluator, args: &[Expr]) -> Result<Block, Error> {
    let wanted = Wanted::of(args)?;
    let base = own.eval_vector(&args[0])?;
    let needs_info = |key: &Key| !wanted.is_info(&key.labels);
    let infos = if base.keys().iter().any(needs_info) {
        Infos::read(own, &wanted, args, &base)?
    } else {
        Infos::default()
    };
    infos.refuse_duplicates(&any_valid(&base, &own.context.ledger)?)?;
    let mut builder = MergingBuilder::new(base.steps(), &own.context.ledger);
    let mut row = Row::new(base.steps());
    let pace = own.pace();
    for (series, key) in base.keys().iter().enumerate() {
        pace.spend(256)?;
        if !needs_info(key) {
            base.read_row(series, &mut row);
            builder.push(key.clone(), &row)?;
            continue;
        }
        let mut rows: BTreeMap<Labels, Row> = BTreeMap::new();
        for step in 0..base.steps() {
            let Some(element) = base.element(series, step) else { continue };
            pace.spend(1024)?;
            if let Some(labels) = infos.enrich(&wanted, &key.labels, step)? {
                let row = rows.entry(labels).or_insert_with(|| Row::new(base.steps()));
                row.set_element(step, element);
            }
        }
        for (labels, row) in rows {
            builder.push(Key { labels, drop_name: key.drop_name }, &row)?;
        }
    }
    Ok(builder.finish())
}

/// The info series, by whom they are about.
#[derive(Default)]
struct Infos {
    labels: Vec<Labels>,
    times: Option<Block>,
    by_identity: HashMap<Labels, Vec<usize>>,
}

impl Infos {
    fn read(own: &Evaluator, wanted: &Wanted, args: &[Expr], base: &Block) -> Result<Infos, Error> {
        let mut matchers: Vec<Matcher> = wanted.name.clone();
        matchers.extend(wanted.data.iter().cloned());
        for label in IDENTIFYING {
            matchers.push(values_of(label, base)?);
        }
        let selector = VectorSelector {
            name: None,
            matchers,
            modifiers: modifiers_of(own, &args[0])?,
            extension: None,
        };
        let span = args.get(1).map_or(Span::default(), |arg| arg.span);
        let times = own.info_times(span, &selector)?;
        let labels: Vec<Labels> = times.keys().iter().map(|key| key.labels.clone()).collect();
        let mut by_identity: HashMap<Labels, Vec<usize>> = HashMap::new();
        for (series, labels) in labels.iter().enumerate() {
            by_identity.entry(identity(labels)).or_default().push(series);
        }
        Ok(Infos { labels, times: Some(times), by_identity })
    }

    /// Of two info series that say something about the same at the same instant none is the newest.
    fn refuse_duplicates(&self, base_present: &[bool]) -> Result<(), Error> {
        let Some(times) = &self.times else { return Ok(()) };
        let mut rivals: BTreeMap<(&Labels, &str), Vec<usize>> = BTreeMap::new();
        for (identity, all) in &self.by_identity {
            for series in all {
                let name = self.labels[*series].metric_name();
                rivals.entry((identity, name)).or_default().push(*series);
            }
        }
        for all in rivals.values().filter(|all| all.len() > 1) {
            for (step, _) in base_present.iter().enumerate().filter(|(_, present)| **present) {
                let mut newest: Option<(f64, usize)> = None;
                for (at, series) in
                    all.iter().filter_map(|own| Some((times.get(*own, step)?, *own)))
                {
                    match newest {
                        Some((other_at, other)) if other_at == at => {
                            return Err(Error::Execution(format!(
                                "found duplicate series for info metric: existing {} @ {ms}, \
                                 new {} @ {ms}",
                                braced(&self.labels[other]),
                                braced(&self.labels[series]),
                                ms = (at * 1000.0).round(),
                            )));
                        }
                        Some((other_at, _)) if other_at > at => {}
                        _ => newest = Some((at, series)),
                    }
                }
            }
        }
        Ok(())
    }

    /// The labels of a base series with what the info series of a step add; `None` when the step is
    /// to be left out because a wanted label is missing.
    fn enrich(&self, wanted: &Wanted, base: &Labels, step: usize) -> Result<Option<Labels>, Error> {
        let mut newest: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        let identity = identity(base);
        let candidates = self.by_identity.get(&identity).filter(|_| !identity.is_empty());
        for &series in candidates.into_iter().flatten() {
            let Some(at) = self.times.as_ref().and_then(|times| times.get(series, step)) else {
                continue;
            };
            let name = self.labels[series].metric_name();
            let best = newest.entry(name).or_insert((at, series));
            if at > best.0 {
                *best = (at, series);
            }
        }
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        for (_, series) in newest.values() {
            for (label, value) in self.labels[*series].iter() {
                let is_data = label != METRIC_NAME && !IDENTIFYING.contains(&label);
                if !is_data || !wanted.wants(label) || base.get(label).is_some() {
                    continue;
                }
                if added.insert(label, value).is_some_and(|other| other != value) {
                    return Err(Error::Execution(format!("conflicting label: {label}")));
                }
            }
        }
        let is_missing =
            newest.is_empty() && wanted.data.iter().any(|matcher| !matcher.matches_empty());
        if is_missing {
            return Ok(None);
        }
        let mut builder = base.to_builder();
        for (label, value) in added {
            builder.set(label, value);
        }
        Ok(Some(builder.build()))
    }
}

/// A matcher for the values that a label has among some series.
fn values_of(label: &str, base: &Block) -> Result<Matcher, Error> {
    let mut values: Vec<String> =
        base.keys().iter().map(|key| regex::escape(key.labels.get(label).unwrap_or(""))).collect();
    values.sort_unstable();
    values.dedup();
    let matcher = Matcher::new(label, MatchOp::Regex, &values.join("|"));
    matcher.map_err(|problem| Error::Execution(problem.to_string()))
}

/// Info series are looked at when the first selector of the base expression is: the modifiers of
/// the subqueries around it and its own add up.
fn modifiers_of(own: &Evaluator, base: &Expr) -> Result<Modifiers, Error> {
    let mut at = None;
    let mut offset_ms = 0_i64;
    let mut next = Some(base);
    while let Some(expr) = next {
        let modifiers = match &expr.kind {
            ExprKind::Vector(selector) => Some(&selector.modifiers),
            ExprKind::Matrix(matrix) => Some(&matrix.selector.modifiers),
            ExprKind::Subquery(subquery) => Some(&subquery.modifiers),
            _ => None,
        };
        if let Some(modifiers) = modifiers {
            let own_ms = own.offset_ms(modifiers)?;
            let is_fixed = modifiers.at.is_some();
            at = modifiers.at.or(at);
            offset_ms = if is_fixed { own_ms } else { offset_ms.saturating_add(own_ms) };
        }
        let has_selector = |child: &&Expr| !child.selectors().is_empty();
        next = expr.children().into_iter().find(has_selector);
    }
    let offset = Duration::Fixed { ms: offset_ms, span: base.span };
    Ok(Modifiers { offset: Some(offset), at })
}
