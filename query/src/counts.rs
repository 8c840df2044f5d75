//! How many samples a query looked at, in all and at each of its steps.
//!
//! Place in the flow: leaves and subqueries → **`Looked`** → the query's context → its stats.
//!
//! Counted as upstream's `totalQueryableSamples`: a sample counts once for each step whose window it
//! lies in; what is computed inside of a subquery does not count, but the points of the subquery
//! that a window holds do.
//!
//! Not here: samples read from the store (the tally of a leaf).

use crate::kernel::{Row, Window};

/// What is counted in one part of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counting {
    /// Nothing: this part is inside of a subquery.
    Nothing,
    /// All together.
    #[default]
    Total,
    /// Each step by itself, too.
    Steps,
}

/// Samples that were looked at.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// At all steps together.
    pub total: u64,
    /// At each step; empty when that is not asked for.
    pub per_step: Vec<u64>,
    counting: Counting,
}

impl Looked {
    /// None yet.
    pub fn new(counting: Counting, steps: usize) -> Looked {
        let per_step = if counting == Counting::Steps { vec![0; steps] } else { Vec::new() };
        Looked { total: 0, per_step, counting }
    }

    /// One sample for each step of a row that has one.
    pub fn add_row(&mut self, row: &Row) {
        match self.counting {
            Counting::Nothing => return,
            Counting::Total => {}
            Counting::Steps => {
                for (own, valid) in self.per_step.iter_mut().zip(&row.valid) {
                    *own += u64::from(*valid);
                }
                row.histograms.iter().for_each(|(step, _)| self.per_step[*step] += 1);
            }
        }
        self.total += row.count() as u64;
    }

    /// The samples of windows, of which there are so many in all. One window stands for so many
    /// steps when there is only one.
    pub fn add_windows(&mut self, windows: &[Window], windows_total: usize, steps: usize) {
        if self.counting == Counting::Nothing {
            return;
        }
        let times = if windows.len() == 1 { steps } else { 1 };
        self.total += (windows_total * times) as u64;
        for (step, own) in self.per_step.iter_mut().enumerate() {
            let window = windows.get(step).or(windows.first());
            *own += window.map_or(0, |window| window.len() as u64);
        }
    }

    /// So many at the only step of an instant query.
    pub fn add_at_once(&mut self, samples: usize) {
        if self.counting != Counting::Nothing {
            self.merge(&Looked { total: samples as u64, ..Looked::default() });
        }
    }

    /// What others looked at as well. Where they did not count steps, there is one only.
    pub fn merge(&mut self, other: &Looked) {
        self.total += other.total;
        match (&mut self.per_step[..], &other.per_step[..]) {
            ([own], []) => *own += other.total,
            (all, others) => all.iter_mut().zip(others).for_each(|(own, other)| *own += other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_windows() {
        let mut row = Row::new(3);
        row.set(0, 1.0);
        row.set(2, 1.0);
        let windows = [Window { lo: 0, hi: 4 }, Window { lo: 2, hi: 2 }, Window { lo: 1, hi: 3 }];
        for (counting, total, per_step) in [
            (Counting::Nothing, 0, vec![]),
            (Counting::Total, 20, vec![]),
            (Counting::Steps, 20, vec![9, 4, 7]),
        ] {
            let mut looked = Looked::new(counting, 3);
            looked.add_row(&row);
            looked.add_windows(&windows, 6, 3);
            // One window for all steps.
            looked.add_windows(&windows[..1], 4, 3);
            assert_eq!((looked.total, looked.per_step), (total, per_step), "{counting:?}");
        }
    }

    #[test]
    fn an_instant_has_one_step() {
        let mut looked = Looked::new(Counting::Steps, 1);
        looked.add_at_once(5);
        looked.merge(&Looked { total: 2, ..Looked::default() });
        assert_eq!((looked.total, looked.per_step), (7, vec![7]));
    }
}
