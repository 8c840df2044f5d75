//! Aggregation that streams: rows fold into one row per group, and partial folds merge.
//!
//! Place in the flow: inside the leaf (first partial aggregate) and above it (the rest) → **`Fold`**
//! → one row per group.
//!
//! A cell holds what an operator needs of the values so far, in three numbers, so that partial
//! folds travel as three list columns and merge in partition order.
//!
//! Not here: operators that need all values at once (`evaluate::aggregate`).

use std::ops::Range;

use promql::ast::AggregateOp;

use crate::kernel::Row;
use crate::kernel::finite::are_finite;
use crate::kernel::spread::Spread;
use crate::kernel::sums::{Mean, Sum};

/// The operators that fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldOp {
    /// Cells are total, lost, count.
    Sum,
    /// Cells are total or mean, lost, count (negative once the mean is running).
    Avg,
    /// Cells are the smallest value, unused, count.
    Min,
    /// Cells are the largest value, unused, count.
    Max,
    /// Cells are unused, unused, count.
    Count,
    /// Cells are unused, unused, count.
    Group,
    /// Cells are mean, squared distances, count.
    Stddev,
    /// Cells are mean, squared distances, count.
    Stdvar,
}

impl FoldOp {
    /// The operator that folds like this, if it does.
    pub fn of(op: AggregateOp) -> Option<FoldOp> {
        Some(match op {
            AggregateOp::Sum => FoldOp::Sum,
            AggregateOp::Avg => FoldOp::Avg,
            AggregateOp::Min => FoldOp::Min,
            AggregateOp::Max => FoldOp::Max,
            AggregateOp::Count => FoldOp::Count,
            AggregateOp::Group => FoldOp::Group,
            AggregateOp::Stddev => FoldOp::Stddev,
            AggregateOp::Stdvar => FoldOp::Stdvar,
            _ => return None,
        })
    }
}

/// What one group knows at one step. Nothing yet when `count` is zero.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cell {
    /// First number, see [`FoldOp`].
    pub a: f64,
    /// Second number.
    pub b: f64,
    /// How many values went in.
    pub count: f64,
}

impl Cell {
    /// Takes in a value.
    #[inline(always)]
    pub fn add(self, op: FoldOp, value: f64) -> Cell {
        match op {
            FoldOp::Count | FoldOp::Group => Cell { count: self.count + 1.0, ..self },
            _ if self.count == 0.0 => match op {
                FoldOp::Stddev | FoldOp::Stdvar => Cell::from_spread(Spread::of(value)),
                _ => Cell { a: value, b: 0.0, count: 1.0 },
            },
            FoldOp::Sum => {
                let sum = self.sum().with(value);
                Cell { a: sum.total, b: sum.lost, count: self.count + 1.0 }
            }
            FoldOp::Avg => Cell::from_mean(self.mean().with(value)),
            FoldOp::Min => Cell { a: pick(self.a, value, f64::lt), ..self.counted(1.0) },
            FoldOp::Max => Cell { a: pick(self.a, value, f64::gt), ..self.counted(1.0) },
            FoldOp::Stddev | FoldOp::Stdvar => Cell::from_spread(self.spread().with(value)),
        }
    }

    /// Takes in what another partition knows.
    pub fn merge(self, op: FoldOp, later: Cell) -> Cell {
        if self.count == 0.0 {
            return later;
        }
        if later.count == 0.0 {
            return self;
        }
        match op {
            FoldOp::Count | FoldOp::Group => self.counted(later.count),
            FoldOp::Sum => {
                let sum = self.sum().then(later.sum());
                Cell { a: sum.total, b: sum.lost, count: self.count + later.count }
            }
            FoldOp::Avg => Cell::from_mean(self.mean().join(later.mean())),
            FoldOp::Min => Cell { a: pick(self.a, later.a, f64::lt), ..self.counted(later.count) },
            FoldOp::Max => Cell { a: pick(self.a, later.a, f64::gt), ..self.counted(later.count) },
            FoldOp::Stddev | FoldOp::Stdvar => {
                Cell::from_spread(self.spread().join(later.spread()))
            }
        }
    }

    /// The operator's result, if any value went in.
    pub fn value(self, op: FoldOp) -> Option<f64> {
        (self.count != 0.0).then(|| match op {
            FoldOp::Sum => self.sum().value(),
            FoldOp::Avg => self.mean().value(),
            FoldOp::Min | FoldOp::Max => self.a,
            FoldOp::Count => self.count,
            FoldOp::Group => 1.0,
            FoldOp::Stddev => self.spread().variance().sqrt(),
            FoldOp::Stdvar => self.spread().variance(),
        })
    }

    fn counted(self, more: f64) -> Cell {
        Cell { count: self.count + more, ..self }
    }

    fn sum(self) -> Sum {
        Sum { total: self.a, lost: self.b }
    }

    fn mean(self) -> Mean {
        Mean { sum: self.sum(), count: self.count.abs(), is_running: self.count < 0.0 }
    }

    fn from_mean(mean: Mean) -> Cell {
        let count = if mean.is_running { -mean.count } else { mean.count };
        Cell { a: mean.sum.total, b: mean.sum.lost, count }
    }

    fn spread(self) -> Spread {
        Spread { count: self.count, mean: self.a, squares: self.b }
    }

    fn from_spread(spread: Spread) -> Cell {
        Cell { a: spread.mean, b: spread.squares, count: spread.count }
    }
}

/// NaN only stays when there is nothing else.
fn pick(own: f64, other: f64, wins: fn(&f64, &f64) -> bool) -> f64 {
    if wins(&other, &own) || own.is_nan() { other } else { own }
}

/// Groups by steps of cells; each of their numbers in a column of its own, so that the cells of
/// several steps take one.
#[derive(Debug)]
pub struct Fold {
    op: FoldOp,
    steps: usize,
    a: Vec<f64>,
    b: Vec<f64>,
    count: Vec<f64>,
}

/// Steps that are folded together.
const LANE: usize = 32;

impl Fold {
    /// Cells that know nothing yet.
    pub fn new(op: FoldOp, groups: usize, steps: usize) -> Fold {
        let column = || vec![0.0; groups * steps];
        // What a sum of nothing begins with: it takes in every number, zeros too, as the number is.
        let a = if op == FoldOp::Sum { vec![-0.0; groups * steps] } else { column() };
        Fold { op, steps, a, b: column(), count: column() }
    }

    /// Bytes that so many cells take.
    pub fn bytes(groups: usize, steps: usize) -> usize {
        groups * steps * size_of::<Cell>()
    }

    /// Folds a row into a group.
    pub fn add_row(&mut self, group: usize, row: &Row) {
        let first = group * self.steps;
        for start in (0..self.steps).step_by(LANE) {
            let steps = start..self.steps.min(start + LANE);
            let (values, valid) = (&row.values[steps.clone()], &row.valid[steps.clone()]);
            let cells = first + steps.start..first + steps.end;
            let is_plain = self.op == FoldOp::Sum && valid.iter().fold(true, |all, own| all & own);
            if !is_plain || !self.add_finite(cells.clone(), values) {
                self.add_each(cells, values, valid);
            }
        }
    }

    /// Adds to sums that stay finite, without a branch, so that several take one step; answers `false`,
    /// and adds nothing, when one does not.
    fn add_finite(&mut self, cells: Range<usize>, values: &[f64]) -> bool {
        let (a, b) = (&mut self.a[cells.clone()], &mut self.b[cells.clone()]);
        let mut totals = [0.0; LANE];
        let totals = &mut totals[..values.len()];
        for ((total, before), value) in totals.iter_mut().zip(&*a).zip(values) {
            *total = before + value;
        }
        if !are_finite(totals) {
            return false;
        }
        for (((own, lost), total), value) in a.iter_mut().zip(b).zip(totals).zip(values) {
            // What rounding lost, without asking which of both is larger: the same number as in
            // `Sum::with`, since it is exact.
            let taken = *total - *own;
            *lost += (*own - (*total - taken)) + (value - taken);
            *own = *total;
        }
        self.count[cells].iter_mut().for_each(|count| *count += 1.0);
        true
    }

    fn add_each(&mut self, cells: Range<usize>, values: &[f64], valid: &[bool]) {
        // A loop of its own for each operator: the choice is not made again at every step.
        macro_rules! each {
            ($($op:ident)*) => {
                match self.op {
                    $(FoldOp::$op => for (at, (value, valid)) in cells.zip(values.iter().zip(valid)) {
                        if *valid {
                            self.set(at, self.cell(at).add(FoldOp::$op, *value));
                        }
                    })*
                }
            };
        }
        each!(Sum Avg Min Max Count Group Stddev Stdvar);
    }

    /// Merges cells of one group, one per step.
    pub fn merge_row(&mut self, group: usize, cells: impl Iterator<Item = Cell>) {
        for (at, later) in (group * self.steps..(group + 1) * self.steps).zip(cells) {
            self.set(at, self.cell(at).merge(self.op, later));
        }
    }

    /// The cells of one group.
    pub fn cells(&self, group: usize) -> impl Iterator<Item = Cell> + '_ {
        (group * self.steps..(group + 1) * self.steps).map(|at| self.cell(at))
    }

    /// The columns of all cells, in the order of a cell's numbers.
    pub fn into_columns(self) -> [Vec<f64>; 3] {
        [self.a, self.b, self.count]
    }

    /// Writes one group's results into a row.
    pub fn read_row(&self, group: usize, row: &mut Row) {
        row.clear();
        for (step, cell) in self.cells(group).enumerate() {
            if let Some(value) = cell.value(self.op) {
                row.set(step, value);
            }
        }
    }

    #[inline(always)]
    fn cell(&self, at: usize) -> Cell {
        Cell { a: self.a[at], b: self.b[at], count: self.count[at] }
    }

    #[inline(always)]
    fn set(&mut self, at: usize, cell: Cell) {
        (self.a[at], self.b[at], self.count[at]) = (cell.a, cell.b, cell.count);
    }
}
