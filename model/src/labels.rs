//! A label set: sorted, unique names, each with a value that is not empty.
//!
//! Place in the flow: scrapes and queries speak in label sets; the store turns each into a number.
//!
//! One set is one block of text and its end offsets behind a counted reference, so a clone
//! costs nothing, equality is a comparison of bytes, and a set is a *value*, never a set of columns.
//!
//! Invariants: names ascend by bytes and are unique; no value is empty (an empty value means "this
//! label is absent", as the field has it).
//!
//! Not here: which names are allowed where (`is_label_name` tells; the doors decide).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";
/// The label that the alert rule's name goes into.
pub const ALERT_NAME: &str = "alertname";

/// An immutable, sorted label set. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<Packed>);

#[derive(PartialEq, Eq, Default)]
struct Packed {
    /// name, value, name, value … without separators.
    text: Box<str>,
    /// Where each name and each value ends in `text`.
    ends: Ends,
}

/// Offsets of eight labels in place, more of them elsewhere: most sets are small, and each piece of
/// memory of its own costs as much as building the set.
#[derive(PartialEq, Eq)]
enum Ends {
    Few(u8, [u32; ENDS_IN_PLACE]),
    Many(Vec<u32>),
}

/// Offsets that stand in place.
const ENDS_IN_PLACE: usize = 16;

impl Default for Ends {
    fn default() -> Ends {
        Ends::Few(0, [0; ENDS_IN_PLACE])
    }
}

impl Ends {
    fn push(&mut self, end: u32) {
        match self {
            Ends::Few(count, ends) if usize::from(*count) < ENDS_IN_PLACE => {
                ends[usize::from(*count)] = end;
                *count += 1;
            }
            Ends::Few(_, ends) => {
                let mut many = Vec::with_capacity(2 * ENDS_IN_PLACE);
                many.extend_from_slice(ends);
                many.push(end);
                *self = Ends::Many(many);
            }
            Ends::Many(ends) => ends.push(end),
        }
    }

    fn as_slice(&self) -> &[u32] {
        match self {
            Ends::Few(count, ends) => &ends[..usize::from(*count)],
            Ends::Many(ends) => ends,
        }
    }
}

impl Labels {
    /// The set without labels.
    pub fn empty() -> Labels {
        Labels(Arc::default())
    }

    /// Builds a set from pairs in any order. The last of two equal names wins; empty values vanish.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Labels {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Rebuilds a set from text and end offsets as [`Labels::text`] and [`Labels::ends`] gave them.
    /// `None` when they do not describe a valid set.
    pub fn from_parts(text: &str, ends: &[u32]) -> Option<Labels> {
        let mut previous_end = 0;
        for &end in ends {
            if end < previous_end || !text.is_char_boundary(end as usize) {
                return None;
            }
            previous_end = end;
        }
        if !ends.len().is_multiple_of(2) || previous_end as usize != text.len() {
            return None;
        }
        let mut own = Ends::default();
        ends.iter().for_each(|end| own.push(*end));
        let labels = Labels(Arc::new(Packed { text: text.into(), ends: own }));
        let ascending = labels.iter().zip(labels.iter().skip(1)).all(|(a, b)| a.0 < b.0);
        let filled = labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty());
        (ascending && filled).then_some(labels)
    }

    /// All names and values, one after the other: the form that is hashed and journalled.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The end of each name and value in [`Labels::text`].
    pub fn ends(&self) -> &[u32] {
        self.0.ends.as_slice()
    }

    /// How many labels.
    pub fn len(&self) -> usize {
        self.ends().len() / 2
    }

    /// Whether the set has no labels.
    pub fn is_empty(&self) -> bool {
        self.ends().is_empty()
    }

    /// Name and value pairs in ascending order of names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + '_ {
        let mut start = 0;
        self.ends().chunks_exact(2).map(move |ends| {
            let (middle, end) = (ends[0] as usize, ends[1] as usize);
            let pair = (&self.0.text[start..middle], &self.0.text[middle..end]);
            start = end;
            pair
        })
    }

    /// The value of a label; `None` when it is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The metric's name, empty when absent.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// A builder that starts from this set.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder {
            pairs: self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    /// The set without one label.
    pub fn without(&self, name: &str) -> Labels {
        if self.get(name).is_none() {
            return self.clone();
        }
        Labels::from_sorted(self.iter().filter(|(own, _)| *own != name))
    }

    /// Only the labels that `keep` says yes to.
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Labels {
        Labels::from_sorted(self.iter().filter(|(name, _)| keep(name)))
    }

    /// Builds a set from pairs in ascending order of names, each once, no value empty. The caller
    /// vouches for it.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Labels {
        // Room for a usual set: growing step by step costs more than the set itself.
        let mut text = String::with_capacity(USUAL_TEXT_BYTES);
        let mut ends = Ends::default();
        for (name, value) in pairs {
            for part in [name, value] {
                text.push_str(part);
                ends.push(end_offset(&text));
            }
        }
        Labels(Arc::new(Packed { text: text.into(), ends }))
    }

    /// A 64-bit hash that is the same in every process and release: xxh3 of the text and the ends.
    pub fn hash64(&self) -> u64 {
        hash_parts(&self.0.text, self.ends())
    }
}

/// Text of a usual set, in bytes.
const USUAL_TEXT_BYTES: usize = 256;
/// Text and ends that are hashed in one piece.
const HASHED_AT_ONCE_BYTES: usize = 512;

/// The hash of a label set given as text and ends; equals [`Labels::hash64`].
pub fn hash_parts(text: &str, ends: &[u32]) -> u64 {
    let bytes = text.len() + 4 * ends.len();
    if bytes <= HASHED_AT_ONCE_BYTES {
        // The same as below, several times as fast.
        let mut whole = [0; HASHED_AT_ONCE_BYTES];
        whole[..text.len()].copy_from_slice(text.as_bytes());
        for (place, end) in whole[text.len()..].chunks_exact_mut(4).zip(ends) {
            place.copy_from_slice(&end.to_le_bytes());
        }
        return xxh3_64(&whole[..bytes]);
    }
    let mut hasher = Xxh3Default::new();
    hasher.update(text.as_bytes());
    for end in ends {
        hasher.update(&end.to_le_bytes());
    }
    hasher.digest()
}

fn end_offset(text: &str) -> u32 {
    u32::try_from(text.len()).expect("a label set is smaller than 4 GiB: the doors cap its parts")
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// Label by label, name before value; a prefix comes first. The order of blocks and answers.
    fn cmp(&self, other: &Labels) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash64());
    }
}

impl Default for Labels {
    fn default() -> Labels {
        Labels::empty()
    }
}

impl fmt::Display for Labels {
    /// `name{a="b", c="d"}`, as Prometheus writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        f.write_str(name)?;
        if !name.is_empty() && self.len() == 1 {
            return Ok(());
        }
        f.write_str("{")?;
        let mut separator = "";
        for (label, value) in self.iter().filter(|(label, _)| *label != METRIC_NAME) {
            if is_label_name(label) {
                write!(f, "{separator}{label}={value:?}")?;
            } else {
                write!(f, "{separator}{label:?}={value:?}")?;
            }
            separator = ", ";
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Collects labels in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// An empty builder.
    pub fn new() -> LabelsBuilder {
        LabelsBuilder::default()
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut LabelsBuilder {
        let found = self.pairs.iter().position(|(own, _)| own == name);
        match (found, value.is_empty()) {
            (Some(index), true) => {
                self.pairs.remove(index);
            }
            (Some(index), false) => value.clone_into(&mut self.pairs[index].1),
            (None, true) => {}
            (None, false) => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut LabelsBuilder {
        self.pairs.retain(|(own, _)| own != name);
        self
    }

    /// The value that is set now, empty when absent.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The pairs set so far, in the order they were first set.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The finished set.
    pub fn build(mut self) -> Labels {
        self.pairs.sort();
        Labels::from_sorted(self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Whether a name is a classic label name: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_label_name(name: &str) -> bool {
    is_name(name, false)
}

/// Whether a name is a classic metric name: a label name that may hold colons.
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, true)
}

fn is_name(name: &str, colon: bool) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colon && byte == b':');
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
