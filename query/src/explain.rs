//! What each part of a query cost, as a tree.
//!
//! Place in the flow: a query that asks for it is measured while it is evaluated → **`tree`** joins
//! what was measured with the parsed tree → the API, the command line.
//!
//! A part may have no time of its own: the leaf operator computes `sum(rate(x[5m]))` in one go, so
//! `rate` is fused into `sum`. Times of a part hold those of the parts below it.
//!
//! Not here: plans; the engine evaluates the tree as it was parsed.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use promql::ast::{Expr, ExprKind, Span};

use crate::evaluate::Evaluated;
use crate::value::NodeStats;

/// What one part of the query cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// What it is, such as `aggregate sum` or `selector`.
    pub kind: String,
    /// Its text.
    pub text: String,
    /// Where it stands in the query, in bytes.
    pub start_byte: usize,
    /// Where it ends.
    pub end_byte: usize,
    /// Computed together with the part above it: it has no time of its own.
    pub is_fused: bool,
    /// Series it gave; of a selector, series chosen.
    pub series: u64,
    /// Samples read from the store, those of the parts below included.
    pub samples: u64,
    /// Bytes of the blocks of numbers that selectors produced, those below included.
    pub bytes: u64,
    /// What was read of the disk for it, those below included.
    pub reads: Reads,
    /// Time, that of the parts below included.
    pub time_us: u64,
    /// The parts right below, in the order of the text.
    pub children: Vec<Node>,
}

/// What was read of the disk, and what was not.
pub use storage::Reads;

/// What was measured of one part.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    time: Duration,
    series: u64,
}

/// Measures the parts of one query.
#[derive(Debug, Default)]
pub struct Trace {
    parts: HashMap<(usize, usize), Measured>,
}

impl Trace {
    /// Takes note of a part that has been evaluated.
    pub fn note(&mut self, span: Span, started: Instant, value: &Evaluated) {
        let part = self.parts.entry((span.start_byte, span.end_byte)).or_default();
        part.time += started.elapsed();
        part.series = match value {
            Evaluated::Vector(block) => block.len() as u64,
            Evaluated::Scalar(_) | Evaluated::Text(_) => 1,
        };
    }

    /// The tree of a query.
    pub fn tree(&self, expr: &Expr, text: &str, selectors: &[NodeStats]) -> Node {
        let Span { start_byte, end_byte } = expr.span;
        let children: Vec<Node> =
            expr.children().into_iter().map(|child| self.tree(child, text, selectors)).collect();
        let mut node = Node {
            kind: kind(expr),
            text: text.get(start_byte..end_byte).unwrap_or_default().to_owned(),
            start_byte,
            end_byte,
            samples: children.iter().map(|child| child.samples).sum(),
            bytes: children.iter().map(|child| child.bytes).sum(),
            time_us: children.iter().map(|child| child.time_us).sum(),
            ..Node::default()
        };
        children.iter().for_each(|child| node.reads += child.reads);
        node.children = children;
        let measured = self.parts.get(&(start_byte, end_byte));
        if matches!(expr.kind, ExprKind::Vector(_) | ExprKind::Matrix(_)) {
            // A selector in a subquery or used twice is read more than once.
            let inside = |own: &&NodeStats| {
                start_byte <= own.span.start_byte && own.span.end_byte <= end_byte
            };
            for own in selectors.iter().filter(inside) {
                node.series = node.series.max(own.series);
                node.samples += own.samples;
                node.bytes += own.bytes;
                node.time_us += own.time_us;
                node.reads += own.reads;
            }
            node.time_us = node.time_us.max(measured.map_or(0, micros));
            return node;
        }
        let is_plain = matches!(expr.kind, ExprKind::Number(_) | ExprKind::String(_));
        match measured {
            Some(own) => (node.series, node.time_us) = (own.series, micros(own)),
            None => node.is_fused = !is_plain,
        }
        node
    }
}

fn micros(own: &Measured) -> u64 {
    u64::try_from(own.time.as_micros()).unwrap_or(u64::MAX)
}

fn kind(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Number(_) => "number".to_owned(),
        ExprKind::String(_) => "string".to_owned(),
        ExprKind::Vector(_) => "selector".to_owned(),
        ExprKind::Matrix(_) => "range selector".to_owned(),
        ExprKind::Subquery(_) => "subquery".to_owned(),
        ExprKind::Unary(_) => "sign".to_owned(),
        ExprKind::Binary(binary) => format!("operator {}", binary.op.sign()),
        ExprKind::Aggregate(aggregate) => format!("aggregate {}", aggregate.op.name()),
        ExprKind::Call(call) => format!("function {}", call.function.name),
        ExprKind::Paren(_) => "parentheses".to_owned(),
    }
}

impl Node {
    fn write(&self, f: &mut fmt::Formatter<'_>, before: &str, branch: &str) -> fmt::Result {
        let text: String = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "{before}{branch}{}: {text}  [", self.kind)?;
        if self.is_fused {
            write!(f, "fused")?;
        } else {
            write!(f, "{:.3} ms, series {}", self.time_us as f64 / 1000.0, self.series)?;
        }
        if self.samples > 0 {
            write!(f, ", samples {}, bytes {}", self.samples, self.bytes)?;
        }
        let Reads { blocks_read, blocks_pruned, pages_read, pages_pruned, bytes_read } = self.reads;
        if self.reads != Reads::default() {
            write!(f, ", blocks {blocks_read} read {blocks_pruned} pruned")?;
            write!(f, ", pages {pages_read} read {pages_pruned} pruned, disk bytes {bytes_read}")?;
        }
        writeln!(f, "]")?;
        let below = match branch {
            "" => before.to_owned(),
            "└─ " => format!("{before}   "),
            _ => format!("{before}│  "),
        };
        for (index, child) in self.children.iter().enumerate() {
            let is_last = index + 1 == self.children.len();
            child.write(f, &below, if is_last { "└─ " } else { "├─ " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Node {
    /// As lines of text, one per part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, "", "")
    }
}
