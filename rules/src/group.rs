//! One group's evaluation.
//!
//! Place in the flow: the group's task → **`Group::evaluate`** → its rules, one after the other.
//!
//! The results of a rule are stored when it returns, so the next rule sees them at the same instant.
//!
//! Not here: when (`schedule`), one rule (`rule`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use model::sample::stale_nan;
use model::{Labels, TimestampMs};
use tokio_util::sync::CancellationToken;

use crate::config::GroupConfig;
use crate::recording::Recorded;
use crate::rule::{self, Context, Round, Rule};
use crate::schedule::Schedule;
use crate::status::{self, GroupStatus};

/// Defaults of the server for what a group leaves open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub(crate) interval_ms: u64,
    pub(crate) query_offset_ms: u64,
    pub(crate) seed: u64,
}

/// A group with its rules.
pub(crate) struct Group {
    pub(crate) config: GroupConfig,
    pub(crate) schedule: Schedule,
    pub(crate) rules: Vec<Rule>,
    /// Series of rules that were removed; they get their end at the next evaluation.
    pub(crate) orphans: Vec<Labels>,
    query_offset_ms: u64,
    status: Arc<Mutex<GroupStatus>>,
}

impl Group {
    pub(crate) fn new(config: GroupConfig, rules: Vec<Rule>, defaults: Defaults) -> Group {
        let interval_ms = config.interval_ms.unwrap_or(defaults.interval_ms).max(1);
        let query_offset_ms = config.query_offset_ms.unwrap_or(defaults.query_offset_ms);
        let status = GroupStatus {
            file: config.file.clone(),
            name: config.name.clone(),
            interval_ms,
            limit: config.limit,
            query_offset_ms,
            last_evaluation: None,
            evaluation_us: 0,
            iterations: 0,
            iterations_missed: 0,
            rules: rules.iter().map(|rule| Arc::new(rule.status())).collect(),
        };
        Group {
            schedule: Schedule::new(&config.key(), interval_ms, defaults.seed),
            config,
            rules,
            orphans: Vec::new(),
            query_offset_ms,
            status: Arc::new(Mutex::new(status)),
        }
    }

    /// Where the newest snapshot of the group is found.
    pub(crate) fn status(&self) -> Arc<Mutex<GroupStatus>> {
        self.status.clone()
    }

    /// Evaluates all rules at an instant. Ends early when it is cancelled.
    pub(crate) async fn evaluate(
        &mut self,
        context: &Context,
        at: TimestampMs,
        cancel: &CancellationToken,
    ) {
        let begun = Instant::now();
        let round = Round {
            at,
            query_offset_ms: i64::try_from(self.query_offset_ms).unwrap_or(0),
            interval_ms: self.schedule.interval_ms(),
            limit: self.config.limit,
            cancel,
        };
        for index in 0..self.rules.len() {
            if cancel.is_cancelled() {
                return;
            }
            let rule = &mut self.rules[index];
            rule.evaluate(context, round).await;
            let snapshot = Arc::new(rule.status());
            self.update(|status| status.rules[index] = snapshot);
        }
        self.end_orphans(context, at.plus_ms(-round.query_offset_ms)).await;
        context.compact_state().await;
        let evaluation_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        status::add(&context.counters.iterations, 1);
        self.update(|status| {
            status.last_evaluation = Some(at);
            status.evaluation_us = evaluation_us;
            status.iterations += 1;
        });
    }

    fn update(&self, change: impl FnOnce(&mut GroupStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts instants that were skipped.
    pub(crate) fn missed(&self, context: &Context, count: u64) {
        status::add(&context.counters.iterations, count);
        status::add(&context.counters.iterations_missed, count);
        self.update(|status| {
            status.iterations += count;
            status.iterations_missed += count;
        });
    }

    /// Marks the series of removed rules as ended, unless a rule of the group makes them again.
    async fn end_orphans(&mut self, context: &Context, at: TimestampMs) {
        if self.orphans.is_empty() {
            return;
        }
        let alive: HashSet<&Labels> = self.rules.iter().flat_map(|rule| &rule.series).collect();
        let ended: Vec<(Labels, Recorded)> = self
            .orphans
            .iter()
            .filter(|labels| !alive.contains(labels))
            .map(|labels| (labels.clone(), Recorded::Number(stale_nan())))
            .collect();
        if rule::write(context, ended.iter(), at).await.is_ok() {
            self.orphans.clear();
        }
    }

    /// Marks all its series as ended: the group is no more.
    pub(crate) async fn end_all(&mut self, context: &Context, at: TimestampMs) {
        for rule in &mut self.rules {
            self.orphans.extend(rule.series.drain());
        }
        self.end_orphans(context, at).await;
    }
}
