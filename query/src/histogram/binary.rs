//! Operators between elements: numbers, histograms, one of each.
//!
//! Place in the flow: `evaluate::binary`, `evaluate::join` → **`binary`** → an element, a verdict, or
//! nothing and a note.
//!
//! Not here: which elements meet.

use std::sync::Arc;

use model::Histogram;
use model::histogram::{ResetHint, Total};
use promql::ast::{BinaryOp, Span};

use super::shape::trimmed;
use crate::evaluate::binary::{Combined, combine};
use crate::kernel::Element;
use crate::notes::Notes;

/// What came of two elements.
#[derive(Debug)]
pub enum Met {
    /// A new element.
    Element(Element),
    /// Whether a comparison holds.
    Holds(bool),
}

/// One operator at its place.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The operator.
    pub op: BinaryOp,
    /// Where the expression stands.
    pub span: Span,
    /// Where notes go.
    pub notes: &'a Notes,
}

impl Site<'_> {
    /// Applies the operator; what has no meaning gives nothing and is noted.
    pub fn combine(self, left: &Element, right: &Element) -> Option<Met> {
        let histogram = |own: Histogram| Some(Met::Element(Element::Histogram(Arc::new(own))));
        match (left, right, self.op) {
            (Element::Float(a), Element::Float(b), op) => match combine(op, *a, *b) {
                Combined::Number(number) => return Some(Met::Element(Element::Float(number))),
                Combined::Holds(holds) => return Some(Met::Holds(holds)),
                Combined::Nothing => {}
            },
            (Element::Float(factor), Element::Histogram(own), BinaryOp::Mul)
            | (Element::Histogram(own), Element::Float(factor), BinaryOp::Mul) => {
                return histogram(own.scaled(*factor));
            }
            (Element::Histogram(own), Element::Float(divisor), BinaryOp::Div) => {
                return histogram(own.divided(*divisor));
            }
            (Element::Histogram(own), Element::Float(at), BinaryOp::TrimUpper) => {
                return histogram(trimmed(own, *at, true));
            }
            (Element::Histogram(own), Element::Float(at), BinaryOp::TrimLower) => {
                return histogram(trimmed(own, *at, false));
            }
            (Element::Histogram(a), Element::Histogram(b), BinaryOp::Add) => return self.add(a, b),
            (Element::Histogram(a), Element::Histogram(b), BinaryOp::Sub) => return self.sub(a, b),
            (Element::Histogram(a), Element::Histogram(b), BinaryOp::Equal) => {
                return Some(Met::Holds(a.same(b)));
            }
            (Element::Histogram(a), Element::Histogram(b), BinaryOp::NotEqual) => {
                return Some(Met::Holds(!a.same(b)));
            }
            _ => {}
        }
        self.notes.incompatible_types(self.span, self.op.sign(), left.kind(), right.kind());
        None
    }

    fn add(self, left: &Histogram, right: &Histogram) -> Option<Met> {
        let sum = self.total(left, right, 1.0, "addition")?.value();
        Some(Met::Element(Element::Histogram(Arc::new(sum))))
    }

    fn sub(self, left: &Histogram, right: &Histogram) -> Option<Met> {
        let difference = self.total(left, right, -1.0, "subtraction")?.value();
        let difference = Histogram { hint: ResetHint::Gauge, ..difference };
        Some(Met::Element(Element::Histogram(Arc::new(difference))))
    }

    fn total(self, left: &Histogram, right: &Histogram, sign: f64, name: &str) -> Option<Total> {
        let mut total = Total::of(left);
        match total.add(right, sign) {
            Ok(added) => self.notes.added(self.span, added, name),
            Err(_) => {
                self.notes.incompatible_bounds(self.span, self.op.sign());
                return None;
            }
        }
        Some(total)
    }
}
