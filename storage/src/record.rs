//! The records of samples in the store's journal.
//!
//! Place in the flow: the committer encodes a group of batches, the journal keeps it, opening the
//! store decodes it. docs/format/store-journal.md says every byte.
//!
//! A record stands alone: values are never told as differences to another record, so a damaged one
//! takes nothing else with it.
//!
//! Not here: the records of new series (`series_record`), framing and checksums (journal), what happens to the samples (`commit`, `open`).

use model::append::SeriesId;

use crate::encoding::float::{put_singles, single};
use crate::encoding::varint::{Reader, put_i64, put_u64};

/// Samples of series by number.
pub const KIND_SAMPLES: u8 = 2;

/// Bytes of records that survive all or not at all, beyond which the next group begins: damage in
/// the journal costs one group.
const GROUP_BYTES_MAX: usize = 64 << 10;
/// Records with samples in a group at most: 4,096 samples are 64 KiB as instants and values.
const GROUP_SAMPLE_RECORDS_MAX: usize = 2;
/// Bytes of a record with samples, beyond which the next begins.
const RECORD_BYTES_MAX: usize = 24 << 10;
/// Samples of a record at most.
const RECORD_SAMPLES_MAX: usize = 2048;

/// One sample of a series by number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberedSample {
    /// The series.
    pub id: SeriesId,
    /// When.
    pub at_ms: i64,
    /// The value.
    pub value: f64,
}

/// Appends records with samples, in their order; `numbered` shows the sample in each of them. One
/// instant stands for all neighbours that share it, and a run of neighbouring numbers for its series.
pub fn encode_samples<T>(
    samples: &[T],
    numbered: impl Fn(&T) -> &NumberedSample,
    records: &mut Vec<(u8, Vec<u8>)>,
) {
    let mut body = Vec::new();
    let (mut previous_ms, mut count) = (0i64, 0);
    let same = |one: &T, other: &T| numbered(one).at_ms == numbered(other).at_ms;
    let parts = samples.chunk_by(same).flat_map(|part| part.chunks(RECORD_SAMPLES_MAX));
    for part in parts {
        count += part.len();
        if body.len() >= RECORD_BYTES_MAX || (!body.is_empty() && count > RECORD_SAMPLES_MAX) {
            records.push((KIND_SAMPLES, std::mem::take(&mut body)));
            (previous_ms, count) = (0, part.len());
        }
        let at_ms = numbered(&part[0]).at_ms;
        put_i64(&mut body, at_ms.wrapping_sub(previous_ms));
        previous_ms = at_ms;
        put_u64(&mut body, part.len() as u64);
        let mut expected = 0u64;
        let neighbours =
            |one: &T, other: &T| numbered(other).id.0 == numbered(one).id.0.wrapping_add(1);
        for run in part.chunk_by(neighbours) {
            let first = numbered(&run[0]).id.0;
            put_i64(&mut body, first.wrapping_sub(expected) as i64);
            put_u64(&mut body, run.len() as u64 - 1);
            expected = first.wrapping_add(run.len() as u64);
        }
        put_singles(&mut body, part.iter().map(|sample| numbered(sample).value));
    }
    if !body.is_empty() {
        records.push((KIND_SAMPLES, body));
    }
}

/// Brings samples into the order in which [`encode_samples`] makes few bytes of them, unless they
/// stand in about that order. The samples of a series keep theirs where instants ascend.
pub fn arrange<T>(samples: &mut [T], numbered: impl Fn(&T) -> &NumberedSample) {
    let breaks = samples
        .windows(2)
        .filter(|pair| {
            let (one, other) = (numbered(&pair[0]), numbered(&pair[1]));
            one.at_ms != other.at_ms || other.id.0 != one.id.0.wrapping_add(1)
        })
        .count();
    // A break costs about three bytes, a sample as much.
    if breaks > samples.len() / 32 {
        samples.sort_by_key(|sample| (numbered(sample).at_ms, numbered(sample).id));
    }
}

/// Divides records into the groups that the journal keeps whole, in order. A usual batch is one.
pub fn groups(records: Vec<(u8, Vec<u8>)>) -> Vec<Vec<(u8, Vec<u8>)>> {
    let mut groups: Vec<Vec<(u8, Vec<u8>)>> = Vec::new();
    let (mut bytes, mut with_samples) = (0, 0);
    for record in records {
        bytes += record.1.len();
        with_samples += usize::from(record.0 == KIND_SAMPLES);
        match groups.last_mut() {
            Some(group) if bytes <= GROUP_BYTES_MAX && with_samples <= GROUP_SAMPLE_RECORDS_MAX => {
                group.push(record);
            }
            _ => {
                (bytes, with_samples) = (record.1.len(), usize::from(record.0 == KIND_SAMPLES));
                groups.push(vec![record]);
            }
        }
    }
    groups
}

/// Reads a record of [`encode_samples`].
pub fn decode_samples(payload: &[u8]) -> Option<Vec<NumberedSample>> {
    let mut reader = Reader::new(payload);
    let mut samples = Vec::new();
    let mut at_ms = 0i64;
    while !reader.is_empty() {
        at_ms = at_ms.wrapping_add(reader.i64()?);
        let count = reader.count()?;
        let start = samples.len();
        let mut next = 0u64;
        while samples.len() - start < count {
            next = next.wrapping_add(reader.i64()? as u64);
            let run = usize::try_from(reader.u64()?).ok()?;
            if run >= count - (samples.len() - start) {
                return None;
            }
            for _ in 0..=run {
                samples.push(NumberedSample { id: SeriesId(next), at_ms, value: 0.0 });
                next = next.wrapping_add(1);
            }
        }
        for sample in &mut samples[start..] {
            sample.value = single(&mut reader)?;
        }
    }
    Some(samples)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(samples: &[NumberedSample]) -> Vec<(u64, i64, u64)> {
        samples.iter().map(|one| (one.id.0, one.at_ms, one.value.to_bits())).collect()
    }

    #[test]
    fn a_scrape_costs_about_three_bytes_a_sample() {
        let samples: Vec<_> = (0..1000u64)
            .map(|id| NumberedSample {
                id: SeriesId(5000 + id),
                at_ms: 1_700_000_000_000,
                value: if id % 4 == 0 { (id * 7919) as f64 } else { (id % 10) as f64 },
            })
            .collect();
        let mut records = Vec::new();
        encode_samples(&samples, |sample| sample, &mut records);
        assert_eq!(records.len(), 1);
        assert!(records[0].1.len() < 3000, "{} bytes", records[0].1.len());
    }

    #[test]
    fn a_group_holds_few_samples() {
        let samples: Vec<_> = (0..10_000u64)
            .map(|id| NumberedSample { id: SeriesId(id), at_ms: id as i64 / 500, value: 1.0 })
            .collect();
        let mut records = Vec::new();
        encode_samples(&samples, |sample| sample, &mut records);
        let counts = groups(records).into_iter().map(|group| {
            group.iter().map(|record| decode_samples(&record.1).unwrap().len()).sum::<usize>()
        });
        assert_eq!(counts.collect::<Vec<_>>(), [4000, 4000, 2000]);
    }

    /// The bytes of docs/format/store-journal.md, written by hand: a release that reads others
    /// would lose what this one wrote.
    #[test]
    fn the_bytes_of_version_1() {
        let mut records = Vec::new();
        let sample = |id, value| NumberedSample { id: SeriesId(id), at_ms: 1000, value };
        let samples = [sample(1, 2.5), sample(2, f64::INFINITY)];
        encode_samples(&samples, |sample| sample, &mut records);
        let samples_bytes = [0xd0, 0x0f, 2, 2, 1, 0x91, 0x03, 7, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f];
        assert_eq!(records, [(KIND_SAMPLES, samples_bytes.to_vec())]);
        assert_eq!(decode_samples(&samples_bytes).unwrap()[0], sample(1, 2.5));
    }

    proptest! {
        #[test]
        fn samples_come_back(
            rows in proptest::collection::btree_map((any::<i8>(), 0u64..50), any::<u64>(), 0..80)
        ) {
            let mut samples: Vec<_> = rows
                .iter()
                .map(|((at, id), bits)| NumberedSample {
                    id: SeriesId(*id),
                    at_ms: i64::from(*at) * 1000,
                    value: if bits % 3 == 0 { f64::from_bits(*bits) } else { (bits % 999) as f64 },
                })
                .collect();
            samples.reverse();
            arrange(&mut samples, |sample| sample);
            let expected = bits(&samples);
            let mut records = Vec::new();
            encode_samples(&samples, |sample| sample, &mut records);
            let back: Vec<_> =
                records.iter().flat_map(|record| decode_samples(&record.1).unwrap()).collect();
            prop_assert_eq!(bits(&back), expected);
            for record in &records {
                for end in 0..record.1.len() {
                    decode_samples(&record.1[..end]); // Must not panic.
                }
            }
        }
    }
}
