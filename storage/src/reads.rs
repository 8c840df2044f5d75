//! How much of the disk was read for a question, and how much was not.
//!
//! Place in the flow: readers count → the explain view.

/// Blocks and pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Blocks that may hold samples of the series in the range.
    pub blocks_read: u64,
    /// Blocks that were left out, for their range or their series.
    pub blocks_pruned: u64,
    /// Pages of columns that were decoded.
    pub pages_read: u64,
    /// Pages of columns that were left out, in the blocks that were read.
    pub pages_pruned: u64,
    /// Bytes of those that were decoded, as they are stored.
    pub bytes_read: u64,
}

impl std::ops::AddAssign for Reads {
    fn add_assign(&mut self, other: Reads) {
        self.blocks_read += other.blocks_read;
        self.blocks_pruned += other.blocks_pruned;
        self.pages_read += other.pages_read;
        self.pages_pruned += other.pages_pruned;
        self.bytes_read += other.bytes_read;
    }
}
