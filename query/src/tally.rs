//! How queries ended, and how long their parts took.
//!
//! Place in the flow: the engine tells of each query that ends → **`Tally`** → metrics.
//!
//! Not here: the metrics' names (belfry), what runs now (`running`), what panels cost (`cost`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::Durations;

use crate::running::{FailureKind, Finished, Language, Observer};

/// What was counted since the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Queries by language and by how they ended: `ok`, or a word of [`FailureKind`].
    pub ended: BTreeMap<(&'static str, &'static str), u64>,
    /// Samples that went into answers.
    pub samples: u64,
    /// How long they waited for a place; one that was refused at once did not wait.
    pub queue: Durations,
    /// How long reading their text took.
    pub prepare: Durations,
    /// How long they held their place.
    pub eval: Durations,
}

impl Default for Counts {
    /// All that can be counted is there from the beginning, so that the first one is an increase.
    fn default() -> Counts {
        let outcomes = || FailureKind::ALL.map(FailureKind::as_str).into_iter().chain([OK]);
        let of =
            |language: Language| outcomes().map(move |outcome| ((language.as_str(), outcome), 0));
        Counts {
            ended: of(Language::PromQl).chain(of(Language::Sql)).collect(),
            samples: 0,
            queue: Durations::default(),
            prepare: Durations::default(),
            eval: Durations::default(),
        }
    }
}

/// How a query ended that gave an answer.
const OK: &str = "ok";

/// Counts the queries of one engine.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<Counts>,
}

impl Tally {
    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Tally {
    fn finished(&self, finished: &Finished) {
        let Finished { query, stats, failure } = finished;
        let outcome = failure.as_ref().map_or(OK, |failure| failure.kind.as_str());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.ended.entry((query.language.as_str(), outcome)).or_default() += 1;
        counts.samples += stats.samples_total;
        if query.is_evaluated {
            counts.queue.add(Duration::from_micros(stats.queue_us));
            counts.prepare.add(Duration::from_micros(stats.prepare_us));
            let held_us = query.elapsed_us.saturating_sub(stats.queue_us);
            counts.eval.add(Duration::from_micros(held_us));
        } else if outcome != FailureKind::Refused.as_str() {
            counts.queue.add(Duration::from_micros(query.elapsed_us));
        }
    }
}
