//! The newest sample of an instant selector, unless it is too old or the stale marker.
//!
//! Place in the flow: the leaf brings samples, stale markers included → **`lookback`** → a row.
//!
//! Not here: smoothed selectors (`extended`).

use model::sample::is_stale_nan;

use super::{Row, Samples, Window};

/// What an instant selector gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The sample's value.
    Value,
    /// The sample's instant in seconds, for `timestamp()`.
    Timestamp,
    /// The sample's start timestamp in seconds; numbers without one give zero.
    StartTimestamp,
}

/// Picks the last sample of each window.
pub fn newest(samples: Samples, windows: &[Window], output: Output, row: &mut Row) {
    for (step, window) in windows.iter().enumerate() {
        if window.is_empty() || is_stale_nan(samples.values[window.hi - 1]) {
            continue;
        }
        row.set(
            step,
            match output {
                Output::Value => samples.values[window.hi - 1],
                Output::Timestamp => samples.ts[window.hi - 1] as f64 / 1000.0,
                Output::StartTimestamp => 0.0,
            },
        );
    }
}
