//! The whole as one component: new, start, reload, stop.
//!
//! Place in the flow: command line → **`run`** → wiring. `main` is short because all of it can be
//! called from a test.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use dashboards::access::Access;
use dashboards::parts::Status;
use dashboards::{Admin, Control, Gate, Server};
use journal::disk::Disk;
use model::clock::SystemClock;
use model::{BoxFuture, Clock, Labels};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::cli::{self, RunArguments, VERSION};
use crate::config::{self, Config, Sql as SqlConfig, Web as WebConfig};
use crate::data_folder;
use crate::query_log;
use crate::roles::{Roles, Service};
use crate::signals::{Asked, Signals};
use crate::wiring::{self, Front, Rooms};

/// Reload requests that may wait; each waits for an answer, so few suffice.
const RELOADS_MAX: usize = 8;

/// Requests to reload, each with who waits for its outcome.
type Reloads = mpsc::Receiver<oneshot::Sender<Result<(), String>>>;

/// Runs until told to stop. `say` prints the first lines that an operator sees.
pub async fn run(arguments: RunArguments, roles: Roles, say: impl Fn(&str)) -> Result<(), String> {
    let mut signals = Signals::listen().map_err(|error| format!("listen to signals: {error}"))?;
    let config = cli::load(&arguments)?;
    let access = open_access(&config)?;
    let data = data_folder::prepare(&config.data)?;
    let _lock = data_folder::lock(&Disk::real(), &data)?;
    let server = if roles.has(Service::Web) {
        Some(Server::bind(&config.listen).await.map_err(|error| error.to_string())?)
    } else {
        None
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (reloads, asked_reloads) = mpsc::channel(RELOADS_MAX);
    let shared = Arc::new(Shared::new(reloads, &config, &arguments, &data, clock.now().0));
    let address = server.as_ref().map(Server::address);
    say(&wiring::greeting(&config, &roles, address, &data));
    warn_of(&config);
    let gate = Gate::new(Arc::clone(&clock), Arc::clone(&shared) as Arc<dyn Control>)
        .at(wiring::web_place(&config, address))
        .guarded_by(Arc::clone(&access));
    let web = server.map(|server| Web::start(server, gate.clone()));
    let requests = Arc::clone(gate.requests());
    let front = Front { address, access: Arc::clone(&access), requests };
    let opening = Rooms::open(config, &roles, &data, front, Arc::clone(&clock));
    let opened = tokio::select! {
        opened = opening => Some(opened),
        () = until_stop(&mut signals) => None,
    };
    let outcome = match opened {
        Some(Ok(rooms)) => {
            rooms.show_config(Arc::clone(&shared) as Arc<dyn Control>);
            let admin = shared.fixed.web.enable_admin_api.then(|| rooms.snapshots(&data));
            let admin = admin.map(|own| Arc::new(own) as Arc<dyn Admin>);
            gate.open(rooms.parts(Arc::clone(&shared) as Arc<dyn Control>, admin));
            rooms.start().await;
            shared.ready.store(true, Ordering::SeqCst);
            tracing::info!(services = roles.names(), "started");
            let app = App { arguments, rooms, shared, access, clock };
            app.until_stopped(&mut signals, asked_reloads).await;
            Web::stop(web).await;
            app.rooms.stop().await;
            Ok(())
        }
        Some(Err(error)) => {
            Web::stop(web).await;
            Err(error)
        }
        None => {
            tracing::info!("told to stop before everything had started");
            Web::stop(web).await;
            Ok(())
        }
    };
    if outcome.is_ok() {
        tracing::info!("stopped");
    }
    outcome
}

/// Opens what decides about access, and warns of a door that stands open.
fn open_access(config: &Config) -> Result<Arc<Access>, String> {
    let access = Access::open(config.web.access.clone());
    let access = access.map_err(|problems| config::lines(&problems))?;
    for warning in access.warnings() {
        tracing::warn!("{warning}");
    }
    let host = config.listen.rsplit_once(':').map_or("", |(host, _)| host);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_near = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if access.is_open() && !is_near {
        tracing::warn!(
            "whoever reaches {} may do everything: set web.users or web.tokens",
            config.listen
        );
    }
    Ok(Arc::new(access))
}

/// Waits for the signal to stop; nothing can be reloaded yet.
async fn until_stop(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {
        tracing::warn!("SIGHUP while starting: the configuration has just been read");
    }
}

fn warn_of(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

/// The running web server.
struct Web {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Web {
    fn start(server: Server, gate: Gate) -> Web {
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(gate, async move {
            // A dropped sender means the same as a sent stop.
            let _ = stopped.await;
        }));
        Web { stop, serving }
    }

    async fn stop(web: Option<Web>) {
        let Some(Web { stop, serving }) = web else { return };
        drop(stop);
        if let Err(error) = serving.await {
            tracing::error!("web server: {error}");
        }
    }
}

/// Everything that runs.
struct App {
    arguments: RunArguments,
    rooms: Rooms,
    shared: Arc<Shared>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
}

impl App {
    /// Reloads when asked, until told to stop.
    async fn until_stopped(&self, signals: &mut Signals, mut asked_reloads: Reloads) {
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => break,
                    Asked::Reload => _ = self.reload().await,
                },
                Some(answer) = asked_reloads.recv() => {
                    let outcome = self.reload().await;
                    // The client may have gone; the reload has happened all the same.
                    let _ = answer.send(outcome);
                }
                () = self.shared.quit.notified() => break,
            }
        }
        tracing::info!("stopping");
        self.shared.ready.store(false, Ordering::SeqCst);
    }

    async fn reload(&self) -> Result<(), String> {
        let shared = &self.shared;
        shared.reload_at_ms.store(self.clock.now().0, Ordering::SeqCst);
        let loaded = cli::load(&self.arguments).and_then(|config| {
            let prepared = Access::prepare(config.web.access.clone());
            let prepared = prepared.map_err(|problems| config::lines(&problems))?;
            Ok((config, prepared))
        });
        let (loaded, prepared) = match loaded {
            Ok(loaded) => loaded,
            Err(problems) => {
                tracing::error!(
                    "the new configuration has mistakes, the old one goes on:\n{problems}"
                );
                shared.reload_ok.store(false, Ordering::SeqCst);
                return Err(problems);
            }
        };
        warn_of(&loaded);
        for key in shared.fixed.changed(&loaded) {
            tracing::warn!("{key} has changed, which takes effect at the next start");
        }
        let text = loaded.text.clone();
        let external_labels = loaded.collector.global.external_labels.clone();
        let outcome = self.rooms.reload(loaded).await;
        shared.reload_ok.store(outcome.is_ok(), Ordering::SeqCst);
        match &outcome {
            Ok(()) => {
                self.access.reload(prepared);
                *shared.config_text.lock().unwrap_or_else(PoisonError::into_inner) = text;
                *shared.external_labels.lock().unwrap_or_else(PoisonError::into_inner) =
                    external_labels;
                shared.config_at_ms.store(self.clock.now().0, Ordering::SeqCst);
                tracing::info!("took the new configuration");
            }
            Err(problem) => tracing::error!(
                "the new configuration can't be taken, the old one goes on: {problem}"
            ),
        }
        outcome
    }
}

/// Settings that a reload can't change.
struct Fixed {
    listen: String,
    data: PathBuf,
    store: storage::Settings,
    query: query::Settings,
    query_log: query_log::Settings,
    sql: SqlConfig,
    web: WebConfig,
}

impl Fixed {
    fn new(config: &Config) -> Fixed {
        Fixed {
            listen: config.listen.clone(),
            data: config.data.clone(),
            store: config.store.clone(),
            query: config.query.clone(),
            query_log: config.query_log.clone(),
            sql: config.sql.clone(),
            web: config.web.clone(),
        }
    }

    /// The keys that are different in another configuration.
    fn changed(&self, config: &Config) -> Vec<&'static str> {
        let keys = [
            ("listen", self.listen != config.listen),
            ("data", self.data != config.data),
            ("store", self.store != config.store),
            ("query", self.query != config.query || self.query_log != config.query_log),
            ("sql", self.sql != config.sql),
            ("web", self.web.needs_restart(&config.web)),
        ];
        keys.into_iter().filter(|(_, is_changed)| *is_changed).map(|(key, _)| key).collect()
    }
}

/// What the web server asks of the whole.
struct Shared {
    reloads: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
    ready: AtomicBool,
    reload_ok: AtomicBool,
    config_at_ms: AtomicI64,
    reload_at_ms: AtomicI64,
    quit: Notify,
    external_labels: Mutex<Labels>,
    started_at_ms: i64,
    data_folder: String,
    config_text: Mutex<String>,
    fixed: Fixed,
    flags: Vec<(String, String)>,
}

impl Shared {
    fn new(
        reloads: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
        config: &Config,
        arguments: &RunArguments,
        data: &Path,
        now_ms: i64,
    ) -> Shared {
        let path = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        Shared {
            reloads,
            ready: AtomicBool::new(false),
            reload_ok: AtomicBool::new(true),
            config_at_ms: AtomicI64::new(now_ms),
            reload_at_ms: AtomicI64::new(now_ms),
            quit: Notify::new(),
            external_labels: Mutex::new(config.collector.global.external_labels.clone()),
            started_at_ms: now_ms,
            data_folder: data.display().to_string(),
            config_text: Mutex::new(config.text.clone()),
            fixed: Fixed::new(config),
            flags: vec![
                ("services".to_owned(), arguments.services.clone().unwrap_or_default()),
                ("config".to_owned(), path(&arguments.config)),
                ("data".to_owned(), data.display().to_string()),
                ("listen".to_owned(), config.listen.clone()),
                ("log".to_owned(), arguments.log.clone()),
            ],
        }
    }
}

impl Control for Shared {
    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.readiness()?;
            let (answer, answered) = oneshot::channel();
            let busy = |_| "another reload is under way; try again".to_owned();
            self.reloads.try_send(answer).map_err(busy)?;
            answered.await.unwrap_or_else(|_| Err("Belfry is stopping".to_owned()))
        })
    }

    fn readiness(&self) -> Result<(), String> {
        if self.ready.load(Ordering::SeqCst) { Ok(()) } else { Err("still starting".to_owned()) }
    }

    fn quit(&self) -> bool {
        let is_allowed = self.fixed.web.enable_lifecycle;
        if is_allowed {
            self.quit.notify_one();
        }
        is_allowed
    }

    fn status(&self) -> Status {
        let labels = self.external_labels.lock().unwrap_or_else(PoisonError::into_inner);
        Status {
            version: VERSION,
            started_at_ms: self.started_at_ms,
            reload_ok: self.reload_ok.load(Ordering::SeqCst),
            config_at_ms: self.config_at_ms.load(Ordering::SeqCst),
            data_folder: self.data_folder.clone(),
            config_text: self.config_text.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            flags: self.flags.clone(),
            reload_at_ms: self.reload_at_ms.load(Ordering::SeqCst),
            host: exporters::host::host_name(),
            retention: retention(&self.fixed.store),
            external_labels: labels.clone(),
        }
    }
}

/// How long and how much is kept, in the words of the field.
fn retention(store: &storage::Settings) -> String {
    let age = u64::try_from(store.retention_ms).ok().filter(|ms| *ms > 0);
    let age = age.map(model::duration::format_duration_ms);
    let size = store.retention_bytes_max;
    let size = (size > 0).then(|| format!("{size}B"));
    age.into_iter().chain(size).collect::<Vec<String>>().join(" or ")
}
