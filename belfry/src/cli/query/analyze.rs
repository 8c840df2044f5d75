//! `belfry query analyze`: how well the buckets of histograms are used.
//!
//! Place in the flow: selectors → series of the server → per histogram: buckets, buckets that ever
//! held something, and a recommendation by the shape.
//!
//! Classic histograms are read from their `_bucket` series, native ones from their own.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, ValueEnum};
use model::Clock;
use model::TimestampMs;
use model::clock::SystemClock;
use serde_json::Value;

use super::{Format, query_error, time_or};
use crate::cli::output::{quoted, table};
use crate::cli::server::{Reach, Server};
use crate::cli::times;

/// Scrapes that one series is read over at most.
const POINTS_MAX: u64 = 10_000;

/// What kind of metrics is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Histograms, classic and native.
    Histogram,
}

/// What `analyze` is told.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The server to ask, such as http://localhost:9090.
    #[arg(long, value_name = "SERVER")]
    server: String,
    #[command(flatten)]
    reach: Reach,
    /// What is looked at.
    #[arg(long = "type", value_enum, value_name = "KIND")]
    kind: Kind,
    /// Which series; can be given several times.
    #[arg(long = "match", value_name = "SELECTOR", required = true)]
    selectors: Vec<String>,
    /// How far back.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = times::duration)]
    duration: Duration,
    /// The last instant: RFC 3339, or seconds since 1970 [default: now].
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// How the answer is written.
    #[arg(short = 'o', long = "format", value_enum, default_value = "table")]
    format: Format,
}

/// What was found about one histogram.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    series: String,
    is_native: bool,
    /// Bounds that exist.
    buckets: usize,
    /// Those that ever held an observation in the range.
    used: usize,
    observations: f64,
}

/// Asks for every histogram that matches.
pub async fn run(arguments: &Arguments) -> Result<String, String> {
    let Kind::Histogram = arguments.kind;
    let server = Server::new(&arguments.server, &arguments.reach).await?;
    let end = time_or(arguments.time.as_deref(), "evaluation", SystemClock.now())?;
    let range_ms = u64::try_from(arguments.duration.as_millis()).unwrap_or(u64::MAX).max(1000);
    let mut found = Vec::new();
    for selector in &arguments.selectors {
        let native = ask(&server, selector, end, range_ms).await?;
        found.extend(native.iter().filter_map(native_finding));
        let Some(bucket_selector) = with_suffix(selector, "_bucket")? else { continue };
        let classic = ask(&server, &bucket_selector, end, range_ms).await?;
        found.extend(classic_findings(&classic));
    }
    if found.is_empty() {
        let selectors = arguments.selectors.join(", ");
        return Err(format!("no histogram matches {selectors} in that time"));
    }
    found.sort_by(|one, other| one.series.cmp(&other.series));
    Ok(shown(&found, arguments.format))
}

/// The points of the last range, in one matrix.
async fn ask(
    server: &Server,
    selector: &str,
    end: TimestampMs,
    range_ms: u64,
) -> Result<Vec<Value>, String> {
    let range = model::duration::format_duration_ms(range_ms.min(POINTS_MAX * 3_600_000));
    let form = [("query", format!("{selector}[{range}]")), ("time", times::seconds(end))];
    let answer = server.ask("/api/v1/query", &form).await.map_err(query_error)?;
    Ok(answer.data["result"].as_array().cloned().unwrap_or_default())
}

/// The selector of another metric with the same matchers; `None` when it names no metric.
fn with_suffix(selector: &str, suffix: &str) -> Result<Option<String>, String> {
    let matchers = promql::parse_selector(selector).map_err(|problems| {
        problems.iter().map(|problem| problem.render(selector)).collect::<Vec<_>>().join("\n")
    })?;
    let is_name = |own: &&model::Matcher| {
        own.name() == model::labels::METRIC_NAME && own.op() == model::matcher::MatchOp::Equal
    };
    let Some(name) = matchers.iter().find(is_name) else { return Ok(None) };
    if name.value().ends_with(suffix) {
        return Ok(None);
    }
    let others = matchers.iter().filter(|own| !is_name(own));
    let texts =
        others.map(|own| format!(",{}{}{}", own.name(), own.op().sign(), quoted(own.value())));
    let rest: String = texts.collect();
    Ok(Some(format!("{{__name__={}{rest}}}", quoted(&format!("{}{suffix}", name.value())))))
}

fn metric(labels: &Value, without: &str) -> String {
    let pairs = labels.as_object().into_iter().flatten().filter(|(name, _)| *name != without);
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    model::Labels::from_pairs(pairs).to_string()
}

fn native_finding(series: &Value) -> Option<Finding> {
    let points = series["histograms"].as_array().filter(|points| !points.is_empty())?;
    let mut bounds: BTreeMap<String, bool> = BTreeMap::new();
    let mut observations = 0.0;
    for point in points {
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
        observations = number(&point[1]["count"]).unwrap_or(observations);
        for bucket in point[1]["buckets"].as_array().into_iter().flatten() {
            let is_used = number(&bucket[3]).is_some_and(|count| count > 0.0);
            *bounds.entry(format!("{}..{}", bucket[1], bucket[2])).or_default() |= is_used;
        }
    }
    let used = bounds.values().filter(|used| **used).count();
    let series = metric(&series["metric"], "");
    Some(Finding { series, is_native: true, buckets: bounds.len(), used, observations })
}

/// Bucket series of one histogram together; a bucket is used when it ever holds more than the one
/// below it.
fn classic_findings(series: &[Value]) -> Vec<Finding> {
    let mut by_histogram: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for one in series {
        let bound = one["metric"]["le"].as_str().and_then(model::sample::parse_value);
        let last = one["values"].as_array().and_then(|values| values.last());
        let count = last.and_then(|pair| pair[1].as_str()).and_then(model::sample::parse_value);
        let (Some(bound), Some(count)) = (bound, count) else { continue };
        by_histogram.entry(metric(&one["metric"], "le")).or_default().push((bound, count));
    }
    let mut found = Vec::new();
    for (series, mut buckets) in by_histogram {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let below = std::iter::once(0.0).chain(buckets.iter().map(|bucket| bucket.1));
        let used = buckets.iter().zip(below).filter(|(bucket, below)| bucket.1 > *below).count();
        let observations = buckets.last().map_or(0.0, |bucket| bucket.1);
        found.push(Finding {
            series,
            is_native: false,
            buckets: buckets.len(),
            used,
            observations,
        });
    }
    found
}

fn shown(found: &[Finding], format: Format) -> String {
    if format == Format::Json {
        let one = |own: &Finding| {
            serde_json::json!({"series": own.series, "native": own.is_native,
                "buckets": own.buckets, "used": own.used, "observations": own.observations})
        };
        return Value::Array(found.iter().map(one).collect()).to_string();
    }
    let head = ["SERIES", "KIND", "BUCKETS", "USED", "OBSERVATIONS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for own in found {
        let kind = if own.is_native { "native" } else { "classic" };
        let numbers = [own.buckets.to_string(), own.used.to_string(), own.observations.to_string()];
        let [buckets, used, observations] = numbers;
        rows.push(vec![own.series.clone(), kind.to_owned(), buckets, used, observations]);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_buckets() {
        let one = |bound: &str, count: &str| {
            serde_json::json!({"metric": {"__name__": "h_bucket", "le": bound},
                "values": [[1, "0"], [2, count]]})
        };
        let found =
            classic_findings(&[one("+Inf", "5"), one("1", "2"), one("2", "2"), one("5", "5")]);
        let expected = Finding {
            series: "h_bucket".to_owned(),
            is_native: false,
            buckets: 4,
            used: 2,
            observations: 5.0,
        };
        assert_eq!(found, [expected]);
        let suffixed = with_suffix(r#"h{a!="b"}"#, "_bucket").expect("a selector");
        assert_eq!(suffixed.as_deref(), Some(r#"{__name__="h_bucket",a!="b"}"#));
    }
}
