//! `/api/v1/scrape_pools…` and `/api/v1/targets/relabel_steps`: how targets are chosen and named.
//!
//! Place in the flow: HTTP → **here** → the collector's jobs; their text comes from the configuration
//! in force, secrets replaced.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use collector::RelabelStep;
use collector::relabel::{Action, Rule};
use model::Labels;
use model::yaml::{self, Kind, Node};
use serde_json::{Value, json};

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::api::targets::{collector, labels};
use crate::parts::Parts;

fn no_pool(pool: &str) -> ApiError {
    let message = format!("no scrape pool {pool:?}; see /api/v1/scrape_pools");
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// Names of all pools.
pub async fn pools(State(parts): State<Parts>) -> Result<Success<Value>, ApiError> {
    Ok(Success::new(json!({"scrapePools": collector(&parts)?.pools()})))
}

/// A pool's part of the configuration.
pub async fn config(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Value>, ApiError> {
    let pool = params.required("scrapePool")?;
    collector(&parts)?;
    let text = job_text(&parts.control.status().config_text, pool).ok_or_else(|| no_pool(pool))?;
    Ok(Success::new(json!({ "yaml": text })))
}

/// The entry of a job in the files, each of which begins with a line `# NAME`.
fn job_text(files: &str, pool: &str) -> Option<String> {
    let mut file = String::new();
    for line in files.lines().chain(["# "]) {
        if !line.starts_with("# ") {
            file.push_str(line);
            file.push('\n');
            continue;
        }
        if let Some(text) = yaml::parse(&file).ok().and_then(|root| job_of(&root, &file, pool)) {
            return Some(text);
        }
        file.clear();
    }
    None
}

fn job_of(root: &Node, file: &str, pool: &str) -> Option<String> {
    let Kind::Sequence(jobs) = &root.get("scrape_configs")?.kind else { return None };
    let job = jobs.iter().find(|job| job.get("job_name").and_then(Node::text) == Some(pool))?;
    let Kind::Mapping(pairs) = &job.kind else { return None };
    let first = &pairs.first()?.0;
    let indent = first.column - 1;
    let own = |line: &&str| line.len() - line.trim_start().len() >= indent;
    let lines = file.lines().skip(first.line - 1).take_while(own);
    Some(lines.map(|line| format!("{}\n", &line[indent..])).collect())
}

/// What each relabelling rule of a pool makes of a label set.
pub async fn relabel_steps(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Value>, ApiError> {
    let pool = params.required("scrapePool")?;
    let given: BTreeMap<String, String> = serde_json::from_str(params.required("labels")?)
        .map_err(|error| {
            ApiError::bad_parameter("labels", format!("no object of texts: {error}"))
        })?;
    let steps = collector(&parts)?.relabel_steps(pool, &Labels::from_pairs(&given));
    let steps = steps.ok_or_else(|| no_pool(pool))?;
    Ok(Success::new(json!({"steps": steps.iter().map(step).collect::<Vec<Value>>()})))
}

fn step(step: &RelabelStep) -> Value {
    json!({"rule": rule(&step.rule), "output": labels(&step.output), "keep": step.keep})
}

fn rule(rule: &Rule) -> Value {
    let mut own = json!({
        "source_labels": rule.source_labels,
        "separator": rule.separator,
        "regex": rule.pattern,
        "target_label": rule.target_label,
        "replacement": rule.replacement,
        "action": rule.action.as_str(),
    });
    if rule.action == Action::HashMod {
        own["modulus"] = json!(rule.modulus);
    }
    own
}

#[cfg(test)]
mod tests {
    use super::job_text;

    #[test]
    fn the_text_of_a_job() {
        let files = "# belfry.yml\n\nprometheus: p.yml\n# p.yml\n\nscrape_configs:\n  -\n    \
                     job_name: a\n    static_configs:\n      -\n        targets:\n          - x:1\n  \
                     -\n    scheme: http\n    job_name: b\nrule_files: []\n";
        let a = "job_name: a\nstatic_configs:\n  -\n    targets:\n      - x:1\n";
        assert_eq!(job_text(files, "a").as_deref(), Some(a));
        assert_eq!(job_text(files, "b").as_deref(), Some("scheme: http\njob_name: b\n"));
        assert_eq!(job_text(files, "c"), None);
    }
}
