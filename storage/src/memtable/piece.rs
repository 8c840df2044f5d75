//! A reader's share of one series in memory, taken under the lock and decoded without it.
//!
//! Place in the flow: memtable → **piece** → scan and flush.
//!
//! Not here: what a series keeps (`samples`).

use model::TimeRange;

use super::chunk::{Chunk, Sample};

/// A reader's share of one series: whole chunks that touch its range, raw samples inside it.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// Sealed runs; the first and the last may reach beyond the range.
    pub chunks: Vec<Chunk>,
    /// Samples behind them.
    pub open: Vec<Sample>,
    /// Samples that came out of order, sorted; they lie between the others.
    pub late: Vec<Sample>,
}

impl Piece {
    /// How many samples at most.
    pub fn count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.count() as usize).sum::<usize>()
            + self.open.len()
            + self.late.len()
    }

    /// The last instant, or a little behind it; never as late as a sample of the series that is not
    /// in here.
    pub fn last_ms(&self) -> Option<i64> {
        let sealed = self.chunks.last().map(Chunk::last_ms);
        let in_order = self.open.last().map(|sample| sample.at_ms).or(sealed);
        in_order.max(self.late.last().map(|sample| sample.at_ms))
    }

    /// Forgets samples from an instant on, so that nothing reaches beyond it.
    pub fn cut(&mut self, before_ms: i64) {
        self.open.retain(|sample| sample.at_ms < before_ms);
        self.late.retain(|sample| sample.at_ms < before_ms);
        let Some(last) = self.chunks.last().filter(|last| last.last_ms() >= before_ms) else {
            return;
        };
        let mut kept = last.samples();
        kept.retain(|sample| sample.at_ms < before_ms);
        self.chunks.pop();
        if !kept.is_empty() {
            self.chunks.push(Chunk::seal(&kept));
        }
    }

    /// Shows every instant; late ones last.
    pub fn each_instant(&self, mut show: impl FnMut(i64)) {
        let (mut instants_ms, mut values) = (Vec::new(), Vec::new());
        for chunk in &self.chunks {
            instants_ms.clear();
            values.clear();
            chunk.decode(&mut instants_ms, &mut values);
            instants_ms.iter().for_each(|at_ms| show(*at_ms));
        }
        self.open.iter().for_each(|sample| show(sample.at_ms));
        self.late.iter().for_each(|sample| show(sample.at_ms));
    }

    /// Appends the samples inside the range to the two columns.
    pub fn decode(&self, range: TimeRange, instants_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
        let start = instants_ms.len();
        let (start_ms, end_ms) = (range.start_ms().0, range.end_ms().0);
        for chunk in self.chunks.iter().filter(|chunk| chunk.touches(start_ms, end_ms)) {
            chunk.decode(instants_ms, values);
        }
        for sample in &self.open {
            instants_ms.push(sample.at_ms);
            values.push(sample.value);
        }
        let own = &instants_ms[start..];
        let end = start + own.partition_point(|&at_ms| at_ms < end_ms);
        instants_ms.truncate(end);
        values.truncate(end);
        let skip = instants_ms[start..].partition_point(|&at_ms| at_ms < start_ms);
        instants_ms.drain(start..start + skip);
        values.drain(start..start + skip);
        if !self.late.is_empty() {
            self.merge_late((start_ms, end_ms), start, instants_ms, values);
        }
    }

    /// Puts the late samples of the range where they belong, behind `start`.
    fn merge_late(
        &self,
        (start_ms, end_ms): (i64, i64),
        start: usize,
        instants_ms: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) {
        let from = self.late.partition_point(|sample| sample.at_ms < start_ms);
        let until = self.late.partition_point(|sample| sample.at_ms < end_ms);
        let late = &self.late[from..until];
        // From the back, so that each sample moves once.
        let (mut left, mut write) = (instants_ms.len(), instants_ms.len() + late.len());
        instants_ms.resize(write, 0);
        values.resize(write, 0.0);
        for sample in late.iter().rev() {
            while left > start && instants_ms[left - 1] > sample.at_ms {
                (left, write) = (left - 1, write - 1);
                instants_ms[write] = instants_ms[left];
                values[write] = values[left];
            }
            write -= 1;
            instants_ms[write] = sample.at_ms;
            values[write] = sample.value;
        }
    }
}
