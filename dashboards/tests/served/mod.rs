//! The HTTP API over a small store, on a real socket.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use alertmanager::Alertmanager;
use collector::push::{Receiver, ReceiverParts};
use dashboards::access::Access;
use dashboards::parts::Status;
use dashboards::{Control, Gate, Parts, Server, Web};
use journal::disk::SimulatedDisk;
use model::clock::SystemClock;
use model::{Append, Batch, BoxFuture, Clock, Exporter, Family, Labels, MetricKind, TimestampMs};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// The whole process, as far as the server asks.
#[derive(Default)]
pub struct Whole {
    /// What the status pages tell.
    pub status: Mutex<Status>,
}

impl Control for Whole {
    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Err("belfry.yml:3: listen: is wrong".to_owned()) })
    }

    fn quit(&self) -> bool {
        false
    }

    fn readiness(&self) -> Result<(), String> {
        Ok(())
    }

    fn status(&self) -> Status {
        self.status.lock().expect("lock").clone()
    }
}

/// An admin that makes no pictures.
pub struct Snapshots;

impl dashboards::Admin for Snapshots {
    fn snapshot(&self, skip_head: bool) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move {
            if skip_head { Err("no space left".to_owned()) } else { Ok("picture".to_owned()) }
        })
    }
}

/// A serving API.
pub struct Api {
    pub address: std::net::SocketAddr,
    pub gate: Gate,
    pub whole: Arc<Whole>,
    pub store: Option<Arc<storage::Store>>,
    prefix: String,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub bytes: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        assert!(self.head.contains("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Api {
    /// A server that has not opened its rooms yet.
    pub async fn closed() -> Api {
        Api::closed_at(Web::default()).await
    }

    /// The same at another place of the web.
    pub async fn closed_at(web: Web) -> Api {
        Api::guarded(web, Arc::default()).await
    }

    /// The same where this decides who may do what.
    pub async fn guarded(web: Web, access: Arc<Access>) -> Api {
        let status = Status {
            version: "0.0.0",
            reload_ok: true,
            config_text: "# p.yml\nscrape_configs:\n  -\n    job_name: node\n".to_owned(),
            external_labels: Labels::from_pairs([("site", "x")]),
            ..Status::default()
        };
        let whole = Arc::new(Whole { status: Mutex::new(status) });
        let prefix = web.route_prefix.clone();
        let control = Arc::clone(&whole) as Arc<dyn Control>;
        let gate = Gate::new(Arc::new(SystemClock), control).at(web).guarded_by(access);
        let server = Server::bind("127.0.0.1:0").await.expect("bind");
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let own = gate.clone();
        let serving = tokio::spawn(async move {
            let stopped = async { _ = stopped.await };
            server.run(own, stopped).await;
        });
        Api { address, gate, whole, store: None, prefix, stop, serving }
    }

    /// A server over a store with one series, without rules and scrapes.
    pub async fn open() -> Api {
        Api::open_with(None).await
    }

    /// The same with what an operator allowed.
    pub async fn open_with(admin: Option<Arc<dyn dashboards::Admin>>) -> Api {
        Api::open_at(Web::default(), admin, false).await
    }

    /// With a rule group and an exporter inside the process too.
    pub async fn whole() -> Api {
        Api::open_at(Web::default(), Some(Arc::new(Snapshots)), true).await
    }

    /// All choices.
    pub async fn open_at(
        web: Web,
        admin: Option<Arc<dyn dashboards::Admin>>,
        is_whole: bool,
    ) -> Api {
        let mut api = Api::closed_at(web).await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let disk = SimulatedDisk::new(1);
        let settings = storage::Settings::default();
        let store = storage::Store::open(disk.disk(), Path::new("/s"), settings, clock.clone());
        let store = store.expect("opens");
        let mut batch = Batch::new();
        let series = batch.series(&Labels::from_pairs([("__name__", "m"), ("a", "1")]));
        for second in 0..10 {
            batch.sample(series, TimestampMs(1_000_000 + second * 1000), second as f64);
        }
        let other = batch.series(&Labels::from_pairs([("__name__", "m"), ("a", "2")]));
        batch.sample(other, TimestampMs(1_009_000), f64::INFINITY);
        store.append(batch).await.expect("durable");
        api.store = Some(Arc::clone(&store));
        let source = Arc::clone(&store) as Arc<dyn query::Source>;
        let engine = query::Engine::new(source, clock.clone(), query::Settings::default());
        let engine = Arc::new(engine);
        let parts = alertmanager::Parts {
            clock: clock.clone(),
            http: Arc::new(collector::HttpClient::new()),
            external_url: format!("http://b{}", api.prefix),
            site: "test".to_owned(),
            seed: 1,
        };
        let text = "route: {receiver: x}\nreceivers: [{name: x}]\n";
        let config = alertmanager::config::parse(text, "am.yml").expect("is fine");
        let alerts = Alertmanager::open(disk.disk(), Path::new("/am"), config, parts);
        let receiver = Receiver::new(ReceiverParts {
            append: Arc::clone(&store) as Arc<dyn Append>,
            clock: clock.clone(),
            seed: 1,
            cache_bytes_max: 1 << 20,
        });
        let (rules, collector) = if is_whole {
            let collector = collecting(&store, &clock).await;
            (Some(ruling(&disk, &engine, &store, &clock)), Some(collector))
        } else {
            (None, None)
        };
        api.gate.open(Parts {
            clock,
            control: Arc::clone(&api.whole) as Arc<dyn Control>,
            registry: prometheus::Registry::new(),
            receiver: Some(Arc::new(receiver)),
            store: Some(store),
            engine: Some(engine),
            sql: None,
            collector,
            rules,
            alertmanager: Some(alerts.expect("opens")),
            admin,
        });
        api
    }

    pub async fn send(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n{kind}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("send");
        // A server that has refused the body may have closed already.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|own| own == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let bytes = answer[end + 4..].to_vec();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
        Reply { status, head, body, bytes }
    }

    pub async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, "", b"").await
    }

    pub async fn post(&self, target: &str, form: &str) -> Reply {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", target, kind, form.as_bytes()).await
    }

    pub async fn stop(self) {
        drop(self.stop);
        self.serving.await.expect("ends");
    }
}

/// One group: a recording rule, an alert that waits, one whose expression fails.
fn ruling(
    disk: &SimulatedDisk,
    engine: &Arc<query::Engine>,
    store: &Arc<storage::Store>,
    clock: &Arc<dyn Clock>,
) -> Arc<rules::Rules> {
    struct Nobody;
    impl model::AlertSink for Nobody {
        fn send(&self, _: Vec<model::Alert>) -> BoxFuture<'_, Result<(), model::AlertSinkError>> {
            Box::pin(async { Ok(()) })
        }
    }
    let text = "groups:\n- name: one\n  rules:\n  - record: job:m:sum\n    expr: sum(m)\n    \
                labels: {team: a}\n  - alert: Always\n    expr: vector(1)\n    for: 1h\n    \
                labels: {severity: page}\n    annotations: {summary: x}\n- name: two\n  rules:\n  \
                - alert: Never\n    expr: vector(0) > 1\n";
    let groups = rules::config::parse(text, "r.yml").expect("is fine");
    let parts = rules::Parts {
        evaluate: Arc::clone(engine) as Arc<dyn rules::Evaluate>,
        append: Arc::clone(store) as Arc<dyn Append>,
        alerts: Arc::new(Nobody),
        clock: Arc::clone(clock),
        seed: 1,
    };
    let settings = rules::Settings::default();
    let opened = rules::Rules::open(disk.disk(), Path::new("/r"), parts, &settings, groups);
    Arc::new(opened.expect("opens"))
}

/// An exporter inside the process, and a job whose only target is dropped.
async fn collecting(
    store: &Arc<storage::Store>,
    clock: &Arc<dyn Clock>,
) -> Arc<collector::Collector> {
    struct Always;
    impl Exporter for Always {
        fn collect(&self) -> BoxFuture<'_, Result<Vec<Family>, String>> {
            Box::pin(async {
                let mut own = Family::new("always_total", MetricKind::Counter, "Some help.");
                own.sample(&[], 7.0);
                Ok(vec![own])
            })
        }
    }
    let parts = collector::Parts {
        append: Arc::clone(store) as Arc<dyn Append>,
        clock: Arc::clone(clock),
        http: Arc::new(collector::HttpClient::new()),
        seed: 1,
    };
    let yaml = "scrape_configs:\n- job_name: node\n  static_configs: [{targets: ['127.0.0.1:1']}]\n  \
                relabel_configs:\n  - {source_labels: [__address__], target_label: where}\n  \
                - {source_labels: [where], regex: '127.*', action: drop}\n";
    let root = model::yaml::parse(yaml).expect("YAML");
    let problems = model::fields::Problems::new("p.yml");
    let config = collector::config::read(&root, &problems);
    assert!(problems.into_list().is_empty());
    let source = collector::Source {
        job: "inside".to_owned(),
        instance: "here".to_owned(),
        labels: Labels::empty(),
        interval_ms: 1000,
        timeout_ms: 500,
        exporter: Arc::new(Always),
    };
    let collector = Arc::new(collector::Collector::new(parts));
    collector.start(config, vec![source]).await;
    collector
}

/// The pieces of a body as one.
pub fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            break;
        }
        whole.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    whole
}
