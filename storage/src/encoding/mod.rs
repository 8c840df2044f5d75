//! How numbers become few bytes, exactly: the encodings of the memtable and the journal records.
//!
//! Place in the flow: memtable chunks and journal records are made of these.
//!
//! Invariant: every f64 and every timestamp comes back bit for bit, NaN payloads included. Decoding
//! never panics: bytes that can't be read give `None`.
//!
//! Not here: Parquet's own encodings (`block`).

/// Whole numbers in as few bytes as they need, and the reader of all of these.
pub mod varint;
/// Instants as differences of differences.
pub mod timestamps;
/// Decimal numbers as whole numbers and a power of ten.
pub mod decimal;
/// Any f64, as the bits that differ from the one before.
pub mod float;

#[cfg(test)]
mod tests;
