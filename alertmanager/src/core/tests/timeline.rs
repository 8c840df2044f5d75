//! Scenarios of the field and of ours, in exact time.

use super::*;

#[test]
fn alerts_of_one_wait_share_a_message_and_all_ends_are_told() {
    let mut world = World::new(&yaml("", ""));
    world.fire(1, "a", &[]);
    world.fire(10, "b", &[]);
    world.fire(50, "c", &[]);
    world.end(100, "a");
    world.end(160, "b");
    world.end(161, "c");
    world.run_to(400);
    world.want(&[
        "31s w/webhook/0 first notification: a+b/",
        "91s w/webhook/0 new alerts added: a+b+c/",
        "151s w/webhook/0 some alerts resolved: b+c/a",
        "211s w/webhook/0 all alerts resolved: /b+c",
    ]);
    assert!(world.state.durable.groups.is_empty(), "told and over: nothing is kept");
    assert!(world.state.durable.alerts.is_empty());
}

#[test]
fn an_old_alert_does_not_wait() {
    let mut world = World::new(&yaml("", ""));
    world.run_to(1000);
    let labels = Labels::from_pairs([("g", "1"), ("name", "a")]);
    let alert = Alert {
        labels,
        annotations: Labels::empty(),
        starts_at: Some(TimestampMs(1000)),
        ends_at: None,
        generator_url: String::new(),
    };
    world.happen(Event::AlertBatch(vec![alert]));
    world.run_to(1001);
    world.want(&["1000s w/webhook/0 first notification: a/"]);
    // Without a word from the source it is over after the resolve time-out of five minutes.
    world.run_to(1400);
    assert_eq!(world.sent[1].line(), "1300s w/webhook/0 all alerts resolved: /a");
}

#[test]
fn fires_and_ends_between_two_looks_is_never_told() {
    let mut world = World::new(&yaml("", ""));
    world.fire(1, "a", &[]);
    world.end(20, "a");
    world.run_to(200);
    world.want(&[]);
    assert!(world.state.durable.groups.is_empty());
}

#[test]
fn repeats_at_the_repeat_interval() {
    let mut world = World::new(&yaml("", ""));
    world.fire(1, "a", &[]);
    world.run_to(2 * 3600 + 100);
    world.want(&[
        "31s w/webhook/0 first notification: a/",
        "3631s w/webhook/0 repeat interval elapsed: a/",
        "7231s w/webhook/0 repeat interval elapsed: a/",
    ]);
}

#[test]
fn ends_are_not_told_where_nobody_asked() {
    let mut world = World::new(&yaml(", routes: [{receiver: q, matchers: [to=q]}]", ""));
    world.fire(0, "a", &[("to", "q")]);
    world.fire(1, "b", &[("to", "q")]);
    world.end(40, "a");
    world.end(100, "b");
    world.run_to(300);
    world.want(&["30s q/webhook/0 first notification: a+b/"]);
    assert!(world.state.durable.groups.is_empty(), "the end counts as told");
    world.fire(300, "b", &[("to", "q")]);
    world.run_to(400);
    assert_eq!(world.sent[1].line(), "330s q/webhook/0 first notification: b/");
    assert_ne!(world.sent[0].delivery.intent.id, world.sent[1].delivery.intent.id);
}

#[test]
fn routes_continue_and_end() {
    let routes = ", routes: [{receiver: q, matchers: [team=x], continue: true}, \
                  {receiver: w, matchers: ['team=~\"x|y\"'], group_by: ['...']}, \
                  {receiver: q, matchers: [team=x]}]";
    let mut world = World::new(&yaml(routes, ""));
    world.fire(0, "a", &[("team", "x")]);
    world.fire(0, "b", &[("team", "y")]);
    world.fire(0, "c", &[]);
    world.run_to(31);
    let mut keys: Vec<&str> =
        world.sent.iter().map(|own| own.delivery.intent.group_key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "{}/{team=\"x\"}:{g=\"1\"}",
            "{}/{team=~\"x|y\"}:{alertname=\"A\", g=\"1\", name=\"a\", team=\"x\"}",
            "{}/{team=~\"x|y\"}:{alertname=\"A\", g=\"1\", name=\"b\", team=\"y\"}",
            "{}:{g=\"1\"}",
        ]
    );
}

#[test]
fn twin_routes_keep_their_own_books() {
    let routes = ", routes: [{receiver: w, matchers: [t=x], continue: true}, \
                  {receiver: w, matchers: [t=x]}]";
    let mut world = World::new(&yaml(routes, ""));
    world.fire(0, "a", &[("t", "x")]);
    world.run_to(31);
    assert_eq!(world.sent.len(), 2, "one message of each route");
    assert_ne!(world.sent[0].delivery.intent.id, world.sent[1].delivery.intent.id);
}

#[test]
fn a_silence_keeps_quiet_and_the_end_is_told_later() {
    let mut world = World::new(&yaml("", ""));
    world.fire(0, "a", &[]);
    world.run_to(31);
    world.silence("s1", "a", 200);
    world.end(40, "a");
    world.run_to(199);
    assert_eq!(world.sent.len(), 1, "silenced: nothing is told");
    assert!(world.history.iter().any(|line| line == "Suppressed: silence"));
    world.run_to(300);
    assert_eq!(world.sent[1].line(), "210s w/webhook/0 all alerts resolved: /a");
}

#[test]
fn an_ended_silence_lets_alerts_through() {
    let mut world = World::new(&yaml("", ""));
    world.silence("s1", "a", 10_000);
    world.fire(0, "a", &[]);
    world.fire(0, "b", &[]);
    world.run_to(100);
    world.want(&["30s w/webhook/0 first notification: b/"]);
    world.happen(Event::SilenceExpire("s1".to_owned()));
    world.run_to(151);
    assert_eq!(world.sent[1].line(), "150s w/webhook/0 new alerts added: a+b/");
}

#[test]
fn a_second_source_keeps_inhibiting_when_the_first_ends() {
    let rule = "inhibit_rules: [{source_matchers: [severity=critical], target_matchers: \
                [severity=warning], equal: [zone]}]";
    let mut world = World::new(&yaml("", rule));
    let zone = ("zone", "z");
    world.fire(0, "s1", &[("severity", "critical"), zone]);
    world.fire(0, "s2", &[("severity", "critical"), zone]);
    world.fire(1, "t", &[("severity", "warning"), zone]);
    world.fire(1, "u", &[("severity", "warning"), ("zone", "other")]);
    world.end(40, "s1");
    world.end(100, "s2");
    world.run_to(160);
    world.want(&[
        "30s w/webhook/0 first notification: s1+s2+u/",
        "90s w/webhook/0 some alerts resolved: s2+u/s1",
        "150s w/webhook/0 new alerts added: t+u/s2",
    ]);
}

#[test]
fn both_source_and_target_do_not_silence_each_other() {
    let rule = "inhibit_rules: [{source_matchers: [x=y], target_matchers: [x=y]}]";
    let mut world = World::new(&yaml("", rule));
    world.fire(0, "a", &[("x", "y")]);
    world.fire(0, "b", &[("x", "y")]);
    world.run_to(31);
    world.want(&["30s w/webhook/0 first notification: a+b/"]);
}

#[test]
fn a_mute_interval_keeps_a_route_quiet() {
    // The world begins at midnight of 1970-01-01, a Thursday.
    let intervals = "time_intervals: [{name: early, time_intervals: [{times: [{start_time: \
                     '00:00', end_time: '00:05'}]}]}]";
    let routes = ", routes: [{receiver: w, matchers: [t=x], mute_time_intervals: [early]}]";
    let mut world = World::new(&yaml(routes, intervals));
    world.fire(0, "a", &[("t", "x")]);
    world.fire(0, "b", &[]);
    world.run_to(400);
    world.want(&[
        "30s w/webhook/0 first notification: b/",
        "330s w/webhook/0 first notification: a/",
    ]);
}

#[test]
fn retries_back_off_and_the_newest_state_takes_over() {
    let mut world = World::new(&yaml("", ""));
    world.script =
        Box::new(|_, at_s| if at_s < 100 { Outcome::Transient } else { Outcome::Delivered });
    world.fire(0, "a", &[]);
    world.fire(60, "b", &[]);
    world.run_to(600);
    let failed = world.sent.iter().filter(|own| own.outcome == Outcome::Transient).count();
    assert!((3..40).contains(&failed), "{failed} attempts");
    let done: Vec<&Sent> =
        world.sent.iter().filter(|own| own.outcome == Outcome::Delivered).collect();
    assert_eq!(done.len(), 1, "one message in the end");
    assert_eq!(done[0].firing(), "a+b");
    assert!(world.history.iter().any(|line| line.starts_with("Superseded")));
    let seqs: Vec<u64> = world.sent.iter().map(|own| own.delivery.intent.seq).collect();
    assert!(seqs.is_sorted(), "nothing older after something newer: {seqs:?}");
}

#[test]
fn what_was_never_delivered_and_is_over_is_told_as_over() {
    let mut world = World::new(&yaml("", ""));
    world.script =
        Box::new(|_, at_s| if at_s < 200 { Outcome::Ambiguous } else { Outcome::Delivered });
    world.fire(0, "a", &[]);
    world.end(70, "a");
    world.run_to(900);
    let last = world.sent.last().expect("something was sent");
    assert_eq!((last.firing().as_str(), last.resolved().as_str()), ("", "a"));
    assert_eq!(last.outcome, Outcome::Delivered);
    assert!(world.state.durable.groups.is_empty());
}

#[test]
fn refused_messages_and_old_ones_become_dead_letters() {
    let mut world = World::new(&yaml("", ""));
    world.script = Box::new(|_, _| Outcome::Rejected);
    world.fire(0, "a", &[]);
    world.run_to(1000);
    assert_eq!(world.sent.len(), 1, "a refused message is not sent again");
    assert_eq!(world.history.iter().filter(|own| own.starts_with("DeadLetter")).count(), 1);

    let mut world = World::new(&yaml("", ""));
    world.script = Box::new(|_, _| Outcome::Transient);
    world.fire(0, "a", &[]);
    world.run_to(72 * 3600 + 700);
    assert!(
        world.history.iter().any(|own| own.starts_with("DeadLetter: after 72 h")
            || own.starts_with("DeadLetter: too old"))
    );
}

#[test]
fn one_failing_way_does_not_hold_up_the_other() {
    let more = "- name: both\n  webhook_configs: [{url: 'http://h/1'}, {url: 'http://h/2'}]\n";
    let mut world = World::new(&yaml(", routes: [{receiver: both, matchers: [t=x]}]", more));
    world.script = Box::new(|delivery, at_s| {
        let bad = delivery.intent.integration == "both/webhook/0" && at_s < 45;
        if bad { Outcome::Transient } else { Outcome::Delivered }
    });
    world.fire(0, "a", &[("t", "x")]);
    world.run_to(120);
    let of = |key: &str| {
        world.sent.iter().filter(|own| own.delivery.intent.integration == key).collect::<Vec<_>>()
    };
    assert_eq!(of("both/webhook/1").len(), 1, "the healthy one is told once, at once");
    assert_eq!(of("both/webhook/1")[0].at_s, 30);
    let slow = of("both/webhook/0");
    assert!(slow.len() > 1 && slow.last().is_some_and(|own| own.outcome == Outcome::Delivered));
    let ids: Vec<&str> = slow.iter().map(|own| own.delivery.intent.id.as_str()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "a retry keeps its id");
}

#[test]
fn a_reload_keeps_the_grid_and_tells_nothing_twice() {
    let mut world = World::new(&yaml("", ""));
    world.fire(0, "a", &[]);
    world.run_to(45);
    let plan = plan_of(&yaml(", routes: [{receiver: q, matchers: [nobody=here]}]", ""));
    world.plan = plan.clone();
    world.happen(Event::ConfigLoaded(plan));
    world.fire(50, "b", &[]);
    world.run_to(100);
    world.want(&[
        "30s w/webhook/0 first notification: a/",
        "90s w/webhook/0 new alerts added: a+b/",
    ]);
}

#[test]
fn ends_are_told_where_the_start_was_told_after_a_route_went() {
    let mut world = World::new(&yaml(", routes: [{receiver: w, matchers: [t=x]}]", ""));
    world.fire(0, "a", &[("t", "x")]);
    world.run_to(31);
    let plan = plan_of(&yaml(", routes: [{receiver: q, matchers: [t=x], group_by: [t]}]", ""));
    world.happen(Event::ConfigLoaded(plan));
    world.end(100, "a");
    world.run_to(300);
    assert!(
        world.sent.iter().any(|own| own.line().contains("w/webhook/0 all alerts resolved: /a")),
        "{:?}",
        world.sent.iter().map(Sent::line).collect::<Vec<_>>()
    );
    assert!(world.state.durable.groups.is_empty());
}

#[test]
fn what_waits_for_a_removed_receiver_is_a_dead_letter() {
    let more = "- name: gone\n  webhook_configs: [{url: 'http://h/g'}]\n";
    let mut world = World::new(&yaml(", routes: [{receiver: gone, matchers: [t=x]}]", more));
    world.script = Box::new(|_, _| Outcome::Transient);
    world.fire(0, "a", &[("t", "x")]);
    world.run_to(31);
    world.happen(Event::ConfigLoaded(plan_of(&yaml("", ""))));
    let line = "DeadLetter: the configuration no longer has this receiver";
    assert!(world.history.iter().any(|own| own == line), "{:?}", world.history);
}

#[test]
fn overdue_looks_coalesce_and_stay_on_the_grid() {
    let mut world = World::new(&yaml("", ""));
    world.fire(0, "a", &[]);
    world.run_to(31);
    world.fire(40, "b", &[]);
    // The process sleeps; one late look, then the grid of 30 + 60 n again.
    world.now_ms = 275_000;
    world.happen(Event::Tick);
    world.fire(280, "c", &[]);
    world.run_to(331);
    world.want(&[
        "30s w/webhook/0 first notification: a/",
        "275s w/webhook/0 new alerts added: a+b/",
        "330s w/webhook/0 new alerts added: a+b+c/",
    ]);
}

#[test]
fn a_repeated_alert_keeps_its_start_and_a_told_end_wins() {
    let mut world = World::new(&yaml("", ""));
    world.fire(10, "a", &[]);
    world.run_to(20);
    let labels = world.source["a"].0.clone();
    let again = |start_ms: i64, end_ms: Option<i64>| Alert {
        labels: labels.clone(),
        annotations: Labels::from_pairs([("new", "words")]),
        starts_at: Some(TimestampMs(start_ms)),
        ends_at: end_ms.map(TimestampMs),
        generator_url: String::new(),
    };
    world.happen(Event::AlertBatch(vec![again(15_000, None)]));
    let kept = world.state.durable.alerts.values().next().expect("kept").clone();
    assert_eq!(kept.starts_at_ms, 10_000);
    assert_eq!(kept.ends_at_ms, 10_000 + 86_400_000, "a time-out does not override a told end");
    assert_eq!(kept.annotations.get("new"), Some("words"));
}
