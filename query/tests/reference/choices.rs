//! Decisions out of bytes: what proptest shrinks, a seed fills or a fuzzer bends.
//!
//! Place in the flow: bytes → **`Choices`** → `data`, `grammar`, `case`.
//!
//! Invariant: when the bytes are used up every decision is the first one, and the first one is
//! always the simplest. So fewer and smaller bytes make a simpler case.

/// Bytes that are used up from the front.
pub struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Decisions out of these bytes.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes }
    }

    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `end`, which is 65,536 at most.
    pub fn below(&mut self, end: usize) -> usize {
        match end {
            0 | 1 => 0,
            2..=256 => usize::from(self.byte()) % end,
            _ => (usize::from(self.byte()) * 256 + usize::from(self.byte())) % end,
        }
    }

    /// True once in `times`; false when nothing is left.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of the items.
    pub fn pick<'t, T: ?Sized>(&mut self, items: &[&'t T]) -> &'t T {
        items[self.below(items.len())]
    }
}
