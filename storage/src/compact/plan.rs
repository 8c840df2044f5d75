//! Which blocks are merged next. A pure function of what blocks there are.
//!
//! Place in the flow: after a flush → **plan** → `run` → plan again, until there is nothing to do.
//!
//! Time is divided into slots of growing length: one range of a flush, three of them, a day, a week,
//! as retention allows. Blocks that lie in one slot are merged when the slot is closed (no more data
//! is expected in it), or early when there are many.
//!
//! A small late block does not rewrite a large one at once: it waits for others, up to a share.
//!
//! Not here: reading and writing (`run`), when (`compact`).

/// What a plan must know of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The first instant in it.
    pub min_ms: i64,
    /// The last instant in it.
    pub max_ms: i64,
    /// Its size.
    pub bytes: u64,
}

/// What decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Lengths of slots, ascending, each a multiple of the one before.
    pub slots_ms: Vec<i64>,
    /// No data is expected before this instant but late one.
    pub closed_before_ms: i64,
    /// Whether all that can be merged is merged now.
    pub is_eager: bool,
}

/// Slots in ranges of a flush: with two hours these are 2 h, 6 h, a day and a week.
const SLOT_RANGES: [i64; 4] = [1, 3, 12, 84];
/// Blocks in an open slot that are merged all the same.
const OPEN_BLOCKS_MAX: usize = 6;
/// Small blocks beside a large one that are merged with it all the same.
const LATE_BLOCKS_MAX: usize = 4;
/// A large block is merged with smaller ones that are at least this part of it together.
const LATE_SHARE: u64 = 4;

/// The slots for a retention: no block holds more than a tenth of it, nor less than a flush makes.
pub fn slots_ms(range_ms: i64, retention_ms: i64) -> Vec<i64> {
    let all = SLOT_RANGES.into_iter().map(|count| range_ms.saturating_mul(count));
    let fits =
        |slot_ms: &i64| *slot_ms == range_ms || retention_ms == 0 || *slot_ms <= retention_ms / 10;
    let mut slots: Vec<i64> = all.filter(fits).collect();
    slots.dedup();
    slots
}

/// The blocks to merge next, by position; at least two.
pub fn next(blocks: &[Candidate], rules: &Rules) -> Option<Vec<usize>> {
    let mut slots_ms = rules.slots_ms.clone();
    if rules.is_eager {
        slots_ms.reverse(); // At once as far as it goes, not step by step.
    }
    for slot_ms in slots_ms {
        let slot_of = |block: &Candidate| {
            let slot = block.min_ms.div_euclid(slot_ms);
            (block.max_ms.div_euclid(slot_ms) == slot).then_some(slot)
        };
        let mut inside: Vec<(i64, usize)> = blocks
            .iter()
            .enumerate()
            .filter_map(|(index, block)| Some((slot_of(block)?, index)))
            .collect();
        inside.sort_unstable();
        for slot in inside.chunk_by(|one, other| one.0 == other.0) {
            let indexes: Vec<usize> = slot.iter().map(|own| own.1).collect();
            let end_ms = (slot[0].0 + 1).saturating_mul(slot_ms);
            if is_due(blocks, &indexes, rules, end_ms <= rules.closed_before_ms) {
                return Some(indexes);
            }
        }
    }
    None
}

fn is_due(blocks: &[Candidate], indexes: &[usize], rules: &Rules, is_closed: bool) -> bool {
    if indexes.len() < 2 {
        return false;
    }
    if rules.is_eager {
        return true;
    }
    if !is_closed && indexes.len() < OPEN_BLOCKS_MAX {
        return false;
    }
    let sizes = || indexes.iter().map(|index| blocks[*index].bytes);
    let largest = sizes().max().unwrap_or(0);
    let others = sizes().sum::<u64>() - largest;
    others.saturating_mul(LATE_SHARE) >= largest || indexes.len() > LATE_BLOCKS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[track_caller]
    fn check(spans_h: &[(i64, i64, u64)], closed_h: i64, eager: bool, expected: Option<&[usize]>) {
        let block = |span: &(i64, i64, u64)| Candidate {
            min_ms: span.0 * HOUR,
            max_ms: span.1 * HOUR - 1,
            bytes: span.2,
        };
        let blocks: Vec<Candidate> = spans_h.iter().map(block).collect();
        let rules = Rules {
            slots_ms: slots_ms(2 * HOUR, 0),
            closed_before_ms: closed_h * HOUR,
            is_eager: eager,
        };
        assert_eq!(next(&blocks, &rules).as_deref(), expected);
    }

    #[test]
    fn what_is_merged() {
        check(&[], 100, true, None);
        check(&[(0, 2, 9)], 100, true, None);
        // Six hours are closed, or not yet.
        check(&[(0, 2, 9), (2, 4, 9), (4, 6, 9)], 6, false, Some(&[0, 1, 2]));
        check(&[(0, 2, 9), (2, 4, 9), (4, 6, 9)], 4, false, None);
        check(&[(0, 2, 9), (2, 4, 9), (4, 6, 9)], 4, true, Some(&[0, 1, 2]));
        check(&[(4, 6, 9), (6, 8, 9)], 8, false, None);
        // A day of four blocks of six hours.
        let day = [(0, 6, 9), (6, 12, 9), (12, 18, 9), (18, 24, 9)];
        check(&day, 24, false, Some(&[0, 1, 2, 3]));
        check(&day, 23, false, None);
        check(&day, 23, true, Some(&[0, 1, 2, 3]));
        // Many small ones in an open slot.
        let many: Vec<_> = (0..6).map(|_| (0, 1, 1)).collect();
        check(&many, 0, false, Some(&[0, 1, 2, 3, 4, 5]));
        // Parts of two hours are joined when those are closed.
        check(&[(0, 1, 5), (1, 2, 5), (2, 4, 9)], 2, false, Some(&[0, 1]));
        // A late block waits beside a large one, some do not.
        check(&[(0, 24, 900), (2, 4, 9)], 100, false, None);
        check(&[(0, 24, 900), (2, 4, 9)], 100, true, Some(&[0, 1]));
        check(&[(0, 24, 900), (2, 4, 300)], 100, false, Some(&[0, 1]));
        let mut late = vec![(0, 24, 900)];
        late.extend((0..4).map(|at| (at * 6, at * 6 + 2, 1)));
        check(&late, 100, false, Some(&[0, 1, 2, 3, 4]));
        // What reaches over a slot waits for a longer one.
        check(&[(5, 7, 9), (8, 10, 9)], 100, false, Some(&[0, 1]));
        check(&[(5, 7, 9), (8, 10, 9)], 12, false, None);
    }

    #[test]
    fn slots_follow_retention() {
        for (retention_h, expected_h) in [
            (0, vec![2, 6, 24, 168]),
            (15 * 24, vec![2, 6, 24]),
            (70 * 24, vec![2, 6, 24, 168]),
            (24, vec![2]),
            (1, vec![2]),
        ] {
            let slots = slots_ms(2 * HOUR, retention_h * HOUR);
            assert_eq!(slots, expected_h.into_iter().map(|h| h * HOUR).collect::<Vec<_>>());
        }
    }
}
