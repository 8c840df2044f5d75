//! What an operator writes under `global` and `scrape_configs`.
//!
//! Place in the flow: YAML tree → **`read`** → [`Config`] → `Collector::start` or `reload`.
//!
//! Keys and defaults are those of prometheus.yml. All mistakes are collected, each with its line.
//! Reading touches nothing: files that the configuration names are opened by who uses them.
//!
//! Not here: the other root keys (the binary reads them).

use std::path::{Path, PathBuf};

use model::Labels;
use model::fields::{Fields, Problems};
use model::yaml::Node;

/// How a job's requests are made: authentication, TLS, headers.
pub mod client;
/// The discovery blocks of a job.
pub mod discovery;
/// The `global` section.
pub mod global;
/// One entry of `scrape_configs`.
pub mod job;
/// Relabel rules.
pub mod relabel;

pub use global::Global;
pub use job::{Job, Limits};

/// Everything the collector is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Defaults and labels of the whole server.
    pub global: Global,
    /// The jobs in file order.
    pub jobs: Vec<Job>,
}

impl Config {
    /// Labels of everything that leaves this server.
    pub fn external_labels(&self) -> &Labels {
        &self.global.external_labels
    }
}

/// Reads `global` and `scrape_configs` of a configuration's root; other root keys are not looked at.
pub fn read(root: &Node, problems: &Problems) -> Config {
    let mut fields = Fields::new(root, "", problems);
    let global = fields.fields("global").map(global::read).unwrap_or_default();
    let mut jobs: Vec<Job> = Vec::new();
    for (path, node) in fields.list("scrape_configs") {
        if node.is_null() {
            problems.add(node, &path, "the job is empty; remove it or write one");
            continue;
        }
        let job = job::read(Fields::new(node, &path, problems), &global);
        if !job.name.is_empty() && jobs.iter().any(|other| other.name == job.name) {
            let field = format!("{path}.job_name");
            problems.add(node, &field, format!("another job has the name {:?} too", job.name));
        }
        jobs.push(job);
    }
    Config { global, jobs }
}

/// A path as the file that contains it means it: relative to that file.
fn resolved(problems: &Problems, path: &str) -> PathBuf {
    match Path::new(problems.file()).parent() {
        Some(folder) => folder.join(path),
        None => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests;
