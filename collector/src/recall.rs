//! The page before, as hashes of its lines, so that the next one is read in leaps.
//!
//! Place in the flow: `pass` keeps one per target; `exposition::text` asks it at each line.
//!
//! A page names its series and families in the order of the page before it, nearly always. So the
//! size and the hash of each line's text suffice to know the next one: the bytes are hashed in one
//! go, and nothing of them is looked at on its own.
//!
//! Invariant: sizes and hashes are of one format; a page of another one is read without them.
//!
//! Not here: what is known of a series (`staleness`), how a line is read (`exposition::text`).

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::exposition::Format;
use crate::exposition::known::{Known, Said};
use crate::staleness::{Key, Tracker};

/// One comment line of the page before.
#[derive(Debug, Clone, Copy)]
struct Comment {
    hash: u64,
    size: u32,
    said: Said,
}

/// What is remembered of a target's comment lines.
#[derive(Debug, Default)]
pub(crate) struct Comments {
    /// In the order of the page before; those of a page that is being read replace them.
    lines: Vec<Comment>,
    format: Option<Format>,
    /// Where the next one is looked for.
    expected: usize,
    /// Lines of this page that were known, and those that were not.
    known: usize,
    learned: usize,
}

impl Comments {
    /// A page begins. `true` when the one before had the same format.
    pub(crate) fn begin(&mut self, format: Format) -> bool {
        let is_same = self.format.replace(format) == Some(format);
        if !is_same {
            self.lines.clear();
        }
        (self.expected, self.known, self.learned) = (0, 0, 0);
        is_same
    }

    /// A page was read to its end: lines that did not come again are forgotten.
    pub(crate) fn end(&mut self) {
        self.lines.truncate(self.expected);
    }

    /// Whether a line was not known.
    pub(crate) fn has_news(&self) -> bool {
        self.learned > 0
    }

    /// Whether a line was known, so that it was not read.
    pub(crate) fn has_skipped(&self) -> bool {
        self.known > 0
    }
}

/// The memory of one target while a page is read.
pub(crate) struct Recall<'a> {
    /// The series.
    pub(crate) tracker: &'a Tracker,
    /// The comment lines.
    pub(crate) comments: &'a mut Comments,
    /// Makes the hashes differ between servers.
    pub(crate) seed: u64,
    /// Whether the page before had the same format.
    pub(crate) is_same_format: bool,
    /// The key and the size of the series that was expected, if it came.
    pub(crate) came: Option<(Key, usize)>,
}

impl Known for Recall<'_> {
    #[inline]
    fn series_bytes(&mut self, text: &[u8]) -> Option<usize> {
        self.came = None;
        let (key, size) = self.tracker.expected().filter(|_| self.is_same_format)?;
        if xxh3_128_with_seed(text.get(..size)?, self.seed) != key {
            return None;
        }
        self.came = Some((key, size));
        Some(size)
    }

    fn comment(&mut self, text: &[u8]) -> Option<(usize, Said)> {
        let expected = self.comments.lines.get(self.comments.expected)?;
        let (size, said) = (expected.size as usize, expected.said);
        let line = text.get(..size)?;
        let ends = text.get(size) == Some(&b'\n');
        if !ends || xxh3_64_with_seed(line, self.seed) != expected.hash {
            return None;
        }
        self.comments.expected += 1;
        self.comments.known += 1;
        Some((size, said))
    }

    fn learn_comment(&mut self, line: &[u8], said: Said) {
        let Comments { lines, expected, learned, .. } = &mut *self.comments;
        *learned += 1;
        // What stood there is likely to have gone.
        lines.truncate(*expected);
        // A line beyond 4 GiB is beyond every limit of a page.
        let size = u32::try_from(line.len()).unwrap_or(u32::MAX);
        lines.push(Comment { hash: xxh3_64_with_seed(line, self.seed), size, said });
        *expected += 1;
    }
}

#[cfg(test)]
mod tests;
