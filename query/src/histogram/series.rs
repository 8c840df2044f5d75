//! One series of numbers and histograms in one order.
//!
//! Place in the flow: `leaf` and subqueries fill it → **`Mixed`** → `range`.
//!
//! Not here: what is computed from it.

use std::sync::Arc;

use model::Histogram;
use model::histogram::ResetHint;
use model::sample::is_stale_nan;

use crate::block::{Block, Grid};
use crate::kernel::Element;
use crate::source::Beside;

/// The samples of one series, instants ascending.
#[derive(Debug, Default)]
pub struct Mixed {
    /// Instants in milliseconds.
    pub ts: Vec<i64>,
    /// Start timestamps in milliseconds; 0 where none is known.
    pub starts: Vec<i64>,
    /// What the samples are.
    pub elements: Vec<Element>,
}

impl Mixed {
    /// Numbers and what lies beside them.
    pub fn new(ts: &[i64], values: &[f64], beside: &Beside) -> Mixed {
        let mut all = Mixed::default();
        let mut histograms = beside.histograms.iter().peekable();
        for (at, value) in ts.iter().zip(values) {
            while let Some((own_at, own)) = histograms.next_if(|(own_at, _)| own_at.0 <= *at) {
                all.push(own_at.0, Element::Histogram(Arc::clone(own)));
            }
            if all.ts.last() == Some(at) {
                continue; // A write that had failed left a number there: the histogram counts.
            }
            all.push(*at, Element::Float(*value));
        }
        for (at, own) in histograms {
            all.push(at.0, Element::Histogram(Arc::clone(own)));
        }
        for (at, start) in &beside.starts {
            if let Ok(index) = all.ts.binary_search(&at.0) {
                all.starts[index] = start.0;
            }
        }
        all
    }

    /// The elements of one series of a block. They are not the neighbours their hints speak about.
    pub fn of_block(block: &Block, series: usize, grid: Grid) -> Mixed {
        let mut all = Mixed::default();
        for step in 0..grid.steps {
            if let Some(mut element) = block.element(series, step) {
                if let Element::Histogram(own) = &mut element
                    && matches!(own.hint, ResetHint::Reset | ResetHint::NotReset)
                {
                    Arc::make_mut(own).hint = ResetHint::Unknown;
                }
                all.push(grid.at(step), element);
            }
        }
        all
    }

    fn push(&mut self, at_ms: i64, element: Element) {
        self.ts.push(at_ms);
        self.starts.push(0);
        self.elements.push(element);
    }

    /// Whether a sample is the stale marker.
    pub fn is_stale(&self, index: usize) -> bool {
        is_stale_nan(match &self.elements[index] {
            Element::Float(value) => *value,
            Element::Histogram(own) => own.sum,
        })
    }

    /// The same series without stale markers.
    pub fn without_stale(self) -> Mixed {
        if !(0..self.ts.len()).any(|index| self.is_stale(index)) {
            return self;
        }
        let kept: Vec<usize> = (0..self.ts.len()).filter(|index| !self.is_stale(*index)).collect();
        Mixed {
            ts: kept.iter().map(|index| self.ts[*index]).collect(),
            starts: kept.iter().map(|index| self.starts[*index]).collect(),
            elements: kept.iter().map(|index| self.elements[*index].clone()).collect(),
        }
    }

    /// Says of each histogram without a hint whether the one before was reset; the first one has
    /// nobody to compare with.
    pub fn derive_hints(&mut self) {
        let mut previous: Option<Arc<Histogram>> = None;
        for element in &mut self.elements {
            let Element::Histogram(own) = element else { continue };
            let stored = Arc::clone(own);
            if let Some(previous) = previous.filter(|_| own.hint == ResetHint::Unknown) {
                let is_reset = own.is_reset_after(&previous);
                Arc::make_mut(own).hint =
                    if is_reset { ResetHint::Reset } else { ResetHint::NotReset };
            }
            previous = Some(stored);
        }
    }

    /// The histogram of a sample, if it is one.
    pub fn histogram(&self, index: usize) -> Option<&Arc<Histogram>> {
        match &self.elements[index] {
            Element::Histogram(own) => Some(own),
            Element::Float(_) => None,
        }
    }
}
