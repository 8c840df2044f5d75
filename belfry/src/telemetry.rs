//! Logs to standard error, and Belfry's own metrics.
//!
//! Place in the flow: rooms count; here their counters become metrics, at `/metrics` for others and
//! as an in-process target for ourselves.
//!
//! Not here: anything that leaves the machine. Belfry sends no telemetry.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use model::BoxFuture;
use model::exporter::{Exporter, Family, FamilySample, MetricKind};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, MetricFamily, MetricType};
use tracing_subscriber::EnvFilter;

/// Starts logging. A second call changes nothing. The error says what is wrong with the filter.
pub fn init_logs(filter: &str, json: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| format!("--log: {error}; write a level such as info, or TARGET=LEVEL"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A logger that is set already (in a test) stays.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
    Ok(())
}

/// Reads one room's counters as families.
pub type Reader = Box<dyn Fn() -> Vec<Family> + Send + Sync>;

/// All rooms' counters as one collector of the metrics registry.
#[derive(Clone, Default)]
pub struct SelfMetrics {
    readers: Arc<Mutex<Vec<Reader>>>,
}

impl SelfMetrics {
    /// Adds a room.
    pub fn add(&self, reader: Reader) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
    }

    /// Drops all rooms, so that nothing keeps them alive after the stop.
    pub fn clear(&self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn families(&self) -> Vec<Family> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.iter().flat_map(|reader| reader()).collect()
    }
}

impl Collector for SelfMetrics {
    fn desc(&self) -> Vec<&Desc> {
        // An unchecked collector: the families come from the rooms and carry their own names.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families().iter().map(to_proto).collect()
    }
}

impl Exporter for SelfMetrics {
    fn collect(&self) -> BoxFuture<'_, Result<Vec<Family>, String>> {
        let families = self.families();
        Box::pin(async move { Ok(families) })
    }
}

fn to_proto(family: &Family) -> MetricFamily {
    let mut out = MetricFamily::default();
    out.set_name(family.name.clone());
    out.set_help(family.help.clone());
    let (kind, metrics) = match family.kind {
        MetricKind::Histogram => (MetricType::HISTOGRAM, histograms(&family.samples)),
        MetricKind::Counter => (MetricType::COUNTER, family.samples.iter().map(counted).collect()),
        _ => (MetricType::GAUGE, family.samples.iter().map(gauged).collect()),
    };
    out.set_field_type(kind);
    out.set_metric(metrics);
    out
}

fn counted(sample: &FamilySample) -> proto::Metric {
    let mut value = proto::Counter::default();
    value.set_value(sample.value);
    let mut metric = labelled(&sample.labels);
    metric.set_counter(value);
    metric
}

fn gauged(sample: &FamilySample) -> proto::Metric {
    let mut value = proto::Gauge::default();
    value.set_value(sample.value);
    let mut metric = labelled(&sample.labels);
    metric.set_gauge(value);
    metric
}

/// Histograms as they are in [`model::Durations`]: the buckets of one, its sum, its count, the next.
fn histograms(samples: &[FamilySample]) -> Vec<proto::Metric> {
    let (mut own, mut buckets) = (proto::Histogram::default(), Vec::new());
    let mut metrics = Vec::new();
    for sample in samples {
        match sample.suffix {
            "_bucket" => {
                let bound = sample.labels.last().and_then(|(_, bound)| bound.parse().ok());
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(bound.unwrap_or(f64::INFINITY));
                bucket.set_cumulative_count(sample.value as u64);
                buckets.push(bucket);
            }
            "_sum" => own.set_sample_sum(sample.value),
            _ => {
                own.set_sample_count(sample.value as u64);
                own.set_bucket(std::mem::take(&mut buckets));
                let mut metric = labelled(&sample.labels);
                metric.set_histogram(std::mem::take(&mut own));
                metrics.push(metric);
            }
        }
    }
    metrics
}

fn labelled(labels: &[(String, String)]) -> proto::Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name(name.clone());
        pair.set_value(value.clone());
        pair
    });
    let mut metric = proto::Metric::default();
    metric.set_label(pairs.collect());
    metric
}

/// A counter without labels.
pub fn counter(name: &str, help: &str, value: u64) -> Family {
    single(name, MetricKind::Counter, help, value as f64)
}

/// A gauge without labels.
pub fn gauge(name: &str, help: &str, value: f64) -> Family {
    single(name, MetricKind::Gauge, help, value)
}

fn single(name: &str, kind: MetricKind, help: &str, value: f64) -> Family {
    let mut family = Family::new(name, kind, help);
    family.sample(&[], value);
    family
}

/// A counter with one label.
pub fn counters<'a>(
    name: &str,
    help: &str,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, u64)>,
) -> Family {
    let mut family = Family::new(name, MetricKind::Counter, help);
    for (value, count) in values {
        family.sample(&[(label, value)], count as f64);
    }
    family
}

/// Belfry's own use of the machine, from /proc/self.
pub fn process_families() -> Vec<Family> {
    let mut families = Vec::new();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let fields: HashMap<&str, &str> =
        status.lines().filter_map(|line| line.split_once(':')).collect();
    let kib = |name: &str| -> Option<f64> {
        fields.get(name)?.trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    if let Some(rss) = kib("VmRSS") {
        let help = "Resident memory size in bytes.";
        families.push(gauge("process_resident_memory_bytes", help, rss * 1024.0));
    }
    // Fields 14 and 15 of stat, counted after the program's name, are clock ticks of 10 ms.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> =
        after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse().ok()).collect();
    if let [user, system] = ticks[..] {
        let help = "Total user and system CPU time spent in seconds.";
        let seconds = (user + system) / 100.0;
        families.push(single("process_cpu_seconds_total", MetricKind::Counter, help, seconds));
    }
    families
}
