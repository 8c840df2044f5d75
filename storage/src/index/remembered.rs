//! What expressions found among the values of a label, for the next time.
//!
//! Place in the flow: the index asks here before it runs an expression over distinct values.
//!
//! Pairs are never taken out and stand in the order they came, so what was found stays found, and
//! only values that came since are tried.
//!
//! Invariants: at most [`ENTRIES_MAX`] expressions and [`PAIRS_MAX`] pairs are kept, but for the one
//! used last.
//!
//! Not here: what an expression is (`regex`), which series carry a pair (`postings`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Expressions at most.
const ENTRIES_MAX: usize = 128;
/// Pairs of all of them at most.
const PAIRS_MAX: usize = 1 << 20;
/// Labels with fewer values are tried anew: that is as fast.
const VALUES_MIN: usize = 64;

#[derive(Debug)]
struct Entry {
    matched: Arc<Vec<u32>>,
    /// How many of the label's pairs were tried.
    tried: usize,
    used: u64,
}

#[derive(Debug, Default)]
struct Entries {
    by_expression: HashMap<(u32, Box<str>), Entry>,
    pairs: usize,
    uses: u64,
}

/// The memory of one index.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<Entries>);

impl Remembered {
    /// The pairs of a label whose value passes.
    pub fn pairs(
        &self,
        (label, expression): (u32, &str),
        own: &[u32],
        passes: impl Fn(u32) -> bool,
    ) -> Arc<Vec<u32>> {
        if own.len() < VALUES_MIN {
            return Arc::new(own.iter().copied().filter(|pair| passes(*pair)).collect());
        }
        let key = (label, Box::from(expression));
        let (matched, tried) = self.look_up(&key);
        if tried == own.len() {
            return matched;
        }
        // The lock is not held while values are tried: two that ask the same both try.
        let mut matched = Arc::unwrap_or_clone(matched);
        matched.extend(own[tried..].iter().copied().filter(|pair| passes(*pair)));
        let matched = Arc::new(matched);
        self.keep(key, Arc::clone(&matched), own.len());
        matched
    }

    fn look_up(&self, key: &(u32, Box<str>)) -> (Arc<Vec<u32>>, usize) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.uses += 1;
        let now = entries.uses;
        match entries.by_expression.get_mut(key) {
            Some(entry) => {
                entry.used = now;
                (Arc::clone(&entry.matched), entry.tried)
            }
            None => (Arc::default(), 0),
        }
    }

    fn keep(&self, key: (u32, Box<str>), matched: Arc<Vec<u32>>, tried: usize) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.pairs += matched.len();
        let entry = Entry { matched, tried, used: entries.uses };
        if let Some(before) = entries.by_expression.insert(key.clone(), entry) {
            entries.pairs -= before.matched.len();
        }
        while entries.by_expression.len() > ENTRIES_MAX || entries.pairs > PAIRS_MAX {
            let others = entries.by_expression.iter().filter(|(other, _)| **other != key);
            let oldest = others.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            if let Some(entry) = entries.by_expression.remove(&oldest) {
                entries.pairs -= entry.matched.len();
            }
        }
    }

    /// Memory, roughly.
    pub fn bytes(&self) -> u64 {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (4 * entries.pairs + 160 * entries.by_expression.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn only_new_values_are_tried() {
        let remembered = Remembered::default();
        let tried = Cell::new(0);
        let even = |pair: u32| {
            tried.set(tried.get() + 1);
            pair.is_multiple_of(2)
        };
        let own: Vec<u32> = (0..200).collect();
        assert_eq!(remembered.pairs((0, "x"), &own[..100], even).len(), 50);
        assert_eq!(remembered.pairs((0, "x"), &own[..100], even).len(), 50);
        assert_eq!(tried.get(), 100);
        assert_eq!(remembered.pairs((0, "x"), &own, even).len(), 100);
        assert_eq!(tried.get(), 200);
        assert_eq!(remembered.pairs((1, "x"), &own, even).len(), 100);
        assert_eq!(tried.get(), 400);
    }

    #[test]
    fn it_stays_bounded() {
        let remembered = Remembered::default();
        let own: Vec<u32> = (0..100_000).collect();
        for number in 0..50 {
            remembered.pairs((0, &number.to_string()), &own, |_| true);
        }
        assert!(remembered.bytes() <= 4 * PAIRS_MAX as u64 + 160 * 50);
        for number in 0..1000 {
            remembered.pairs((0, &number.to_string()), &own, |_| false);
        }
        assert!(remembered.bytes() <= 160 * ENTRIES_MAX as u64);
    }
}
