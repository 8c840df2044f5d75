//! Instant selectors, and when selectors are evaluated.
//!
//! Place in the flow: `Evaluator::eval` → **`selector`** → index → `leaf`.
//!
//! Not here: range selectors (`range`).

use std::sync::Arc;

use model::{TimeRange, TimestampMs};
use promql::ast::{AtTime, Extension, Modifiers, Span, VectorSelector};

use super::Evaluator;
use crate::block::Block;
use crate::error::Error;
use crate::fragment::{Leaf, Partial, Selection, Times};
use crate::kernel::lookback::Output;
use crate::ledger::Charge;
use crate::source::{Beside, Grouped, Groups, Keep};

/// A leaf that is ready to run, but for its aggregate.
pub struct PreparedLeaf {
    /// Where the selector stands.
    pub span: Span,
    /// The series.
    pub selection: Arc<Selection>,
    /// Which samples can matter.
    pub range: TimeRange,
    /// When it is evaluated.
    pub times: Times,
    /// What is computed.
    pub leaf: Leaf,
    /// What the series have beside their numbers; empty as a rule.
    pub beside: Vec<Beside>,
    /// Holds the account of `beside`.
    pub charge: Charge,
    /// What it is folded into.
    pub partial: Option<Partial>,
}

impl Evaluator<'_> {
    /// When a selector or subquery with these modifiers is evaluated.
    pub fn times(&self, modifiers: &Modifiers) -> Result<Times, Error> {
        let context = self.context;
        let offset_ms = self.offset_ms(modifiers)?;
        let at_ms = modifiers.at.map(|at| match at.time {
            AtTime::Fixed(at) => at.0,
            AtTime::Start => context.start_ms,
            AtTime::End => context.end_ms,
        });
        let eval_ms: Vec<i64> = self.grid.instants().collect();
        let right_ms = match at_ms {
            Some(at_ms) => vec![at_ms.saturating_sub(offset_ms); eval_ms.len()],
            None => eval_ms.iter().map(|at| at.saturating_sub(offset_ms)).collect(),
        };
        Ok(Times { right_ms, eval_ms, is_fixed: at_ms.is_some() })
    }

    /// The offset of a selector or subquery; zero when there is none.
    pub fn offset_ms(&self, modifiers: &Modifiers) -> Result<i64, Error> {
        let Some(offset) = &modifiers.offset else { return Ok(0) };
        let offset_ms = offset.offset_ms(self.context.durations);
        offset_ms.map_err(|problem| Error::Execution(problem.message))
    }

    /// Chooses the series of a selector and makes its leaf ready.
    pub fn prepare(
        &self,
        span: Span,
        selector: &VectorSelector,
        leaf: Leaf,
    ) -> Result<PreparedLeaf, Error> {
        let (times, range) = self.times_and_range(selector, &leaf)?;
        let selection = match range {
            Some(range) => self.context.source.series(&selector.matchers, range)?,
            None => Vec::new(),
        };
        let (ids, labels): (Vec<_>, Vec<_>) = selection.into_iter().unzip();
        self.make_ready(span, leaf, (times, range), Selection { ids, labels })
    }

    /// The same without any series: they would be left out.
    pub fn prepare_nothing(
        &self,
        span: Span,
        selector: &VectorSelector,
        leaf: Leaf,
    ) -> Result<PreparedLeaf, Error> {
        let when = self.times_and_range(selector, &leaf)?;
        self.make_ready(span, leaf, when, Selection::default())
    }

    /// The same for an aggregation: the labels of single series are left out, but for those that the
    /// ways of grouping keep.
    pub fn prepare_grouped(
        &self,
        span: Span,
        selector: &VectorSelector,
        leaf: Leaf,
        ways: &[Keep<'_>],
    ) -> Result<(PreparedLeaf, Vec<Groups>), Error> {
        let (times, range) = self.times_and_range(selector, &leaf)?;
        let Grouped { ids, ways } = match range {
            Some(range) => self.context.source.grouped(&selector.matchers, range, ways)?,
            None => Grouped { ids: Vec::new(), ways: vec![Groups::default(); ways.len()] },
        };
        let selection = Selection { ids, labels: Vec::new() };
        Ok((self.make_ready(span, leaf, (times, range), selection)?, ways))
    }

    /// When a selector is evaluated, and which samples can matter; `None` when there is no step.
    fn times_and_range(
        &self,
        selector: &VectorSelector,
        leaf: &Leaf,
    ) -> Result<(Times, Option<TimeRange>), Error> {
        let times = self.times(&selector.modifiers)?;
        let (before_ms, after_ms) = leaf.reach_ms();
        let edges = times.right_ms.first().zip(times.right_ms.last());
        let range = edges.and_then(|(first, last)| {
            let start_ms = TimestampMs(first.saturating_sub(before_ms)).plus_ms(1);
            TimeRange::closed(start_ms, TimestampMs(last.saturating_add(after_ms)))
        });
        Ok((times, range))
    }

    fn make_ready(
        &self,
        span: Span,
        leaf: Leaf,
        (times, range): (Times, Option<TimeRange>),
        selection: Selection,
    ) -> Result<PreparedLeaf, Error> {
        self.context.ledger.check()?;
        self.context.refuse_too_many(span, selection.ids.len())?;
        let (beside, charge) = self.read_beside(&selection.ids, range)?;
        Ok(PreparedLeaf {
            span,
            selection: Arc::new(selection),
            range: range.unwrap_or(TimeRange::ALL),
            times,
            leaf,
            beside,
            charge,
            partial: None,
        })
    }

    /// What an instant selector computes.
    pub fn instant_leaf(&self, selector: &VectorSelector) -> Result<Leaf, Error> {
        let lookback_ms = self.context.lookback_ms;
        match selector.extension {
            Some(Extension::Smoothed) => Ok(Leaf::Smoothed { lookback_ms }),
            Some(Extension::Anchored) => {
                let problem = "anchored modifier can only be used with a range selector";
                Err(Error::Execution(problem.to_owned()))
            }
            None => Ok(Leaf::LookBack { lookback_ms, output: Output::Value }),
        }
    }

    /// The newest sample of each series at each step.
    pub fn instant_selector(&self, span: Span, selector: &VectorSelector) -> Result<Block, Error> {
        let prepared = self.prepare(span, selector, self.instant_leaf(selector)?)?;
        self.run_plain(prepared)
    }

    /// The instants of the newest samples, in seconds, as a new metric.
    pub fn sample_times(&self, span: Span, selector: &VectorSelector) -> Result<Block, Error> {
        let block = self.run_plain(self.prepare_times(span, selector, Output::Timestamp)?)?;
        self.drop_names(block)
    }

    /// The start timestamps of the newest samples, in seconds, as a new metric.
    pub fn start_times(&self, span: Span, selector: &VectorSelector) -> Result<Block, Error> {
        let block =
            self.run_plain(self.prepare_times(span, selector, Output::StartTimestamp)?)?;
        self.drop_names(block)
    }

    /// The instants of the newest samples of info metrics, in seconds, under the series' own labels.
    /// An info metric has numbers only.
    pub fn info_times(&self, span: Span, selector: &VectorSelector) -> Result<Block, Error> {
        let prepared = self.prepare_times(span, selector, Output::Timestamp)?;
        if let Some(own) = prepared.beside.iter().find(|own| !own.histograms.is_empty()) {
            let labels = &prepared.selection.labels[own.position];
            return Err(Error::Execution(format!(
                "this should be an info metric, with float samples: {}",
                crate::names::braced(labels)
            )));
        }
        self.run_plain(prepared)
    }

    fn prepare_times(
        &self,
        span: Span,
        selector: &VectorSelector,
        output: Output,
    ) -> Result<PreparedLeaf, Error> {
        let lookback_ms = self.context.lookback_ms;
        self.prepare(span, selector, Leaf::LookBack { lookback_ms, output })
    }
}
