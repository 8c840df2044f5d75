//! The rooms joined: who gets whose handle. Nowhere else do two rooms meet.
//!
//! Place in the flow: configuration and roles → **`Rooms`** → started, reloaded, stopped in order:
//! what is written to starts first and stops last.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alertmanager::Alertmanager;
use collector::{Collector, HttpClient};
use dashboards::{Control, Parts};
use exporters::{Built, Kind};
use journal::disk::Disk;
use model::exporter::Family;
use model::{AlertSink, AlertSinkError, Append, BoxFuture, Clock, Labels};
use query::Engine;
use rules::Rules;
use storage::Store;

use crate::config::Config;
use crate::roles::{Roles, Service};
use crate::telemetry::{self, SelfMetrics};

/// How long running scrapes and deliveries may take at the stop.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// How often Belfry scrapes itself.
const SELF_INTERVAL_MS: u64 = 15_000;

/// The rooms of this process.
pub struct Rooms {
    clock: Arc<dyn Clock>,
    http: Arc<HttpClient>,
    store: Option<Arc<Store>>,
    engine: Option<Arc<Engine>>,
    sql: Option<Arc<sql::Session>>,
    collector: Option<Arc<Collector>>,
    rules: Option<Arc<Rules>>,
    alertmanager: Option<Arc<Alertmanager>>,
    metrics: SelfMetrics,
    registry: prometheus::Registry,
    roles: Roles,
    first_scrapes: std::sync::Mutex<Option<Scrapes>>,
}

/// What the collector is told.
struct Scrapes {
    config: collector::Config,
    sources: Vec<collector::Source>,
}
