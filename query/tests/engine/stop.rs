//! Killing, deadlines and failures take effect wherever a query is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::TimestampMs;
use model::clock::ManualClock;
use query::{Engine, Error, QueryOptions, Settings};

use crate::heavy::{Heavy, LONG, MANY};

/// An answer comes within this time of the kill, in a build for tests on a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// And its thread is free within this.
const FREE_WITHIN: Duration = Duration::from_secs(10);

/// Expressions and how many steps they are asked at, an hour apart from the end.
const HEAVY: &[(&str, i64)] = &[
    ("mad_over_time(long[150000s])", 400),
    ("quantile_over_time(0.5, long[150000s])", 400),
    ("double_exponential_smoothing(long[150000s], 0.5, 0.5)", 4000),
    ("rate(long[190000s])", 8000),
    ("stddev_over_time(long[150000s:50ms])", 2),
    ("mad_over_time((long * 2)[150000s:1s])", 400),
    ("max_over_time(sum_over_time(long[150000s])[150000s:10s])", 2),
    ("sort_by_label(many, \"instance\", \"job\")", 1),
    ("sort(many)", 1),
    ("topk(1000, many)", 40),
    ("bottomk by (job) (5, abs(many))", 40),
    ("limitk(100000, abs(many))", 40),
    ("label_replace(many, \"new\", \"$2$1\", \"instance\", \"(.*)(.*?)(.*)\")", 1),
    ("label_join(many, \"new\", \"-\", \"instance\", \"job\", \"le\")", 1),
    ("count_values(\"value\", many)", 20),
    ("absent(abs(many))", 40),
    ("sum by (instance) (abs(many))", 20),
    ("quantile by (job) (0.5, many)", 20),
    ("sum without (job) (many)", 20),
    ("sin(many) + 1", 40),
    ("many + many", 2),
    ("many * on (job) group_left sum by (job) (many)", 10),
    ("many and abs(many)", 2),
    ("many or -many", 2),
    ("histogram_quantile(0.9, many)", 20),
    ("scalar(-many)", 40),
    ("timestamp(-many)", 40),
    ("vector(scalar(sum(many))) + on () group_right many", 10),
    ("max_over_time(abs(many)[20m:1m])", 3),
    ("clamp(many, 1, 2)", 40),
];

fn engine(heavy: Heavy) -> Engine {
    let clock = Arc::new(ManualClock::new(TimestampMs(LONG * 1000)));
    Engine::new(Arc::new(heavy), clock, Settings::default())
}

/// Asks at so many steps, the last one at the end of the data.
async fn ask(engine: &Engine, text: &str, steps: i64, options: &QueryOptions) -> Result<(), Error> {
    let end = TimestampMs(LONG * 1000);
    if steps == 1 {
        return engine.instant(text, end, options).await.map(drop);
    }
    let start = TimestampMs(end.0 - (steps - 1) * 1000);
    engine.range(text, start, end, 1000, options).await.map(drop)
}

/// Waits until the only query has been evaluated for that long; `false` when it has ended before.
async fn has_run(engine: &Engine, running: &tokio::task::JoinHandle<()>, time: Duration) -> bool {
    loop {
        let listed = engine.running();
        let longest = listed.iter().filter(|own| own.is_evaluated).map(|own| own.elapsed_us).max();
        if longest.is_some_and(|elapsed_us| u128::from(elapsed_us) >= time.as_micros()) {
            return true;
        }
        if running.is_finished() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_free(engine: &Engine) -> Duration {
    let start = Instant::now();
    while !engine.running().is_empty() && start.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_takes_effect_wherever_the_query_is() {
    let engine = engine(Heavy::new(None));
    let mut late = Vec::new();
    for (text, steps) in HEAVY {
        let mut kills = 0;
        for after_ms in [10, 150] {
            let (sender, mut receiver) = tokio::sync::oneshot::channel();
            let own = engine.clone();
            let running = tokio::spawn(async move {
                let outcome = ask(&own, text, *steps, &QueryOptions::default()).await;
                let _ = sender.send((outcome, Instant::now()));
            });
            if has_run(&engine, &running, Duration::from_millis(after_ms)).await {
                let start = Instant::now();
                let found = engine.running().iter().any(|own| engine.kill(own.id));
                let answer = tokio::time::timeout(Duration::from_secs(60), &mut receiver).await;
                let (outcome, at) = answer.expect("an answer").expect("it was sent");
                let free = until_free(&engine).await;
                if found && outcome == Err(Error::Killed) {
                    kills += 1;
                    let answered = at.saturating_duration_since(start);
                    if answered > ANSWERED_WITHIN || free > FREE_WITHIN {
                        late.push(format!("{text} after {after_ms} ms: {answered:?}, {free:?}"));
                    }
                } else {
                    outcome.expect("it ended by itself before");
                }
            }
            running.await.expect("ends");
            until_free(&engine).await;
        }
        assert!(kills > 0, "{text} is over too soon to say anything");
    }
    assert!(late.is_empty(), "{}", late.join("\n"));
    assert_eq!(engine.memory_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_takes_effect_inside_a_kernel() {
    let engine = engine(Heavy::new(None));
    let options = QueryOptions { timeout_ms: Some(100), ..QueryOptions::default() };
    for text in [
        "mad_over_time(long[150000s])",
        "quantile_over_time(0.5, long[150000s])",
        "sort_by_label(many, \"le\")",
    ] {
        let start = Instant::now();
        let outcome =
            ask(&engine, text, if text.contains("many") { 1 } else { 8000 }, &options).await;
        assert!(matches!(outcome, Err(Error::TimedOut { .. })), "{text}: {outcome:?}");
        assert!(start.elapsed() < ANSWERED_WITHIN, "{text}: {:?}", start.elapsed());
        let free = until_free(&engine).await;
        assert!(free < FREE_WITHIN, "{text}: {free:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_partition_stops_the_others() {
    const OVER_MANY: &str = "sum(max_over_time(many[600s]))";
    let options = QueryOptions::default();
    for damaged in [0, MANY / 2, MANY - 1] {
        let heavy = Heavy::new(Some(damaged));
        let batches = Arc::clone(&heavy.batches);
        let engine = engine(heavy);
        let outcome = ask(&engine, OVER_MANY, 100, &options).await;
        assert_eq!(outcome, Err(Error::Storage("a page is damaged".to_owned())));
        assert_eq!(engine.memory_bytes(), 0);
        // One partition fails at its first batch: the other one does not go on to its end.
        let batches = batches.load(std::sync::atomic::Ordering::Relaxed);
        let is_halved =
            std::thread::available_parallelism().is_ok_and(|threads| threads.get() == 2);
        assert!(!is_halved || damaged == MANY - 1 || batches < 9, "{batches} batches");
    }
    // A budget that one partition runs out of is what the answer says, not that others stopped.
    let clock = Arc::new(ManualClock::new(TimestampMs(LONG * 1000)));
    let settings = Settings { samples_max: 3, ..Settings::default() };
    let engine = Engine::new(Arc::new(Heavy::new(None)), clock, settings);
    let outcome = ask(&engine, OVER_MANY, 100, &options).await;
    assert_eq!(outcome, Err(Error::TooManySamples { samples_max: 3 }));
}
