//! How many series there may be: in all, of one job, of one target.
//!
//! Place in the flow: the committer's plan asks before it makes a new series; figures name who
//! brought too many.
//!
//! Series that are known go on whatever the limits say; only new ones are refused. Those that ended
//! do not count: they cost little, and what came and went must not keep out what comes now. Only of
//! all that is known there may be [`KNOWN_PER_LIVE`] times as much, since it is named in memory.
//!
//! Invariants: what is remembered of the refused is bounded.
//!
//! Not here: limits of a label set (`model::limits`), refusing itself (`plan`).

use std::collections::{BTreeMap, HashMap, HashSet};

use model::Labels;
use roaring::RoaringBitmap;

use crate::Settings;
use crate::head::Head;
use crate::series::Registry;

/// Targets whose refused samples are counted on their own; those of further ones are counted as one.
const CULPRITS_MAX: usize = 1000;
/// Series looked at to find the label whose values multiply.
const LOOKED_AT_MAX: usize = 2000;

/// Known series for each one of the limit of series in all; most of them ended.
pub const KNOWN_PER_LIVE: u64 = 4;

/// Which limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeriesLimit {
    /// Series in all.
    All,
    /// Series of one job.
    Job,
    /// Series of one target: one job and one instance.
    Target,
}

impl SeriesLimit {
    /// The word used in metrics and figures: the name of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            SeriesLimit::All => "series_max",
            SeriesLimit::Job => "series_per_job_max",
            SeriesLimit::Target => "series_per_target_max",
        }
    }
}

/// Whose series were refused. An empty job or instance: the label was absent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Culprit {
    /// The limit that was met.
    pub limit: SeriesLimit,
    /// The job.
    pub job: String,
    /// The instance; empty too when the limit is one of a job.
    pub instance: String,
}

/// One line of the figures: who brought too many series, and by which label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSeries {
    /// Who, and which limit was met.
    pub culprit: Culprit,
    /// The label with the most distinct values among the series that were taken, and how many of
    /// those there are; empty when there are none.
    pub label: (String, u64),
    /// Samples refused since the start.
    pub samples: u64,
}

/// New series of one group of batches, which the registry does not know yet.
#[derive(Debug, Default)]
pub struct Tally {
    new: u64,
    by_job: HashMap<String, Count>,
    by_target: HashMap<(String, String), Count>,
    refused: BTreeMap<Culprit, u64>,
}

/// Series of a job or target.
#[derive(Debug, Default)]
struct Count {
    /// New ones of this group.
    new: u64,
    /// Those that were known before it and have not ended, once somebody had to look.
    live: Option<u64>,
}

impl Count {
    /// Whether there is no room for another one. `known` counts those that ended too, `all` finds
    /// them.
    fn is_full(
        &mut self,
        max: u64,
        known: u64,
        (ended, all): (&RoaringBitmap, impl FnOnce() -> RoaringBitmap),
    ) -> bool {
        if max == 0 || known + self.new < max {
            return false;
        }
        let live = *self.live.get_or_insert_with(|| all().difference_len(ended));
        live + self.new >= max
    }
}

impl Tally {
    /// Counts a new series, unless it goes beyond a limit.
    pub fn admit(&mut self, head: &Head, settings: &Settings, labels: &Labels) -> bool {
        let met = self.met(head, settings, labels);
        if let Some(limit) = met {
            let text = |name| labels.get(name).unwrap_or("").to_owned();
            let instance = if limit == SeriesLimit::Job { String::new() } else { text("instance") };
            let culprit = Culprit { limit, job: text("job"), instance };
            *self.refused.entry(culprit).or_default() += 1;
        } else {
            self.new += 1;
        }
        met.is_none()
    }

    fn met(&mut self, head: &Head, settings: &Settings, labels: &Labels) -> Option<SeriesLimit> {
        let (registry, ended) = (&head.registry, head.memtable.ended());
        let (known, max) = (registry.len() as u64 + self.new, settings.series_max);
        if known >= max.saturating_mul(KNOWN_PER_LIVE) || known >= max && known - ended.len() >= max
        {
            return Some(SeriesLimit::All);
        }
        let (job_max, target_max) = (settings.series_per_job_max, settings.series_per_target_max);
        if job_max == 0 && target_max == 0 {
            return None;
        }
        let job = labels.get("job").unwrap_or("");
        let instance = labels.get("instance").unwrap_or("");
        let of_job = self.by_job.entry(job.to_owned()).or_default();
        let target = (job.to_owned(), instance.to_owned());
        let of_target = self.by_target.entry(target).or_default();
        let all = || registry.slots_of(job, None);
        if of_job.is_full(job_max, registry.job_series(job), (ended, all)) {
            return Some(SeriesLimit::Job);
        }
        let all = || registry.slots_of(job, Some(instance));
        if of_target.is_full(target_max, registry.target_series(job, instance), (ended, all)) {
            return Some(SeriesLimit::Target);
        }
        of_job.new += 1;
        of_target.new += 1;
        None
    }

    /// Samples that were refused, by culprit.
    pub fn into_refused(self) -> BTreeMap<Culprit, u64> {
        self.refused
    }
}

/// Adds to the counts, which stay bounded.
pub fn count(counts: &mut BTreeMap<Culprit, u64>, refused: BTreeMap<Culprit, u64>) {
    for (culprit, samples) in refused {
        if let Some(known) = counts.get_mut(&culprit) {
            *known += samples;
            continue;
        }
        let others = Culprit { job: "…".to_owned(), instance: String::new(), ..culprit };
        let culprit = if counts.len() < CULPRITS_MAX { culprit } else { others };
        *counts.entry(culprit).or_default() += samples;
    }
}

/// The largest counts, each with the label whose values multiply.
pub fn top(
    counts: &BTreeMap<Culprit, u64>,
    registry: &Registry,
    limit: usize,
) -> Vec<RefusedSeries> {
    let mut sorted: Vec<(&Culprit, u64)> =
        counts.iter().map(|(who, count)| (who, *count)).collect();
    sorted.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
    sorted.truncate(limit);
    let line = |(culprit, samples): (&Culprit, u64)| RefusedSeries {
        culprit: culprit.clone(),
        label: multiplying_label(registry, culprit),
        samples,
    };
    sorted.into_iter().map(line).collect()
}

fn multiplying_label(registry: &Registry, culprit: &Culprit) -> (String, u64) {
    let instance = (culprit.limit != SeriesLimit::Job).then_some(culprit.instance.as_str());
    let slots = registry.slots_of(&culprit.job, instance);
    let mut values: HashMap<u32, HashSet<u32>> = HashMap::new();
    let pairs = registry.index().pairs();
    // The newest are those that multiply.
    for slot in slots.iter().rev().take(LOOKED_AT_MAX) {
        for pair in registry.row(slot) {
            values.entry(pairs.label(*pair)).or_default().insert(*pair);
        }
    }
    let counted = values.iter().map(|(label, values)| (values.len() as u64, *label));
    match counted.max_by_key(|(count, label)| (*count, std::cmp::Reverse(*label))) {
        Some((count, label)) => (pairs.labels()[label as usize].name.to_string(), count),
        None => (String::new(), 0),
    }
}
