//! From a queued batch to a durable, visible one.
//!
//! Place in the flow: queue → **committer** → journal (one sync for all that wait) → memtable →
//! answer.
//!
//! One thread owns this. A group of batches is planned against memory, written to the journal with
//! one sync, and only then applied; when the journal fails, the plan is thrown away and nothing of it
//! is to be seen. Numbers given to new series of a failed plan are never given again, because
//! a write that failed may still come back after a restart.
//!
//! New series are written once more in front of the next group: one damaged place of the journal must
//! not make all later samples of a series nameless. The series log gets them from the next flush.
//!
//! Not here: planning one group (`plan`), the journal's own grouping (journal).

use std::sync::Arc;

use model::{AppendError, Appended};

use crate::limits;
use crate::memtable::Sample;
use crate::plan::{Finished, Plan, Present};
use crate::queue::Waiting;
use crate::record::{NumberedSample, encode_samples, groups};
use crate::series_record::encode_series;
use crate::shared::{Era, Shared, lock};
use crate::source::NewestInBlocks;

/// Bytes after which the journal's part is closed, so that it can be removed on its own.
const ERA_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The committer. `next_series_id` only grows.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    next_series_id: u64,
    in_blocks: NewestInBlocks,
    generation: u64,
    /// The records of the series that the group before this one brought.
    repeated: Vec<(u8, Vec<u8>)>,
}

/// Ends the queue when the committer ends, however it ends: nobody waits for an answer in vain.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        // Who is told that it ended finds the reason.
        if std::thread::panicking() {
            let reason = "its committer panicked; the log says why; restart it".to_owned();
            lock(&self.0.counters).unavailable = Some(reason);
        }
        self.0.queue.end();
    }
}

impl Committer {
    /// A committer that gives new series numbers from `next_series_id` on.
    pub fn new(shared: Arc<Shared>, next_series_id: u64) -> Committer {
        Committer {
            shared,
            next_series_id,
            in_blocks: NewestInBlocks::default(),
            generation: 0,
            repeated: Vec::new(),
        }
    }

    /// Works until the queue is closed and empty.
    pub fn run(mut self) {
        let end = End(Arc::clone(&self.shared));
        loop {
            let group = end.0.queue.take();
            if group.is_empty() {
                return;
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Waiting>) {
        let answers = match self.try_commit(&group) {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(reason) => {
                lock(&self.shared.counters).unavailable = Some(reason.clone());
                vec![Err(AppendError::Unavailable { reason }); group.len()]
            }
        };
        for (waiting, answer) in group.into_iter().zip(answers) {
            // Whoever asked may have gone; the samples are stored all the same.
            let _ = waiting.answer.send(answer);
        }
    }

    fn try_commit(&mut self, group: &[Waiting]) -> Result<Vec<Appended>, String> {
        self.check_memory()?;
        self.shared.space.shortage().map_or(Ok(()), Err)?;
        let shared = Arc::clone(&self.shared);
        let mut eras = lock(&shared.eras);
        let (plan, answers) = {
            // Memory first, blocks second: a flush moves samples from there to here.
            let head = shared.head();
            let blocks = shared.blocks();
            if std::mem::replace(&mut self.generation, head.generation) != head.generation {
                // Blocks have gone too.
                self.in_blocks = NewestInBlocks::default();
            }
            let mut plan = Plan::new(Present {
                head: &head,
                blocks: &blocks,
                in_blocks: &mut self.in_blocks,
                now_ms: self.shared.clock.now().0,
                settings: &self.shared.settings,
                next_series_id: self.next_series_id,
            });
            let answers: Vec<Appended> = group.iter().map(|one| plan.add(&one.batch)).collect();
            (plan.finish(), answers)
        };
        self.next_series_id += plan.new_series.len() as u64;

        if !plan.samples.is_empty() {
            let mut series_records = Vec::new();
            let new = plan.new_series.iter().map(|(id, labels)| (*id, labels));
            encode_series(new, &mut series_records);
            let mut records = self.repeated.clone();
            records.extend(series_records.iter().cloned());
            let mut numbered: Vec<NumberedSample> = plan.samples.iter().map(|s| s.1).collect();
            encode_samples(&mut numbered, &mut records);
            let bytes: usize = records.iter().map(|record| record.1.len()).sum();
            self.shared
                .journal
                .append_groups_blocking(groups(records))
                .map_err(|error| self.refusal(&error))?;
            self.repeated = series_records;
            let newest_ms = numbered.iter().map(|sample| sample.at_ms).max();
            self.note_era(&mut eras, newest_ms, bytes as u64);
        }
        self.apply(plan, &answers);
        drop(eras);
        self.wake_flusher_if_due();
        Ok(answers)
    }

    /// Why the journal took nothing. A full disk is more than that: room must be made.
    fn refusal(&self, error: &journal::Error) -> String {
        let reason = crate::error::chain(error);
        if error.is_disk_full() {
            crate::space::note_full(&self.shared, &reason);
        }
        reason
    }

    fn check_memory(&self) -> Result<(), String> {
        let (bytes, bytes_max) =
            (self.shared.head().memtable.bytes(), self.shared.settings.memtable_bytes_max);
        if bytes < bytes_max {
            return Ok(());
        }
        self.shared.wake_flusher();
        Err(format!("memory for new samples is full ({bytes} of {bytes_max} bytes) until a flush"))
    }

    fn note_era(&self, eras: &mut Vec<Era>, newest_ms: Option<i64>, bytes: u64) {
        let era = eras.last_mut().expect("the journal always has a last part");
        era.newest_ms = era.newest_ms.max(newest_ms);
        era.bytes += bytes;
        if era.bytes < ERA_BYTES_MAX {
            return;
        }
        match self.shared.journal.rotate() {
            Ok(segment) => eras.push(Era { segment, newest_ms: None, bytes: 0 }),
            // The part only gets longer; the next commit tries again.
            Err(error) => tracing::debug!(%error, "can't begin a journal segment"),
        }
    }

    fn apply(&self, plan: Finished, answers: &[Appended]) {
        let series_created = plan.new_series.len() as u64;
        {
            let mut head = self.shared.head_mut();
            for (id, labels) in plan.new_series {
                head.insert(id, labels);
            }
            for (slot, newest) in plan.looked_up {
                if head.memtable.get(slot).is_none_or(|series| series.count() == 0) {
                    head.memtable.set_newest(slot, newest);
                }
            }
            for (slot, sample) in plan.samples {
                let sample = Sample { at_ms: sample.at_ms, value: sample.value };
                head.memtable.append(slot, sample);
            }
        }
        let mut counters = lock(&self.shared.counters);
        counters.commits += 1;
        counters.series_created += series_created;
        counters.unavailable = None;
        limits::count(&mut counters.culprits, plan.culprits);
        for answer in answers {
            counters.accepted += answer.accepted;
            for refused in &answer.refused {
                *counters.refused.entry(refused.reason).or_default() += 1;
            }
        }
    }

    fn wake_flusher_if_due(&self) {
        if crate::flush::due(&self.shared).is_some() {
            self.shared.wake_flusher();
        }
    }
}
