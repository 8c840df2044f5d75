//! Silences through the API: put, expire, list.
//!
//! Place in the flow: API → **here** → core. `Ok` means fsynced.
//!
//! Not here: what a silence does (core), the JSON of the API (dashboards).

use rand::RngCore;

use super::{Alertmanager, Error, Event, Silence, SilenceView, lock, silence};
use crate::core::silence::SILENCES_MAX;

impl Alertmanager {
    /// Makes a silence (empty id) or changes one, and answers its id. A change that would make it
    /// another silence ends the old one and gets a new id.
    pub async fn put_silence(&self, mut wanted: Silence) -> Result<String, Error> {
        let now_ms = self.now().0;
        silence::check(&wanted, now_ms).map_err(Error::Invalid)?;
        wanted.updated_at_ms = now_ms;
        let mut events = Vec::new();
        let (known, count) = {
            let core = lock(&self.core);
            let known = core.durable.silences.get(&wanted.id).cloned();
            (known, core.durable.silences.len())
        };
        match known {
            None if !wanted.id.is_empty() => return Err(Error::NotFound(wanted.id)),
            Some(old) if silence::may_replace(&old, &wanted, now_ms) => {}
            other => {
                if count >= SILENCES_MAX {
                    return Err(Error::Invalid(format!(
                        "there are {SILENCES_MAX} silences already"
                    )));
                }
                if let Some(old) = other {
                    events.push(Event::SilenceExpire(old.id));
                }
                wanted.id = self.new_id();
                wanted.starts_at_ms = wanted.starts_at_ms.max(now_ms);
            }
        }
        let id = wanted.id.clone();
        events.push(Event::SilencePut(wanted));
        let aftermath = self.step_many(events);
        self.settle(aftermath).await.map(|_| id)
    }

    /// Ends a silence now. Ending an ended one changes nothing.
    pub async fn expire_silence(&self, id: &str) -> Result<(), Error> {
        if !lock(&self.core).durable.silences.contains_key(id) {
            return Err(Error::NotFound(id.to_owned()));
        }
        let aftermath = self.step_many(vec![Event::SilenceExpire(id.to_owned())]);
        self.settle(aftermath).await.map(|_| ())
    }

    /// All silences: active by end, pending by start, expired with the latest first.
    pub fn silences(&self) -> Vec<SilenceView> {
        lock(&self.core).silence_views(self.now())
    }

    /// A UUID of version 4 that no silence has.
    fn new_id(&self) -> String {
        loop {
            let id = uuid(&mut *lock(&self.ids));
            if !lock(&self.core).durable.silences.contains_key(&id) {
                return id;
            }
        }
    }
}

fn uuid(random: &mut impl RngCore) -> String {
    let mut bytes = [0_u8; 16];
    random.fill_bytes(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
