//! `anchored` and `smoothed` over histograms: a histogram at each edge instead of extrapolation.
//!
//! Place in the flow: `range` and `leaf` hand over one window → **`extended`** → an element, or
//! nothing and a note.
//!
//! As for numbers, an anchored edge takes the last sample at or before it, a smoothed edge lies
//! between its neighbours, and a counter that was reset between them starts from nothing.
//!
//! Not here: windows of numbers alone (`kernel::extended`).

use std::sync::Arc;

use model::Histogram;
use model::histogram::{Incompatible, ResetHint, Total};

use super::range::Noted;
use super::rate::Frame;
use super::series::Mixed;
use crate::kernel::counter::Kind;
use crate::kernel::extended::Edges;
use crate::kernel::{Element, Window};

/// `rate`, `increase` and `delta` between the edges of a window.
pub fn change(all: &Mixed, edges: &Edges, kind: Kind, noted: &Noted) -> Option<Element> {
    let own: Vec<&Arc<Histogram>> =
        (edges.first..=edges.last).filter_map(|index| all.histogram(index)).collect();
    if own.len() != edges.last + 1 - edges.first {
        noted.notes.mixed_range(noted.span, noted.metric);
        return None;
    }
    let is_gauge = |own: &&Arc<Histogram>| own.hint == ResetHint::Gauge;
    if kind.is_counter() {
        if own.iter().any(is_gauge) {
            noted.notes.wrong_histogram_kind(noted.span, "counter", noted.metric);
        }
    } else if !is_gauge(&own[0]) || !is_gauge(&own[own.len() - 1]) {
        noted.notes.wrong_histogram_kind(noted.span, "gauge", noted.metric);
    }
    let change = between_edges(all, edges, kind, &own);
    let Ok(change) = change else {
        noted.notes.mixed_bounds(noted.span, noted.metric);
        return None;
    };
    let seconds = (edges.right_ms - edges.left_ms) as f64 / 1000.0;
    let change = if kind == Kind::Rate { change.divided(seconds) } else { change };
    Some(Element::Histogram(Arc::new(Histogram { hint: ResetHint::Gauge, ..change })))
}

fn between_edges(
    all: &Mixed,
    edges: &Edges,
    kind: Kind,
    own: &[&Arc<Histogram>],
) -> Result<Histogram, Incompatible> {
    let (first, last) = (edges.first, edges.last);
    if own.iter().any(|other| other.is_custom() != own[0].is_custom()) {
        return Err(Incompatible);
    }
    let share = |index: usize, at_ms: i64| share_of(all, index, at_ms);
    let counter = kind.is_counter();
    let is_left_between = edges.smoothed && all.ts[first] < edges.left_ms && first < last;
    let left = if is_left_between {
        interpolated(own[0], own[1], share(first, edges.left_ms), counter)?
    } else {
        (**own[0]).clone()
    };
    let count = own.len();
    let is_right_between = edges.smoothed && first < last && all.ts[last] > edges.right_ms;
    let right = if is_right_between {
        let share = share(last - 1, edges.right_ms);
        interpolated(own[count - 2], own[count - 1], share, counter)?
    } else {
        (**own[count - 1]).clone()
    };
    let mut total = Total::of(&right);
    total.add(&left, -1.0)?;
    if counter {
        for (index, pair) in own.windows(2).enumerate() {
            // What lies between two neighbours of the left edge is in the edge's histogram already.
            let is_counted = index == 0 && is_left_between;
            if !is_counted && pair[1].is_reset_after(pair[0]) {
                total.add(pair[0], 1.0)?;
            }
        }
    }
    Ok(total.value())
}

fn share_of(all: &Mixed, index: usize, at_ms: i64) -> f64 {
    let (start_ms, end_ms) = (all.ts[index], all.ts[index + 1]);
    (at_ms - start_ms) as f64 / (end_ms - start_ms) as f64
}

/// The histogram that lies so far from one to the next.
fn interpolated(
    own: &Histogram,
    next: &Histogram,
    share: f64,
    is_counter: bool,
) -> Result<Histogram, Incompatible> {
    if own.is_custom() != next.is_custom() {
        return Err(Incompatible);
    }
    if is_counter && next.is_reset_after(own) {
        return Ok(next.scaled(share));
    }
    let mut total = Total::of(next);
    total.add(own, -1.0)?;
    total.scale(share);
    total.add(own, 1.0)?;
    Ok(Histogram { hint: own.hint, ..total.value() })
}

/// A smoothed selector at an instant: on the line between the samples around it.
pub fn instant(all: &Mixed, window: Window, at_ms: i64, noted: &Noted) -> Option<Element> {
    let end = window.hi.max(window.lo);
    let after = window.lo + all.ts[window.lo..end].partition_point(|own_ms| *own_ms <= at_ms);
    if after == window.lo {
        return None;
    }
    let histograms = (window.lo..end).filter(|index| all.histogram(*index).is_some()).count();
    if histograms != 0 && histograms != window.len() {
        noted.notes.mixed_range(noted.span, noted.metric);
        return None;
    }
    let (before, own) = (after - 1, &all.elements[after - 1]);
    if after == end || all.ts[before] == at_ms {
        return Some(own.clone());
    }
    let share = share_of(all, before, at_ms);
    match (own, &all.elements[after]) {
        (Element::Histogram(own), Element::Histogram(next)) => {
            let is_counter = own.hint != ResetHint::Gauge && next.hint != ResetHint::Gauge;
            let Ok(between) = interpolated(own, next, share, is_counter) else {
                noted.notes.mixed_bounds(noted.span, noted.metric);
                return None;
            };
            Some(Element::Histogram(Arc::new(between)))
        }
        (Element::Float(own), Element::Float(next)) => {
            Some(Element::Float(own + (next - own) * share))
        }
        _ => None,
    }
}

/// The samples that matter for a frame's window; nothing when none touches it.
pub fn edges(all: &Mixed, frame: Frame, smoothed: bool) -> Option<Edges> {
    Edges::find(&all.ts, frame.window, (frame.left_ms, frame.right_ms), smoothed)
}
