//! Windows over a series, and folds that slide with them.
//!
//! Place in the flow: a selector's range and the steps of a query → **`window`** → range kernels.
//!
//! Windows are left-open and right-closed, as Prometheus 3 has them. Their edges never fall, so two
//! pointers find all of them in one pass, and [`slide_fold`] keeps a fold of the current window
//! without ever subtracting: sums stay exact when a huge value leaves the window.
//!
//! Not here: what is folded.

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
