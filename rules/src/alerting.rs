//! Rows to alerts: the state machine.
//!
//! Place in the flow: engine → `expand` → **`alerting::step`** → journal, `AlertSink`, `Append`.
//!
//! Everything here is a pure function of rows, previous state and the instant, so that the same code
//! runs live, after a restart and in tests.
//!
//! ```text
//! inactive ── row ──▶ pending ── `for` is over ──▶ firing ── no row ──▶ (keep firing) ──▶ resolved
//!     ▲                  │ no row                                                          │ 15 min
//!     └──────────────────┴────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Not here: sending and storing (`rule`), the journal (`state`).

use std::collections::BTreeMap;

use model::labels::METRIC_NAME;
use model::{Alert, Labels, TimestampMs};

use crate::error::Error;
use crate::expand::Expanded;

/// How long a resolved alert is kept and sent again.
pub const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1000;
/// Most alerts of one rule, whatever its limit says: a rule that makes more is a mistake, and each
/// of them costs memory, a series and a line in a message.
pub const ALERTS_MAX: usize = 100_000;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Over; kept so that everybody hears of it.
    Resolved,
    /// The condition holds, but not yet for long enough.
    Pending,
    /// It holds, and people are told.
    Firing,
}

impl State {
    /// The word of the API and of `alertstate`.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Resolved => "inactive",
            State::Pending => "pending",
            State::Firing => "firing",
        }
    }
}

/// One alert of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveAlert {
    /// Who it is.
    pub labels: Labels,
    /// What a person reads, as of the last evaluation with a row.
    pub annotations: Labels,
    /// The row's value, as of the last evaluation with a row.
    pub value: f64,
    /// Where it stands.
    pub state: State,
    /// Since when the condition holds.
    pub active_at: TimestampMs,
    /// Since when it fires.
    pub fired_at: Option<TimestampMs>,
    /// When it was over.
    pub resolved_at: Option<TimestampMs>,
    /// Since when it fires without a row.
    pub keep_firing_since: Option<TimestampMs>,
    /// When it was last handed over.
    pub last_sent_at: Option<TimestampMs>,
}

/// All alerts of a rule by their labels.
pub type Alerts = BTreeMap<Labels, ActiveAlert>;

/// The durations of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// How long a condition holds before its alert fires.
    pub for_ms: i64,
    /// How long an alert keeps firing without a row.
    pub keep_firing_for_ms: i64,
    /// Most pending and firing alerts; 0 is no limit.
    pub limit: u64,
}

/// The alerts after an evaluation at `now`. With an error the rule failed: two rows with the same
/// labels leave the alerts as they were, too many alerts clear them.
pub(crate) fn step(
    previous: &Alerts,
    rows: Vec<Expanded>,
    timing: Timing,
    now: TimestampMs,
) -> Result<Alerts, (Alerts, Error)> {
    let mut rows_by_labels: BTreeMap<Labels, Expanded> = BTreeMap::new();
    for row in rows {
        if rows_by_labels.insert(row.labels.clone(), row).is_some() {
            let text = "vector contains metrics with the same labelset after applying alert labels";
            return Err((previous.clone(), Error::Rule(text.to_owned())));
        }
    }
    let mut next = Alerts::new();
    for (labels, alert) in previous {
        let continued = match rows_by_labels.remove(labels) {
            Some(row) if alert.state == State::Resolved => {
                Some(with_row(begun(&row, now), timing, now))
            }
            Some(row) => {
                let fresh =
                    ActiveAlert { value: row.value, annotations: row.annotations, ..alert.clone() };
                Some(with_row(fresh, timing, now))
            }
            None => without_row(alert.clone(), timing, now),
        };
        if let Some(alert) = continued {
            next.insert(labels.clone(), alert);
        }
    }
    for (labels, row) in rows_by_labels {
        next.insert(labels, with_row(begun(&row, now), timing, now));
    }
    let active = next.values().filter(|alert| alert.state != State::Resolved).count();
    let limit = if timing.limit == 0 { ALERTS_MAX as u64 } else { timing.limit };
    if active as u64 > limit.min(ALERTS_MAX as u64) {
        let text = format!("exceeded limit of {limit} with {active} alerts");
        return Err((Alerts::new(), Error::Rule(text)));
    }
    Ok(next)
}

fn begun(row: &Expanded, now: TimestampMs) -> ActiveAlert {
    ActiveAlert {
        labels: row.labels.clone(),
        annotations: row.annotations.clone(),
        value: row.value,
        state: State::Pending,
        active_at: now,
        fired_at: None,
        resolved_at: None,
        keep_firing_since: None,
        last_sent_at: None,
    }
}

fn with_row(mut alert: ActiveAlert, timing: Timing, now: TimestampMs) -> ActiveAlert {
    assert!(alert.state != State::Resolved, "a row begins a resolved alert anew");
    alert.keep_firing_since = None;
    let held_ms = now.0.saturating_sub(alert.active_at.0);
    if held_ms >= timing.for_ms {
        if alert.state == State::Pending {
            alert.state = State::Firing;
            alert.fired_at = Some(now);
        }
    } else {
        // `for` was raised while it fired: it waits again.
        alert.state = State::Pending;
        alert.fired_at = None;
    }
    alert
}

fn without_row(mut alert: ActiveAlert, timing: Timing, now: TimestampMs) -> Option<ActiveAlert> {
    match alert.state {
        State::Pending => None,
        State::Firing => {
            if timing.keep_firing_for_ms > 0 {
                let since = *alert.keep_firing_since.get_or_insert(now);
                if now.0.saturating_sub(since.0) < timing.keep_firing_for_ms {
                    return Some(alert);
                }
            }
            alert.state = State::Resolved;
            alert.resolved_at = Some(now);
            Some(alert)
        }
        State::Resolved => {
            let resolved_at = alert.resolved_at.unwrap_or(now);
            let kept_ms = now.0.saturating_sub(resolved_at.0);
            (kept_ms <= RESOLVED_RETENTION_MS).then_some(alert)
        }
    }
}

/// What messages need besides the alerts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending<'a> {
    pub(crate) resend_delay_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) external_labels: &'a Labels,
    pub(crate) generator_url: &'a str,
}

/// Whether an alert is to be handed over at `now`.
pub(crate) fn is_due(alert: &ActiveAlert, resend_delay_ms: i64, now: TimestampMs) -> bool {
    let Some(last) = alert.last_sent_at else { return alert.state != State::Pending };
    match alert.state {
        State::Pending => false,
        _ if alert.resolved_at.is_some_and(|resolved| resolved > last) => true,
        _ => last.plus_ms(resend_delay_ms) <= now,
    }
}

/// An alert as it is handed over.
pub(crate) fn message(alert: &ActiveAlert, sending: Sending<'_>, now: TimestampMs) -> Alert {
    let spacing_ms = sending.resend_delay_ms.max(sending.interval_ms);
    let valid_until = now.plus_ms(spacing_ms.saturating_mul(4));
    let mut labels = alert.labels.to_builder();
    for (name, value) in sending.external_labels.iter() {
        if labels.get(name).is_empty() {
            labels.set(name, value);
        }
    }
    Alert {
        labels: labels.build(),
        annotations: alert.annotations.clone(),
        starts_at: alert.fired_at,
        ends_at: Some(alert.resolved_at.unwrap_or(valid_until)),
        generator_url: sending.generator_url.to_owned(),
    }
}

/// `ALERTS` and `ALERTS_FOR_STATE` of what is pending or firing.
pub(crate) fn series(alerts: &Alerts) -> Vec<(Labels, f64)> {
    let mut series = Vec::new();
    for alert in alerts.values().filter(|alert| alert.state != State::Resolved) {
        let mut labels = alert.labels.to_builder();
        labels.set(METRIC_NAME, "ALERTS_FOR_STATE");
        // The word of upstream: whole seconds.
        let active_s = alert.active_at.0.div_euclid(1000) as f64;
        series.push((labels.clone().build(), active_s));
        labels.set(METRIC_NAME, "ALERTS").set("alertstate", alert.state.as_str());
        series.push((labels.build(), 1.0));
    }
    series
}

#[cfg(test)]
mod tests;
