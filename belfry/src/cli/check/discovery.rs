//! `belfry check service-discovery`: who a job would scrape.
//!
//! Place in the flow: configuration → the job's lists and files → [`collector::target::plan`] → JSON
//! as promtool writes it: the labels before relabelling and those after it.

use std::path::PathBuf;
use std::process::ExitCode;

use collector::discovery::file::Files;
use collector::target::{Group, plan};
use model::Labels;
use serde_json::{Map, Value, json};

use crate::cli::{environment, note, say};
use crate::config::{self, Depth};

/// Prints the targets of a job.
pub async fn run(file: PathBuf, name: String) -> Result<ExitCode, String> {
    let checked = config::check_file(&file, &environment, Depth::Whole).map_err(|problems| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })?;
    let Some(job) = checked.collector.jobs.iter().find(|job| job.name == name) else {
        let names: Vec<&str> = checked.collector.jobs.iter().map(|job| job.name.as_str()).collect();
        return Err(format!("Job {name} not found. Select one of:\n\t{}", names.join("\n\t")));
    };
    let mut groups: Vec<std::sync::Arc<Group>> = job.groups.clone();
    for block in &job.files {
        let mut files = Files::default();
        let (_, problems) = files.read(block).await;
        problems.iter().for_each(|problem| note(problem));
        groups.extend(files.groups().cloned());
    }
    let plan = plan(job, &groups);
    plan.problems.iter().for_each(|problem| note(problem));
    if plan.dropped > 0 {
        note(&format!("{} targets are dropped by relabelling", plan.dropped));
    }
    let targets: Vec<Value> = plan
        .targets
        .iter()
        .map(|target| {
            json!({"discoveredLabels": object(&target.discovered_labels),
                "labels": object(&target.identity)})
        })
        .collect();
    let text = serde_json::to_string_pretty(&targets).expect("texts become JSON");
    Ok(say(&text))
}

fn object(labels: &Labels) -> Value {
    let pairs = labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
    Value::Object(pairs.collect::<Map<_, _>>())
}
