//! What a person may see of the state: alerts and groups in the shapes of the API.
//!
//! Place in the flow: API, page, metrics → **view** of the state at one instant.
//!
//! Not here: filters and JSON of the API (dashboards).

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, TimestampMs};

use super::record::StoredAlert;
use super::silence::{Silence, SilenceState};
use super::state::State;

/// An alert as `GET /api/v2/alerts` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertView {
    /// Who it is.
    pub labels: Labels,
    /// What people read.
    pub annotations: Labels,
    /// Who may be told, by name.
    pub receivers: Vec<String>,
    /// 16 hex digits.
    pub fingerprint: String,
    /// Since when.
    pub starts_at: TimestampMs,
    /// When it was last heard of.
    pub updated_at: TimestampMs,
    /// Until when.
    pub ends_at: TimestampMs,
    /// Link to the expression.
    pub generator_url: String,
    /// Ids of silences that hold it.
    pub silenced_by: Vec<String>,
    /// Fingerprints of alerts that keep it quiet.
    pub inhibited_by: Vec<String>,
    /// Time intervals that keep all its routes quiet.
    pub muted_by: Vec<String>,
}

impl AlertView {
    /// `active` or `suppressed`.
    pub fn state(&self) -> &'static str {
        let quiet = self.silenced_by.is_empty() && self.inhibited_by.is_empty();
        if quiet && self.muted_by.is_empty() { "active" } else { "suppressed" }
    }
}

/// A group as `GET /api/v2/alerts/groups` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// The group's labels.
    pub labels: Labels,
    /// The route's id, for its labels.
    pub route: String,
    /// The receiver's name.
    pub receiver: String,
    /// As receivers see it.
    pub key: String,
    /// The next look.
    pub next_flush: TimestampMs,
    /// Its alerts that fire, by fingerprint.
    pub alerts: Vec<AlertView>,
    /// Messages under way: integration, id, attempts, last outcome.
    pub pending: Vec<PendingView>,
}

/// A message under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingView {
    /// The integration's key.
    pub integration: String,
    /// The message's id.
    pub id: String,
    /// Attempts that ended.
    pub attempts: u32,
    /// The last outcome, empty before the first.
    pub outcome: String,
    /// Since when something is undelivered.
    pub since: TimestampMs,
}

/// A silence with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceView {
    /// The silence.
    pub silence: Silence,
    /// Where in its life it is.
    pub state: SilenceState,
}

impl State {
    /// Why an alert is kept quiet by others or by people, if it is.
    pub(super) fn suppression_cause(
        &self,
        alert: &StoredAlert,
        now_ms: i64,
    ) -> Option<&'static str> {
        if !self.inhibit.muted_by(&alert.labels, &self.durable.alerts, now_ms).is_empty() {
            return Some("inhibition");
        }
        self.silenced_by(&alert.labels, now_ms).next().map(|_| "silence")
    }

    fn silenced_by<'a>(
        &'a self,
        labels: &'a Labels,
        now_ms: i64,
    ) -> impl Iterator<Item = &'a str> + 'a {
        self.durable
            .silences
            .values()
            .filter(move |own| own.state(now_ms) == SilenceState::Active)
            .filter(|own| self.silences.get(&own.id).is_some_and(|own| own.matches(labels)))
            .map(|own| own.id.as_str())
    }

    /// All alerts that fire, by fingerprint.
    pub fn alert_views(&self, now: TimestampMs) -> Vec<AlertView> {
        let firing = self.durable.alerts.values().filter(|own| !own.is_resolved_at(now.0));
        let mut views: Vec<AlertView> = firing.map(|own| self.alert_view(own, now)).collect();
        views.sort_by(|one, two| one.fingerprint.cmp(&two.fingerprint));
        views
    }

    fn alert_view(&self, alert: &StoredAlert, now: TimestampMs) -> AlertView {
        let routes = self.plan.routes_of(&alert.labels);
        let receivers: BTreeSet<String> = routes.iter().map(|own| own.receiver.clone()).collect();
        let muting: Vec<Vec<String>> =
            routes.iter().map(|own| self.plan.muted_by(own, now)).collect();
        let muted_by =
            if muting.iter().all(|names| !names.is_empty()) { muting.concat() } else { Vec::new() };
        let inhibited = self.inhibit.muted_by(&alert.labels, &self.durable.alerts, now.0);
        AlertView {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            receivers: receivers.into_iter().collect(),
            fingerprint: format!("{:016x}", alert.fingerprint()),
            starts_at: TimestampMs(alert.starts_at_ms),
            updated_at: TimestampMs(alert.updated_at_ms),
            ends_at: TimestampMs(alert.ends_at_ms),
            generator_url: alert.generator_url.clone(),
            silenced_by: self.silenced_by(&alert.labels, now.0).map(str::to_owned).collect(),
            inhibited_by: inhibited.iter().map(|own| format!("{own:016x}")).collect(),
            muted_by,
        }
    }

    /// All groups with alerts that fire, by labels and receiver.
    pub fn group_views(&self, now: TimestampMs) -> Vec<GroupView> {
        let by_fingerprint: BTreeMap<String, AlertView> =
            self.alert_views(now).into_iter().map(|own| (own.fingerprint.clone(), own)).collect();
        let mut views = Vec::new();
        for group in self.durable.groups.values() {
            let mut alerts: Vec<AlertView> = group
                .members
                .iter()
                .filter_map(|member| by_fingerprint.get(&format!("{member:016x}")).cloned())
                .collect();
            alerts.sort_by(|one, two| one.fingerprint.cmp(&two.fingerprint));
            let pending = group
                .lanes
                .iter()
                .filter_map(|(integration, lane)| {
                    lane.pending.as_ref().map(|own| PendingView {
                        integration: integration.clone(),
                        id: own.intent.id.clone(),
                        attempts: own.attempts,
                        outcome: own.outcome.clone(),
                        since: TimestampMs(own.since_ms),
                    })
                })
                .collect();
            views.push(GroupView {
                labels: group.labels.clone(),
                route: group.route.clone(),
                receiver: group.receiver.clone(),
                key: group.key.clone(),
                next_flush: TimestampMs(group.next_flush_ms),
                alerts,
                pending,
            });
        }
        views.sort_by(|one, two| {
            one.labels.cmp(&two.labels).then_with(|| one.receiver.cmp(&two.receiver))
        });
        views
    }

    /// All silences: active by end, pending by start, expired with the latest first.
    pub fn silence_views(&self, now: TimestampMs) -> Vec<SilenceView> {
        let mut views: Vec<SilenceView> = self
            .durable
            .silences
            .values()
            .map(|own| SilenceView { silence: own.clone(), state: own.state(now.0) })
            .collect();
        let rank = |view: &SilenceView| match view.state {
            SilenceState::Active => (0, view.silence.ends_at_ms),
            SilenceState::Pending => (1, view.silence.starts_at_ms),
            SilenceState::Expired => (2, -view.silence.ends_at_ms),
        };
        views.sort_by_key(rank);
        views
    }
}
