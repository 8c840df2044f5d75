//! The tables over the store as DataFusion sees them.
//!
//! Place in the flow: a planned statement → **`Table`**: the index chooses the series → parts for as
//! many cores as there are → `reading`.
//!
//! Not here: tables of what other rooms tell (`told`), which tables there are (`catalog`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use model::Matcher;
use storage::{SeriesEntry, Store};

use crate::filter::Selection;
use crate::reading::{Kind, Part, Shared};
use crate::shape::Shape;

/// Series that one core reads at least.
const PART_SERIES_MIN: usize = 64;

/// A table over the store.
pub struct Table {
    store: Arc<Store>,
    shape: Shape,
    kind: Kind,
    /// What all its series have.
    matchers: Vec<Matcher>,
    name: String,
}

impl Table {
    /// A table of everything.
    pub fn new(store: &Arc<Store>, name: &str, shape: Shape, kind: Kind) -> Table {
        let (store, name) = (Arc::clone(store), name.to_owned());
        Table { store, shape, kind, matchers: Vec::new(), name }
    }

    /// The same of some series only.
    pub fn of(mut self, matcher: Matcher) -> Table {
        self.matchers.push(matcher);
        self
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What the statement's tables share.
pub fn shared(session: &dyn Session) -> Result<Arc<Shared>> {
    let missing = || DataFusionError::Internal("a statement without an account".to_owned());
    session.config().get_extension::<Shared>().ok_or_else(missing)
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.shape.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let shared = shared(session)?;
        let shape = self.shape.projected(projection);
        let selection = Selection::new(&self.shape, filters);
        let Some(range) = selection.range() else {
            return Ok(Arc::new(EmptyExec::new(Arc::clone(shape.schema()))));
        };
        let matchers = [self.matchers.clone(), selection.matchers].concat();
        let store = Arc::clone(&self.store);
        let choosing = tokio::task::spawn_blocking(move || store.series(&matchers, range, 0));
        let series = choosing.await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let series = series.map_err(|error| own(query::Error::Storage(error.to_string())))?;
        self.refuse_too_many(&shared, series.len()).map_err(own)?;
        let bytes = series.len().saturating_mul(size_of::<SeriesEntry>());
        let listed = Arc::new(shared.ledger.charge(0, bytes).map_err(own)?);
        shared.tally.series.fetch_add(series.len() as u64, Ordering::Relaxed);
        // A statement that wants few rows gets them sooner from one reader.
        let cores = if limit.is_some() { 1 } else { session.config().target_partitions() };
        let parts = series.len().div_ceil(PART_SERIES_MIN).clamp(1, cores.max(1));
        let count = series.len();
        let series = Arc::new(series);
        let part = |part: usize| -> Arc<dyn PartitionStream> {
            Arc::new(Part {
                store: Arc::clone(&self.store),
                shape: shape.clone(),
                kind: self.kind,
                series: Arc::clone(&series),
                share: count * part / parts..count * (part + 1) / parts,
                range,
                shared: Arc::clone(&shared),
                listed: Arc::clone(&listed),
            })
        };
        let parts: Vec<_> = (0..parts).map(part).collect();
        let schema = Arc::clone(shape.schema());
        let exec = StreamingTableExec::try_new(schema, parts, None, [], false, limit)?;
        Ok(Arc::new(exec))
    }
}

impl Table {
    fn refuse_too_many(&self, shared: &Shared, series: usize) -> Result<(), query::Error> {
        let series_max = shared.series_max;
        if series_max == 0 || series <= series_max {
            return Ok(());
        }
        Err(query::Error::TooManySeries { selector: self.name.clone(), series, series_max })
    }
}

fn own(error: query::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
