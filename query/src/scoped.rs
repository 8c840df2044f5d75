//! A source that shows only series inside a label scope.
//!
//! Place in the flow: `engine` puts it between a query and the store when the caller has a scope.
//!
//! Every question for series goes through here, those that functions ask by themselves included, so
//! no form of a query reaches further. Samples are read by numbers that only these questions give.
//!
//! Not here: who has which scope (dashboards).

use std::sync::Arc;

use model::append::SeriesId;
use model::{Labels, Matcher, TimeRange};

use crate::error::Error;
use crate::source::{Batches, BesideIter, Grouped, Keep, SeriesReader, Source, Want};

/// A source and the matchers that every series must pass.
pub struct Scoped {
    source: Arc<dyn Source>,
    scope: Arc<[Matcher]>,
}

impl Scoped {
    /// The source, narrowed unless the scope is empty.
    pub fn narrow(source: &Arc<dyn Source>, scope: &Arc<[Matcher]>) -> Arc<dyn Source> {
        if scope.is_empty() {
            return Arc::clone(source);
        }
        Arc::new(Scoped { source: Arc::clone(source), scope: Arc::clone(scope) })
    }

    fn narrowed(&self, matchers: &[Matcher]) -> Vec<Matcher> {
        [matchers, &self.scope].concat()
    }
}

impl Source for Scoped {
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error> {
        self.source.series(&self.narrowed(matchers), range)
    }

    fn series_at_most(&self, matchers: &[Matcher]) -> Option<u64> {
        self.source.series_at_most(&self.narrowed(matchers))
    }

    fn has_more_than_numbers(&self) -> bool {
        self.source.has_more_than_numbers()
    }

    fn grouped(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        ways: &[Keep<'_>],
    ) -> Result<Grouped, Error> {
        self.source.grouped(&self.narrowed(matchers), range, ways)
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        self.source.scan(ids, range)
    }

    fn read(
        &self,
        ids: &[SeriesId],
        range: TimeRange,
        want: Want,
        parts: usize,
    ) -> Result<Vec<Box<dyn SeriesReader>>, Error> {
        self.source.read(ids, range, want, parts)
    }

    fn beside(&self, ids: &[SeriesId], range: TimeRange) -> Result<BesideIter, Error> {
        self.source.beside(ids, range)
    }
}
