//! A store in memory that keeps the contract of `Append`.
use std::collections::BTreeMap;
use std::sync::Mutex;

use model::append::{
    AppendError, Appended, BatchExemplar, Column, Metadata, RefusedReason, SeriesId, SeriesKey,
};
use model::sample::is_stale_nan;
use model::{Append, Batch, BoxFuture, Labels, Refused, SeriesIx};

#[derive(Default)]
pub(crate) struct FakeStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ids: BTreeMap<Labels, SeriesId>,
    samples: BTreeMap<SeriesId, Vec<(i64, f64)>>,
    unavailable: bool,
    batches: Vec<(usize, usize)>,
    exemplars: Vec<BatchExemplar>,
    families: Vec<(String, Metadata)>,
    next_id: u64,
}

impl FakeStore {
    pub(crate) fn set_unavailable(&self, unavailable: bool) {
        self.state.lock().expect("lock").unavailable = unavailable;
    }

    /// Forgets every series number, but not the samples by labels.
    pub(crate) fn forget(&self) {
        self.state.lock().expect("lock").ids.clear();
    }

    /// All samples of the series that prints like this, in the order they came.
    pub(crate) fn samples(&self, series: &str) -> Vec<(i64, f64)> {
        let state = self.state.lock().expect("lock");
        let id = state.ids.iter().find(|(labels, _)| labels.to_string() == series);
        id.and_then(|(_, id)| state.samples.get(id)).cloned().unwrap_or_default()
    }

    pub(crate) fn last(&self, series: &str) -> Option<f64> {
        self.samples(series).last().map(|(_, value)| *value)
    }

    pub(crate) fn is_stale(&self, series: &str) -> bool {
        self.last(series).is_some_and(is_stale_nan)
    }

    pub(crate) fn series(&self) -> Vec<String> {
        self.state.lock().expect("lock").ids.keys().map(ToString::to_string).collect()
    }

    /// All exemplars, and all that was told of families, in the order they came.
    pub(crate) fn beside(&self) -> (Vec<BatchExemplar>, Vec<(String, Metadata)>) {
        let state = self.state.lock().expect("lock");
        (state.exemplars.clone(), state.families.clone())
    }

    /// Series named by labels, and all samples, of each batch.
    pub(crate) fn batches(&self) -> Vec<(usize, usize)> {
        self.state.lock().expect("lock").batches.clone()
    }
}

impl Append for FakeStore {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let mut state = self.state.lock().expect("lock");
            if state.unavailable {
                return Err(AppendError::Unavailable { reason: "disk full".to_owned() });
            }
            Ok(state.append(&batch))
        })
    }
}

impl State {
    fn append(&mut self, batch: &Batch) -> Appended {
        let mut appended = Appended::default();
        let mut described = 0;
        for index in 0..batch.series_count() {
            let id = match batch.key(SeriesIx(index as u32)) {
                SeriesKey::Known(id) => self.ids.values().any(|own| *own == id).then_some(id),
                SeriesKey::Labels { text, ends } => {
                    described += 1;
                    let labels = Labels::from_parts(text, ends).expect("valid labels");
                    let next_id = &mut self.next_id;
                    Some(*self.ids.entry(labels).or_insert_with(|| {
                        *next_id += 1;
                        SeriesId(*next_id)
                    }))
                }
            };
            appended.ids.push(id);
        }
        for sample in batch.samples() {
            let refused = |reason| Refused {
                column: Column::Samples,
                series: sample.series,
                at: sample.at,
                reason,
            };
            let Some(id) = appended.ids[sample.series.0 as usize] else {
                appended.refused.push(refused(RefusedReason::UnknownSeries));
                continue;
            };
            let samples = self.samples.entry(id).or_default();
            match samples.iter().find(|(at, _)| *at == sample.at.0) {
                Some((_, value)) if value.to_bits() == sample.value.to_bits() => {}
                Some(_) => {
                    appended.refused.push(refused(RefusedReason::DuplicateTimestamp));
                    continue;
                }
                None => samples.push((sample.at.0, sample.value)),
            }
            appended.accepted += 1;
        }
        self.exemplars.extend_from_slice(batch.exemplars());
        self.families.extend_from_slice(batch.families());
        self.batches.push((described, batch.samples().len()));
        appended
    }
}
