//! Functions of one number: rounding, powers, logarithms, angles, limits.
//!
//! Place in the flow: `function::call` → **`math`** → the same series with other values.
//!
//! Not here: functions over windows (`kernel`).

use promql::ast::Expr;

use crate::block::Block;
use crate::error::Error;
use crate::evaluate::Evaluator;

/// The function of a name, if it maps number to number.
pub fn of(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "sgn" => sign,
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// -1, 0 or 1; zero and NaN stay as they are.
fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// `clamp`, `clamp_min`, `clamp_max`, `round`.
pub fn call(own: &Evaluator, name: &str, args: &[Expr]) -> Result<Block, Error> {
    let block = own.eval_vector(&args[0])?;
    let params = args[1..].iter().map(|arg| own.eval_scalar(arg));
    let params = params.collect::<Result<Vec<_>, _>>()?;
    let block = match name {
        "clamp_min" => block.map_values(|step, value| at_least(value, params[0][step])),
        "clamp_max" => block.map_values(|step, value| at_most(value, params[0][step])),
        "clamp" => block.filter_map_values(|step, value| {
            let (low, high) = (params[0][step], params[1][step]);
            let is_empty = high < low;
            (!is_empty).then(|| at_least(at_most(value, high), low))
        }),
        _ => match params.first() {
            // Dividing by the inverse keeps multiples of 0.1 and the like exact.
            Some(nearest) => block.map_values(|step, value| {
                let inverse = 1.0 / nearest[step];
                (value * inverse + 0.5).floor() / inverse
            }),
            None => block.map_values(|_, value| (value + 0.5).floor()),
        },
    };
    own.drop_names(block)
}

fn at_least(value: f64, low: f64) -> f64 {
    if value.is_nan() || low.is_nan() { f64::NAN } else { value.max(low) }
}

fn at_most(value: f64, high: f64) -> f64 {
    if value.is_nan() || high.is_nan() { f64::NAN } else { value.min(high) }
}
