//! Attempts against a fake HTTP door and a scripted mail relay.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc;

use model::BoxFuture;
use model::Labels;
use model::clock::ManualClock;
use model::http_door::{HttpError, HttpRequest, HttpResponse};

use super::*;
use crate::config;
use crate::core::Reason;
use crate::core::record::{Intent, StoredAlert};

mod mail;
mod webhook;

type Answer = Result<HttpResponse, HttpError>;

/// Keeps what was asked and answers from a list.
#[derive(Default)]
struct FakeDoor {
    asked: Mutex<Vec<HttpRequest>>,
    answers: Mutex<VecDeque<Answer>>,
}

impl HttpDoor for FakeDoor {
    fn request(&self, request: HttpRequest) -> BoxFuture<'_, Answer> {
        self.asked.lock().expect("lock").push(request);
        let answer = self.answers.lock().expect("lock").pop_front();
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Ok(HttpResponse { status, headers, body: Vec::new() })
}

fn doors(http: Arc<FakeDoor>) -> Doors {
    Doors {
        disk: Disk::real(),
        http,
        clock: Arc::new(ManualClock::new(TimestampMs(1_800_000_000_000))),
        site: "belfry.test".to_owned(),
    }
}

fn live(yaml: &str) -> Live {
    let config = config::parse(yaml, "t.yml").unwrap_or_else(|problems| panic!("{problems:#?}"));
    let templates = crate::texts::load(&Disk::real(), &[]).expect("templates");
    Live { config, templates, external_url: "http://am.example:9093".to_owned() }
}

/// A message with one firing and, when asked for, one resolved alert.
fn delivery(integration: &str, with_resolved: bool) -> Delivery {
    let alert = |name: &str, end: i64| StoredAlert {
        labels: Labels::from_pairs([("alertname", "Disk"), ("env", "prod"), ("instance", name)]),
        annotations: Labels::from_pairs([("summary", "full <90%> & größer")]),
        starts_at_ms: 1_763_635_257_000,
        ends_at_ms: end,
        updated_at_ms: 1_763_635_257_000,
        timeout: false,
        generator_url: "http://prom/graph?g0.expr=x".to_owned(),
    };
    let mut alerts = vec![alert("b1", i64::MAX)];
    if with_resolved {
        alerts.push(alert("b2", 1_763_635_300_500));
    }
    let intent = Intent {
        id: "00000000000000000000000000abcdef".to_owned(),
        seq: 7,
        group: "{}:{alertname=\"Disk\"}".to_owned(),
        group_key: "{}:{alertname=\"Disk\"}".to_owned(),
        route: "{}".to_owned(),
        group_labels: Labels::from_pairs([("alertname", "Disk")]),
        receiver: integration.split('/').next().expect("a name").to_owned(),
        integration: integration.to_owned(),
        reason: Reason::First,
        created_at_ms: 1_763_635_400_000,
        firing: alerts[..1].iter().map(StoredAlert::fingerprint).collect(),
        resolved: alerts[1..].iter().map(StoredAlert::fingerprint).collect(),
        alerts,
    };
    Delivery { intent: Arc::new(intent), attempt: 1, finished: BTreeSet::new() }
}
