//! Aggregation that streams: rows fold into one row per group, and partial folds merge.
//!
//! Place in the flow: inside the leaf (first partial aggregate) and above it (the rest) → **`Fold`**
//! → one row per group.
//!
//! A cell holds what an operator needs of the values so far, in three numbers, so that partial
//! folds travel as three list columns and merge in partition order.
//!
//! Not here: operators that need all values at once (`evaluate::aggregate`).

use promql::ast::AggregateOp;

use crate::kernel::Row;
use crate::kernel::sums::{Mean, Spread, Sum};
use crate::kernel::window::Fold as _;

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
                Cell::from_spread(self.spread().then(later.spread()))
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

#[inline(always)]
fn add_all(cells: &mut [Cell], row: &Row, add: impl Fn(Cell, f64) -> Cell) {
    for (cell, (value, valid)) in cells.iter_mut().zip(row.values.iter().zip(&row.valid)) {
        if *valid {
            *cell = add(*cell, *value);
        }
    }
}

/// NaN only stays when there is nothing else.
fn pick(own: f64, other: f64, wins: fn(&f64, &f64) -> bool) -> f64 {
    if wins(&other, &own) || own.is_nan() { other } else { own }
}

/// Groups by steps of cells.
#[derive(Debug)]
pub struct Fold {
    op: FoldOp,
    steps: usize,
    cells: Vec<Cell>,
}

impl Fold {
    /// Cells that know nothing yet.
    pub fn new(op: FoldOp, groups: usize, steps: usize) -> Fold {
        Fold { op, steps, cells: vec![Cell::default(); groups * steps] }
    }

    /// Bytes that so many cells take.
    pub fn bytes(groups: usize, steps: usize) -> usize {
        groups * steps * size_of::<Cell>()
    }

    /// Folds a row into a group.
    pub fn add_row(&mut self, group: usize, row: &Row) {
        let cells = &mut self.cells[group * self.steps..(group + 1) * self.steps];
        // A loop of its own for each operator: the choice is not made again at every step.
        macro_rules! each {
            ($($op:ident)*) => {
                match self.op {
                    $(FoldOp::$op => add_all(cells, row, |cell, value| cell.add(FoldOp::$op, value)),)*
                }
            };
        }
        each!(Sum Avg Min Max Count Group Stddev Stdvar);
    }

    /// Merges cells of one group, one per step.
    pub fn merge_row(&mut self, group: usize, cells: impl Iterator<Item = Cell>) {
        let own = &mut self.cells[group * self.steps..(group + 1) * self.steps];
        for (cell, later) in own.iter_mut().zip(cells) {
            *cell = cell.merge(self.op, later);
        }
    }

    /// The cells of one group.
    pub fn cells(&self, group: usize) -> &[Cell] {
        &self.cells[group * self.steps..(group + 1) * self.steps]
    }

    /// Writes one group's results into a row.
    pub fn read_row(&self, group: usize, row: &mut Row) {
        row.clear();
        for (step, cell) in self.cells(group).iter().enumerate() {
            if let Some(value) = cell.value(self.op) {
                row.set(step, value);
            }
        }
    }
}
