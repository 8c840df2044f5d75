//! Windows over a series, and folds that slide with them.
//!
//! Place in the flow: a selector's range and the steps of a query → **`window`** → range kernels.
//!
//! Windows are left-open and right-closed, as Prometheus 3 has them. Their edges never fall, so two
//! pointers find all of them in one pass, and [`slide_fold`] keeps a fold of the current window
//! without ever subtracting: sums stay exact when a huge value leaves the window.
//!
//! Short windows, and few of them, are gone through one by one in the order of their samples, as
//! upstream does: to the last digit. In long windows that overlap a lot the folds slide: there rounding
//! shows less than time.
//!
//! Not here: what is folded.

use super::Input;

/// Samples `lo..hi` of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Index of the first sample inside.
    pub lo: usize,
    /// Index after the last sample inside.
    pub hi: usize,
}

impl Window {
    /// Whether no sample lies inside.
    pub fn is_empty(self) -> bool {
        self.lo >= self.hi
    }

    /// How many samples lie inside.
    pub fn len(self) -> usize {
        self.hi - self.lo
    }
}

/// How far windows reach from their anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Back from the anchor; this edge is outside.
    pub before_ms: i64,
    /// On from the anchor; this edge is inside.
    pub after_ms: i64,
}

/// Finds the samples in `(anchor - before, anchor + after]` for every anchor. Anchors never fall.
pub fn find(ts: &[i64], anchors_ms: &[i64], reach: Reach, windows: &mut Vec<Window>) {
    windows.clear();
    let (mut lo, mut hi) = (0, 0);
    for (step, &anchor) in anchors_ms.iter().enumerate() {
        if step == 0 {
            // A long series before the first window is skipped by halves, not sample by sample.
            lo = ts.partition_point(|&at| at <= anchor.saturating_sub(reach.before_ms));
            hi = lo.max(ts.partition_point(|&at| at <= anchor.saturating_add(reach.after_ms)));
        }
        while hi < ts.len() && ts[hi] <= anchor.saturating_add(reach.after_ms) {
            hi += 1;
        }
        while lo < hi && ts[lo] <= anchor.saturating_sub(reach.before_ms) {
            lo += 1;
        }
        windows.push(Window { lo, hi });
    }
}

/// Up to so many windows that a sample lies in, about, are gone through one by one.
const DIRECT_TIMES_MAX: usize = 8;

/// Whether some window is longer than this, and all overlap so much that one pass over all takes less
/// than going through each.
pub fn overlap_a_lot(windows: &[Window], window_max: usize) -> bool {
    let lengths = || windows.iter().map(|window| window.len());
    let is_long = lengths().max().is_some_and(|widest| widest > window_max);
    let covered = windows.last().map_or(0, |last| last.hi.saturating_sub(windows[0].lo));
    is_long && lengths().sum::<usize>() > DIRECT_TIMES_MAX * covered
}

/// Something two neighbouring stretches of samples can be joined by.
pub trait Fold: Copy {
    /// The fold of `self` followed by `later`.
    fn then(self, later: Self) -> Self;
}

/// Calls `emit` with the fold of every window that is not empty.
///
/// Samples are folded forwards into a back part; when the window's start moves into it, the back
/// part is turned into folds of all its suffixes. Each sample is folded at most twice, and a query
/// of one step folds in plain order.
pub fn slide_fold<F: Fold>(
    windows: &[Window],
    element: impl Fn(usize) -> F,
    mut emit: impl FnMut(usize, Window, F),
) {
    // `suffixes[i]` folds samples `suffixes_start + i .. middle`; `back` folds `middle..reached`.
    let mut suffixes: Vec<F> = Vec::new();
    let (mut suffixes_start, mut middle, mut reached) = (0, 0, 0);
    let mut back: Option<F> = None;
    for (step, window) in windows.iter().enumerate() {
        if window.is_empty() {
            continue;
        }
        if window.lo >= reached {
            suffixes.clear();
            (suffixes_start, middle, reached, back) = (window.lo, window.lo, window.lo, None);
        } else if window.lo > middle {
            let mut fold = element(reached - 1);
            suffixes.clear();
            suffixes.push(fold);
            for index in (window.lo..reached - 1).rev() {
                fold = element(index).then(fold);
                suffixes.push(fold);
            }
            suffixes.reverse();
            (suffixes_start, middle, back) = (window.lo, reached, None);
        }
        while reached < window.hi {
            let next = element(reached);
            back = Some(back.map_or(next, |fold| fold.then(next)));
            reached += 1;
        }
        let front = (window.lo < middle).then(|| suffixes[window.lo - suffixes_start]);
        let fold = match (front, back) {
            (Some(front), Some(back)) => front.then(back),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => unreachable!("a window that is not empty was folded"),
        };
        emit(step, *window, fold);
    }
}

/// A fold that takes in one value after the other.
pub trait InOrder: Fold {
    /// Of one value.
    fn of(value: f64) -> Self;

    /// With the next value.
    fn with(self, value: f64) -> Self;
}

/// Windows of up to this many samples are gone through one by one.
pub const IN_ORDER_MAX: usize = 32;
/// Windows that are gone through side by side: each waits for its own sample before.
const LANES: usize = 4;

/// Calls `emit` with the fold of every window that is not empty, until the query is over.
pub fn each_fold<F: InOrder>(input: &Input, mut emit: impl FnMut(usize, F)) {
    let values = input.samples.values;
    if overlap_a_lot(input.windows, IN_ORDER_MAX) {
        let element = |index: usize| F::of(values[index]);
        return slide_fold(input.windows, element, |step, _, fold| emit(step, fold));
    }
    let run = |window: &Window| values.get(window.lo..window.hi).unwrap_or_default();
    for (first, windows) in (0..).step_by(LANES).zip(input.windows.chunks(LANES)) {
        if input.pace.is_over(windows.iter().map(|window| window.len()).sum()) {
            return;
        }
        // Lanes that are missing are the first one once more.
        let runs: [&[f64]; LANES] =
            std::array::from_fn(|lane| run(windows.get(lane).unwrap_or(&windows[0])));
        let shared = runs.map(<[f64]>::len).into_iter().min().unwrap_or(0);
        let mut folds = runs.map(|run| run.first().map_or(F::of(0.0), |first| F::of(*first)));
        let firsts = runs.map(|run| &run[..shared]);
        for index in 1..shared {
            for (fold, run) in folds.iter_mut().zip(firsts) {
                *fold = fold.with(run[index]);
            }
        }
        for ((step, run), fold) in (first..).zip(runs).zip(folds).take(windows.len()) {
            if !run.is_empty() {
                let rest = &run[shared.max(1)..];
                emit(step, rest.iter().fold(fold, |fold, value| fold.with(*value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::sums::Sum;
    use crate::kernel::{Frames, Samples};
    use crate::ledger::Pace;

    /// The sums of windows, and what they are when each is gone through by itself.
    fn sums(values: &[f64], windows: &[Window]) -> (Vec<Option<Sum>>, Vec<Option<Sum>>) {
        let frames = Frames { right_ms: &[], eval_ms: &[], range_ms: 0 };
        let (samples, pace) = (Samples { ts: &[], values }, Pace::endless());
        let input = Input { samples, windows, frames, params: &[], edges: None, pace: &pace };
        let mut found = vec![None; windows.len()];
        each_fold(&input, |step, sum: Sum| found[step] = Some(sum));
        let single = |window: &Window| {
            let (first, rest) = values.get(window.lo..window.hi)?.split_first()?;
            Some(rest.iter().fold(Sum::of(*first), |sum, value| sum.with(*value)))
        };
        (found, windows.iter().map(single).collect())
    }

    fn values() -> Vec<f64> {
        (0..500_u32).map(|own| f64::from(own.wrapping_mul(2_654_435_769) >> 7) / 10.0).collect()
    }

    #[test]
    fn short_windows_and_few_of_them_have_the_bits_of_their_order() {
        let values = values();
        for length in [0, 1, 2, 7, 32, 100] {
            // Long ones overlap less.
            for (apart, count) in [(if length > 32 { 13 } else { 1 }, 30), (200, 3), (0, 1)] {
                // Every fifth is shorter.
                let window = |step: usize| {
                    let (lo, len) = (step * apart, length - (length / 2).min(step % 5 / 4 * 3));
                    Window { lo, hi: lo + len }
                };
                let windows: Vec<Window> = (0..count).map(window).collect();
                let (found, expected) = sums(&values, &windows);
                assert_eq!(found, expected, "{length} samples, {apart} apart");
            }
        }
    }

    #[test]
    fn long_windows_that_overlap_slide() {
        let values = values();
        let windows: Vec<Window> = (0..300).map(|lo| Window { lo, hi: lo + 200 }).collect();
        assert!(overlap_a_lot(&windows, IN_ORDER_MAX));
        let (found, expected) = sums(&values, &windows);
        for (found, expected) in found.iter().zip(&expected) {
            let (found, expected) = (found.expect("a sum"), expected.expect("a sum"));
            let error = (found.value() - expected.value()).abs();
            assert!(error <= expected.value() * 1e-15, "{found:?} {expected:?}");
        }
    }
}
