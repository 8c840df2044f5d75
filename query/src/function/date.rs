//! Parts of a date in UTC.
//!
//! Place in the flow: `function::call` → **`date`** → the same series with other values.
//!
//! Not here: time zones; PromQL has none.

use promql::ast::Expr;

use super::one_series;
use crate::block::Block;
use crate::error::Error;
use crate::evaluate::Evaluator;

/// A civil date and the seconds of its day.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    days_since_epoch: i64,
    second_of_day: i64,
}

/// A function from a date to a number.
pub struct Part(fn(&Civil) -> i64);

/// The part that a function names.
pub fn of(name: &str) -> Option<Part> {
    Some(Part(match name {
        "day_of_month" => |date| date.day,
        "day_of_week" => |date| (date.days_since_epoch + 4).rem_euclid(7),
        "day_of_year" => |date| date.days_since_epoch - days_from_civil(date.year, 1, 1) + 1,
        "days_in_month" => |date| days_in_month(date.year, date.month),
        "hour" => |date| date.second_of_day / 3600,
        "minute" => |date| date.second_of_day / 60 % 60,
        "month" => |date| date.month,
        "year" => |date| date.year,
        _ => return None,
    }))
}

/// Evaluates a date function; without argument of the evaluation time.
pub fn call(own: &Evaluator, part: Part, args: &[Expr]) -> Result<Block, Error> {
    let of_value = |seconds: f64| {
        let date = civil(seconds);
        date.map_or(f64::NAN, |date| (part.0)(&date) as f64)
    };
    match args.first() {
        Some(argument) => {
            let block = own.eval_vector(argument)?;
            own.drop_names(block.map_values(|_, value| of_value(value)))
        }
        None => {
            let times = own.grid.instants().map(|at| of_value(at as f64 / 1000.0));
            one_series(own, times.collect())
        }
    }
}

/// The date of seconds since the epoch; `None` for what is no whole number of 64 bits.
fn civil(seconds: f64) -> Option<Civil> {
    let limit = i64::MAX as f64;
    if !(-limit..limit).contains(&seconds) {
        return None;
    }
    let seconds = seconds as i64;
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is the last one.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(Civil { year, month, day, days_since_epoch: days, second_of_day })
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: f64, name: &str, expected: i64) {
        let part = of(name).expect("a date function");
        assert_eq!((part.0)(&civil(seconds).expect("a date")), expected, "{name} of {seconds}");
    }

    #[test]
    fn parts() {
        check(1_136_239_445.0, "year", 2006);
        check(1_136_239_445.0, "day_of_week", 1);
        check(1_456_790_399.0, "day_of_month", 29);
        check(1_483_191_420.0, "day_of_year", 366);
        check(1_454_284_800.0, "days_in_month", 29);
        check(1_485_907_200.0, "days_in_month", 28);
        check(-1.0, "year", 1969);
        check(-1.0, "hour", 23);
        check(1e18, "year", 31_688_740_476);
        check(1e18, "day_of_month", 23);
        assert!(civil(f64::NAN).is_none() && civil(f64::INFINITY).is_none());
    }
}
