//! Doors for senders that may only write series with certain labels.
//!
//! Place in the flow: dashboards asks the receiver for the door of a sender's label scope →
//! **`Inside`** stands between that door and the store and holds back what is outside.
//!
//! Each scope has a door of its own, because a door remembers series by number: what one scope may
//! write says nothing of another.
//!
//! Invariant: a door knows by number only series that went through its own check.
//!
//! Not here: who has which scope (dashboards).

use std::sync::{Arc, PoisonError};

use model::append::{
    AppendError, Appended, BatchExemplar, Column, Refused, RefusedReason, SeriesId, SeriesKey,
};
use model::{Append, Batch, BoxFuture, Labels, Matcher, SeriesIx, TimestampMs};

use super::receiver::Receiver;

/// Most doors kept; there are as many as tokens with different scopes.
const DOORS_MAX: usize = 64;
/// Memory for known series of one door: some twenty thousand.
const CACHE_BYTES_MAX: usize = 1024 * 1024;

/// A scope and its door.
pub(super) type Narrowed = (Arc<[Matcher]>, Arc<Receiver>);

impl Receiver {
    /// The door for senders whose series must pass all of these.
    pub fn narrowed(&self, matchers: &Arc<[Matcher]>) -> Arc<Receiver> {
        let mut doors = self.narrowed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, door)) = doors.iter().find(|(own, _)| own == matchers) {
            return Arc::clone(door);
        }
        if doors.len() >= DOORS_MAX {
            doors.remove(0);
        }
        let inside = Inside { append: Arc::clone(&self.append), matchers: Arc::clone(matchers) };
        let door = Arc::new(self.with_append(Arc::new(inside), CACHE_BYTES_MAX));
        doors.push((Arc::clone(matchers), Arc::clone(&door)));
        door
    }
}

/// Commits what is inside a scope and refuses the rest.
struct Inside {
    append: Arc<dyn Append>,
    matchers: Arc<[Matcher]>,
}

impl Inside {
    fn takes(&self, key: SeriesKey<'_>) -> bool {
        match key {
            SeriesKey::Known(_) => true,
            SeriesKey::Labels { text, ends } => Labels::from_parts(text, ends)
                .is_some_and(|labels| self.matchers.iter().all(|own| own.matches_labels(&labels))),
        }
    }
}

impl Append for Inside {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let indexes = (0..batch.series_count() as u32).map(SeriesIx);
        let inside: Vec<bool> = indexes.map(|index| self.takes(batch.key(index))).collect();
        // What is told of families would count for everybody's.
        if inside.iter().all(|inside| *inside) && batch.families().is_empty() {
            return self.append.append(batch);
        }
        let parted = Parted::new(&batch, &inside);
        Box::pin(async move {
            if parted.batch.is_empty() {
                return Ok(parted.whole(Appended::default()));
            }
            let batch = parted.batch.clone();
            Ok(parted.whole(self.append.append(batch).await?))
        })
    }
}

/// A batch without the series outside.
struct Parted {
    batch: Batch,
    /// The new position of each series of the whole batch.
    places: Vec<Option<SeriesIx>>,
    refused: Vec<Refused>,
}

impl Parted {
    fn new(whole: &Batch, inside: &[bool]) -> Parted {
        let mut batch = Batch::new();
        let mut places = Vec::with_capacity(inside.len());
        for (index, is_inside) in (0..).zip(inside) {
            let place = is_inside.then(|| match whole.key(SeriesIx(index)) {
                SeriesKey::Known(id) => batch.known_series(id),
                SeriesKey::Labels { text, ends } => {
                    let labels = Labels::from_parts(text, ends).expect("it was read before");
                    batch.series(&labels)
                }
            });
            places.push(place);
        }
        let mut parted = Parted { batch, places, refused: Vec::new() };
        for sample in whole.samples() {
            if let Some(place) = parted.place(Column::Samples, sample.series, sample.at) {
                parted.batch.sample(place, sample.at, sample.value);
            }
        }
        for own in whole.histograms() {
            if let Some(place) = parted.place(Column::Histograms, own.series, own.at) {
                parted.batch.histogram(place, own.at, Arc::clone(&own.histogram));
            }
        }
        for own in whole.exemplars() {
            if let Some(series) = parted.place(Column::Exemplars, own.series, own.at) {
                parted.batch.exemplar(BatchExemplar { series, ..own.clone() });
            }
        }
        for own in whole.starts() {
            if let Some(place) = parted.places[own.series.0 as usize] {
                parted.batch.start(place, own.at, own.start);
            }
        }
        parted
    }

    /// Where a series went; a refusal is noted when it is outside.
    fn place(&mut self, column: Column, series: SeriesIx, at: TimestampMs) -> Option<SeriesIx> {
        let place = self.places[series.0 as usize];
        if place.is_none() {
            let reason = RefusedReason::OutsideScope;
            self.refused.push(Refused { column, series, at, reason });
        }
        place
    }

    /// What became of the part, told of the whole.
    fn whole(self, appended: Appended) -> Appended {
        let Parted { places, mut refused, .. } = self;
        let id = |place: &Option<SeriesIx>| -> Option<SeriesId> {
            appended.ids.get((*place)?.0 as usize).copied().flatten()
        };
        let ids = places.iter().map(id).collect();
        let back: Vec<u32> =
            (0..).zip(&places).filter(|(_, place)| place.is_some()).map(|(old, _)| old).collect();
        refused.extend(appended.refused.iter().filter_map(|own| {
            let series = SeriesIx(*back.get(own.series.0 as usize)?);
            Some(Refused { series, ..*own })
        }));
        Appended { ids, refused, ..appended }
    }
}

#[cfg(test)]
mod tests;
