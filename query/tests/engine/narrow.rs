//! Operators between vectors read only what can meet the other side, and give the same.

use model::TimestampMs;
use query::{Settings, Value};

use crate::fleet::{Fleet, STEP_MS};
use crate::options;

/// An operator over plain sides gives what it gives over sides that must be evaluated first, and
/// reads so many series.
async fn check(fleet: &Fleet, (left, op, right): (&str, &str, &str), series: u64) {
    let (start, end) = (TimestampMs(5 * STEP_MS), TimestampMs(39 * STEP_MS));
    let plain = format!("{left} {op} {right}");
    // This leaves values and labels alone, but it is no selector.
    let evaluated = format!("({left} > -Inf) {op} ({right} > -Inf)");
    let ask = async |text: &str| {
        fleet.engine.range(text, start, end, STEP_MS, &options()).await.map_err(|e| e.to_string())
    };
    let (plain, evaluated) = (ask(&plain).await, ask(&evaluated).await);
    let shown = format!("{left} {op} {right}");
    match (plain, evaluated) {
        (Ok(plain), Ok(evaluated)) => {
            assert_eq!(plain.value, evaluated.value, "{shown}");
            // Their positions differ by the parentheses.
            assert_eq!(plain.infos.len(), evaluated.infos.len(), "{shown}");
            assert_eq!(plain.stats.series, series, "{shown} reads");
        }
        (Err(plain), Err(evaluated)) => assert_eq!(plain, evaluated, "{shown}"),
        (plain, evaluated) => panic!("{shown}: {:?} and {:?}", plain.err(), evaluated.err()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sides_are_narrowed() {
    let fleet = Fleet::new(Settings::default(), 40, 40).await;
    let three = "temperature{instance=~\"[123]\"}";
    for (sides, series) in [
        (("requests_total", "and on (instance)", three), 6),
        (("requests_total", "unless on (instance)", three), 43),
        (("requests_total", "or on (instance)", three), 43),
        (("requests_total", "* on (instance)", three), 6),
        (("requests_total", "> bool on (instance)", three), 6),
        (("requests_total", "and on (instance)", "nobody"), 0),
        (("requests_total", "unless on (instance)", "nobody"), 40),
        (("nobody", "unless", "requests_total"), 0),
        (("nobody", "* on (job) group_left ()", "requests_total"), 0),
        (("nobody", "* fill (0)", "requests_total"), 40),
        (("requests_total", "+ on (nothing) group_left ()", "temperature{instance=\"1\"}"), 41),
        (("requests_total", "+ on (instance, __name__)", three), 0),
        (("rate(requests_total[1m])", "/ on (instance)", three), 6),
        (("rate(temperature[1m])", "/ on (instance)", three), 43),
        (("max_over_time(temperature[1m])", "and", "rate(requests_total{job=\"b\"}[1m])"), 40),
        ((three, "* on (job) group_right ()", "requests_total{instance=~\"[4567]\"}"), 7),
        (("requests_total", "* on (job) group_left ()", three), 43),
        (("requests_total", "* on (job) group_left ()", "temperature{instance=~\"[12]\"}"), 42),
        (("requests_total", "* on (instance) fill (0)", three), 43),
    ] {
        check(&fleet, sides, series).await;
    }
    let at = TimestampMs(39 * STEP_MS);
    let text = "requests_total and on (instance) (temperature > 1000)";
    let answer = fleet.engine.instant(text, at, &options()).await.expect("runs");
    assert_eq!((answer.value, answer.stats.series), (Value::Vector(Vec::new()), 40));
}
