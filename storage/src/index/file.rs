//! The index file of a block: which series it holds, where their rows stand, which labels they
//! carry.
//!
//! Place in the flow: flush writes it; the first question to a block reads it; when it is missing
//! or damaged it is built again from `series.parquet`.
//!
//! Layout: 8 bytes `BLFRYIDX`, u32 version, u32 zero, u64 length of the body, u64 xxh3 of the body,
//! then the body, compressed with zstd (docs/format/index.md). All fixed numbers are little-endian.
//!
//! Not here: choosing series by matchers (`index`).

use std::io::Read;

use model::append::SeriesId;
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_64;

use super::{Index, Postings};
use crate::encoding::varint::{Reader, put_bytes, put_i64, put_u64};

const MAGIC: &[u8; 8] = b"BLFRYIDX";
/// The version this release writes. Before 2 the body was not compressed and no series was known to
/// be regular.
pub const VERSION: u32 = 2;
const HEADER_BYTES: usize = 32;
const ZSTD_LEVEL: i32 = 3;
/// The largest body.
const BODY_BYTES_MAX: u64 = 4 << 30;

/// Where one series of a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSeries {
    /// The store's number of it.
    pub id: SeriesId,
    /// Rows before it in the block.
    pub first_row: u64,
    /// Its rows.
    pub rows: u64,
    /// The row group they stand in.
    pub row_group: u32,
    /// Its first instant.
    pub min_ms: i64,
    /// Its last instant.
    pub max_ms: i64,
    /// Its rows lie evenly from the first to the last instant, and it has nothing beside them.
    pub is_regular: bool,
}

impl BlockSeries {
    /// What is between two instants of a regular series.
    pub fn step_ms(&self) -> i64 {
        let steps = i64::try_from(self.rows).unwrap_or(i64::MAX).saturating_sub(1);
        self.max_ms.wrapping_sub(self.min_ms).checked_div(steps).unwrap_or(0)
    }

    /// The rows of a regular series before an instant, counted from its first one.
    pub fn rows_before(&self, at_ms: i64) -> u64 {
        if at_ms <= self.min_ms {
            return 0;
        }
        if at_ms > self.max_ms {
            return self.rows;
        }
        let distance = at_ms.abs_diff(self.min_ms);
        distance.div_ceil(self.step_ms().unsigned_abs().max(1)).min(self.rows)
    }
}

/// The index of one block. A series' ordinal (`sid`) is its position in `series`.
#[derive(Debug, Default)]
pub struct BlockIndex {
    series: Vec<BlockSeries>,
    by_id: Vec<(SeriesId, u32)>,
    index: Index,
}

/// Why an index file was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Its bytes are not what was written.
    Damaged,
    /// A newer release wrote it.
    Newer,
}

impl BlockIndex {
    /// An index over series in order of their ordinals.
    pub fn new(series: Vec<BlockSeries>, index: Index) -> BlockIndex {
        let mut by_id: Vec<(SeriesId, u32)> =
            series.iter().zip(0..).map(|(series, sid)| (series.id, sid)).collect();
        by_id.sort_unstable();
        BlockIndex { series, by_id, index }
    }

    /// The postings over ordinals.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The series in order of ordinals.
    pub fn series(&self) -> &[BlockSeries] {
        &self.series
    }

    /// The ordinal of a series.
    pub fn sid_of(&self, id: SeriesId) -> Option<u32> {
        let found = self.by_id.binary_search_by_key(&id, |entry| entry.0).ok()?;
        Some(self.by_id[found].1)
    }

    /// The ordinals of many series: numbers that follow each other are found without a search.
    pub fn sids_of(&self, ids: &[SeriesId]) -> impl Iterator<Item = Option<u32>> {
        let mut place = 0;
        ids.iter().map(move |id| {
            if self.by_id.get(place).is_none_or(|entry| entry.0 != *id) {
                place = self.by_id.partition_point(|entry| entry.0 < *id);
            }
            let sid = self.by_id.get(place).filter(|entry| entry.0 == *id)?.1;
            place += 1;
            Some(sid)
        })
    }

    /// Memory, roughly.
    pub fn bytes(&self) -> u64 {
        let per_series = size_of::<BlockSeries>() + size_of::<(SeriesId, u32)>();
        (self.series.len() * per_series) as u64 + self.index.bytes()
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.encode_series(&mut body);
        let pairs = self.index.pairs();
        put_u64(&mut body, pairs.labels().len() as u64);
        for label in self.index.labels_sorted() {
            put_bytes(&mut body, pairs.labels()[label as usize].name.as_bytes());
            let own = self.index.pairs_sorted(label);
            put_u64(&mut body, own.len() as u64);
            let mut previous = "";
            for pair in own {
                let value = pairs.value(pair);
                let shared = shared_prefix_bytes(previous, value);
                put_u64(&mut body, shared as u64);
                put_bytes(&mut body, &value.as_bytes()[shared..]);
                encode_postings(self.index.postings(pair), &mut body);
                previous = value;
            }
        }
        let body = zstd::bulk::compress(&body, ZSTD_LEVEL).expect("memory can be compressed");
        let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        out.extend_from_slice(&xxh3_64(&body).to_le_bytes());
        out.extend_from_slice(&body);
        out
    }

    fn encode_series(&self, body: &mut Vec<u8>) {
        put_u64(body, self.series.len() as u64);
        let (mut previous_id, mut previous_min, mut row_group) = (0i64, 0i64, 0u32);
        for series in &self.series {
            put_i64(body, (series.id.0 as i64).wrapping_sub(previous_id));
            put_u64(body, series.rows << 1 | u64::from(series.is_regular));
            put_i64(body, series.min_ms.wrapping_sub(previous_min));
            put_u64(body, series.max_ms.wrapping_sub(series.min_ms) as u64);
            put_u64(body, u64::from(series.row_group - row_group));
            (previous_id, previous_min) = (series.id.0 as i64, series.min_ms);
            row_group = series.row_group;
        }
    }

    /// Reads the bytes of a file.
    pub fn decode(bytes: &[u8]) -> Result<BlockIndex, Unusable> {
        let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or(Unusable::Damaged)?;
        let version = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        if &header[..8] != MAGIC {
            return Err(Unusable::Damaged);
        }
        if version > VERSION {
            return Err(Unusable::Newer);
        }
        let expected = [&(body.len() as u64).to_le_bytes()[..], &xxh3_64(body).to_le_bytes()];
        // The planted bug shows that the tests would notice.
        if header[16..] != expected.concat() && !cfg!(feature = "planted") {
            return Err(Unusable::Damaged);
        }
        if version < 2 {
            return decode_body(&mut Reader::new(body), version).ok_or(Unusable::Damaged);
        }
        let mut plain = Vec::new();
        let read = zstd::stream::Decoder::new(body)
            .and_then(|decoder| decoder.take(BODY_BYTES_MAX).read_to_end(&mut plain));
        read.map_err(|_| Unusable::Damaged)?;
        decode_body(&mut Reader::new(&plain), version).ok_or(Unusable::Damaged)
    }
}

fn shared_prefix_bytes(one: &str, other: &str) -> usize {
    let shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    (0..=shared).rev().find(|&end| other.is_char_boundary(end)).unwrap_or(0)
}

fn encode_postings(postings: &Postings, body: &mut Vec<u8>) {
    match postings {
        Postings::One(number) => {
            body.push(0);
            put_u64(body, u64::from(*number));
        }
        Postings::Few(list) => encode_set(&list.iter().copied().collect(), body),
        Postings::Many(set) => encode_set(set, body),
    }
}

fn encode_set(set: &RoaringBitmap, body: &mut Vec<u8>) {
    body.push(1);
    put_u64(body, set.serialized_size() as u64);
    set.serialize_into(&mut *body).expect("writing to memory can't fail");
}

fn decode_body(reader: &mut Reader<'_>, version: u32) -> Option<BlockIndex> {
    let count = reader.count()?;
    let mut series = Vec::with_capacity(count);
    let (mut id, mut min_ms, mut row_group, mut first_row) = (0i64, 0i64, 0u32, 0u64);
    for _ in 0..count {
        id = id.wrapping_add(reader.i64()?);
        let rows = reader.u64()?;
        let (rows, is_regular) =
            if version < 2 { (rows, false) } else { (rows >> 1, rows & 1 == 1) };
        min_ms = min_ms.wrapping_add(reader.i64()?);
        let max_ms = min_ms.wrapping_add(reader.u64()? as i64);
        row_group = row_group.checked_add(reader.u32()?)?;
        if is_regular && (rows == 0 || max_ms < min_ms) {
            return None;
        }
        let id = SeriesId(id as u64);
        series.push(BlockSeries { id, first_row, rows, row_group, min_ms, max_ms, is_regular });
        first_row = first_row.checked_add(rows)?;
    }
    let series_count = u32::try_from(count).ok()?;
    let mut index = Index::default();
    for _ in 0..reader.count()? {
        let name = std::str::from_utf8(reader.bytes()?).ok()?;
        decode_label(reader, name, series_count, &mut index)?;
    }
    let mut all = RoaringBitmap::new();
    all.insert_range(0..series_count);
    index.unite(all);
    reader.is_empty().then(|| BlockIndex::new(series, index))
}

fn decode_label(
    reader: &mut Reader<'_>,
    name: &str,
    series_count: u32,
    index: &mut Index,
) -> Option<()> {
    let mut value = String::new();
    for _ in 0..reader.count()? {
        let shared = usize::try_from(reader.u64()?).ok()?;
        if shared > value.len() || !value.is_char_boundary(shared) {
            return None;
        }
        value.truncate(shared);
        value.push_str(std::str::from_utf8(reader.bytes()?).ok()?);
        let postings = match reader.u8()? {
            0 => Postings::One(reader.u32()?),
            1 => Postings::from_set(RoaringBitmap::deserialize_from(reader.bytes()?).ok()?)?,
            _ => return None,
        };
        if postings.last() >= series_count || !index.add_pair(name, &value, postings) {
            return None;
        }
    }
    Some(())
}
