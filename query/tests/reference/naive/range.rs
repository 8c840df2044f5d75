//! Functions over the samples of one window.

use promql::ast::Call;

use super::native::Distribution;
use super::select::Window;
use super::{Element, Moment, Outcome, Point, World, mean_of, scale_of, sum_of};

/// A function over a window with its scalar parameters.
struct Applied<'a> {
    name: &'a str,
    params: Vec<f64>,
    at_ms: i64,
    world: &'a World<'a>,
}

impl Moment<'_> {
    /// A call with a range vector among its arguments.
    pub fn range_call(&self, call: &Call) -> Outcome<Vec<Element>> {
        use promql::ast::ExprKind::{Matrix, Subquery};
        let name = call.function.name;
        let is_range =
            |arg: &&promql::ast::Expr| matches!(arg.without_parens().kind, Matrix(_) | Subquery(_));
        let argument = call.args.iter().find(is_range).ok_or("a range is missing")?;
        let scalars = call.args.iter().filter(|arg| !is_range(arg));
        let params = scalars.map(|arg| self.scalar(arg)).collect::<Outcome<Vec<f64>>>()?;
        let applied = Applied { name, params, at_ms: self.at_ms, world: self.world };
        let mut found = Vec::new();
        for window in self.windows(argument)? {
            let point = applied.point(&window)?;
            if name == "quantile_over_time"
                && window.samples.iter().any(|own| own.1.number().is_some())
            {
                self.note_quantile(applied.params[0]);
            }
            self.note_window(call, &window, point.as_ref());
            if let Some(point) = point {
                let Window { labels, drop_name, .. } = window;
                found.push(Element { labels, drop_name, point });
            }
        }
        let keeps_name = matches!(name, "last_over_time" | "first_over_time");
        if keeps_name { Ok(found) } else { self.nameless(found) }
    }
}

impl Applied<'_> {
    fn point(&self, window: &Window) -> Outcome<Option<Point>> {
        if let Some(extension) = window.extension {
            let point = window.extended(self.name, extension)?;
            let numbers = window.samples.iter().filter_map(|(_, own)| own.number());
            let scale = scale_of(&numbers.filter(|own| own.is_finite()).collect::<Vec<f64>>());
            let is_exact = matches!(self.name, "changes" | "resets");
            return Ok(point.map(|point| match point {
                Point::Number(value) if !is_exact => {
                    let seconds = (window.right_ms - window.left_ms) as f64 / 1000.0;
                    let per = if self.name == "rate" { seconds } else { 1.0 };
                    Point::Number(self.world.rounded(value, scale / per))
                }
                point => point,
            }));
        }
        let samples = &window.samples;
        let numbers: Vec<(i64, f64)> =
            samples.iter().filter_map(|(ts, point)| Some((*ts, point.number()?))).collect();
        if self.name == "double_exponential_smoothing" {
            self.check_factors()?;
        }
        let seconds = |ts: i64| Some(Point::Number(ts as f64 / 1000.0));
        Ok(match self.name {
            "count_over_time" => Some(Point::Number(samples.len() as f64)),
            "present_over_time" => Some(Point::Number(1.0)),
            "first_over_time" => samples.first().map(|own| own.1.clone()),
            "last_over_time" => samples.last().map(|own| own.1.clone()),
            "ts_of_first_over_time" => samples.first().and_then(|own| seconds(own.0)),
            "ts_of_last_over_time" => samples.last().and_then(|own| seconds(own.0)),
            "changes" => Some(Point::Number(pairs(samples).filter(changes).count() as f64)),
            "resets" => Some(Point::Number(pairs(samples).filter(resets).count() as f64)),
            "irate" | "idelta" => last_two(samples, self.name == "irate"),
            "rate" | "increase" | "delta" | "sum_over_time" | "avg_over_time"
                if numbers.len() == samples.len() =>
            {
                self.of_numbers(window, &numbers).map(Point::Number)
            }
            "rate" | "increase" | "delta" | "sum_over_time" | "avg_over_time" => {
                let all: Option<Vec<(i64, &Distribution)>> =
                    samples.iter().map(|(ts, own)| Some((*ts, own.histogram()?))).collect();
                all.and_then(|all| self.of_histograms(window, &all)).map(Point::from)
            }
            _ if numbers.is_empty() => None,
            _ => self.of_numbers(window, &numbers).map(Point::Number),
        })
    }

    fn check_factors(&self) -> Outcome<()> {
        for (name, factor) in [("smoothing", self.params[0]), ("trend", self.params[1])] {
            if factor <= 0.0 || factor >= 1.0 {
                return Err(format!("invalid {name} factor"));
            }
        }
        Ok(())
    }

    fn of_numbers(&self, window: &Window, samples: &[(i64, f64)]) -> Option<f64> {
        let values: Vec<f64> = samples.iter().map(|own| own.1).collect();
        let scale = scale_of(&values);
        let rounded = |value: f64| Some(self.world.rounded(value, scale));
        match self.name {
            "rate" | "increase" | "delta" => {
                if samples.len() < 2 {
                    return None;
                }
                let is_counter = self.name != "delta";
                let mut change = values[values.len() - 1] - values[0];
                if is_counter {
                    for pair in values.windows(2).filter(|pair| pair[1] < pair[0]) {
                        change += pair[0];
                    }
                }
                let instants: Vec<i64> = samples.iter().map(|own| own.0).collect();
                let zero = is_counter.then_some((values[0], change));
                let factor = self.factor(window, &instants, zero);
                Some(self.world.rounded(change * factor, scale * factor))
            }
            "sum_over_time" => Some(self.exact_or_rounded(sum_of(values.iter().copied()), scale)),
            "avg_over_time" => rounded(mean_of(&values)),
            "min_over_time" => Some(extreme(&values, |a, b| a < b)),
            "max_over_time" => Some(extreme(&values, |a, b| a > b)),
            "ts_of_min_over_time" => Some(ts_of_extreme(samples, |a, b| a <= b)),
            "ts_of_max_over_time" => Some(ts_of_extreme(samples, |a, b| a >= b)),
            "stdvar_over_time" => {
                Some(self.world.rounded(variance_in_order(&values), scale * scale * 1e-3))
            }
            "stddev_over_time" => {
                Some(self.world.rounded(variance_in_order(&values).sqrt(), scale))
            }
            "quantile_over_time" => rounded(quantile_of(self.params[0], &values)),
            // One that is no number leaves no median.
            "mad_over_time" if values.iter().any(|own| own.is_nan()) => Some(f64::NAN),
            "mad_over_time" => {
                let median = quantile_of(0.5, &values);
                let distances: Vec<f64> = values.iter().map(|own| (own - median).abs()).collect();
                rounded(quantile_of(0.5, &distances))
            }
            "deriv" => (values.len() >= 2).then(|| self.line(samples, samples[0].0).0),
            "predict_linear" => (values.len() >= 2).then(|| {
                let (slope, value) = self.line(samples, self.at_ms);
                slope * self.params[0] + value
            }),
            "double_exponential_smoothing" => (values.len() >= 2).then(|| {
                let smoothed = smooth(&values, self.params[0], self.params[1]);
                self.world.rounded(smoothed, scale)
            }),
            other => unreachable!("{other} is no function of numbers in a window"),
        }
    }

    /// Sums of whole numbers are the same in every order.
    fn exact_or_rounded(&self, sum: f64, scale: f64) -> f64 {
        if sum == sum.trunc() && scale < 1e15 { sum } else { self.world.rounded(sum, scale) }
    }

    /// By how much a change grows when it is drawn out to the edges of the window, per second for
    /// `rate`.
    fn factor(&self, window: &Window, instants: &[i64], zero: Option<(f64, f64)>) -> f64 {
        let (first, last) = (instants[0], instants[instants.len() - 1]);
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
        let mut to_start = seconds(window.left_ms, first);
        let mut to_end = seconds(last, window.right_ms);
        let sampled = seconds(first, last);
        let gap = sampled / (instants.len() - 1) as f64;
        if to_start >= gap * 1.1 {
            to_start = gap / 2.0;
        }
        if let Some((first_value, change)) = zero.filter(|own| own.1 > 0.0 && own.0 >= 0.0) {
            // Only so far as the counter would have needed from zero.
            let to_zero = sampled * (first_value / change);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= gap * 1.1 {
            to_end = gap / 2.0;
        }
        let factor = (sampled + to_start + to_end) / sampled;
        match self.name {
            "rate" => factor / seconds(window.left_ms, window.right_ms),
            _ => factor,
        }
    }

    fn of_histograms(&self, window: &Window, all: &[(i64, &Distribution)]) -> Option<Distribution> {
        let own: Vec<&Distribution> = all.iter().map(|own| own.1).collect();
        match self.name {
            "sum_over_time" => Distribution::sum(&own),
            "avg_over_time" => Some(Distribution::sum(&own)?.over(own.len() as f64)),
            _ => {
                if own.len() < 2 {
                    return None;
                }
                let is_counter = self.name != "delta";
                let change = Distribution::change(&own, is_counter)?;
                let instants: Vec<i64> = all.iter().map(|own| own.0).collect();
                let zero = is_counter.then_some((own[0].count, change.count));
                Some(change.times(self.factor(window, &instants, zero)))
            }
        }
    }

    /// Slope and value at an instant of the straight line with the smallest squared distances.
    fn line(&self, samples: &[(i64, f64)], at_ms: i64) -> (f64, f64) {
        let first = samples[0].1;
        if samples.iter().all(|own| own.1 == first) {
            return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
        }
        let points = samples.iter().map(|own| ((own.0 - at_ms) as f64 / 1000.0, own.1));
        let points: Vec<(f64, f64)> = points.collect();
        let count = points.len() as f64;
        let x = sum_of(points.iter().map(|own| own.0));
        let y = sum_of(points.iter().map(|own| own.1));
        let xy = sum_of(points.iter().map(|own| own.0 * own.1));
        let xx = sum_of(points.iter().map(|own| own.0 * own.0));
        let xx_sum = sum_of(points.iter().map(|own| (own.0 * own.0).abs()));
        let xy_sum = sum_of(points.iter().map(|own| (own.0 * own.1).abs()));
        let covariance = self.world.rounded(xy - x * y / count, xy_sum.max((x * y).abs() / count));
        let variance = self.world.rounded(xx - x * x / count, xx_sum);
        let slope = covariance / variance;
        let y_scale = scale_of(&points.iter().map(|own| own.1).collect::<Vec<f64>>());
        let value = self.world.rounded(y / count - slope * x / count, y_scale);
        (slope, value)
    }
}

type Pair<'s> = (&'s Point, &'s Point);

pub fn pairs(samples: &[(i64, Point)]) -> impl Iterator<Item = Pair<'_>> {
    samples.windows(2).map(|pair| (&pair[0].1, &pair[1].1))
}

pub fn changes((before, own): &Pair) -> bool {
    match (before, own) {
        (Point::Number(a), Point::Number(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Point::Histogram(a), Point::Histogram(b)) => !a.same(b),
        _ => true,
    }
}

pub fn resets((before, own): &Pair) -> bool {
    match (before, own) {
        (Point::Number(a), Point::Number(b)) => b < a,
        (Point::Histogram(a), Point::Histogram(b)) => b.is_reset_after(a),
        _ => true,
    }
}

fn last_two(samples: &[(i64, Point)], is_rate: bool) -> Option<Point> {
    let [.., (first_ms, first), (last_ms, last)] = samples else { return None };
    let seconds = (last_ms - first_ms) as f64 / 1000.0;
    match (first, last) {
        (Point::Number(first), Point::Number(last)) => {
            let change = if is_rate && last < first { *last } else { last - first };
            Some(Point::Number(if is_rate { change / seconds } else { change }))
        }
        (Point::Histogram(first), Point::Histogram(last)) => {
            let is_reset = is_rate && last.is_reset_after(first);
            let change = if is_reset { (**last).clone() } else { last.minus(first)? };
            Some(Point::from(if is_rate { change.over(seconds) } else { change }))
        }
        _ => None,
    }
}

/// The best of some values; one that is not a number only when there is nothing else.
pub fn extreme(values: &[f64], is_better: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best = values[0];
    for &value in &values[1..] {
        if is_better(value, best) || best.is_nan() {
            best = value;
        }
    }
    best
}

/// When the best value was seen last; when the last one was, if there is nothing but NaN.
fn ts_of_extreme(samples: &[(i64, f64)], is_as_good: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best = samples[0];
    for &own in &samples[1..] {
        if is_as_good(own.1, best.1) || best.1.is_nan() {
            best = own;
        }
    }
    best.0 as f64 / 1000.0
}

/// The mean squared distance from the mean.
pub fn variance_of(values: &[f64]) -> f64 {
    if values.iter().any(|value| !value.is_finite()) {
        return f64::NAN;
    }
    let mean = mean_of(values);
    mean_of(&values.iter().map(|value| (value - mean) * (value - mean)).collect::<Vec<f64>>())
}

/// The mean squared distance from the mean, as the mean and the squares grow value by value; what
/// rounding takes from each of both is kept beside it.
fn variance_in_order(values: &[f64]) -> f64 {
    let (mut means, mut squares) = (Vec::new(), Vec::new());
    let parts = |parts: &[f64]| {
        let (sum, lost) = super::sum_and_lost(parts.iter().copied());
        sum + lost
    };
    for (count, value) in (1..).zip(values) {
        let distance = value - parts(&means);
        means.push(distance / f64::from(count));
        squares.push(distance * (value - parts(&means)));
    }
    parts(&squares) / values.len() as f64
}

/// The quantile between neighbours; NaN sorts before everything.
pub fn quantile_of(phi: f64, values: &[f64]) -> f64 {
    if phi.is_nan() || values.is_empty() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&phi) {
        return if phi < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| (!a.is_nan()).cmp(&!b.is_nan()).then(a.total_cmp(b)));
    let rank = phi * (sorted.len() - 1) as f64;
    let (lower, share) = (rank.floor() as usize, rank - rank.floor());
    let upper = (lower + 1).min(sorted.len() - 1);
    sorted[lower] * (1.0 - share) + sorted[upper] * share
}

fn smooth(values: &[f64], factor: f64, trend_factor: f64) -> f64 {
    let (mut before, mut level, mut trend) = (0.0, values[0], values[1] - values[0]);
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        (before, level) = (level, factor * value + (1.0 - factor) * (level + trend));
    }
    level
}
