//! JSON of query answers, written once.
//!
//! Place in the flow: [`query::Answer`] → **`Pieces`** → the HTTP body, for long ones by way of
//! `leaving`. Answers of a million points are common, so no tree is built in between, and a long one
//! is cut into pieces that can be written side by side; what has been written is let go of.
//!
//! Timestamps are seconds with three digits when they have a fraction; values are texts in Go's
//! shortest form, `NaN`, `+Inf`, `-Inf`; `resultType` stands before `result`.

use std::ops::Range;
use std::sync::Arc;
use std::vec::IntoIter;

use model::Labels;
use model::histogram::{Bucket, Histogram};
use model::time::TimestampMs;
use query::{Answer, Held, MatrixSeries, Value, VectorSample};

use number::{write_number, write_whole};

/// Numbers as the field writes them.
mod number;

/// Bytes after which a piece ends, about.
const PIECE_BYTES: usize = 128 * 1024;
/// Bytes of a point, about.
const POINT_BYTES: usize = 28;
/// Bytes of a point at most, but for numbers that are written out in full length.
const POINT_BYTES_MAX: usize = 64;
/// Points of a piece.
const PIECE_POINTS: usize = PIECE_BYTES / POINT_BYTES;
/// What labels and brackets of a series take, in points.
const SERIES_POINTS: usize = 4;
/// What a histogram takes, in points.
const HISTOGRAM_POINTS: usize = 20;
/// Instants whose text is kept: as many as a range query has steps.
const TIMES_MAX: usize = 11_001;

/// The body of a good answer in pieces, each of which can be written on its own; together they are
/// the JSON.
pub struct Pieces {
    head: Vec<u8>,
    items: Items,
    /// What stands behind the items; `None` when the last piece has been taken.
    tail: Option<Vec<u8>>,
    times: Arc<Times>,
    /// The rest of a series that is longer than a piece.
    rest: Option<Part>,
    is_first: bool,
    _held: Held,
}

enum Items {
    Nothing,
    Samples(IntoIter<VectorSample>),
    Series(IntoIter<MatrixSeries>),
}

impl Pieces {
    /// The pieces of an answer.
    pub fn new(answer: Answer, stats: Option<String>) -> Pieces {
        let mut head = br#"{"status":"success","data":{"resultType":""#.to_vec();
        head.extend_from_slice(answer.value.kind().as_bytes());
        head.extend_from_slice(br#"","result":"#);
        let (mut tail, mut times) = (Vec::new(), Times::default());
        let items = match answer.value {
            Value::Scalar { at, value } => {
                write_point(&mut head, at, value);
                Items::Nothing
            }
            Value::Text { at, text } => {
                head.push(b'[');
                write_time(&mut head, at);
                head.push(b',');
                write_text(&mut head, &text);
                head.push(b']');
                Items::Nothing
            }
            Value::Vector(samples) => Items::Samples(samples.into_iter()),
            Value::Matrix(series) => {
                times = Times::of(&series);
                Items::Series(series.into_iter())
            }
        };
        if !matches!(items, Items::Nothing) {
            head.push(b'[');
            tail.push(b']');
        }
        if let Some(stats) = stats {
            tail.extend_from_slice(br#","stats":"#);
            tail.extend_from_slice(stats.as_bytes());
        }
        tail.push(b'}');
        write_notices(&mut tail, "warnings", &answer.warnings);
        write_notices(&mut tail, "infos", &answer.infos);
        tail.push(b'}');
        let (times, tail) = (Arc::new(times), Some(tail));
        Pieces { head, items, tail, times, rest: None, is_first: true, _held: answer.held }
    }

    /// How many bytes are still to come, about.
    pub fn bytes_estimate(&self) -> usize {
        let points = match &self.items {
            Items::Nothing => SERIES_POINTS,
            Items::Samples(samples) => samples.len() * (1 + SERIES_POINTS),
            Items::Series(series) => series.as_slice().iter().map(points).sum(),
        };
        points * POINT_BYTES
    }

    /// All pieces as one.
    pub fn join(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes_estimate() + 256);
        self.for_each(|piece| piece.write(&mut out));
        out
    }

    /// What comes next, if there is anything, and whether something stood before it.
    fn part(&mut self, room: usize) -> Option<(Part, bool)> {
        let is_inner = self.rest.is_some();
        let part = match (self.rest.take(), &mut self.items) {
            (Some(rest), _) => rest,
            (None, Items::Nothing) => return None,
            (None, Items::Samples(samples)) => Part::Sample(samples.next()?),
            (None, Items::Series(series)) => Part::of(series.next()?),
        };
        let (part, rest) = part.split(room);
        self.rest = rest;
        let follows = !is_inner && !std::mem::replace(&mut self.is_first, false);
        Some((part, follows))
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        self.tail.as_ref()?;
        let mut parts = Vec::new();
        let mut room = PIECE_POINTS;
        while room > 0 {
            let Some((part, follows)) = self.part(room) else { break };
            room = room.saturating_sub(part.points());
            parts.push((part, follows));
        }
        let is_last = room > 0;
        let (head, times) = (std::mem::take(&mut self.head), Arc::clone(&self.times));
        let tail = if is_last { self.tail.take() } else { None };
        Some(Piece { head, parts, tail: tail.unwrap_or_default(), times })
    }
}

/// Some of an answer, not written yet.
pub struct Piece {
    head: Vec<u8>,
    /// Each with whether a comma stands before it.
    parts: Vec<(Part, bool)>,
    tail: Vec<u8>,
    times: Arc<Times>,
}

impl Piece {
    /// Its JSON.
    pub fn bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 * PIECE_BYTES);
        self.write(&mut out);
        out
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        for (part, follows) in &self.parts {
            if *follows {
                out.push(b',');
            }
            match part {
                Part::Sample(sample) => write_sample(out, sample),
                Part::Series(run) => write_run(out, run, &self.times),
            }
        }
        out.extend_from_slice(&self.tail);
    }
}

/// What a piece is made of.
enum Part {
    Sample(VectorSample),
    Series(Run),
}

/// Points of a series: all of them, unless it is a long one.
struct Run {
    series: Arc<MatrixSeries>,
    points: Range<usize>,
}

impl Run {
    fn is_start(&self) -> bool {
        self.points.start == 0
    }

    fn is_end(&self) -> bool {
        self.points.end == self.series.points.len()
    }
}

impl Part {
    fn of(series: MatrixSeries) -> Part {
        let points = 0..series.points.len();
        Part::Series(Run { series: Arc::new(series), points })
    }

    /// Its size in points.
    fn points(&self) -> usize {
        match self {
            Part::Sample(_) => 1 + SERIES_POINTS,
            Part::Series(run) if run.is_start() && run.is_end() => points(&run.series),
            Part::Series(run) => run.points.len(),
        }
    }

    /// What fits, and the rest. Only a series that is longer than a piece is divided.
    fn split(self, room: usize) -> (Part, Option<Part>) {
        match self {
            Part::Series(Run { series, points }) if points.len() > PIECE_POINTS => {
                let middle = points.start + room;
                let first = Run { series: Arc::clone(&series), points: points.start..middle };
                let rest = Run { series, points: middle..points.end };
                (Part::Series(first), Some(Part::Series(rest)))
            }
            whole => (whole, None),
        }
    }
}

/// The size of a series.
fn points(series: &MatrixSeries) -> usize {
    series.points.len() + HISTOGRAM_POINTS * series.histograms.len() + SERIES_POINTS
}

/// The instants of the first series as text: those of the others are the same as a rule.
#[derive(Default)]
struct Times {
    at_ms: Vec<i64>,
    leads: Vec<Lead>,
}

impl Times {
    fn of(series: &[MatrixSeries]) -> Times {
        let Some(first) = series.iter().find(|own| !own.points.is_empty()) else {
            return Times::default();
        };
        let known = first.points.iter().take(TIMES_MAX);
        Times {
            at_ms: known.clone().map(|(at, _)| at.0).collect(),
            leads: known.map(|(at, _)| Lead::new(*at)).collect(),
        }
    }

    fn write(&self, out: &mut Vec<u8>, index: usize, at: TimestampMs) {
        match self.at_ms.get(index) {
            Some(known) if *known == at.0 => self.leads[index].write(out),
            _ => Lead::new(at).write(out),
        }
    }
}

/// Room for a lead: seconds have sixteen digits at most.
const LEAD_BYTES: usize = 32;

/// What stands before the value of a point: `,[1435781451.781,"`.
struct Lead {
    bytes: [u8; LEAD_BYTES],
    length: usize,
}

impl Lead {
    fn new(at: TimestampMs) -> Lead {
        let mut text = Vec::with_capacity(LEAD_BYTES);
        text.extend_from_slice(b",[");
        write_time(&mut text, at);
        text.extend_from_slice(b",\"");
        let length = text.len();
        text.resize(LEAD_BYTES, 0);
        Lead { bytes: text.try_into().expect("it was made this long"), length }
    }

    /// All of the room is copied and then cut: that is quicker than to copy as much as there is.
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out.truncate(start + self.length);
    }
}

fn write_sample(out: &mut Vec<u8>, sample: &VectorSample) {
    out.extend_from_slice(br#"{"metric":"#);
    write_labels(out, &sample.labels);
    match &sample.histogram {
        Some(histogram) => {
            out.extend_from_slice(br#","histogram":"#);
            write_histogram(out, sample.at, histogram);
        }
        None => {
            out.extend_from_slice(br#","value":"#);
            write_point(out, sample.at, sample.value);
        }
    }
    out.push(b'}');
}

fn write_run(out: &mut Vec<u8>, run: &Run, times: &Times) {
    let series = &run.series;
    if run.is_start() {
        out.extend_from_slice(br#"{"metric":"#);
        write_labels(out, &series.labels);
    }
    let has_points = !series.points.is_empty() || series.histograms.is_empty();
    if has_points {
        if run.is_start() {
            out.extend_from_slice(br#","values":"#);
        }
        out.reserve(run.points.len() * POINT_BYTES_MAX + LEAD_BYTES);
        let start = out.len();
        for (index, (at, value)) in run.points.clone().zip(&series.points[run.points.clone()]) {
            times.write(out, index, *at);
            write_number(out, *value);
            out.extend_from_slice(b"\"]");
        }
        // The list begins where the first comma stands.
        match out.get_mut(start) {
            Some(comma) if run.is_start() => *comma = b'[',
            None if run.is_start() => out.push(b'['),
            _ => {}
        }
    }
    if !run.is_end() {
        return;
    }
    if has_points {
        out.push(b']');
    }
    if !series.histograms.is_empty() {
        out.extend_from_slice(br#","histograms":"#);
        write_list(out, &series.histograms, |out, (at, histogram)| {
            write_histogram(out, *at, histogram);
        });
    }
    out.push(b'}');
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn write_notices(out: &mut Vec<u8>, name: &str, notices: &[String]) {
    if notices.is_empty() {
        return;
    }
    out.push(b',');
    write_text(out, name);
    out.push(b':');
    write_list(out, notices, |out, notice| write_text(out, notice));
}

fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_text(out, value);
    }
    out.push(b'}');
}

fn write_point(out: &mut Vec<u8>, at: TimestampMs, value: f64) {
    out.push(b'[');
    write_time(out, at);
    out.push(b',');
    write_quoted(out, value);
    out.push(b']');
}

/// `[t, {count, sum, buckets: [[rule, "lower", "upper", "count"], …]}]`, empty buckets left out.
fn write_histogram(out: &mut Vec<u8>, at: TimestampMs, histogram: &Histogram) {
    out.push(b'[');
    write_time(out, at);
    for (name, value) in [(",{\"count\":", histogram.count), (",\"sum\":", histogram.sum)] {
        out.extend_from_slice(name.as_bytes());
        write_quoted(out, value);
    }
    let mut buckets = histogram.buckets();
    buckets.retain(|bucket| bucket.count != 0.0);
    if !buckets.is_empty() {
        out.extend_from_slice(b",\"buckets\":");
        write_list(out, &buckets, |out, bucket| {
            out.extend_from_slice(&[b'[', b'0' + boundary_rule(bucket)]);
            for value in [bucket.lower, bucket.upper, bucket.count] {
                out.push(b',');
                write_quoted(out, value);
            }
            out.push(b']');
        });
    }
    out.extend_from_slice(b"}]");
}

/// 0: open left, 1: open right, 2: open at both ends, 3: closed at both ends.
fn boundary_rule(bucket: &Bucket) -> u8 {
    let is_point = bucket.lower == bucket.upper;
    match (bucket.lower < 0.0 || is_point, bucket.upper > 0.0 || is_point) {
        (false, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
        (true, true) => 3,
    }
}

fn write_quoted(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    write_number(out, value);
    out.push(b'"');
}

/// Seconds; three digits after the point when there is a fraction.
fn write_time(out: &mut Vec<u8>, at: TimestampMs) {
    if at.0 < 0 {
        out.push(b'-');
    }
    let ms = at.0.unsigned_abs();
    write_whole(out, ms / 1000);
    let rest = ms % 1000;
    if rest != 0 {
        let digit = |value: u64| b'0' + (value % 10) as u8;
        out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests;
