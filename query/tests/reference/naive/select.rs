//! Which samples a selector or subquery sees at one instant.

use model::Matcher;
use promql::ast::{
    AtTime, Duration, DurationExpr, DurationKind, DurationOp, Expr, ExprKind, Extension, Modifiers,
    Subquery, UnaryOp, VectorSelector,
};

use super::{Element, Labels, Moment, Outcome, Point, Series};

/// The samples of one series in a window, stale markers left out.
#[derive(Debug, Clone)]
pub struct Window {
    pub labels: Labels,
    pub drop_name: bool,
    /// Those inside; of an extended window those in its extension too.
    pub samples: Vec<(i64, Point)>,
    /// The left edge, outside.
    pub left_ms: i64,
    /// The right edge, inside.
    pub right_ms: i64,
    pub extension: Option<Extension>,
}

impl Moment<'_> {
    /// The instant that a selector with these modifiers means.
    fn anchor(&self, modifiers: &Modifiers) -> Outcome<i64> {
        let at_ms = match modifiers.at.map(|at| at.time) {
            None => self.at_ms,
            Some(AtTime::Fixed(at)) => at.0,
            Some(AtTime::Start) => self.world.start_ms,
            Some(AtTime::End) => self.world.end_ms,
        };
        let offset_ms = match &modifiers.offset {
            Some(offset) => self.milliseconds(offset)?,
            None => 0,
        };
        Ok(at_ms - offset_ms)
    }

    pub fn milliseconds(&self, duration: &Duration) -> Outcome<i64> {
        match duration {
            Duration::Fixed { ms, .. } => Ok(*ms),
            Duration::Computed(expr) => {
                let ms = (self.seconds(expr)? * 1000.0).round();
                if ms.is_finite() { Ok(ms as i64) } else { Err("duration out of range".to_owned()) }
            }
        }
    }

    fn length(&self, duration: &Duration) -> Outcome<i64> {
        let ms = self.milliseconds(duration)?;
        if ms > 0 { Ok(ms) } else { Err("duration must be greater than 0".to_owned()) }
    }

    fn seconds(&self, expr: &DurationExpr) -> Outcome<f64> {
        let both = |pair: &(DurationExpr, DurationExpr)| {
            Ok::<_, String>((self.seconds(&pair.0)?, self.seconds(&pair.1)?))
        };
        Ok(match &expr.kind {
            DurationKind::Number(number) => number.value,
            DurationKind::Step => self.world.step_ms as f64 / 1000.0,
            DurationKind::Range => (self.world.end_ms - self.world.start_ms) as f64 / 1000.0,
            DurationKind::Min(pair) => both(pair).map(|(a, b)| if a < b { a } else { b })?,
            DurationKind::Max(pair) => both(pair).map(|(a, b)| if a > b { a } else { b })?,
            DurationKind::Unary(UnaryOp::Minus, inner) => -self.seconds(inner)?,
            DurationKind::Unary(UnaryOp::Plus, inner) | DurationKind::Paren(inner) => {
                self.seconds(inner)?
            }
            DurationKind::Binary(op, pair) => {
                let (a, b) = both(pair)?;
                match op {
                    DurationOp::Div | DurationOp::Mod if b == 0.0 => {
                        return Err("division by zero".to_owned());
                    }
                    DurationOp::Add => a + b,
                    DurationOp::Sub => a - b,
                    DurationOp::Mul => a * b,
                    DurationOp::Div => a / b,
                    DurationOp::Mod => a % b,
                    DurationOp::Pow => a.powf(b),
                }
            }
        })
    }

    fn matching<'s>(&'s self, matchers: &'s [Matcher]) -> impl Iterator<Item = &'s Series> {
        let passes = |own: &Series, matcher: &Matcher| {
            matcher.matches(own.labels.get(matcher.name()).map_or("", String::as_str))
        };
        let all = self.world.series.iter();
        all.filter(move |own| matchers.iter().all(|matcher| passes(own, matcher)))
    }

    /// The newest sample of each series that is younger than the look-back, with its instant.
    pub fn newest(&self, selector: &VectorSelector) -> Outcome<Vec<(i64, Element)>> {
        Ok(self.newest_of(&selector.matchers, self.anchor(&selector.modifiers)?))
    }

    pub fn newest_of(&self, matchers: &[Matcher], at_ms: i64) -> Vec<(i64, Element)> {
        let oldest_ms = at_ms - self.world.lookback_ms;
        let mut found = Vec::new();
        for own in self.matching(matchers) {
            let seen = own.samples.iter().rfind(|(ts, _)| *ts <= at_ms && *ts > oldest_ms);
            let Some((ts, point)) = seen.filter(|(_, point)| !point.is_stale()) else { continue };
            let (labels, point) = (own.labels.clone(), point.clone());
            found.push((*ts, Element { labels, drop_name: false, point }));
        }
        found
    }

    /// An instant selector.
    pub fn instant(&self, selector: &VectorSelector) -> Outcome<Vec<Element>> {
        match selector.extension {
            None => Ok(self.newest(selector)?.into_iter().map(|(_, element)| element).collect()),
            Some(Extension::Anchored) => {
                Err("anchored modifier can only be used with a range selector".to_owned())
            }
            Some(Extension::Smoothed) => {
                let at_ms = self.anchor(&selector.modifiers)?;
                let reach_ms = self.world.lookback_ms;
                let windows = self.matching(&selector.matchers).map(|own| Window {
                    labels: own.labels.clone(),
                    drop_name: false,
                    samples: between(own, at_ms - reach_ms, at_ms + reach_ms),
                    left_ms: at_ms - reach_ms,
                    right_ms: at_ms,
                    extension: selector.extension,
                });
                Ok(windows.filter_map(|window| window.smoothed_instant()).collect())
            }
        }
    }

    /// The windows of a range vector, those without samples left out.
    pub fn windows(&self, expr: &Expr) -> Outcome<Vec<Window>> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.windows(inner),
            ExprKind::Subquery(subquery) => self.subquery(subquery),
            ExprKind::Matrix(matrix) => {
                let selector = &matrix.selector;
                let right_ms = self.anchor(&selector.modifiers)?;
                let left_ms = right_ms - self.length(&matrix.range)?;
                let reach_ms = self.world.lookback_ms;
                let (first_ms, last_ms) = match selector.extension {
                    None => (left_ms, right_ms),
                    Some(Extension::Anchored) => (left_ms - reach_ms, right_ms),
                    Some(Extension::Smoothed) => (left_ms - reach_ms, right_ms + reach_ms),
                };
                let windows = self.matching(&selector.matchers).map(|own| Window {
                    labels: own.labels.clone(),
                    drop_name: false,
                    samples: between(own, first_ms, last_ms),
                    left_ms,
                    right_ms,
                    extension: selector.extension,
                });
                Ok(windows.filter(|window| !window.samples.is_empty()).collect())
            }
            _ => Err("no range vector".to_owned()),
        }
    }

    fn subquery(&self, subquery: &Subquery) -> Outcome<Vec<Window>> {
        let right_ms = self.anchor(&subquery.modifiers)?;
        let left_ms = right_ms - self.length(&subquery.range)?;
        let step_ms = match &subquery.step {
            Some(step) => self.length(step)?,
            None => self.world.subquery_step_ms,
        };
        let inner = |at_ms: i64, last_ms: i64| -> Outcome<Vec<Element>> {
            let next_ms = Some(at_ms + step_ms).filter(|next| *next <= last_ms);
            let all = Moment { at_ms, next_ms, ..*self }.vector(&subquery.expr)?;
            super::unique(&all)?;
            Ok(all)
        };
        // Where the window of the query's next instant lies; the same window when there is none.
        let next = Moment { at_ms: self.next_ms.unwrap_or(self.at_ms), ..*self };
        let next_right_ms = next.anchor(&subquery.modifiers)?;
        let next_left_ms = next_right_ms - next.length(&subquery.range)?;
        let mut found: Vec<Window> = Vec::new();
        // Inner instants are multiples of the step since the epoch.
        let mut at_ms = (left_ms.div_euclid(step_ms) + 1) * step_ms;
        while at_ms <= right_ms {
            for own in inner(at_ms, next_right_ms)? {
                let place = found.iter().position(|window| window.labels == own.labels);
                let place = place.unwrap_or_else(|| {
                    found.push(Window {
                        labels: own.labels.clone(),
                        drop_name: false,
                        samples: Vec::new(),
                        left_ms,
                        right_ms,
                        extension: None,
                    });
                    found.len() - 1
                });
                found[place].drop_name |= own.drop_name;
                found[place].samples.push((at_ms, own.point));
            }
            at_ms += step_ms;
        }
        // Those between two windows are evaluated as well: nobody sees their values, but what is wrong
        // at them is wrong with the query.
        while at_ms <= next_left_ms {
            inner(at_ms, next_right_ms)?;
            at_ms += step_ms;
        }
        Ok(found)
    }
}

/// The samples after one instant and not after another, without stale markers.
fn between(own: &Series, after_ms: i64, until_ms: i64) -> Vec<(i64, Point)> {
    let inside =
        |(ts, point): &&(i64, Point)| *ts > after_ms && *ts <= until_ms && !point.is_stale();
    own.samples.iter().filter(inside).cloned().collect()
}
