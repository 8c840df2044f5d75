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
use crate::plan::{Plan, Planned, Present, Work};
use crate::queue::Waiting;
use crate::record::{self, NumberedSample, arrange, encode_samples, groups};
use crate::series_record::encode_series;
use crate::shared::{Era, Shared, lock};
use crate::source::NewestInBlocks;

/// Samples that become visible in one step, unless a batch has more: so long a reader may wait.
const APPLY_SAMPLES_MAX: usize = 16 * 1024;
/// Bytes after which the journal's part is closed, so that it can be removed on its own.
const ERA_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Records of new series that stand in their own commit twice stand in the next one too if they are
/// shorter than this: the two lie close together.
const REPEATED_BYTES_MAX: usize = 16 * 1024;

/// The committer. `next_series_id` only grows.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    next_series_id: u64,
    in_blocks: NewestInBlocks,
    generation: u64,
    forgettings: u32,
    /// The records of the series that the group before this one brought.
    repeated: Vec<(u8, Vec<u8>)>,
    work: Work,
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
            forgettings: 0,
            repeated: Vec::new(),
            work: Work::default(),
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
        self.work.clear();
        self.wake_flusher_if_due();
    }

    fn try_commit(&mut self, group: &[Waiting]) -> Result<Vec<Appended>, String> {
        self.check_memory()?;
        self.shared.space.shortage().map_or(Ok(()), Err)?;
        let shared = Arc::clone(&self.shared);
        let mut eras = lock(&shared.eras);
        let (answers, ends, known) = self.plan(group);
        self.next_series_id += self.work.new_series.len() as u64;
        if !self.work.samples.is_empty() || !self.work.beside.is_empty() {
            let mut series_records = Vec::new();
            let new = self.work.new_series.iter().map(|new| (new.id, &new.labels));
            encode_series(new, &mut series_records);
            let mut all = self.repeated.clone();
            all.extend(series_records.iter().cloned());
            add_records(&mut self.work, &ends, &mut all);
            let bytes: usize = all.iter().map(|record| record.1.len()).sum();
            let mut groups = groups(all);
            // Damage to the records that name series must not cost the samples of other groups.
            let is_one = groups.len() == 1;
            if !is_one && !series_records.is_empty() {
                groups.splice(0..0, record::groups(series_records.clone()));
            }
            if let Err(error) = self.shared.journal.append_groups_blocking(groups) {
                self.work.forget(known);
                return Err(self.refusal(&error));
            }
            let is_small = |records: &[(u8, Vec<u8>)]| {
                records.iter().map(|record| record.1.len()).sum::<usize>() < REPEATED_BYTES_MAX
            };
            let again = is_one || is_small(&series_records);
            self.repeated = if again { series_records } else { Vec::new() };
            let newest_ms = self.work.samples.iter().map(|planned| planned.numbered.at_ms).max();
            let newest_ms = newest_ms.max(self.work.beside.newest_ms());
            self.note_era(&mut eras, newest_ms, bytes as u64);
        }
        self.apply(&ends);
        drop(eras);
        self.count(&answers);
        Ok(answers)
    }

    /// Plans the batches; answers where the samples of each end, and how many series were known.
    fn plan(&mut self, group: &[Waiting]) -> (Vec<Appended>, Vec<usize>, usize) {
        // Memory first, blocks second: a flush moves samples from there to here.
        let head = self.shared.head();
        let blocks = self.shared.blocks();
        if std::mem::replace(&mut self.generation, head.generation) != head.generation {
            // Slots mean other series now, and blocks have gone too.
            self.in_blocks = NewestInBlocks::default();
            self.work.forget_slots();
        }
        let forgettings = head.memtable.forgettings();
        if std::mem::replace(&mut self.forgettings, forgettings) != forgettings {
            // What memory has forgotten of a series may stand in blocks that were not looked at.
            self.in_blocks = NewestInBlocks::default();
            self.work.forget_ended(&head.memtable);
        }
        let present = Present {
            head: &head,
            blocks: &blocks,
            in_blocks: &mut self.in_blocks,
            now_ms: self.shared.clock.now().0,
            settings: &self.shared.settings,
            next_series_id: self.next_series_id,
        };
        let mut plan = Plan::new(present, &mut self.work);
        let (mut answers, mut ends) = (Vec::with_capacity(group.len()), Vec::new());
        for one in group {
            answers.push(plan.add(&one.batch));
            ends.push(plan.samples_count());
        }
        (answers, ends, head.registry.len())
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
            (self.shared.head().bytes(), self.shared.settings.memtable_bytes_max);
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

    /// Makes the plan visible, some whole batches at a time.
    fn apply(&mut self, ends: &[usize]) {
        let (mut start, mut series_added) = (0, 0);
        for (index, &end) in ends.iter().enumerate() {
            let is_last = index + 1 == ends.len();
            let is_small = !is_last && ends[index + 1] - start <= APPLY_SAMPLES_MAX;
            if !is_last && (is_small || !self.work.beside.is_empty()) {
                continue;
            }
            let mut head = self.shared.head_mut();
            for new in &self.work.new_series[series_added..] {
                head.insert(new.id, new.labels.clone());
            }
            series_added = self.work.new_series.len();
            for Planned { numbered, slot, .. } in &self.work.samples[start..end] {
                let sample = Sample { at_ms: numbered.at_ms, value: numbered.value };
                head.memtable.put(*slot, sample);
            }
            start = end;
            if is_last {
                for (slot, one) in &self.work.beside.histograms {
                    head.memtable.raise_newest(*slot, one.at_ms);
                }
                head.beside.apply(std::mem::take(&mut self.work.beside));
            }
        }
    }

    fn count(&mut self, answers: &[Appended]) {
        let culprits = std::mem::take(&mut self.work.tally).into_refused();
        let mut counters = lock(&self.shared.counters);
        counters.commits += 1;
        counters.series_created += self.work.new_series.len() as u64;
        counters.unavailable = None;
        limits::count(&mut counters.culprits, culprits);
        for answer in answers {
            counters.accepted += answer.accepted;
            counters.histograms_accepted += answer.histograms_accepted;
            counters.exemplars_accepted += answer.exemplars_accepted;
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

/// Appends the records of what is planned. Each batch's samples stay together.
fn add_records(work: &mut Work, ends: &[usize], records: &mut Vec<(u8, Vec<u8>)>) {
    let numbered: fn(&Planned) -> &NumberedSample = |planned| &planned.numbered;
    let mut start = 0;
    for &end in ends {
        arrange(&mut work.samples[start..end], numbered);
        start = end;
    }
    encode_samples(&work.samples, numbered, records);
    work.beside.encode(records);
}
