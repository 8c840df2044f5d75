//! What was made of texts before: dashboards and rules ask the same again and again.
//!
//! Place in the flow: `engine` keeps the trees of queries here, `label_replace` its expressions.
//!
//! Invariants: at most as many entries as asked for; a text whose compiled form may be large for its
//! length is never kept, so that an entry takes less than about half a megabyte.
//!
//! Not here: how a text is read (`promql`, `model::matcher`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Longest text that is kept.
const TEXT_BYTES_MAX: usize = 1024;

/// Values made of texts, those used last.
#[derive(Debug)]
pub struct Known<V> {
    entries: Mutex<Entries<V>>,
    entries_max: usize,
}

#[derive(Debug)]
struct Entries<V> {
    by_text: HashMap<Box<str>, (V, u64)>, // What was made of it, and when it was used last.
    uses: u64,
}

impl<V: Clone> Known<V> {
    /// Keeps so many.
    pub fn new(entries_max: usize) -> Known<V> {
        let entries = Entries { by_text: HashMap::new(), uses: 0 };
        Known { entries: Mutex::new(entries), entries_max }
    }

    /// What was made of a text before, or is now.
    pub fn get_or<E>(&self, text: &str, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        if let Some(known) = self.get(text) {
            return Ok(known);
        }
        // The lock is not held meanwhile: two that ask the same both make it.
        let made = make()?;
        if is_small(text) {
            self.put(text, made.clone());
        }
        Ok(made)
    }

    fn get(&self, text: &str) -> Option<V> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.uses += 1;
        let now = entries.uses;
        let (known, used) = entries.by_text.get_mut(text)?;
        *used = now;
        Some(known.clone())
    }

    fn put(&self, text: &str, made: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.by_text.len() >= self.entries_max {
            let oldest = entries.by_text.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(text, _)| text.clone()) {
                entries.by_text.remove(&oldest);
            }
        }
        let now = entries.uses;
        entries.by_text.insert(text.into(), (made, now));
    }
}

/// Whether what is compiled from a text is small: counted repetitions and classes of characters
/// become large machines.
fn is_small(text: &str) -> bool {
    let bytes = text.as_bytes();
    let swells = |pair: &[u8]| match pair[0] {
        b'{' => pair[1].is_ascii_digit(),
        b'\\' => b"wdspWDSP".contains(&pair[1]),
        _ => false,
    };
    bytes.len() <= TEXT_BYTES_MAX && !bytes.windows(2).any(swells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_not_made_again() {
        let known = Known::new(2);
        let ask = |text: &str| known.get_or(text, || Ok::<_, ()>(text.len())).unwrap();
        assert_eq!([ask("a"), ask("bb"), ask("a"), ask("ccc")], [1, 2, 1, 3]);
        let is_known = |text: &str| known.get_or(text, || Err(())).is_ok();
        assert!(is_known("a") && is_known("ccc") && !is_known("bb"));
        assert!(ask(r"x{3}") == 4 && !is_known(r"x{3}"));
        assert!(ask(r"\\w") == 3 && !is_known(r"\\w"));
        assert!(!is_known(&"a".repeat(TEXT_BYTES_MAX + 1)));
    }
}
