//! One flipped bit in a small file is found by its checksum and turned back.
//!
//! Place in the flow: opening the store reads the manifest and the blocks' own words; what fails its
//! checksum comes here before it is set aside.
//!
//! The checksum has 64 bits, so what passes it after one change is what was written, for all purposes.
//!
//! Not here: larger files, whose damage costs little (a page, a record) or nothing (the index).

/// Trying every bit of a larger file would keep a start waiting.
const BYTES_MAX: usize = 32 * 1024;

/// The bytes with one bit turned around that pass the check, and the place of the bit.
pub fn single_bit(bytes: &[u8], is_right: impl Fn(&[u8]) -> bool) -> Option<(Vec<u8>, usize)> {
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let mut tried = bytes.to_vec();
    for at in 0..tried.len() {
        for bit in 0..8 {
            tried[at] ^= 1 << bit;
            if is_right(&tried) {
                return Some((tried, at));
            }
            tried[at] ^= 1 << bit;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::meta::checksum_text;

    #[test]
    fn one_bit_is_found_and_two_are_not() {
        let good: Vec<u8> = (0..200).map(|index| (index * 7) as u8).collect();
        let checksum = checksum_text(&good);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let found = single_bit(&bad, |bytes| checksum_text(bytes) == checksum);
            assert_eq!(found, Some((good.clone(), at)));
            bad[(at + 9) % good.len()] ^= 1;
            assert_eq!(single_bit(&bad, |bytes| checksum_text(bytes) == checksum), None);
        }
    }
}
