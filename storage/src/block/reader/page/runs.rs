//! One column that is nearly always the same, decoded as runs: exponents, flags.
//!
//! Place in the flow: rows of a series (`rows`) → **`Runs`** → a page of the column (`page`).
//!
//! Not here: reading, checking and unpacking a page (`page`).

use std::ops::Range;

use super::{ColumnPlaces, Fault, SHORT, Unpacker, levels};
use crate::block::mend::PatchedFile;
use crate::block::reader::header::{self, Kind};
use crate::block::reader::numbers;

/// A dictionary may have so many values, however few rows there are: flags that may be, for example.
const DICTIONARY_VALUES_MIN: usize = 256;

/// The decoded page of a column that is nearly always the same, as runs: exponents, flags.
#[derive(Default)]
pub struct Runs {
    page: Option<usize>,
    dictionary: Option<Vec<i64>>,
    rows: Range<usize>,
    /// The row after each run, and the number in it.
    runs: Vec<(usize, i64)>,
}

impl Runs {
    /// Forgets page and dictionary, because another row group begins.
    pub fn clear(&mut self) {
        (self.page, self.dictionary, self.rows) = (None, None, 0..0);
    }

    /// Makes sure that the page of `row` is here. Answers the row after it.
    pub fn seek(
        &mut self,
        (file, unpacker): (&PatchedFile, &mut Unpacker),
        places: &ColumnPlaces,
        row: usize,
    ) -> Result<usize, Fault> {
        if self.page.is_some() && self.rows.contains(&row) {
            return Ok(self.rows.end);
        }
        let page = places.page_of(row);
        self.page = None;
        if let (None, Some(place)) = (&self.dictionary, places.dictionary) {
            let (header, body) = unpacker.load(file, place, places.form)?;
            let mut values = Vec::new();
            let values_max = places.rows.max(DICTIONARY_VALUES_MIN);
            if header.kind != Kind::Dictionary || header.count > values_max {
                return Err(Fault::Damaged("a dictionary is none"));
            }
            numbers::plain_i32(body, header.count, &mut values).ok_or(SHORT)?;
            self.dictionary = Some(values);
        }
        let rows = places.rows_of(page);
        let place = places.pages[page];
        let read = (place.offset, place.size_bytes);
        let (header, body) = unpacker.load(file, read, places.form)?;
        if header.kind == Kind::Dictionary || header.count != rows.len() {
            return Err(Fault::Damaged("a page has other rows than the footer says"));
        }
        let (_, body) = levels(&header, body, false)?;
        self.runs.clear();
        let mut end = rows.start;
        let runs = &mut self.runs;
        let mut add = |run: usize, value: i64| {
            end += run;
            match runs.last_mut() {
                Some(last) if last.1 == value => last.0 = end,
                _ => runs.push((end, value)),
            }
        };
        match header.encoding {
            header::PLAIN | header::DELTA_BINARY_PACKED => {
                let mut values = Vec::new();
                let read = match header.encoding {
                    header::PLAIN => numbers::plain_i32(body, header.count, &mut values),
                    _ => {
                        values.resize(header.count, 0);
                        numbers::delta(body, 0..header.count, &mut values)
                    }
                };
                read.ok_or(SHORT)?;
                values.into_iter().for_each(|value| add(1, value));
            }
            header::RLE_DICTIONARY | header::PLAIN_DICTIONARY => {
                let dictionary = self.dictionary.as_deref().unwrap_or_default();
                let (width, indexes) = body.split_first().ok_or(SHORT)?;
                let mut is_known = true;
                numbers::hybrid(indexes, (usize::from(*width), header.count), |run, index| {
                    match dictionary.get(index as usize) {
                        Some(value) => add(run, *value),
                        None => is_known = false,
                    }
                })
                .filter(|()| is_known)
                .ok_or(SHORT)?;
            }
            _ => return Err(Fault::Unknown),
        }
        (self.page, self.rows) = (Some(page), rows);
        Ok(self.rows.end)
    }

    /// The number at a row of the page, and the row after its run.
    pub fn at(&self, row: usize) -> (i64, usize) {
        let run = self.runs.partition_point(|(end, _)| *end <= row);
        self.runs.get(run).map_or((i64::MAX, self.rows.end), |(end, value)| (*value, *end))
    }
}
