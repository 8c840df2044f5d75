//! An alert on its way from a rule (or a foreign Prometheus) to a person.
//!
//! Place in the flow: rules → **alert** → [`crate::AlertSink`] → alertmanager.
//!
//! Not here: its life as a rule's state (rules) and as a group's member (alertmanager).

use crate::labels::Labels;
use crate::time::TimestampMs;

/// What happened, since when, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Who it is: the same labels are the same alert. Holds `alertname`.
    pub labels: Labels,
    /// What a person reads; may change while the alert stays the same.
    pub annotations: Labels,
    /// When it first fired; `None` lets the alert manager take the time of arrival.
    pub starts_at: Option<TimestampMs>,
    /// When it was or will be over; `None` lets the alert manager add its resolve time-out.
    pub ends_at: Option<TimestampMs>,
    /// A link to the expression that fired.
    pub generator_url: String,
}

impl Alert {
    /// The field's fingerprint: FNV-1a 64 over sorted `name 0xff value 0xff`.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.labels)
    }

    /// Whether it is over at `now`.
    pub fn is_resolved_at(&self, now: TimestampMs) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

/// FNV-1a 64 over sorted `name 0xff value 0xff`, as Prometheus and Alertmanager compute it.
pub fn fingerprint(labels: &Labels) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = OFFSET_BASIS;
    for (name, value) in labels.iter() {
        for part in [name, value] {
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            }
        }
    }
    hash
}
