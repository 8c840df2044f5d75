//! `PromFragmentExec`, the one DataFusion operator of a PromQL query: scan, look-back or range
//! function, and where it applies the first partial aggregate, fused because decoding is the cost.
//!
//! Place in the flow: `evaluate::leaf` builds it per selector → **`PromFragmentExec`** → record
//! batches of series blocks → `evaluate::leaf` folds them.
//!
//! A partition is some of the selected series, in the order the store keeps them. Plain output has the columns `series`
//! (UInt32, position in the selection) and `values` (list of one number per step, null where there
//! is none); partial output has `group` (UInt32) and the three numbers of a fold's cells.
//!
//! Invariants: memory is charged before it is used; between two series the ledger is asked whether
//! to go on; dropping the stream stops the work; when one partition fails the others stop.
//!
//! Not here: choosing series (`evaluate::selector`), the kernels.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_common::{DataFusionError, Result as DataFusionResult};
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion_physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use model::Labels;
use model::append::SeriesId;
use promql::ast::Extension;

use crate::counts::{Counting, Looked};
use crate::error::Error;
use crate::fold::FoldOp;
use crate::kernel::RangeFunction;
use crate::kernel::lookback::Output;
use crate::ledger::Ledger;
use crate::source::{Reads, SeriesReader, Want};

/// The work of one partition.
mod partition;

pub use partition::extend;

/// The series of one selector, sorted by labels.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Their numbers in the store.
    pub ids: Vec<SeriesId>,
    /// Their labels.
    pub labels: Vec<Labels>,
}

/// When a selector is evaluated.
#[derive(Debug, Clone)]
pub struct Times {
    /// The right edge of each step's window, `@` and `offset` applied.
    pub right_ms: Vec<i64>,
    /// The evaluation time of each step.
    pub eval_ms: Vec<i64>,
    /// Whether `@` makes all windows equal.
    pub is_fixed: bool,
}

/// What is computed from a series.
#[derive(Debug, Clone)]
pub enum Leaf {
    /// An instant selector.
    LookBack {
        /// How far it looks back.
        lookback_ms: i64,
        /// Values or their instants.
        output: Output,
    },
    /// An instant selector with `smoothed`.
    Smoothed {
        /// How far it looks to both sides.
        lookback_ms: i64,
    },
    /// A range function over a range selector.
    Range {
        /// The function.
        function: RangeFunction,
        /// The window's length.
        range_ms: i64,
        /// Scalar parameters, one value per step each.
        params: Vec<Vec<f64>>,
        /// `anchored` or `smoothed`, and how far that reaches.
        extension: Option<(Extension, i64)>,
    },
}

impl Leaf {
    /// Whether steps with equal windows may still have different results.
    pub fn varies_in_equal_windows(&self) -> bool {
        let Leaf::Range { function, params, .. } = self else { return false };
        let is_even = |values: &Vec<f64>| {
            values.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits())
        };
        function.depends_on_eval_time() || !params.iter().all(is_even)
    }

    /// What it needs of each series when it is evaluated at so many steps and then folded like this.
    pub fn want(&self, steps: usize, fold: Option<FoldOp>) -> Want {
        let is_newest = matches!(self, Leaf::LookBack { .. }) && steps == 1;
        match (is_newest, self.needs_values(fold)) {
            (true, true) => Want::Newest,
            (true, false) => Want::NewestInstant,
            (false, true) => Want::All,
            (false, false) => Want::Instants,
        }
    }

    /// Whether the result depends on values, rather than on when there are any.
    fn needs_values(&self, fold: Option<FoldOp>) -> bool {
        let counts = matches!(fold, Some(FoldOp::Count | FoldOp::Group));
        match self {
            Leaf::LookBack { output, .. } => *output == Output::Value && !counts,
            Leaf::Smoothed { .. } => true,
            Leaf::Range { function, extension, .. } => {
                let first_or_last = matches!(function, RangeFunction::First | RangeFunction::Last);
                extension.is_some() || !(function.reads_instants_only() || counts && first_or_last)
            }
        }
    }

    /// How far its windows reach: back (outside), and on (inside).
    pub fn reach_ms(&self) -> (i64, i64) {
        match self {
            Leaf::LookBack { lookback_ms, .. } => (*lookback_ms, 0),
            Leaf::Smoothed { lookback_ms } => (*lookback_ms, *lookback_ms),
            Leaf::Range { range_ms, extension: None, .. } => (*range_ms, 0),
            Leaf::Range { range_ms, extension: Some((Extension::Anchored, more_ms)), .. } => {
                (range_ms.saturating_add(*more_ms), 0)
            }
            Leaf::Range { range_ms, extension: Some((Extension::Smoothed, more_ms)), .. } => {
                (range_ms.saturating_add(*more_ms), *more_ms)
            }
        }
    }
}

/// The first partial aggregate.
#[derive(Debug, Clone)]
pub struct Partial {
    /// The operator.
    pub op: FoldOp,
    /// The group of each selected series.
    pub group_of: Vec<u32>,
    /// How many groups.
    pub groups: usize,
}

/// Everything one leaf needs to know.
pub struct Fragment {
    /// Where samples come from, for each partition; taken when it begins.
    pub readers: Mutex<Vec<Option<Box<dyn SeriesReader>>>>,
    /// Which series.
    pub selection: Arc<Selection>,
    /// When.
    pub times: Times,
    /// What is computed.
    pub leaf: Leaf,
    /// What it is folded into.
    pub partial: Option<Partial>,
    /// Which of the samples it looks at are counted.
    pub counting: Counting,
    /// The query's account.
    pub ledger: Ledger,
    /// What the work cost and found.
    pub tally: Tally,
    /// Why the first partition failed; the others stop then.
    pub failure: OnceLock<Error>,
}

/// What a leaf's work cost and found, added up by all partitions.
#[derive(Debug, Default)]
pub struct Tally {
    /// Samples read from the store.
    pub samples_read: AtomicU64,
    /// Samples looked at, once per step.
    pub looked: Mutex<Looked>,
    /// Bytes of the blocks produced.
    pub bytes: AtomicU64,
    /// Which selected series gave a value at any step.
    pub produced: Vec<AtomicBool>,
    /// What could not be read.
    pub warnings: Mutex<Vec<String>>,
    /// What was read of the disk.
    pub reads: Mutex<Reads>,
}

impl Tally {
    /// A tally for so many series, and for what was looked at at each step.
    pub fn new(series: usize, looked: Looked) -> Tally {
        Tally {
            looked: Mutex::new(looked),
            produced: (0..series).map(|_| AtomicBool::new(false)).collect(),
            ..Tally::default()
        }
    }

    /// Whether a series gave any value.
    pub fn has_produced(&self, series: usize) -> bool {
        self.produced[series].load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fragment")
            .field("series", &self.selection.ids.len())
            .field("steps", &self.times.right_ms.len())
            .field("leaf", &self.leaf)
            .finish_non_exhaustive()
    }
}

/// The operator.
#[derive(Debug)]
pub struct PromFragmentExec {
    fragment: Arc<Fragment>,
    partitions: usize,
    properties: Arc<PlanProperties>,
}

impl PromFragmentExec {
    /// An operator over a fragment, split into so many partitions.
    pub fn new(fragment: Arc<Fragment>, partitions: usize) -> PromFragmentExec {
        assert!(partitions > 0, "an operator has at least one partition");
        let steps = i32::try_from(fragment.times.right_ms.len())
            .expect("the evaluator refuses more steps than a list column holds");
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema(steps, fragment.partial.is_some())),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        PromFragmentExec { fragment, partitions, properties: Arc::new(properties) }
    }
}

impl PromFragmentExec {
    /// What it works on.
    pub fn fragment(&self) -> &Fragment {
        &self.fragment
    }
}

/// The columns of the output.
fn schema(steps: i32, is_partial: bool) -> SchemaRef {
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let list = |name| Field::new(name, DataType::FixedSizeList(Arc::clone(&item), steps), false);
    let fields = if is_partial {
        vec![Field::new("group", DataType::UInt32, false), list("a"), list("b"), list("count")]
    } else {
        vec![Field::new("series", DataType::UInt32, false), list("values")]
    };
    Arc::new(Schema::new(fields))
}

impl DisplayAs for PromFragmentExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series = self.fragment.selection.ids.len();
        write!(f, "PromFragmentExec: series={series}, leaf={:?}", self.fragment.leaf)?;
        match &self.fragment.partial {
            Some(partial) => write!(f, ", partial={:?} of {} groups", partial.op, partial.groups),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for PromFragmentExec {
    fn name(&self) -> &'static str {
        "PromFragmentExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        _: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        if partition >= self.partitions {
            let problem = format!("partition {partition} of {}", self.partitions);
            return Err(DataFusionError::Internal(problem));
        }
        let schema = self.schema();
        let fragment = Arc::clone(&self.fragment);
        let work = partition::Work::new(fragment, partition, Arc::clone(&schema));
        let stream = futures::stream::iter(work);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}
