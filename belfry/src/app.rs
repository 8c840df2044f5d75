//! The whole as one component: new, start, reload, stop.
//!
//! Place in the flow: command line → **`run`** → wiring. `main` is short because all of it can be
//! called from a test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use dashboards::parts::Status;
use dashboards::{Control, Server};
use model::clock::SystemClock;
use model::{BoxFuture, Clock};
use tokio::sync::{mpsc, oneshot};

use crate::cli::{self, RunArguments, VERSION};
use crate::config::Config;
use crate::roles::{Roles, Service};
use crate::signals::{Asked, Signals};
use crate::wiring::{self, Rooms};

/// Reload requests that may wait; each waits for an answer, so few suffice.
const RELOADS_MAX: usize = 8;

/// Runs until told to stop. `say` prints the first lines that an operator sees.
pub async fn run(arguments: RunArguments, roles: Roles, say: impl Fn(&str)) -> Result<(), String> {
    let mut signals = Signals::listen().map_err(|error| format!("listen to signals: {error}"))?;
    let config = cli::load(&arguments)?;
    let data = prepare_data(&config.data)?;
    let _lock = lock(&data)?;
    let server = if roles.has(Service::Web) {
        Some(Server::bind(&config.listen).await.map_err(|error| error.to_string())?)
    } else {
        None
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (reloads, mut asked_reloads) = mpsc::channel(RELOADS_MAX);
    let shared = Arc::new(Shared::new(reloads, &config, &arguments, &data, clock.now().0));
    let web = server.as_ref().map(Server::address);
    say(&wiring::greeting(&config, &roles, web, &data));
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let rooms = Rooms::open(config, &roles, &data, web, Arc::clone(&clock)).await?;
    let (stop_web, web_stopped) = oneshot::channel::<()>();
    let serving = server.map(|server| {
        let parts = rooms.parts(Arc::clone(&shared) as Arc<dyn Control>);
        tokio::spawn(server.run(parts, async move {
            // A dropped sender means the same as a sent stop.
            let _ = web_stopped.await;
        }))
    });
    rooms.start().await;
    shared.ready.store(true, Ordering::SeqCst);
    tracing::info!(services = roles.names(), "started");
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => break,
                Asked::Reload => _ = reload(&arguments, &rooms, &shared, clock.as_ref()).await,
            },
            Some(answer) = asked_reloads.recv() => {
                let outcome = reload(&arguments, &rooms, &shared, clock.as_ref()).await;
                let answer: oneshot::Sender<Result<(), String>> = answer;
                // The client may have gone; the reload has happened all the same.
                let _ = answer.send(outcome);
            }
        }
    }
    tracing::info!("stopping");
    shared.ready.store(false, Ordering::SeqCst);
    drop(stop_web);
    if let Some(serving) = serving {
        match serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("{error}"),
            Err(error) => tracing::error!("web server: {error}"),
        }
    }
    rooms.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn reload(
    arguments: &RunArguments,
    rooms: &Rooms,
    shared: &Shared,
    clock: &dyn Clock,
) -> Result<(), String> {
    let loaded = match cli::load(arguments) {
        Ok(config) => config,
        Err(problems) => {
            tracing::error!("the new configuration has mistakes, the old one goes on:\n{problems}");
            shared.reload_ok.store(false, Ordering::SeqCst);
            return Err(problems);
        }
    };
    let text = loaded.text.clone();
    let outcome = rooms.reload(loaded).await;
    shared.reload_ok.store(outcome.is_ok(), Ordering::SeqCst);
    match &outcome {
        Ok(()) => {
            *shared.config_text.lock().unwrap_or_else(PoisonError::into_inner) = text;
            shared.config_at_ms.store(clock.now().0, Ordering::SeqCst);
            tracing::info!("took the new configuration");
        }
        Err(problem) => {
            tracing::error!("the new configuration can't be taken, the old one goes on: {problem}");
        }
    }
    outcome
}

fn prepare_data(data: &Path) -> Result<PathBuf, String> {
    std::fs::create_dir_all(data)
        .map_err(|error| format!("create the data folder {}: {error}", data.display()))?;
    data.canonicalize().map_err(|error| format!("find the data folder {}: {error}", data.display()))
}

/// Two processes on one folder would damage it: the first holds this lock as long as it lives.
fn lock(data: &Path) -> Result<std::fs::File, String> {
    let path = data.join("lock");
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| format!("open {}: {error}", path.display()))?;
    file.try_lock().map_err(|_| {
        format!("{} is in use by another Belfry; stop it or choose another --data", data.display())
    })?;
    Ok(file)
}

/// What the web server asks of the whole.
struct Shared {
    reloads: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
    ready: AtomicBool,
    reload_ok: AtomicBool,
    config_at_ms: AtomicI64,
    started_at_ms: i64,
    data_folder: String,
    config_text: Mutex<String>,
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
            started_at_ms: now_ms,
            data_folder: data.display().to_string(),
            config_text: Mutex::new(config.text.clone()),
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
            let (answer, answered) = oneshot::channel();
            let busy = |_| "another reload is under way; try again".to_owned();
            self.reloads.try_send(answer).map_err(busy)?;
            answered.await.unwrap_or_else(|_| Err("Belfry is stopping".to_owned()))
        })
    }

    fn readiness(&self) -> Result<(), String> {
        if self.ready.load(Ordering::SeqCst) { Ok(()) } else { Err("still starting".to_owned()) }
    }

    fn status(&self) -> Status {
        Status {
            version: VERSION,
            started_at_ms: self.started_at_ms,
            reload_ok: self.reload_ok.load(Ordering::SeqCst),
            config_at_ms: self.config_at_ms.load(Ordering::SeqCst),
            data_folder: self.data_folder.clone(),
            config_text: self.config_text.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            flags: self.flags.clone(),
        }
    }
}
