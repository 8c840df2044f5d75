//! Prometheus' own range-query benchmark: 43 expressions over 1,443 series of 18,640 points, at 1,
//! 100, 1,000 and 10,000 steps. A dash stands for a server that does not know the expression.

use crate::asking::{Asking, Question};
use crate::awake;
use crate::data;
use crate::sender;
use crate::server::Kind;
use crate::side::Side;
use crate::table::Column;

/// One line for the reader.
pub const ABOUT: &str = "1,443 series of 18,640 points, 10 s apart";
const POINTS: usize = 18_640;

/// At 1 and 1,000 steps, over the metrics of one and of a hundred series.
const USUAL: [&str; 34] = [
    "a_X",
    "rate(a_X[1m])",
    "rate(a_X[1m] smoothed)",
    "double_exponential_smoothing(a_X[1d], 0.3, 0.3)",
    "changes(a_X[1d])",
    "rate(a_X[1d])",
    "absent_over_time(a_X[1d])",
    "-a_X",
    "a_X - b_X",
    "a_X and b_X{l=~'.*[0-4]$'}",
    "a_X or b_X{l=~'.*[0-4]$'}",
    "a_X unless b_X{l=~'.*[0-4]$'}",
    "a_X and b_X{l='notfound'}",
    "abs(a_X)",
    "label_replace(a_X, 'l2', '$1', 'l', '(.*)')",
    "label_join(a_X, 'l2', '-', 'l', 'l')",
    "sum(a_X)",
    "avg(a_X)",
    "sum without (l)(h_X)",
    "sum without (le)(h_X)",
    "sum by (l)(h_X)",
    "sum by (le)(h_X)",
    "topk(1, a_X)",
    "topk(5, a_X)",
    "limitk(1, a_X)",
    "limitk(5, a_X)",
    "limit_ratio(0.1, a_X)",
    "limit_ratio(0.5, a_X)",
    "limit_ratio(-0.5, a_X)",
    "rate(a_X[1m]) + rate(b_X[1m])",
    "sum without (l)(rate(a_X[1m]))",
    "sum without (l)(rate(a_X[1m])) / sum without (l)(rate(b_X[1m]))",
    "histogram_quantile(0.9, rate(h_X[5m]))",
    "timestamp(a_X)",
];
/// Also at 1 and 1,000 steps; it names two sizes.
const JOIN: &str = "a_X + on(l) group_right a_one";
/// At 10,000 steps.
const LONG: [&str; 3] = ["rate(a_X[1m])", "rate(a_X[1m] smoothed)", "a_X - b_X"];
/// At 10,000 steps, once.
const SPARSE: [&str; 2] = ["rate(sparse[1m])", "rate(sparse[1m] smoothed)"];
/// At one step, once.
const ALL_SERIES: [&str; 2] = ["count({__name__!=\"\"})", "count({__name__!=\"\",l=\"\"})"];

/// Every case: expression and steps.
fn cases() -> Vec<(String, i64)> {
    let mut cases = Vec::new();
    for size in ["one", "hundred"] {
        let sized = |text: &str| text.replace("_X", &format!("_{size}"));
        for expression in USUAL.iter().chain([&JOIN]) {
            cases.extend([1, 1000].map(|steps| (sized(expression), steps)));
        }
        cases.extend(LONG.iter().map(|expression| (sized(expression), 10_000)));
        cases.push((sized("count_values('value', h_X)"), 100));
    }
    cases.extend(SPARSE.iter().map(|expression| ((*expression).to_owned(), 10_000)));
    cases.extend(ALL_SERIES.iter().map(|expression| ((*expression).to_owned(), 1)));
    cases
}

/// Measures the servers: each holds the data, then all are asked in turn.
pub async fn run(servers: &[Kind]) -> Vec<Column> {
    let end_ms = data::now_ms() / 10_000 * 10_000;
    let mut sides = Vec::new();
    for kind in servers {
        let side = Side::start(*kind).await;
        let requests = data::range_benchmark(POINTS, end_ms);
        sender::saturate(&side.server.url, vec![Box::new(requests)]).await;
        side.server.compact().await;
        sides.push(side);
    }
    tokio::task::block_in_place(|| ask(sides, end_ms))
}

fn ask(sides: Vec<Side>, end_ms: i64) -> Vec<Column> {
    let _awake = awake::keep();
    let mut asking = Asking::new(sides);
    asking.round_trip("a round trip without a query, ms");
    let end_s = end_ms as f64 / 1000.0 - 10.0;
    for (query, steps) in &cases() {
        let start_s = end_s - *steps as f64 * 10.0;
        let question = Question { query, start_s, end_s, step_s: 10, stats: false };
        asking.answered(&format!("{query}, {steps} steps, ms"), &question);
        if query.contains("[1d]") {
            asking.executed(&format!("{query}, {steps} steps, as the server says, ms"), &question);
        }
    }
    asking.finish("geometric mean, ms")
}
