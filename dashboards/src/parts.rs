//! What the server serves from: the rooms that run in this process, and the handle on the whole.
//!
//! Place in the flow: filled by the binary's wiring, read by every handler. A room that does not run
//! here is `None`, and its routes answer so.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRef;
use collector::push::Receiver;
use model::{BoxFuture, Clock};

use crate::access::Access;
use crate::api::notifications::Subscribers;
use crate::requests::Requests;

/// The rooms at hand.
#[derive(Clone)]
pub struct Parts {
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Reload, readiness and what the status pages tell.
    pub control: Arc<dyn Control>,
    /// Own metrics.
    pub registry: prometheus::Registry,
    /// The store, for series and labels.
    pub store: Option<Arc<storage::Store>>,
    /// The doors for pushed samples.
    pub receiver: Option<Arc<Receiver>>,
    /// PromQL.
    pub engine: Option<Arc<query::Engine>>,
    /// SQL.
    pub sql: Option<Arc<sql::Session>>,
    /// What is scraped.
    pub collector: Option<Arc<collector::Collector>>,
    /// Rule groups and their alerts.
    pub rules: Option<Arc<rules::Rules>>,
    /// Notifications.
    pub alertmanager: Option<Arc<alertmanager::Alertmanager>>,
    /// What acts on the data as a whole; `None` when the operator has not allowed it.
    pub admin: Option<Arc<dyn Admin>>,
}

/// What acts on the data as a whole.
pub trait Admin: Send + Sync + 'static {
    /// Makes a picture of everything durable; answers the name of its folder below `snapshots/` in
    /// the data folder. The error says what went wrong.
    fn snapshot(&self, skip_head: bool) -> BoxFuture<'_, Result<String, String>>;
}

/// Where the server stands in the web.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// The path that all routes stand under: empty, or `/belfry`.
    pub route_prefix: String,
    /// The address that people reach it by, without a slash at its end; empty when nobody told.
    pub external_url: String,
}

/// What requests are answered from: nothing but the handle on the whole at first, the rooms as soon
/// as they are open. A long replay is so answered with "still starting" instead of silence.
#[derive(Clone)]
pub struct Gate {
    access: Arc<Access>,
    web: Arc<Web>,
    requests: Arc<Requests>,
    subscribers: Subscribers,
    starting: Arc<Parts>,
    rooms: Arc<OnceLock<Parts>>,
}

impl Gate {
    /// A gate with no room behind it yet.
    pub fn new(clock: Arc<dyn Clock>, control: Arc<dyn Control>) -> Gate {
        let starting = Parts {
            clock,
            control,
            registry: prometheus::Registry::new(),
            store: None,
            receiver: None,
            engine: None,
            sql: None,
            collector: None,
            rules: None,
            alertmanager: None,
            admin: None,
        };
        Gate {
            access: Arc::default(),
            web: Arc::default(),
            requests: Arc::default(),
            subscribers: Subscribers::default(),
            starting: Arc::new(starting),
            rooms: Arc::default(),
        }
    }

    /// The same gate, where this decides who may do what. Without it everybody may do everything.
    pub fn guarded_by(self, access: Arc<Access>) -> Gate {
        Gate { access, ..self }
    }

    /// Who may do what.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// The same gate at another place of the web.
    pub fn at(self, web: Web) -> Gate {
        Gate { web: Arc::new(web), ..self }
    }

    /// Where it stands.
    pub fn web(&self) -> &Web {
        &self.web
    }

    /// What was asked and answered.
    pub fn requests(&self) -> &Arc<Requests> {
        &self.requests
    }

    /// Lets requests through to the rooms. The first call counts.
    pub fn open(&self, parts: Parts) {
        self.rooms.get_or_init(|| parts);
    }

    /// Whether requests get through.
    pub fn is_open(&self) -> bool {
        self.rooms.get().is_some()
    }
}

impl FromRef<Gate> for Parts {
    fn from_ref(gate: &Gate) -> Parts {
        gate.rooms.get().unwrap_or(&gate.starting).clone()
    }
}

impl FromRef<Gate> for Subscribers {
    fn from_ref(gate: &Gate) -> Subscribers {
        gate.subscribers.clone()
    }
}

impl FromRef<Gate> for Web {
    fn from_ref(gate: &Gate) -> Web {
        gate.web().clone()
    }
}

/// The handle on the whole process.
pub trait Control: Send + Sync + 'static {
    /// Ends the process as a signal would; `false` when the operator has not allowed it.
    fn quit(&self) -> bool;
    /// Reads the configuration again and takes it when it is good. The error lists every problem;
    /// what ran before goes on then.
    fn reload(&self) -> BoxFuture<'_, Result<(), String>>;
    /// `Ok` when all rooms have started; else what is still missing.
    fn readiness(&self) -> Result<(), String>;
    /// What the status pages tell.
    fn status(&self) -> Status;
}

/// What the status pages tell.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Belfry's version.
    pub version: &'static str,
    /// When the process started, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Whether the last reload was good.
    pub reload_ok: bool,
    /// When the configuration was last taken.
    pub config_at_ms: i64,
    /// The data folder.
    pub data_folder: String,
    /// The configuration in force as text, secrets replaced.
    pub config_text: String,
    /// Command-line flags.
    pub flags: Vec<(String, String)>,
    /// When a configuration was last read, taken or not.
    pub reload_at_ms: i64,
    /// The machine's name.
    pub host: String,
    /// How long and how much is kept, such as `15d or 10GiB`.
    pub retention: String,
    /// Labels that everything carries when it leaves for another server.
    pub external_labels: model::Labels,
}
