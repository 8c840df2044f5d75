//! The tables as DataFusion sees them.
//!
//! Place in the flow: a planned statement → **`Table`** → the store's
//! index and scan, a chunk of series at a time, so that memory does not grow with the table.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use model::append::SeriesId;
use storage::{SeriesEntry, Store};

use crate::columns;
use crate::filter::Selection;

/// Series read at a time.
const CHUNK_SERIES: usize = 1024;
/// Batches that wait for the statement.
const BATCHES_MAX: usize = 2;

/// One of the two tables of a store.
pub struct Table {
    store: Arc<Store>,
    with_samples: bool,
}

impl Table {
    /// `samples(series_id, name, labels, ts, value)`.
    pub fn samples(store: Arc<Store>) -> Table {
        Table { store, with_samples: true }
    }

    /// `series(series_id, name, labels)`.
    pub fn series(store: Arc<Store>) -> Table {
        Table { store, with_samples: false }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.with_samples { "samples" } else { "series" })
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        if self.with_samples { columns::samples_schema() } else { columns::series_schema() }
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
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let part = Part {
            store: Arc::clone(&self.store),
            schema: projected(&self.schema(), projection)?,
            selection: Selection::new(filters),
            with_samples: self.with_samples,
        };
        part.plan()
    }
}

fn projected(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
    match projection {
        Some(indices) => Ok(Arc::new(schema.project(indices)?)),
        None => Ok(Arc::clone(schema)),
    }
}

/// What one statement reads of one table.
#[derive(Clone)]
struct Part {
    store: Arc<Store>,
    schema: SchemaRef,
    selection: Selection,
    with_samples: bool,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("selection", &self.selection).finish_non_exhaustive()
    }
}

impl Part {
    fn plan(self) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = Arc::clone(&self.schema);
        let exec =
            StreamingTableExec::try_new(schema, vec![Arc::new(self)], None, [], false, None)?;
        Ok(Arc::new(exec))
    }

    /// Reads chunk by chunk and hands each batch to `send`, until all is read or nobody listens.
    fn read(&self, mut send: impl FnMut(arrow::record_batch::RecordBatch) -> bool) -> Result<()> {
        let Some(range) = self.selection.range() else { return Ok(()) };
        let all = self.store.series(&self.selection.matchers, range, 0).map_err(unreadable)?;
        for chunk in all.chunks(CHUNK_SERIES) {
            if !self.with_samples {
                if !send(columns::series_batch(&self.schema, chunk)?) {
                    return Ok(());
                }
                continue;
            }
            let ids: Vec<SeriesId> = chunk.iter().map(|entry: &SeriesEntry| entry.id).collect();
            for scanned in self.store.scan(&ids, range).map_err(unreadable)? {
                let scanned = scanned.map_err(unreadable)?;
                if !send(columns::samples_batch(&self.schema, chunk, &scanned)?) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn unreadable(error: storage::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder =
            RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), BATCHES_MAX);
        let sender = builder.tx();
        let part = self.clone();
        builder.spawn_blocking(move || part.read(|batch| sender.blocking_send(Ok(batch)).is_ok()));
        builder.build()
    }
}
