//! Which series carry a label: one series, or a compressed set of them.
//!
//! Place in the flow: the index holds one of these per label pair.
//!
//! Most values under churn belong to one series only; those cost no set.
//!
//! Not here: choosing by matchers (`index`).

use roaring::RoaringBitmap;

/// The numbers of the series that carry one label pair; never empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Postings {
    /// Exactly one.
    One(u32),
    /// Any number.
    Many(Box<RoaringBitmap>),
}

impl Postings {
    /// Adds a series.
    pub fn insert(&mut self, number: u32) {
        match self {
            Postings::One(first) if *first == number => {}
            Postings::One(first) => {
                *self = Postings::Many(Box::new([*first, number].into_iter().collect()));
            }
            Postings::Many(set) => {
                set.insert(number);
            }
        }
    }

    /// Adds all of them to a set.
    pub fn add_to(&self, set: &mut RoaringBitmap) {
        match self {
            Postings::One(number) => {
                set.insert(*number);
            }
            Postings::Many(numbers) => *set |= numbers.as_ref(),
        }
    }

    /// Whether any of them is in a set.
    pub fn touches(&self, set: &RoaringBitmap) -> bool {
        match self {
            Postings::One(number) => set.contains(*number),
            Postings::Many(numbers) => !numbers.is_disjoint(set),
        }
    }

    /// Memory, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Postings::One(_) => 16,
            Postings::Many(set) => 48 + set.serialized_size(),
        }
    }
}
