//! `anchored` and `smoothed`: a value at each edge of the window instead of extrapolation.

use promql::ast::Extension;

use super::range::{changes, pairs, resets};
use super::select::Window;
use super::{Element, Outcome, Point};

impl Window {
    /// A function over an extended window.
    pub fn extended(&self, name: &str, extension: Extension) -> Outcome<Option<Point>> {
        let allowed: &[&str] = match extension {
            Extension::Anchored => &["changes", "delta", "increase", "rate", "resets"],
            Extension::Smoothed => &["delta", "increase", "rate"],
        };
        if !allowed.contains(&name) {
            return Err(format!("{} modifier not with {name}", extension.keyword()));
        }
        let Some(seen) = self.seen(extension == Extension::Smoothed, name != "delta") else {
            return Ok(None);
        };
        let count = |which: fn(&(&Point, &Point)) -> bool| {
            Point::Number(pairs(&seen).filter(which).count() as f64)
        };
        Ok(match name {
            "changes" => Some(count(changes)),
            "resets" => Some(count(resets)),
            _ => {
                let seconds = (self.right_ms - self.left_ms) as f64 / 1000.0;
                let per = if name == "rate" { seconds } else { 1.0 };
                change(&seen, name != "delta", per)
            }
        })
    }

    /// The values from edge to edge: at the left edge, inside, at the right edge. Nothing when no
    /// sample touches the window.
    fn seen(&self, smoothed: bool, is_counter: bool) -> Option<Vec<(i64, Point)>> {
        let (left_ms, right_ms) = (self.left_ms, self.right_ms);
        let before = self.samples.iter().rposition(|own| own.0 <= left_ms);
        let inside: Vec<(i64, Point)> = self
            .samples
            .iter()
            .filter(|own| own.0 > left_ms && own.0 <= right_ms)
            .cloned()
            .collect();
        let after = self.samples.iter().find(|own| own.0 >= right_ms);
        let touches = !inside.is_empty()
            || smoothed && before.is_some() && after.is_some_and(|own| own.0 > right_ms);
        if !touches {
            return None;
        }
        let mut seen = Vec::new();
        if let Some(index) = before {
            let own = &self.samples[index];
            let next = self.samples.get(index + 1);
            let point = match next.filter(|_| smoothed && own.0 < left_ms) {
                Some(next) => between(own, next, left_ms, is_counter)?,
                None => own.1.clone(),
            };
            seen.push((left_ms, point));
        }
        seen.extend(inside);
        if smoothed && let Some(index) = self.samples.iter().position(|own| own.0 > right_ms) {
            let is_between = seen.last().is_some_and(|own| own.0 < right_ms);
            if is_between && index > 0 {
                let (own, next) = (&self.samples[index - 1], &self.samples[index]);
                seen.push((right_ms, between(own, next, right_ms, is_counter)?));
            }
        }
        Some(seen)
    }

    /// A smoothed instant selector: on the line between the samples around the right edge.
    pub fn smoothed_instant(&self) -> Option<Element> {
        let at_ms = self.right_ms;
        let histograms = self.samples.iter().filter(|own| own.1.histogram().is_some()).count();
        if histograms != 0 && histograms != self.samples.len() {
            return None;
        }
        let before = self.samples.iter().rposition(|own| own.0 <= at_ms)?;
        let own = &self.samples[before];
        let point = match self.samples.get(before + 1).filter(|_| own.0 < at_ms) {
            Some(next) => {
                let is_histogram = own.1.histogram().is_some();
                between(own, next, at_ms, is_histogram)?
            }
            None => own.1.clone(),
        };
        Some(Element { labels: self.labels.clone(), drop_name: false, point })
    }
}

/// The change from the first to the last, and what resets took away, per so many seconds.
fn change(seen: &[(i64, Point)], is_counter: bool, per: f64) -> Option<Point> {
    let (first, last) = (&seen[0].1, &seen[seen.len() - 1].1);
    let lost = pairs(seen).filter(|pair| is_counter && resets(pair)).map(|pair| pair.0);
    if seen.iter().all(|own| own.1.number().is_some()) {
        let lost: f64 = lost.filter_map(Point::number).sum();
        return Some(Point::Number((last.number()? - first.number()? + lost) / per));
    }
    let all = seen.iter().map(|own| own.1.histogram());
    let all: Vec<&super::Distribution> = all.collect::<Option<_>>()?;
    if all.iter().any(|own| (own.schema == -53) != (all[0].schema == -53)) {
        return None;
    }
    let mut change = last.histogram()?.minus(first.histogram()?)?;
    for own in lost {
        change = change.plus(own.histogram()?)?;
    }
    Some(change.over(per).into())
}

/// The value on the line between two samples; a counter that fell between them starts from zero.
fn between(
    (start_ms, start): &(i64, Point),
    (end_ms, end): &(i64, Point),
    at_ms: i64,
    is_counter: bool,
) -> Option<Point> {
    let span = (end_ms - start_ms) as f64;
    let share = (at_ms - start_ms) as f64 / span;
    match (start, end) {
        (Point::Number(start), Point::Number(end)) => {
            let start = if is_counter && end < start { 0.0 } else { *start };
            Some(Point::Number(start + (end - start) * (at_ms - start_ms) as f64 / span))
        }
        (Point::Histogram(start), Point::Histogram(end)) => {
            if is_counter
                && end.is_reset_after(start)
                && (start.schema == -53) == (end.schema == -53)
            {
                return Some(end.times(share).into());
            }
            Some(end.minus(start)?.times(share).plus(start)?.into())
        }
        _ => None,
    }
}
