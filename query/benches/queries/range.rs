//! Upstream's range-query benchmark: 1,443 series of 18,640 points, 10 s apart, and a sparse metric;
//! 43 expressions at 1 to 10,000 steps.

use std::sync::Arc;

use model::{Append, Batch, Labels, TimestampMs};
use storage::Store;

use crate::{Options, Question};

const POINTS: usize = 18_640;
const INTERVAL_MS: i64 = 10_000;
const DAY_MS: i64 = 24 * 3_600_000;
const END_MS: i64 = POINTS as i64 * INTERVAL_MS;

/// Expressions, and their variants: A is both sizes at 1 and 1,000 steps, B both at 10,000, C one at
/// 10,000, D both at 100, E one at 1.
const EXPRESSIONS: &[(&str, char)] = &[
    ("a_X", 'A'),
    ("rate(a_X[1m])", 'A'),
    ("rate(a_X[1m])", 'B'),
    ("rate(sparse[1m])", 'C'),
    ("rate(a_X[1m] smoothed)", 'A'),
    ("rate(a_X[1m] smoothed)", 'B'),
    ("rate(sparse[1m] smoothed)", 'C'),
    ("double_exponential_smoothing(a_X[1d], 0.3, 0.3)", 'A'),
    ("changes(a_X[1d])", 'A'),
    ("rate(a_X[1d])", 'A'),
    ("absent_over_time(a_X[1d])", 'A'),
    ("-a_X", 'A'),
    ("a_X - b_X", 'A'),
    ("a_X - b_X", 'B'),
    ("a_X and b_X{l=~'.*[0-4]$'}", 'A'),
    ("a_X or b_X{l=~'.*[0-4]$'}", 'A'),
    ("a_X unless b_X{l=~'.*[0-4]$'}", 'A'),
    ("a_X and b_X{l='notfound'}", 'A'),
    ("abs(a_X)", 'A'),
    ("label_replace(a_X, 'l2', '$1', 'l', '(.*)')", 'A'),
    ("label_join(a_X, 'l2', '-', 'l', 'l')", 'A'),
    ("sum(a_X)", 'A'),
    ("avg(a_X)", 'A'),
    ("sum without (l)(h_X)", 'A'),
    ("sum without (le)(h_X)", 'A'),
    ("sum by (l)(h_X)", 'A'),
    ("sum by (le)(h_X)", 'A'),
    ("count_values('value', h_X)", 'D'),
    ("topk(1, a_X)", 'A'),
    ("topk(5, a_X)", 'A'),
    ("limitk(1, a_X)", 'A'),
    ("limitk(5, a_X)", 'A'),
    ("limit_ratio(0.1, a_X)", 'A'),
    ("limit_ratio(0.5, a_X)", 'A'),
    ("limit_ratio(-0.5, a_X)", 'A'),
    ("rate(a_X[1m]) + rate(b_X[1m])", 'A'),
    ("sum without (l)(rate(a_X[1m]))", 'A'),
    ("sum without (l)(rate(a_X[1m])) / sum without (l)(rate(b_X[1m]))", 'A'),
    ("histogram_quantile(0.9, rate(h_X[5m]))", 'A'),
    ("a_X + on(l) group_right a_one", 'A'),
    ("count({__name__!=\"\"})", 'E'),
    ("count({__name__!=\"\",l=\"\"})", 'E'),
    ("timestamp(a_X)", 'A'),
];

fn labels() -> Vec<Labels> {
    let mut all = Vec::new();
    for (size, count) in [("one", 1), ("ten", 10), ("hundred", 100)] {
        for l in 0..count {
            let l = l.to_string();
            let mut add = |kind: &str, le: Option<&str>| {
                let mut builder = Labels::empty().to_builder();
                builder.set("__name__", &format!("{kind}_{size}"));
                if count > 1 {
                    builder.set("l", &l);
                }
                builder.set("le", le.unwrap_or(""));
                all.push(builder.build());
            };
            add("a", None);
            add("b", None);
            for le in 0..10 {
                add("h", Some(&le.to_string()));
            }
            add("h", Some("+Inf"));
        }
    }
    all
}

async fn fill(store: Arc<Store>) {
    let all = labels();
    let count = all.len() as f64;
    for first in (0..POINTS).step_by(40) {
        let mut batch = Batch::new();
        for (index, labels) in all.iter().enumerate() {
            let series = batch.series(labels);
            for point in first..first + 40 {
                let value = point as f64 + index as f64 / count;
                batch.sample(series, TimestampMs(point as i64 * INTERVAL_MS), value);
            }
        }
        for point in first..first + 40 {
            let l = (point / 372).to_string();
            let labels = Labels::from_pairs([("__name__", "sparse"), ("l", &l)]);
            let series = batch.series(&labels);
            batch.sample(series, TimestampMs(point as i64 * INTERVAL_MS), point as f64 / count);
        }
        store.append(batch).await.expect("is taken");
    }
    while store.stats().blocks < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn questions() -> Vec<Question> {
    let mut all = Vec::new();
    for (expression, variant) in EXPRESSIONS {
        let (sizes, steps): (&[&str], &[i64]) = match variant {
            'A' => (&["one", "hundred"], &[1, 1000]),
            'B' => (&["one", "hundred"], &[10_000]),
            'C' => (&["hundred"], &[10_000]),
            'D' => (&["one", "hundred"], &[100]),
            _ => (&["hundred"], &[1]),
        };
        for size in sizes {
            for steps in steps {
                let text = expression.replace("_X", &format!("_{size}"));
                all.push(Question {
                    name: format!("{text} {steps}"),
                    text,
                    start_ms: END_MS - steps * INTERVAL_MS,
                    end_ms: END_MS,
                    step_ms: INTERVAL_MS,
                });
            }
        }
    }
    all
}

/// Fills the store, asks, prints.
pub async fn bench(options: &Options) {
    let settings = storage::Settings { block_range_ms: DAY_MS, ..storage::Settings::default() };
    let (store, _folder) = crate::store(options, "range", (settings, END_MS), fill).await;
    println!("\nrange: 1,443 series of 18,640 points");
    crate::ask(&store, options, END_MS, &questions()).await;
}
