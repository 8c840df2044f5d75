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
        let rank = |pair: &u32| ranks[*pair as usize];
        // The first four places as one number; 0 stands for "no further label", which comes first.
        let key = |slot: u32| {
            let mut first = self.row(slot).iter().map(rank).chain(std::iter::repeat(0));
            (0..4).fold(0u128, |key, _| key << 32 | u128::from(first.next().unwrap_or(0)))
        };
        let mut keyed: Vec<(u128, u32)> = slots.iter().map(|slot| (key(*slot), *slot)).collect();
        let rest = |slot: u32| self.row(slot).iter().skip(4).map(rank);
        keyed.sort_unstable_by(|one, other| {
            one.0.cmp(&other.0).then_with(|| rest(one.1).cmp(rest(other.1)))
        });
        for (slot, (_, sorted)) in slots.iter_mut().zip(keyed) {
            *slot = sorted;
        }
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
            let pairs =
                parts.iter().zip(["a", "ab", "b", "c", "d", "e"]).filter_map(|(part, name)| {
                    (*part > 0)
                        .then(|| (name, format!("{}{}", ["", "x", "é"][*part as usize % 3], part)))
                });
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
        let mut few: Vec<u32> = slots.iter().copied().step_by(10).collect();
        let expected = few.clone();
        few.reverse();
        registry.sort_by_labels(&mut few);
        assert_eq!(few, expected);
    }
}
