//! `/api/v1/explain`: runs a query, under the limits of any query, and answers what each part of it
//! cost instead of the values.
//!
//! Place in the flow: parameters as of `/query` (`time`) or `/query_range` (`start`, `end`, `step`) →
//! the engine, measured → a tree as JSON, and the same as text.
//!
//! Not here: what is measured (query).

use axum::extract::State;
use query::QueryOptions;
use query::explain::Node;
use serde_json::{Value, json};

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::api::query::{options, range_of};
use crate::parts::Parts;

/// Runs the query and answers the tree.
pub async fn explain(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Value>, ApiError> {
    let engine = parts.engine.clone().ok_or_else(|| ApiError::not_here("query"))?;
    let text = params.required("query")?;
    let options = QueryOptions { is_explained: true, ..options(&params)? };
    let answer = if params.get("start").is_some() {
        let (start, end, step_ms) = range_of(&params)?;
        engine.range(text, start, end, step_ms, &options).await?
    } else {
        let at = params.time_or_now(parts.clock.as_ref())?;
        engine.instant(text, at, &options).await?
    };
    let stats = &answer.stats;
    let seconds = |us: u64| us as f64 / 1e6;
    let mut data = json!({
        "timings": {
            "queueSeconds": seconds(stats.queue_us),
            "prepareSeconds": seconds(stats.prepare_us),
            "evalSeconds": seconds(stats.eval_us),
        },
        "series": stats.series,
        "samples": stats.samples_total,
        "peakSamples": stats.samples_peak,
        "peakBytes": stats.bytes_peak,
        "warnings": answer.warnings,
    });
    if let Some(tree) = &stats.tree {
        data["tree"] = shape(tree);
        data["text"] = Value::from(tree.to_string());
    }
    Ok(Success::new(data))
}

fn shape(node: &Node) -> Value {
    json!({
        "kind": node.kind,
        "text": node.text,
        "start": node.start_byte,
        "end": node.end_byte,
        "fused": node.is_fused,
        "series": node.series,
        "samples": node.samples,
        "bytes": node.bytes,
        "blocksRead": node.reads.blocks_read,
        "blocksPruned": node.reads.blocks_pruned,
        "pagesRead": node.reads.pages_read,
        "pagesPruned": node.reads.pages_pruned,
        "bytesRead": node.reads.bytes_read,
        "seconds": node.time_us as f64 / 1e6,
        "children": node.children.iter().map(shape).collect::<Vec<_>>(),
    })
}
