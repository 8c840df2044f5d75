//! Timelines of one alert: `x` is an evaluation with a row, `.` one without; below it what the alert
//! is afterwards: `-` nothing, `p` pending, `f` firing, `r` resolved.

use super::*;

const MINUTE_MS: i64 = 60_000;

fn row(labels: &[(&str, &str)], value: f64) -> Expanded {
    Expanded {
        labels: Labels::from_pairs(labels.iter().copied()),
        annotations: Labels::from_pairs([("value", value.to_string())]),
        value,
    }
}

fn letter(alerts: &Alerts) -> char {
    match alerts.values().next().map(|alert| alert.state) {
        None => '-',
        Some(State::Pending) => 'p',
        Some(State::Firing) => 'f',
        Some(State::Resolved) => 'r',
    }
}

#[track_caller] // A failure points at the row below, not at this line.
fn check(for_minutes: i64, keep_minutes: i64, rows: &str, expected: &str) {
    let timing = Timing {
        for_ms: for_minutes * MINUTE_MS,
        keep_firing_for_ms: keep_minutes * MINUTE_MS,
        limit: 0,
    };
    let mut alerts = Alerts::new();
    let mut got = String::new();
    for (index, mark) in rows.chars().enumerate() {
        let now = TimestampMs(i64::try_from(index).expect("small") * MINUTE_MS);
        let rows = if mark == 'x' { vec![row(&[("a", "b")], index as f64)] } else { Vec::new() };
        alerts = step(&alerts, rows, timing, now).expect("one row never fails");
        got.push(letter(&alerts));
    }
    assert_eq!(got, expected, "rows {rows}");
}

#[test]
fn timelines() {
    check(0, 0, "x.x", "frf");
    check(1, 0, "xxx.", "pffr");
    check(2, 0, "xx.xxx", "pp-ppf");
    // Resolved alerts are kept for 15 minutes and then forgotten.
    check(0, 0, "x..................", "frrrrrrrrrrrrrrrr--");
    // Keep firing counts from the first evaluation without a row; a new row resets it.
    check(0, 2, "x...", "fffr");
    check(0, 2, "x..x..x...", "fffffffffr");
    check(1, 2, "xx...", "pfffr");
    // A pending alert has nothing to keep.
    check(5, 2, "x..", "p--");
    // After being resolved it begins anew, with its `for`.
    check(1, 0, "xx.xx", "pfrpf");
}

fn minutes(count: i64) -> TimestampMs {
    TimestampMs(count * MINUTE_MS)
}

#[test]
fn clocks_and_values() {
    let timing = Timing { for_ms: MINUTE_MS, keep_firing_for_ms: MINUTE_MS, limit: 0 };
    let labels = [("a", "b")];
    let one = |alerts: &Alerts| alerts.values().next().cloned().expect("has an alert");
    let mut alerts = Alerts::new();
    for (minute, value) in [(0, 1.0), (1, 2.0), (2, 3.0)] {
        alerts = step(&alerts, vec![row(&labels, value)], timing, minutes(minute)).expect("steps");
    }
    let firing = one(&alerts);
    assert_eq!((firing.active_at, firing.fired_at), (minutes(0), Some(minutes(1))));
    assert_eq!((firing.value, firing.annotations.get("value")), (3.0, Some("3")));
    let kept = step(&alerts, Vec::new(), timing, minutes(3)).expect("steps");
    assert_eq!(one(&kept).keep_firing_since, Some(minutes(3)));
    let resolved = step(&kept, Vec::new(), timing, minutes(4)).expect("steps");
    let over = one(&resolved);
    assert_eq!((over.resolved_at, over.fired_at), (Some(minutes(4)), Some(minutes(1))));
    assert_eq!(over.value, 3.0);
}

#[test]
fn a_raised_for_makes_a_young_alert_wait_again() {
    let short = Timing { for_ms: MINUTE_MS, ..Timing::default() };
    let long = Timing { for_ms: 5 * MINUTE_MS, ..Timing::default() };
    let rows = || vec![row(&[("a", "b")], 1.0)];
    let mut alerts = step(&Alerts::new(), rows(), short, minutes(0)).expect("steps");
    alerts = step(&alerts, rows(), short, minutes(1)).expect("steps");
    assert_eq!(letter(&alerts), 'f');
    alerts = step(&alerts, rows(), long, minutes(2)).expect("steps");
    assert_eq!(letter(&alerts), 'p');
    alerts = step(&alerts, rows(), long, minutes(5)).expect("steps");
    assert_eq!(alerts.values().next().and_then(|alert| alert.fired_at), Some(minutes(5)));
}

#[test]
fn contradictions_fail_the_rule() {
    let timing = Timing::default();
    let rows = |names: &[&str]| names.iter().map(|name| row(&[("a", name)], 1.0)).collect();
    let before = step(&Alerts::new(), rows(&["x"]), timing, minutes(0)).expect("steps");
    let (kept, error) = step(&before, rows(&["y", "y"]), timing, minutes(1)).expect_err("doubled");
    assert_eq!(kept, before);
    assert!(error.to_string().contains("same labelset after applying alert labels"));
    let limited = Timing { limit: 1, ..timing };
    let (cleared, error) = step(&before, rows(&["x", "y"]), limited, minutes(1)).expect_err("many");
    assert!(cleared.is_empty());
    assert_eq!(error.to_string(), "exceeded limit of 1 with 2 alerts");
    // Resolved alerts don't count.
    let next = step(&before, rows(&["y"]), limited, minutes(1)).expect("one is active");
    assert_eq!(next.len(), 2);
}

#[test]
fn messages() {
    let mut alert = begun(&row(&[("a", "b"), ("own", "1")], 1.0), minutes(0));
    let external = Labels::from_pairs([("own", "2"), ("site", "x")]);
    let sending = Sending {
        resend_delay_ms: MINUTE_MS,
        interval_ms: 2 * MINUTE_MS,
        external_labels: &external,
        generator_url: "http://h/graph",
    };
    assert!(!is_due(&alert, MINUTE_MS, minutes(0)), "pending alerts are nobody's business");
    alert.state = State::Firing;
    alert.fired_at = Some(minutes(3));
    assert!(is_due(&alert, MINUTE_MS, minutes(3)));
    let told = message(&alert, sending, minutes(3));
    assert_eq!(told.labels.to_string(), "{a=\"b\", own=\"1\", site=\"x\"}");
    assert_eq!((told.starts_at, told.ends_at), (Some(minutes(3)), Some(minutes(11))));
    alert.last_sent_at = Some(minutes(3));
    assert!(!is_due(&alert, MINUTE_MS, minutes(3).plus_ms(MINUTE_MS - 1)));
    assert!(is_due(&alert, MINUTE_MS, minutes(4)));
    alert.state = State::Resolved;
    alert.resolved_at = Some(minutes(3).plus_ms(1));
    assert!(is_due(&alert, MINUTE_MS, minutes(3).plus_ms(1)), "the end is told at once");
    assert_eq!(message(&alert, sending, minutes(9)).ends_at, Some(minutes(3).plus_ms(1)));
}

#[test]
fn series_of_alerts() {
    let mut alerts = Alerts::new();
    for (name, state) in [("a", State::Pending), ("b", State::Firing), ("c", State::Resolved)] {
        let alert = begun(&row(&[("alertname", "A"), ("x", name)], 1.0), TimestampMs(61_500));
        alerts.insert(alert.labels.clone(), ActiveAlert { state, ..alert });
    }
    let series: Vec<String> =
        series(&alerts).iter().map(|(labels, value)| format!("{labels} {value}")).collect();
    assert_eq!(
        series,
        [
            "ALERTS_FOR_STATE{alertname=\"A\", x=\"a\"} 61",
            "ALERTS{alertname=\"A\", alertstate=\"pending\", x=\"a\"} 1",
            "ALERTS_FOR_STATE{alertname=\"A\", x=\"b\"} 61",
            "ALERTS{alertname=\"A\", alertstate=\"firing\", x=\"b\"} 1",
        ]
    );
}
