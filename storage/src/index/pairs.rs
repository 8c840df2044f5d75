//! Every label pair once, as a number: the dictionary of an index.
//!
//! Place in the flow: a series' labels → **pair numbers** → postings by pair, rows of the registry.
//!
//! The values of all pairs stand in one text, in the order they came; a pair knows where its own
//! begins and which label it belongs to, in eight bytes. A table of hashes finds it again.
//!
//! Invariants: a pair is never taken out, its number never changes. Labels are numbered as they come.
//!
//! Not here: which series carry a pair (`postings`), which pairs a matcher passes (`choose`).

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// One label name and the pairs that carry it.
#[derive(Debug, Clone, Default)]
pub struct Label {
    /// The name.
    pub name: Box<str>,
    /// Its pairs, in the order they came.
    pub pairs: Vec<u32>,
}

/// Where a pair's value begins, and its label, in one number: 40 bits and 24 bits.
#[derive(Debug, Clone, Copy)]
struct Place(u64);

const LABEL_BITS: u32 = 24;

impl Place {
    fn new(start: usize, label: u32) -> Place {
        assert!(start >> 40 == 0 && label >> LABEL_BITS == 0, "memory ends before these do");
        Place((start as u64) << LABEL_BITS | u64::from(label))
    }

    fn start(self) -> usize {
        (self.0 >> LABEL_BITS) as usize
    }

    fn label(self) -> u32 {
        (self.0 & ((1 << LABEL_BITS) - 1)) as u32
    }
}

/// A number found by a hash: 32 bits of it are kept, so that growing never looks at the text.
#[derive(Debug, Clone, Copy)]
pub struct Hashed {
    /// The kept part.
    pub hash: u32,
    /// The number.
    pub number: u32,
}

impl Hashed {
    /// What the table is asked with: the kept part spread over 64 bits.
    pub fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// The same for an entry.
    pub fn of(entry: &Hashed) -> u64 {
        Hashed::spread(entry.hash)
    }
}

/// The dictionary.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    labels: Vec<Label>,
    by_name: HashTable<Hashed>,
    places: Vec<Place>,
    text: String,
    by_value: HashTable<Hashed>,
}

fn name_hash(name: &str) -> u32 {
    xxh3_64_with_seed(name.as_bytes(), u64::MAX) as u32
}

fn value_hash(label: u32, value: &str) -> u32 {
    xxh3_64_with_seed(value.as_bytes(), u64::from(label)) as u32
}

impl Pairs {
    /// How many pairs.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The labels, by their numbers.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The number of a label.
    pub fn label_of(&self, name: &str) -> Option<u32> {
        let hash = name_hash(name);
        let is_it = |entry: &Hashed| {
            entry.hash == hash && *self.labels[entry.number as usize].name == *name
        };
        self.by_name.find(Hashed::spread(hash), is_it).map(|entry| entry.number)
    }

    /// The pair of a label and a value.
    pub fn pair_of(&self, label: u32, value: &str) -> Option<u32> {
        self.find(label, value_hash(label, value), value)
    }

    fn find(&self, label: u32, hash: u32, value: &str) -> Option<u32> {
        let is_it = |entry: &Hashed| {
            entry.hash == hash
                && self.label(entry.number) == label
                && self.value(entry.number) == value
        };
        self.by_value.find(Hashed::spread(hash), is_it).map(|entry| entry.number)
    }

    /// The label that a pair belongs to.
    pub fn label(&self, pair: u32) -> u32 {
        self.places[pair as usize].label()
    }

    /// The name of a pair.
    pub fn name(&self, pair: u32) -> &str {
        &self.labels[self.label(pair) as usize].name
    }

    /// The value of a pair.
    pub fn value(&self, pair: u32) -> &str {
        let next = self.places.get(pair as usize + 1);
        let end = next.map_or(self.text.len(), |next| next.start());
        &self.text[self.places[pair as usize].start()..end]
    }

    /// The number of a label, which is new when nobody had it.
    pub fn intern_label(&mut self, name: &str) -> u32 {
        if let Some(label) = self.label_of(name) {
            return label;
        }
        let number = u32::try_from(self.labels.len()).expect("labels fit 32 bits");
        self.labels.push(Label { name: name.into(), pairs: Vec::new() });
        let hash = name_hash(name);
        self.by_name.insert_unique(Hashed::spread(hash), Hashed { hash, number }, Hashed::of);
        number
    }

    /// The number of a pair, which is new when nobody had it.
    pub fn intern(&mut self, label: u32, value: &str) -> u32 {
        let hash = value_hash(label, value);
        if let Some(pair) = self.find(label, hash, value) {
            return pair;
        }
        let number = u32::try_from(self.places.len()).expect("pairs fit 32 bits");
        self.places.push(Place::new(self.text.len(), label));
        self.text.push_str(value);
        self.labels[label as usize].pairs.push(number);
        self.by_value.insert_unique(Hashed::spread(hash), Hashed { hash, number }, Hashed::of);
        number
    }

    /// Memory, roughly.
    pub fn bytes(&self) -> usize {
        let label = |label: &Label| size_of::<Label>() + label.name.len() + 4 * label.pairs.len();
        self.labels.iter().map(label).sum::<usize>()
            + size_of::<Place>() * self.places.len()
            + self.text.len()
            + (size_of::<Hashed>() + 1) * (self.by_value.capacity() + self.by_name.capacity()) * 8
                / 7
    }
}
