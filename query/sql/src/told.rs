//! Tables of what other rooms tell: alerts and notifications.
//!
//! Place in the flow: rules and alertmanager → the wiring's [`Told`] → **here** → rows. They are few,
//! so a statement sees all of them as of the moment it is planned.
//!
//! Not here: who tells (belfry's wiring).

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use model::Labels;

use crate::columns::{instants, labels_array};
use crate::shape::{labels_type, timestamp_type};

/// Tells what is not in the store.
pub trait Told: Send + Sync + 'static {
    /// Alerts that are pending or firing.
    fn alerts(&self) -> Vec<AlertRow>;
    /// The newest lines of the notification log, the newest first.
    fn notifications(&self) -> Vec<NotificationRow>;
}

/// Nobody tells anything.
pub struct Nothing;

impl Told for Nothing {
    fn alerts(&self) -> Vec<AlertRow> {
        Vec::new()
    }

    fn notifications(&self) -> Vec<NotificationRow> {
        Vec::new()
    }
}

/// A pending or firing alert.
#[derive(Debug, Clone)]
pub struct AlertRow {
    /// The rule's name.
    pub name: String,
    /// `pending` or `firing`.
    pub state: String,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Since when.
    pub active_at_ms: i64,
    /// The value of the rule's expression.
    pub value: f64,
    /// The rule's group.
    pub group: String,
}

/// A line of the notification log.
#[derive(Debug, Clone)]
pub struct NotificationRow {
    /// When.
    pub at_ms: i64,
    /// `decided`, `delivered`, `failed`, `superseded`, `dead_letter` or `suppressed`.
    pub event: String,
    /// The group of alerts as people read it.
    pub group: String,
    /// The receiver.
    pub receiver: String,
    /// Which of its integrations; empty for a whole group.
    pub integration: String,
    /// The message's id; empty when there is none.
    pub id: String,
    /// Number of the attempt; 0 when there is none.
    pub attempt: u32,
    /// Alerts that fire in it.
    pub firing: u64,
    /// Alerts that are over in it.
    pub resolved: u64,
    /// Reason, reply or error.
    pub detail: String,
}

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `alerts`
    Alerts,
    /// `notifications`
    Notifications,
}

/// One of the two tables.
pub struct ToldTable {
    told: Arc<dyn Told>,
    kind: Kind,
    schema: SchemaRef,
}

impl ToldTable {
    /// A table of what somebody tells.
    pub fn new(told: &Arc<dyn Told>, kind: Kind) -> ToldTable {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let time = |name: &str| Field::new(name, timestamp_type(), false);
        let count = |name: &str, kind: DataType| Field::new(name, kind, false);
        let fields = match kind {
            Kind::Alerts => vec![
                text("name"),
                text("state"),
                Field::new("labels", labels_type(), false),
                Field::new("annotations", labels_type(), false),
                time("active_at"),
                Field::new("value", DataType::Float64, false),
                text("rule_group"),
            ],
            Kind::Notifications => vec![
                time("ts"),
                text("event"),
                text("alert_group"),
                text("receiver"),
                text("integration"),
                text("id"),
                count("attempt", DataType::UInt32),
                count("firing", DataType::UInt64),
                count("resolved", DataType::UInt64),
                text("detail"),
            ],
        };
        ToldTable { told: Arc::clone(told), kind, schema: Arc::new(Schema::new(fields)) }
    }

    fn batch(&self) -> Result<RecordBatch, ArrowError> {
        let columns = match self.kind {
            Kind::Alerts => alerts(&self.told.alerts())?,
            Kind::Notifications => notifications(&self.told.notifications()),
        };
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

fn texts<'a>(texts: impl Iterator<Item = &'a String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

fn alerts(rows: &[AlertRow]) -> Result<Vec<ArrayRef>, ArrowError> {
    Ok(vec![
        texts(rows.iter().map(|row| &row.name)),
        texts(rows.iter().map(|row| &row.state)),
        labels_array(rows.iter().map(|row| &row.labels))?,
        labels_array(rows.iter().map(|row| &row.annotations))?,
        instants(rows.iter().map(|row| row.active_at_ms).collect()),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.value))),
        texts(rows.iter().map(|row| &row.group)),
    ])
}

fn notifications(rows: &[NotificationRow]) -> Vec<ArrayRef> {
    vec![
        instants(rows.iter().map(|row| row.at_ms).collect()),
        texts(rows.iter().map(|row| &row.event)),
        texts(rows.iter().map(|row| &row.group)),
        texts(rows.iter().map(|row| &row.receiver)),
        texts(rows.iter().map(|row| &row.integration)),
        texts(rows.iter().map(|row| &row.id)),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.attempt))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.firing))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.resolved))),
        texts(rows.iter().map(|row| &row.detail)),
    ]
}

impl fmt::Debug for ToldTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

#[async_trait]
impl TableProvider for ToldTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = MemTable::try_new(Arc::clone(&self.schema), vec![vec![self.batch()?]])?;
        rows.scan(session, projection, filters, limit).await
    }
}
