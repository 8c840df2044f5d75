//! A configuration in the form that decisions need.
//!
//! Place in the flow: [`crate::config::Config`] → **`Plan`** → the core, at each alert and flush.
//!
//! Not here: addresses and texts of receivers (delivery has those).

use std::collections::BTreeMap;

use model::{Labels, TimestampMs};

use crate::config::{Config, GroupBy, InhibitRule, NamedInterval, Route};
use crate::matchers::go_quote;

/// How long a message is tried before it is given up.
pub const RETRY_AGE_MS_MAX: i64 = 72 * 3_600_000;

/// Decision data of one configuration.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The tree.
    pub root: Route,
    /// All integrations by key.
    pub integrations: BTreeMap<String, PlannedIntegration>,
    /// Which alerts keep others quiet.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Named times.
    pub intervals: BTreeMap<String, NamedInterval>,
    /// For alerts without an end.
    pub resolve_timeout_ms: i64,
    /// Age at which an undelivered message is given up.
    pub retry_age_ms_max: i64,
}

/// What the core knows of an integration.
#[derive(Debug, Clone)]
pub struct PlannedIntegration {
    /// Its receiver.
    pub receiver: String,
    /// Whether ends are told.
    pub send_resolved: bool,
}

impl Plan {
    /// Takes what decisions need.
    pub fn new(config: &Config) -> Plan {
        let mut integrations = BTreeMap::new();
        for receiver in &config.receivers {
            for integration in &receiver.integrations {
                let planned = PlannedIntegration {
                    receiver: receiver.name.clone(),
                    send_resolved: integration.send_resolved,
                };
                integrations.insert(integration.key.clone(), planned);
            }
        }
        let intervals =
            config.time_intervals.iter().map(|own| (own.name.clone(), own.clone())).collect();
        Plan {
            root: config.route.clone(),
            integrations,
            inhibit_rules: config.inhibit_rules.clone(),
            intervals,
            resolve_timeout_ms: i64::try_from(config.global.resolve_timeout_ms).unwrap_or(i64::MAX),
            retry_age_ms_max: RETRY_AGE_MS_MAX,
        }
    }

    /// The routes that take an alert, in order. Never empty: the root takes everything.
    pub fn routes_of(&self, labels: &Labels) -> Vec<&Route> {
        let mut found = Vec::new();
        walk(&self.root, labels, &mut found);
        found
    }

    /// The route of that id.
    pub fn route(&self, id: &str) -> Option<&Route> {
        find(&self.root, id)
    }

    /// The integrations of a receiver, in the order of their keys.
    pub fn integrations_of<'a>(&'a self, receiver: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.integrations
            .iter()
            .filter(move |(_, planned)| planned.receiver == receiver)
            .map(|(key, _)| key.as_str())
    }

    /// The intervals that keep a route quiet now; empty when it may speak.
    pub fn muted_by(&self, route: &Route, now: TimestampMs) -> Vec<String> {
        let inside = |name: &String| self.intervals.get(name).is_some_and(|own| own.contains(now));
        let mut muting: Vec<String> =
            route.mute_time_intervals.iter().filter(|name| inside(name)).cloned().collect();
        let active = &route.active_time_intervals;
        if !active.is_empty() && !active.iter().any(inside) {
            muting.extend(active.iter().cloned());
        }
        muting
    }
}

fn walk<'a>(route: &'a Route, labels: &Labels, found: &mut Vec<&'a Route>) {
    let before = found.len();
    for child in &route.routes {
        if child.matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
            walk(child, labels, found);
            if !child.continues {
                break;
            }
        }
    }
    if found.len() == before {
        found.push(route);
    }
}

fn find<'a>(route: &'a Route, id: &str) -> Option<&'a Route> {
    if route.id == id {
        return Some(route);
    }
    route.routes.iter().find_map(|child| find(child, id))
}

/// The labels by which a route groups an alert.
pub fn group_labels(route: &Route, labels: &Labels) -> Labels {
    match &route.group_by {
        GroupBy::All => labels.clone(),
        GroupBy::Labels(names) => labels.filtered(|own| names.iter().any(|name| name == own)),
    }
}

/// A label set as group keys have it: `{alertname="Disk", instance="b1"}`.
pub fn label_set_text(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", go_quote(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
