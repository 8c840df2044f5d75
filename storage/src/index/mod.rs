//! Which series match: every label pair once, and per pair the series that carry it.
//!
//! Place in the flow: matchers → **index** → series numbers → scan. The head (all series in the
//! registry) has one over slots, every block has one over its own series ordinals.
//!
//! Values are not kept in order: a question that wants order sorts what it found, and one that
//! looks for a beginning runs over the distinct values, as every expression does.
//!
//! Invariants: `all` is the union of everything; a label's union is that of its pairs.
//!
//! Not here: the file of a block's index (`index::file`), time (`store`).

/// Every label pair as a number.
pub mod pairs;
/// Sets of series numbers.
pub mod postings;
/// What a regular expression says about the text it can match.
mod regex;
/// What expressions found, for the next time.
mod remembered;
/// Matchers become sets.
mod choose;
/// The index file of a block.
pub mod file;

use std::cmp::Ordering;

use model::Labels;
use roaring::RoaringBitmap;

pub use file::BlockIndex;
pub use postings::Postings;

use pairs::Pairs;
use postings::set_bytes;
use remembered::Remembered;

/// Postings of a set of series.
#[derive(Debug, Default)]
pub struct Index {
    pairs: Pairs,
    /// By pair.
    postings: Vec<Postings>,
    /// By label: every series that has it.
    unions: Vec<RoaringBitmap>,
    all: RoaringBitmap,
    remembered: Remembered,
}

impl Index {
    /// The dictionary.
    pub fn pairs(&self) -> &Pairs {
        &self.pairs
    }

    /// The series that carry a pair.
    pub fn postings(&self, pair: u32) -> &Postings {
        &self.postings[pair as usize]
    }

    /// The series that have a label.
    pub fn union(&self, label: u32) -> &RoaringBitmap {
        &self.unions[label as usize]
    }

    /// Adds a series.
    pub fn insert(&mut self, number: u32, labels: &Labels) {
        self.insert_showing(number, labels.iter(), |_| {});
    }

    /// Adds a series and shows the numbers of its pairs.
    pub fn insert_showing<'a>(
        &mut self,
        number: u32,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        mut show: impl FnMut(u32),
    ) {
        self.all.insert(number);
        for (name, value) in labels {
            let label = self.label(name);
            self.unions[label as usize].insert(number);
            let pair = self.pairs.intern(label, value);
            match self.postings.get_mut(pair as usize) {
                Some(postings) => postings.insert(number),
                None => self.postings.push(Postings::One(number)),
            }
            show(pair);
        }
    }

    fn label(&mut self, name: &str) -> u32 {
        let label = self.pairs.intern_label(name);
        if label as usize == self.unions.len() {
            self.unions.push(RoaringBitmap::new());
        }
        label
    }

    /// Adds a pair that nobody had yet, with its series. `false` when somebody had it.
    fn add_pair(&mut self, name: &str, value: &str, postings: Postings) -> bool {
        let label = self.label(name);
        let pair = self.pairs.intern(label, value);
        let is_new = pair as usize == self.postings.len();
        if is_new {
            self.postings.push(postings);
        }
        is_new
    }

    /// Sets the unions and the set of everything, once all pairs are added.
    fn unite(&mut self, all: RoaringBitmap) {
        for (label, union) in self.pairs.labels().iter().zip(&mut self.unions) {
            let own = label.pairs.iter().map(|pair| &self.postings[*pair as usize]);
            *union = postings::union(own);
        }
        self.all = all;
    }

    /// Label numbers in the order of their names.
    pub fn labels_sorted(&self) -> Vec<u32> {
        let labels = self.pairs.labels();
        let mut sorted: Vec<u32> = (0..labels.len() as u32).collect();
        sorted.sort_unstable_by_key(|label| &labels[*label as usize].name);
        sorted
    }

    /// Pairs of a label in the order of their values.
    pub fn pairs_sorted(&self, label: u32) -> Vec<u32> {
        let mut sorted = self.pairs.labels()[label as usize].pairs.clone();
        sorted.sort_unstable_by_key(|pair| self.pairs.value(*pair));
        sorted
    }

    /// The order of two pairs: name, then value.
    pub fn compare(&self, one: u32, other: u32) -> Ordering {
        let (labels, pairs) = ((self.pairs.label(one), self.pairs.label(other)), &self.pairs);
        let by_name = match labels.0 == labels.1 {
            true => Ordering::Equal,
            false => pairs.name(one).cmp(pairs.name(other)),
        };
        by_name.then_with(|| pairs.value(one).cmp(pairs.value(other)))
    }

    /// Adds the names of labels that any of the series carries.
    pub fn add_names(&self, among: &RoaringBitmap, names: &mut Vec<String>) {
        for (label, union) in self.pairs.labels().iter().zip(&self.unions) {
            if !union.is_disjoint(among) {
                names.push(label.name.to_string());
            }
        }
    }

    /// Adds the values of a label that any of the series carries.
    pub fn add_values(&self, name: &str, among: &RoaringBitmap, values: &mut Vec<String>) {
        let Some(label) = self.pairs.label_of(name) else { return };
        let is_all = self.unions[label as usize].is_subset(among);
        for pair in &self.pairs.labels()[label as usize].pairs {
            if is_all || self.postings[*pair as usize].touches(among) {
                values.push(self.pairs.value(*pair).to_owned());
            }
        }
    }

    /// Memory, roughly.
    pub fn bytes(&self) -> u64 {
        let postings = self.postings.iter().map(Postings::bytes).sum::<usize>();
        let unions = self.unions.iter().chain([&self.all]).map(set_bytes).sum::<usize>();
        (self.pairs.bytes() + postings + size_of::<Postings>() * self.postings.len() + unions)
            as u64
            + self.remembered.bytes()
    }
}

#[cfg(test)]
mod tests;
