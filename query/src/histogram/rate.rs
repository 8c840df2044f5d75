//! `rate` and its kin over windows of histograms, or of numbers with start timestamps.
//!
//! Place in the flow: `range` hands over one window → **`rate`** → an element, or nothing and a note.
//!
//! A start timestamp between two samples is a reset; one inside the window before its first sample
//! is a zero there, so that nothing needs to be drawn out to the left.
//!
//! Not here: windows of numbers alone (`kernel::counter`).

use std::sync::Arc;

use model::Histogram;
use model::histogram::{ResetHint, Total};

use super::range::Noted;
use super::series::Mixed;
use crate::kernel::counter::{Kind, Reach};
use crate::kernel::{Element, Window};

/// One window and its edges.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The samples.
    pub window: Window,
    /// The left edge, outside.
    pub left_ms: i64,
    /// The right edge, inside.
    pub right_ms: i64,
}

/// Whether the counter was started anew between a sample and the next one, by start timestamps: the
/// start lies behind the sample before, or on it when that one had a start of its own further back.
pub fn has_restarted(all: &Mixed, index: usize) -> bool {
    let (before, start) = (index - 1, all.starts[index]);
    if start == 0 || start >= all.ts[index] {
        return false;
    }
    let follows_delta =
        start == all.ts[before] && all.starts[before] != 0 && all.starts[before] < all.ts[before];
    start > all.ts[before] || follows_delta
}

/// Says so when a start lies before the previous sample without being its start too.
pub fn note_overlap(all: &Mixed, window: Window, noted: &Noted) {
    let overlaps = |index: usize| {
        let start = all.starts[index];
        start != 0 && start < all.ts[index - 1] && start != all.starts[index - 1]
    };
    if (window.lo + 1..window.hi).any(overlaps) {
        let metric = noted.metric;
        let text = format!(
            "sample has start time that overlaps with previous sample timestamp for metric {metric:?}"
        );
        noted.notes.warning(noted.span, &text, "");
    }
}

/// `rate`, `increase` and `delta` of a window of one kind of samples.
pub fn extrapolated(all: &Mixed, frame: Frame, kind: Kind, noted: &Noted) -> Option<Element> {
    let window = frame.window;
    let (first_ms, start_ms) = (all.ts[window.lo], all.starts[window.lo]);
    let is_known = kind.is_counter() && start_ms != 0;
    let zero_ms = (is_known && start_ms > frame.left_ms && start_ms < first_ms).then_some(start_ms);
    if window.len() < 2 && zero_ms.is_none() {
        return None;
    }
    let (mut first, change) = match &all.elements[window.lo] {
        Element::Float(value) => (*value, Change::Float(float_change(all, window, kind, zero_ms))),
        Element::Histogram(own) => {
            let change = histogram_change(all, window, kind, (zero_ms, noted))?;
            (own.count, Change::Histogram(change))
        }
    };
    if zero_ms.is_some() {
        first = 0.0;
    }
    let reach = Reach {
        left_ms: frame.left_ms,
        right_ms: frame.right_ms,
        first_ms,
        last_ms: all.ts[window.hi - 1],
        samples: window.len(),
        zero_ms,
    };
    let increase = match &change {
        Change::Float(value) => *value,
        Change::Histogram(own) => own.count,
    };
    let mut factor = reach.extrapolation(kind.is_counter().then_some((first, increase)));
    if kind == Kind::Rate {
        factor /= (frame.right_ms - frame.left_ms) as f64 / 1000.0;
    }
    Some(match change {
        Change::Float(value) => Element::Float(value * factor),
        Change::Histogram(own) => Element::Histogram(Arc::new(own.scaled(factor))),
    })
}

enum Change {
    Float(f64),
    Histogram(Histogram),
}

fn float_change(all: &Mixed, window: Window, kind: Kind, zero_ms: Option<i64>) -> f64 {
    let value = |index: usize| match &all.elements[index] {
        Element::Float(value) => *value,
        Element::Histogram(_) => f64::NAN,
    };
    let first = if zero_ms.is_some() { 0.0 } else { value(window.lo) };
    let mut change = value(window.hi - 1) - first;
    if kind.is_counter() {
        for index in window.lo + 1..window.hi {
            if value(index) < value(index - 1) || has_restarted(all, index) {
                change += value(index - 1);
            }
        }
    }
    change
}

/// The change over a window of histograms; nothing when their bounds do not go together.
pub fn histogram_change(
    all: &Mixed,
    window: Window,
    kind: Kind,
    (zero_ms, noted): (Option<i64>, &Noted),
) -> Option<Histogram> {
    let at = |index: usize| all.histogram(index);
    let (first, last) = (at(window.lo)?, at(window.hi - 1)?);
    let is_gauge = |own: &Histogram| own.hint == ResetHint::Gauge;
    if kind.is_counter() {
        if (window.lo..window.hi).filter_map(at).any(|own| is_gauge(own)) {
            noted.notes.wrong_histogram_kind(noted.span, "counter", noted.metric);
        }
    } else if !is_gauge(first) || !is_gauge(last) {
        noted.notes.wrong_histogram_kind(noted.span, "gauge", noted.metric);
    }
    let is_reset = |index: usize| {
        let (own, before) = (at(index)?, at(index - 1)?);
        Some(has_restarted(all, index) || own.is_reset_after(before))
    };
    // Of a first sample before a reset only the count matters, whatever its bounds are.
    let is_alone = window.len() > 1 && kind.is_counter() && is_reset(window.lo + 1)?;
    let skips_first = is_alone && zero_ms.is_none();
    let nothing = |own: &Histogram| Histogram {
        schema: own.schema,
        custom_values: own.custom_values.clone(),
        ..Histogram::default()
    };
    let compared = if skips_first { window.lo + 1 } else { window.lo };
    let is_custom = at(compared)?.is_custom();
    let inner = (compared..window.hi).filter_map(at);
    let differs = last.is_custom() != is_custom
        || kind.is_counter() && inner.clone().any(|own| own.is_custom() != is_custom);
    if differs {
        noted.notes.mixed_bounds(noted.span, noted.metric);
        return None;
    }
    let mut total = Total::of(last);
    if !is_custom && kind.is_counter() {
        total.coarsen(inner.map(|own| own.schema).min().unwrap_or(last.schema));
    }
    let base =
        if zero_ms.is_some() || skips_first { nothing(at(compared)?) } else { (**first).clone() };
    let mut add = |own: &Histogram, sign: f64, during: &str| {
        let added = total.add(own, sign).ok()?;
        if added.bounds_reconciled {
            let added = model::histogram::Added { hints_collide: false, ..added };
            noted.notes.added(noted.span, added, during);
        }
        Some(())
    };
    add(&base, -1.0, "subtraction")?;
    if kind.is_counter() {
        for index in window.lo + 1..window.hi {
            if is_reset(index)? && !(skips_first && index == window.lo + 1) {
                add(at(index - 1)?, 1.0, "addition")?;
            }
        }
    }
    Some(Histogram { hint: ResetHint::Gauge, ..total.value() })
}

/// `irate` and `idelta`: from the last two samples.
pub fn last_two(all: &Mixed, window: Window, per_second: bool, noted: &Noted) -> Option<Element> {
    if window.len() < 2 {
        return None;
    }
    let last = window.hi - 1;
    let seconds = (all.ts[last] - all.ts[last - 1]) as f64 / 1000.0;
    let restarted = per_second && has_restarted(all, last);
    match (&all.elements[last - 1], &all.elements[last]) {
        (Element::Float(before), Element::Float(value)) => {
            let is_reset = per_second && (value < before || restarted);
            let change = if is_reset { *value } else { value - before };
            Some(Element::Float(if per_second { change / seconds } else { change }))
        }
        (Element::Histogram(before), Element::Histogram(own)) => {
            let gauges = [before, own].iter().filter(|own| own.hint == ResetHint::Gauge).count();
            if per_second && gauges > 0 {
                noted.notes.wrong_histogram_kind(noted.span, "counter", noted.metric);
            } else if !per_second && gauges < 2 {
                noted.notes.wrong_histogram_kind(noted.span, "gauge", noted.metric);
            }
            let mut total = Total::of(own);
            if !(per_second && (restarted || own.is_reset_after(before))) {
                let Ok(added) = total.add(before, -1.0) else {
                    noted.notes.mixed_bounds(noted.span, noted.metric);
                    return None;
                };
                let added = model::histogram::Added { hints_collide: false, ..added };
                noted.notes.added(noted.span, added, "subtraction");
            }
            let change = Histogram { hint: ResetHint::Gauge, ..total.value() };
            let change = if per_second { change.divided(seconds) } else { change };
            Some(Element::Histogram(Arc::new(change)))
        }
        _ => {
            noted.notes.mixed_range(noted.span, noted.metric);
            None
        }
    }
}
