//! `/api/v1/rules` and `/api/v1/alerts`: groups, their rules, and what is pending or firing.

use std::sync::Arc;

use axum::extract::State;
use model::Matcher;
use rules::alerting::State as AlertState;
use rules::{AlertStatus, AlertingStatus, GroupStatus, RuleStatus, Rules};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::access::{Identity, Scope};
use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::api::status::{ZERO_TIME, rfc3339};
use crate::api::targets::labels;
use crate::parts::Parts;

fn rules_of(parts: &Parts) -> Result<Arc<Rules>, ApiError> {
    parts.rules.clone().ok_or_else(|| ApiError::not_here("rules"))
}

/// Which rules are asked for.
struct Filter {
    alerting: bool,
    recording: bool,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    selectors: Vec<Vec<Matcher>>,
    with_alerts: bool,
    scope: Scope,
}

impl Filter {
    fn new(params: &Params) -> Result<Filter, ApiError> {
        let kind = params.get("type").unwrap_or("");
        if !matches!(kind, "" | "alert" | "record") {
            let message = format!("not supported value \"{kind}\"");
            return Err(ApiError::bad_parameter("type", message));
        }
        Ok(Filter {
            alerting: kind != "record",
            recording: kind != "alert",
            names: params.both("rule_name"),
            groups: params.both("rule_group"),
            files: params.both("file"),
            selectors: params.written_selectors()?,
            scope: params.scope().clone(),
            with_alerts: !params.boolean("exclude_alerts")?.unwrap_or(false),
        })
    }

    fn takes_group(&self, group: &GroupStatus) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
    }

    fn takes_rule(&self, rule: &RuleStatus) -> bool {
        let kind = if rule.alerting.is_some() { self.alerting } else { self.recording };
        let is_like = |matchers: &Vec<Matcher>| {
            matchers.iter().all(|matcher| matcher.matches_labels(&rule.labels))
        };
        let mut alerts = rule.alerting.iter().flat_map(|own| &own.alerts);
        let is_inside =
            self.scope.takes(&rule.labels) || alerts.any(|own| self.scope.takes(&own.labels));
        is_inside
            && kind
            && (self.names.is_empty() || self.names.contains(&rule.name))
            && (self.selectors.is_empty() || self.selectors.iter().any(is_like))
    }
}

/// Which part of the groups is asked for.
struct Page {
    groups_max: usize,
    after: Option<String>,
}

impl Page {
    fn new(params: &Params) -> Result<Page, ApiError> {
        let after = params.get("group_next_token").map(str::to_owned);
        let groups_max = match params.get("group_limit") {
            None if after.is_some() => {
                let message =
                    "group_limit needs to be present in order to paginate over the groups";
                return Err(ApiError::bad_parameter("group_limit", message));
            }
            None => usize::MAX,
            Some(text) => text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
                let message = format!("needs to be greater than 0, and is \"{text}\"");
                ApiError::bad_parameter("group_limit", message)
            })?,
        };
        Ok(Page { groups_max, after })
    }

    /// The groups from the one that the token names.
    fn start<'a>(&self, groups: &'a [GroupStatus]) -> Result<&'a [GroupStatus], ApiError> {
        let Some(wanted) = &self.after else { return Ok(groups) };
        let place = groups.iter().position(|group| token(group) == *wanted);
        place.map(|place| &groups[place..]).ok_or_else(|| {
            let message = format!("invalid group_next_token '{wanted}'. were rule groups changed?");
            ApiError::bad_data(message)
        })
    }
}

/// Names a group in a URL.
fn token(group: &GroupStatus) -> String {
    let hash = Sha256::digest(format!("{};{}", group.file, group.name));
    hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// Groups with their rules.
pub async fn rules(State(parts): State<Parts>, params: Params) -> Result<Success<Value>, ApiError> {
    let rules = rules_of(&parts)?;
    let (filter, page) = (Filter::new(&params)?, Page::new(&params)?);
    let all = rules.groups();
    let mut groups = Vec::new();
    let mut next = None;
    for group in page.start(&all)?.iter().filter(|group| filter.takes_group(group)) {
        let shown: Vec<Value> = group
            .rules
            .iter()
            .filter(|rule| filter.takes_rule(rule))
            .map(|rule| rule_shape(rule, &filter))
            .collect();
        if shown.is_empty() && !(group.rules.is_empty() && filter.scope.is_everything()) {
            continue;
        }
        if groups.len() == page.groups_max {
            next = Some(token(group));
            break;
        }
        groups.push(json!({
            "name": group.name,
            "file": group.file,
            "rules": shown,
            "interval": group.interval_ms as f64 / 1000.0,
            "limit": group.limit,
            "evaluationTime": seconds(group.evaluation_us),
            "lastEvaluation": time(group.last_evaluation),
        }));
    }
    let mut data = json!({ "groups": groups });
    if let Some(next) = next {
        data["groupNextToken"] = next.into();
    }
    Ok(Success::new(data))
}

fn rule_shape(rule: &RuleStatus, filter: &Filter) -> Value {
    let mut shape = json!({
        "name": rule.name,
        "query": rule.expression,
        "labels": labels(&rule.labels),
        "health": rule.health.as_str(),
        "evaluationTime": seconds(rule.evaluation_us),
        "lastEvaluation": time(rule.last_evaluation),
        "type": "recording",
    });
    if !rule.last_error.is_empty() {
        shape["lastError"] = json!(rule.last_error);
    }
    if let Some(AlertingStatus { for_ms, keep_firing_for_ms, annotations, state, alerts }) =
        &rule.alerting
    {
        let is_shown = |own: &&AlertStatus| filter.with_alerts && filter.scope.takes(&own.labels);
        let shown: Vec<Value> = alerts.iter().filter(is_shown).map(alert_shape).collect();
        shape["type"] = json!("alerting");
        shape["state"] = json!(state_word(*state));
        shape["duration"] = json!(*for_ms as f64 / 1000.0);
        shape["keepFiringFor"] = json!(*keep_firing_for_ms as f64 / 1000.0);
        shape["annotations"] = labels(annotations);
        shape["alerts"] = Value::Array(shown);
    }
    shape
}

fn alert_shape(alert: &AlertStatus) -> Value {
    let mut shape = json!({
        "labels": labels(&alert.labels),
        "annotations": labels(&alert.annotations),
        "state": state_word(alert.state),
        "activeAt": rfc3339(alert.active_at.0),
        "value": model::sample::format_value(alert.value),
    });
    if let Some(since) = alert.keep_firing_since {
        shape["keepFiringSince"] = json!(rfc3339(since.0));
    }
    shape
}

fn state_word(state: AlertState) -> &'static str {
    match state {
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
        _ => "inactive",
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn time(at: Option<model::TimestampMs>) -> String {
    at.map_or(ZERO_TIME.to_owned(), |at| rfc3339(at.0))
}

/// What is pending or firing.
pub async fn alerts(
    State(parts): State<Parts>,
    identity: Identity,
) -> Result<Success<Value>, ApiError> {
    let rules = rules_of(&parts)?;
    let mut alerts = Vec::new();
    for group in rules.groups() {
        for alerting in group.rules.iter().filter_map(|rule| rule.alerting.as_ref()) {
            let inside = alerting.alerts.iter().filter(|own| identity.scope().takes(&own.labels));
            alerts.extend(inside.map(alert_shape));
        }
    }
    Ok(Success::new(json!({"alerts": alerts})))
}
