//! Names that sort by time: ULIDs, 26 letters, the first ten of them the instant.
//!
//! Place in the flow: flush names a block; the name is its folder and its entry in the manifest.
//!
//! Not here: randomness; the caller hands it in.

use model::TimestampMs;

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The name for an instant and eighty bits that nobody else uses (the higher ones are cut).
pub fn ulid(at: TimestampMs, noise: u128) -> String {
    let instant = u128::from(at.0.max(0) as u64 & 0xffff_ffff_ffff);
    let number = instant << 80 | noise & ((1 << 80) - 1);
    let letter = |index: u32| char::from(LETTERS[(number >> (5 * index) & 31) as usize]);
    (0..26).rev().map(letter).collect()
}

/// Whether a folder's name is such a name.
pub fn is_ulid(name: &str) -> bool {
    name.len() == 26 && name.bytes().all(|byte| LETTERS.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        assert_eq!(ulid(TimestampMs(0), 0), "00000000000000000000000000");
        assert_eq!(ulid(TimestampMs(0xffff_ffff_ffff), u128::MAX), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert!(ulid(TimestampMs(1), 0) > ulid(TimestampMs(0), u128::MAX));
        assert!(is_ulid(&ulid(TimestampMs(1_700_000_000_000), 77)));
        assert!(!is_ulid("0000000000000000000000000U") && !is_ulid("1"));
    }
}
