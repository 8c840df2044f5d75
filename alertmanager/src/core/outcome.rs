//! An attempt ended: done, again later, or given up.
//!
//! Place in the flow: delivery → report → **here** → records, and the time of the next attempt.
//!
//! Back-off is 1 s × 2ⁿ, at most 5 min, with full jitter from the seeded generator; what the other
//! side asks for (`Retry-After`) is honoured. It is not tied to `group_interval`.
//!
//! Not here: what counts as which outcome (delivery and receivers).

use rand::Rng;

use super::effect::HistoryKind;
use super::event::{Outcome, Report};
use super::flush::row;
use super::record::Record;
use super::state::Pending;
use super::step::Turn;

const BACKOFF_MS_FIRST: u64 = 1_000;
const BACKOFF_MS_MAX: u64 = 5 * 60_000;
/// A wish for a later attempt is honoured up to here.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

impl Turn<'_> {
    pub(super) fn take_report(
        &mut self,
        (group, integration): (&str, &str),
        seq: u64,
        report: Report,
    ) {
        let Some(pending) = self.pending_of(group, integration).filter(|own| own.intent.seq == seq)
        else {
            return;
        };
        let late_flush = pending.late_flush;
        self.state.with_lane(group, integration, |lane| {
            if let Some(pending) = &mut lane.pending {
                pending.in_flight = false;
                pending.late_flush = false;
            }
        });
        self.note_refused(&pending, &report);
        match report.outcome {
            Outcome::Delivered => {
                let message = pending.intent.message();
                let mut line =
                    row(HistoryKind::Delivered, self.now_ms, &pending.intent, &report.detail);
                line.attempt = pending.attempts + 1;
                self.publish(line);
                self.record(Record::Done { message, at_ms: self.now_ms, reply: report.detail });
            }
            Outcome::Rejected => self.give_up(&pending, &report.detail),
            Outcome::Transient | Outcome::Ambiguous | Outcome::Config => {
                self.try_later(&pending, report);
            }
        }
        if late_flush {
            self.look_again(group, integration);
        }
        self.clean_up(group);
    }

    fn pending_of(&self, group: &str, integration: &str) -> Option<Pending> {
        self.state.durable.groups.get(group)?.lanes.get(integration)?.pending.clone()
    }

    /// Some recipients will never take it; the others are not kept waiting for them.
    fn note_refused(&mut self, pending: &Pending, report: &Report) {
        for (recipient, why) in &report.refused {
            if pending.finished.contains(recipient) {
                continue;
            }
            let detail = format!("{recipient}: {why}");
            self.publish(row(HistoryKind::DeadLetter, self.now_ms, &pending.intent, &detail));
            self.record(Record::DeadLetter {
                message: pending.intent.message(),
                at_ms: self.now_ms,
                reason: why.clone(),
                recipients: vec![recipient.clone()],
            });
        }
    }

    fn try_later(&mut self, pending: &Pending, report: Report) {
        let attempts = pending.attempts.saturating_add(1);
        let age_ms = self.now_ms.saturating_sub(pending.since_ms);
        if age_ms >= self.state.plan.retry_age_ms_max {
            let hours = age_ms / 3_600_000;
            return self.give_up(pending, &format!("after {hours} h: {}", report.detail));
        }
        let wait_ms = match report.outcome {
            Outcome::Config => BACKOFF_MS_MAX,
            _ => {
                let jittered = self.state.random.random_range(1..=backoff_ms(attempts));
                jittered.max(report.retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MS_MAX))
            }
        };
        let wait_ms = i64::try_from(wait_ms).unwrap_or(i64::MAX);
        let mut line = row(HistoryKind::Failed, self.now_ms, &pending.intent, &report.detail);
        line.attempt = attempts;
        self.publish(line);
        self.record(Record::Attempt {
            message: pending.intent.message(),
            attempts,
            outcome: report.outcome.name().to_owned(),
            next_attempt_ms: self.now_ms.saturating_add(wait_ms),
            finished: report.accepted,
        });
    }

    /// The message becomes a dead letter. Its state counts as told, so that the next message comes
    /// with the next change or repetition and not with every look.
    pub(super) fn give_up(&mut self, pending: &Pending, why: &str) {
        let mut line = row(HistoryKind::DeadLetter, self.now_ms, &pending.intent, why);
        line.attempt = pending.attempts;
        self.publish(line);
        self.record(Record::DeadLetter {
            message: pending.intent.message(),
            at_ms: self.now_ms,
            reason: why.to_owned(),
            recipients: Vec::new(),
        });
    }

    /// The time of the next attempt has come.
    pub(super) fn retry(&mut self, group: &str, integration: &str) {
        let Some(pending) = self.pending_of(group, integration) else { return };
        if self.now_ms.saturating_sub(pending.since_ms) >= self.state.plan.retry_age_ms_max {
            self.give_up(&pending, "too old to be tried again");
            self.clean_up(group);
            return;
        }
        self.deliver(group, integration);
    }
}

fn backoff_ms(attempts: u32) -> u64 {
    let doublings = attempts.saturating_sub(1).min(16);
    (BACKOFF_MS_FIRST << doublings).min(BACKOFF_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::backoff_ms;

    #[test]
    fn doubles_up_to_five_minutes() {
        let waits: Vec<u64> = [1, 2, 3, 9, 10, 99].map(backoff_ms).to_vec();
        assert_eq!(waits, [1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
    }
}
