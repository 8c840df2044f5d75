//! One target: who it is, where it is, how it is labelled.
//!
//! Place in the flow: discovered group and job → **`plan`** → `pool`, which runs one loop per target.
//!
//! Invariant: two targets of a job with the same labels and address are one.
//!
//! Not here: finding groups (`discovery`), running (`pool`).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use model::duration::{format_duration_ms, parse_duration_ms};
use model::{Labels, LabelsBuilder};
use url::Url;

use crate::config::Job;
use crate::relabel;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";
/// Dropped targets of a job that are kept to be shown; a job may drop thousands.
pub const DROPPED_KEPT_MAX: usize = 1000;
const META_PREFIX: &str = "__meta_";
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// Addresses with common labels, as discovery finds them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Where the group was found: a file, or nothing for the configuration.
    pub source: String,
    /// Hosts with ports.
    pub addresses: Vec<String>,
    /// Labels of each address.
    pub labels: Vec<(String, String)>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The labels that every series of the target gets.
    pub labels: Labels,
    /// The labels before relabelling.
    pub discovered_labels: Labels,
    /// The labels after relabelling with those that only say how to scrape: with the address, who
    /// the target is.
    pub identity: Labels,
    /// Where it is scraped.
    pub url: String,
    /// How often it is scraped.
    pub interval_ms: u64,
    /// The deadline of one scrape.
    pub timeout_ms: u64,
}

impl Target {
    /// A number that spreads targets over the interval; the same in every process.
    pub fn hash64(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.identity.hash64().hash(&mut hasher);
        self.url.hash(&mut hasher);
        hasher.finish()
    }

    /// The `job` label.
    pub fn job(&self) -> &str {
        self.labels.get(JOB).unwrap_or("")
    }

    /// The `instance` label.
    pub fn instance(&self) -> &str {
        self.labels.get(INSTANCE).unwrap_or("")
    }
}

/// What the groups of a job come to.
#[derive(Debug, Default)]
pub struct Plan {
    /// The targets, each once.
    pub targets: Vec<Target>,
    /// How many addresses relabelling dropped.
    pub dropped: u64,
    /// What the first of them were, before relabelling: [`DROPPED_KEPT_MAX`] at most.
    pub dropped_labels: Vec<Labels>,
    /// Addresses that can't be scraped, each with the reason.
    pub problems: Vec<String>,
}

/// Turns groups into targets.
pub fn plan<'a>(job: &Job, groups: impl IntoIterator<Item = &'a Arc<Group>>) -> Plan {
    let mut plan = Plan::default();
    let mut seen = std::collections::HashSet::new();
    for group in groups {
        for address in &group.addresses {
            match build(job, group, address) {
                Ok(Built::Dropped(labels)) => {
                    plan.dropped += 1;
                    if plan.dropped_labels.len() < DROPPED_KEPT_MAX {
                        plan.dropped_labels.push(labels);
                    }
                }
                Ok(Built::Target(target)) => {
                    if seen.insert((target.identity.clone(), target.url.clone())) {
                        plan.targets.push(target);
                    }
                }
                Err(reason) => {
                    let place = if group.source.is_empty() { &job.name } else { &group.source };
                    // What stands before the @ may be a password.
                    let shown = address.rsplit('@').next().unwrap_or("");
                    plan.problems.push(format!("{place}: target {shown:?}: {reason}"));
                }
            }
        }
    }
    plan
}

/// What an address comes to.
enum Built {
    Target(Target),
    /// Relabelling dropped it; the labels it had before.
    Dropped(Labels),
}

/// The error says why the target can't be scraped.
fn build(job: &Job, group: &Group, address: &str) -> Result<Built, String> {
    let mut builder = discovered(job, group, address);
    let discovered_labels = builder.clone().build();
    if !relabel::apply(&job.relabel, &mut builder) {
        return Ok(Built::Dropped(discovered_labels));
    }
    let address = builder.get(ADDRESS).to_owned();
    if address.is_empty() {
        return Err("has no address after relabelling".to_owned());
    }
    if address.contains('@') {
        return Err("has a user before the host; use basic_auth".to_owned());
    }
    if address.contains('/') {
        return Err(format!("{address:?} is no host and port"));
    }
    let interval_ms = duration(&builder, INTERVAL)?;
    let timeout_ms = duration(&builder, TIMEOUT)?;
    if timeout_ms > interval_ms {
        return Err("the scrape timeout is greater than the scrape interval".to_owned());
    }
    if builder.get(INSTANCE).is_empty() {
        builder.set(INSTANCE, &address);
    }
    let all = builder.build();
    let identity = all.filtered(|name| !name.starts_with(META_PREFIX));
    let labels = all.filtered(|name| !name.starts_with("__"));
    let url = url(job, &identity)?;
    let target = Target { labels, discovered_labels, identity, url, interval_ms, timeout_ms };
    Ok(Built::Target(target))
}

fn discovered(job: &Job, group: &Group, address: &str) -> LabelsBuilder {
    let mut builder = LabelsBuilder::new();
    for (name, value) in &group.labels {
        builder.set(name, value);
    }
    builder.set(ADDRESS, address);
    let defaults = [
        (JOB, job.name.clone()),
        (INTERVAL, format_duration_ms(job.interval_ms)),
        (TIMEOUT, format_duration_ms(job.timeout_ms)),
        (METRICS_PATH, job.metrics_path.clone()),
        (SCHEME, job.scheme.clone()),
    ];
    for (name, value) in defaults {
        if builder.get(name).is_empty() {
            builder.set(name, &value);
        }
    }
    for (name, values) in &job.params {
        let label = format!("{PARAM_PREFIX}{name}");
        if let (Some(first), true) = (values.first(), builder.get(&label).is_empty()) {
            builder.set(&label, first);
        }
    }
    builder
}

fn duration(builder: &LabelsBuilder, label: &str) -> Result<u64, String> {
    let text = builder.get(label);
    match parse_duration_ms(text) {
        Some(ms) if ms > 0 => Ok(ms),
        _ => Err(format!("{label} is {text:?}, which is no duration above 0")),
    }
}

fn url(job: &Job, identity: &Labels) -> Result<String, String> {
    let get = |name: &str| identity.get(name).unwrap_or("");
    let mut url = Url::parse(&format!("{}://{}/", get(SCHEME), get(ADDRESS)))
        .map_err(|error| format!("the address is none: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme {:?} is neither http nor https", url.scheme()));
    }
    url.set_path(get(METRICS_PATH));
    let mut params: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in &job.params {
        params.insert(name, values.iter().map(String::as_str).collect());
    }
    for (name, value) in identity.iter() {
        if let Some(param) = name.strip_prefix(PARAM_PREFIX) {
            let values = params.entry(param).or_default();
            match values.first_mut() {
                Some(first) => *first = value,
                None => values.push(value),
            }
        }
    }
    if !params.is_empty() {
        let mut query = url.query_pairs_mut();
        for (name, values) in &params {
            for value in values {
                query.append_pair(name, value);
            }
        }
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests;
