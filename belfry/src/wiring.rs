//! The rooms joined: who gets whose handle. Nowhere else do two rooms meet.
//!
//! Place in the flow: configuration and roles → **`Rooms`** → started, reloaded, stopped in order:
//! what is written to starts first and stops last.

/// What an operator reads first.
mod greeting;
/// Exporters and Belfry itself as sources and jobs of the collector.
mod scrapes;
/// The Postgres wire.
mod postgres;
/// The rooms' counters as metrics.
mod self_metrics;
/// What other rooms tell the SQL tables.
mod told;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alertmanager::Alertmanager;
use alertmanager::config::IntegrationKind;
use collector::push::{Receiver, ReceiverParts};
use collector::{Collector, HttpClient};
use dashboards::access::Access;
use dashboards::{Admin, Control, Parts, Requests};
use journal::disk::Disk;
use model::http_door::HttpDoor;
use model::{Alert, AlertSink, AlertSinkError, Append, BoxFuture, Clock};
use query::cost::Costs;
use query::tally::Tally;
use query::{Engine, Observer};
use rules::Rules;
use storage::Store;

pub use greeting::greeting;
use postgres::Postgres;
use scrapes::Scrapes;
use told::Tellers;

use crate::config::Config;
use crate::query_log::{self, QueryLog};
use crate::roles::{Roles, Service};
use crate::snapshots::Snapshots;
use crate::telemetry::SelfMetrics;

/// How long running scrapes may take at the stop.
const SCRAPES_STOP: Duration = Duration::from_secs(10);
/// Spreads scrapes and rule groups over their intervals; the same at each start, so that a restart
/// keeps every target's place.
pub const SEED: u64 = 0x6265_6c66_7279;

/// Memory for pushed series that are known from earlier requests: a million and a half.
const PUSH_CACHE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The rooms of this process.
pub struct Rooms {
    clock: Arc<dyn Clock>,
    http: Arc<HttpClient>,
    store: Option<Arc<Store>>,
    engine: Option<Arc<Engine>>,
    sql: Option<Arc<sql::Session>>,
    tellers: Arc<Tellers>,
    costs: Arc<Costs>,
    tally: Arc<Tally>,
    query_log: Option<Arc<QueryLog>>,
    postgres: Postgres,
    collector: Option<Arc<Collector>>,
    receiver: Option<Arc<Receiver>>,
    rules: Option<Arc<Rules>>,
    alertmanager: Option<Arc<Alertmanager>>,
    metrics: SelfMetrics,
    registry: prometheus::Registry,
    roles: Roles,
    web: Option<SocketAddr>,
    /// What the collector is told at the start.
    first_scrapes: Mutex<Option<Scrapes>>,
}

/// The web server that runs beside the rooms.
pub struct Front {
    /// Where it listens, if it runs in this process.
    pub address: Option<SocketAddr>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// What was asked and answered.
    pub requests: Arc<Requests>,
}

impl Rooms {
    /// Opens every room of the roles; nothing is scraped, evaluated or sent yet.
    pub async fn open(
        config: Config,
        roles: &Roles,
        data: &Path,
        Front { address: web, access, requests }: Front,
        clock: Arc<dyn Clock>,
    ) -> Result<Rooms, String> {
        let disk = Disk::real();
        let http = Arc::new(HttpClient::new());
        let external_url = external_url(&config, web);
        let metrics = SelfMetrics::default();
        let registry = registry_of(&metrics)?;
        let store = if roles.has(Service::Store) {
            Some(open_store(&disk, data, &config, &clock).await?)
        } else {
            None
        };
        let queried = store.as_ref().filter(|_| roles.has(Service::Query));
        let (costs, tally, tellers): (Arc<Costs>, Arc<Tally>, Arc<Tellers>) = Default::default();
        let query_log = open_query_log(&disk, &config.query_log, &clock)?;
        let observers = observers((&costs, &tally), query_log.as_ref());
        let engine = queried.map(|store| {
            let source = Arc::clone(store) as Arc<dyn query::Source>;
            let engine = Engine::new(source, Arc::clone(&clock), config.query.clone());
            Arc::new(engine.with_observers(observers))
        });
        let sql = engine.as_ref().zip(queried);
        let sql = sql.map(|(engine, store)| open_sql(engine, store, &tellers));
        let sql = sql.transpose()?;
        let postgres = Postgres::bind(&config.sql, sql.is_some(), &access).await?;
        let collector = store.as_ref().filter(|_| roles.has(Service::Collect)).map(|store| {
            let append = Arc::clone(store) as Arc<dyn Append>;
            let (clock, http) = (Arc::clone(&clock), Arc::clone(&http));
            Arc::new(Collector::new(collector::Parts { append, clock, http, seed: SEED }))
        });
        let collected = store.as_ref().filter(|_| roles.has(Service::Collect));
        let receiver = collected.map(|store| Arc::new(receiver(store, &clock)));
        let mut rooms = Rooms {
            first_scrapes: Mutex::new(Some(Scrapes::new(&config, roles, &metrics, &clock))),
            clock,
            http,
            store,
            engine,
            sql,
            tellers,
            costs,
            tally,
            query_log,
            postgres,
            collector,
            receiver,
            rules: None,
            alertmanager: None,
            metrics,
            registry,
            roles: roles.clone(),
            web,
        };
        if roles.has(Service::Alert) {
            rooms.alertmanager =
                Some(rooms.open_alertmanager(&disk, data, &config, &external_url)?);
        }
        if roles.has(Service::Rules) {
            rooms.rules = rooms.open_rules(&disk, data, &config, &external_url)?;
        }
        rooms.introduce();
        self_metrics::add_front(&rooms, access, requests);
        self_metrics::add(&rooms);
        Ok(rooms)
    }

    /// Tells SQL of the rooms that were opened after it.
    fn introduce(&self) {
        let Tellers { rules, alertmanager } = self.tellers.as_ref();
        self.rules.iter().for_each(|own| _ = rules.set(Arc::clone(own)));
        self.alertmanager.iter().for_each(|own| _ = alertmanager.set(Arc::clone(own)));
    }

    fn open_alertmanager(
        &self,
        disk: &Disk,
        data: &Path,
        config: &Config,
        external_url: &str,
    ) -> Result<Arc<Alertmanager>, String> {
        let parts = alertmanager::Parts {
            clock: Arc::clone(&self.clock),
            http: Arc::clone(&self.http) as Arc<dyn HttpDoor>,
            external_url: external_url.to_owned(),
            site: exporters::host::host_name(),
            seed: SEED,
        };
        let urls = webhook_urls(&config.alertmanager, disk);
        self.http.replace_allowed("alertmanager", urls.iter().map(String::as_str));
        let dir = data.join("alertmanager");
        Alertmanager::open(disk.clone(), &dir, config.alertmanager.clone(), parts)
            .map_err(|error| format!("open the alert manager's log: {error}"))
    }

    /// The rules, if what they ask and write to is here.
    fn open_rules(
        &self,
        disk: &Disk,
        data: &Path,
        config: &Config,
        external_url: &str,
    ) -> Result<Option<Arc<Rules>>, String> {
        let (Some(engine), Some(store)) = (&self.engine, &self.store) else { return Ok(None) };
        let alerts: Arc<dyn AlertSink> = match &self.alertmanager {
            Some(alertmanager) => Arc::clone(alertmanager) as Arc<dyn AlertSink>,
            None => Arc::new(Nobody),
        };
        let parts = rules::Parts {
            evaluate: Arc::clone(engine) as Arc<dyn rules::Evaluate>,
            append: Arc::clone(store) as Arc<dyn Append>,
            alerts,
            clock: Arc::clone(&self.clock),
            seed: SEED,
        };
        let settings = rules_settings(config, external_url);
        let dir = data.join("rules");
        let groups = config.groups.clone();
        let opened = Rules::open(disk.clone(), &dir, parts, &settings, groups)
            .map_err(|error| format!("open the rules' state: {error}"))?;
        Ok(Some(Arc::new(opened)))
    }

    /// Adds what the whole tells of its configuration to the metrics.
    pub fn show_config(&self, control: Arc<dyn Control>) {
        self.metrics.add(Box::new(move || self_metrics::config_families(&control.status())));
    }

    /// What the web server serves from.
    pub fn parts(&self, control: Arc<dyn Control>, admin: Option<Arc<dyn Admin>>) -> Parts {
        Parts {
            clock: Arc::clone(&self.clock),
            control,
            registry: self.registry.clone(),
            store: self.store.clone(),
            receiver: self.receiver.clone(),
            engine: self.engine.clone(),
            sql: self.sql.clone(),
            collector: self.collector.clone(),
            rules: self.rules.clone(),
            alertmanager: self.alertmanager.clone(),
            admin,
        }
    }

    /// Pictures of everything durable of this process.
    pub fn snapshots(&self, data: &Path) -> Snapshots {
        let (rules, alertmanager) = (self.rules.clone(), self.alertmanager.clone());
        Snapshots::new(data, Arc::clone(&self.clock), (self.store.clone(), rules, alertmanager))
    }

    /// Begins to deliver, to evaluate, to scrape.
    pub async fn start(&self) {
        if let Some(alertmanager) = &self.alertmanager {
            alertmanager.start();
        }
        if let Some(collector) = &self.collector {
            let first = self.first_scrapes.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Scrapes { config, sources } = first.unwrap_or_default();
            collector.start(config, sources).await;
        }
        if let Some(rules) = &self.rules {
            rules.start().await;
        }
        if let Some(sql) = &self.sql {
            self.postgres.start(sql);
        }
    }

    /// Takes another configuration, which has been read without a mistake: all of it, or nothing.
    /// What can fail comes first; the steps after it can't.
    pub async fn reload(&self, config: Config) -> Result<(), String> {
        let external_url = external_url(&config, self.web);
        if let Some(alertmanager) = &self.alertmanager {
            // Until the new one is in force, both may be called: an alarm is due at any time.
            let urls = webhook_urls(&config.alertmanager, &Disk::real());
            self.http.replace_allowed("alertmanager, next", urls.iter().map(String::as_str));
            let taken = alertmanager.reload(config.alertmanager.clone(), &external_url).await;
            if taken.is_ok() {
                self.http.replace_allowed("alertmanager", urls.iter().map(String::as_str));
            }
            self.http.replace_allowed("alertmanager, next", []);
            taken.map_err(|error| format!("alertmanager: {error}"))?;
        }
        let scrapes = Scrapes::new(&config, &self.roles, &self.metrics, &self.clock);
        if let Some(rules) = &self.rules {
            rules.reload(&rules_settings(&config, &external_url), config.groups).await;
        }
        if let Some(collector) = &self.collector {
            collector.reload(scrapes.config, scrapes.sources).await;
        }
        Ok(())
    }

    /// Stops in the order of the flow, so that what is under way still finds what it is written to.
    pub async fn stop(&self) {
        self.postgres.stop().await;
        if let Some(collector) = &self.collector {
            collector.stop(SCRAPES_STOP).await;
        }
        if let Some(rules) = &self.rules {
            rules.stop().await;
        }
        if let Some(alertmanager) = &self.alertmanager {
            alertmanager.stop().await;
        }
        self.metrics.clear();
        if let Some(log) = self.query_log.clone() {
            // It waits for the disk.
            if let Err(error) = tokio::task::spawn_blocking(move || log.stop()).await {
                tracing::error!("close the query log: {error}");
            }
        }
        if let Some(store) = self.store.clone() {
            let closed = tokio::task::spawn_blocking(move || store.close()).await;
            match closed {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("close the store: {error}"),
                Err(error) => tracing::error!("close the store: {error}"),
            }
        }
    }
}

fn open_query_log(
    disk: &Disk,
    settings: &query_log::Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<QueryLog>>, String> {
    let Some(file) = &settings.file else { return Ok(None) };
    QueryLog::start(disk, file, settings.slow_ms, clock).map(Arc::new).map(Some)
}

fn open_sql(
    engine: &Arc<Engine>,
    store: &Arc<Store>,
    tellers: &Arc<Tellers>,
) -> Result<Arc<sql::Session>, String> {
    let told = Arc::clone(tellers) as Arc<dyn sql::told::Told>;
    let (store, engine) = (Arc::clone(store), Arc::clone(engine));
    let session = sql::Session::start(sql::Parts { store, engine, told });
    session.map(Arc::new).map_err(|error| format!("open SQL: {error}"))
}

/// The doors for pushed samples. The secret of their hashes is a new one in every process.
fn receiver(store: &Arc<Store>, clock: &Arc<dyn Clock>) -> Receiver {
    Receiver::new(ReceiverParts {
        append: Arc::clone(store) as Arc<dyn Append>,
        clock: Arc::clone(clock),
        seed: RandomState::new().build_hasher().finish(),
        cache_bytes_max: PUSH_CACHE_BYTES_MAX,
    })
}

async fn open_store(
    disk: &Disk,
    data: &Path,
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Store>, String> {
    let (disk, dir) = (disk.clone(), data.join("store"));
    let (settings, clock) = (config.store.clone(), Arc::clone(clock));
    // Replay reads much; it must not hold up the page that says "still starting".
    let opened =
        tokio::task::spawn_blocking(move || Store::open(disk, &dir, settings, clock)).await;
    opened
        .map_err(|error| format!("open the store: {error}"))?
        .map_err(|error| format!("open the store: {error}"))
}

fn rules_settings(config: &Config, external_url: &str) -> rules::Settings {
    let global = &config.collector.global;
    rules::Settings {
        external_labels: global.external_labels.clone(),
        external_url: external_url.to_owned(),
        interval_ms: global.evaluation_interval_ms,
        query_offset_ms: global.rule_query_offset_ms,
        ..rules::Settings::default()
    }
}

/// Where links point: as configured, else where we listen.
fn registry_of(metrics: &SelfMetrics) -> Result<prometheus::Registry, String> {
    let registry = prometheus::Registry::new();
    let registered = registry.register(Box::new(metrics.clone()));
    registered.map_err(|error| format!("register metrics: {error}"))?;
    Ok(registry)
}

/// Who is told of each query that ends.
fn observers(
    (costs, tally): (&Arc<Costs>, &Arc<Tally>),
    log: Option<&Arc<QueryLog>>,
) -> Vec<Arc<dyn Observer>> {
    let log = log.map(|log| Arc::clone(log) as Arc<dyn Observer>);
    let counting: [Arc<dyn Observer>; 2] = [Arc::clone(costs) as _, Arc::clone(tally) as _];
    counting.into_iter().chain(log).collect()
}

fn external_url(config: &Config, web: Option<SocketAddr>) -> String {
    if !config.external_url.is_empty() {
        return config.external_url.trim_end_matches('/').to_owned();
    }
    let scheme = if config.web.access.is_encrypted { "https" } else { "http" };
    let prefix = config.web.route_prefix.as_deref().unwrap_or("");
    match web {
        Some(address) => format!("{scheme}://{address}{prefix}"),
        None => format!("{scheme}://{}{prefix}", config.listen),
    }
}

/// Where the web server stands: under the path that is configured, else under that of the external
/// address.
pub fn web_place(config: &Config, web: Option<SocketAddr>) -> dashboards::Web {
    let external_url = external_url(config, web);
    let own_path = || {
        let url = url::Url::parse(&external_url).ok();
        url.map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
    };
    let route_prefix = config.web.route_prefix.clone().unwrap_or_else(own_path);
    dashboards::Web { route_prefix, external_url }
}

/// Webhooks may be dialled; nothing else the alert manager might think of.
fn webhook_urls(config: &alertmanager::config::Config, disk: &Disk) -> Vec<String> {
    let mut urls = Vec::new();
    for integration in config.receivers.iter().flat_map(|receiver| &receiver.integrations) {
        if let IntegrationKind::Webhook(webhook) = &integration.kind {
            match webhook.url.read(disk) {
                Ok(url) => urls.push(url.expose().to_owned()),
                Err(error) => tracing::error!("{}: url_file: {error}", integration.key),
            }
        }
    }
    urls
}

/// Rules without an alert manager in this process: alerts are series and on the page only.
struct Nobody;

impl AlertSink for Nobody {
    fn send(&self, _alerts: Vec<Alert>) -> BoxFuture<'_, Result<(), AlertSinkError>> {
        Box::pin(async { Ok(()) })
    }
}
