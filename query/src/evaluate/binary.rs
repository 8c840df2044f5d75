//! Operators between scalars, and between a vector and a scalar.
//!
//! Place in the flow: `Evaluator::eval` → **`binary`** → a scalar or a block.
//!
//! Not here: two vectors (`join`, `set`).

use promql::ast::{Binary, BinaryOp, Span};

use super::{Evaluated, Evaluator};
use crate::block::Block;
use crate::error::Error;

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
        let (left, right) = (self.eval(&binary.left)?, self.eval(&binary.right)?);
        match (left, right) {
            (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
                let pairs = left.into_iter().zip(right);
                Ok(Evaluated::Scalar(pairs.map(|(a, b)| scalar(binary.op, a, b)).collect()))
            }
            (Evaluated::Vector(block), Evaluated::Scalar(scalars)) => {
                self.with_scalar(span, binary, block, |step, value| (value, scalars[step]))
            }
            (Evaluated::Scalar(scalars), Evaluated::Vector(block)) => {
                self.with_scalar(span, binary, block, |step, value| (scalars[step], value))
            }
            (Evaluated::Vector(left), Evaluated::Vector(right)) => {
                let matching = binary.matching.as_ref();
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
        operands: impl Fn(usize, f64) -> (f64, f64),
    ) -> Result<Evaluated, Error> {
        let op = binary.op;
        if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
            if !block.is_empty() {
                self.context.notes.incompatible_types(span, op.sign(), "float", "float");
            }
            return Ok(Evaluated::Vector(self.empty_block()));
        }
        let is_filter = op.is_comparison() && !binary.return_bool;
        let block = block.filter_map_values(|step, value| {
            let (left, right) = operands(step, value);
            match combine(op, left, right) {
                Combined::Number(number) => Some(number),
                Combined::Holds(holds) if is_filter => holds.then_some(value),
                Combined::Holds(holds) => Some(f64::from(u8::from(holds))),
                Combined::Nothing => None,
            }
        });
        let block = if is_filter { block } else { self.drop_names(block)? };
        Ok(Evaluated::Vector(block))
    }
}

/// Two scalars; a comparison gives 0 or 1.
fn scalar(op: BinaryOp, left: f64, right: f64) -> f64 {
    match combine(op, left, right) {
        Combined::Number(number) => number,
        Combined::Holds(holds) => f64::from(u8::from(holds)),
        Combined::Nothing => f64::NAN,
    }
}
