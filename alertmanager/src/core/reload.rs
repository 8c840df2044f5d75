//! A new configuration takes over without losing or repeating anything.
//!
//! Place in the flow: `ConfigLoaded` → **here** → records.
//!
//! Groups keep their timers and what they told. A group that no alert leads to any more stays, as a
//! parting one, until the ends of what it told are told too. Messages for an integration that is
//! gone become dead letters, in sight.
//!
//! Not here: checking the configuration (config).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::event::Outcome;
use super::inhibit::InhibitIndex;
use super::plan::{Plan, group_labels, label_set_text};
use super::record::{Record, StoredAlert};
use super::state::Pending;
use super::step::Turn;

impl Turn<'_> {
    pub(super) fn take_plan(&mut self, plan: Arc<Plan>) {
        self.state.inhibit = InhibitIndex::new(&plan.inhibit_rules);
        self.state.plan = plan;
        for (fingerprint, alert) in &self.state.durable.alerts {
            self.state.inhibit.add(*fingerprint, &alert.labels);
        }
        let epoch = self.state.durable.epoch + 1;
        self.record(Record::ConfigEpoch { epoch, at_ms: self.now_ms });
        self.drop_removed_integrations();
        let firing: Vec<StoredAlert> = self
            .state
            .durable
            .alerts
            .values()
            .filter(|alert| !alert.is_resolved_at(self.now_ms))
            .cloned()
            .collect();
        for alert in &firing {
            self.join_groups(alert);
        }
        self.part_with_groups(&firing);
        self.retry_settings();
    }

    fn drop_removed_integrations(&mut self) {
        let plan = self.state.plan.clone();
        let mut orphans: Vec<Pending> = Vec::new();
        for group in self.state.durable.groups.values() {
            for (integration, lane) in &group.lanes {
                if !plan.integrations.contains_key(integration) {
                    orphans.extend(lane.pending.clone());
                }
            }
        }
        for pending in orphans {
            self.give_up(&pending, "the configuration no longer has this receiver");
        }
    }

    /// Alerts leave groups that their routes no longer lead to, unless an end is owed there.
    fn part_with_groups(&mut self, firing: &[StoredAlert]) {
        let plan = self.state.plan.clone();
        let mut targets: BTreeSet<(String, u64)> = BTreeSet::new();
        for alert in firing {
            for route in plan.routes_of(&alert.labels) {
                let labels = label_set_text(&group_labels(route, &alert.labels));
                targets.insert((format!("{}:{labels}", route.id), alert.fingerprint()));
            }
        }
        let ids: Vec<String> = self.state.durable.groups.keys().cloned().collect();
        for id in ids {
            let group = &self.state.durable.groups[&id];
            let owed = |fingerprint: &u64| {
                group
                    .lanes
                    .values()
                    .any(|lane| lane.base().is_some_and(|told| told.firing.contains(fingerprint)))
            };
            let is_firing = |fingerprint: &u64| {
                let known = self.state.durable.alerts.get(fingerprint);
                known.is_some_and(|alert| !alert.is_resolved_at(self.now_ms))
            };
            let strangers: Vec<u64> = group
                .members
                .iter()
                .copied()
                .filter(|own| is_firing(own) && !targets.contains(&(id.clone(), *own)))
                .collect();
            if strangers.is_empty() {
                continue;
            }
            let leaving: Vec<u64> = strangers.iter().copied().filter(|own| !owed(own)).collect();
            let nobody_leads_here =
                !group.members.iter().any(|own| targets.contains(&(id.clone(), *own)));
            if nobody_leads_here {
                self.record(Record::Parting { group: id.clone() });
            }
            if !leaving.is_empty() {
                self.record(Record::Left { group: id.clone(), members: leaving });
            }
            self.clean_up(&id);
        }
    }

    /// What waited for somebody to mend a setting is tried at once.
    fn retry_settings(&mut self) {
        let config = Outcome::Config.name();
        let mut waiting: Vec<Pending> = Vec::new();
        for group in self.state.durable.groups.values() {
            for lane in group.lanes.values() {
                waiting.extend(lane.pending.clone().filter(|own| own.outcome == config));
            }
        }
        for pending in waiting {
            self.record(Record::Attempt {
                message: pending.intent.message(),
                attempts: pending.attempts,
                outcome: pending.outcome,
                next_attempt_ms: self.now_ms,
                finished: Vec::new(),
            });
        }
    }
}
