//! The one entry: something happened, so this is to be done.
//!
//! Place in the flow: event → **`step`** → effects.
//!
//! A [`Turn`] collects the records of one step. Each is applied at once, so that later decisions of
//! the same step see it, and all go to the log together.
//!
//! Not here: the decisions (`intake`, `flush`, `outcome`, `reload`).

use model::{Alert, TimestampMs};

use super::effect::{Delivery, Effect, HistoryRow};
use super::event::Event;
use super::record::Record;
use super::silence::SILENCE_RETENTION_MS;
use super::state::State;

/// One step under way.
pub(super) struct Turn<'a> {
    pub(super) state: &'a mut State,
    pub(super) now_ms: i64,
    records: Vec<Record>,
    deliveries: Vec<Delivery>,
    rows: Vec<HistoryRow>,
}

impl Turn<'_> {
    pub(super) fn record(&mut self, record: Record) {
        self.state.apply(&record);
        self.records.push(record);
    }

    pub(super) fn publish(&mut self, row: HistoryRow) {
        self.rows.push(row);
    }

    pub(super) fn now(&self) -> TimestampMs {
        TimestampMs(self.now_ms)
    }

    /// Starts the next attempt of a lane's message.
    pub(super) fn deliver(&mut self, group: &str, integration: &str) {
        let mut delivery = None;
        self.state.with_lane(group, integration, |lane| {
            if let Some(pending) = lane.pending.as_mut().filter(|own| !own.in_flight) {
                pending.in_flight = true;
                delivery = Some(Delivery {
                    intent: pending.intent.clone(),
                    attempt: pending.attempts + 1,
                    finished: pending.finished.clone(),
                });
            }
        });
        self.deliveries.extend(delivery);
    }
}

/// Takes one event and says what is to be done. The only function that changes a state.
pub fn step(state: &mut State, now: TimestampMs, event: Event) -> Vec<Effect> {
    let mut turn = Turn {
        state,
        now_ms: now.0,
        records: Vec::new(),
        deliveries: Vec::new(),
        rows: Vec::new(),
    };
    match event {
        Event::AlertBatch(alerts) => turn.take_alerts(&alerts),
        Event::Tick => turn.tick(),
        Event::ConfigLoaded(plan) => turn.take_plan(plan),
        Event::DeliveryResult { group, integration, seq, report } => {
            turn.take_report((&group, &integration), seq, report);
        }
        Event::SilencePut(silence) => turn.record(Record::SilenceSet(silence)),
        Event::SilenceExpire(id) => turn.expire_silence(&id),
    }
    let Turn { records, deliveries, rows, state, .. } = turn;
    let mut effects = Vec::new();
    if !records.is_empty() {
        effects.push(Effect::Append(records));
    }
    effects.extend(rows.into_iter().map(Effect::Publish));
    effects.extend(deliveries.into_iter().map(Effect::Deliver));
    if let Some(at_ms) = state.next_wake_ms() {
        effects.push(Effect::WakeAt(TimestampMs(at_ms)));
    }
    effects
}

impl Turn<'_> {
    fn tick(&mut self) {
        while let Some((at_ms, group)) = self.state.flush_at.first().cloned() {
            if at_ms > self.now_ms {
                break;
            }
            self.flush(&group);
            let next = self.state.durable.groups.get(&group).map(|own| own.next_flush_ms);
            assert!(next.is_none_or(|next_ms| next_ms > self.now_ms), "a flush moves its timer");
        }
        while let Some((at_ms, group, integration)) = self.state.attempt_at.first().cloned() {
            if at_ms > self.now_ms {
                break;
            }
            self.retry(&group, &integration);
        }
        self.forget_silences();
    }

    fn expire_silence(&mut self, id: &str) {
        let Some(silence) = self.state.durable.silences.get(id) else { return };
        if silence.ends_at_ms <= self.now_ms {
            return;
        }
        let mut silence = silence.clone();
        silence.ends_at_ms = self.now_ms;
        silence.starts_at_ms = silence.starts_at_ms.min(self.now_ms);
        silence.updated_at_ms = self.now_ms;
        self.record(Record::SilenceSet(silence));
    }

    fn forget_silences(&mut self) {
        let forgotten: Vec<String> = self
            .state
            .durable
            .silences
            .values()
            .filter(|own| own.ends_at_ms.saturating_add(SILENCE_RETENTION_MS) <= self.now_ms)
            .map(|own| own.id.clone())
            .collect();
        for id in forgotten {
            self.record(Record::SilenceRemoved(id));
        }
    }
}

/// Says what is wrong with an alert, if anything, in the words of the field's API.
pub fn check_alert(alert: &Alert) -> Result<(), String> {
    if alert.labels.is_empty() {
        return Err("at least one label pair required".to_owned());
    }
    if let (Some(start), Some(end)) = (alert.starts_at, alert.ends_at)
        && end < start
    {
        return Err("start time must be before end time".to_owned());
    }
    Ok(())
}
