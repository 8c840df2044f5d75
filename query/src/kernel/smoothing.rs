//! Double exponential smoothing, bit for bit as if each window were gone through by itself.
//!
//! Place in the flow: `RangeFunction::evaluate` → **`smoothing`** → a row.
//!
//! Level and trend depend on those at the sample before, so a window is one long chain; no algebra
//! shortens it without other digits. But its start is forgotten: after some hundred samples, fewer
//! with larger factors, two chains over the same samples mostly have the same bits, and then they are
//! one. So windows that overlap a lot are gone through together, and chains that have met as one. A
//! long window is gone through in parts side by side, each from a start that is a guess; a part whose
//! guess has not met the chain before it is gone through again.
//!
//! Not here: straight lines (`regression`).

use super::window::overlap_a_lot;
use super::{Input, Row, Window};

/// Chains that are gone through side by side: each waits for its own sample before.
const LANES: usize = 8;
/// Windows of at least this many samples that do not overlap a lot are gone through in parts.
const LONG_WINDOW: usize = 1024;
/// Samples after which chains are compared. Windows that are all shorter can't profit from it.
const STRIDE: usize = 64;

/// Smoothing and trend factor.
type Factors = (f64, f64);

/// `double_exponential_smoothing`; the parameters are the smoothing and the trend factor.
pub fn smooth(input: &Input, row: &mut Row) {
    let factors = |step: usize| (input.params[0][step], input.params[1][step]);
    let is_even = (1..input.windows.len()).all(|step| factors(step) == factors(0));
    let own = input.windows.iter().copied().enumerate().filter(|(_, window)| window.len() >= 2);
    if is_even && overlap_a_lot(input.windows, STRIDE) {
        let own: Vec<(usize, Window)> = own.collect();
        return together(input, &own, factors(0), row);
    }
    let (long, short): (Vec<_>, Vec<_>) = own.partition(|(_, window)| window.len() >= LONG_WINDOW);
    for (step, window) in long {
        if input.pace.is_over(window.len()) {
            return;
        }
        let level = in_parts(&input.samples.values[window.lo..window.hi], factors(step));
        row.set(step, level);
    }
    for windows in short.chunks(LANES) {
        // Lanes that are missing are the first one once more.
        let lanes = std::array::from_fn(|lane| *windows.get(lane).unwrap_or(&windows[0]));
        let runs = lanes.map(|(_, window)| &input.samples.values[window.lo..window.hi]);
        if input.pace.is_over(runs.iter().map(|run| run.len()).sum()) {
            return;
        }
        let mut chains = Chains::starts(runs);
        chains.advance(runs.map(|run| &run[1..]), lanes.map(|(step, _)| factors(step)));
        for (lane, (step, _)) in windows.iter().enumerate() {
            row.set(*step, chains.levels[lane]);
        }
    }
}

/// The level at the end of a long window.
fn in_parts(values: &[f64], factors: Factors) -> f64 {
    let rest = &values[1..];
    let part = rest.len() / LANES;
    let parts: [&[f64]; LANES] = std::array::from_fn(|lane| &rest[lane * part..][..part]);
    // Each begins half a part earlier, so that its guess may meet the chain before it. The first needs
    // no guess: what is found for its lane is not used.
    let before = std::array::from_fn(|lane: usize| {
        let end = lane.max(1) * part;
        &rest[end - part / 2 - 1..end]
    });
    let mut chains = Chains::starts(before);
    chains.advance(before.map(|run| &run[1..]), [factors; LANES]);
    chains.set(0, start(values));
    let guesses = chains;
    chains.advance(parts, [factors; LANES]);
    let mut chain = chains.get(0);
    for (lane, run) in parts.iter().enumerate().skip(1) {
        let has_met = is_same(guesses.get(lane), chain);
        chain = if has_met { chains.get(lane) } else { follow(chain, run, factors) };
    }
    follow(chain, &rest[LANES * part..], factors).0
}

/// Smooths windows that overlap, given with their steps, in one pass.
fn together(input: &Input, windows: &[(usize, Window)], factors: Factors, row: &mut Row) {
    let values = input.samples.values;
    let mut open = Open::default();
    // How many have begun and ended; the next sample.
    let (mut begun, mut ended, mut at) = (0, 0, 0);
    while let Some((step, window)) = windows.get(ended) {
        let next = windows.get(begun).map(|(_, next)| next.lo);
        if begun == ended {
            at = window.lo + 1;
        }
        if next == Some(at - 1) {
            open.begin(start(&values[at - 1..]));
            begun += 1;
        } else if window.hi == at {
            row.set(*step, open.end());
            ended += 1;
        } else {
            let event = next.map_or(window.hi, |lo| window.hi.min(lo + 1));
            let until = event.min((at / STRIDE + 1) * STRIDE);
            if input.pace.is_over((until - at) * open.levels.len()) {
                return;
            }
            open.advance(&values[at..until], factors);
            at = until;
            if at % STRIDE == 0 {
                open.join();
            }
        }
    }
}

/// The chains of windows that have begun and not ended, oldest first.
#[derive(Debug, Default)]
struct Open {
    levels: Vec<f64>,
    trends: Vec<f64>,
    /// How many windows a chain stands for.
    windows: Vec<usize>,
    /// Chains before this one have ended.
    first: usize,
}

impl Open {
    fn begin(&mut self, (level, trend): (f64, f64)) {
        self.levels.push(level);
        self.trends.push(trend);
        self.windows.push(1);
    }

    /// The level of the window that began first; it ends.
    fn end(&mut self) -> f64 {
        let level = self.levels[self.first];
        self.windows[self.first] -= 1;
        self.first += usize::from(self.windows[self.first] == 0);
        level
    }

    fn advance(&mut self, values: &[f64], factors: Factors) {
        let (levels, trends) = (&mut self.levels[self.first..], &mut self.trends[self.first..]);
        for (levels, trends) in levels.chunks_mut(LANES).zip(trends.chunks_mut(LANES)) {
            let mut chains = Chains::default();
            chains.levels[..levels.len()].copy_from_slice(levels);
            chains.trends[..trends.len()].copy_from_slice(trends);
            chains.advance([values; LANES], [factors; LANES]);
            levels.copy_from_slice(&chains.levels[..levels.len()]);
            trends.copy_from_slice(&chains.trends[..trends.len()]);
        }
    }

    /// Chains that have met become one, those that have ended are forgotten.
    fn join(&mut self) {
        let mut kept = 0_usize;
        for index in self.first..self.levels.len() {
            let (level, trend) = (self.levels[index], self.trends[index]);
            let before = kept.checked_sub(1).map(|last| (self.levels[last], self.trends[last]));
            if before.is_some_and(|before| is_same(before, (level, trend))) {
                self.windows[kept - 1] += self.windows[index];
                continue;
            }
            (self.levels[kept], self.trends[kept]) = (level, trend);
            self.windows[kept] = self.windows[index];
            kept += 1;
        }
        self.levels.truncate(kept);
        self.trends.truncate(kept);
        self.windows.truncate(kept);
        self.first = 0;
    }
}

/// Levels and trends of chains that are gone through side by side.
#[derive(Debug, Clone, Copy, Default)]
struct Chains {
    levels: [f64; LANES],
    trends: [f64; LANES],
}

impl Chains {
    /// Chains that begin with the first of two values and more.
    fn starts(runs: [&[f64]; LANES]) -> Chains {
        let starts = runs.map(start);
        Chains { levels: starts.map(|start| start.0), trends: starts.map(|start| start.1) }
    }

    fn get(&self, lane: usize) -> (f64, f64) {
        (self.levels[lane], self.trends[lane])
    }

    fn set(&mut self, lane: usize, (level, trend): (f64, f64)) {
        (self.levels[lane], self.trends[lane]) = (level, trend);
    }

    /// Goes through a run of samples with each.
    fn advance(&mut self, runs: [&[f64]; LANES], factors: [Factors; LANES]) {
        let shared = runs.map(<[f64]>::len).into_iter().min().unwrap_or(0);
        let firsts = runs.map(|values| &values[..shared]);
        let value = |lane: usize, index: usize| firsts[lane][index];
        let mut chains = *self;
        for index in 0..shared {
            for (lane, own) in factors.iter().enumerate() {
                chains.set(lane, smoothed(chains.get(lane), value(lane, index), *own));
            }
        }
        for (lane, own) in factors.iter().enumerate() {
            chains.set(lane, follow(chains.get(lane), &runs[lane][shared..], *own));
        }
        *self = chains;
    }
}

/// Level and trend that a window begins with; its second sample comes next.
fn start(values: &[f64]) -> (f64, f64) {
    (values[0], values[1] - values[0])
}

/// Goes through samples one by one.
fn follow(chain: (f64, f64), values: &[f64], factors: Factors) -> (f64, f64) {
    values.iter().fold(chain, |chain, value| smoothed(chain, *value, factors))
}

/// Level and trend after one more sample.
#[inline(always)]
fn smoothed((level, trend): (f64, f64), value: f64, (own, slope): Factors) -> (f64, f64) {
    let next = own * value + (1.0 - own) * (level + trend);
    (next, slope * (next - level) + (1.0 - slope) * trend)
}

/// Whether chains have the same bits, and will have from here on.
fn is_same(one: (f64, f64), other: (f64, f64)) -> bool {
    one.0.to_bits() == other.0.to_bits() && one.1.to_bits() == other.1.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Frames, Samples};
    use crate::ledger::Pace;

    /// One window, straight from the definition.
    fn naive(values: &[f64], factors: Factors) -> Option<f64> {
        (values.len() >= 2).then(|| follow(start(values), &values[1..], factors).0)
    }

    /// Values that chains meet on soon, late, and never.
    fn series(kind: usize, count: usize) -> Vec<f64> {
        let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
        let mut sum = 0.0;
        let value = |index: usize| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let noise = (noise >> 11) as f64 / (1_u64 << 53) as f64;
            sum += (noise * 1400.0).floor();
            match kind {
                0 => sum,
                1 => noise,
                2 => index as f64 + 0.3,
                3 => 42.0,
                4 => (index / 1000 % 7) as f64,
                5 if index == count / 2 => f64::NAN,
                6 if index == count / 3 => f64::INFINITY,
                _ => (index as f64 / 50.0).sin() * 1e6 + noise,
            }
        };
        (0..count).map(value).collect()
    }

    /// Smooths with factors that a step is told of, and compares each window with the definition.
    fn check(values: &[f64], windows: &[Window], factors: impl Fn(usize) -> Factors) {
        let (levels, trends) = (0..windows.len()).map(&factors).unzip();
        let params: [Vec<f64>; 2] = [levels, trends];
        let frames = Frames { right_ms: &[], eval_ms: &[], range_ms: 0 };
        let (samples, pace) = (Samples { ts: &[], values }, Pace::endless());
        let input = Input { samples, windows, frames, params: &params, edges: None, pace: &pace };
        let mut row = Row::new(windows.len());
        smooth(&input, &mut row);
        for (step, window) in windows.iter().enumerate() {
            let expected = naive(&values[window.lo..window.hi], factors(step));
            let (got, expected) = (row.get(step).map(f64::to_bits), expected.map(f64::to_bits));
            assert_eq!(got, expected, "step {step}, {window:?}, factors {:?}", factors(step));
        }
    }

    #[test]
    fn no_bit_differs_from_windows_one_by_one() {
        const COUNT: usize = 6000;
        // Samples of a window, samples from one to the next, windows; some reach over the end.
        let shapes =
            [(3000, 1, 700), (3000, 0, 9), (2000, 900, 5), (100, 3, 900), (90, 200, 30), (1, 1, 9)];
        for (length, apart, count) in shapes {
            let window = |step: usize| {
                let lo = COUNT + 5 - length - (count - 1 - step) * apart;
                Window { lo: lo.min(COUNT), hi: (lo + length).min(COUNT) }
            };
            let windows: Vec<Window> = (0..count).map(window).collect();
            for kind in 0..8 {
                let values = series(kind, COUNT);
                for factors in [(0.3, 0.3), (0.8, 0.9), (0.02, 0.01), (0.5, 0.1)] {
                    check(&values, &windows, |_| factors);
                }
            }
            check(&series(0, COUNT), &windows, |step| (0.3, [0.3, 0.6][step % 2]));
        }
    }
}
