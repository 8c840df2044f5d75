//! The rows of chosen series of one block, series by series.
//!
//! Place in the flow: a reader of series names ordinals, as a rule in the order of rows → **rows** →
//! plain columns.
//!
//! Pages are read once as long as the series come in the order of rows. Instants of a regular series
//! are computed from what the index says: their pages are never read. When a page fails, the row group
//! is mended. Beyond that a page costs its rows, which are named once and left out from then on. A row
//! group that is encoded in a way that is not known here is read by the library.
//!
//! Not here: what else the store has of a series.

use std::ops::Range;
use std::sync::Arc;

use model::TimeRange;
use model::sample::stale_nan;

use super::ahead::{Coming, ShowRows};
use super::page::{ColumnPlaces, Fault, Numbers, Presence, Runs, Unpacker};
use super::{Columns, Footer};
use crate::Error;
use crate::beside::file::HISTOGRAMS_FILE;
use crate::block::mend::PatchedFile;
use crate::block::meta::SAMPLES_FILE;
use crate::block::{Block, schema};
use crate::encoding::decimal;
use crate::error::at;
use crate::index::file::BlockSeries;
use crate::read::Want;
use crate::reads::Reads;

/// What is asked of each series of a block.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Which instants.
    pub range: TimeRange,
    /// What of them.
    pub want: Want,
    /// Shows the rows of the series that are asked for next, as long as they stand further on.
    pub next: &'a ShowRows<'a>,
}

/// Reads rows of one block.
pub struct BlockRows {
    footer: Arc<Footer>,
    unpacker: Unpacker,
    group: Option<u32>,
    ts: Numbers<i64>,
    wholes: Numbers<i64>,
    exponents: Runs,
    floats: Numbers<f64>,
    flags: Runs,
    /// Whether the last instant of a series is that of its last row, and the row shows.
    ends_with_rows: bool,
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
            unpacker: Unpacker::new(&block.cache).map_err(at("begin to unpack", block.dir()))?,
            group: None,
            ts: Numbers::new(false),
            wholes: Numbers::new(true),
            exponents: Runs::default(),
            floats: Numbers::new(true),
            flags: Runs::default(),
            ends_with_rows: block.meta().file(HISTOGRAMS_FILE).is_none()
                && block.tombstones().is_empty(),
        })
    }

    /// What was read so far.
    pub fn reads(&self) -> Reads {
        self.unpacker.reads
    }

    /// Appends what is asked for of the rows of a series.
    pub fn append(
        &mut self,
        block: &Block,
        series: &BlockSeries,
        ask: Ask<'_>,
        (out, warnings): (&mut Columns, &mut Vec<String>),
    ) {
        let before = out.instants_ms.len();
        let Err(fault) = self.try_read(series, ask, out) else { return };
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
        if is_mended && self.try_read(series, ask, out).is_ok() {
            return;
        }
        out.truncate(before);
        self.group = None;
        self.read_pages(block, (series, ask, reason), out, warnings);
    }

    /// Reads page by page, and leaves out what can't be read.
    fn read_pages(
        &mut self,
        block: &Block,
        (series, ask, reason): (&BlockSeries, Ask<'_>, &'static str),
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
        // Instants of a regular series need no page.
        let column = usize::from(series.is_regular);
        let ends_of = |row| match &group.columns {
            Some(columns) => columns[column].rows_of(columns[column].page_of(row)),
            None => 0..group.rows,
        };
        let mut row = rows.start;
        while row < rows.end {
            let page = ends_of(row);
            let part = row..rows.end.min(page.end);
            row = part.end;
            let before = out.instants_ms.len();
            let read = match &group.columns {
                Some(_) => self.read((series, part), Ask { next: &|_| (), ..ask }, out),
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
        ask: Ask<'_>,
        out: &mut Columns,
    ) -> Result<(), Fault> {
        let before = out.instants_ms.len();
        let footer = Arc::clone(&self.footer);
        let group = footer.group(series.row_group).ok_or(Fault::Damaged("no row group"))?;
        let rows = group
            .rows_of(series)
            .ok_or(Fault::Damaged("the index names rows that are not there"))?;
        match self.read((series, rows), ask, out) {
            Err(Fault::Unknown) if !footer.is_own => {
                out.truncate(before);
                footer.read_with_library(series, ask.range, out)
            }
            other => other,
        }
    }

    /// Reads some rows of a series.
    fn read(
        &mut self,
        (series, rows): (&BlockSeries, Range<usize>),
        ask: Ask<'_>,
        out: &mut Columns,
    ) -> Result<(), Fault> {
        if self.group != Some(series.row_group) {
            self.group = Some(series.row_group);
            self.ts.clear();
            self.wholes.clear();
            self.exponents.clear();
            self.floats.clear();
            self.flags.clear();
        }
        let footer = Arc::clone(&self.footer);
        let group = footer.group(series.row_group).ok_or(Fault::Damaged("no row group"))?;
        let columns = group.columns.as_ref().ok_or(Fault::Unknown)?;
        let file = footer.file();
        let coming = Coming { first_row: group.first_row, reached: 0, others: ask.next };
        let from = Pages { file, columns, coming };
        let is_last = group.rows_of(series).is_some_and(|all| all.end == rows.end);
        let is_told = ask.want.is_newest() && self.ends_with_rows && is_last;
        if is_told && series.max_ms < ask.range.end_ms().0 {
            // The index tells its instant.
            out.instants_ms.push(series.max_ms);
            return self.values(&from, rows.end - 1..rows.end, ask.want, &mut out.values);
        }
        if series.is_regular {
            let all = group.rows_of(series).ok_or(Fault::Damaged("no row group"))?;
            return self.read_regular(&from, (series, all.start, rows), ask, out);
        }
        let mut row = rows.start;
        while row < rows.end {
            let page = columns[0].page_of(row);
            let until = rows.end.min(columns[0].rows_of(page).end);
            if !group.touches(page, ask.range) {
                self.unpacker.reads.pages_pruned += 1;
                row = until;
                continue;
            }
            self.ts.seek((file, &mut self.unpacker), &columns[0], (row, until), coming)?;
            let own = self.ts.of(row..until);
            let skip = own.partition_point(|at_ms| *at_ms < ask.range.start_ms().0);
            let end = own.partition_point(|at_ms| *at_ms < ask.range.end_ms().0);
            if skip < end {
                out.instants_ms.extend_from_slice(&own[skip..end]);
                // What goes on behind the page of instants may lie in the same page of values.
                let reached = if row + end == until { rows.end } else { 0 };
                let from = Pages { coming: Coming { reached, ..coming }, ..from };
                self.values(&from, row + skip..row + end, ask.want, &mut out.values)?;
            }
            if row + end < until {
                break; // The rest is later still.
            }
            row = until;
        }
        Ok(())
    }

    /// Reads some rows of a regular series, whose first row is told: instants are computed.
    fn read_regular(
        &mut self,
        from: &Pages<'_>,
        (series, first, rows): (&BlockSeries, usize, Range<usize>),
        ask: Ask<'_>,
        out: &mut Columns,
    ) -> Result<(), Fault> {
        let before = |at_ms: i64| first + series.rows_before(at_ms) as usize;
        let mut start = before(ask.range.start_ms().0).max(rows.start);
        let end = before(ask.range.end_ms().0).min(rows.end);
        if start >= end {
            return Ok(());
        }
        if ask.want.is_newest() && self.ends_with_rows {
            start = end - 1;
        }
        let step_ms = series.step_ms();
        let mut at_ms = series.min_ms.wrapping_add(step_ms.wrapping_mul((start - first) as i64));
        out.instants_ms.extend((start..end).map(move |_| {
            let own = at_ms;
            at_ms = at_ms.wrapping_add(step_ms);
            own
        }));
        self.values(from, start..end, ask.want, &mut out.values)
    }

    /// Appends the values of rows that all belong to one series.
    fn values(
        &mut self,
        from: &Pages<'_>,
        rows: Range<usize>,
        want: Want,
        out: &mut Vec<f64>,
    ) -> Result<(), Fault> {
        let columns = from.columns;
        let mut row = rows.start;
        while row < rows.end && !want.has_values() {
            let pages = (from.file, &mut self.unpacker);
            let until = rows.end.min(self.flags.seek(pages, &columns[4], row)?);
            let (flags, run_end) = self.flags.at(row);
            let is_stale = flags & i64::from(schema::FLAG_STALE) != 0;
            let value = if is_stale { stale_nan() } else { 0.0 };
            let until = until.min(run_end);
            out.extend(std::iter::repeat_n(value, until - row));
            row = until;
        }
        while row < rows.end {
            let wanted = (row, rows.end);
            let pages = (from.file, &mut self.unpacker);
            self.wholes.seek(pages, &columns[1], wanted, from.coming)?;
            let mut until = rows.end.min(self.wholes.rows.end);
            if self.wholes.presence != Presence::Nothing {
                let pages = (from.file, &mut self.unpacker);
                until = until.min(self.exponents.seek(pages, &columns[2], row)?);
            }
            if self.wholes.presence != Presence::All {
                let pages = (from.file, &mut self.unpacker);
                self.floats.seek(pages, &columns[3], (row, until), from.coming)?;
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
            Presence::All => floats.of(row..row + 1)[0],
            Presence::Some(marks) if marks[row - floats.rows.start] => floats.of(row..row + 1)[0],
            Presence::Nothing | Presence::Some(_) => stale_nan(),
        };
        let marks = match &wholes.presence {
            Presence::Nothing => {
                if floats.presence == Presence::All {
                    out.extend_from_slice(floats.of(rows));
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
            let mantissas = wholes.of(row..end);
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

/// Where the pages of one row group come from.
#[derive(Clone, Copy)]
struct Pages<'a> {
    file: &'a PatchedFile,
    columns: &'a [ColumnPlaces; 5],
    coming: Coming<'a>,
}

/// The columns that make a value and its instant, in the order of their places.
pub const READ: [usize; 4] = [schema::TS, schema::V_INT, schema::V_EXP, schema::V_FLOAT];
