//! Functions by name.

use std::f64::consts::PI;

use promql::ast::{Call, Expr, ExprKind};

use super::classic;
use super::{Element, Labels, Moment, NAME, Outcome, Point, Value};

impl Moment<'_> {
    pub fn call(&self, call: &Call) -> Outcome<Value> {
        let (name, args) = (call.function.name, &call.args);
        if let Some(value) = self.scalar_call(name, args)? {
            return Ok(Value::Scalar(value));
        }
        let has_range = call.function.args.contains(&promql::ast::ValueType::Matrix);
        if has_range && name != "absent_over_time" {
            return self.range_call(call).map(Value::Vector);
        }
        if let Some(function) = of_number(name) {
            return self.each_number(&args[0], |value| Some(function(value))).map(Value::Vector);
        }
        if args.is_empty() || is_date(name) {
            return self.date(name, args).map(Value::Vector);
        }
        self.vector_call(name, args).map(Value::Vector)
    }

    fn scalar_call(&self, name: &str, args: &[Expr]) -> Outcome<Option<f64>> {
        let world = self.world;
        let seconds = |ms: i64| ms as f64 / 1000.0;
        Ok(Some(match name {
            "pi" => PI,
            "time" => seconds(self.at_ms),
            "start" => seconds(world.start_ms),
            "end" => seconds(world.end_ms),
            "step" => seconds(world.step_ms),
            "range" => seconds(world.end_ms - world.start_ms),
            "min_of" => at_most(self.scalar(&args[0])?, self.scalar(&args[1])?),
            "max_of" => at_least(self.scalar(&args[0])?, self.scalar(&args[1])?),
            "scalar" => {
                let all = self.vector(&args[0])?;
                let mut numbers = all.iter().filter_map(|own| own.point.number());
                match (numbers.next(), numbers.next()) {
                    (Some(only), None) => only,
                    _ => f64::NAN,
                }
            }
            _ => return Ok(None),
        }))
    }

    /// A function of each number; histograms have none.
    fn each_number(
        &self,
        argument: &Expr,
        function: impl Fn(f64) -> Option<f64>,
    ) -> Outcome<Vec<Element>> {
        let mut found = Vec::new();
        for own in self.vector(argument)? {
            if let Some(value) = own.point.number().and_then(&function) {
                found.push(Element { point: Point::Number(value), ..own });
            }
        }
        self.nameless(found)
    }

    fn vector_call(&self, name: &str, args: &[Expr]) -> Outcome<Vec<Element>> {
        match name {
            "absent" | "absent_over_time" => self.absent(name, &args[0]),
            "vector" => Ok(vec![nameless(self.scalar(&args[0])?)]),
            "timestamp" => self.timestamp(&args[0]),
            "clamp" | "clamp_min" | "clamp_max" | "round" => self.limited(name, args),
            "label_replace" => self.label_replace(args),
            "label_join" => self.label_join(args),
            "sort_by_label" | "sort_by_label_desc" => {
                self.note_sort();
                self.vector(&args[0])
            }
            "sort" | "sort_desc" => {
                self.note_sort();
                let mut all = self.vector(&args[0])?;
                all.retain(|own| own.point.number().is_some());
                Ok(all)
            }
            "histogram_quantile" => {
                let phi = self.scalar(&args[0])?;
                self.note_quantile(phi);
                let native = |own: &super::Distribution| own.quantile(phi);
                self.of_buckets(&args[1], native, |buckets| classic::quantile(phi, buckets))
            }
            "histogram_fraction" => {
                let (lower, upper) = (self.scalar(&args[0])?, self.scalar(&args[1])?);
                let native = |own: &super::Distribution| own.fraction(lower, upper);
                self.of_buckets(&args[2], native, |own| classic::fraction(lower, upper, own))
            }
            "info" => self.info(args),
            "histogram_quantiles" => self.quantiles(args),
            "start_timestamp" => self.start_timestamp(&args[0]),
            "histogram_count" | "histogram_sum" | "histogram_avg" | "histogram_stddev"
            | "histogram_stdvar" => self.of_histogram(name, &args[0]),
            other => Err(format!("{other} has no reference")),
        }
    }

    /// One series per quantile, named by a label.
    fn quantiles(&self, args: &[Expr]) -> Outcome<Vec<Element>> {
        let label = self.text(&args[1])?;
        let mut found = Vec::new();
        for argument in &args[2..] {
            let phi = self.scalar(argument)?;
            self.note_quantile(phi);
            let text = match phi {
                phi if phi.is_infinite() => if phi > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
                phi if phi.is_finite() && phi == phi.trunc() => format!("{phi}.0"),
                phi => format!("{phi}"),
            };
            let native = |own: &super::Distribution| own.quantile(phi);
            let classic = |buckets| classic::quantile(phi, buckets);
            for mut own in self.of_buckets(&args[0], native, classic)? {
                own.labels.insert(label.clone(), text.clone());
                found.push(own);
            }
        }
        super::unique(&found)?;
        Ok(found)
    }

    /// Nobody has told when the series here began; only a selector may be asked.
    fn start_timestamp(&self, argument: &Expr) -> Outcome<Vec<Element>> {
        let all = self.vector(argument)?;
        let ExprKind::Vector(_) = argument.without_parens().kind else { return Ok(Vec::new()) };
        let zero = |own: Element| Element { point: Point::Number(0.0), ..own };
        self.nameless(all.into_iter().map(zero).collect())
    }

    fn limited(&self, name: &str, args: &[Expr]) -> Outcome<Vec<Element>> {
        let params: Vec<f64> =
            args[1..].iter().map(|arg| self.scalar(arg)).collect::<Outcome<_>>()?;
        self.each_number(&args[0], |value| {
            Some(match name {
                "clamp_min" => at_least(value, params[0]),
                "clamp_max" => at_most(value, params[0]),
                "clamp" if params[1] < params[0] => return None,
                "clamp" => at_least(params[0], at_most(params[1], value)),
                _ => {
                    let inverse = 1.0 / params.first().copied().unwrap_or(1.0);
                    (value * inverse + 0.5).floor() / inverse
                }
            })
        })
    }

    fn absent(&self, name: &str, argument: &Expr) -> Outcome<Vec<Element>> {
        let is_there = match name {
            "absent" => !self.vector(argument)?.is_empty(),
            _ => !self.windows(argument)?.is_empty(),
        };
        if is_there {
            return Ok(Vec::new());
        }
        let matchers = match &argument.without_parens().kind {
            ExprKind::Vector(selector) => selector.matchers.as_slice(),
            ExprKind::Matrix(matrix) => matrix.selector.matchers.as_slice(),
            _ => &[],
        };
        let mut found = nameless(1.0);
        for own in matchers {
            let is_alone = matchers.iter().filter(|other| other.name() == own.name()).count() == 1;
            let tells = own.op() == model::MatchOp::Equal && !own.value().is_empty();
            if own.name() != NAME && is_alone && tells {
                found.labels.insert(own.name().to_owned(), own.value().to_owned());
            }
        }
        Ok(vec![found])
    }

    fn timestamp(&self, argument: &Expr) -> Outcome<Vec<Element>> {
        let seconds = |ms: i64| Point::Number(ms as f64 / 1000.0);
        let found = match &argument.without_parens().kind {
            ExprKind::Vector(selector) if selector.extension.is_none() => {
                let all = self.newest(selector)?.into_iter();
                all.map(|(ts, own)| Element { point: seconds(ts), ..own }).collect()
            }
            _ => {
                let all = self.vector(argument)?.into_iter();
                all.map(|own| Element { point: seconds(self.at_ms), ..own }).collect()
            }
        };
        self.nameless(found)
    }

    fn label_replace(&self, args: &[Expr]) -> Outcome<Vec<Element>> {
        let text = |index: usize| self.text(&args[index]);
        let (target, replacement, source, pattern) = (text(1)?, text(2)?, text(3)?, text(4)?);
        let pattern = regex::Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|_| "invalid regular expression".to_owned())?;
        let mut all = self.vector(&args[0])?;
        for own in &mut all {
            let value = own.labels.get(&source).cloned().unwrap_or_default();
            let Some(found) = pattern.captures(&value) else { continue };
            let mut replaced = String::new();
            found.expand(&replacement, &mut replaced);
            put(own, &target, replaced);
        }
        super::unique(&all)?;
        Ok(all)
    }

    fn label_join(&self, args: &[Expr]) -> Outcome<Vec<Element>> {
        let target = self.text(&args[1])?;
        let separator = self.text(&args[2])?;
        let sources: Vec<String> =
            args[3..].iter().map(|arg| self.text(arg)).collect::<Outcome<_>>()?;
        let mut all = self.vector(&args[0])?;
        for own in &mut all {
            let values =
                sources.iter().map(|name| own.labels.get(name).cloned().unwrap_or_default());
            let joined = values.collect::<Vec<String>>().join(&separator);
            put(own, &target, joined);
        }
        super::unique(&all)?;
        Ok(all)
    }

    /// One number of each native histogram.
    fn of_histogram(&self, name: &str, argument: &Expr) -> Outcome<Vec<Element>> {
        let mut found = Vec::new();
        for own in self.vector(argument)? {
            let Some(histogram) = own.point.histogram() else { continue };
            let value = match name {
                "histogram_count" => histogram.count,
                "histogram_sum" => histogram.sum,
                "histogram_avg" => histogram.sum / histogram.count,
                "histogram_stdvar" => histogram.variance(),
                _ => histogram.variance().sqrt(),
            };
            found.push(Element { point: Point::Number(value), ..own });
        }
        self.nameless(found)
    }

    /// One number of each histogram, whether it is one sample or series of buckets.
    fn of_buckets(
        &self,
        argument: &Expr,
        native: impl Fn(&super::Distribution) -> f64,
        classic: impl Fn(Vec<classic::Bucket>) -> f64,
    ) -> Outcome<Vec<Element>> {
        let mut grouped: Vec<(Element, Vec<classic::Bucket>, Option<f64>)> = Vec::new();
        for mut own in self.vector(argument)? {
            let le = own.labels.remove("le");
            let bucket = match own.point.number() {
                Some(count) => {
                    let le = le.and_then(|le| le.trim_start_matches('+').parse::<f64>().ok());
                    let Some(upper) = le else { continue };
                    Some((upper, count))
                }
                None => {
                    if let Some(le) = le {
                        own.labels.insert("le".to_owned(), le);
                    }
                    None
                }
            };
            let value = own.point.histogram().map(&native);
            let place = grouped.iter().position(|group| group.0.labels == own.labels);
            let place = place.unwrap_or_else(|| {
                grouped.push((own, Vec::new(), None));
                grouped.len() - 1
            });
            grouped[place].1.extend(bucket);
            grouped[place].2 = grouped[place].2.or(value);
        }
        let mut found = Vec::new();
        for (own, buckets, value) in grouped {
            let value = match (buckets.is_empty(), value) {
                (true, Some(value)) => value,
                (false, None) => classic(buckets),
                _ => continue, // Both at once are neither.
            };
            let scale = if value.is_finite() { value } else { 0.0 };
            let value = self.world.rounded(value, scale);
            found.push(Element { point: Point::Number(value), ..own });
        }
        self.nameless(found)
    }

    fn date(&self, name: &str, args: &[Expr]) -> Outcome<Vec<Element>> {
        let of = |seconds: f64| {
            if seconds.is_nan() {
                return f64::NAN;
            }
            if seconds.abs() > 1e11 {
                self.world.is_ambiguous.set(true);
                return f64::NAN;
            }
            part(name, seconds as i64)
        };
        match args.first() {
            Some(argument) => self.each_number(argument, |value| Some(of(value))),
            None => Ok(vec![nameless(of(self.at_ms as f64 / 1000.0))]),
        }
    }
}

fn nameless(value: f64) -> Element {
    Element { labels: Labels::new(), drop_name: false, point: Point::Number(value) }
}

/// Sets a label; an empty value takes it away. A new name stays.
fn put(own: &mut Element, target: &str, value: String) {
    own.drop_name &= target != NAME;
    match value.is_empty() {
        true => own.labels.remove(target),
        false => own.labels.insert(target.to_owned(), value),
    };
}

fn is_date(name: &str) -> bool {
    [
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "days_in_month",
        "hour",
        "minute",
        "month",
        "year",
    ]
    .contains(&name)
}

fn part(name: &str, seconds: i64) -> f64 {
    let time = jiff::Timestamp::from_second(seconds).expect("a time of our age");
    let date = time.to_zoned(jiff::tz::TimeZone::UTC);
    f64::from(match name {
        "day_of_month" => i32::from(date.day()),
        "day_of_week" => i32::from(date.weekday().to_sunday_zero_offset()),
        "day_of_year" => i32::from(date.day_of_year()),
        "days_in_month" => i32::from(date.days_in_month()),
        "hour" => i32::from(date.hour()),
        "minute" => i32::from(date.minute()),
        "month" => i32::from(date.month()),
        _ => i32::from(date.year()),
    })
}

fn of_number(name: &str) -> Option<fn(f64) -> f64> {
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
        "deg" => |own| own * 180.0 / PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |own| own * PI / 180.0,
        "sgn" => |own| {
            if own > 0.0 {
                1.0
            } else if own < 0.0 {
                -1.0
            } else {
                own
            }
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// The larger number; NaN is larger than all but +Inf.
fn at_least(a: f64, b: f64) -> f64 {
    match (a, b) {
        (f64::INFINITY, _) | (_, f64::INFINITY) => f64::INFINITY,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        _ if a > b || (a == b && b.is_sign_negative()) => a,
        _ => b,
    }
}

/// The smaller number; NaN is smaller than all but -Inf.
fn at_most(a: f64, b: f64) -> f64 {
    -at_least(-a, -b)
}
