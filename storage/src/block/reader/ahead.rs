//! Which rows of a column will be wanted, and a stretch of the file that is read for them at once.
//!
//! Place in the flow: a reader of series tells what is to come → **`Coming`** → a column reads the
//! pages that follow with the one it needs (`page`).
//!
//! A page of a regular series often holds that series alone: many of them in turn are many small
//! reads, which cost more than what is in them.
//!
//! Not here: pages (`page`), which series (`read`).

use std::ops::Range;

use super::page::{ColumnPlaces, Place};
use crate::block::mend::PatchedFile;

/// Shows rows of a block, ascending, until it is told `false`.
pub type ShowRows<'a> = dyn Fn(&mut dyn FnMut(Range<u64>) -> bool) + 'a;

/// Rows of a row group that will be wanted.
#[derive(Clone, Copy)]
pub struct Coming<'a> {
    /// The row group's first row in the block.
    pub first_row: u64,
    /// How far the series that is read now goes.
    pub reached: usize,
    /// The series after it, as long as they stand further on.
    pub others: &'a ShowRows<'a>,
}

impl Coming<'_> {
    /// How far rows go that begin before this one.
    pub fn until(&self, end: usize) -> usize {
        let mut reached = self.reached;
        self.each_other(&mut |rows| {
            let is_before = rows.start < end;
            if is_before {
                reached = rows.end;
            }
            is_before
        });
        reached
    }

    fn each_other(&self, show: &mut dyn FnMut(Range<usize>) -> bool) {
        let own = |row: u64| usize::try_from(row.checked_sub(self.first_row)?).ok();
        (self.others)(&mut |rows| {
            own(rows.start).zip(own(rows.end)).is_some_and(|(start, end)| show(start..end))
        });
    }
}

/// Bytes that are read at once, at most, unless a page is longer.
const STRETCH_BYTES_MAX: u64 = 64 << 10;
/// So many bytes between two pages are read with them rather than left out.
const GAP_BYTES_MAX: u64 = 2 << 10;

/// A part of the file.
#[derive(Default)]
pub struct Stretch {
    offset: u64,
    bytes: Vec<u8>,
}

impl Stretch {
    /// Forgets it: the file may have been mended.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The bytes of a page. They are read together with the pages that follow when those will be
    /// wanted; when that fails, alone.
    pub fn page(
        &mut self,
        file: &PatchedFile,
        (places, page): (&ColumnPlaces, usize),
        (row, coming): (usize, Coming<'_>),
    ) -> std::io::Result<&[u8]> {
        let place = places.pages()[page];
        if self.held(place).is_none() {
            let end = last_page(places, page, (row, coming));
            match self.read(file, place.offset..end) {
                Err(_) if end > place.end() => self.read(file, place.offset..place.end())?,
                read => read?,
            }
        }
        Ok(self.held(place).expect("it was read"))
    }

    fn held(&self, place: Place) -> Option<&[u8]> {
        let start = usize::try_from(place.offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(start..start.checked_add(place.size_bytes)?)
    }

    fn read(&mut self, file: &PatchedFile, bytes: Range<u64>) -> std::io::Result<()> {
        let count = usize::try_from(bytes.end - bytes.start).map_err(std::io::Error::other)?;
        self.offset = bytes.start;
        self.bytes.resize(count, 0);
        let read = file.read_exact_at(bytes.start, &mut self.bytes);
        if read.is_err() {
            self.bytes.clear();
        }
        read
    }
}

/// Where the pages end that are read with this one.
fn last_page(places: &ColumnPlaces, page: usize, (row, coming): (usize, Coming<'_>)) -> u64 {
    let pages = places.pages();
    let (start, mut last) = (pages[page].offset, page);
    let mut take = |rows: Range<usize>| {
        if rows.is_empty() || rows.end > places.rows() {
            return rows.end <= places.rows();
        }
        let (first, end) = (places.page_of(rows.start), places.page_of(rows.end - 1));
        let is_near = pages[first].offset <= pages[last].end() + GAP_BYTES_MAX;
        for page in first.max(last + 1)..=end {
            if !is_near || pages[page].end() - start > STRETCH_BYTES_MAX {
                return false;
            }
            last = page;
        }
        true
    };
    if take(row..coming.reached) {
        coming.each_other(&mut take);
    }
    pages[last].end()
}
