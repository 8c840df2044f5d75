//! The ways of telling: webhook and e-mail, one attempt at a time.
//!
//! Place in the flow: delivery → **`Sender::attempt`** → the wire → a report for the core.
//!
//! An attempt never waits without a limit and never panics; whatever happens becomes a report.
//!
//! Not here: when to try again (core), who runs attempts (delivery).

use std::collections::BTreeSet;
use std::sync::Arc;

use journal::disk::Disk;
use model::http_door::HttpDoor;
use model::{Clock, TimestampMs};
use template::Templates;

use crate::config::{Config, Integration, IntegrationKind, Route};
use crate::core::{Delivery, Outcome, Report};
use crate::message::Message;

mod email;
mod mail;
mod smtp;
mod webhook;

/// Everything that attempts share; replaced as a whole by a reload.
pub(crate) struct Live {
    /// The configuration in force.
    pub(crate) config: Config,
    /// Defaults and the operator's files.
    pub(crate) templates: Templates,
    /// Where people find us.
    pub(crate) external_url: String,
}

/// The doors to the world.
#[derive(Clone)]
pub(crate) struct Doors {
    /// Secrets and certificates are read through it.
    pub(crate) disk: Disk,
    /// Webhooks go through it.
    pub(crate) http: Arc<dyn HttpDoor>,
    /// For templates that ask for the present.
    pub(crate) clock: Arc<dyn Clock>,
    /// The right side of Message-IDs.
    pub(crate) site: String,
}

/// One attempt's view of the message.
struct Attempt<'a> {
    delivery: &'a Delivery,
    doors: &'a Doors,
    message: Message<'a>,
    finished: &'a BTreeSet<String>,
}

/// Makes one attempt to deliver.
pub(crate) async fn attempt(delivery: &Delivery, live: &Live, doors: &Doors) -> Report {
    let Some(integration) = integration_of(&live.config, &delivery.intent.integration) else {
        return Report::plain(Outcome::Config, "the configuration no longer has this receiver");
    };
    let route = find_route(&live.config.route, &delivery.intent.route);
    let message = Message {
        intent: &delivery.intent,
        alerts: &delivery.intent.alerts,
        truncated: 0,
        external_url: &live.external_url,
        templates: &live.templates,
        route_labels: route.map_or(&[], |own| &own.labels),
        now: now_of(doors),
    };
    let attempt = Attempt { delivery, doors, message, finished: &delivery.finished };
    match &integration.kind {
        IntegrationKind::Webhook(config) => webhook::send(attempt, config).await,
        IntegrationKind::Email(config) => email::send(attempt, config).await,
    }
}

fn now_of(doors: &Doors) -> TimestampMs {
    doors.clock.now()
}

fn integration_of<'a>(config: &'a Config, key: &str) -> Option<&'a Integration> {
    config.receivers.iter().flat_map(|own| &own.integrations).find(|own| own.key == key)
}

/// The route of that id.
pub(crate) fn find_route<'a>(route: &'a Route, id: &str) -> Option<&'a Route> {
    if route.id == id {
        return Some(route);
    }
    route.routes.iter().find_map(|child| find_route(child, id))
}

#[cfg(test)]
mod tests;
