//! Samples of one series that came later than newer ones: a small sorted vector, and sealed runs of
//! them once there are many.
//!
//! Place in the flow: a late sample inside the out-of-order window → **late** → readers and flushes
//! merge them with the others.
//!
//! Each knows the flush during or after which it came: a flush only drops what was there before it
//! began, since only of that is it certain that it was written.
//!
//! Invariant: instants are unique over all of it.
//!
//! Not here: which late samples are taken (`judge`).

use super::chunk::{Chunk, Sample};

/// Samples of the vector at most; sealed, they take a tenth.
const LOOSE_SAMPLES_MAX: usize = 64;

#[derive(Debug, Clone, Copy)]
struct LateSample {
    sample: Sample,
    epoch: u32,
}

#[derive(Debug)]
struct LateChunk {
    chunk: Chunk,
    /// The latest of its samples.
    epoch: u32,
}

/// The late samples of one series.
#[derive(Debug, Default)]
pub struct Late {
    loose: Vec<LateSample>,
    sealed: Vec<LateChunk>,
}

impl Late {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.loose.is_empty() && self.sealed.is_empty()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.loose.len() + self.sealed.iter().map(|own| own.chunk.count() as usize).sum::<usize>()
    }

    /// The memory they take.
    pub fn bytes(&self) -> usize {
        self.loose.capacity() * size_of::<LateSample>()
            + self.sealed.iter().map(|own| own.chunk.bytes() as usize + 8).sum::<usize>()
    }

    /// The first and the last instant.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let sealed = self.sealed.iter().map(|own| (own.chunk.first_ms(), own.chunk.last_ms()));
        let loose = self.loose.first().zip(self.loose.last());
        let loose = loose.map(|(first, last)| (first.sample.at_ms, last.sample.at_ms));
        sealed.chain(loose).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// Adds a sample at an instant that is not here.
    pub fn insert(&mut self, sample: Sample, epoch: u32) {
        let index = self.loose.partition_point(|own| own.sample.at_ms < sample.at_ms);
        if self.loose.len() == self.loose.capacity() {
            self.loose.reserve_exact(if self.loose.len() < 8 { 4 } else { 16 });
        }
        self.loose.insert(index, LateSample { sample, epoch });
        if self.loose.len() >= LOOSE_SAMPLES_MAX {
            // Those that a running flush takes stand apart from those that it must leave.
            let loose = std::mem::take(&mut self.loose);
            let (old, new): (Vec<LateSample>, Vec<LateSample>) =
                loose.into_iter().partition(|own| own.epoch < epoch);
            for part in [old, new].into_iter().filter(|part| !part.is_empty()) {
                let samples: Vec<Sample> = part.iter().map(|own| own.sample).collect();
                let epoch = part.iter().map(|own| own.epoch).max().unwrap_or(epoch);
                self.sealed.push(LateChunk { chunk: Chunk::seal(&samples), epoch });
            }
        }
    }

    /// The value at an instant.
    pub fn at(&self, at_ms: i64) -> Option<f64> {
        match self.loose.binary_search_by_key(&at_ms, |own| own.sample.at_ms) {
            Ok(index) => Some(self.loose[index].sample.value),
            Err(_) => self.sealed.iter().find_map(|own| own.chunk.at(at_ms)),
        }
    }

    /// Gives the sample at an instant another value. `false` when there is none.
    pub fn replace(&mut self, sample: Sample) -> bool {
        let found = self.loose.binary_search_by_key(&sample.at_ms, |own| own.sample.at_ms);
        if let Ok(index) = found {
            self.loose[index].sample = sample;
            return true;
        }
        for own in &mut self.sealed {
            if own.chunk.at(sample.at_ms).is_some() {
                own.chunk = with_other_value(&own.chunk, sample);
                return true;
            }
        }
        false
    }

    /// The samples between two instants, the second excluded, in order.
    pub fn between(&self, start_ms: i64, end_ms: i64) -> Vec<Sample> {
        let mut samples: Vec<Sample> = Vec::new();
        for own in self.sealed.iter().filter(|own| own.chunk.touches(start_ms, end_ms)) {
            samples.extend(own.chunk.samples());
        }
        let is_sealed = !samples.is_empty();
        samples.extend(self.loose.iter().map(|own| own.sample));
        samples.retain(|sample| start_ms <= sample.at_ms && sample.at_ms < end_ms);
        if is_sealed {
            samples.sort_unstable_by_key(|sample| sample.at_ms);
        }
        samples
    }

    /// Forgets samples up to an instant, itself included, that were there before the epoch.
    pub fn drop_until(&mut self, last_ms: i64, epoch: u32) {
        self.loose.retain(|own| own.sample.at_ms > last_ms || own.epoch >= epoch);
        self.loose.shrink_to_fit();
        self.sealed.retain_mut(|own| {
            if own.epoch >= epoch || own.chunk.first_ms() > last_ms {
                return true;
            }
            if own.chunk.last_ms() <= last_ms {
                return false;
            }
            let mut kept = own.chunk.samples();
            kept.retain(|sample| sample.at_ms > last_ms);
            own.chunk = Chunk::seal(&kept);
            true
        });
    }
}

/// The chunk with another value at one of its instants.
pub fn with_other_value(chunk: &Chunk, sample: Sample) -> Chunk {
    let mut samples = chunk.samples();
    for own in samples.iter_mut().filter(|own| own.at_ms == sample.at_ms) {
        own.value = sample.value;
    }
    Chunk::seal(&samples)
}
