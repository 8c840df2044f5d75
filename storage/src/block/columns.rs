//! One row group of `samples.parquet` before it is written: plain columns, and where pages end.
//!
//! Place in the flow: the block writer adds series → **row group** → chunks of the file.
//!
//! A value is a decimal (`v_int` and the exponent of its series), a float, or the stale marker.
//! Decimals of a series whose differences vary get a page of their own when the jump to the next
//! series would widen the differences around it. Instants of regular series share large pages: they
//! compress to nothing, and readers compute them.
//!
//! Not here: the bytes of pages (`page`), in which form whole numbers and floats stand (`choice`),
//! which series (`writer`).

use std::ops::Range;

use model::sample::is_stale_nan;
use parquet::basic::Encoding;
use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use super::delta::{self, Packing};
use super::page::{Body, Bounds, Chunk, Packer};
use super::{choice, runs, schema};
use crate::encoding::decimal;

/// What an own page costs beside its values: header, its place in the page index, frame.
const PAGE_COST_BYTES: u32 = 60;
/// Differences of fewer bits than this are compressed away; a jump among them costs little.
const NOISE_BITS_MIN: u32 = 3;

const WHOLE: u8 = 0;
const FLOAT: u8 = 1;
const STALE: u8 = 2;

/// Rows, whole numbers and floats up to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place {
    rows: usize,
    wholes: usize,
    floats: usize,
}

/// The series before the one that is added.
#[derive(Debug, Clone, Copy)]
struct Wholes {
    last: i64,
    delta_min: i64,
    delta_max: i64,
}

impl Wholes {
    /// The bits that a difference takes.
    fn noise_bits(self) -> u32 {
        bits_between(self.delta_min, self.delta_max)
    }
}

fn bits_between(min: i64, max: i64) -> u32 {
    u64::BITS - ((max - min) as u64).leading_zeros()
}

/// The rows of one row group.
#[derive(Default)]
pub struct RowGroup {
    ts: Vec<i64>,
    v_int: Vec<i64>,
    v_float: Vec<f64>,
    /// Which of the columns each row stands in.
    kinds: Vec<u8>,
    stale_rows: usize,
    /// Ordinal, exponent and rows of each series.
    series: Vec<(u32, u8, usize)>,
    /// Rows of series whose instants do not lie evenly, in order.
    irregular: Vec<Range<usize>>,
    /// Where pages of all columns end.
    ends: Vec<Place>,
    /// Where pages of `v_int` end as well.
    whole_ends: Vec<Place>,
    /// Where pages of `v_float` end as well.
    float_ends: Vec<Place>,
    before: Option<Wholes>,
}

impl RowGroup {
    /// Its rows so far.
    pub fn rows(&self) -> usize {
        self.ts.len()
    }

    fn place(&self) -> Place {
        Place { rows: self.ts.len(), wholes: self.v_int.len(), floats: self.v_float.len() }
    }

    /// Adds all samples of a series; whether readers will compute its instants.
    pub fn add(&mut self, sid: u32, instants_ms: &[i64], values: &[f64], is_regular: bool) {
        if values.is_empty() {
            return; // A series with nothing but histograms: no run of rows must name it.
        }
        let start = self.place();
        self.ts.extend_from_slice(instants_ms);
        if !is_regular {
            self.irregular.push(start.rows..self.ts.len());
        }
        let exponent = match decimal::append_mantissas(values, &mut self.v_int) {
            Some(exponent) => {
                self.kinds.resize(self.ts.len(), WHOLE);
                exponent
            }
            None => self.add_mixed(values),
        };
        self.series.push((sid, exponent, values.len()));
        self.end_wholes_before(start);
        self.end_pages(start);
        self.end_floats(start);
    }

    /// Adds values that are not all decimals; answers with the exponent.
    fn add_mixed(&mut self, values: &[f64]) -> u8 {
        let exponent = decimal::common_exponent(values);
        for &value in values {
            match exponent.and_then(|exponent| decimal::mantissa(value, exponent)) {
                Some(mantissa) => {
                    self.v_int.push(mantissa);
                    self.kinds.push(WHOLE);
                }
                None if is_stale_nan(value) => {
                    self.kinds.push(STALE);
                    self.stale_rows += 1;
                }
                None => {
                    self.v_float.push(value);
                    self.kinds.push(FLOAT);
                }
            }
        }
        exponent.unwrap_or(0)
    }

    /// Ends the page of whole numbers at the boundary between the series before and this one, if
    /// the jump costs more than a page.
    fn end_wholes_before(&mut self, start: Place) {
        let Some((&first, rest)) = self.v_int[start.wholes..].split_first() else { return };
        let (mut last, mut delta_min, mut delta_max) = (first, 0, 0);
        if let Some(second) = rest.first() {
            (delta_min, delta_max) = (second - first, second - first);
        }
        for &next in rest {
            let delta = next - last;
            delta_min = delta_min.min(delta);
            delta_max = delta_max.max(delta);
            last = next;
        }
        let own = Wholes { last, delta_min, delta_max };
        self.end_wholes_inside(start, own);
        let Some(before) = self.before.replace(own) else { return };
        let noise_bits = before.noise_bits().max(own.noise_bits());
        if noise_bits < NOISE_BITS_MIN {
            return;
        }
        let jump = first - before.last;
        let (min, max) = (before.delta_min.min(own.delta_min), before.delta_max.max(own.delta_max));
        let wide_bits = bits_between(min.min(jump), max.max(jump));
        // A jump down lowers the smallest difference of a whole block.
        let widened = if jump < min { delta::BLOCK } else { delta::MINIBLOCK } as u32;
        if (wide_bits - noise_bits) * widened / 8 > PAGE_COST_BYTES {
            self.whole_ends.push(start);
        }
    }

    /// Ends pages of whole numbers in a long series of nothing else, unless they compress to nothing.
    fn end_wholes_inside(&mut self, start: Place, own: Wholes) {
        let (rows, wholes) = (self.ts.len() - start.rows, self.v_int.len() - start.wholes);
        if wholes == rows && own.noise_bits() >= NOISE_BITS_MIN {
            let inside = inside(rows, schema::WHOLE_PAGE_ROWS);
            let place =
                |more| Place { rows: start.rows + more, wholes: start.wholes + more, ..start };
            self.whole_ends.extend(inside.map(place));
        }
    }

    /// Ends pages of all columns: before a series that does not fit any more, inside of a long one, and
    /// behind it.
    fn end_pages(&mut self, start: Place) {
        let rows = self.ts.len() - start.rows;
        let page_start = self.ends.last().map_or(0, |end| end.rows);
        if start.rows > page_start && self.ts.len() - page_start > schema::PAGE_ROWS {
            self.ends.push(start);
        }
        let mut place = start;
        while self.ts.len() - place.rows > schema::PAGE_ROWS {
            let until = place.rows + schema::PAGE_ROWS;
            for kind in &self.kinds[place.rows..until] {
                place.wholes += usize::from(*kind == WHOLE);
                place.floats += usize::from(*kind == FLOAT);
            }
            place.rows = until;
            self.ends.push(place);
        }
        if rows >= schema::PAGE_ROWS {
            self.ends.push(self.place());
        }
    }

    /// Ends pages of floats in and before a series of nothing else: they unpack slowly, and who asks
    /// for one instant wants few of them.
    fn end_floats(&mut self, start: Place) {
        let (rows, floats) = (self.ts.len() - start.rows, self.v_float.len() - start.floats);
        if floats < rows {
            return;
        }
        let ends = self.ends.iter().chain(&self.float_ends).filter(|end| end.rows <= start.rows);
        let before = ends.map(|end| end.floats).max().unwrap_or(0);
        if start.floats - before >= schema::FLOAT_PAGE_ROWS / 2 {
            self.float_ends.push(start);
        }
        let inside = inside(rows, schema::FLOAT_PAGE_ROWS);
        let place = |more| Place { rows: start.rows + more, floats: start.floats + more, ..start };
        self.float_ends.extend(inside.map(place));
    }

    /// The ends of all columns' pages and those of one column, in order.
    fn ends_with(&self, own: &[Place]) -> Vec<Place> {
        let mut ends = [self.ends.as_slice(), own].concat();
        ends.sort_unstable_by_key(|end| end.rows);
        ends.dedup();
        ends
    }

    /// Writes it.
    pub fn write<W: std::io::Write + Send>(
        mut self,
        file: &mut SerializedFileWriter<W>,
        packer: &mut Packer,
    ) -> Result<()> {
        if self.ends.last() != Some(&self.place()) {
            self.ends.push(self.place());
        }
        let v_float = choice::float_encoding(&self.v_float, packer)?;
        let descriptor = SchemaDescriptor::new(schema::samples());
        let mut row_group = file.next_row_group()?;
        for column in 0..descriptor.num_columns() {
            let mut chunk = Chunk::new(descriptor.column(column));
            match column {
                schema::TS => self.write_instants(&mut chunk, packer)?,
                schema::V_INT => self.write_wholes(&mut chunk, packer)?,
                schema::V_FLOAT => self.write_floats(&mut chunk, packer, v_float)?,
                _ => self.write_runs(column, &mut chunk, packer)?,
            }
            let (bytes, close) = chunk.finish()?;
            row_group.append_column(&bytes, close)?;
        }
        row_group.close()?;
        Ok(())
    }

    /// Rows before the ends of pages of instants, and whether all series in them are regular.
    fn instant_ends(&self) -> Vec<(usize, bool)> {
        let mut ends: Vec<(usize, bool)> = Vec::new();
        let (mut page_start, mut start) = (0, 0);
        for end in &self.ends {
            let next = self.irregular.partition_point(|rows| rows.end <= start);
            let is_regular = self.irregular.get(next).is_none_or(|rows| rows.start >= end.rows);
            match ends.last_mut() {
                Some(last)
                    if last.1
                        && is_regular
                        && end.rows - page_start <= schema::REGULAR_PAGE_ROWS =>
                {
                    last.0 = end.rows;
                }
                _ => {
                    page_start = start;
                    ends.push((end.rows, is_regular));
                }
            }
            start = end.rows;
        }
        ends
    }

    fn write_instants(&self, chunk: &mut Chunk, packer: &mut Packer) -> Result<()> {
        let (mut start, mut bytes) = (0, Vec::new());
        let encoding = Encoding::DELTA_BINARY_PACKED;
        for (end, is_regular) in self.instant_ends() {
            let instants_ms = &self.ts[start..end];
            let min = instants_ms.iter().copied().min().expect("a page has rows");
            let max = instants_ms.iter().copied().max().expect("a page has rows");
            bytes.clear();
            delta::encode(instants_ms, Packing::Bits, &mut bytes);
            let body = Body { bytes: &bytes, encoding, thorough: is_regular, plane_bytes: 0 };
            let page = packer.pack(body)?;
            chunk.page(instants_ms.len(), &page, Some(Bounds::I64(min, max)))?;
            start = end;
        }
        Ok(())
    }

    fn write_wholes(&self, chunk: &mut Chunk, packer: &mut Packer) -> Result<()> {
        let (mut start, mut levels) = (Place::default(), Vec::new());
        for end in self.ends_with(&self.whole_ends) {
            let rows = start.rows..end.rows;
            self.put_levels(rows.clone(), end.wholes - start.wholes, WHOLE, &mut levels);
            let wholes = &self.v_int[start.wholes..end.wholes];
            chunk.page(rows.len(), &choice::wholes(&levels, wholes, packer)?, None)?;
            start = end;
        }
        Ok(())
    }

    fn write_floats(
        &self,
        chunk: &mut Chunk,
        packer: &mut Packer,
        encoding: Encoding,
    ) -> Result<()> {
        let (mut start, mut levels) = (Place::default(), Vec::new());
        let ends = self.ends_with(&self.float_ends);
        for (index, end) in ends.iter().enumerate() {
            let count = end.floats - start.floats;
            if count == 0 && ends.get(index + 1).is_some_and(|next| next.floats == end.floats) {
                continue; // Neighbours without floats are one page.
            }
            let rows = start.rows..end.rows;
            self.put_levels(rows.clone(), count, FLOAT, &mut levels);
            let floats = &self.v_float[start.floats..end.floats];
            let page = choice::floats(&levels, floats, encoding, packer)?;
            chunk.page(rows.len(), &page, None)?;
            start = *end;
        }
        Ok(())
    }

    /// A column that is one value per series, or nearly always the same.
    fn write_runs(&self, column: usize, chunk: &mut Chunk, packer: &mut Packer) -> Result<()> {
        let mut dictionary: Vec<i32> = match column {
            schema::SID => self.series.iter().map(|series| series.0 as i32).collect(),
            schema::V_EXP => self.series.iter().map(|series| i32::from(series.1)).collect(),
            _ if self.stale_rows > 0 => vec![0, schema::FLAG_STALE],
            _ => vec![0],
        };
        dictionary.sort_unstable_by_key(|value| *value as u32);
        dictionary.dedup();
        let place = |value: i32| {
            let found = dictionary.binary_search_by_key(&(value as u32), |own| *own as u32);
            found.expect("every value is in the dictionary") as u32
        };
        let width = runs::width_of(dictionary.len() as u32 - 1).max(1);
        let mut body = vec![width as u8];
        match column {
            schema::SID => {
                let all = self.series.iter().map(|series| (place(series.0 as i32), series.2));
                runs::encode(all, width, &mut body);
            }
            schema::V_EXP => {
                let all = self.series.iter().map(|series| (place(series.1.into()), series.2));
                runs::encode(all, width, &mut body);
            }
            _ if self.stale_rows == 0 => runs::encode([(0, self.ts.len())], width, &mut body),
            _ => {
                let flags = self.kinds.iter().map(|kind| (u32::from(*kind == STALE), 1));
                runs::encode(flags, width, &mut body);
            }
        }
        let bounds = (column == schema::SID)
            .then(|| Bounds::I32(dictionary[0], dictionary[dictionary.len() - 1]));
        chunk.dictionary(packer, &dictionary)?;
        let (encoding, thorough) = (Encoding::RLE_DICTIONARY, false);
        let page = packer.pack(Body { bytes: &body, encoding, thorough, plane_bytes: 0 })?;
        chunk.page(self.ts.len(), &page, bounds)
    }

    /// Begins the body of a page of a nullable column: which rows have a value.
    fn put_levels(&self, rows: Range<usize>, present: usize, kind: u8, body: &mut Vec<u8>) {
        body.clear();
        body.extend_from_slice(&[0; 4]);
        if present == rows.len() || present == 0 {
            runs::encode([(u32::from(present > 0), rows.len())], 1, body);
        } else {
            let levels = self.kinds[rows].iter().map(|own| (u32::from(*own == kind), 1));
            runs::encode(levels, 1, body);
        }
        let bytes = (body.len() - 4) as u32;
        body[..4].copy_from_slice(&bytes.to_le_bytes());
    }
}

/// Places in a series of so many rows, one page from the other, none near its end.
fn inside(rows: usize, page_rows: usize) -> impl Iterator<Item = usize> {
    (page_rows..rows.saturating_sub(page_rows / 2)).step_by(page_rows)
}
