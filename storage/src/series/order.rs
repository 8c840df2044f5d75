//! The order of label sets without building one: pairs are put in order once, rows are compared by
//! the places of their pairs.
//!
//! Place in the flow: flush and answers that want series sorted by labels → **order**.
//!
//! Invariant: the same order as `Ord` of [`model::Labels`].
//!
//! Not here: the labels themselves (`series`).

use super::Registry;

/// Fewer series are compared by their text: putting pairs in order would cost more.
const RANKED_MIN: usize = 256;

impl Registry {
    /// Sorts slots by the labels of their series.
    pub fn sort_by_labels(&self, slots: &mut [u32]) {
        if slots.len() < RANKED_MIN {
            return slots.sort_unstable_by(|one, other| self.pairs(*one).cmp(self.pairs(*other)));
        }
        let ranks = self.ranks(slots);
        let row = |slot: u32| self.row(slot).iter().map(|pair| ranks[*pair as usize]);
        sort_by_row(slots, row, |slot| first_four(row(slot)));
    }

    /// Sorts slots into the order of a block: metric, job, instance, then all labels; a label that is
    /// absent comes before all of its values.
    pub fn sort_for_blocks(&self, slots: &mut [u32]) {
        let ranks = self.ranks(slots);
        let row = |slot: u32| self.row(slot).iter().map(|pair| ranks[*pair as usize]);
        let pairs = self.index.pairs();
        let leading = ["__name__", "job", "instance"].map(|name| pairs.label_of(name));
        let key = |slot: u32| {
            let of_label = |label: Option<u32>| {
                let own = self.row(slot).iter().find(|pair| Some(pairs.label(**pair)) == label);
                own.map_or(0, |pair| ranks[*pair as usize])
            };
            first_four(leading.into_iter().map(of_label).chain(row(slot).take(1)))
        };
        sort_by_row(slots, row, key);
    }

    /// The place of each pair that any of the series carries, from 1 on; by pair.
    fn ranks(&self, slots: &[u32]) -> Vec<u32> {
        let mut ranks = vec![0u32; self.index.pairs().len()];
        let mut used = Vec::new();
        for slot in slots {
            for pair in self.row(*slot) {
                let rank = &mut ranks[*pair as usize];
                if *rank == 0 {
                    *rank = 1;
                    used.push(*pair);
                }
            }
        }
        used.sort_unstable_by(|one, other| self.index.compare(*one, *other));
        for (rank, pair) in (1..).zip(used) {
            ranks[pair as usize] = rank;
        }
        ranks
    }
}

/// Four places as one number; 0 stands for "no further label", which comes first.
fn first_four(ranks: impl Iterator<Item = u32>) -> u128 {
    let mut ranks = ranks.chain(std::iter::repeat(0));
    (0..4).fold(0, |key, _| key << 32 | u128::from(ranks.next().unwrap_or(0)))
}

/// Sorts by a key that decides nearly always, then by the whole row.
fn sort_by_row<I: Iterator<Item = u32>>(
    slots: &mut [u32],
    row: impl Fn(u32) -> I,
    key: impl Fn(u32) -> u128,
) {
    let mut keyed: Vec<(u128, u32)> = slots.iter().map(|slot| (key(*slot), *slot)).collect();
    keyed.sort_unstable_by(|one, other| {
        one.0.cmp(&other.0).then_with(|| row(one.1).cmp(row(other.1)))
    });
    for (slot, (_, sorted)) in slots.iter_mut().zip(keyed) {
        *slot = sorted;
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use model::append::SeriesId;

    use super::*;

    #[test]
    fn the_order_is_that_of_labels() {
        let mut registry = Registry::default();
        let mut all: Vec<Labels> = Vec::new();
        for number in 0..3000u64 {
            let parts = [number % 7, number % 11, number % 2, number % 13, number % 5, number % 3];
            let value = |part: u64| format!("{}{part}", ["", "x", "é"][part as usize % 3]);
            let named = parts.into_iter().zip(["__name__", "ab", "instance", "c", "job", "z"]);
            let pairs = named.filter(|(part, _)| *part > 0).map(|(part, name)| (name, value(part)));
            let labels = Labels::from_pairs(pairs);
            if registry.find(labels.hash64(), labels.text(), labels.ends()).is_none() {
                registry.insert(SeriesId(number + 1), &labels);
                all.push(labels);
            }
        }
        assert!(all.len() > 2 * RANKED_MIN);
        all.sort();
        let mut slots: Vec<u32> = (0..registry.len() as u32).collect();
        registry.sort_by_labels(&mut slots);
        let sorted: Vec<Labels> = slots.iter().map(|slot| registry.labels(*slot)).collect();
        assert_eq!(sorted, all);
        registry.sort_for_blocks(&mut slots);
        let value = |labels: &Labels, name| labels.get(name).unwrap_or("").to_owned();
        all.sort_by_cached_key(|labels| {
            (["__name__", "job", "instance"].map(|name| value(labels, name)), labels.clone())
        });
        let sorted: Vec<Labels> = slots.iter().map(|slot| registry.labels(*slot)).collect();
        assert_eq!(sorted, all);
        registry.sort_by_labels(&mut slots);
        let mut few: Vec<u32> = slots.iter().copied().step_by(10).collect();
        let expected = few.clone();
        few.reverse();
        registry.sort_by_labels(&mut few);
        assert_eq!(few, expected);
    }
}
