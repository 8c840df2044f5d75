//! Writes a tree as text: on one line, or laid out over lines as Prometheus's formatter does.
//!
//! Place in the flow: tree → **`print`** → rule files, the HTTP interface, error messages.
//!
//! Invariant: parsing what was printed gives the same tree, apart from positions.
//!
//! Not here: comments; the tree does not hold them.

use std::fmt::{self, Write};

use model::duration::format_duration_ms;
use model::labels::{METRIC_NAME, is_label_name, is_metric_name};

use crate::ast::{
    Aggregate, AtTime, Binary, BinaryOp, Call, Cardinality, Duration, DurationExpr, DurationKind,
    Expr, ExprKind, MatrixSelector, Modifiers, NumberLiteral, Subquery, UnaryOp, VectorSelector,
};
use crate::literal::quote;
use crate::token::is_reserved;

/// Longest line before the layout breaks an expression up.
const LINE_BYTES_MAX: usize = 100;

/// Numbers of a million and above are written with an exponent, as Prometheus does.
const EXPONENT_FROM: i32 = 6;

/// The expression on one line.
pub fn print(expr: &Expr) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_expr(&mut out, expr);
    out
}

/// The expression laid out: what is longer than 100 bytes is broken up and indented.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    let _ = write_pretty(&mut out, expr, 0);
    out
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_expr(f, self)
    }
}

/// Takes at most a line and refuses the rest, so that measuring costs no more than a line.
struct Line(String);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        if self.0.len() > LINE_BYTES_MAX { Err(fmt::Error) } else { Ok(()) }
    }
}

fn write_pretty(out: &mut String, expr: &Expr, level: usize) -> fmt::Result {
    let mut line = Line(String::new());
    let indent = "  ".repeat(level);
    out.push_str(&indent);
    if write_expr(&mut line, expr).is_ok() {
        out.push_str(&line.0);
        return Ok(());
    }
    match &expr.kind {
        ExprKind::Binary(binary) => {
            out.truncate(out.len() - indent.len());
            write_pretty(out, &binary.left, level + 1)?;
            write!(out, "\n{indent}")?;
            write_operator(out, binary)?;
            out.push('\n');
            write_pretty(out, &binary.right, level + 1)
        }
        ExprKind::Aggregate(aggregate) => {
            write_aggregate_head(out, aggregate)?;
            let parameter = aggregate.parameter.iter();
            write_pretty_list(out, parameter.chain([&aggregate.expr]), level)
        }
        ExprKind::Call(call) => {
            out.push_str(call.function.name);
            write_pretty_list(out, call.args.iter(), level)
        }
        ExprKind::Paren(inner) => write_pretty_list(out, std::iter::once(inner.as_ref()), level),
        ExprKind::Subquery(subquery) => {
            out.truncate(out.len() - indent.len());
            write_pretty(out, &subquery.expr, level)?;
            write_subquery_tail(out, subquery)
        }
        ExprKind::Unary(unary) => {
            out.push_str(unary_sign(unary.op));
            let mut operand = String::new();
            write_pretty(&mut operand, &unary.operand, level)?;
            out.push_str(operand.trim());
            Ok(())
        }
        _ => write_expr(out, expr),
    }
}

fn write_pretty_list<'a>(
    out: &mut String,
    items: impl Iterator<Item = &'a Expr>,
    level: usize,
) -> fmt::Result {
    out.push('(');
    let mut separator = "\n";
    for item in items {
        out.push_str(separator);
        write_pretty(out, item, level + 1)?;
        separator = ",\n";
    }
    write!(out, "\n{})", "  ".repeat(level))
}

fn write_expr(out: &mut dyn Write, expr: &Expr) -> fmt::Result {
    match &expr.kind {
        ExprKind::Number(number) => write_number(out, number),
        ExprKind::String(text) => out.write_str(&quote(&text.bytes)),
        ExprKind::Vector(selector) => {
            write_selector(out, selector)?;
            write_selector_tail(out, selector)
        }
        ExprKind::Matrix(matrix) => write_matrix(out, matrix),
        ExprKind::Subquery(subquery) => {
            write_expr(out, &subquery.expr)?;
            write_subquery_tail(out, subquery)
        }
        ExprKind::Unary(unary) => {
            out.write_str(unary_sign(unary.op))?;
            write_expr(out, &unary.operand)
        }
        ExprKind::Binary(binary) => {
            match &binary.left.kind {
                // `+Inf ^ 2` would read as a sign before a power.
                ExprKind::Number(number)
                    if number.value == f64::INFINITY && binary.op == BinaryOp::Pow =>
                {
                    out.write_str("Inf")?
                }
                _ => write_expr(out, &binary.left)?,
            }
            out.write_char(' ')?;
            write_operator(out, binary)?;
            out.write_char(' ')?;
            write_expr(out, &binary.right)
        }
        ExprKind::Aggregate(aggregate) => {
            write_aggregate_head(out, aggregate)?;
            write_list(out, aggregate.parameter.iter().chain([&aggregate.expr]))
        }
        ExprKind::Call(call) => write_call(out, call),
        ExprKind::Paren(inner) => write_list(out, std::iter::once(inner.as_ref())),
    }
}

fn write_call(out: &mut dyn Write, call: &Call) -> fmt::Result {
    out.write_str(call.function.name)?;
    write_list(out, call.args.iter())
}

fn write_list<'a>(out: &mut dyn Write, items: impl Iterator<Item = &'a Expr>) -> fmt::Result {
    out.write_char('(')?;
    let mut separator = "";
    for item in items {
        out.write_str(separator)?;
        write_expr(out, item)?;
        separator = ", ";
    }
    out.write_char(')')
}

fn unary_sign(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Plus => "+",
        UnaryOp::Minus => "-",
    }
}

fn write_number(out: &mut dyn Write, number: &NumberLiteral) -> fmt::Result {
    let value = number.value;
    let ms = (value.abs() * 1000.0).round();
    if number.is_duration && ms / 1000.0 == value.abs() {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        return write!(out, "{sign}{}", format_duration_ms(ms as u64));
    }
    if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        write_finite(out, value)
    }
}

/// The shortest digits that read back; with an exponent below 1e-4 and from a certain length on.
fn write_finite(out: &mut dyn Write, value: f64) -> fmt::Result {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..EXPONENT_FROM).contains(&exponent) {
        return write!(out, "{value}");
    }
    // Rust writes `1e-7`, the field writes `1e-07`.
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "{digits}e{sign}{:02}", exponent.abs())
}

fn write_selector(out: &mut dyn Write, selector: &VectorSelector) -> fmt::Result {
    let name = selector.name.as_deref();
    let plain_name = name.filter(|name| is_plain_name(name));
    let mut parts: Vec<String> = Vec::new();
    for matcher in &selector.matchers {
        if name.is_some() && matcher.name() == METRIC_NAME {
            continue;
        }
        let label = label_text(matcher.name());
        parts.push(format!("{label}{}{}", matcher.op().sign(), quote(matcher.value().as_bytes())));
    }
    parts.sort();
    out.write_str(plain_name.unwrap_or(""))?;
    if let (Some(name), None) = (name, plain_name) {
        parts.insert(0, quote(name.as_bytes()));
    }
    if parts.is_empty() && plain_name.is_some() {
        return Ok(());
    }
    write!(out, "{{{}}}", parts.join(","))
}

/// Whether a metric's name may stand before the braces.
fn is_plain_name(name: &str) -> bool {
    let is_number = name.eq_ignore_ascii_case("inf") || name.eq_ignore_ascii_case("nan");
    is_metric_name(name) && !is_reserved(name) && !is_number
}

/// A label's name where only a name can stand.
fn label_text(name: &str) -> String {
    if is_label_name(name) { name.to_owned() } else { quote(name.as_bytes()) }
}

/// A list of labels in parentheses, where `inf` would read as a number.
fn label_list(labels: &[String]) -> String {
    let text = |label: &String| {
        let is_number = label.eq_ignore_ascii_case("inf") || label.eq_ignore_ascii_case("nan");
        if is_number { quote(label.as_bytes()) } else { label_text(label) }
    };
    labels.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn write_selector_tail(out: &mut dyn Write, selector: &VectorSelector) -> fmt::Result {
    if let Some(extension) = selector.extension {
        write!(out, " {}", extension.keyword())?;
    }
    write_modifiers(out, &selector.modifiers)
}

fn write_matrix(out: &mut dyn Write, matrix: &MatrixSelector) -> fmt::Result {
    write_selector(out, &matrix.selector)?;
    out.write_char('[')?;
    write_duration(out, &matrix.range)?;
    out.write_char(']')?;
    write_selector_tail(out, &matrix.selector)
}

fn write_subquery_tail(out: &mut dyn Write, subquery: &Subquery) -> fmt::Result {
    out.write_char('[')?;
    write_duration(out, &subquery.range)?;
    out.write_char(':')?;
    if let Some(step) = &subquery.step {
        write_duration(out, step)?;
    }
    out.write_char(']')?;
    write_modifiers(out, &subquery.modifiers)
}

fn write_modifiers(out: &mut dyn Write, modifiers: &Modifiers) -> fmt::Result {
    match modifiers.at.map(|at| at.time) {
        Some(AtTime::Fixed(at)) => {
            let sign = if at.0 < 0 { "-" } else { "" };
            let (seconds, ms) = (at.0.unsigned_abs() / 1000, at.0.unsigned_abs() % 1000);
            write!(out, " @ {sign}{seconds}.{ms:03}")?;
        }
        Some(AtTime::Start) => out.write_str(" @ start()")?,
        Some(AtTime::End) => out.write_str(" @ end()")?,
        None => {}
    }
    match &modifiers.offset {
        Some(offset) => {
            out.write_str(" offset ")?;
            write_duration(out, offset)
        }
        None => Ok(()),
    }
}

fn write_duration(out: &mut dyn Write, duration: &Duration) -> fmt::Result {
    match duration {
        Duration::Fixed { ms, .. } => {
            let sign = if *ms < 0 { "-" } else { "" };
            write!(out, "{sign}{}", format_duration_ms(ms.unsigned_abs()))
        }
        Duration::Computed(expr) => write_duration_expr(out, expr),
    }
}

fn write_duration_expr(out: &mut dyn Write, expr: &DurationExpr) -> fmt::Result {
    let pair_text = |out: &mut dyn Write, name: &str, pair: &(DurationExpr, DurationExpr)| {
        write!(out, "{name}(")?;
        write_duration_expr(out, &pair.0)?;
        out.write_str(", ")?;
        write_duration_expr(out, &pair.1)?;
        out.write_char(')')
    };
    match &expr.kind {
        DurationKind::Number(number) => write_number(out, number),
        DurationKind::Step => out.write_str("step()"),
        DurationKind::Range => out.write_str("range()"),
        DurationKind::Min(pair) => pair_text(out, "min_of", pair),
        DurationKind::Max(pair) => pair_text(out, "max_of", pair),
        DurationKind::Unary(op, inner) => {
            out.write_str(unary_sign(*op))?;
            write_duration_expr(out, inner)
        }
        DurationKind::Binary(op, pair) => {
            write_duration_expr(out, &pair.0)?;
            write!(out, " {} ", op.sign())?;
            write_duration_expr(out, &pair.1)
        }
        DurationKind::Paren(inner) => {
            out.write_char('(')?;
            write_duration_expr(out, inner)?;
            out.write_char(')')
        }
    }
}

/// The operator with `bool`, matching and fill values.
fn write_operator(out: &mut dyn Write, binary: &Binary) -> fmt::Result {
    out.write_str(binary.op.sign())?;
    if binary.return_bool {
        out.write_str(" bool")?;
    }
    let Some(matching) = &binary.matching else { return Ok(()) };
    let is_grouped =
        matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
    if matching.on || !matching.labels.is_empty() || is_grouped {
        let keyword = if matching.on { "on" } else { "ignoring" };
        write!(out, " {keyword} ({})", label_list(&matching.labels))?;
    }
    if is_grouped {
        let keyword = match matching.cardinality {
            Cardinality::ManyToOne => "group_left",
            _ => "group_right",
        };
        write!(out, " {keyword} ({})", label_list(&matching.include))?;
    }
    let fills = match (&matching.fill_left, &matching.fill_right) {
        (Some(left), Some(right)) if left == right => [("fill", Some(left)), ("", None)],
        (left, right) => [("fill_left", left.as_ref()), ("fill_right", right.as_ref())],
    };
    for (keyword, value) in fills {
        if let Some(value) = value {
            write!(out, " {keyword} (")?;
            write_number(out, value)?;
            out.write_char(')')?;
        }
    }
    Ok(())
}

fn write_aggregate_head(out: &mut dyn Write, aggregate: &Aggregate) -> fmt::Result {
    out.write_str(aggregate.op.name())?;
    let grouping = &aggregate.grouping;
    if grouping.without {
        write!(out, " without ({}) ", label_list(&grouping.labels))
    } else if !grouping.labels.is_empty() {
        write!(out, " by ({}) ", label_list(&grouping.labels))
    } else {
        Ok(())
    }
}
