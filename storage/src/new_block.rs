//! A block that is being written: its name, its temporary folder, and its way to its place.
//!
//! Place in the flow: flush and compaction → **new block** → `blocks/<name>`; they record it in the
//! manifest.
//!
//! Invariants: a folder has its final name only when all in it is durable. No name is tried twice.
//!
//! Not here: which samples, and the manifest.

use std::path::PathBuf;

use model::append::SeriesId;
use model::{Labels, TimestampMs};
use xxhash_rust::xxh3::xxh3_128;

use crate::Error;
use crate::beside::Rows;
use crate::beside::exemplars::Numbered;
use crate::block::meta::{Meta, checksum_text};
use crate::block::name::ulid;
use crate::block::writer::Heading;
use crate::block::{BlockWriter, Effort};
use crate::error::at;
use crate::flush::BLOCKS_DIR;
use crate::manifest::{BlockEntry, Found, Manifest};
use crate::shared::Shared;

/// A block whose folder is in place.
#[derive(Debug)]
pub struct Written {
    /// The folder.
    pub dir: PathBuf,
    /// What it says about itself.
    pub meta: Meta,
}

impl Written {
    /// Its entry in the manifest.
    pub fn entry(&self) -> BlockEntry {
        BlockEntry {
            block_id: self.meta.block_id.clone(),
            meta_xxh3: checksum_text(&self.meta.encode()),
        }
    }
}

/// A block without a folder until its first series comes.
pub struct NewBlock<'a> {
    shared: &'a Shared,
    block_id: String,
    created: TimestampMs,
    effort: Effort,
    writer: Option<BlockWriter>,
}

impl<'a> NewBlock<'a> {
    /// The block of this number (`Manifest::blocks_created`).
    pub fn new(shared: &'a Shared, number: u64, effort: Effort) -> NewBlock<'a> {
        let seed = shared.settings.seed;
        let noise = xxh3_128(&[seed.to_le_bytes(), number.to_le_bytes()].concat());
        let created = shared.clock.now();
        NewBlock { shared, block_id: ulid(created, noise), created, effort, writer: None }
    }

    fn temporary(&self) -> PathBuf {
        self.shared.dir.join(BLOCKS_DIR).join(format!("{}.tmp", self.block_id))
    }

    fn writer(&mut self) -> Result<&mut BlockWriter, Error> {
        let temporary = self.temporary();
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => {
                Ok(none.insert(BlockWriter::create(&self.shared.disk, &temporary, self.effort)?))
            }
        }
    }

    /// Adds all samples of one series and what it has beside them, at least one of either.
    pub fn add_with(
        &mut self,
        id: SeriesId,
        labels: &Labels,
        numbers: (&[i64], &[f64]),
        rows: &Rows,
    ) -> Result<(), Error> {
        self.writer()?.add_with(id, labels, numbers, rows)
    }

    /// Adds exemplars of any series, in the order they came.
    pub fn add_exemplars(&mut self, exemplars: Vec<Numbered>) -> Result<(), Error> {
        if !exemplars.is_empty() {
            self.writer()?.add_exemplars(exemplars);
        }
        Ok(())
    }

    /// Puts the folder in place; its name is durable after a sync of the folder above. `None` when no
    /// series came.
    pub fn place(
        &mut self,
        level: u32,
        sources: Vec<String>,
        tombstones_applied: Vec<String>,
    ) -> Result<Option<Written>, Error> {
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let heading = Heading {
            block_id: self.block_id.clone(),
            level,
            created: self.created,
            sources,
            tombstones_applied,
        };
        let temporary = self.temporary();
        let meta = writer.finish(heading)?;
        let dir = self.shared.dir.join(BLOCKS_DIR).join(&self.block_id);
        self.shared.disk.rename(&temporary, &dir).map_err(at("rename", &temporary))?;
        Ok(Some(Written { dir, meta }))
    }

    /// Removes what was written of it.
    pub fn abandon(self) {
        let temporary = self.temporary();
        drop(self.writer);
        // Only space is lost when this fails; the next start removes the rest.
        let _ = self.shared.disk.remove_dir_all(&temporary);
    }
}

/// Removes blocks that did not come into the manifest: tried again and again, they would fill the
/// disk. A manifest whose last sync failed may name them all the same; then they stay.
pub fn discard(shared: &Shared, written: &[Written]) {
    if written.is_empty() {
        return;
    }
    let Ok(Found::Whole(manifest)) = Manifest::read(&shared.disk, &shared.dir) else { return };
    for Written { dir, meta } in written {
        if manifest.blocks.iter().any(|entry| entry.block_id == meta.block_id) {
            continue;
        }
        if let Err(error) = shared.disk.remove_dir_all(dir) {
            tracing::warn!(%error, path = %dir.display(), "can't remove a block nobody needs");
        }
    }
}
