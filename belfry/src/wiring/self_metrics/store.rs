//! The store's counters as metrics.
//!
//! Not here: when they are asked (`self_metrics`).

use model::exporter::{Family, MetricKind};
use storage::Stats;

use crate::telemetry::{counter, counters, gauge};

/// What the store holds, and what became of what it was given.
pub fn families(stats: &Stats) -> Vec<Family> {
    [store_memory(stats), store_blocks(stats), store_state(stats), store_counts(stats)].concat()
}

fn store_memory(stats: &Stats) -> Vec<Family> {
    vec![
        gauge("belfry_store_series", "Series the store knows.", stats.series as f64),
        gauge(
            "belfry_store_series_ended",
            "Known series without a sample for long: they do not count against limits.",
            stats.series_ended as f64,
        ),
        gauge(
            "belfry_store_registry_bytes",
            "Memory for labels and numbers of series.",
            stats.registry_bytes as f64,
        ),
        series_refused(stats),
        gauge(
            "belfry_store_memtable_samples",
            "Samples that are not in a block yet.",
            stats.samples_in_memtable as f64,
        ),
        gauge(
            "belfry_store_memory_histograms",
            "Native histograms that are not in a block yet.",
            stats.histograms_in_memory as f64,
        ),
        gauge("belfry_store_exemplars", "Exemplars in memory.", stats.exemplars as f64),
        gauge("belfry_store_memtable_bytes", "Memory of those.", stats.memtable_bytes as f64),
    ]
}

fn store_blocks(stats: &Stats) -> Vec<Family> {
    vec![
        gauge("belfry_store_blocks", "Blocks on disk.", stats.blocks as f64),
        gauge("belfry_store_block_bytes", "Bytes of all blocks.", stats.block_bytes as f64),
        gauge(
            "belfry_store_tombstones",
            "Deletions that are not carried out everywhere yet.",
            stats.tombstones as f64,
        ),
        gauge(
            "belfry_store_upkeep_failing",
            "1 while blocks can't be merged or dropped, or the flusher has ended.",
            f64::from(u8::from(stats.upkeep_failure.is_some())),
        ),
        counter(
            "belfry_store_compactions_total",
            "Merges of blocks, rewritings for deletions included.",
            stats.compactions_count,
        ),
        counter(
            "belfry_store_compaction_failures_total",
            "Merges that failed and are tried again.",
            stats.compaction_failures_count,
        ),
        counter(
            "belfry_store_compacted_bytes_total",
            "Bytes of blocks that merges wrote.",
            stats.compacted_bytes,
        ),
        counters(
            "belfry_store_blocks_dropped_total",
            "Blocks dropped by retention, by reason.",
            "reason",
            [
                ("age", stats.blocks_dropped_by_age_count),
                ("size", stats.blocks_dropped_by_size_count),
            ],
        ),
    ]
}

fn store_state(stats: &Stats) -> Vec<Family> {
    let unavailable = f64::from(u8::from(stats.unavailable.is_some()));
    vec![
        gauge("belfry_store_journal_bytes", "Bytes of the journal.", stats.journal_bytes as f64),
        gauge("belfry_store_damaged", "Damaged files set aside.", stats.damaged.len() as f64),
        gauge("belfry_store_unavailable", "1 while the store takes no samples.", unavailable),
    ]
}

fn store_counts(stats: &Stats) -> Vec<Family> {
    let refused = stats.refused.iter().map(|(reason, count)| (reason.as_str(), *count));
    vec![
        counter(
            "belfry_store_samples_accepted_total",
            "Samples that are durable.",
            stats.samples_accepted_count,
        ),
        counter(
            "belfry_store_histograms_accepted_total",
            "Native histograms that are durable.",
            stats.histograms_accepted_count,
        ),
        counter(
            "belfry_store_exemplars_accepted_total",
            "Exemplars that are durable.",
            stats.exemplars_accepted_count,
        ),
        counter("belfry_store_commits_total", "Commits to the journal.", stats.commits_count),
        counter(
            "belfry_store_series_created_total",
            "Series that were new.",
            stats.series_created_count,
        ),
        counter(
            "belfry_store_flush_failures_total",
            "Flushes that failed and are tried again.",
            stats.flush_failures_count,
        ),
        counters(
            "belfry_store_samples_refused_total",
            "Samples refused, by reason.",
            "reason",
            refused,
        ),
    ]
}

/// The ten worst: a label per culprit that anybody can bring must not grow without end.
fn series_refused(stats: &Stats) -> Family {
    let help = "Samples refused for a limit of series, by who brought them; the ten worst.";
    let mut family = Family::new("belfry_store_series_refused_total", MetricKind::Counter, help);
    for line in &stats.series_refused {
        let (culprit, limit) = (&line.culprit, line.culprit.limit.as_str());
        let labels =
            [("limit", limit), ("of_job", &culprit.job), ("of_instance", &culprit.instance)];
        family.sample(&labels, line.samples as f64);
    }
    family
}
