//! The test crate: harness, end-to-end, conformance files, simulation, side-by-side benchmarks.
