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
        "clamp_min" => block.map_values(|step, value| larger(value, params[0][step])),
        "clamp_max" => block.map_values(|step, value| smaller(value, params[0][step])),
        "clamp" => block.filter_map_values(|step, value| {
            let (low, high) = (params[0][step], params[1][step]);
            let is_empty = high < low;
            (!is_empty).then(|| larger(low, smaller(high, value)))
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

/// The larger of two numbers: +Inf beats NaN, NaN beats the rest, 0 beats -0.
pub fn larger(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        return f64::INFINITY;
    }
    let is_first = if a == b { a.is_sign_positive() } else { a > b };
    pick(a, b, is_first)
}

/// The smaller of two numbers: -Inf beats NaN, NaN beats the rest, -0 beats 0.
pub fn smaller(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    let is_first = if a == b { a.is_sign_negative() } else { a < b };
    pick(a, b, is_first)
}

fn pick(a: f64, b: f64, is_first: bool) -> f64 {
    match a.is_nan() || b.is_nan() {
        true => f64::NAN,
        false if is_first => a,
        false => b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: f64, b: f64, expected: (f64, f64)) {
        for (one, other) in [(a, b), (b, a)] {
            let got = (smaller(one, other), larger(one, other));
            let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            let is_same = same(got.0, expected.0) && same(got.1, expected.1);
            assert!(is_same, "{one} and {other}: {got:?}");
        }
    }

    #[test]
    fn smaller_and_larger() {
        check(1.0, 2.0, (1.0, 2.0));
        check(-0.0, 0.0, (-0.0, 0.0));
        check(f64::NAN, 1.0, (f64::NAN, f64::NAN));
        check(f64::NAN, f64::INFINITY, (f64::NAN, f64::INFINITY));
        check(f64::NAN, f64::NEG_INFINITY, (f64::NEG_INFINITY, f64::NAN));
        check(f64::INFINITY, f64::NEG_INFINITY, (f64::NEG_INFINITY, f64::INFINITY));
    }
}
