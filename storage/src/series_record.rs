//! The record of new series: numbers and labels, in the journal and in the series log.
//!
//! Place in the flow: the committer encodes the new series of a group, opening the store reads them.
//! docs/format/store-journal.md says every byte.
//!
//! Series that come together share most of their labels, so a name or value that stands at the same
//! place of the series before is one byte. In the series log a record is compressed on top of that.
//!
//! Not here: the records of samples (`record`), framing and checksums (journal).

use model::Labels;
use model::append::SeriesId;

use crate::encoding::varint::{Reader, put_i64, put_u64};

/// New series with their numbers.
pub const KIND_SERIES: u8 = 1;

/// The same, compressed: the length of the plain record, then a frame of zstd.
pub const KIND_SERIES_PACKED: u8 = 3;

/// Series of one record at most.
const RECORD_SERIES_MAX: usize = 4096;
/// Bytes of one record, beyond which the next begins.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// A record is never longer than this: one series may be longer than [`RECORD_BYTES_MAX`].
const PLAIN_BYTES_MAX: usize = 64 << 20;

/// Compresses the records that get smaller by it.
pub fn pack(records: &mut [(u8, Vec<u8>)]) {
    const LEVEL: i32 = 3;
    for (kind, payload) in records {
        let mut packed = Vec::new();
        put_u64(&mut packed, payload.len() as u64);
        // Without memory for a compressor the record stays as it is.
        let Ok(frame) = zstd::bulk::compress(payload, LEVEL) else { continue };
        packed.extend_from_slice(&frame);
        if packed.len() < payload.len() {
            (*kind, *payload) = (KIND_SERIES_PACKED, packed);
        }
    }
}

/// The plain record of one that [`pack`] made.
pub fn unpack(payload: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(payload);
    let plain_bytes = usize::try_from(reader.u64()?).ok()?;
    if plain_bytes > PLAIN_BYTES_MAX {
        return None;
    }
    let frame = &payload[payload.len() - reader.left_bytes()..];
    let plain = zstd::bulk::decompress(frame, plain_bytes).ok()?;
    (plain.len() == plain_bytes).then_some(plain)
}

/// Appends records that introduce series.
pub fn encode_series<'a>(
    series: impl Iterator<Item = (SeriesId, &'a Labels)>,
    records: &mut Vec<(u8, Vec<u8>)>,
) {
    let mut record = Open::default();
    for (id, labels) in series {
        if record.count == RECORD_SERIES_MAX || record.body.len() > RECORD_BYTES_MAX {
            std::mem::take(&mut record).end(records);
        }
        record.add(id, labels);
    }
    if record.count > 0 {
        record.end(records);
    }
}

/// A record in the making.
#[derive(Default)]
struct Open<'a> {
    body: Vec<u8>,
    count: usize,
    id: u64,
    before: Option<&'a Labels>,
}

impl<'a> Open<'a> {
    fn add(&mut self, id: SeriesId, labels: &'a Labels) {
        put_i64(&mut self.body, id.0.wrapping_sub(self.id) as i64);
        self.id = id.0;
        put_u64(&mut self.body, labels.ends().len() as u64);
        let (text, before_text, before_ends) = match self.before {
            Some(before) => (labels.text(), before.text(), before.ends()),
            None => (labels.text(), "", &[][..]),
        };
        let (mut start, mut before_start) = (0, 0);
        for (index, end) in labels.ends().iter().enumerate() {
            let part = &text.as_bytes()[start..*end as usize];
            start = *end as usize;
            let before_end = before_ends.get(index).map(|end| *end as usize);
            let same = before_end.map(|end| &before_text.as_bytes()[before_start..end]);
            before_start = before_end.unwrap_or(0);
            if same == Some(part) {
                self.body.push(0);
            } else {
                put_u64(&mut self.body, part.len() as u64);
                self.body.extend_from_slice(part);
            }
        }
        self.before = Some(labels);
        self.count += 1;
    }

    fn end(mut self, records: &mut Vec<(u8, Vec<u8>)>) {
        let mut record = Vec::with_capacity(self.body.len() + 3);
        put_u64(&mut record, self.count as u64);
        record.append(&mut self.body);
        records.push((KIND_SERIES, record));
    }
}

/// Shows each series of a record of [`encode_series`]: its number, and its labels in the form of
/// [`Labels::text`] and [`Labels::ends`], which are in order. `None` when the record can't be read;
/// what was shown before is right all the same.
pub fn each_series(payload: &[u8], mut show: impl FnMut(SeriesId, &str, &[u32])) -> Option<()> {
    let mut reader = Reader::new(payload);
    let mut id = 0u64;
    let (mut text, mut ends) = (String::new(), Vec::new());
    let (mut before_text, mut before_ends) = (String::new(), Vec::<u32>::new());
    for _ in 0..reader.count()? {
        id = id.wrapping_add(reader.i64()? as u64);
        std::mem::swap(&mut text, &mut before_text);
        std::mem::swap(&mut ends, &mut before_ends);
        text.clear();
        ends.clear();
        let mut name_start = 0;
        for index in 0..reader.count()? {
            let start = text.len();
            match usize::try_from(reader.u64()?).ok()? {
                0 => {
                    let end = *before_ends.get(index)? as usize;
                    let start = if index == 0 { 0 } else { before_ends[index - 1] as usize };
                    text.push_str(&before_text[start..end]);
                }
                bytes => text.push_str(std::str::from_utf8(reader.take(bytes)?).ok()?),
            }
            // Each name is larger than the one before; that is two parts back.
            if index >= 2 && index.is_multiple_of(2) {
                let name_end = ends[index - 2] as usize;
                if text[name_start..name_end] >= text[start..] {
                    return None;
                }
                name_start = start;
            }
            ends.push(u32::try_from(text.len()).ok()?);
        }
        if !ends.len().is_multiple_of(2) {
            return None;
        }
        show(SeriesId(id), &text, &ends);
    }
    reader.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(payload: &[u8]) -> Option<Vec<(SeriesId, Labels)>> {
        let mut series = Vec::new();
        each_series(payload, |id, text, ends| {
            series.push((id, Labels::from_parts(text, ends).expect("labels in order")));
        })?;
        Some(series)
    }

    #[track_caller]
    fn check(series: &[(u64, &[(&str, &str)])]) -> Vec<(u8, Vec<u8>)> {
        let series: Vec<(SeriesId, Labels)> = series
            .iter()
            .map(|(id, pairs)| (SeriesId(*id), Labels::from_pairs(pairs.iter().copied())))
            .collect();
        let mut records = Vec::new();
        encode_series(series.iter().map(|(id, labels)| (*id, labels)), &mut records);
        let back: Vec<_> = records.iter().flat_map(|record| decode(&record.1).unwrap()).collect();
        assert_eq!(back, series);
        for (_, record) in &records {
            for end in 0..record.len() {
                assert_eq!(decode(&record[..end]), None, "cut at {end}");
            }
        }
        records
    }

    /// The bytes of docs/format/store-journal.md, written by hand: a release that reads others
    /// would lose what this one wrote.
    #[test]
    fn the_bytes() {
        let records =
            check(&[(1, &[("a", "b")]), (3, &[("a", "bc"), ("d", "e")]), (2, &[("a", "bc")])]);
        let expected =
            [3, 2, 2, 1, b'a', 1, b'b', 4, 4, 0, 2, b'b', b'c', 1, b'd', 1, b'e', 1, 2, 0, 0];
        assert_eq!(records, [(KIND_SERIES, expected.to_vec())]);
    }

    #[test]
    fn series_come_back() {
        check(&[]);
        check(&[(u64::MAX, &[("ä", "ö"), ("ü", "x")]), (0, &[("ä", "ö")]), (5, &[("b", "ö")])]);
        check(&[(7, &[]), (8, &[("a", "a")]), (9, &[]), (10, &[("a", "a")])]);
    }

    #[test]
    fn packed_records_come_back() {
        let labels = |i: u64| Labels::from_pairs([("__name__", "up"), ("i", &i.to_string())]);
        let series: Vec<_> = (0..100).map(|i| (SeriesId(i), labels(i))).collect();
        let mut records = Vec::new();
        encode_series(series.iter().map(|(id, labels)| (*id, labels)), &mut records);
        let plain = records[0].1.clone();
        pack(&mut records);
        let (kind, packed) = records.pop().unwrap();
        assert_eq!(kind, KIND_SERIES_PACKED);
        assert!(packed.len() < plain.len() / 2, "{} of {}", packed.len(), plain.len());
        assert_eq!(unpack(&packed).as_deref(), Some(&plain[..]));
        for end in 0..packed.len() {
            assert_eq!(unpack(&packed[..end]), None, "cut at {end}");
        }
        let mut huge = vec![0xff; 9];
        huge.extend_from_slice(&packed);
        assert_eq!(unpack(&huge), None, "it asks for too much memory");
        let mut few = vec![(KIND_SERIES, vec![1, 2, 3])];
        pack(&mut few);
        assert_eq!(few, [(KIND_SERIES, vec![1, 2, 3])], "nothing is gained");
    }

    #[test]
    fn what_is_no_label_set() {
        for payload in [
            &[1, 2, 1, 1, b'a'][..],                        // One part.
            &[1, 2, 2, 0, 1, b'a'],                         // Nothing before it.
            &[1, 2, 4, 1, b'b', 1, b'x', 1, b'a', 1, b'x'], // Names out of order.
            &[1, 2, 4, 1, b'a', 1, b'x', 1, b'a', 1, b'x'], // A name twice.
            &[1, 2, 2, 1, 0xff, 1, b'x'],                   // No text.
            &[1, 2, 2, 1, b'a', 1, b'x', 0],                // Something behind it.
        ] {
            assert_eq!(decode(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn many_series_make_several_records_and_neighbours_cost_little() {
        let labels = |i: u64| {
            let pairs =
                [("__name__", "node_thing_total"), ("host", "a-long-name"), ("i", &i.to_string())];
            Labels::from_pairs(pairs)
        };
        let series: Vec<_> = (0..10_000).map(|i| (SeriesId(i * 2), labels(i))).collect();
        let mut records = Vec::new();
        encode_series(series.iter().map(|(id, labels)| (*id, labels)), &mut records);
        assert_eq!(records.len(), 3);
        let bytes: usize = records.iter().map(|record| record.1.len()).sum();
        assert!(bytes < 13 * series.len(), "{bytes} bytes");
        let back: Vec<_> = records.iter().flat_map(|record| decode(&record.1).unwrap()).collect();
        assert_eq!(back, series);
    }
}
