//! Which schemas and tables there are.
//!
//! Place in the flow: a statement's names → **here** → [`Table`], [`ToldTable`].
//!
//! `public` has the fixed tables. `metrics` has one table per metric, made when it is asked for: its
//! columns are the labels that the metric's series have then.
//!
//! Not here: `information_schema` and `pg_catalog` (DataFusion and its helpers read these schemas).

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use model::labels::METRIC_NAME;
use model::{Matcher, TimeRange};
use storage::Store;

use crate::reading;
use crate::shape::Shape;
use crate::table::Table;
use crate::told::{self, Told, ToldTable};

/// The one database.
pub const DATABASE: &str = "belfry";
/// Where the fixed tables stand.
pub const PUBLIC: &str = "public";
/// Where the metrics' own tables stand.
pub const METRICS: &str = "metrics";

/// Puts all schemas into the database.
pub fn fill(
    database: &dyn CatalogProvider,
    store: &Arc<Store>,
    told: &Arc<dyn Told>,
) -> Result<()> {
    let public = MemorySchemaProvider::new();
    let over_store = [
        ("samples", Shape::samples(), reading::Kind::Samples),
        ("series", Shape::series(), reading::Kind::Series),
        ("histograms", Shape::histograms(), reading::Kind::Histograms),
    ];
    for (name, shape, kind) in over_store {
        let table = Table::new(store, name, shape, kind);
        public.register_table(name.to_owned(), Arc::new(table))?;
    }
    for (name, kind) in
        [("alerts", told::Kind::Alerts), ("notifications", told::Kind::Notifications)]
    {
        public.register_table(name.to_owned(), Arc::new(ToldTable::new(told, kind)))?;
    }
    database.register_schema(PUBLIC, Arc::new(public))?;
    database.register_schema(METRICS, Arc::new(Metrics { store: Arc::clone(store) }))?;
    Ok(())
}

/// A table per metric.
#[derive(Debug)]
struct Metrics {
    store: Arc<Store>,
}

#[async_trait]
impl SchemaProvider for Metrics {
    fn table_names(&self) -> Vec<String> {
        // The store answers from memory; what it can't read has no table.
        self.store.label_values(METRIC_NAME, &[], TimeRange::ALL, 0).unwrap_or_default()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let matcher = Matcher::equal(METRIC_NAME, name);
        let (store, matchers) = (Arc::clone(&self.store), vec![matcher.clone()]);
        let names = move || store.label_names(&matchers, TimeRange::ALL, 0);
        let names = tokio::task::spawn_blocking(names).await;
        let names = names.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let names = names.map_err(|error| DataFusionError::External(Box::new(error)))?;
        if names.is_empty() {
            return Ok(None);
        }
        let shape = Shape::metric(&names);
        let table = Table::new(&self.store, name, shape, reading::Kind::Samples).of(matcher);
        Ok(Some(Arc::new(table)))
    }

    fn table_exist(&self, name: &str) -> bool {
        let matchers = [Matcher::equal(METRIC_NAME, name)];
        let found = self.store.series(&matchers, TimeRange::ALL, 1);
        found.is_ok_and(|series| !series.is_empty())
    }
}
