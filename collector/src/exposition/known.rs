//! What a reader of pages may remember of the page before.
//!
//! Place in the flow: `recall` (one target's memory) → **`Known`** → `text`, which reads a line that
//! it finds there without looking at its bytes one by one.
//!
//! Invariant: an answer is only given for bytes that were read in the same format before, so that a
//! line means what it would mean when read anew.
//!
//! Not here: the memory itself (`recall`).

use model::MetricKind;

/// What a comment line says: the kind of the series that follow, if it is a `# TYPE` line.
pub type Said = Option<MetricKind>;

/// Asked at the beginning of each line. The unit type knows nothing.
pub trait Known {
    /// How many of these bytes are the raw text of the series that is expected next.
    fn series_bytes(&mut self, text: &[u8]) -> Option<usize> {
        let _ = text;
        None
    }

    /// How many of these bytes are the comment line that is expected next, and what it says. The
    /// line ends there.
    fn comment(&mut self, text: &[u8]) -> Option<(usize, Said)> {
        let _ = text;
        None
    }

    /// A comment line was read that was not known.
    fn learn_comment(&mut self, line: &[u8], said: Said) {
        let _ = (line, said);
    }
}

impl Known for () {}
