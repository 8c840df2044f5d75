//! Native histograms of the test language: from notation to samples, converted classic ones, the
//! hints a store gives back, and comparison.
//!
//! Place in the flow: `run` loads with it, `table` reads with it, `compare` compares with it.

use std::collections::BTreeMap;

use model::histogram::{Buckets, CUSTOM_SCHEMA, ResetHint};
use model::labels::METRIC_NAME;
use model::sample::parse_value;
use model::{Histogram, Labels};
use promql::series::{Hint, HistogramLiteral, Item};

use crate::compare::almost_equal;
use crate::script::LoadedSeries;

/// The histogram that a literal stands for.
pub fn histogram(literal: &HistogramLiteral) -> Histogram {
    Histogram {
        schema: literal.schema,
        zero_threshold: literal.zero_threshold,
        zero_count: literal.zero_count,
        count: literal.count,
        sum: literal.sum,
        positive: Buckets::dense(literal.offset, literal.buckets.clone()),
        negative: Buckets::dense(literal.negative_offset, literal.negative_buckets.clone()),
        custom_values: literal.custom_values.clone(),
        hint: literal.hint.map_or(ResetHint::Unknown, hint),
    }
}

fn hint(hint: Hint) -> ResetHint {
    match hint {
        Hint::Unknown => ResetHint::Unknown,
        Hint::Reset => ResetHint::Reset,
        Hint::NotReset => ResetHint::NotReset,
        Hint::Gauge => ResetHint::Gauge,
    }
}

/// A histogram as the test language writes it, keys with their default left out.
pub fn notation(own: &Histogram) -> String {
    let mut keys = Vec::new();
    let numbers = [
        ("schema", f64::from(own.schema)),
        ("count", own.count),
        ("sum", own.sum),
        ("z_bucket", own.zero_count),
        ("z_bucket_w", own.zero_threshold),
    ];
    keys.extend(numbers.iter().filter(|own| own.1 != 0.0).map(|(key, own)| format!("{key}:{own}")));
    let mut list = |key: &str, values: &[f64]| {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(f64::to_string).collect();
            keys.push(format!("{key}:[{}]", values.join(" ")));
        }
    };
    list("custom_values", &own.custom_values);
    let sides = [("offset", "buckets", &own.positive), ("n_offset", "n_buckets", &own.negative)];
    let mut offsets = Vec::new();
    for (offset, buckets, side) in sides {
        let Some((first, _)) = side.iter().next() else { continue };
        let mut counts = Vec::new();
        for (index, count) in side.iter() {
            counts.resize((index - first) as usize, 0.0);
            counts.push(count);
        }
        offsets.push((offset, first));
        list(buckets, &counts);
    }
    let offsets = offsets.into_iter().filter(|(_, first)| *first != 0);
    keys.extend(offsets.map(|(offset, first)| format!("{offset}:{first}")));
    let hint = match own.hint {
        ResetHint::Unknown => None,
        ResetHint::Reset => Some("reset"),
        ResetHint::NotReset => Some("not_reset"),
        ResetHint::Gauge => Some("gauge"),
    };
    keys.extend(hint.map(|hint| format!("counter_reset_hint:{hint}")));
    format!("{{{{{}}}}}", keys.join(" "))
}

/// Whether a found histogram is what was written; a hint only counts when one was written.
pub fn is_equal(literal: &HistogramLiteral, found: &Histogram) -> bool {
    let wanted = histogram(literal).compacted();
    let found = found.compacted();
    let numbers = [
        (wanted.count, found.count),
        (wanted.sum, found.sum),
        (wanted.zero_count, found.zero_count),
    ];
    let side = |a: &Buckets, b: &Buckets| {
        let pairs = a.counts().iter().zip(b.counts());
        a.spans() == b.spans() && pairs.into_iter().all(|(a, b)| almost_equal(*a, *b))
    };
    wanted.schema == found.schema
        && wanted.zero_threshold == found.zero_threshold
        && wanted.custom_values == found.custom_values
        && numbers.into_iter().all(|(a, b)| almost_equal(a, b))
        && side(&wanted.positive, &found.positive)
        && side(&wanted.negative, &found.negative)
        && literal.hint.is_none_or(|own| hint(own) == found.hint)
}

/// The hints that a store with chunks gives back: the first histogram of a chunk has none, even if
/// the chunk was begun because of a reset; all later ones say that nothing was reset.
#[derive(Default)]
pub struct Chunks {
    last: Option<Histogram>,
}

impl Chunks {
    /// The next histogram of a series as it is read back.
    pub fn read(&mut self, written: &Histogram) -> Histogram {
        let is_gauge = written.hint == ResetHint::Gauge;
        let plain = Histogram { hint: ResetHint::Unknown, ..written.clone() };
        let goes_on = self.last.as_ref().is_some_and(|last| {
            written.hint != ResetHint::Reset
                && (last.hint == ResetHint::Gauge) == is_gauge
                && last.schema == written.schema
                && last.zero_threshold == written.zero_threshold
                && last.custom_values == written.custom_values
                && !plain.is_reset_after(last)
        });
        let hint = match goes_on {
            _ if is_gauge => ResetHint::Gauge,
            true => ResetHint::NotReset,
            false => ResetHint::Unknown,
        };
        self.last = Some(Histogram { hint: written.hint, ..plain.clone() });
        Histogram { hint, ..plain }
    }

    /// A number or a stale marker ends the chunk.
    pub fn end(&mut self) {
        self.last = None;
    }
}

/// The parts of one classic histogram at one step.
#[derive(Default)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The native histograms that classic ones are converted to: labels, step, histogram.
pub fn converted(series: &[LoadedSeries]) -> Vec<(Labels, usize, Histogram)> {
    let mut found: BTreeMap<(Labels, usize), Classic> = BTreeMap::new();
    for own in series {
        let name = own.labels.metric_name();
        let parts = ["_bucket", "_count", "_sum"].iter();
        let mut parts = parts.filter_map(|end| Some((name.strip_suffix(end)?, *end)));
        let Some((base, end)) = parts.next() else { continue };
        let upper = own.labels.get("le").and_then(parse_value).filter(|upper| !upper.is_nan());
        if end == "_bucket" && upper.is_none() {
            continue;
        }
        let mut labels = own.labels.to_builder();
        labels.set(METRIC_NAME, base).remove("le");
        let labels = labels.build();
        for (step, item) in own.items.iter().enumerate() {
            let Item::Float(value) = item else { continue };
            let classic = found.entry((labels.clone(), step)).or_default();
            match (end, upper) {
                ("_bucket", Some(upper)) => classic.buckets.push((upper, *value)),
                ("_count", _) => classic.count = Some(*value),
                _ => classic.sum = *value,
            }
        }
    }
    let all = found.into_iter();
    all.filter_map(|((labels, step), classic)| Some((labels, step, classic.convert()?))).collect()
}

impl Classic {
    fn convert(mut self) -> Option<Histogram> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|next, kept| next.0 == kept.0);
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, count)| count))?;
        if last.is_none_or(|(upper, _)| upper != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let counts: Vec<f64> = self
            .buckets
            .iter()
            .map(|(_, count)| {
                let own = count - before;
                before = *count;
                own
            })
            .collect();
        let bounds = self.buckets.iter().map(|(upper, _)| *upper);
        let histogram = Histogram {
            schema: CUSTOM_SCHEMA,
            count,
            sum: self.sum,
            positive: Buckets::dense(0, counts).compacted(),
            custom_values: bounds.filter(|upper| upper.is_finite()).collect(),
            ..Histogram::default()
        };
        histogram.problem().is_none().then_some(histogram)
    }
}
