//! `belfry tsdb create-blocks-from rules`: what recording rules would have stored, had they been there.
//!
//! Place in the flow: rule files → a running server's range API, a stretch of time at a time → the
//! store of a data folder.
//!
//! Each rule is asked for at the instants that a server of ours would have evaluated its group at, if
//! it knows the file by the same name. As with promtool, a rule does not see what the rules before it
//! make, and alerts are passed over.
//!
//! Not here: putting batches into the folder ([`super::import`]).

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use model::labels::METRIC_NAME;
use model::sample::parse_value;
use model::{Batch, Clock, Labels, TimestampMs};
use rules::schedule::Schedule;
use rules::{GroupConfig, RuleConfig, RuleKind};
use serde_json::Value;

use super::import::{Goal, Tally};
use crate::cli::server::{Reach, Server};
use crate::cli::{block_on, note, times};
use crate::{config, wiring};

/// Evaluations that are asked for at once; servers answer 11,000 at most.
const STEPS_MAX: i64 = 1000;
/// How long ago the newest evaluation is unless told otherwise: promtool leaves the last blocks alone.
const END_BEFORE_NOW_MS: i64 = 3 * 3_600_000;

/// Which rules, from when to when, asked where.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Files with recording rules.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The server that has the data, Belfry or another.
    #[arg(long, value_name = "SERVER", default_value = "http://localhost:9090")]
    url: String,
    /// The first instant: RFC 3339, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    start: TimestampMs,
    /// The last instant [default: 3 hours ago].
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    end: Option<TimestampMs>,
    /// How often groups are evaluated that don't say it themselves.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = times::duration)]
    eval_interval: std::time::Duration,
    /// The data folder that is filled; it is created when it is not there.
    #[arg(long, value_name = "DIR", default_value = "data")]
    output_dir: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

/// When a rule is evaluated.
#[derive(Debug, Clone, Copy)]
struct When {
    start: TimestampMs,
    end: TimestampMs,
    step_ms: i64,
}

/// Fills the folder.
pub fn main(arguments: Arguments) -> ExitCode {
    block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let now = model::clock::SystemClock.now();
    let end = arguments.end.unwrap_or(now.plus_ms(-END_BEFORE_NOW_MS));
    if arguments.start >= end {
        return Err("the start must be before the end".to_owned());
    }
    let interval_ms = u64::try_from(arguments.eval_interval.as_millis()).unwrap_or(u64::MAX);
    if interval_ms == 0 {
        return Err("--eval-interval must be a millisecond at least".to_owned());
    }
    let groups = groups(&arguments.files)?;
    let server = Server::new(&arguments.url, &arguments.reach).await?;
    let (goal, mut tally) = (Goal::folder(arguments.output_dir)?, Tally::default());
    for group in &groups {
        let when = When::of(group, interval_ms, (arguments.start, end));
        for rule in group.rules.iter().filter(|rule| matches!(rule.kind, RuleKind::Record { .. })) {
            note(&format!("{}: {}: {}", group.file, group.name, rule.name()));
            if let Err(problem) = evaluate(&server, rule, when, (&goal, &mut tally)).await {
                _ = goal.finish(&tally).await?;
                let (file, line) = (&group.file, rule.line);
                return Err(format!("{file}:{line}: {problem}; what came before it is stored"));
            }
        }
    }
    goal.finish(&tally).await
}

/// The groups of all files, and every mistake in them.
fn groups(files: &[PathBuf]) -> Result<Vec<GroupConfig>, String> {
    let (mut groups, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.display().to_string();
        let text = config::read_text(file).map_err(|message| format!("{name} {message}"))?;
        match rules::config::parse(&text, &name) {
            Ok(own) => groups.extend(own),
            Err(own) => problems.extend(own),
        }
    }
    if problems.is_empty() { Ok(groups) } else { Err(config::lines(&problems)) }
}

impl When {
    /// The instants of a group between two.
    fn of(group: &GroupConfig, interval_ms: u64, (start, end): (TimestampMs, TimestampMs)) -> When {
        let interval_ms = group.interval_ms.unwrap_or(interval_ms);
        let schedule = Schedule::new(&group.key(), interval_ms, wiring::SEED);
        When { start: schedule.at_or_after(start), end, step_ms: schedule.interval_ms() }
    }

    /// The same in parts of [`STEPS_MAX`] instants.
    fn parts(self) -> impl Iterator<Item = When> {
        let part_ms = self.step_ms.saturating_mul(STEPS_MAX);
        let after = move |start: &TimestampMs| start.0.checked_add(part_ms).map(TimestampMs);
        let starts = std::iter::successors(Some(self.start), after);
        starts.take_while(move |start| *start <= self.end).map(move |start| {
            let last = start.plus_ms(part_ms - self.step_ms);
            When { start, end: last.min(self.end), ..self }
        })
    }
}

/// Stores what one rule gives.
async fn evaluate(
    server: &Server,
    rule: &RuleConfig,
    when: When,
    (goal, tally): (&Goal, &mut Tally),
) -> Result<(), String> {
    for part in when.parts() {
        let form = [
            ("query", rule.expression.clone()),
            ("start", times::seconds(part.start)),
            ("end", times::seconds(part.end)),
            ("step", times::seconds(TimestampMs(part.step_ms))),
        ];
        let answer = server.ask("/api/v1/query_range", &form).await?;
        answer.notes.iter().for_each(|text| note(text));
        goal.take(batch(&answer.data, rule)?, tally).await?;
    }
    Ok(())
}

/// The series of an answer under the rule's name and labels.
fn batch(data: &Value, rule: &RuleConfig) -> Result<Batch, String> {
    let strange = || "the answer is no matrix".to_owned();
    let mut batch = Batch::new();
    let (mut seen, mut left_out) = (HashSet::new(), 0);
    for series in data["result"].as_array().ok_or_else(strange)? {
        let given = series["metric"].as_object().ok_or_else(strange)?;
        let given = given.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or("")));
        let mut builder = Labels::from_pairs(given).to_builder();
        builder.set(METRIC_NAME, rule.name());
        rule.labels.iter().for_each(|(name, value)| _ = builder.set(name, value));
        let labels = builder.build();
        if !seen.insert(labels.clone()) {
            return Err(format!("two series are {labels} after applying rule labels"));
        }
        left_out += usize::from(series.get("histograms").is_some());
        let ix = batch.series(&labels);
        for pair in series["values"].as_array().into_iter().flatten() {
            let at = pair[0].as_f64().ok_or_else(strange)?;
            let value = pair[1].as_str().and_then(parse_value).ok_or_else(strange)?;
            batch.sample(ix, TimestampMs((at * 1000.0).round() as i64), value);
        }
    }
    if left_out > 0 {
        note(&format!("{}: native histograms of {left_out} series are left out", rule.name()));
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(text: &str) -> GroupConfig {
        let text = format!("groups:\n- name: g\n  {text}\n");
        rules::config::parse(&text, "r.yml").expect("a group").remove(0)
    }

    #[test]
    fn parts_touch_and_cover_everything() {
        let own = group("interval: 10s\n  rules: []");
        let range = (TimestampMs(1_000_000_007), TimestampMs(1_025_000_000));
        let when = When::of(&own, 60_000, range);
        assert_eq!(when.step_ms, 10_000, "the group's own interval counts");
        let parts: Vec<When> = when.parts().collect();
        assert_eq!(parts.len(), 3);
        let instants: Vec<i64> = parts
            .iter()
            .flat_map(|part| (part.start.0..=part.end.0).step_by(part.step_ms as usize))
            .collect();
        assert!(instants.windows(2).all(|two| two[1] - two[0] == 10_000));
        assert!((range.0.0..range.0.0 + 10_000).contains(&instants[0]));
        assert!((range.1.0 - 10_000 + 1..=range.1.0).contains(&instants[instants.len() - 1]));
        assert_eq!(When::of(&group("rules: []"), 60_000, range).step_ms, 60_000);
    }

    #[test]
    fn the_rule_names_and_labels_what_the_server_gave() {
        let rule = "rules: [{record: r, expr: m, labels: {a: '9', b: ''}}]";
        let rule = group(rule).rules.remove(0);
        let data = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let one =
            r#"{"metric":{"__name__":"m","a":"1","b":"2"},"values":[[1.5,"NaN"],[2,"+Inf"]]}"#;
        let made = batch(&data(&format!(r#"{{"result":[{one}]}}"#)), &rule).expect("good");
        let samples: Vec<_> = made.samples().iter().map(|own| (own.at.0, own.value)).collect();
        assert!(samples[0].1.is_nan() && samples[0].0 == 1500, "{samples:?}");
        assert_eq!(samples[1], (2000, f64::INFINITY));
        let twice = batch(&data(&format!(r#"{{"result":[{one},{one}]}}"#)), &rule);
        assert!(twice.expect_err("doubled").contains("r{a=\"9\"} after applying rule labels"));
        batch(&data(r#"{"result":"no"}"#), &rule).expect_err("no matrix");
        let odd = r#"{"result":[{"metric":{},"values":[[1,"one"]]}]}"#;
        batch(&data(odd), &rule).expect_err("no number");
    }
}
