//! What is known now: the durable part, and indexes over it.
//!
//! Place in the flow: [`super::step`] reads it and changes the durable part through **`apply`**.
//!
//! Invariants:
//! - Durable state changes in `apply` alone, so a replay of the log gives the same state.
//! - The timers and the inhibition index always agree with the durable part.
//! - `in_flight` is true exactly while an attempt of this process is under way.
//!
//! Not here: decisions (`flush`, `outcome`, `intake`, `reload`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Labels;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use super::inhibit::InhibitIndex;
use super::plan::Plan;
use super::reason::Told;
use super::record::{Intent, Joined, MessageRef, Record, StoredAlert, as_pairs};
use super::silence::{Compiled, Silence};

/// The part that is journalled.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Durable {
    /// By fingerprint.
    pub alerts: BTreeMap<u64, StoredAlert>,
    /// By id.
    pub groups: BTreeMap<String, Group>,
    /// By id.
    pub silences: BTreeMap<String, Silence>,
    /// The number of the next message.
    pub next_seq: u64,
    /// Which configuration this is, counted.
    pub epoch: u64,
}

/// Alerts that share messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The route's id.
    pub route: String,
    /// As receivers see it.
    pub key: String,
    /// What its alerts have in common by the route's wish.
    #[serde(with = "as_pairs")]
    pub labels: Labels,
    /// The receiver's name.
    pub receiver: String,
    /// The next look.
    pub next_flush_ms: i64,
    /// Whether there was a look.
    pub flushed: bool,
    /// No route leads here any more.
    pub parting: bool,
    /// Fingerprints.
    pub members: BTreeSet<u64>,
    /// By integration.
    pub lanes: BTreeMap<String, Lane>,
    /// Kept quiet at the last look; only for history.
    #[serde(skip)]
    pub suppressed: BTreeSet<u64>,
}

/// One integration's view of one group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lane {
    /// What it knows.
    pub told: Option<Told>,
    /// What it is to be told.
    pub pending: Option<Pending>,
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The message.
    #[serde(with = "shared")]
    pub intent: Arc<Intent>,
    /// Since when the lane has something undelivered.
    pub since_ms: i64,
    /// Attempts that ended.
    pub attempts: u32,
    /// Not before.
    pub next_attempt_ms: i64,
    /// Recipients that need nothing more.
    pub finished: BTreeSet<String>,
    /// The last attempt's outcome.
    pub outcome: String,
    /// An attempt is under way.
    #[serde(skip)]
    pub in_flight: bool,
    /// A flush passed while it was under way; look again at its end.
    #[serde(skip)]
    pub late_flush: bool,
}

impl Lane {
    /// What it knows, or will know once the pending message is there.
    pub fn base(&self) -> Option<Told> {
        match &self.pending {
            Some(pending) => Some(pending.told()),
            None => self.told.clone(),
        }
    }
}

impl Pending {
    /// What is told by it.
    pub fn told(&self) -> Told {
        Told {
            at_ms: self.intent.created_at_ms,
            firing: self.intent.firing.clone(),
            resolved: self.intent.resolved.clone(),
        }
    }
}

/// Everything the core knows.
#[derive(Debug)]
pub struct State {
    /// The part that is journalled.
    pub durable: Durable,
    pub(super) plan: Arc<Plan>,
    /// Names this installation inside message ids.
    pub(super) site: String,
    pub(super) random: SmallRng,
    pub(super) inhibit: InhibitIndex,
    pub(super) silences: BTreeMap<String, Compiled>,
    /// How many groups hold an alert.
    pub(super) holds: BTreeMap<u64, usize>,
    pub(super) flush_at: BTreeSet<(i64, String)>,
    pub(super) attempt_at: BTreeSet<(i64, String, String)>,
}

impl State {
    /// A state without alerts.
    pub fn new(site: &str, plan: Arc<Plan>, seed: u64) -> State {
        State {
            durable: Durable { next_seq: 1, ..Durable::default() },
            inhibit: InhibitIndex::new(&plan.inhibit_rules),
            plan,
            site: site.to_owned(),
            random: SmallRng::seed_from_u64(seed),
            silences: BTreeMap::new(),
            holds: BTreeMap::new(),
            flush_at: BTreeSet::new(),
            attempt_at: BTreeSet::new(),
        }
    }

    /// The configuration in force.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// When something is due next.
    pub fn next_wake_ms(&self) -> Option<i64> {
        let flush = self.flush_at.first().map(|(at, _)| *at);
        let attempt = self.attempt_at.first().map(|(at, _, _)| *at);
        flush.into_iter().chain(attempt).min()
    }

    /// Applies one durable change, live or from the log. What it names and is not there is passed
    /// over: the log may begin after it.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::AlertUpsert(alerts) => alerts.iter().for_each(|alert| self.upsert(alert)),
            Record::AlertExtended(list) => {
                for (fingerprint, ends_at_ms, updated_at_ms, timeout) in list {
                    if let Some(alert) = self.durable.alerts.get_mut(fingerprint) {
                        alert.ends_at_ms = *ends_at_ms;
                        alert.updated_at_ms = *updated_at_ms;
                        alert.timeout = *timeout;
                    }
                }
            }
            Record::AlertRemoved(list) => {
                for fingerprint in list {
                    if let Some(alert) = self.durable.alerts.remove(fingerprint) {
                        self.inhibit.remove(*fingerprint, &alert.labels);
                    }
                }
            }
            Record::Joined(joined) => self.join(joined),
            Record::Left { group, members } => self.leave(group, members),
            Record::Parting { group } => {
                if let Some(group) = self.durable.groups.get_mut(group) {
                    group.parting = true;
                }
            }
            Record::GroupTimer { group, next_flush_ms } => self.set_timer(group, *next_flush_ms),
            Record::GroupRemoved { group } => self.remove_group(group),
            Record::SilenceSet(silence) => {
                self.silences.insert(silence.id.clone(), Compiled::new(silence));
                self.durable.silences.insert(silence.id.clone(), silence.clone());
            }
            Record::SilenceRemoved(id) => {
                self.silences.remove(id);
                self.durable.silences.remove(id);
            }
            Record::ConfigEpoch { epoch, .. } => self.durable.epoch = *epoch,
            Record::Snapshot(durable) => {
                self.durable = (**durable).clone();
                self.rebuild();
            }
            of_a_message => self.apply_to_lane(of_a_message),
        }
    }

    fn apply_to_lane(&mut self, record: &Record) {
        match record {
            Record::Intent { intent, since_ms, attempts, next_attempt_ms } => {
                self.durable.next_seq = self.durable.next_seq.max(intent.seq + 1);
                let pending = Pending {
                    intent: Arc::new(intent.clone()),
                    since_ms: *since_ms,
                    attempts: *attempts,
                    next_attempt_ms: *next_attempt_ms,
                    finished: BTreeSet::new(),
                    outcome: String::new(),
                    in_flight: false,
                    late_flush: false,
                };
                self.with_lane(&intent.group, &intent.integration, |lane| {
                    lane.pending = Some(pending);
                });
            }
            Record::Attempt { message, attempts, outcome, next_attempt_ms, finished } => {
                self.with_pending(message, |pending| {
                    pending.attempts = *attempts;
                    outcome.clone_into(&mut pending.outcome);
                    pending.next_attempt_ms = *next_attempt_ms;
                    pending.finished.extend(finished.iter().cloned());
                });
            }
            Record::Done { message, .. } => self.finish(message),
            Record::DeadLetter { message, recipients, .. } if recipients.is_empty() => {
                self.finish(message);
            }
            Record::DeadLetter { message, recipients, .. } => {
                self.with_pending(message, |pending| {
                    pending.finished.extend(recipients.iter().cloned());
                });
            }
            Record::Settled { group, integration, at_ms, resolved } => {
                self.with_lane(group, integration, |lane| {
                    lane.told = Some(Told {
                        at_ms: *at_ms,
                        firing: BTreeSet::new(),
                        resolved: resolved.clone(),
                    });
                });
            }
            _ => {} // Superseded tells history only: the newer intent replaced the older one.
        }
    }

    fn upsert(&mut self, alert: &StoredAlert) {
        let fingerprint = alert.fingerprint();
        self.inhibit.add(fingerprint, &alert.labels);
        self.durable.alerts.insert(fingerprint, alert.clone());
    }

    fn join(&mut self, joined: &Joined) {
        let group = self.durable.groups.entry(joined.group.clone()).or_insert_with(|| Group {
            route: joined.route.clone(),
            key: joined.key.clone(),
            labels: joined.labels.clone(),
            receiver: String::new(),
            next_flush_ms: joined.next_flush_ms,
            flushed: false,
            parting: false,
            members: BTreeSet::new(),
            lanes: BTreeMap::new(),
            suppressed: BTreeSet::new(),
        });
        group.receiver.clone_from(&joined.receiver);
        group.parting = false;
        for member in &joined.members {
            if group.members.insert(*member) {
                *self.holds.entry(*member).or_default() += 1;
            }
        }
        self.flush_at.remove(&(group.next_flush_ms, joined.group.clone()));
        group.next_flush_ms = joined.next_flush_ms;
        self.flush_at.insert((joined.next_flush_ms, joined.group.clone()));
    }

    fn leave(&mut self, group: &str, members: &[u64]) {
        let Some(group) = self.durable.groups.get_mut(group) else { return };
        for member in members {
            if group.members.remove(member) {
                release(&mut self.holds, *member);
            }
        }
    }

    fn set_timer(&mut self, id: &str, next_flush_ms: i64) {
        let Some(group) = self.durable.groups.get_mut(id) else { return };
        self.flush_at.remove(&(group.next_flush_ms, id.to_owned()));
        group.next_flush_ms = next_flush_ms;
        group.flushed = true;
        self.flush_at.insert((next_flush_ms, id.to_owned()));
    }

    fn remove_group(&mut self, id: &str) {
        let Some(group) = self.durable.groups.remove(id) else { return };
        self.flush_at.remove(&(group.next_flush_ms, id.to_owned()));
        for (integration, lane) in &group.lanes {
            if let Some(pending) = &lane.pending {
                let key = (pending.next_attempt_ms, id.to_owned(), integration.clone());
                self.attempt_at.remove(&key);
            }
        }
        for member in &group.members {
            release(&mut self.holds, *member);
        }
    }

    fn finish(&mut self, message: &MessageRef) {
        self.with_lane(&message.group, &message.integration, |lane| {
            if let Some(pending) = lane.pending.take_if(|own| own.intent.seq == message.seq) {
                lane.told = Some(pending.told());
            }
        });
    }

    fn with_pending(&mut self, message: &MessageRef, change: impl FnOnce(&mut Pending)) {
        self.with_lane(&message.group, &message.integration, |lane| {
            if let Some(pending) = lane.pending.as_mut().filter(|own| own.intent.seq == message.seq)
            {
                change(pending);
            }
        });
    }

    /// Changes a lane and keeps the retry timers in step with it.
    pub(super) fn with_lane(
        &mut self,
        group_id: &str,
        integration: &str,
        change: impl FnOnce(&mut Lane),
    ) {
        let Some(group) = self.durable.groups.get_mut(group_id) else { return };
        let lane = group.lanes.entry(integration.to_owned()).or_default();
        let key = |at_ms| (at_ms, group_id.to_owned(), integration.to_owned());
        if let Some(pending) = &lane.pending {
            self.attempt_at.remove(&key(pending.next_attempt_ms));
        }
        change(lane);
        if let Some(pending) = lane.pending.as_ref().filter(|pending| !pending.in_flight) {
            self.attempt_at.insert(key(pending.next_attempt_ms));
        }
    }

    /// Builds every index anew from the durable part and the plan.
    pub(super) fn rebuild(&mut self) {
        self.inhibit = InhibitIndex::new(&self.plan.inhibit_rules);
        for (fingerprint, alert) in &self.durable.alerts {
            self.inhibit.add(*fingerprint, &alert.labels);
        }
        self.silences = self
            .durable
            .silences
            .iter()
            .map(|(id, own)| (id.clone(), Compiled::new(own)))
            .collect();
        self.holds.clear();
        self.flush_at.clear();
        self.attempt_at.clear();
        for (id, group) in &self.durable.groups {
            self.flush_at.insert((group.next_flush_ms, id.clone()));
            for member in &group.members {
                *self.holds.entry(*member).or_default() += 1;
            }
            for (integration, lane) in &group.lanes {
                if let Some(pending) = lane.pending.as_ref().filter(|own| !own.in_flight) {
                    let key = (pending.next_attempt_ms, id.clone(), integration.clone());
                    self.attempt_at.insert(key);
                }
            }
        }
    }
}

fn release(holds: &mut BTreeMap<u64, usize>, fingerprint: u64) {
    if let Some(count) = holds.get_mut(&fingerprint) {
        *count -= 1;
        if *count == 0 {
            holds.remove(&fingerprint);
        }
    }
}

/// A shared message in the snapshot is the message.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Intent;

    pub(super) fn serialize<S: Serializer>(
        intent: &Arc<Intent>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        intent.as_ref().serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Arc<Intent>, D::Error> {
        Intent::deserialize(input).map(Arc::new)
    }
}
