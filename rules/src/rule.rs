//! A rule while it runs.
//!
//! Place in the flow: `group` → **`Rule::evaluate`** → query → `recording` or `alerting` → state
//! journal → `AlertSink` → `Append`.
//!
//! Order matters: a changed state is on the disk before anybody is told, and people are told before
//! the series are stored, because a full disk must not silence an alarm.
//!
//! Not here: the order of rules and their instants (`group`), the state machine (`alerting`).

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use model::append::RefusedReason;
use model::sample::stale_nan;
use model::{AlertSinkError, Batch, Labels, TimestampMs};
use template::prometheus::link;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use xxhash_rust::xxh3::xxh3_64;

use crate::alerting::{self, ActiveAlert, Alerts, Sending, State, Timing};
use crate::config::{GroupConfig, RuleConfig, RuleKind};
use crate::error::Error;
use crate::evaluate::Row;
use crate::expand::{self, RuleTexts, Surroundings};
use crate::recording::{self, Recorded};
use crate::rules::Parts;
use crate::state::StateLog;
use crate::status::{self, AlertStatus, AlertingStatus, Counters, Health, RuleStatus};

/// Longest wait for an answer of the engine, which has a shorter deadline of its own.
const QUERY_DEADLINE: Duration = Duration::from_secs(150);
/// Longest wait for the store and for the alert manager.
const HANDOVER_DEADLINE: Duration = Duration::from_secs(30);

/// What every rule of every group uses.
pub(crate) struct Context {
    pub(crate) parts: Parts,
    pub(crate) state: StateLog,
    pub(crate) counters: Counters,
    /// Replaced by a reload.
    pub(crate) around: RwLock<Arc<Surroundings>>,
    pub(crate) resend_delay_ms: i64,
    /// The keys of all rules there are.
    pub(crate) known: RwLock<HashSet<u64>>,
}

impl Context {
    /// Labels and address of the server, as they are now.
    pub(crate) fn around(&self) -> Arc<Surroundings> {
        self.around.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compacts the state of the alerts when it has grown.
    pub(crate) async fn compact_state(&self) {
        if !self.state.has_grown() {
            return;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = self.state.compact(&known).await {
            status::add(&self.counters.state_failures, 1);
            warn!(%error, "compacting the state of alerts failed");
        }
    }
}

/// One evaluation of a group.
#[derive(Clone, Copy)]
pub(crate) struct Round<'a> {
    pub(crate) at: TimestampMs,
    pub(crate) query_offset_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) limit: u64,
    pub(crate) cancel: &'a CancellationToken,
}

impl Round<'_> {
    /// The instant that is asked about and that results carry.
    fn sample_at(&self) -> TimestampMs {
        self.at.plus_ms(-self.query_offset_ms)
    }
}

struct Alerting {
    texts: Arc<RuleTexts>,
    for_ms: i64,
    keep_firing_for_ms: i64,
    generator_url: String,
    alerts: Alerts,
}

/// A rule with what it remembers.
pub(crate) struct Rule {
    pub(crate) config: RuleConfig,
    /// Names the rule in the journal; the same over restarts and reloads.
    pub(crate) key: u64,
    /// Series of the last evaluation.
    pub(crate) series: HashSet<Labels>,
    alerting: Option<Alerting>,
    health: Health,
    last_error: String,
    last_evaluation: Option<TimestampMs>,
    evaluation_us: u64,
}

/// The keys of a group's rules. Rules that differ in nothing but their place get different keys.
pub(crate) fn keys(group: &GroupConfig) -> Vec<u64> {
    let mut seen: HashSet<u64> = HashSet::new();
    let mut keys = Vec::with_capacity(group.rules.len());
    for rule in &group.rules {
        let kind = match rule.kind {
            RuleKind::Record { .. } => "record",
            RuleKind::Alert { .. } => "alert",
        };
        let mut text = format!("{}\0{}\0{kind}\0{}", group.file, group.name, rule.name());
        for (name, value) in &rule.labels {
            text.push_str(&format!("\0{name}\0{value}"));
        }
        let mut key = xxh3_64(text.as_bytes());
        while !seen.insert(key) {
            key = xxh3_64(&key.to_le_bytes());
        }
        keys.push(key);
    }
    keys
}

impl Rule {
    /// A rule that was not evaluated yet, with the alerts it had before.
    pub(crate) fn new(
        config: &RuleConfig,
        key: u64,
        alerts: Alerts,
        around: &Surroundings,
    ) -> Rule {
        let alerting = match &config.kind {
            RuleKind::Record { .. } => None,
            RuleKind::Alert { name, for_ms, keep_firing_for_ms, annotations } => Some(Alerting {
                texts: Arc::new(RuleTexts::new(name, &config.labels, annotations)),
                for_ms: i64::try_from(*for_ms).unwrap_or(i64::MAX),
                keep_firing_for_ms: i64::try_from(*keep_firing_for_ms).unwrap_or(i64::MAX),
                generator_url: format!("{}{}", around.external_url, link(&config.expression, 1)),
                alerts,
            }),
        };
        Rule {
            config: config.clone(),
            key,
            series: HashSet::new(),
            alerting,
            health: Health::Unknown,
            last_error: String::new(),
            last_evaluation: None,
            evaluation_us: 0,
        }
    }

    /// The alerts it has now.
    pub(crate) fn alerts(&self) -> Alerts {
        self.alerting.as_ref().map(|alerting| alerting.alerts.clone()).unwrap_or_default()
    }

    /// Takes over what a rule of the same key remembers.
    pub(crate) fn inherit(&mut self, old: Rule) {
        self.series = old.series;
        self.health = old.health;
        self.last_error = old.last_error;
        self.last_evaluation = old.last_evaluation;
        self.evaluation_us = old.evaluation_us;
        if let (Some(new), Some(old)) = (&mut self.alerting, old.alerting) {
            new.alerts = old.alerts;
        }
    }

    /// Evaluates once. An error is kept for the API; alerts and series are as far as they came.
    pub(crate) async fn evaluate(&mut self, context: &Context, round: Round<'_>) {
        let begun = Instant::now();
        let result = match self.query(context, round).await {
            None => return,
            Some(Ok(rows)) => match self.alerting.is_some() {
                true => self.evaluate_alerting(context, round, rows).await,
                false => self.evaluate_recording(context, round, rows).await,
            },
            Some(Err(error)) => {
                // Nobody knows whether the condition still holds: what fires goes on firing.
                let _ = self.send(context, round).await;
                Err(error)
            }
        };
        status::add(&context.counters.evaluations, 1);
        self.last_evaluation = Some(round.at);
        self.evaluation_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        match result {
            Ok(()) => {
                self.health = Health::Ok;
                self.last_error.clear();
            }
            Err(error) => {
                status::add(&context.counters.evaluation_failures, 1);
                let text = error.to_string();
                if self.last_error != text {
                    warn!(rule = self.config.name(), error = text, "evaluating a rule failed");
                }
                self.health = Health::Err;
                self.last_error = text;
            }
        }
    }

    /// The rows, or `None` when the group is being stopped.
    async fn query(&self, context: &Context, round: Round<'_>) -> Option<Result<Vec<Row>, Error>> {
        let answer = context.parts.evaluate.instant(&self.config.expression, round.sample_at());
        tokio::select! {
            biased;
            () = round.cancel.cancelled() => None,
            answer = tokio::time::timeout(QUERY_DEADLINE, answer) => Some(match answer {
                Ok(rows) => rows.map_err(Error::Query),
                Err(_) => {
                    let seconds = QUERY_DEADLINE.as_secs();
                    Err(Error::Query(format!("no answer within {seconds} s")))
                }
            }),
        }
    }

    async fn evaluate_recording(
        &mut self,
        context: &Context,
        round: Round<'_>,
        rows: Vec<Row>,
    ) -> Result<(), Error> {
        let name = self.config.name();
        let series = recording::series(rows, name, &self.config.labels, round.limit)?;
        self.store(context, round, series).await
    }

    async fn evaluate_alerting(
        &mut self,
        context: &Context,
        round: Round<'_>,
        rows: Vec<Row>,
    ) -> Result<(), Error> {
        let Some(alerting) = &mut self.alerting else { return Ok(()) };
        let asked = (&context.parts.evaluate, round.at);
        let expanded = expand::expand_all(&alerting.texts, rows, &context.around(), asked)
            .await
            .map_err(Error::Rule)?;
        let timing = Timing {
            for_ms: alerting.for_ms,
            keep_firing_for_ms: alerting.keep_firing_for_ms,
            limit: round.limit,
        };
        match alerting::step(&alerting.alerts, expanded, timing, round.at) {
            Ok(next) => alerting.alerts = next,
            Err((next, error)) => {
                alerting.alerts = next;
                let saved = context.state.save(self.key, &alerting.alerts, round.at).await;
                count_failure(context, saved.is_err());
                return Err(error);
            }
        }
        let series = alerting::series(&alerting.alerts).into_iter();
        let series = series.map(|(labels, value)| (labels, Recorded::Number(value))).collect();
        let saved = context.state.save(self.key, &alerting.alerts, round.at).await;
        count_failure(context, saved.is_err());
        let sent = self.send(context, round).await;
        let stored = self.store(context, round, series).await;
        saved.and(sent).and(stored)
    }

    /// Hands over what is due. What is not taken is due again at the next evaluation.
    async fn send(&mut self, context: &Context, round: Round<'_>) -> Result<(), Error> {
        let Some(alerting) = &mut self.alerting else { return Ok(()) };
        let around = context.around();
        let sending = Sending {
            resend_delay_ms: context.resend_delay_ms,
            interval_ms: round.interval_ms,
            external_labels: &around.external_labels,
            generator_url: &alerting.generator_url,
        };
        let is_due =
            |alert: &ActiveAlert| alerting::is_due(alert, sending.resend_delay_ms, round.at);
        let messages: Vec<_> = alerting
            .alerts
            .values()
            .filter(|alert| is_due(alert))
            .map(|alert| alerting::message(alert, sending, round.at))
            .collect();
        if messages.is_empty() {
            return Ok(());
        }
        let count = messages.len() as u64;
        let sent = context.parts.alerts.send(messages);
        let failure = match tokio::time::timeout(HANDOVER_DEADLINE, sent).await {
            Ok(Ok(())) => None,
            Ok(Err(error @ AlertSinkError::Invalid { .. })) => {
                // The valid ones were taken, and sending the others again can't help.
                warn!(rule = self.config.name(), %error, "the alert manager refused alerts");
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} s", HANDOVER_DEADLINE.as_secs())),
        };
        if let Some(reason) = failure {
            status::add(&context.counters.alerts_failed, count);
            return Err(Error::Query(format!("handing over alerts: {reason}")));
        }
        status::add(&context.counters.alerts_sent, count);
        for alert in alerting.alerts.values_mut() {
            if alerting::is_due(alert, context.resend_delay_ms, round.at) {
                alert.last_sent_at = Some(round.at);
            }
        }
        Ok(())
    }

    /// Stores the series of this evaluation, and an end for each that vanished.
    async fn store(
        &mut self,
        context: &Context,
        round: Round<'_>,
        series: Vec<(Labels, Recorded)>,
    ) -> Result<(), Error> {
        let now: HashSet<Labels> = series.iter().map(|(labels, _)| labels.clone()).collect();
        let vanished = self.series.iter().filter(|labels| !now.contains(*labels)).cloned();
        let ended = vanished.map(|labels| (labels, Recorded::Number(stale_nan())));
        let ended: Vec<(Labels, Recorded)> = ended.collect();
        write(context, series.iter().chain(&ended), round.sample_at()).await?;
        self.series = now;
        Ok(())
    }

    /// What the API shows.
    pub(crate) fn status(&self) -> RuleStatus {
        RuleStatus {
            name: self.config.name().to_owned(),
            expression: self.config.expression.clone(),
            labels: Labels::from_pairs(self.config.labels.iter().map(|(n, v)| (n, v))),
            health: self.health,
            last_error: self.last_error.clone(),
            last_evaluation: self.last_evaluation,
            evaluation_us: self.evaluation_us,
            alerting: self.alerting.as_ref().map(|alerting| self.alerting_status(alerting)),
        }
    }

    fn alerting_status(&self, alerting: &Alerting) -> AlertingStatus {
        let alerts: Vec<AlertStatus> = alerting
            .alerts
            .values()
            .filter(|alert| alert.state != State::Resolved)
            .map(|alert| AlertStatus {
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                state: alert.state,
                active_at: alert.active_at,
                fired_at: alert.fired_at,
                keep_firing_since: alert.keep_firing_since,
                value: alert.value,
            })
            .collect();
        let annotations = match &self.config.kind {
            RuleKind::Alert { annotations, .. } => annotations.as_slice(),
            RuleKind::Record { .. } => &[],
        };
        AlertingStatus {
            for_ms: alerting.for_ms.unsigned_abs(),
            keep_firing_for_ms: alerting.keep_firing_for_ms.unsigned_abs(),
            annotations: Labels::from_pairs(annotations.iter().map(|(n, v)| (n, v))),
            state: alerts.iter().map(|alert| alert.state).max().unwrap_or(State::Resolved),
            alerts,
        }
    }
}

fn count_failure(context: &Context, failed: bool) {
    status::add(&context.counters.state_failures, u64::from(failed));
}

/// Commits values at one instant.
pub(crate) async fn write<'a>(
    context: &Context,
    values: impl Iterator<Item = &'a (Labels, Recorded)>,
    at: TimestampMs,
) -> Result<(), Error> {
    let mut batch = Batch::new();
    for (labels, value) in values {
        let series = batch.series(labels);
        value.add_to(&mut batch, series, at);
    }
    if batch.is_empty() {
        return Ok(());
    }
    let appended = context.parts.append.append(batch);
    let appended = match tokio::time::timeout(HANDOVER_DEADLINE, appended).await {
        Ok(result) => result.map_err(|error| Error::Append(error.to_string()))?,
        Err(_) => {
            let seconds = HANDOVER_DEADLINE.as_secs();
            return Err(Error::Append(format!("no answer within {seconds} s")));
        }
    };
    status::add(
        &context.counters.samples_written,
        appended.accepted + appended.histograms_accepted,
    );
    let refused: Vec<RefusedReason> = appended.refused.iter().map(|one| one.reason).collect();
    status::add(&context.counters.samples_refused, refused.len() as u64);
    if let Some(reason) = refused.first() {
        warn!(count = refused.len(), reason = reason.as_str(), "the store refused rule results");
    }
    Ok(())
}
