//! Power cuts before every effect and during every disk operation: N1 to N5 hold.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn scenario(world: &mut World) {
    world.resend_s = Some(50);
    world.script = Box::new(|delivery, at_s| match (delivery.attempt, at_s) {
        (1, 85..200) => Outcome::Transient,
        (2, 85..200) => Outcome::Ambiguous,
        _ => Outcome::Delivered,
    });
    world.fire(1, "a", &[]);
    world.fire(5, "b", &[]);
    world.fire(70, "c", &[]);
    world.end(400, "a");
    world.end(700, "b");
    world.end(705, "c");
    world.run_to(1_500);
}

/// Checks what the receivers saw.
#[track_caller]
fn check(world: &World, what: &str) {
    let done: Vec<&Sent> =
        world.sent.iter().filter(|own| own.outcome == Outcome::Delivered).collect();
    for name in ["a", "b", "c"] {
        let has = |text: &str| text.split('+').any(|own| own == name);
        assert!(done.iter().any(|own| has(&own.firing())), "N1 {what}: {name} was never told");
        let last = done
            .iter()
            .rev()
            .find(|own| has(&own.firing()) || has(&own.resolved()))
            .expect("it was told");
        assert!(has(&last.resolved()), "N2 {what}: the end of {name} was not told");
    }
    let mut attempts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for own in &world.sent {
        let entry = attempts.entry(&own.delivery.intent.id).or_default();
        entry.0 += usize::from(own.outcome != Outcome::Transient);
        entry.1 += usize::from(own.outcome == Outcome::Ambiguous);
    }
    for (id, (count, ambiguous)) in attempts {
        let caught = world.caught.iter().filter(|own| *own == id).count();
        assert!(count <= 1 + ambiguous + caught, "N3 {what}: {id} was sent {count} times");
    }
    let seqs: Vec<u64> = world.sent.iter().map(|own| own.delivery.intent.seq).collect();
    assert!(seqs.is_sorted(), "N4 {what}: {seqs:?}");
    let decided: BTreeSet<i64> =
        world.sent.iter().map(|own| own.delivery.intent.created_at_ms).collect();
    let first = *decided.first().expect("something was decided");
    for at_ms in decided {
        assert_eq!((at_ms - first) % 60_000, 0, "N5 {what}: {at_ms} is off the grid of {first}");
    }
    assert!(world.state.durable.groups.is_empty(), "{what}: nothing is left over");
}

#[test]
fn without_a_crash() {
    let mut world = World::new(&yaml("", ""));
    scenario(&mut world);
    check(&world, "no crash");
    assert_eq!(world.crashes, 0);
}

#[test]
fn a_crash_before_every_effect() {
    let mut calm = World::new(&yaml("", ""));
    scenario(&mut calm);
    assert!(calm.effects > 40, "{} effects", calm.effects);
    for effect in 1..calm.effects {
        let mut world = World::new(&yaml("", ""));
        world.crash_before = Some(effect);
        scenario(&mut world);
        assert_eq!(world.crashes, 1);
        check(&world, &format!("crash before effect {effect}"));
    }
}

#[test]
fn a_power_cut_during_every_disk_operation() {
    let mut calm = World::new(&yaml("", ""));
    let before = calm.disk.operations();
    scenario(&mut calm);
    let after = calm.disk.operations();
    assert!(after - before > 40, "{} operations", after - before);
    for operation in before..after {
        let mut world = World::new(&yaml("", ""));
        world.disk.crash_at(operation);
        scenario(&mut world);
        check(&world, &format!("power cut during disk operation {operation}"));
    }
}

#[test]
fn an_alert_whose_source_is_gone_is_still_resolved_after_a_restart() {
    let mut world = World::new(&yaml("", ""));
    world.resend_s = None;
    world.fire(1, "a", &[]);
    world.source.clear();
    let labels = world.state.durable.alerts.values().next().expect("kept").labels.clone();
    world.run_to(100);
    world.happen(Event::AlertBatch(vec![Alert {
        labels,
        annotations: Labels::empty(),
        starts_at: Some(TimestampMs(1000)),
        ends_at: Some(TimestampMs(200_000)),
        generator_url: String::new(),
    }]));
    world.crash();
    world.run_to(90_000);
    assert_eq!(world.sent.iter().filter(|own| own.resolved() == "a").count(), 1);
}

#[test]
fn a_snapshot_takes_the_place_of_the_log() {
    let mut world = World::new(&yaml("", ""));
    world.fire(1, "a", &[]);
    world.silence("s", "zzz", 100_000);
    world.run_to(40);
    world.log.compact(&world.state).expect("compacts");
    let before = world.state.durable.clone();
    world.fire(50, "b", &[]);
    world.crash();
    assert_eq!(world.state.durable.silences, before.silences);
    assert!(world.state.durable.alerts.len() == 2);
    world.run_to(100);
    world.want(&[
        "31s w/webhook/0 first notification: a/",
        "91s w/webhook/0 new alerts added: a+b/",
    ]);
}
