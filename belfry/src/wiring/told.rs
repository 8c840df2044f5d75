//! What rules and the alert manager tell the SQL tables `alerts` and `notifications`.
//!
//! Place in the flow: their snapshots → rows. The rooms don't know each other.

use std::sync::{Arc, OnceLock};

use alertmanager::Alertmanager;
use alertmanager::core::HistoryKind;
use rules::Rules;
use rules::alerting::State;
use sql::told::{AlertRow, NotificationRow, Told};

/// Lines of the notification log that a statement sees.
const NOTIFICATIONS_MAX: usize = 10_000;

/// Tells from the rooms that run; they are opened after SQL is.
#[derive(Default)]
pub struct Tellers {
    /// Alerts.
    pub rules: OnceLock<Arc<Rules>>,
    /// Notifications.
    pub alertmanager: OnceLock<Arc<Alertmanager>>,
}

impl Told for Tellers {
    fn alerts(&self) -> Vec<AlertRow> {
        let groups = self.rules.get().map(|rules| rules.groups()).unwrap_or_default();
        let mut rows = Vec::new();
        for group in groups {
            for rule in &group.rules {
                let alerts = rule.alerting.iter().flat_map(|alerting| &alerting.alerts);
                rows.extend(alerts.map(|alert| AlertRow {
                    name: rule.name.clone(),
                    state: match alert.state {
                        State::Firing => "firing".to_owned(),
                        State::Pending => "pending".to_owned(),
                        _ => "inactive".to_owned(),
                    },
                    labels: alert.labels.clone(),
                    annotations: alert.annotations.clone(),
                    active_at_ms: alert.active_at.0,
                    value: alert.value,
                    group: group.name.clone(),
                }));
            }
        }
        rows
    }

    fn notifications(&self) -> Vec<NotificationRow> {
        let Some(alertmanager) = self.alertmanager.get() else { return Vec::new() };
        let rows = alertmanager.history(NOTIFICATIONS_MAX).into_iter();
        rows.map(|row| NotificationRow {
            at_ms: row.at_ms,
            event: event(row.kind).to_owned(),
            group: row.group,
            receiver: row.receiver,
            integration: row.integration,
            id: row.id,
            attempt: row.attempt,
            firing: row.firing as u64,
            resolved: row.resolved as u64,
            detail: row.detail,
        })
        .collect()
    }
}

fn event(kind: HistoryKind) -> &'static str {
    match kind {
        HistoryKind::Decided => "decided",
        HistoryKind::Delivered => "delivered",
        HistoryKind::Failed => "failed",
        HistoryKind::Superseded => "superseded",
        HistoryKind::DeadLetter => "dead_letter",
        HistoryKind::Suppressed => "suppressed",
    }
}
