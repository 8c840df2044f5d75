//! The core on a timeline: "at 1 s push, then want". Time stands still between events.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use journal::disk::SimulatedDisk;
use model::{Alert, Labels, TimestampMs};

use super::effect::{Delivery, Effect};
use super::event::{Event, Outcome, Report};
use super::plan::Plan;
use super::silence::{Silence, SilenceMatcher};
use super::state::State;
use super::step::step;
use crate::config;
use crate::log::Log;

mod crash;
mod timeline;

/// One attempt as the receiver saw it.
#[derive(Debug, Clone)]
struct Sent {
    at_s: i64,
    delivery: Delivery,
    outcome: Outcome,
}

impl Sent {
    fn names(&self, wanted: impl Fn(u64) -> bool) -> String {
        let names: Vec<&str> = self
            .delivery
            .intent
            .alerts
            .iter()
            .filter(|own| wanted(own.fingerprint()))
            .map(|own| own.labels.get("name").unwrap_or("?"))
            .collect();
        names.join("+")
    }

    fn firing(&self) -> String {
        self.names(|own| self.delivery.intent.firing.contains(&own))
    }

    fn resolved(&self) -> String {
        self.names(|own| self.delivery.intent.resolved.contains(&own))
    }

    fn line(&self) -> String {
        let intent = &self.delivery.intent;
        let (firing, resolved) = (self.firing(), self.resolved());
        let outcome = match self.outcome {
            Outcome::Delivered => String::new(),
            other => format!(" ({})", other.name()),
        };
        let key = &intent.integration;
        format!("{}s {key} {}: {firing}/{resolved}{outcome}", self.at_s, intent.reason.text())
    }
}

type Script = Box<dyn FnMut(&Delivery, i64) -> Outcome>;

/// A core with a log on a simulated disk, a source of alerts and scripted receivers.
struct World {
    disk: SimulatedDisk,
    log: Log,
    plan: Arc<Plan>,
    state: State,
    now_ms: i64,
    /// Name → labels, start, end.
    source: BTreeMap<String, (Labels, i64, Option<i64>)>,
    resend_s: Option<i64>,
    script: Script,
    sent: Vec<Sent>,
    history: Vec<String>,
    /// The world crashes before this effect, counted over appends and deliveries.
    crash_before: Option<usize>,
    effects: usize,
    crashes: usize,
    /// Sent, and what follows from it is not yet on the disk.
    unsettled: Option<String>,
    /// Messages that a crash caught in that state: each may come once more.
    caught: Vec<String>,
    runtime: tokio::runtime::Runtime,
}

fn plan_of(text: &str) -> Arc<Plan> {
    let config = config::parse(text, "t.yml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    Arc::new(Plan::new(&config))
}

/// Routes and receivers for tests: `routes` is YAML for the root's keys.
fn yaml(root_keys: &str, more: &str) -> String {
    format!(
        "route: {{receiver: w, group_by: [g], group_wait: 30s, group_interval: 60s, \
         repeat_interval: 1h{root_keys}}}\nreceivers:\n- name: w\n  webhook_configs: \
         [{{url: 'http://h/w'}}]\n- name: q\n  webhook_configs: [{{url: 'http://h/q', \
         send_resolved: false}}]\n{more}"
    )
}

impl World {
    fn new(config: &str) -> World {
        let plan = plan_of(config);
        let disk = SimulatedDisk::new(7);
        let (state, log) = World::opened(&disk, &plan);
        let mut world = World {
            disk,
            log,
            plan: plan.clone(),
            state,
            now_ms: 0,
            source: BTreeMap::new(),
            resend_s: None,
            script: Box::new(|_, _| Outcome::Delivered),
            sent: Vec::new(),
            history: Vec::new(),
            crash_before: None,
            effects: 0,
            crashes: 0,
            unsettled: None,
            caught: Vec::new(),
            runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
        };
        world.happen(Event::ConfigLoaded(plan));
        world
    }

    fn opened(disk: &SimulatedDisk, plan: &Arc<Plan>) -> (State, Log) {
        let mut state = State::new("site", plan.clone(), 1);
        let (log, _) = Log::open(disk.disk(), Path::new("/am"), &mut state).expect("log opens");
        (state, log)
    }

    /// Power off and on again; the source goes on.
    fn crash(&mut self) {
        self.crash_before = None;
        self.crashes += 1;
        self.caught.extend(self.unsettled.take());
        assert!(self.crashes < 10, "the world crashes again and again");
        self.disk.crash_and_restart();
        loop {
            let mut state = State::new("site", self.plan.clone(), 1);
            match Log::open(self.disk.disk(), Path::new("/am"), &mut state) {
                Ok((log, _)) => {
                    self.state = state;
                    self.log = log;
                    break;
                }
                Err(_) => self.disk.crash_and_restart(),
            }
        }
        self.happen(Event::ConfigLoaded(self.plan.clone()));
    }

    fn happen(&mut self, event: Event) {
        let mut events = vec![event];
        while !events.is_empty() {
            let event = events.remove(0);
            let effects = step(&mut self.state, TimestampMs(self.now_ms), event);
            for effect in effects {
                if matches!(effect, Effect::Append(_) | Effect::Deliver(_)) {
                    if self.crash_before == Some(self.effects) {
                        return self.crash();
                    }
                    self.effects += 1;
                }
                match effect {
                    Effect::Append(records) => {
                        if self.runtime.block_on(self.log.append(&records)).is_err() {
                            return self.crash();
                        }
                        self.unsettled = None;
                    }
                    Effect::Deliver(delivery) => events.push(self.receive(delivery)),
                    Effect::Publish(row) => {
                        self.history.push(format!("{:?}: {}", row.kind, row.detail));
                    }
                    Effect::WakeAt(at) => assert!(at.0 > 0),
                }
            }
        }
    }

    fn receive(&mut self, delivery: Delivery) -> Event {
        let outcome = (self.script)(&delivery, self.now_ms / 1000);
        self.unsettled = Some(delivery.intent.id.clone());
        self.sent.push(Sent { at_s: self.now_ms / 1000, delivery: delivery.clone(), outcome });
        Event::DeliveryResult {
            group: delivery.intent.group.clone(),
            integration: delivery.intent.integration.clone(),
            seq: delivery.intent.seq,
            report: Report::plain(outcome, "scripted"),
        }
    }

    /// Lets time pass, with a tick whenever one is due.
    fn run_to(&mut self, until_s: i64) {
        loop {
            let due_ms = self.state.next_wake_ms().unwrap_or(i64::MAX);
            let resend_ms = self
                .resend_s
                .map_or(i64::MAX, |every_s| (self.now_ms / (every_s * 1000) + 1) * every_s * 1000);
            let next_ms = due_ms.max(self.now_ms).min(resend_ms);
            if next_ms > until_s * 1000 {
                break;
            }
            self.now_ms = next_ms;
            if next_ms == resend_ms {
                self.resend();
            }
            self.happen(Event::Tick);
        }
        self.now_ms = until_s * 1000;
    }

    fn resend(&mut self) {
        let now_ms = self.now_ms;
        let alerts: Vec<Alert> = self
            .source
            .values()
            .map(|(labels, start_ms, end_ms)| Alert {
                labels: labels.clone(),
                annotations: Labels::empty(),
                starts_at: Some(TimestampMs(*start_ms)),
                ends_at: Some(TimestampMs(end_ms.unwrap_or(now_ms + 240_000))),
                generator_url: String::new(),
            })
            .collect();
        if !alerts.is_empty() {
            self.happen(Event::AlertBatch(alerts));
        }
    }

    /// Fires an alert at a time; `more` are further labels.
    fn fire(&mut self, at_s: i64, name: &str, more: &[(&str, &str)]) {
        self.run_to(at_s);
        let own = [("alertname", "A"), ("g", "1"), ("name", name)];
        let labels = Labels::from_pairs(own.iter().chain(more).copied());
        self.source.insert(name.to_owned(), (labels.clone(), self.now_ms, None));
        let alert = Alert {
            labels,
            annotations: Labels::empty(),
            starts_at: Some(TimestampMs(self.now_ms)),
            ends_at: Some(TimestampMs(self.now_ms + 86_400_000)),
            generator_url: String::new(),
        };
        self.happen(Event::AlertBatch(vec![alert]));
    }

    /// Ends an alert at a time.
    fn end(&mut self, at_s: i64, name: &str) {
        self.run_to(at_s);
        let now_ms = self.now_ms;
        let (labels, start_ms, end_ms) = self.source.get_mut(name).expect("known alert");
        *end_ms = Some(now_ms);
        let alert = Alert {
            labels: labels.clone(),
            annotations: Labels::empty(),
            starts_at: Some(TimestampMs(*start_ms)),
            ends_at: Some(TimestampMs(now_ms)),
            generator_url: String::new(),
        };
        self.happen(Event::AlertBatch(vec![alert]));
    }

    fn silence(&mut self, id: &str, name: &str, until_s: i64) {
        let matcher = SilenceMatcher {
            name: "name".to_owned(),
            value: name.to_owned(),
            is_regex: false,
            is_equal: true,
        };
        self.happen(Event::SilencePut(Silence {
            id: id.to_owned(),
            matchers: vec![matcher],
            starts_at_ms: self.now_ms,
            ends_at_ms: until_s * 1000,
            updated_at_ms: self.now_ms,
            created_by: "t".to_owned(),
            comment: "t".to_owned(),
        }));
    }

    #[track_caller]
    fn want(&self, expected: &[&str]) {
        let lines: Vec<String> = self.sent.iter().map(Sent::line).collect();
        assert_eq!(lines, expected);
    }
}
