//! Decoders under hostile bytes (catalogue of the targets).
//!
//! Place in the flow: valid inputs → `mutate` → **a target** → its decoder. A target fails when the
//! decoder panics, or when a store that must open does not. Every one is a plain function of bytes,
//! so any fuzzer can drive it.
//!
//! Not here: damage that checksums find (`store::flips`).

/// Bytes from the network and from pages.
mod bytes;
/// Files of a store.
mod files;
/// A store's folder, as it is and with one file replaced.
mod golden;
/// Runs a target for a while.
pub mod hunt;
/// What another server left on disk.
mod import;
/// PromQL: texts, and questions about series.
mod queries;
/// Checksums made right again.
pub mod seal;

use crate::random::Random;
pub use golden::Golden;

/// One decoder and what it is fed with.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Valid inputs, which are then changed.
    pub seeds: fn(&Golden, &mut Random) -> Vec<Vec<u8>>,
    /// Whether changes keep the length of the input.
    pub keep_length: bool,
    /// Feeds the decoder. An error is a finding, as a panic is.
    pub run: fn(&Golden, &[u8]) -> Result<(), String>,
}

/// All targets.
pub const ALL: [Target; 19] = [
    Target {
        name: "journal_replay",
        seeds: files::segments,
        keep_length: false,
        run: files::journal_replay,
    },
    Target {
        name: "journal_fragments",
        seeds: files::segments,
        keep_length: false,
        run: files::journal_fragments,
    },
    Target {
        name: "store_records",
        seeds: files::records,
        keep_length: false,
        run: files::store_records,
    },
    Target {
        name: "series_log",
        seeds: files::series_records,
        keep_length: false,
        run: files::series_log,
    },
    Target { name: "manifest", seeds: files::manifests, keep_length: false, run: files::manifest },
    Target { name: "block_meta", seeds: files::metas, keep_length: false, run: files::block_meta },
    Target { name: "block_index", seeds: files::indexes, keep_length: false, run: files::index },
    Target {
        name: "block_pages",
        seeds: files::samples_files,
        keep_length: true,
        run: files::block_pages,
    },
    Target {
        name: "block_footer",
        seeds: files::samples_files,
        keep_length: true,
        run: files::block_footer,
    },
    Target {
        name: "remote_write_1",
        seeds: bytes::remote_write_1_seeds,
        keep_length: false,
        run: bytes::remote_write_1,
    },
    Target {
        name: "remote_write_2",
        seeds: bytes::remote_write_2_seeds,
        keep_length: false,
        run: bytes::remote_write_2,
    },
    Target { name: "snappy", seeds: bytes::snappy_seeds, keep_length: false, run: bytes::snappy },
    Target {
        name: "exposition",
        seeds: bytes::exposition_seeds,
        keep_length: false,
        run: bytes::exposition,
    },
    Target {
        name: "promql",
        seeds: queries::promql_seeds,
        keep_length: false,
        run: queries::promql,
    },
    Target {
        name: "evaluator",
        seeds: queries::evaluator_seeds,
        keep_length: false,
        run: queries::evaluator,
    },
    Target {
        name: "import_chunk",
        seeds: import::chunk_seeds,
        keep_length: false,
        run: import::chunk,
    },
    Target {
        name: "import_record",
        seeds: import::record_seeds,
        keep_length: false,
        run: import::record,
    },
    Target { name: "import_log", seeds: import::log_seeds, keep_length: false, run: import::log },
    Target {
        name: "import_text",
        seeds: import::text_seeds,
        keep_length: false,
        run: import::text,
    },
];

/// The target of that name.
pub fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}
