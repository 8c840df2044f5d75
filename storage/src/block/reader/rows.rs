//! The rows of chosen series of one block, series by series.
//!
//! Place in the flow: a reader of series names ordinals, as a rule in the order of rows → **rows** →
//! plain columns.
//!
//! Pages are read once as long as the series come in the order of rows. When one fails, the row group
//! is mended. Beyond that a page costs its rows, which are named once and left out from then on. A row
//! group that is encoded in a way that is not known here is read by the library.
//!
//! Not here: what else the store has of a series.

use std::ops::Range;
use std::sync::Arc;

use model::TimeRange;
use model::sample::stale_nan;

use super::page::{Exponents, Fault, Numbers, Presence, Unpacker};
use super::{Columns, Footer};
use crate::Error;
use crate::block::meta::SAMPLES_FILE;
use crate::block::{Block, schema};
use crate::encoding::decimal;
use crate::error::at;
use crate::index::file::BlockSeries;

/// Reads rows of one block.
pub struct BlockRows {
    footer: Arc<Footer>,
    unpacker: Unpacker,
    group: Option<u32>,
    ts: Numbers<i64>,
    wholes: Numbers<i64>,
    exponents: Exponents,
    floats: Numbers<f64>,
}

impl std::fmt::Debug for BlockRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockRows(row group {:?})", self.group)
    }
}

impl BlockRows {
    /// Begins to read a block.
    pub fn new(block: &Block) -> Result<BlockRows, Error> {
        Ok(BlockRows {
            footer: block.footer()?,
            unpacker: Unpacker::new().map_err(at("begin to unpack", block.dir()))?,
            group: None,
            ts: Numbers::new(false),
            wholes: Numbers::new(true),
            exponents: Exponents::default(),
            floats: Numbers::new(true),
        })
    }

    /// Appends the rows of a series that lie in the range. `next` tells, for a row, how far the
    /// following series want the page it is in: the end of the last one that begins before it.
    pub fn append(
        &mut self,
        block: &Block,
        series: &BlockSeries,
        (range, next): (TimeRange, &dyn Fn(u64) -> u64),
        (out, warnings): (&mut Columns, &mut Vec<String>),
    ) {
        let before = out.instants_ms.len();
        let Err(fault) = self.try_read(series, range, next, out) else { return };
        out.truncate(before);
        self.group = None;
        let reason = match fault {
            Fault::Disk(reason) => {
                warnings.push(refused(block, &reason));
                return;
            }
            Fault::Damaged(what) => what,
            Fault::Unknown => "it can't be read",
        };
        let bytes = self.footer.bytes_of(series.row_group);
        let is_mended = !block.has_lost_rows(series.row_group) && block.mend(SAMPLES_FILE, bytes);
        if is_mended && self.try_read(series, range, next, out).is_ok() {
            return;
        }
        out.truncate(before);
        self.group = None;
        self.read_pages(block, (series, range, reason), out, warnings);
    }

    /// Reads page by page, and leaves out what can't be read.
    fn read_pages(
        &mut self,
        block: &Block,
        (series, range, reason): (&BlockSeries, TimeRange, &'static str),
        out: &mut Columns,
        warnings: &mut Vec<String>,
    ) {
        let footer = Arc::clone(&self.footer);
        let group = footer.group(series.row_group);
        let Some((group, rows)) = group.and_then(|group| Some((group, group.rows_of(series)?)))
        else {
            warnings.push(block.set_rows_aside(series.row_group, 0..1, reason));
            return;
        };
        let ends_of = |row| match &group.columns {
            Some(columns) => columns[0].rows_of(columns[0].page_of(row)),
            None => 0..group.rows,
        };
        let mut row = rows.start;
        while row < rows.end {
            let page = ends_of(row);
            let part = row..rows.end.min(page.end);
            row = part.end;
            let before = out.instants_ms.len();
            let read = match &group.columns {
                Some(_) => self.read((series, part), range, &|_| 0, out),
                None => Err(Fault::Unknown),
            };
            if let Err(fault) = read {
                out.truncate(before);
                self.group = None;
                warnings.push(match fault {
                    Fault::Disk(reason) => refused(block, &reason),
                    Fault::Damaged(what) => block.set_rows_aside(series.row_group, page, what),
                    Fault::Unknown => block.set_rows_aside(series.row_group, page, reason),
                });
            }
        }
    }

    /// Reads all rows of a series that lie in the range; by the library what only that can read.
    fn try_read(
        &mut self,
        series: &BlockSeries,
        range: TimeRange,
        next: &dyn Fn(u64) -> u64,
        out: &mut Columns,
    ) -> Result<(), Fault> {
        let before = out.instants_ms.len();
        let footer = Arc::clone(&self.footer);
        let group = footer.group(series.row_group).ok_or(Fault::Damaged("no row group"))?;
        let rows = group
            .rows_of(series)
            .ok_or(Fault::Damaged("the index names rows that are not there"))?;
        match self.read((series, rows), range, next, out) {
            Err(Fault::Unknown) if !footer.is_own => {
                out.truncate(before);
                footer.read_with_library(series, range, out)
            }
            other => other,
        }
    }

    /// Reads some rows of a series.
    fn read(
        &mut self,
        (series, rows): (&BlockSeries, Range<usize>),
        range: TimeRange,
        next: &dyn Fn(u64) -> u64,
        out: &mut Columns,
    ) -> Result<(), Fault> {
        if self.group != Some(series.row_group) {
            self.group = Some(series.row_group);
            self.ts.clear();
            self.wholes.clear();
            self.exponents.clear();
            self.floats.clear();
        }
        let footer = Arc::clone(&self.footer);
        let group = footer.group(series.row_group).ok_or(Fault::Damaged("no row group"))?;
        let columns = group.columns.as_ref().ok_or(Fault::Unknown)?;
        let file = footer.file();
        let mut row = rows.start;
        while row < rows.end {
            let page = columns[0].page_of(row);
            let page_rows = columns[0].rows_of(page);
            let until = rows.end.min(page_rows.end);
            if !group.touches(page, range) {
                row = until;
                continue;
            }
            // How far the page will be wanted by the series that follow.
            let hint = next(group.first_row + page_rows.end as u64);
            let hint = usize::try_from(hint.saturating_sub(group.first_row)).unwrap_or(usize::MAX);
            let from = (file, &mut self.unpacker);
            self.ts.seek(from, &columns[0], (row, until, hint))?;
            let start = self.ts.rows.start;
            let own = &self.ts.values[row - start..until - start];
            let skip = own.partition_point(|at_ms| *at_ms < range.start_ms().0);
            let end = own.partition_point(|at_ms| *at_ms < range.end_ms().0);
            if skip < end {
                out.instants_ms.extend_from_slice(&own[skip..end]);
                self.values(&footer, columns, (row + skip..row + end, hint), &mut out.values)?;
            }
            if row + end < until {
                break; // The rest is later still.
            }
            row = until;
        }
        Ok(())
    }

    /// Appends the values of rows that all belong to one series.
    fn values(
        &mut self,
        footer: &Footer,
        columns: &[super::page::ColumnPlaces; 4],
        (rows, hint): (Range<usize>, usize),
        out: &mut Vec<f64>,
    ) -> Result<(), Fault> {
        let file = footer.file();
        let mut row = rows.start;
        while row < rows.end {
            let from = (file, &mut self.unpacker);
            self.wholes.seek(from, &columns[1], (row, rows.end, hint.max(rows.end)))?;
            let mut until = rows.end.min(self.wholes.rows.end);
            if self.wholes.presence != Presence::Nothing {
                let from = (file, &mut self.unpacker);
                until = until.min(self.exponents.seek(from, &columns[2], row)?);
            }
            if self.wholes.presence != Presence::All {
                let from = (file, &mut self.unpacker);
                self.floats.seek(from, &columns[3], (row, until, hint.max(until)))?;
                until = until.min(self.floats.rows.end);
            }
            self.combine(row..until, out)?;
            row = until;
        }
        Ok(())
    }

    /// Makes values of the rows, which lie in the pages that are here.
    fn combine(&self, rows: Range<usize>, out: &mut Vec<f64>) -> Result<(), Fault> {
        let (wholes, floats) = (&self.wholes, &self.floats);
        let float = |row: usize| match &floats.presence {
            Presence::All => floats.values[row - floats.rows.start],
            Presence::Some(marks) if marks[row - floats.rows.start] => {
                floats.values[row - floats.rows.start]
            }
            Presence::Nothing | Presence::Some(_) => stale_nan(),
        };
        let marks = match &wholes.presence {
            Presence::Nothing => {
                if floats.presence == Presence::All {
                    let start = floats.rows.start;
                    out.extend_from_slice(&floats.values[rows.start - start..rows.end - start]);
                } else {
                    out.extend(rows.map(float));
                }
                return Ok(());
            }
            Presence::All => None,
            Presence::Some(marks) => Some(marks),
        };
        let mut row = rows.start;
        while row < rows.end {
            let (exponent, run_end) = self.exponents.at(row);
            let exponent = u8::try_from(exponent).ok().filter(|own| *own <= decimal::EXPONENT_MAX);
            let exponent = exponent.ok_or(Fault::Damaged("an exponent is out of bounds"))?;
            let end = run_end.min(rows.end);
            let start = wholes.rows.start;
            let mantissas = &wholes.values[row - start..end - start];
            match marks {
                None if exponent == 0 => out.extend(mantissas.iter().map(|whole| *whole as f64)),
                None => out.extend(mantissas.iter().map(|whole| decimal::value(*whole, exponent))),
                Some(marks) => out.extend((row..end).zip(mantissas).map(|(row, whole)| {
                    if marks[row - start] { decimal::value(*whole, exponent) } else { float(row) }
                })),
            }
            row = end;
        }
        Ok(())
    }
}

fn refused(block: &Block, reason: &std::io::Error) -> String {
    format!("can't read {}: {reason}", block.dir().join(SAMPLES_FILE).display())
}

/// The columns that are read, in the order of their places.
pub const READ: [usize; 4] = [schema::TS, schema::V_INT, schema::V_EXP, schema::V_FLOAT];
