//! One page becomes one batch: cache, renaming, relabelling, limits, staleness, report.
//!
//! Place in the flow: `scrape` (bytes) → `exposition` → **`Session::digest`** → `deliver`.
//!
//! A series that was committed before is named by the store's number, so neither its labels nor its
//! relabelling cost anything again. A limit that is exceeded fails the whole page, never a part.
//!
//! Invariant: the batch holds the samples, the markers and the report of one scrape, and nothing of
//! a page that failed.
//!
//! Not here: the labels of a new series (`pass::labels`), fetching (`scrape`), committing (`deliver`),
//! when (`worker`).

/// The labels of a new series.
mod labels;

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use model::append::{Appended, BatchExemplar, Metadata, RefusedReason, SeriesId};
use model::sample::stale_nan;
use model::{Batch, Labels, MetricKind, SeriesIx, TimestampMs};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64_with_seed, xxh3_128_with_seed};

use self::labels::finished;
use crate::config::job::Job;
use crate::exposition::Format;
use crate::exposition::series;
use crate::exposition::text::{Line, Lines, RawExemplar, RawFamily};
use crate::recall::{Comments, Recall};
use crate::report::{self, Report};
use crate::staleness::{Key, Tracker};

/// Families and exemplars that are remembered per target; beyond it they are told again.
const TOLD_MAX: usize = 50_000;

/// How the pages of a target are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) job: &'a Job,
    /// The labels that every series gets.
    pub(crate) labels: &'a Labels,
    /// Makes the hashes of raw texts differ between servers.
    pub(crate) seed: u64,
}

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) body: Vec<u8>,
    pub(crate) format: Format,
}

/// Where a series of a batch comes from.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Page(Key),
    Report(usize),
    Marker,
}

/// What is known of the series of a line.
enum Seen {
    /// Relabelling drops it.
    Dropped,
    /// It was on this page already.
    Twice,
    /// The store has a number for it.
    Known(SeriesId),
    /// The store must be told its labels.
    New { labels: Labels, first: bool },
}

/// What one scrape came to.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) batch: Batch,
    slots: Vec<Slot>, // Invariant: one per series of the batch.
    pub(crate) scraped: u64,
    pub(crate) kept: u64,
    pub(crate) added: u64,
    /// Samples of a series that was on the page already.
    pub(crate) duplicates: u64,
    /// Why the scrape failed.
    pub(crate) error: Option<String>,
    /// Whether the store is told the labels of some series.
    describes: bool,
}

impl Sheet {
    fn with_capacity(series: usize) -> Sheet {
        let (batch, slots) = (Batch::with_capacity(series, series), Vec::with_capacity(series));
        Sheet { batch, slots, ..Sheet::default() }
    }

    fn name(&mut self, slot: Slot, id: SeriesId) -> SeriesIx {
        self.slots.push(slot);
        self.batch.known_series(id)
    }

    fn describe(&mut self, slot: Slot, labels: &Labels) -> SeriesIx {
        self.slots.push(slot);
        self.describes = true;
        self.batch.series(labels)
    }
}

/// What is remembered of a target from one scrape to the next.
#[derive(Debug, Default)]
pub(crate) struct Session {
    tracker: Tracker,
    comments: Comments,
    report_ids: [Option<SeriesId>; report::SERIES_MAX],
    /// Live series of the time before the job's settings changed; they end unless seen again.
    orphans: Vec<SeriesId>,
    last_at: Option<TimestampMs>,
    /// Hashes of what was told of families.
    told: HashSet<u64>,
    /// Hashes of exemplars without a time of their own, so that none is news twice.
    shown: HashMap<Key, u64>,
}

impl Session {
    /// Reads a page (or the reason why there is none) into a batch.
    pub(crate) fn digest(
        &mut self,
        reading: &Reading<'_>,
        page: Result<&Page, String>,
        at: TimestampMs,
    ) -> Sheet {
        let mut sheet = Sheet::with_capacity(self.tracker.len() + report::SERIES_MAX);
        let mut ended = Vec::new();
        let result = page.and_then(|page| self.read(reading, page, at, &mut sheet));
        match result {
            Ok(()) => self.tracker.end_good(&mut ended),
            Err(reason) => {
                sheet.batch = Batch::new();
                sheet.slots.clear();
                sheet.error = Some(reason);
                // What was new on it was told to nobody.
                self.comments = Comments::default();
                self.tracker.end_failed(&mut ended);
            }
        }
        for id in ended {
            let marker = sheet.name(Slot::Marker, id);
            sheet.batch.sample(marker, at, stale_nan());
        }
        self.last_at = Some(at);
        assert_eq!(sheet.slots.len(), sheet.batch.series_count(), "one slot per series");
        sheet
    }

    fn read(
        &mut self,
        reading: &Reading<'_>,
        page: &Page,
        at: TimestampMs,
        sheet: &mut Sheet,
    ) -> Result<(), String> {
        self.tracker.begin();
        let is_same_format = self.comments.begin(page.format);
        let samples_max = reading.job.scraping.limits.samples_max;
        let mut lines = Lines::new(&page.body, page.format);
        loop {
            let (tracker, comments) = (&self.tracker, &mut self.comments);
            let seed = reading.seed;
            let mut recall = Recall { tracker, comments, seed, is_same_format, came: None };
            let line = lines.next_line_knowing(&mut recall).map_err(|error| error.to_string())?;
            let came = recall.came;
            let Some(line) = line else { break };
            sheet.scraped += 1;
            let key = match came {
                Some((key, size)) if size == line.series.len() => key,
                _ => xxh3_128_with_seed(line.series, seed),
            };
            let seen = self.look(reading, &lines, &line, key)?;
            match seen {
                Seen::Dropped => continue,
                Seen::Twice => {
                    sheet.duplicates += 1;
                    continue;
                }
                Seen::Known(_) | Seen::New { .. } => sheet.kept += 1,
            }
            sheet.added += u64::from(matches!(seen, Seen::New { first: true, .. }));
            if samples_max > 0 && sheet.kept > samples_max as u64 {
                continue; // Counted on, so that the report says by how much.
            }
            let series = match seen {
                Seen::Known(id) => sheet.name(Slot::Page(key), id),
                Seen::New { labels, .. } => sheet.describe(Slot::Page(key), &labels),
                Seen::Dropped | Seen::Twice => continue,
            };
            let own_time = line.at.filter(|_| reading.job.honor_timestamps);
            let sample_at = own_time.unwrap_or(at);
            sheet.batch.sample(series, sample_at, line.value);
            if let Some(exemplar) = line.exemplar {
                self.add_exemplar((key, &exemplar), (series, sample_at), sheet);
            }
        }
        if samples_max > 0 && sheet.kept > samples_max as u64 {
            return Err(format!("sample limit exceeded: {} of {samples_max} samples", sheet.kept));
        }
        self.tell_families(&lines, page, sheet);
        Ok(())
    }

    /// Hands on what the page says about families, unless it is what the page before said.
    fn tell_families(&mut self, lines: &Lines<'_>, page: &Page, sheet: &mut Sheet) {
        self.comments.end();
        if !self.comments.has_news() {
            return;
        }
        if !self.comments.has_skipped() {
            return self.tell(lines.families(), sheet);
        }
        // A family's lines belong together, and some of them were not read.
        let mut lines = Lines::new(&page.body, page.format);
        while let Ok(Some(_)) = lines.next_line() {}
        self.tell(lines.families(), sheet);
    }

    fn add_exemplar(
        &mut self,
        (key, exemplar): (Key, &RawExemplar<'_>),
        (series, sample_at): (SeriesIx, TimestampMs),
        sheet: &mut Sheet,
    ) {
        if exemplar.at.is_none() {
            let seed = exemplar.value.to_bits();
            let hash = xxh3_64_with_seed(exemplar.labels, seed);
            if self.shown.insert(key, hash) == Some(hash) {
                return;
            }
        }
        let Some(labels) = series::exemplar_labels(exemplar.labels) else { return };
        let at = exemplar.at.unwrap_or(sample_at);
        sheet.batch.exemplar(BatchExemplar { series, at, value: exemplar.value, labels });
    }

    /// Hands on what is new about families.
    fn tell(&mut self, families: &[RawFamily<'_>], sheet: &mut Sheet) {
        for family in families {
            let mut hasher = Xxh3Default::new();
            family.hash(&mut hasher);
            if !self.told.insert(hasher.finish()) {
                continue;
            }
            let name = String::from_utf8_lossy(family.name);
            let kind = family.kind.unwrap_or(MetricKind::Unknown);
            let unit = String::from_utf8_lossy(family.unit).into_owned();
            let metadata = Metadata { kind, unit, help: series::help(family.help) };
            sheet.batch.metadata(&name, metadata);
        }
        if self.told.len() > TOLD_MAX {
            self.told.clear();
        }
        if self.shown.len() > TOLD_MAX {
            self.shown.clear();
        }
    }

    /// Finds or makes the entry of a line's series.
    fn look(
        &mut self,
        reading: &Reading<'_>,
        lines: &Lines<'_>,
        line: &Line<'_>,
        key: Key,
    ) -> Result<Seen, String> {
        let own_time = line.at.is_some() && reading.job.honor_timestamps;
        let tracked = !own_time || reading.job.track_timestamps_staleness;
        let page = self.tracker.page;
        let mut first = true;
        if let Some(entry) = self.tracker.find(key) {
            first = false;
            let again = entry.page == page && !own_time;
            entry.page = page;
            entry.tracked = tracked;
            match entry.id {
                _ if entry.dropped => return Ok(Seen::Dropped),
                _ if again => return Ok(Seen::Twice),
                Some(id) => return Ok(Seen::Known(id)),
                None => {}
            }
        }
        let mut pairs = Vec::new();
        let labels = series::labels(line.series, lines.format(), lines.kind(), &mut pairs)
            .and_then(|()| finished(reading, &pairs))
            .map_err(|reason| lines.error(reason).to_string())?;
        if first {
            let raw = (key, line.series.len());
            self.tracker.add(raw, labels.is_none()).tracked = tracked;
        }
        Ok(labels.map_or(Seen::Dropped, |labels| Seen::New { labels, first }))
    }

    /// Adds the report to the batch.
    pub(crate) fn report(&self, sheet: &mut Sheet, reading: &Reading<'_>, report: &Report) {
        let at = self.last_at.unwrap_or_default();
        for (index, value) in report.values().into_iter().enumerate() {
            let series = match self.report_ids[index] {
                Some(id) => sheet.name(Slot::Report(index), id),
                None => {
                    let labels = report::labels(index, reading.labels);
                    sheet.describe(Slot::Report(index), &labels)
                }
            };
            sheet.batch.sample(series, at, value);
        }
    }

    /// Keeps the numbers that the store gave. What the store no longer knows comes back as a batch
    /// that names it by its labels.
    pub(crate) fn learn(
        &mut self,
        reading: &Reading<'_>,
        page: Option<&Page>,
        sheet: &Sheet,
        appended: &Appended,
    ) -> Option<Sheet> {
        if !sheet.describes && appended.refused.is_empty() {
            return None;
        }
        for (slot, id) in sheet.slots.iter().zip(&appended.ids) {
            let Some(id) = id else { continue };
            match slot {
                Slot::Page(key) => {
                    if let Some(entry) = self.tracker.find(*key) {
                        entry.id = Some(*id);
                    }
                }
                Slot::Report(index) => self.report_ids[*index] = Some(*id),
                Slot::Marker => {}
            }
        }
        let unknown = |refused: &&model::Refused| refused.reason == RefusedReason::UnknownSeries;
        let mut lost = HashSet::new();
        let mut again = Sheet::default();
        for refused in appended.refused.iter().filter(unknown) {
            match sheet.slots.get(refused.series.0 as usize) {
                Some(Slot::Page(key)) => {
                    lost.insert(*key);
                    if let Some(entry) = self.tracker.find(*key) {
                        entry.id = None;
                    }
                }
                Some(Slot::Report(index)) => {
                    self.report_ids[*index] = None;
                    let labels = report::labels(*index, reading.labels);
                    let series = again.describe(Slot::Report(*index), &labels);
                    let sample = sheet.batch.samples().iter().find(|s| s.series == refused.series);
                    again.batch.sample(series, refused.at, sample.map_or(f64::NAN, |s| s.value));
                }
                Some(Slot::Marker) | None => {}
            }
        }
        if let (Some(page), false) = (page, lost.is_empty()) {
            Self::describe_lost(reading, page, &lost, self.last_at, &mut again);
        }
        (!again.batch.is_empty()).then_some(again)
    }

    /// Reads the page once more for the series the store has lost.
    fn describe_lost(
        reading: &Reading<'_>,
        page: &Page,
        lost: &HashSet<Key>,
        at: Option<TimestampMs>,
        again: &mut Sheet,
    ) {
        let mut pairs = Vec::new();
        let mut described = HashMap::new();
        let mut lines = Lines::new(&page.body, page.format);
        // The page was read without an error before.
        while let Ok(Some(line)) = lines.next_line() {
            let key = xxh3_128_with_seed(line.series, reading.seed);
            if !lost.contains(&key) {
                continue;
            }
            let own_time = line.at.filter(|_| reading.job.honor_timestamps);
            let series = match described.get(&key) {
                Some(_) if own_time.is_none() => continue,
                Some(series) => *series,
                None => {
                    let labels = series::labels(line.series, page.format, lines.kind(), &mut pairs)
                        .and_then(|()| finished(reading, &pairs));
                    let Ok(Some(labels)) = labels else { continue };
                    let series = again.describe(Slot::Page(key), &labels);
                    described.insert(key, series);
                    series
                }
            };
            let at = own_time.or(at).unwrap_or_default();
            again.batch.sample(series, at, line.value);
        }
    }

    /// Series of the time before the settings changed which the last committed scrape did not have.
    pub(crate) fn take_ended_orphans(&mut self) -> Option<Batch> {
        if self.orphans.is_empty() {
            return None;
        }
        let live: HashSet<SeriesId> = self.live_ids().collect();
        let at = self.last_at.unwrap_or_default();
        let orphans = std::mem::take(&mut self.orphans);
        markers(orphans.into_iter().filter(|id| !live.contains(id)), at)
    }

    fn live_ids(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.tracker.live_ids().chain(self.report_ids.iter().flatten().copied())
    }

    /// The same target under other settings: every label set is built anew, and what does not come
    /// back has ended.
    pub(crate) fn resettled(self) -> Session {
        let mut orphans = self.orphans.clone();
        orphans.extend(self.live_ids());
        Session { orphans, last_at: self.last_at, ..Session::default() }
    }

    /// The target is gone: markers for all its series.
    pub(crate) fn ended(self, now: TimestampMs) -> Option<Batch> {
        let at = self.last_at.map_or(now, |last| now.max(last.plus_ms(1)));
        let ids: HashSet<SeriesId> = self.live_ids().chain(self.orphans.iter().copied()).collect();
        markers(ids.into_iter(), at)
    }
}

fn markers(ids: impl Iterator<Item = SeriesId>, at: TimestampMs) -> Option<Batch> {
    let mut batch = Batch::new();
    for id in ids {
        let series = batch.known_series(id);
        batch.sample(series, at, stale_nan());
    }
    (!batch.is_empty()).then_some(batch)
}
