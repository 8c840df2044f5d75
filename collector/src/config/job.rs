//! One entry of `scrape_configs`: which targets, how often, how, and with which limits.
//!
//! Place in the flow: YAML → **`read`** → [`Job`] → `discovery`, `target`, `scrape`, `pass`.
//!
//! Not here: authentication and TLS (`client`), relabel rules (`relabel`), discovery (`discovery`).

use std::sync::Arc;

use model::fields::Fields;
use model::limits::SCRAPE_BODY_BYTES_MAX;

use super::client::{self, ClientSettings};
use super::discovery::{self, FileDiscovery};
use super::global::Global;
use super::relabel;
use crate::exposition::{PROTOCOLS, Protocol};
use crate::relabel::Rule;
use crate::target::Group;

/// Which names are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Names {
    /// Any UTF-8.
    #[default]
    Utf8,
    /// Letters, digits, underscores (and colons in metric names).
    Legacy,
}

impl Names {
    /// Whether a label may have that name.
    pub fn is_valid_label(self, name: &str) -> bool {
        match self {
            Names::Utf8 => !name.is_empty(),
            Names::Legacy => model::labels::is_label_name(name),
        }
    }
}

/// Limits of one scrape. An exceeded limit fails the whole scrape. Zero means none, but for the
/// body, which always has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Longest body, unpacked.
    pub body_bytes_max: usize,
    /// Most samples after metric relabelling.
    pub samples_max: usize,
    /// Most labels of one series.
    pub labels_max: usize,
    /// Longest label name.
    pub label_name_bytes_max: usize,
    /// Longest label value.
    pub label_value_bytes_max: usize,
    /// Most targets of the job.
    pub targets_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: SCRAPE_BODY_BYTES_MAX,
            samples_max: 0,
            labels_max: 0,
            label_name_bytes_max: 0,
            label_value_bytes_max: 0,
            targets_max: 0,
        }
    }
}

/// What both `global` and a job can say about scraping.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scraping {
    /// Limits of one scrape.
    pub limits: Limits,
    /// What is asked for, best first.
    pub protocols: Vec<Protocol>,
    /// Which names are allowed.
    pub names: Names,
    /// How foreign names are to be escaped by the target.
    pub escaping: String,
    /// Whether the three optional report series are written.
    pub extra_metrics: bool,
}

impl Default for Scraping {
    fn default() -> Scraping {
        Scraping {
            limits: Limits::default(),
            protocols: PROTOCOLS.to_vec(),
            names: Names::Utf8,
            escaping: "allow-utf-8".to_owned(),
            extra_metrics: false,
        }
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name, unique in the file.
    pub name: String,
    /// How often its targets are scraped.
    pub interval_ms: u64,
    /// The deadline of one scrape.
    pub timeout_ms: u64,
    /// The path of the page.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// What follows the path.
    pub params: Vec<(String, Vec<String>)>,
    /// Whether a scraped label wins over the target's of the same name.
    pub honor_labels: bool,
    /// Whether times on the page are taken.
    pub honor_timestamps: bool,
    /// Whether series with times of their own are marked stale too.
    pub track_timestamps_staleness: bool,
    /// Whether a packed page is asked for.
    pub compression: bool,
    /// How a page without a known Content-Type is read.
    pub fallback_protocol: Option<Protocol>,
    /// Limits, protocols, names.
    pub scraping: Scraping,
    /// How requests are made.
    pub client: ClientSettings,
    /// The targets of `static_configs`.
    pub groups: Vec<Arc<Group>>,
    /// The blocks of `file_sd_configs`.
    pub files: Vec<FileDiscovery>,
    /// Rules for targets.
    pub relabel: Vec<Rule>,
    /// Rules for series.
    pub metric_relabel: Vec<Rule>,
}

impl Job {
    /// The settings of an exporter inside the process: no discovery, no rules, the usual limits.
    pub(crate) fn inside(name: &str, interval_ms: u64, timeout_ms: u64) -> Job {
        Job {
            name: name.to_owned(),
            interval_ms,
            timeout_ms,
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            compression: true,
            fallback_protocol: None,
            scraping: Scraping::default(),
            client: ClientSettings::default(),
            groups: Vec::new(),
            files: Vec::new(),
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
        }
    }
}

/// Reads a job.
pub(super) fn read(mut fields: Fields<'_>, global: &Global) -> Job {
    let interval_ms = fields.duration_ms("scrape_interval").filter(|ms| *ms > 0);
    let interval_ms = interval_ms.unwrap_or(global.scrape_interval_ms);
    let timeout_ms = timeout_ms(&mut fields, interval_ms, global.scrape_timeout_ms);
    let scraping = read_scraping(&mut fields, &global.scraping);
    let classic_names = scraping.names == Names::Legacy;
    let fallback = fields.text("fallback_scrape_protocol");
    let fallback_protocol = fallback.and_then(|name| {
        let protocol = protocol(&fields, "fallback_scrape_protocol", &name);
        protocol.unwrap_or_default()
    });
    // They say where upstream writes or how it shows things; samples do not depend on them.
    fields.accept(&["scrape_failure_log_file"]);
    let job = Job {
        name: fields.required_text("job_name"),
        interval_ms,
        timeout_ms,
        metrics_path: fields.text("metrics_path").unwrap_or_else(|| "/metrics".to_owned()),
        scheme: scheme(&mut fields),
        params: params(&mut fields),
        honor_labels: fields.boolean("honor_labels").unwrap_or(false),
        honor_timestamps: fields.boolean("honor_timestamps").unwrap_or(true),
        track_timestamps_staleness: fields.boolean("track_timestamps_staleness").unwrap_or(false),
        compression: fields.boolean("enable_compression").unwrap_or(true),
        fallback_protocol,
        scraping,
        client: client::read(&mut fields),
        groups: discovery::static_groups(&mut fields, classic_names),
        files: discovery::files(&mut fields),
        relabel: relabel::read_list(&mut fields, "relabel_configs", classic_names),
        metric_relabel: relabel::read_list(&mut fields, "metric_relabel_configs", classic_names),
    };
    discovery::refuse_others(&mut fields);
    fields.finish();
    job
}

/// `scrape_timeout`, or the default, but never above the interval.
pub(super) fn timeout_ms(fields: &mut Fields<'_>, interval_ms: u64, default_ms: u64) -> u64 {
    match fields.duration_ms("scrape_timeout").filter(|ms| *ms > 0) {
        Some(timeout_ms) if timeout_ms > interval_ms => {
            fields.problem(
                "scrape_timeout",
                format!("is greater than the scrape interval of {interval_ms} ms; lower it"),
            );
            interval_ms
        }
        Some(timeout_ms) => timeout_ms,
        None => default_ms.min(interval_ms),
    }
}

/// Reads what both `global` and a job can say.
pub(super) fn read_scraping(fields: &mut Fields<'_>, default: &Scraping) -> Scraping {
    refuse_histogram_conversion(fields);
    let limits = Limits {
        body_bytes_max: body_limit(fields).unwrap_or(default.limits.body_bytes_max),
        samples_max: count(fields, "sample_limit", default.limits.samples_max),
        labels_max: count(fields, "label_limit", default.limits.labels_max),
        label_name_bytes_max: count(
            fields,
            "label_name_length_limit",
            default.limits.label_name_bytes_max,
        ),
        label_value_bytes_max: count(
            fields,
            "label_value_length_limit",
            default.limits.label_value_bytes_max,
        ),
        targets_max: count(fields, "target_limit", default.limits.targets_max),
    };
    // How many dropped targets upstream remembers for its page.
    fields.unsigned("keep_dropped_targets");
    let names = names(fields).unwrap_or(default.names);
    Scraping {
        limits,
        protocols: protocols(fields).unwrap_or_else(|| default.protocols.clone()),
        names,
        escaping: escaping(fields, names, &default.escaping),
        extra_metrics: fields.boolean("extra_scrape_metrics").unwrap_or(default.extra_metrics),
    }
}

/// Native histograms are only exposed in a format that is not asked for, so wishing for them is
/// harmless; converting classic ones would change which series there are, so it is refused.
fn refuse_histogram_conversion(fields: &mut Fields<'_>) {
    for key in ["scrape_native_histograms", "always_scrape_classic_histograms"] {
        fields.boolean(key);
    }
    fields.accept(&["native_histogram_bucket_limit", "native_histogram_min_bucket_factor"]);
    if fields.boolean("convert_classic_histograms_to_nhcb") == Some(true) {
        fields.problem("convert_classic_histograms_to_nhcb", "is not supported yet; remove it");
    }
}

fn count(fields: &mut Fields<'_>, key: &'static str, default: usize) -> usize {
    let number = fields.unsigned(key).filter(|number| *number > 0);
    number.map_or(default, |number| usize::try_from(number).unwrap_or(usize::MAX))
}

fn body_limit(fields: &mut Fields<'_>) -> Option<usize> {
    let text = fields.text("body_size_limit")?;
    if text != "0" && text.ends_with(|last: char| last.is_ascii_digit()) {
        fields.problem("body_size_limit", format!("needs a unit such as MB, but is {text:?}"));
        return None;
    }
    let bytes = fields.bytes("body_size_limit").filter(|bytes| *bytes > 0)?;
    Some(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// `Some(None)` for the one protocol that is known but not spoken; `None` after a problem.
fn protocol(fields: &Fields<'_>, key: &str, name: &str) -> Option<Option<Protocol>> {
    match Protocol::from_name(name) {
        Some(protocol) => Some(Some(protocol)),
        None if name == "PrometheusProto" => Some(None),
        None => {
            fields.problem(key, format!("{name:?} is no scrape protocol"));
            None
        }
    }
}

fn protocols(fields: &mut Fields<'_>) -> Option<Vec<Protocol>> {
    let names = fields.texts("scrape_protocols")?;
    let mut protocols = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            fields.problem("scrape_protocols", format!("{name:?} is listed twice"));
        }
        protocols.extend(protocol(fields, "scrape_protocols", name).flatten());
    }
    if protocols.is_empty() {
        fields.problem(
            "scrape_protocols",
            "names no protocol that is supported; add PrometheusText0.0.4",
        );
    }
    Some(protocols)
}

fn names(fields: &mut Fields<'_>) -> Option<Names> {
    match fields.text("metric_name_validation_scheme")?.as_str() {
        "utf8" => Some(Names::Utf8),
        "legacy" => Some(Names::Legacy),
        other => {
            let message = format!("needs utf8 or legacy, but is {other:?}");
            fields.problem("metric_name_validation_scheme", message);
            None
        }
    }
}

fn escaping(fields: &mut Fields<'_>, names: Names, default: &str) -> String {
    let key = "metric_name_escaping_scheme";
    let text = match fields.text(key) {
        Some(text) => text,
        None if names == Names::Legacy && default == "allow-utf-8" => "underscores".to_owned(),
        None => return default.to_owned(),
    };
    match text.as_str() {
        "allow-utf-8" if names == Names::Legacy => {
            fields.problem(key, "allow-utf-8 can't stand beside the legacy validation scheme");
        }
        "allow-utf-8" | "underscores" | "dots" | "values" => {}
        other => {
            let message =
                format!("needs allow-utf-8, underscores, dots or values, but is {other:?}");
            fields.problem(key, message);
        }
    }
    text
}

fn scheme(fields: &mut Fields<'_>) -> String {
    let scheme = fields.text("scheme").unwrap_or_else(|| "http".to_owned());
    if scheme != "http" && scheme != "https" {
        fields.problem("scheme", format!("needs http or https, but is {scheme:?}"));
    }
    scheme
}

fn params(fields: &mut Fields<'_>) -> Vec<(String, Vec<String>)> {
    let problems = fields.problems();
    let path = fields.path_of("params");
    let Some(node) = fields.get("params") else { return Vec::new() };
    let model::yaml::Kind::Mapping(pairs) = &node.kind else {
        fields.problem("params", format!("needs a mapping, but is {}", node.kind_name()));
        return Vec::new();
    };
    let mut params = Vec::new();
    for (name, values) in pairs {
        let name_text = name.text().unwrap_or("").to_owned();
        let model::yaml::Kind::Sequence(items) = &values.kind else {
            problems.add(values, &format!("{path}.{name_text}"), "needs a list of texts");
            continue;
        };
        let texts = items.iter().map(|item| item.text().unwrap_or("").to_owned()).collect();
        params.push((name_text, texts));
    }
    params.sort();
    params
}
