//! The look at a group: who is to be told what.
//!
//! Place in the flow: tick → **flush** → intents; later, results come back to `outcome`.
//!
//! Suppressed alerts are left out of both sets, so they are neither told nor forgotten: one that was
//! told before stays in the group until its end can be told.
//!
//! A lane that no route leads to any more (a *parting* one) is told ends only.
//!
//! Not here: the table of reasons (`reason`), retries (`outcome`).

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_128;

use super::effect::{HistoryKind, HistoryRow};
use super::reason::{Present, Reason, reason};
use super::record::{Intent, Record, StoredAlert};
use super::state::Group;
use super::step::Turn;

/// The group's members that may be told now.
pub(super) struct Sets {
    pub(super) firing: BTreeSet<u64>,
    pub(super) resolved: BTreeSet<u64>,
}

/// Settings of one lane at one look.
struct LaneView {
    integration: String,
    repeat_interval_ms: i64,
    send_resolved: bool,
    parting: bool,
}

impl Turn<'_> {
    pub(super) fn flush(&mut self, group_id: &str) {
        let Some(group) = self.state.durable.groups.get(group_id) else { return };
        let interval_ms = self
            .state
            .plan
            .route(&group.route)
            .map_or(300_000, |route| i64::try_from(route.group_interval_ms).unwrap_or(i64::MAX))
            .max(1);
        // Overdue looks coalesce into one, and the grid stays where it was.
        let missed = (self.now_ms - group.next_flush_ms).max(0) / interval_ms;
        let next_flush_ms =
            group.next_flush_ms.saturating_add((missed + 1).saturating_mul(interval_ms));
        self.record(Record::GroupTimer { group: group_id.to_owned(), next_flush_ms });
        let sets = self.sets_of(group_id);
        if !(sets.firing.is_empty() && sets.resolved.is_empty()) {
            for lane in self.lanes_of(group_id) {
                self.look_at_lane(group_id, &lane, &sets);
            }
        }
        self.clean_up(group_id);
    }

    /// Looks at one lane outside the grid, after an attempt that a flush met under way.
    pub(super) fn look_again(&mut self, group_id: &str, integration: &str) {
        let sets = self.sets_of(group_id);
        if sets.firing.is_empty() && sets.resolved.is_empty() {
            return;
        }
        for lane in self.lanes_of(group_id) {
            if lane.integration == integration {
                self.look_at_lane(group_id, &lane, &sets);
            }
        }
    }

    fn sets_of(&mut self, group_id: &str) -> Sets {
        let mut sets = Sets { firing: BTreeSet::new(), resolved: BTreeSet::new() };
        let Some(group) = self.state.durable.groups.get(group_id) else { return sets };
        let route = self.state.plan.route(&group.route);
        let muting = route.map_or(Vec::new(), |own| self.state.plan.muted_by(own, self.now()));
        let mut suppressed = BTreeSet::new();
        let mut causes = BTreeSet::new();
        for member in &group.members {
            let Some(alert) = self.state.durable.alerts.get(member) else { continue };
            let cause = if muting.is_empty() {
                self.state.suppression_cause(alert, self.now_ms)
            } else {
                Some("time interval")
            };
            match cause {
                Some(cause) => {
                    suppressed.insert(*member);
                    causes.insert(cause);
                }
                None if alert.is_resolved_at(self.now_ms) => {
                    sets.resolved.insert(*member);
                }
                None => {
                    sets.firing.insert(*member);
                }
            }
        }
        self.note_suppressed(group_id, suppressed, &causes);
        sets
    }

    fn note_suppressed(
        &mut self,
        group_id: &str,
        suppressed: BTreeSet<u64>,
        causes: &BTreeSet<&'static str>,
    ) {
        let now_ms = self.now_ms;
        let Some(group) = self.state.durable.groups.get_mut(group_id) else { return };
        if group.suppressed == suppressed {
            return;
        }
        let count = suppressed.len();
        group.suppressed = suppressed;
        let causes: Vec<&str> = causes.iter().copied().collect();
        let row = HistoryRow {
            at_ms: now_ms,
            kind: HistoryKind::Suppressed,
            group: group.key.clone(),
            receiver: group.receiver.clone(),
            integration: String::new(),
            id: String::new(),
            attempt: 0,
            firing: count,
            resolved: 0,
            detail: causes.join(", "),
        };
        self.publish(row);
    }

    fn lanes_of(&self, group_id: &str) -> Vec<LaneView> {
        let Some(group) = self.state.durable.groups.get(group_id) else { return Vec::new() };
        let plan = &self.state.plan;
        let route = plan.route(&group.route).filter(|_| !group.parting);
        let repeat_interval_ms =
            route.map_or(i64::MAX, |own| i64::try_from(own.repeat_interval_ms).unwrap_or(i64::MAX));
        let mut lanes = Vec::new();
        for (integration, planned) in &plan.integrations {
            let in_route = route.is_some_and(|own| own.receiver == planned.receiver);
            if in_route || group.lanes.contains_key(integration) {
                lanes.push(LaneView {
                    integration: integration.clone(),
                    repeat_interval_ms,
                    send_resolved: planned.send_resolved,
                    parting: !in_route,
                });
            }
        }
        lanes
    }

    fn look_at_lane(&mut self, group_id: &str, view: &LaneView, sets: &Sets) {
        let Some(group) = self.state.durable.groups.get(group_id) else { return };
        let lane = group.lanes.get(&view.integration);
        let pending = lane.and_then(|own| own.pending.as_ref());
        if pending.is_some_and(|own| own.in_flight) {
            self.state.with_lane(group_id, &view.integration, |lane| {
                if let Some(pending) = &mut lane.pending {
                    pending.late_flush = true;
                }
            });
            return;
        }
        let has_pending = pending.is_some();
        let base = lane.and_then(super::state::Lane::base);
        let present = Present {
            firing: &sets.firing,
            resolved: &sets.resolved,
            now_ms: self.now_ms,
            // What is still under way is not repeated, it is retried.
            repeat_interval_ms: if has_pending { i64::MAX } else { view.repeat_interval_ms },
            send_resolved: view.send_resolved,
        };
        let Some(reason) = reason(base.as_ref(), &present) else { return };
        let is_end = matches!(reason, Reason::AllResolved | Reason::SomeResolved);
        if view.parting && !is_end {
            return;
        }
        if reason == Reason::AllResolved && !view.send_resolved {
            // A firing message that is still under way goes first; the next look settles.
            if !has_pending {
                self.record(Record::Settled {
                    group: group_id.to_owned(),
                    integration: view.integration.clone(),
                    at_ms: self.now_ms,
                    resolved: sets.resolved.clone(),
                });
            }
            return;
        }
        self.decide(group_id, view, sets, reason);
    }

    /// Writes the intent, and starts its first attempt unless a back-off is running.
    fn decide(&mut self, group_id: &str, view: &LaneView, sets: &Sets, reason: Reason) {
        let Some(group) = self.state.durable.groups.get(group_id) else { return };
        let older = group.lanes.get(&view.integration).and_then(|lane| lane.pending.clone());
        let seq = self.state.durable.next_seq;
        let known = &self.state.durable.alerts;
        let shown = sets
            .firing
            .iter()
            .chain(sets.resolved.iter().filter(|_| view.send_resolved))
            .filter_map(|fingerprint| known.get(fingerprint).cloned());
        let mut alerts: Vec<StoredAlert> = shown.collect();
        alerts.sort_by(message_order);
        let intent = Intent {
            id: message_id(&self.state.site, group_id, &view.integration, seq),
            seq,
            group: group_id.to_owned(),
            group_key: group.key.clone(),
            route: group.route.clone(),
            group_labels: group.labels.clone(),
            receiver: receiver_of(group, view, &self.state.plan.integrations),
            integration: view.integration.clone(),
            reason,
            created_at_ms: self.now_ms,
            firing: sets.firing.clone(),
            resolved: sets.resolved.clone(),
            alerts,
        };
        if let Some(older) = &older {
            self.publish(row(HistoryKind::Superseded, self.now_ms, &older.intent, reason.text()));
            self.record(Record::Superseded { message: older.intent.message(), by_seq: seq });
        }
        self.publish(row(HistoryKind::Decided, self.now_ms, &intent, reason.text()));
        self.record(Record::Intent {
            intent,
            since_ms: older.as_ref().map_or(self.now_ms, |own| own.since_ms),
            attempts: older.as_ref().map_or(0, |own| own.attempts),
            next_attempt_ms: older.as_ref().map_or(self.now_ms, |own| own.next_attempt_ms),
        });
        if older.is_none_or(|own| own.next_attempt_ms <= self.now_ms) {
            self.deliver(group_id, &view.integration);
        }
    }

    /// Lets go of alerts that are over and told everywhere, and of a group that is empty.
    pub(super) fn clean_up(&mut self, group_id: &str) {
        let Some(group) = self.state.durable.groups.get(group_id) else { return };
        let plan = self.state.plan.clone();
        let lanes: Vec<_> = group
            .lanes
            .iter()
            .filter(|(integration, _)| plan.integrations.contains_key(*integration))
            .map(|(_, lane)| lane)
            .collect();
        let owed = |fingerprint: u64| {
            lanes.iter().any(|lane| {
                lane.told.as_ref().is_some_and(|told| told.firing.contains(&fingerprint))
                    || lane.pending.as_ref().is_some_and(|pending| {
                        pending.intent.firing.contains(&fingerprint)
                            || pending.intent.resolved.contains(&fingerprint)
                    })
            })
        };
        let over = |fingerprint: &u64| {
            let known = self.state.durable.alerts.get(fingerprint);
            known.is_none_or(|alert| alert.is_resolved_at(self.now_ms)) && !owed(*fingerprint)
        };
        let done: Vec<u64> = if group.flushed {
            group.members.iter().copied().filter(over).collect()
        } else {
            Vec::new()
        };
        let idle = lanes.iter().all(|lane| lane.pending.is_none());
        let empty = group.members.len() == done.len();
        if !done.is_empty() {
            self.record(Record::Left { group: group_id.to_owned(), members: done.clone() });
        }
        if empty && idle {
            self.record(Record::GroupRemoved { group: group_id.to_owned() });
        }
        self.forget_alerts(&done);
    }

    /// Forgets alerts that no group holds.
    pub(super) fn forget_alerts(&mut self, candidates: &[u64]) {
        let free: Vec<u64> = candidates
            .iter()
            .copied()
            .filter(|own| !self.state.holds.contains_key(own))
            .filter(|own| {
                let known = self.state.durable.alerts.get(own);
                known.is_some_and(|alert| alert.is_resolved_at(self.now_ms))
            })
            .collect();
        if !free.is_empty() {
            self.record(Record::AlertRemoved(free));
        }
    }
}

fn receiver_of(
    group: &Group,
    view: &LaneView,
    integrations: &std::collections::BTreeMap<String, super::plan::PlannedIntegration>,
) -> String {
    integrations
        .get(&view.integration)
        .map_or_else(|| group.receiver.clone(), |planned| planned.receiver.clone())
}

/// By job, then instance, then all labels.
fn message_order(one: &StoredAlert, two: &StoredAlert) -> std::cmp::Ordering {
    let key = |alert: &StoredAlert, name: &str| alert.labels.get(name).unwrap_or("").to_owned();
    key(one, "job")
        .cmp(&key(two, "job"))
        .then_with(|| key(one, "instance").cmp(&key(two, "instance")))
        .then_with(|| one.labels.cmp(&two.labels))
}

/// The same for every attempt and after every restart; another for every message.
fn message_id(site: &str, group: &str, integration: &str, seq: u64) -> String {
    let text = format!("{site}\0{group}\0{integration}\0{seq}");
    format!("{:032x}", xxh3_128(text.as_bytes()))
}

/// A history line about one message.
pub(super) fn row(kind: HistoryKind, at_ms: i64, intent: &Intent, detail: &str) -> HistoryRow {
    HistoryRow {
        at_ms,
        kind,
        group: intent.group_key.clone(),
        receiver: intent.receiver.clone(),
        integration: intent.integration.clone(),
        id: intent.id.clone(),
        attempt: 0,
        firing: intent.firing.len(),
        resolved: intent.resolved.len(),
        detail: detail.to_owned(),
    }
}
