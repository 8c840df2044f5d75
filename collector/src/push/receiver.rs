//! The door for remote write: a body goes in, an answer for the sender comes out.
//!
//! Place in the flow: dashboards' `/api/v1/write` → **`Receiver`** → `v1`/`v2` → `Append`.
//!
//! All requests of the process share one receiver and with it what is known of series. Decoding reads
//! that memory; what a commit teaches is written to it afterwards. When the store has lost series it
//! had numbered (a restart of the store alone, say), just those are sent again by their labels within
//! the same request, and the sender never sees it.
//!
//! Invariants: success means that everything was committed; an error of the store means that nothing
//! is acknowledged. No lock is held over a wait.
//!
//! Not here: HTTP (dashboards), the text import's lines (`import`).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::append::{AppendError, Appended, Column, Refused, RefusedReason, SeriesKey};
use model::{Append, Batch, Clock, Labels, SeriesIx};

use super::cache::{Hasher, SeriesCache};
use super::counters::{Counters, Stats, add};
use super::decoded::{Decoded, DoorRefusals, Lookup, Memory, Miss, NAMED_MAX};
use super::error::PushError;
use super::families::{Families, Told};
use super::narrowed::Narrowed;
use super::snappy::unpack_into;
use super::{v1, v2};

/// Rooms for unpacked messages that are kept for later requests.
const ROOMS_MAX: usize = 4;
/// Largest room that is kept. Usual messages are far smaller.
const ROOM_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a receiver is made of.
pub struct ReceiverParts {
    /// Where samples go.
    pub append: Arc<dyn Append>,
    /// The present, for samples without a time.
    pub clock: Arc<dyn Clock>,
    /// A random number that nobody outside knows: the secret of the hashes.
    pub seed: u64,
    /// Memory for series that are known from earlier requests, at most.
    pub cache_bytes_max: usize,
}

/// The doors for pushed samples, with what they remember.
pub struct Receiver {
    pub(super) append: Arc<dyn Append>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    memory: RwLock<Memory>,
    rooms: Mutex<Vec<Vec<u8>>>,
    /// The doors of senders that may not write every series.
    pub(super) narrowed: Mutex<Vec<Narrowed>>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// What was stored of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

/// What the sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What was stored. A sender of 2.0 is told so in headers, whatever the status.
    pub written: Written,
    /// Whether the message was one of 2.0.
    pub is_v2: bool,
    /// For people; empty when all is well.
    pub text: String,
}

/// A kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    V1,
    V2,
}

impl Message {
    fn name(self) -> &'static str {
        match self {
            Message::V1 => "1.0",
            Message::V2 => "2.0",
        }
    }

    fn decode(self, message: &[u8], lookup: Lookup<'_>) -> Result<Decoded, PushError> {
        match self {
            Message::V1 => v1::decode(message, lookup),
            Message::V2 => v2::decode(message, lookup),
        }
    }
}

/// What a commit came to, lost series included.
struct Outcome {
    written: Written,
    refused: Vec<Refused>,
}

impl Receiver {
    /// A receiver that knows no series yet.
    pub fn new(parts: ReceiverParts) -> Receiver {
        let memory = Memory {
            hasher: Hasher::new(parts.seed),
            series: SeriesCache::new(parts.cache_bytes_max),
            families: Families::default(),
        };
        Receiver {
            append: parts.append,
            clock: parts.clock,
            counters: Arc::default(),
            memory: RwLock::new(memory),
            rooms: Mutex::default(),
            narrowed: Mutex::default(),
        }
    }

    /// A door with the same counters that commits elsewhere and knows no series yet.
    pub(super) fn with_append(&self, append: Arc<dyn Append>, cache_bytes_max: usize) -> Receiver {
        let memory = Memory {
            hasher: self.memory().hasher.clone(),
            series: SeriesCache::new(cache_bytes_max),
            families: Families::default(),
        };
        Receiver {
            append,
            clock: Arc::clone(&self.clock),
            counters: Arc::clone(&self.counters),
            memory: RwLock::new(memory),
            rooms: Mutex::default(),
            narrowed: Mutex::default(),
        }
    }

    /// What the doors have done so far.
    pub fn stats(&self) -> Stats {
        let memory = self.memory();
        let (cached_series, cache_bytes) = (memory.series.len(), memory.series.bytes());
        drop(memory);
        Stats {
            cached_series: cached_series as u64,
            cache_bytes: cache_bytes as u64,
            ..self.counters.stats()
        }
    }

    /// Takes one request of remote write. A missing type or encoding means the usual one.
    pub async fn remote_write(
        &self,
        content_type: &str,
        content_encoding: &str,
        body: &[u8],
    ) -> Answer {
        add(&self.counters.bytes_packed, body.len() as u64);
        let message = message_of(content_type);
        let is_v2 = message == Ok(Message::V2);
        let taken = match message.and_then(|kind| check_encoding(content_encoding).map(|()| kind)) {
            Ok(kind) => self.take(kind, body).await,
            Err(error) => Err(error),
        };
        let answer = taken.unwrap_or_else(|error| Answer {
            status: error.http_status(),
            written: Written::default(),
            is_v2,
            text: error.to_string(),
        });
        let name = if is_v2 { Message::V2.name() } else { Message::V1.name() };
        self.counters.request(name, answer.status);
        answer
    }

    async fn take(&self, kind: Message, body: &[u8]) -> Result<Answer, PushError> {
        let mut room = self.room();
        let size = unpack_into(body, &mut room)?;
        add(&self.counters.bytes, size as u64);
        let answer = self.store(kind, &room[..size]).await;
        self.keep_room(room);
        answer
    }

    async fn store(&self, kind: Message, message: &[u8]) -> Result<Answer, PushError> {
        self.renew_families();
        let decoded = {
            let memory = self.memory();
            kind.decode(message, Lookup { memory: Some(&memory), only: None })?
        };
        let Decoded { batch, refusals, misses, told } = decoded;
        self.counters.refused_at_the_door(&refusals);
        let described = misses.len() as u64;
        add(&self.counters.series_described, described);
        add(&self.counters.series_known, batch.series_count() as u64 - described);
        let outcome = if batch.is_empty() {
            Outcome { written: Written::default(), refused: Vec::new() }
        } else {
            let again = |only: &[u32]| {
                let memory = self.memory();
                kind.decode(message, Lookup { memory: Some(&memory), only: Some(only) })
                    .map(|decoded| (decoded.batch, decoded.misses))
            };
            self.commit(batch, &misses, again).await?
        };
        self.learn_families(&told);
        let names = |only: &[u32]| {
            let decoded = kind.decode(message, Lookup { memory: None, only: Some(only) });
            decoded.map(|decoded| labels_of(&decoded.batch)).unwrap_or_default()
        };
        Ok(answer_of(kind, &outcome, &refusals, names))
    }

    /// Commits a batch. What the store has lost is decoded `again` by its labels and committed too.
    async fn commit(
        &self,
        batch: Batch,
        misses: &[Miss],
        again: impl Fn(&[u32]) -> Result<(Batch, Vec<Miss>), PushError>,
    ) -> Result<Outcome, PushError> {
        self.counters.received(&batch);
        let appended = self.append.append(batch).await?;
        self.learn(misses, &appended);
        let is_lost = |refused: &&Refused| refused.reason == RefusedReason::UnknownSeries;
        let mut lost: Vec<u32> =
            appended.refused.iter().filter(is_lost).map(|refused| refused.series.0).collect();
        lost.sort_unstable();
        lost.dedup();
        let mut written = written_of(&appended);
        let mut refused = appended.refused;
        if !lost.is_empty() {
            add(&self.counters.retries, 1);
            let (batch, misses) = again(&lost)?;
            let appended = self.append.append(batch).await?;
            self.learn(&misses, &appended);
            let more = written_of(&appended);
            written.samples += more.samples;
            written.histograms += more.histograms;
            written.exemplars += more.exemplars;
            refused.retain(|refused| refused.reason != RefusedReason::UnknownSeries);
            refused.extend(appended.refused.into_iter().filter_map(|refused| {
                let series = SeriesIx(*lost.get(refused.series.0 as usize)?);
                Some(Refused { series, ..refused })
            }));
        }
        add(&self.counters.samples, written.samples);
        add(&self.counters.histograms, written.histograms);
        add(&self.counters.exemplars, written.exemplars);
        for refused in &refused {
            self.counters.refused(refused.column, refused.reason, 1);
        }
        Ok(Outcome { written, refused })
    }

    /// Commits a batch of the text import.
    pub(super) async fn commit_lines(
        &self,
        batch: Batch,
        misses: &[Miss],
        again: impl Fn(&[u32]) -> (Batch, Vec<Miss>),
    ) -> Result<(u64, Vec<Refused>), AppendError> {
        let described = misses.len() as u64;
        add(&self.counters.series_described, described);
        add(&self.counters.series_known, batch.series_count() as u64 - described);
        match self.commit(batch, misses, |only| Ok(again(only))).await {
            Ok(outcome) => Ok((outcome.written.samples, outcome.refused)),
            Err(PushError::Store(error)) => Err(error),
            Err(other) => unreachable!("decoding lines again does not fail: {other}"),
        }
    }

    pub(super) fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory_mut(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, misses: &[Miss], appended: &Appended) {
        if misses.is_empty() {
            return;
        }
        let mut memory = self.memory_mut();
        for miss in misses {
            match appended.ids.get(miss.series.0 as usize).copied().flatten() {
                Some(id) => memory.series.learn(miss.key, miss.size_bytes, id),
                // It may have been known, and the store has lost it and does not take it back.
                None => memory.series.forget(miss.key),
            }
        }
    }

    fn learn_families(&self, told: &[Told]) {
        if told.is_empty() {
            return;
        }
        let mut memory = self.memory_mut();
        for told in told {
            memory.families.learn(*told);
        }
    }

    fn renew_families(&self) {
        let now_ms = self.clock.now().0;
        if self.memory().families.is_stale(now_ms) {
            self.memory_mut().families.renew(now_ms);
        }
    }

    fn room(&self) -> Vec<u8> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn keep_room(&self, room: Vec<u8>) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() < ROOMS_MAX && room.capacity() <= ROOM_BYTES_MAX {
            rooms.push(room);
        }
    }
}

fn message_of(content_type: &str) -> Result<Message, PushError> {
    let unsupported = |reason: &str| Err(PushError::Unsupported { reason: reason.to_owned() });
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or("");
    if media.is_empty() {
        return Ok(Message::V1);
    }
    if !media.eq_ignore_ascii_case("application/x-protobuf") {
        return unsupported("the Content-Type must be application/x-protobuf");
    }
    let proto = parts.find_map(|part| part.strip_prefix("proto="));
    match proto.map(|name| name.trim_matches('"')) {
        None | Some("prometheus.WriteRequest") => Ok(Message::V1),
        Some("io.prometheus.write.v2.Request") => Ok(Message::V2),
        Some(_) => unsupported(
            "the message must be prometheus.WriteRequest or io.prometheus.write.v2.Request",
        ),
    }
}

fn check_encoding(content_encoding: &str) -> Result<(), PushError> {
    let encoding = content_encoding.trim();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("snappy") {
        return Ok(());
    }
    let reason = "the Content-Encoding must be snappy (block format)".to_owned();
    Err(PushError::Unsupported { reason })
}

fn written_of(appended: &Appended) -> Written {
    Written {
        samples: appended.accepted,
        histograms: appended.histograms_accepted,
        exemplars: appended.exemplars_accepted,
    }
}

fn labels_of(batch: &Batch) -> Vec<String> {
    let name = |index: u32| match batch.key(SeriesIx(index)) {
        SeriesKey::Labels { text, ends } => Labels::from_parts(text, ends)
            .map_or_else(|| "of bad labels".to_owned(), |labels| labels.to_string()),
        SeriesKey::Known(_) => String::new(),
    };
    (0..batch.series_count() as u32).map(name).collect()
}

/// Longest text of one refusal in an answer.
const REFUSAL_CHARS_MAX: usize = 500;

/// The answer to a message that was committed, refused parts named by their labels.
fn answer_of(
    kind: Message,
    outcome: &Outcome,
    door: &DoorRefusals,
    names: impl Fn(&[u32]) -> Vec<String>,
) -> Answer {
    let is_v2 = kind == Message::V2;
    // As upstream does: a sender of 1.0 is not troubled with exemplars that are not kept.
    let counts = |column: Column| is_v2 || column != Column::Exemplars;
    let from_door = door.counts.iter().filter(|((column, _), _)| counts(*column));
    let stored = outcome.refused.iter().filter(|refused| counts(refused.column));
    let total = from_door.map(|(_, count)| count).sum::<u64>() + stored.clone().count() as u64;
    let answer = |status, text| Answer { status, written: outcome.written, is_v2, text };
    if total == 0 {
        return answer(204, String::new());
    }
    let door = door.named.iter().map(|(series, text)| (*series, text.clone(), None));
    let stored = stored.map(|refused| {
        (Some(refused.series), refused.reason.message().to_owned(), Some(refused.at))
    });
    let named: Vec<_> = door.chain(stored).take(NAMED_MAX).collect();
    let mut wanted: Vec<u32> = named.iter().filter_map(|(series, ..)| Some((*series)?.0)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let labels = if wanted.is_empty() { Vec::new() } else { names(&wanted) };
    let mut lines: Vec<String> = Vec::new();
    for (series, text, at) in named {
        let position = series.and_then(|series| wanted.binary_search(&series.0).ok());
        let line = match (position.and_then(|position| labels.get(position)), at) {
            (Some(labels), Some(at)) => format!("{text} for series {labels} at {at}"),
            (Some(labels), None) => format!("{text} for series {labels}"),
            (None, _) => text,
        };
        lines.push(line.chars().take(REFUSAL_CHARS_MAX).collect());
    }
    let Written { samples, histograms, exemplars } = outcome.written;
    lines.push(format!(
        "{total} refused; stored: {samples} samples, {histograms} histograms, {exemplars} exemplars"
    ));
    answer(400, lines.join("\n"))
}

#[cfg(test)]
mod tests;
