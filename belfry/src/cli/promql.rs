//! `belfry promql format|check|explain|label-matchers`: expressions, looked at without data.
//!
//! Place in the flow: arguments → the language alone ([`promql`]) → text. Nothing is asked of a server.

use std::io::Read;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use model::Matcher;
use model::matcher::MatchOp;
use promql::ast::{Expr, ExprKind, VectorSelector};
use promql::{ParseOptions, QUERY_BYTES_MAX};

use super::{fail, say};

/// What is done with an expression.
#[derive(Debug, Clone, Subcommand)]
pub enum Promql {
    /// Print an expression laid out.
    Format {
        /// The expression; `-` reads it from standard input.
        #[arg(value_name = "EXPR", allow_hyphen_values = true)]
        expr: String,
    },
    /// Say what is wrong with an expression, and where; exit code 1 if something is.
    Check {
        /// The expression; `-` reads it from standard input.
        #[arg(value_name = "EXPR", allow_hyphen_values = true)]
        expr: String,
    },
    /// Print an expression as a tree: what each part is and gives.
    Explain {
        /// The expression; `-` reads it from standard input.
        #[arg(value_name = "EXPR", allow_hyphen_values = true)]
        expr: String,
    },
    /// Change the label matchers of all selectors of an expression.
    LabelMatchers {
        #[command(subcommand)]
        change: Change,
    },
}

/// What is done with matchers.
#[derive(Debug, Clone, Subcommand)]
pub enum Change {
    /// Set a matcher; it replaces those of the same label.
    Set {
        /// How the label is compared.
        #[arg(
            short = 't',
            long = "type",
            value_enum,
            default_value = "=",
            value_name = "OPERATOR"
        )]
        operator: Operator,
        /// The expression.
        #[arg(value_name = "EXPR", allow_hyphen_values = true)]
        expr: String,
        /// The label's name.
        #[arg(value_name = "NAME")]
        name: String,
        /// The label's value, or a regular expression.
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Remove the matchers of a label.
    Delete {
        /// The expression.
        #[arg(value_name = "EXPR", allow_hyphen_values = true)]
        expr: String,
        /// The label's name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// The four comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Operator {
    /// The value itself.
    #[value(name = "=")]
    Equal,
    /// Any other value.
    #[value(name = "!=")]
    NotEqual,
    /// A regular expression.
    #[value(name = "=~")]
    Regex,
    /// What a regular expression does not match.
    #[value(name = "!~")]
    NotRegex,
}

/// Does what the arguments say.
pub fn main(what: Promql) -> ExitCode {
    let done = match what {
        Promql::Format { expr } => read(&expr).map(|(_, tree)| promql::pretty(&tree)),
        Promql::Check { expr } => {
            read(&expr).map(|(_, tree)| format!("SUCCESS: gives {}", tree.value_type().describe()))
        }
        Promql::Explain { expr } => read(&expr).map(|(text, tree)| explained(&text, &tree)),
        Promql::LabelMatchers { change } => changed(&change),
    };
    match done {
        Ok(text) => say(&text),
        Err(message) => fail(&message),
    }
}

/// The text and its tree, or every problem with its place.
fn read(expr: &str) -> Result<(String, Expr), String> {
    let mut text = expr.to_owned();
    if expr == "-" {
        text.clear();
        let limit = QUERY_BYTES_MAX as u64 + 1;
        let taken = std::io::stdin().take(limit).read_to_string(&mut text);
        taken.map_err(|error| format!("read standard input: {error}"))?;
    }
    match promql::parse(&text, &ParseOptions::all()) {
        Ok(tree) => Ok((text, tree)),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(|problem| problem.render(&text)).collect();
            Err(lines.join("\n"))
        }
    }
}

/// One line per node, indented by depth.
fn explained(text: &str, tree: &Expr) -> String {
    let mut lines = Vec::new();
    explain(text, tree, 0, &mut lines);
    lines.join("\n")
}

fn explain(text: &str, expr: &Expr, depth: usize, lines: &mut Vec<String>) {
    let gives = expr.value_type().describe();
    let part = text.get(expr.span.start_byte..expr.span.end_byte).unwrap_or_default();
    let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = match &expr.kind {
        ExprKind::Number(_) => "number".to_owned(),
        ExprKind::String(_) => "text".to_owned(),
        ExprKind::Vector(_) => "newest value of each series".to_owned(),
        ExprKind::Matrix(_) => "values of each series in a window".to_owned(),
        ExprKind::Subquery(_) => "expression over a window of its own".to_owned(),
        ExprKind::Unary(_) => "sign".to_owned(),
        ExprKind::Binary(binary) => format!("operator {}", binary.op.sign()),
        ExprKind::Aggregate(aggregate) => format!("aggregation {}", aggregate.op.name()),
        ExprKind::Call(call) => format!("function {}", call.function.name),
        ExprKind::Paren(_) => "parentheses".to_owned(),
    };
    lines.push(format!("{}{what}, gives {gives}: {part}", "  ".repeat(depth)));
    for child in expr.children() {
        explain(text, child, depth + 1, lines);
    }
}

fn changed(change: &Change) -> Result<String, String> {
    let (Change::Set { expr, name, .. } | Change::Delete { expr, name }) = change;
    let mut tree = read(expr)?.1;
    let set = match change {
        Change::Delete { .. } => None,
        Change::Set { operator, value, .. } => {
            let operator = match operator {
                Operator::Equal => MatchOp::Equal,
                Operator::NotEqual => MatchOp::NotEqual,
                Operator::Regex => MatchOp::Regex,
                Operator::NotRegex => MatchOp::NotRegex,
            };
            Some(Matcher::new(name, operator, value).map_err(|error| format!("{value}: {error}"))?)
        }
    };
    each_selector(&mut tree, &mut |selector| {
        selector.matchers.retain(|own| own.name() != name);
        selector.matchers.extend(set.clone());
        if name == model::labels::METRIC_NAME {
            let is_plain = |own: &&Matcher| own.op() == MatchOp::Equal;
            selector.name = set.as_ref().filter(is_plain).map(|own| own.value().to_owned());
        }
    });
    // A selector must not match every series there is.
    let text = promql::pretty(&tree);
    read(&text)?;
    Ok(text)
}

/// Visits the selectors; the tree's depth is bounded by the parser.
fn each_selector(expr: &mut Expr, visit: &mut impl FnMut(&mut VectorSelector)) {
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => {}
        ExprKind::Vector(selector) => visit(selector),
        ExprKind::Matrix(matrix) => visit(&mut matrix.selector),
        ExprKind::Subquery(subquery) => each_selector(&mut subquery.expr, visit),
        ExprKind::Unary(unary) => each_selector(&mut unary.operand, visit),
        ExprKind::Binary(binary) => {
            each_selector(&mut binary.left, visit);
            each_selector(&mut binary.right, visit);
        }
        ExprKind::Aggregate(aggregate) => {
            if let Some(parameter) = &mut aggregate.parameter {
                each_selector(parameter, visit);
            }
            each_selector(&mut aggregate.expr, visit);
        }
        ExprKind::Call(call) => call.args.iter_mut().for_each(|arg| each_selector(arg, visit)),
        ExprKind::Paren(inner) => each_selector(inner, visit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expr: &str, set: Option<(&str, Operator)>, expected: &str) {
        let (expr, name) = (expr.to_owned(), "job".to_owned());
        let change = match set {
            None => Change::Delete { expr, name },
            Some((value, operator)) => {
                Change::Set { operator, expr, name, value: value.to_owned() }
            }
        };
        assert_eq!(changed(&change), Ok(expected.to_owned()));
    }

    #[test]
    fn matchers_change() {
        check("up", Some(("a", Operator::Equal)), r#"up{job="a"}"#);
        check(
            r#"sum(rate(x{job!="b",job="c"}[5m])) / on() y"#,
            Some(("a.*", Operator::Regex)),
            r#"sum(rate(x{job=~"a.*"}[5m])) / on () y{job=~"a.*"}"#,
        );
        check(r#"up{job="a",b="c"}"#, None, r#"up{b="c"}"#);
        let change = Change::Delete { expr: r#"{job="a"}"#.to_owned(), name: "job".to_owned() };
        assert!(changed(&change).is_err(), "matches everything");
    }

    #[test]
    fn a_tree_is_explained() {
        let (text, tree) = read("sum(rate(x[5m])) > 1").expect("an expression");
        let lines = [
            "operator >, gives instant vector: sum(rate(x[5m])) > 1",
            "  aggregation sum, gives instant vector: sum(rate(x[5m]))",
            "    function rate, gives instant vector: rate(x[5m])",
            "      values of each series in a window, gives range vector: x[5m]",
            "  number, gives scalar: 1",
        ];
        assert_eq!(explained(&text, &tree), lines.join("\n"));
    }
}
