//! `label_replace` and `label_join`: the same values under other labels.
//!
//! Place in the flow: `function::call` → **`label`** → a block with other keys.
//!
//! A name that is written anew is kept, even if a function before wanted it dropped.
//!
//! Not here: dropping names (`evaluate`).

use std::sync::Arc;

use model::Labels;
use model::labels::METRIC_NAME;
use model::re2::Expression;
use promql::ast::Expr;

use crate::block::{Block, Key};
use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::names::{label_name, quoted};

/// What it takes to write a label anew, in simple operations.
const LABEL_WORK: usize = 2048;

/// `label_replace`
pub fn replace(own: &Evaluator, args: &[Expr]) -> Result<Block, Error> {
    let target = own.eval_text(&args[1])?;
    let replacement = text(own.eval_text(&args[2])?);
    let source = text(own.eval_text(&args[3])?);
    let pattern = own.eval_text(&args[4])?;
    let invalid = || {
        let pattern = String::from_utf8_lossy(&pattern);
        Error::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
    };
    let pattern = std::str::from_utf8(&pattern).map_err(|_| invalid())?;
    let compile = || Expression::framed(pattern).map(Arc::new);
    let regex = own.context.expressions.get_or(pattern, compile).map_err(|_| invalid())?;
    let Some(target) = label_name(&target) else {
        return Err(Error::Execution(format!(
            "invalid destination label name in label_replace(): {}",
            String::from_utf8_lossy(&target)
        )));
    };
    let block = own.eval_vector(&args[0])?;
    let pace = own.pace();
    let block = block.map_keys(|key| {
        if pace.is_over(LABEL_WORK) {
            return;
        }
        if let Some(captures) = regex.captures(key.labels.get(&source).unwrap_or("")) {
            let mut value = String::new();
            captures.expand(&replacement, &mut value);
            *key = with_label(key, target, &value);
        }
    });
    own.merge_equal(block)
}

/// `label_join`
pub fn join(own: &Evaluator, args: &[Expr]) -> Result<Block, Error> {
    let target = own.eval_text(&args[1])?;
    let separator = text(own.eval_text(&args[2])?);
    let Some(target) = label_name(&target) else {
        return Err(Error::Execution(format!(
            "invalid destination label name in label_join(): {}",
            quoted(&target).trim_matches('"')
        )));
    };
    let mut sources = Vec::new();
    for argument in &args[3..] {
        let source = own.eval_text(argument)?;
        let Some(source) = label_name(&source) else {
            return Err(Error::Execution(format!(
                "invalid source label name in label_join(): {}",
                quoted(&source).trim_matches('"')
            )));
        };
        sources.push(source.to_owned());
    }
    let block = own.eval_vector(&args[0])?;
    let pace = own.pace();
    let block = block.map_keys(|key| {
        if pace.is_over(LABEL_WORK) {
            return;
        }
        let values: Vec<&str> =
            sources.iter().map(|source| key.labels.get(source).unwrap_or("")).collect();
        *key = with_label(key, target, &values.join(&separator));
    });
    own.merge_equal(block)
}

fn with_label(key: &Key, target: &str, value: &str) -> Key {
    let mut builder = key.labels.to_builder();
    builder.set(target, value);
    let labels: Labels = builder.build();
    Key { labels, drop_name: key.drop_name && target != METRIC_NAME }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
