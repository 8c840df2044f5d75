//! Operators between scalars, and between a vector and a scalar.
//!
//! Place in the flow: `Evaluator::eval` → **`binary`** → a scalar or a block.
//!
//! Not here: two vectors (`join`, `set`).

use promql::ast::{Binary, BinaryOp, Span};

use super::narrow::Loses;
use super::{Evaluated, Evaluator};
use crate::block::Block;
use crate::error::Error;
use crate::histogram::binary::{Met, Site};
use crate::kernel::Element;

/// What an operator makes of two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Combined {
    /// A new number.
    Number(f64),
    /// Whether a comparison holds.
    Holds(bool),
    /// Nothing: the operator has no meaning for floats.
    Nothing,
}

/// Applies an operator to two numbers.
pub fn combine(op: BinaryOp, left: f64, right: f64) -> Combined {
    use Combined::{Holds, Nothing, Number};
    match op {
        BinaryOp::Add => Number(left + right),
        BinaryOp::Sub => Number(left - right),
        BinaryOp::Mul => Number(left * right),
        BinaryOp::Div => Number(left / right),
        BinaryOp::Mod => Number(left % right),
        BinaryOp::Pow => Number(left.powf(right)),
        BinaryOp::Atan2 => Number(left.atan2(right)),
        BinaryOp::Equal => Holds(left == right),
        BinaryOp::NotEqual => Holds(left != right),
        BinaryOp::Less => Holds(left < right),
        BinaryOp::LessEqual => Holds(left <= right),
        BinaryOp::Greater => Holds(left > right),
        BinaryOp::GreaterEqual => Holds(left >= right),
        BinaryOp::TrimUpper | BinaryOp::TrimLower => Nothing,
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => Nothing,
    }
}

impl Evaluator<'_> {
    /// Evaluates a binary expression.
    pub fn binary(&self, span: Span, binary: &Binary) -> Result<Evaluated, Error> {
        let is_trim = matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        let own = if is_trim { self.for_histograms(true) } else { *self };
        let matching = binary.matching.as_ref();
        let loses = matching.and_then(|matching| Some((Loses::of(binary.op, matching)?, matching)));
        let (left, right) = match loses {
            Some(loses) => {
                let sides = own.sides(binary)?;
                own.narrowed(binary, loses, sides)?
            }
            None => (own.eval(&binary.left)?, own.eval(&binary.right)?),
        };
        match (left, right) {
            (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
                let pairs = left.into_iter().zip(right);
                Ok(Evaluated::Scalar(pairs.map(|(a, b)| scalar(binary.op, a, b)).collect()))
            }
            (Evaluated::Vector(block), Evaluated::Scalar(scalars)) => {
                self.with_scalar(span, binary, block, Operand { scalars, is_left: false })
            }
            (Evaluated::Scalar(scalars), Evaluated::Vector(block)) => {
                self.with_scalar(span, binary, block, Operand { scalars, is_left: true })
            }
            (Evaluated::Vector(left), Evaluated::Vector(right)) => {
                let matching =
                    matching.ok_or_else(|| Error::Execution("matching is missing".to_owned()))?;
                if binary.op.is_set() {
                    return self.set(binary.op, matching, left, right).map(Evaluated::Vector);
                }
                self.join(span, binary, matching, (left, right)).map(Evaluated::Vector)
            }
            _ => Err(Error::Execution(
                "binary expression must contain only scalar and instant vector types".to_owned(),
            )),
        }
    }

    fn with_scalar(
        &self,
        span: Span,
        binary: &Binary,
        block: Block,
        operand: Operand,
    ) -> Result<Evaluated, Error> {
        let (op, steps) = (binary.op, block.steps());
        let is_trim = matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        if is_trim && (0..block.len()).any(|series| block.points(series).next().is_some()) {
            self.context.notes.incompatible_types(span, op.sign(), "float", "float");
        }
        let is_filter = op.is_comparison() && !binary.return_bool;
        let mut block = block;
        let mut histograms = block.take_histograms();
        if !histograms.is_empty() {
            let site = Site { op, span, notes: &self.context.notes };
            histograms = histograms
                .into_iter()
                .filter_map(|(at, own)| {
                    let scalar = Element::Float(operand.scalars[at % steps]);
                    let own = Element::Histogram(own);
                    let met = match operand.is_left {
                        true => site.combine(&scalar, &own),
                        false => site.combine(&own, &scalar),
                    };
                    match met {
                        Some(Met::Element(Element::Histogram(histogram))) => Some((at, histogram)),
                        _ => None,
                    }
                })
                .collect();
        }
        let block = block.filter_map_values(|step, value| {
            let scalar = operand.scalars[step];
            let (left, right) = if operand.is_left { (scalar, value) } else { (value, scalar) };
            match combine(op, left, right) {
                Combined::Number(number) => Some(number),
                Combined::Holds(holds) if is_filter => holds.then_some(value),
                Combined::Holds(holds) => Some(f64::from(u8::from(holds))),
                Combined::Nothing => None,
            }
        });
        let block = block.with_histograms(histograms);
        let block = if is_filter || is_trim { block } else { self.drop_names(block)? };
        Ok(Evaluated::Vector(block))
    }
}

/// The scalar side of an operator: one number per step.
struct Operand {
    scalars: Vec<f64>,
    is_left: bool,
}

/// Two scalars; a comparison gives 0 or 1.
fn scalar(op: BinaryOp, left: f64, right: f64) -> f64 {
    match combine(op, left, right) {
        Combined::Number(number) => number,
        Combined::Holds(holds) => f64::from(u8::from(holds)),
        Combined::Nothing => f64::NAN,
    }
}
