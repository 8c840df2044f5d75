//! Which series match, put into groups by some of their labels, without a label set for each.
//!
//! Place in the flow: an aggregation over a selector → **grouped** → it reads the samples of the
//! numbers and folds them into the groups.
//!
//! Not here: label sets of single series (`select`), samples (`read`).

use std::collections::HashMap;

use model::append::SeriesId;
use model::labels::hash_parts;
use model::{Labels, Matcher, TimeRange};

use crate::select;
use crate::series::{NumberMap, Registry};
use crate::shared::Shared;

/// Says which labels make a group.
pub type Keep<'a> = &'a dyn Fn(&str) -> bool;

/// One way of putting series into groups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Groups {
    /// The group of each series.
    pub of: Vec<u32>,
    /// The labels of each group, in the order in which they appeared.
    pub labels: Vec<Labels>,
}

/// Series in groups.
#[derive(Debug, Clone, Default)]
pub struct Grouped {
    /// Their numbers.
    pub ids: Vec<SeriesId>,
    /// One for each way that was asked for.
    pub ways: Vec<Groups>,
}

impl Groups {
    /// Puts label sets into groups.
    pub fn of<'l>(series: impl Iterator<Item = &'l Labels>, keep: Keep<'_>) -> Groups {
        let mut by_hash: HashMap<u64, Vec<u32>> = HashMap::new();
        let mut groups = Groups::default();
        let (mut text, mut ends) = (String::new(), Vec::new());
        let mut last = 0;
        for labels in series {
            text.clear();
            ends.clear();
            for (name, value) in labels.iter().filter(|(name, _)| keep(name)) {
                for part in [name, value] {
                    text.push_str(part);
                    ends.push(u32::try_from(text.len()).expect("label sets are smaller"));
                }
            }
            let is = |group: u32| {
                let own: Option<&Labels> = groups.labels.get(group as usize);
                own.is_some_and(|own| own.ends() == ends && own.text() == text)
            };
            // Neighbours are often of one group.
            if !is(last) {
                let same_hash = by_hash.entry(hash_parts(&text, &ends)).or_default();
                last = match same_hash.iter().copied().find(|group| is(*group)) {
                    Some(known) => known,
                    None => {
                        let next = u32::try_from(groups.labels.len());
                        let next = next.expect("fewer groups than series");
                        groups.labels.push(labels.filtered(keep));
                        same_hash.push(next);
                        next
                    }
                };
            }
            groups.of.push(last);
        }
        groups
    }
}

/// Series that pass and have samples in the range, in groups.
pub fn grouped(
    shared: &Shared,
    matchers: &[Matcher],
    range: TimeRange,
    ways: &[Keep<'_>],
) -> Grouped {
    select::with_slots(shared, matchers, range, |head, slots| Grouped {
        ids: slots.iter().map(|slot| head.registry.get(*slot).id).collect(),
        ways: ways.iter().map(|keep| by_pairs(&head.registry, &slots, keep)).collect(),
    })
}

/// Puts known series into groups by the numbers of their pairs: no text is looked at.
fn by_pairs(registry: &Registry, slots: &[u32], keep: Keep<'_>) -> Groups {
    let pairs = registry.index().pairs();
    let is_kept: Vec<bool> = pairs.labels().iter().map(|label| keep(&label.name)).collect();
    if !is_kept.contains(&true) {
        let labels = slots.first().map(|_| Labels::empty());
        return Groups { of: vec![0; slots.len()], labels: labels.into_iter().collect() };
    }
    let mut groups = Groups { of: Vec::with_capacity(slots.len()), labels: Vec::new() };
    let mut known = KnownRows::default();
    let (mut row, mut last_row, mut last) = (Vec::new(), Vec::new(), None);
    for slot in slots {
        row.clear();
        let own = registry.row(*slot).iter().copied();
        row.extend(own.filter(|pair| is_kept[pairs.label(*pair) as usize]));
        // Neighbours are often of one group.
        let found = last.filter(|_| row == last_row).or_else(|| known.get(&row));
        let group = match found {
            Some(group) => group,
            None => {
                let next = u32::try_from(groups.labels.len()).expect("fewer groups than series");
                let named = row.iter().map(|pair| (pairs.name(*pair), pairs.value(*pair)));
                groups.labels.push(Labels::from_sorted(named));
                known.insert(&row, next);
                next
            }
        };
        groups.of.push(group);
        last = Some(group);
        std::mem::swap(&mut row, &mut last_row);
    }
    groups
}

/// The groups of rows seen so far; most have one pair or two.
#[derive(Default)]
struct KnownRows {
    short: NumberMap<u32>,
    long: HashMap<Vec<u32>, u32>,
}

impl KnownRows {
    /// A row of up to two pairs as a number.
    fn number(row: &[u32]) -> Option<u64> {
        match row {
            [] => Some(u64::MAX),
            [one] => Some(u64::from(u32::MAX) << 32 | u64::from(*one)),
            [one, other] => Some(u64::from(*one) << 32 | u64::from(*other)),
            _ => None,
        }
    }

    fn get(&self, row: &[u32]) -> Option<u32> {
        match KnownRows::number(row) {
            Some(number) => self.short.get(&number).copied(),
            None => self.long.get(row).copied(),
        }
    }

    fn insert(&mut self, row: &[u32], group: u32) {
        match KnownRows::number(row) {
            Some(number) => self.short.insert(number, group),
            None => self.long.insert(row.to_vec(), group),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_labels() {
        let set = |a: &str, b: &str| Labels::from_pairs([("a", a), ("b", b)]);
        let all = [set("1", "x"), set("2", "x"), set("1", "y"), set("", "x"), set("2", "")];
        let groups = Groups::of(all.iter(), &|name| name == "a");
        assert_eq!(groups.of, [0, 1, 0, 2, 1]);
        assert_eq!(groups.labels, [set("1", ""), set("2", ""), set("", "")]);
        assert_eq!(Groups::of(all.iter(), &|_| false).of, [0; 5]);
    }
}
