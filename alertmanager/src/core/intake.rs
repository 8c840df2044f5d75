//! Alerts come in: they are merged with what is known and join their groups.
//!
//! Place in the flow: `AlertBatch` → **here** → records; the groups' timers do the rest.
//!
//! A repeated alert keeps its earliest start; the newest annotations win; an end that was told is
//! never overridden by one taken from the time-out. Alerts that are over before anybody heard of
//! them are not kept.
//!
//! Not here: sending (flush).

use std::collections::BTreeMap;

use model::Alert;

use super::plan::{group_labels, label_set_text};
use super::record::{Joined, Record, StoredAlert};
use super::step::Turn;
use crate::config::Route;

impl Turn<'_> {
    pub(super) fn take_alerts(&mut self, alerts: &[Alert]) {
        let mut upserts: BTreeMap<u64, StoredAlert> = BTreeMap::new();
        for alert in alerts {
            let incoming = self.completed(alert);
            let fingerprint = incoming.fingerprint();
            let known =
                upserts.get(&fingerprint).or_else(|| self.state.durable.alerts.get(&fingerprint));
            let merged = match known {
                Some(known) => merge(known, incoming),
                None if incoming.is_resolved_at(self.now_ms) => continue,
                None => incoming,
            };
            upserts.insert(fingerprint, merged);
        }
        let (mut changed, mut extended) = (Vec::new(), Vec::new());
        for (fingerprint, alert) in &upserts {
            match self.state.durable.alerts.get(fingerprint) {
                Some(known) if only_extends(known, alert) => extended.push((
                    *fingerprint,
                    alert.ends_at_ms,
                    alert.updated_at_ms,
                    alert.timeout,
                )),
                _ => changed.push(alert.clone()),
            }
        }
        if !changed.is_empty() {
            self.record(Record::AlertUpsert(changed));
        }
        if !extended.is_empty() {
            self.record(Record::AlertExtended(extended));
        }
        let now_ms = self.now_ms;
        for alert in upserts.values().filter(|alert| !alert.is_resolved_at(now_ms)) {
            self.join_groups(alert);
        }
    }

    fn completed(&self, alert: &Alert) -> StoredAlert {
        let now_ms = self.now_ms;
        let starts_at_ms = match (alert.starts_at, alert.ends_at) {
            (Some(start), _) => start.0,
            (None, Some(end)) => end.0.min(now_ms),
            (None, None) => now_ms,
        };
        let timeout = alert.ends_at.is_none();
        let ends_at_ms = alert
            .ends_at
            .map_or(now_ms.saturating_add(self.state.plan.resolve_timeout_ms), |end| end.0);
        StoredAlert {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at_ms,
            ends_at_ms,
            updated_at_ms: now_ms,
            timeout,
            generator_url: alert.generator_url.clone(),
        }
    }

    /// Puts a firing alert into the groups of its routes; new groups get their first timer.
    pub(super) fn join_groups(&mut self, alert: &StoredAlert) {
        let plan = self.state.plan.clone();
        for route in plan.routes_of(&alert.labels) {
            self.join_group(route, alert);
        }
    }

    fn join_group(&mut self, route: &Route, alert: &StoredAlert) {
        let labels = group_labels(route, &alert.labels);
        let label_text = label_set_text(&labels);
        let group = format!("{}:{label_text}", route.id);
        let fingerprint = alert.fingerprint();
        let known = self.state.durable.groups.get(&group);
        let wait_ms = i64::try_from(route.group_wait_ms).unwrap_or(i64::MAX);
        // The wait counts from the alert's own start; a start in the future is not waited for.
        let first_ms = alert
            .starts_at_ms
            .saturating_add(wait_ms)
            .clamp(self.now_ms, self.now_ms.saturating_add(wait_ms));
        let next_flush_ms = match known {
            Some(known) if known.flushed => known.next_flush_ms,
            Some(known) => known.next_flush_ms.min(first_ms),
            None => first_ms,
        };
        let unchanged = known.is_some_and(|known| {
            known.members.contains(&fingerprint)
                && known.next_flush_ms == next_flush_ms
                && known.receiver == route.receiver
                && !known.parting
        });
        if unchanged {
            return;
        }
        self.record(Record::Joined(Joined {
            group,
            route: route.id.clone(),
            key: format!("{}:{label_text}", route.key),
            labels,
            receiver: route.receiver.clone(),
            next_flush_ms,
            members: vec![fingerprint],
        }));
    }
}

fn only_extends(known: &StoredAlert, new: &StoredAlert) -> bool {
    known.starts_at_ms == new.starts_at_ms
        && known.labels == new.labels
        && known.annotations == new.annotations
        && known.generator_url == new.generator_url
}

/// Joins what is known with what came, which is the newer.
fn merge(known: &StoredAlert, incoming: StoredAlert) -> StoredAlert {
    let overlaps =
        incoming.starts_at_ms <= known.ends_at_ms && known.starts_at_ms <= incoming.ends_at_ms;
    if !overlaps {
        return incoming;
    }
    let now_ms = incoming.updated_at_ms;
    let mut merged = incoming;
    merged.starts_at_ms = merged.starts_at_ms.min(known.starts_at_ms);
    let keeps_known_end = if merged.is_resolved_at(now_ms) {
        known.is_resolved_at(now_ms) && known.ends_at_ms > merged.ends_at_ms
    } else {
        !known.timeout && known.ends_at_ms > merged.ends_at_ms
    };
    if keeps_known_end {
        merged.ends_at_ms = known.ends_at_ms;
        merged.timeout = known.timeout;
    }
    merged
}
