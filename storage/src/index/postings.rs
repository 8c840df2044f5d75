//! Which series carry a label pair: one series, a short list, or a compressed set.
//!
//! Place in the flow: the index holds one of these per label pair.
//!
//! Most values under churn belong to one series only; those cost nothing beside the number. A set
//! costs dozens of bytes for every 65,536 numbers it touches, so it is taken for long lists only.
//!
//! Not here: choosing by matchers (`choose`).

use roaring::{MultiOps, RoaringBitmap};

/// Numbers of a list at most.
const LIST_MAX: usize = 64;

/// The numbers of the series that carry one label pair; never empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Postings {
    /// Exactly one.
    One(u32),
    /// A few, ascending. A box of a list is one word here, where most have one number.
    #[allow(clippy::box_collection)]
    Few(Box<Vec<u32>>),
    /// Any number.
    Many(Box<RoaringBitmap>),
}

impl Postings {
    /// Adds a series. Numbers usually come in ascending order.
    pub fn insert(&mut self, number: u32) {
        match self {
            Postings::One(first) if *first == number => {}
            Postings::One(first) => {
                let pair = vec![(*first).min(number), (*first).max(number)];
                *self = Postings::Few(Box::new(pair));
            }
            Postings::Few(list) => {
                match list.last() {
                    Some(last) if *last >= number => {
                        if let Err(index) = list.binary_search(&number) {
                            list.insert(index, number);
                        }
                    }
                    _ => list.push(number),
                }
                if list.len() > LIST_MAX {
                    *self = Postings::Many(Box::new(list.iter().copied().collect()));
                }
            }
            Postings::Many(set) => {
                set.insert(number);
            }
        }
    }

    /// The postings of numbers in ascending order; `None` when there are none.
    pub fn from_set(set: RoaringBitmap) -> Option<Postings> {
        match set.len() {
            0 => None,
            1 => set.min().map(Postings::One),
            count if count <= LIST_MAX as u64 => {
                Some(Postings::Few(Box::new(set.iter().collect())))
            }
            _ => Some(Postings::Many(Box::new(set))),
        }
    }

    /// How many series.
    pub fn len(&self) -> u64 {
        match self {
            Postings::One(_) => 1,
            Postings::Few(list) => list.len() as u64,
            Postings::Many(set) => set.len(),
        }
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Postings::One(number) => Box::new(std::iter::once(*number)),
            Postings::Few(list) => Box::new(list.iter().copied()),
            Postings::Many(set) => Box::new(set.iter()),
        }
    }

    /// The largest number.
    pub fn last(&self) -> u32 {
        match self {
            Postings::One(number) => *number,
            Postings::Few(list) => *list.last().expect("postings are never empty"),
            Postings::Many(set) => set.max().expect("postings are never empty"),
        }
    }

    /// Whether any of them is in a set.
    pub fn touches(&self, set: &RoaringBitmap) -> bool {
        match self {
            Postings::One(number) => set.contains(*number),
            Postings::Few(list) => list.iter().any(|number| set.contains(*number)),
            Postings::Many(numbers) => !numbers.is_disjoint(set),
        }
    }

    /// Memory beside the word itself, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Postings::One(_) => 0,
            Postings::Few(list) => 40 + 4 * list.capacity(),
            Postings::Many(set) => 40 + set_bytes(set),
        }
    }
}

/// Memory of a set, roughly: the serialized size leaves out what each part of it costs.
pub fn set_bytes(set: &RoaringBitmap) -> usize {
    let statistics = set.statistics();
    let lists = statistics.n_bytes_array_containers as usize;
    let bits = statistics.n_bytes_bitset_containers as usize;
    40 * statistics.n_containers as usize + lists + lists / 4 + bits
}

/// All numbers of many postings as one set.
pub fn union<'a>(postings: impl Iterator<Item = &'a Postings>) -> RoaringBitmap {
    let (mut numbers, mut sets) = (Vec::new(), Vec::new());
    for postings in postings {
        match postings {
            Postings::One(number) => numbers.push(*number),
            Postings::Few(list) => numbers.extend_from_slice(list),
            Postings::Many(set) => sets.push(set.as_ref()),
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    let small = RoaringBitmap::from_sorted_iter(numbers).expect("they were just sorted");
    if sets.is_empty() {
        return small;
    }
    sets.push(&small);
    sets.union()
}
