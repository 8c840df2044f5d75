//! Limits that hold in every room, each with its reason and its relation to the others.
//!
//! Place in the flow: every door that takes input checks against these.
//!
//! Not here: limits of one room only; those stand in that room under a name that ends in `_MAX`.

/// Labels of one series. Upstream has no limit; Kubernetes setups reach about sixty.
pub const LABELS_PER_SERIES_MAX: usize = 128;
/// Longest label name kept.
pub const LABEL_NAME_BYTES_MAX: usize = 1024;
/// Longest label value kept. Longer ones are refused at the door, never cut.
pub const LABEL_VALUE_BYTES_MAX: usize = 16 * 1024;
/// Largest scrape body, decompressed, read from one target unless its job says otherwise.
pub const SCRAPE_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest decoded push request (remote write); upstream has the same.
pub const PUSH_BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Samples further ahead of our clock than this are refused, as upstream does.
pub const FUTURE_MS_MAX: i64 = 10 * 60 * 1000;
/// Characters of all label names and values of one exemplar; the OpenMetrics limit.
pub const EXEMPLAR_LABELS_CHARS_MAX: usize = 128;

// A single label must never be able to fill a scrape on its own.
const _: () = assert!(LABEL_VALUE_BYTES_MAX * 1024 < SCRAPE_BODY_BYTES_MAX);
