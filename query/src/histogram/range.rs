//! Range functions over one series of numbers and histograms.
//!
//! Place in the flow: `leaf` and subqueries bring a series → **`range`** → a row.
//!
//! Numbers alone still go through the kernels; this adds what histograms and start timestamps in a
//! window change about that.
//!
//! Not here: `rate` and its kin (`rate`).

use std::sync::Arc;

use model::histogram::Incompatible;
use promql::ast::{Extension, Span};

use super::aggregate::folded;
use super::extended::{change, edges};
use super::rate::{Frame, extrapolated, has_restarted, last_two, note_overlap};
use super::series::Mixed;
use crate::fragment::{Times, extend};
use crate::kernel::counter::Kind;
use crate::kernel::window::{Reach, find};
use crate::kernel::{Element, Frames, Input, RangeFunction, Row, Samples, Window};
use crate::ledger::Pace;
use crate::notes::Notes;

/// Where notes about one series of an argument go.
#[derive(Clone, Copy)]
pub struct Noted<'a> {
    /// The notes.
    pub notes: &'a Notes,
    /// Where the argument stands.
    pub span: Span,
    /// The series' metric name.
    pub metric: &'a str,
}

/// A range function and its windows.
pub struct Windowed<'a> {
    /// The function.
    pub function: RangeFunction,
    /// `anchored` or `smoothed`, and how far the windows reach then.
    pub extension: Option<(Extension, Reach)>,
    /// When.
    pub times: &'a Times,
    /// The windows' length.
    pub range_ms: i64,
    /// Scalar parameters, one value per step each.
    pub params: &'a [Vec<f64>],
    /// Says when to stop early.
    pub pace: &'a Pace<'a>,
}

/// Evaluates a range function at every step of one series.
pub fn mixed_range(windowed: &Windowed, all: &Mixed, noted: &Noted, row: &mut Row) {
    let times = windowed.times;
    let reach = match windowed.extension {
        Some((_, reach)) => reach,
        None => Reach { before_ms: windowed.range_ms, after_ms: 0 },
    };
    let (mut ts, mut values) = (Vec::new(), Vec::new());
    for (at, element) in all.ts.iter().zip(&all.elements) {
        if let Element::Float(value) = element {
            ts.push(*at);
            values.push(*value);
        }
    }
    let mut windows = Vec::new();
    find(&ts, &times.right_ms, reach, &mut windows);
    let frames =
        Frames { right_ms: &times.right_ms, eval_ms: &times.eval_ms, range_ms: windowed.range_ms };
    let samples = Samples { ts: &ts, values: &values };
    let (params, pace) = (windowed.params, windowed.pace);
    let input = Input { samples, windows: &windows, frames, params, edges: None, pace };
    match windowed.extension {
        Some((extension, _)) => extend(windowed.function, extension, &input, row),
        None => windowed.function.evaluate(&input, row),
    }
    let floats: Vec<usize> =
        windows.iter().map(|window| window.hi.saturating_sub(window.lo)).collect();
    find(&all.ts, &times.right_ms, reach, &mut windows);
    for (step, window) in windows.iter().enumerate() {
        let is_plain = window.is_empty()
            || floats[step] == window.len()
                && all.starts[window.lo..window.hi].iter().all(|start| *start == 0);
        if is_plain {
            continue;
        }
        // A histogram has some dozens of buckets.
        if pace.is_over(window.len().saturating_mul(64)) {
            return;
        }
        let right_ms = times.right_ms[step];
        let left_ms = right_ms - windowed.range_ms;
        let frame = Frame { window: *window, left_ms, right_ms };
        let before = row.get(step);
        row.valid[step] = false;
        let one = Step { function: windowed.function, frame, floats: floats[step], before };
        let element = match windowed.extension {
            Some((extension, _)) => one.extended(extension, all, noted),
            None => one.evaluate(all, noted),
        };
        if let Some(element) = element {
            row.set_element(step, element);
        }
    }
}

/// One step whose window holds more than plain numbers.
#[derive(Clone, Copy)]
struct Step {
    function: RangeFunction,
    frame: Frame,
    /// How many of the window's samples are numbers.
    floats: usize,
    /// What the function gives for the numbers alone.
    before: Option<f64>,
}

impl Step {
    fn evaluate(&self, all: &Mixed, noted: &Noted) -> Option<Element> {
        use RangeFunction as F;
        let window = self.frame.window;
        let float = |value: f64| Some(Element::Float(value));
        let seconds = |index: usize| float(all.ts[index] as f64 / 1000.0);
        let is_mixed = self.floats != 0 && self.floats != window.len();
        match self.function {
            F::Count => float(window.len() as f64),
            F::Present => float(1.0),
            F::First => Some(all.elements[window.lo].clone()),
            F::Last => Some(all.elements[window.hi - 1].clone()),
            F::TsOfFirst => seconds(window.lo),
            F::TsOfLast => seconds(window.hi - 1),
            F::Changes => float(self.tally(all, |before, own, _| match (before, own) {
                (Element::Float(before), Element::Float(own)) => {
                    crate::kernel::counter::is_change(*before, *own)
                }
                (Element::Histogram(before), Element::Histogram(own)) => !own.same(before),
                _ => true,
            })),
            F::Resets => float(self.tally(all, |before, own, index| match (before, own) {
                (Element::Float(before), Element::Float(own)) => {
                    own < before || has_restarted(all, index)
                }
                (Element::Histogram(before), Element::Histogram(own)) => {
                    has_restarted(all, index) || own.is_reset_after(before)
                }
                _ => true,
            })),
            F::Irate | F::Idelta => {
                note_overlap(all, window, noted);
                last_two(all, window, self.function == F::Irate, noted)
            }
            F::Rate | F::Increase | F::Delta | F::Sum | F::Avg if is_mixed => {
                noted.notes.mixed_range(noted.span, noted.metric);
                None
            }
            F::Rate | F::Increase | F::Delta => {
                note_overlap(all, window, noted);
                extrapolated(all, self.frame, kind_of(self.function), noted)
            }
            F::Sum | F::Avg if self.floats == 0 => self.fold(all, noted),
            _ => {
                if is_mixed {
                    noted.notes.histograms_ignored(noted.span, noted.metric);
                }
                self.before.map(Element::Float)
            }
        }
    }

    fn tally(&self, all: &Mixed, counts: impl Fn(&Element, &Element, usize) -> bool) -> f64 {
        let window = self.frame.window;
        let changed =
            |index: &usize| counts(&all.elements[index - 1], &all.elements[*index], *index);
        (window.lo + 1..window.hi).filter(changed).count() as f64
    }

    fn fold(&self, all: &Mixed, noted: &Noted) -> Option<Element> {
        let window = self.frame.window;
        let found = (window.lo..window.hi).filter_map(|index| all.histogram(index));
        let note = |added| noted.notes.added(noted.span, added, "aggregation");
        match folded(found, self.function == RangeFunction::Avg, note) {
            Ok(own) => own.map(|own| Element::Histogram(Arc::new(own))),
            Err(Incompatible) => {
                noted.notes.mixed_bounds(noted.span, noted.metric);
                None
            }
        }
    }

    fn extended(&self, extension: Extension, all: &Mixed, noted: &Noted) -> Option<Element> {
        let edges = edges(all, self.frame, extension == Extension::Smoothed)?;
        let touched = Window { lo: edges.first, hi: edges.last + 1 };
        let is_float = |index: usize| all.histogram(index).is_none();
        match self.function {
            RangeFunction::Changes | RangeFunction::Resets => {
                let frame = Frame { window: touched, ..self.frame };
                Step { frame, ..*self }.evaluate(all, noted)
            }
            _ if (touched.lo..touched.hi).all(is_float) => self.before.map(Element::Float),
            function => change(all, &edges, kind_of(function), noted),
        }
    }
}

fn kind_of(function: RangeFunction) -> Kind {
    match function {
        RangeFunction::Rate => Kind::Rate,
        RangeFunction::Increase => Kind::Increase,
        _ => Kind::Delta,
    }
}
