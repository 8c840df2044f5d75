//! Range functions over selectors and subqueries.
//!
//! Place in the flow: `function::call` → **`range`** → `leaf` or `subquery`.
//!
//! Not here: the functions themselves (`kernel`).

use model::Labels;
use promql::ast::{Call, Expr, ExprKind, Extension, MatrixSelector, Span};

use super::Evaluator;
use super::selector::PreparedLeaf;
use crate::block::Block;
use crate::error::Error;
use crate::fold::FoldOp;
use crate::fragment::{Leaf, Partial};
use crate::kernel::RangeFunction;
use crate::ledger::{Ledger, Pace};
use crate::names::METRIC_TYPE;

/// A range function with its scalar parameters evaluated.
#[derive(Debug)]
pub struct RangeCall<'a> {
    /// The function.
    pub function: RangeFunction,
    /// The range vector.
    pub argument: &'a Expr,
    /// One value per step for each scalar parameter.
    pub params: Vec<Vec<f64>>,
    /// Where the first scalar parameter stands.
    pub param_span: Span,
}

impl Evaluator<'_> {
    /// Reads a call as a range function; `None` when it is another kind of function.
    pub fn range_call<'e>(&self, call: &'e Call) -> Result<Option<RangeCall<'e>>, Error> {
        let Some(function) = RangeFunction::from_name(call.function.name) else { return Ok(None) };
        let is_range = |arg: &&Expr| {
            matches!(arg.without_parens().kind, ExprKind::Matrix(_) | ExprKind::Subquery(_))
        };
        let argument = call.args.iter().find(is_range);
        let argument = argument.ok_or_else(|| Error::Execution("a range is missing".to_owned()))?;
        let scalars: Vec<&Expr> = call.args.iter().filter(|arg| !is_range(arg)).collect();
        let param_span = scalars.first().map_or(argument.span, |scalar| scalar.span);
        let params = scalars.into_iter().map(|arg| self.eval_scalar(arg));
        let params = params.collect::<Result<Vec<_>, _>>()?;
        self.check_factors(function, argument, &params)?;
        Ok(Some(RangeCall { function, argument, params, param_span }))
    }

    /// Factors of smoothing lie between 0 and 1, at least where there is anything to smooth.
    fn check_factors(
        &self,
        function: RangeFunction,
        argument: &Expr,
        params: &[Vec<f64>],
    ) -> Result<(), Error> {
        if function != RangeFunction::DoubleExponentialSmoothing {
            return Ok(());
        }
        let is_wrong = |factor: f64| factor <= 0.0 || factor >= 1.0;
        if !params.iter().flatten().any(|factor| is_wrong(*factor)) {
            return Ok(());
        }
        let present = self.any_in_range(argument)?;
        for (values, name, short) in [(&params[0], "smoothing", "sf"), (&params[1], "trend", "tf")]
        {
            let mut used = values.iter().zip(&present).filter(|(_, present)| **present);
            if let Some((value, _)) = used.find(|(factor, _)| is_wrong(**factor)) {
                return Err(Error::Execution(format!(
                    "invalid {name} factor. Expected: 0 < {short} < 1, got: {value:.6}"
                )));
            }
        }
        Ok(())
    }

    /// Evaluates a range function.
    pub fn range_function(&self, range: RangeCall) -> Result<Block, Error> {
        let argument = range.argument.without_parens();
        let block = match &argument.kind {
            ExprKind::Matrix(matrix) => {
                let prepared = self.prepare_range(&range, matrix)?;
                self.run_plain(prepared)?
            }
            ExprKind::Subquery(subquery) => self.subquery_function(&range, subquery)?,
            _ => return Err(Error::Execution("a range is missing".to_owned())),
        };
        self.finish_range(&range, block)
    }

    /// What follows once the numbers of a range function are there: notes, and its names go.
    pub fn finish_range(&self, range: &RangeCall, block: Block) -> Result<Block, Error> {
        self.note_range(range, &block);
        if range.function.keeps_name() { Ok(block) } else { self.drop_names(block) }
    }

    /// The leaf of a range function over a selector.
    pub fn prepare_range(
        &self,
        range: &RangeCall,
        matrix: &MatrixSelector,
    ) -> Result<PreparedLeaf, Error> {
        let leaf = self.range_leaf(range, matrix)?;
        self.prepare(range.argument.without_parens().span, &matrix.selector, leaf)
    }

    /// What a range function over a selector computes.
    pub fn range_leaf(&self, range: &RangeCall, matrix: &MatrixSelector) -> Result<Leaf, Error> {
        let extension = matrix.selector.extension;
        if let Some(extension) = extension {
            check_extension(extension, range.function)?;
        }
        Ok(Leaf::Range {
            function: range.function,
            range_ms: self.length_ms(&matrix.range)?,
            params: range.params.clone(),
            extension: extension.map(|extension| (extension, self.context.lookback_ms)),
        })
    }

    /// The length of a window in milliseconds.
    pub fn length_ms(&self, duration: &promql::ast::Duration) -> Result<i64, Error> {
        let length = duration.length_ms(self.context.durations);
        length.map_err(|problem| Error::Execution(problem.message))
    }

    /// Warns about what the function was given, once it gave something.
    fn note_range(&self, range: &RangeCall, block: &Block) {
        let span = range.argument.span;
        let pace = self.pace();
        for (series, key) in block.keys().iter().enumerate() {
            if pace.is_over(64) {
                return;
            }
            let is_quantile = range.function == RangeFunction::Quantile;
            if !is_quantile && range.function.suits(&key.labels) {
                continue; // There is nothing to say.
            }
            if block.points(series).next().is_none() {
                continue; // Histograms are counters whatever their name.
            }
            self.note_counter(range.function, span, &key.labels);
            if is_quantile {
                for (step, _) in block.points(series) {
                    let phi = range.params[0][step];
                    if !(0.0..=1.0).contains(&phi) {
                        self.context.notes.invalid_quantile(range.param_span, phi);
                    }
                }
            }
        }
    }

    /// Says so when `rate` or `increase` was asked of something that is no counter by its name.
    pub fn note_counter(&self, function: RangeFunction, span: Span, labels: &Labels) {
        if function.suits(labels) {
            return;
        }
        let name = labels.metric_name();
        match labels.get(METRIC_TYPE) {
            Some(_) => self.context.notes.type_is_not_a_counter(span, name),
            None => self.context.notes.possibly_not_a_counter(span, name),
        }
    }

    /// At which steps a range vector holds any sample at all.
    pub fn any_in_range(&self, argument: &Expr) -> Result<Vec<bool>, Error> {
        let (function, param_span) = (RangeFunction::Present, argument.span);
        let range = RangeCall { function, argument, params: Vec::new(), param_span };
        match &argument.without_parens().kind {
            ExprKind::Matrix(matrix) => self.any_in_leaf(self.prepare_range(&range, matrix)?),
            // Names stay: that two series would be one without them is no concern here.
            ExprKind::Subquery(subquery) => {
                any_valid(&self.subquery_function(&range, subquery)?, &self.context.ledger)
            }
            _ => Err(Error::Execution("a range is missing".to_owned())),
        }
    }

    /// At which steps a leaf gives any value at all.
    pub fn any_in_leaf(&self, mut prepared: PreparedLeaf) -> Result<Vec<bool>, Error> {
        if !prepared.beside.is_empty() {
            return any_valid(&self.run_plain(prepared)?, &self.context.ledger);
        }
        let group_of = vec![0; prepared.selection.ids.len()];
        prepared.partial = Some(Partial { op: FoldOp::Group, group_of, groups: 1 });
        let (fold, _) = self.run_folded(prepared)?;
        Ok(fold.cells(0).map(|cell| cell.count > 0.0).collect())
    }
}

/// At which steps any series of a block has a value.
pub fn any_valid(block: &Block, ledger: &Ledger) -> Result<Vec<bool>, Error> {
    let mut any = vec![false; block.steps()];
    let pace = Pace::new(ledger);
    for series in 0..block.len() {
        pace.spend(block.steps() * 4)?;
        for (step, any) in any.iter_mut().enumerate() {
            *any |= block.has(series, step);
        }
    }
    Ok(any)
}

impl RangeFunction {
    /// Whether it is asked of a fitting metric, as far as its name and type tell: `rate` and
    /// `increase` want counters.
    pub fn suits(self, labels: &Labels) -> bool {
        if !matches!(self, RangeFunction::Rate | RangeFunction::Increase) {
            return true;
        }
        let name = labels.metric_name();
        let is_counter = || match labels.get(METRIC_TYPE) {
            Some(kind) => matches!(kind, "counter" | "histogram"),
            None => {
                let suffixes = ["_total", "_sum", "_count", "_bucket"];
                suffixes.iter().any(|suffix| name.ends_with(suffix))
            }
        };
        name.is_empty() || is_counter()
    }
}

fn check_extension(extension: Extension, function: RangeFunction) -> Result<(), Error> {
    let allowed: &[&str] = match extension {
        Extension::Anchored => &["changes", "delta", "increase", "rate", "resets"],
        Extension::Smoothed => &["delta", "increase", "rate"],
    };
    if allowed.contains(&function.name()) {
        return Ok(());
    }
    Err(Error::Execution(format!(
        "{} modifier can only be used with: {} - not with {}",
        extension.keyword(),
        allowed.join(", "),
        function.name()
    )))
}
