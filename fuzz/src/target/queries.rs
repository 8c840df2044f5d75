//! PromQL: texts for the parser, and questions about series for the evaluator.
//!
//! Place in the flow: part of the catalogue of targets. The evaluator's input is a text: a line with
//! start, end, step and look-back in milliseconds (step 0: at one instant), a line with the query,
//! and a line per series in the notation of test data, a sample every 15 seconds.
//!
//! Not here: whether an answer is right (`query/tests/reference`).

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::clock::ManualClock;
use model::histogram::Buckets;
use model::{Histogram, Labels, Matcher, TimeRange, TimestampMs};
use promql::ast::Expr;
use promql::series::{HistogramLiteral, Item, parse_series_line};
use query::source::{Batches, Beside, BesideIter, Source};
use query::{Engine, Error, QueryOptions, Settings, Value};

use super::Golden;
use crate::random::Random;

/// From one sample to the next.
const INTERVAL_MS: i64 = 15_000;
/// Series and samples of each that are taken from an input.
const SERIES_MAX: usize = 40;
const SAMPLES_MAX: usize = 300;
/// What one query may hold and take.
const SAMPLES_HELD_MAX: usize = 100_000;
const MEMORY_BYTES_MAX: usize = 8 << 20;
const TIMEOUT_MS: u64 = 500;
/// Beyond its deadline a query goes on for this time at most; the machine may be busy.
const LATE: Duration = Duration::from_secs(10);

/// Queries that use every part of the language.
const QUERIES: [&str; 24] = [
    "sum by (job) (rate(a_total{code=~\"5..\", path!=\"/\"}[5m] offset -1w @ end()))",
    "histogram_quantile(0.99, sum(rate(h_bucket[1h:30s])) by (le)) > bool 0.5",
    "a_total and on(x) group_left(y) b unless ignoring(z) -c ^ 2 ^ -1e-3 % 0x1F",
    "label_replace({\"a.b\",__name__!=\"\"}, 'x', `$1`, \"y\", \"(.*)\") == 1 # comment\n + Inf",
    "a_total * on (job) group_left (path) b + ignoring (job) fill_left (0) fill_right (-1) b",
    "topk by (job) (2, b) or bottomk(1, b) or limitk(3, b) or limit_ratio(-0.5, b)",
    "quantile_over_time(scalar(b{job=\"x\"}), b[1m + step()] smoothed)",
    "increase(a_total[max_of(2m, 3 * step())] anchored) / rate(a_total[2m] smoothed)",
    "histogram_quantiles(rate(n[5m]), \"phi\", 0.5, 0.9, NaN) or histogram_fraction(0, 2, n)",
    "(n </ 1) + (n >/ -0.5) - n * 2 / 3",
    "info(b, {version=~\".*\"}) * on (instance) group_right b",
    "predict_linear(b[10m], 60) - deriv(b[10m]) * double_exponential_smoothing(b[5m], 0.5, 0.1)",
    "mad_over_time(b[5m]) + stddev_over_time(b[5m:17s]) + ts_of_max_over_time(b[1h] @ 120)",
    "count_values without (job) (\"v\", round(b, 0.5)) > 1",
    "absent(b{job=\"none\"}) or absent_over_time(b[5m] offset -30s)",
    "sort_by_label_desc(label_join(b, \"new\", \"-\", \"job\", \"instance\"), \"new\")",
    "clamp(sgn(atan2b), -1, 1) or vector(time()) or day_of_week() + hour(b) - days_in_month(b)",
    "max_of(scalar(b), min_of(step(), range() - start() + end())) * pi()",
    "avg(n) + sum by (le) (n) == bool n or group(b) unless stddev(b) atan2 stdvar(b)",
    "max_over_time(sum(rate(a_total[1m]))[5m:1s] offset 1m) @ start()",
    "b[5m] @ 100.5 offset -1s",
    "sum(b)[5m:step() + 1]",
    "-b ^ 2 * {__name__=~\"a.*|b\"} offset (step() ^ 2)",
    "last_over_time(b[9y]) and first_over_time(b[1ms]) or changes(n[1h]) + resets(n[1h])",
];

/// Series for them.
const SERIES: &str = "\
a_total{job=\"x\",instance=\"1\"} 0+3x20 stale 2+5x30
a_total{job=\"y\",instance=\"2\",code=\"500\"} 5 _ 7 _x3 9.5 1 2 4x20 NaN Inf -Inf 1e308 1e308
b{job=\"x\",instance=\"1\"} 1-1x40
b{job=\"y\",instance=\"2\",path=\"/\"} 0.5x10 stale _x5 3x30
b{job=\"y\",instance=\"3\"} -1e-300 1e300 0 -0 7 7 7 {{schema:0 sum:5 count:4 buckets:[1 2 1]}} 8
{\"a.b\",y=\"z\"} 3x20
h_bucket{le=\"0.5\"} 0+1x40
h_bucket{le=\"2\"} 0+3x40
h_bucket{le=\"+Inf\"} 0+4x20 3+1x20
target_info{instance=\"1\",job=\"x\",version=\"9\"} 1x60
n{job=\"x\"} {{schema:0 sum:5 count:4 buckets:[1 2 1]}}+{{sum:1 count:1 buckets:[1]}}x30
n{job=\"y\"} {{schema:3 z_bucket:2 z_bucket_w:0.01 count:5 n_buckets:[1 1 1]}}x10 1 2 3
n{job=\"z\"} {{schema:-53 custom_values:[1 2] sum:5 count:4 buckets:[1 2 1]}}x30";

/// The queries.
pub fn promql_seeds(_: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    QUERIES.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A text: whatever is said about it lies inside it; a query, printed, is read as the same again.
pub fn promql(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let options = promql::ParseOptions::all();
    let tree = match promql::parse(&text, &options) {
        Ok(tree) => tree,
        Err(problems) => return problems.iter().try_for_each(|own| check_problem(&text, own)),
    };
    check_places(&text, &tree)?;
    for printed in [promql::print(&tree), promql::pretty(&tree)] {
        match promql::parse(&printed, &options) {
            Ok(again) if promql::print(&again) == promql::print(&tree) => {}
            Ok(again) => return Err(format!("{printed:?} is read as {:?}", promql::print(&again))),
            Err(problems) => return Err(format!("{printed:?} is not read again: {problems:?}")),
        }
    }
    Ok(())
}

fn check_problem(text: &str, own: &promql::Problem) -> Result<(), String> {
    let (start, end) = (own.start_byte, own.end_byte);
    if start > end || text.get(start..end).is_none() {
        return Err(format!("{own:?} lies outside of {text:?}"));
    }
    let (line, column) = promql::line_and_column(text, start);
    let before = text.split('\n').take(line - 1).map(|own| own.len() + 1).sum::<usize>();
    if before + column - 1 != start || !own.render(text).starts_with(&format!("{line}:{column}: "))
    {
        return Err(format!("{own:?} is placed at {line}:{column} of {text:?}"));
    }
    Ok(())
}

/// Every node lies inside its parent, on boundaries of characters.
fn check_places(text: &str, tree: &Expr) -> Result<(), String> {
    let mut misplaced = None;
    tree.walk(&mut |own| {
        let is_inside = text.get(own.span.start_byte..own.span.end_byte).is_some();
        let holds = own.children().into_iter().all(|child| {
            own.span.start_byte <= child.span.start_byte && child.span.end_byte <= own.span.end_byte
        });
        if !is_inside || !holds {
            misplaced = Some(own.span);
        }
    });
    misplaced.map_or(Ok(()), |span| Err(format!("{span:?} of {text:?} is no place of a node")))
}

/// Each query over the series, at one instant or over a range.
pub fn evaluator_seeds(_: &Golden, random: &mut Random) -> Vec<Vec<u8>> {
    let seed = |text: &&str| {
        let start = 15_000 * random.below(40);
        let (end, step) = match random.one_in(3) {
            true => (start, 0),
            false => (start + random.below(600_000), 1 + random.below(60_000)),
        };
        let text = text.replace('\n', " ").replace('#', "");
        format!("{start} {end} {step} 300000\n{text}\n{SERIES}").into_bytes()
    };
    QUERIES.iter().map(seed).collect()
}

/// A question about series is answered or refused within its limits.
pub fn evaluator(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let Some(question) = Question::read(lines.next(), lines.next()) else { return Ok(()) };
    let table = Arc::new(Table::read(lines));
    let settings = Settings {
        samples_max: SAMPLES_HELD_MAX,
        memory_bytes_max: MEMORY_BYTES_MAX,
        timeout_ms: TIMEOUT_MS,
        ..Settings::default()
    };
    let clock = Arc::new(ManualClock::new(TimestampMs(question.end_ms)));
    let engine = Engine::new(table, clock, settings);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let answer =
        runtime.block_on(async { tokio::time::timeout(LATE, question.ask(&engine)).await });
    let answer = answer.map_err(|_| "the query goes on behind its deadline".to_owned())?;
    match answer {
        Ok(answer) => {
            let stats = &answer.stats;
            let (bytes, samples) = (stats.bytes_peak, stats.samples_peak);
            if bytes > MEMORY_BYTES_MAX as u64 || samples > SAMPLES_HELD_MAX as u64 {
                return Err(format!("it held {bytes} bytes and {samples} samples"));
            }
            check_value(&answer.value)?;
        }
        Err(Error::Storage(problem)) => return Err(format!("the table is wrong: {problem}")),
        Err(Error::Execution(problem)) if problem.contains("ended early") => return Err(problem),
        Err(_) => {}
    }
    // Its thread has ended when the runtime has.
    runtime.shutdown_timeout(LATE);
    match engine.memory_bytes() {
        0 => Ok(()),
        bytes => Err(format!("{bytes} bytes are still held")),
    }
}

/// No label set twice; a matrix sorted, its instants ascending.
fn check_value(value: &Value) -> Result<(), String> {
    match value {
        Value::Vector(samples) => {
            let mut labels: Vec<&Labels> = samples.iter().map(|own| &own.labels).collect();
            labels.sort();
            match labels.windows(2).find(|pair| pair[0] == pair[1]) {
                Some(pair) => Err(format!("{} is there twice", pair[0])),
                None => Ok(()),
            }
        }
        Value::Matrix(all) => {
            let is_sorted = all.is_sorted_by(|a, b| a.labels < b.labels);
            let ascends = |own: &query::MatrixSeries| {
                own.points.is_sorted_by(|a, b| a.0 < b.0)
                    && own.histograms.is_sorted_by(|a, b| a.0 < b.0)
            };
            match is_sorted && all.iter().all(ascends) {
                true => Ok(()),
                false => Err("the matrix is not in order".to_owned()),
            }
        }
        Value::Scalar { .. } | Value::Text { .. } => Ok(()),
    }
}

/// What is asked.
struct Question<'t> {
    text: &'t str,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    lookback_ms: i64,
}

impl<'t> Question<'t> {
    fn read(numbers: Option<&str>, text: Option<&'t str>) -> Option<Question<'t>> {
        let mut numbers = numbers?.split_ascii_whitespace().map(|word| word.parse::<i64>().ok());
        let mut next = || numbers.next().flatten();
        let (start_ms, end_ms, step_ms, lookback_ms) = (next()?, next()?, next()?, next()?);
        Some(Question { text: text?, start_ms, end_ms, step_ms, lookback_ms })
    }

    async fn ask(&self, engine: &Engine) -> Result<query::Answer, Error> {
        let options =
            QueryOptions { lookback_ms: Some(self.lookback_ms), ..QueryOptions::default() };
        let (start, end) = (TimestampMs(self.start_ms), TimestampMs(self.end_ms));
        match self.step_ms {
            0 => engine.instant(self.text, start, &options).await,
            step_ms => engine.range(self.text, start, end, step_ms, &options).await,
        }
    }
}

/// One series: its labels, numbers, and histograms beside them.
type Row = (Labels, Vec<(i64, f64)>, Vec<(TimestampMs, Arc<Histogram>)>);

/// The series of an input, sorted by labels.
struct Table(Vec<Row>);

impl Table {
    fn read<'t>(lines: impl Iterator<Item = &'t str>) -> Table {
        let mut rows: Vec<Row> = Vec::new();
        for line in lines.take(SERIES_MAX) {
            let Ok((labels, items)) = parse_series_line(line) else { continue };
            let (mut numbers, mut histograms) = (Vec::new(), Vec::new());
            for (at_ms, item) in (0..).step_by(INTERVAL_MS as usize).zip(items).take(SAMPLES_MAX) {
                match item {
                    Item::Missing => {}
                    Item::Float(value) => numbers.push((at_ms, value)),
                    Item::Histogram(literal) => {
                        let own = histogram(&literal);
                        if own.problem().is_none() {
                            histograms.push((TimestampMs(at_ms), Arc::new(own)));
                        }
                    }
                }
            }
            rows.push((labels, numbers, histograms));
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows.dedup_by(|a, b| a.0 == b.0);
        Table(rows)
    }
}

fn histogram(literal: &HistogramLiteral) -> Histogram {
    Histogram {
        schema: literal.schema,
        zero_threshold: literal.zero_threshold,
        zero_count: literal.zero_count,
        count: literal.count,
        sum: literal.sum,
        positive: Buckets::dense(literal.offset, literal.buckets.clone()),
        negative: Buckets::dense(literal.negative_offset, literal.negative_buckets.clone()),
        custom_values: literal.custom_values.clone(),
        ..Histogram::default()
    }
}

fn is_inside(range: TimeRange, at_ms: i64) -> bool {
    range.start_ms().0 <= at_ms && at_ms < range.end_ms().0
}

impl Source for Table {
    fn series(&self, matchers: &[Matcher], _: TimeRange) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let all = self.0.iter().enumerate();
        let found = all.filter(|(_, row)| matchers.iter().all(|own| own.matches_labels(&row.0)));
        Ok(found.map(|(index, row)| (SeriesId(index as u64), row.0.clone())).collect())
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        let (mut positions, mut ts, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (position, id) in (0_u32..).zip(ids) {
            let numbers = &self.0[id.0 as usize].1;
            for (at_ms, value) in numbers.iter().filter(|own| is_inside(range, own.0)) {
                positions.push(position);
                ts.push(*at_ms);
                values.push(*value);
            }
        }
        let field = |name: &str, kind: DataType| Field::new(name, kind, false);
        let fields = vec![
            field("series", DataType::UInt32),
            field("ts", DataType::Int64),
            field("value", DataType::Float64),
        ];
        let batch = RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            vec![
                Arc::new(UInt32Array::from(positions)),
                Arc::new(Int64Array::from(ts)),
                Arc::new(Float64Array::from(values)),
            ],
        );
        Ok(Box::new(One(Some(batch.map_err(|problem| Error::Storage(problem.to_string()))))))
    }

    fn beside(&self, ids: &[SeriesId], range: TimeRange) -> Result<BesideIter, Error> {
        let mut found = Vec::new();
        for (position, id) in ids.iter().enumerate() {
            let own = self.0[id.0 as usize].2.iter();
            let histograms: Vec<_> = own.filter(|own| is_inside(range, own.0.0)).cloned().collect();
            if !histograms.is_empty() {
                found.push(Ok(Beside { position, histograms, starts: Vec::new() }));
            }
        }
        Ok(Box::new(found.into_iter()))
    }
}

struct One(Option<Result<RecordBatch, Error>>);

impl Iterator for One {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take()
    }
}

impl Batches for One {
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
