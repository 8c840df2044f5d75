//! `belfry tsdb analyze`: what makes the most series.
//!
//! Place in the flow: [`storage::Store::cardinality`] → lists, in promtool's words where it has them.

use std::path::Path;

use serde_json::{Value, json};
use storage::cardinality::Count;

use super::{Format, look};
use crate::cli::times;

/// The lists of a folder.
pub fn run(data: &Path, limit: usize, format: Format) -> Result<String, String> {
    let held = look(data)?;
    let (stats, found) = (held.store.stats(), held.store.cardinality(limit));
    let lists = [
        ("Label pairs most involved in series", &found.series_by_pair),
        ("Label names with highest cumulative label value length", &found.value_bytes_by_label),
        ("Highest cardinality labels", &found.values_by_label),
        ("Highest cardinality metric names", &found.series_by_metric),
        ("Metric names with most bytes in blocks", &found.block_bytes_by_metric),
    ];
    let samples = stats.block_samples + stats.samples_in_memtable;
    if format == Format::Json {
        let list = |counts: &[Count]| {
            let one = |own: &Count| json!({"name": own.name, "value": own.count});
            Value::Array(counts.iter().map(one).collect())
        };
        let figures = json!({
            "series": found.series, "labelNames": found.label_names, "labelPairs": found.label_pairs,
            "samples": samples, "blocks": stats.blocks, "blockBytes": stats.block_bytes,
            "journalBytes": stats.journal_bytes, "damaged": stats.damaged,
            "seriesCountByLabelValuePair": list(&found.series_by_pair),
            "memoryInBytesByLabelName": list(&found.value_bytes_by_label),
            "labelValueCountByLabelName": list(&found.values_by_label),
            "seriesCountByMetricName": list(&found.series_by_metric),
            "blockBytesByMetricName": list(&found.block_bytes_by_metric),
        });
        return Ok(figures.to_string());
    }
    let mut text = format!(
        "Blocks: {}\nSamples: {samples}\nSeries: {}\nLabel names: {}\nPostings (unique label pairs): {}\n",
        stats.blocks, found.series, found.label_names, found.label_pairs
    );
    if let (Some(oldest), Some(newest)) = (stats.oldest_ms, stats.newest_ms) {
        text.push_str(&format!("From {} to {}\n", times::civil(oldest), times::civil(newest)));
    }
    if samples > 0 {
        let each = stats.block_bytes as f64 / stats.block_samples.max(1) as f64;
        text.push_str(&format!("Bytes in blocks: {} ({each:.2} a sample)\n", stats.block_bytes));
    }
    for damage in &stats.damaged {
        text.push_str(&format!("Damaged: {damage}\n"));
    }
    for (title, counts) in lists {
        text.push_str(&format!("\n{title}:\n"));
        counts.iter().for_each(|own| text.push_str(&format!("{} {}\n", own.count, own.name)));
    }
    Ok(text.trim_end().to_owned())
}
