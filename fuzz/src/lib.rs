//! Ways to break Belfry: simulated kills and power cuts, flipped bits, hostile bytes.
//!
//! Place in the flow: none; the tests of this crate run short forms, `cargo xtask soak`, `fuzz` and
//! `planted` run long ones. Every failure names the seed and the command that repeats it.
//!
//! Not here: tests of one room alone (beside it), faults of the real binary (tests/it).

/// Numbers from a seed.
pub mod random;
/// Valid bytes become nearly valid ones.
pub mod mutate;
/// Decoders under hostile bytes.
pub mod target;
/// The store under power cuts, kills, faults and flipped bits.
pub mod store;
