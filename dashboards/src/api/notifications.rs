//! `/api/v1/notifications` and `/api/v1/notifications/live`: what an operator should know now.
//!
//! Place in the flow: the whole's status and the store's figures → **here** → a list, or a stream of
//! events that tells each change until the server stops.
//!
//! A subscriber has no queue: its stream looks again every second, so a slow one costs nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::envelope::Success;
use crate::api::status::rfc3339;
use crate::parts::Parts;

/// How often a subscriber's stream looks again.
const LOOK: Duration = Duration::from_secs(1);
/// Looks without news after which a comment keeps the connection alive.
const QUIET_LOOKS_MAX: u32 = 15;
/// Subscribers at the same time; others are told to come back.
const SUBSCRIBERS_MAX: usize = 16;

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notification {
    text: String,
    date: String,
    active: bool,
}

/// The places of subscribers.
#[derive(Debug, Clone)]
pub struct Subscribers(Arc<Semaphore>);

impl Default for Subscribers {
    fn default() -> Subscribers {
        Subscribers(Arc::new(Semaphore::new(SUBSCRIBERS_MAX)))
    }
}

/// What is to know now.
fn current(parts: &Parts) -> Vec<Notification> {
    let status = parts.control.status();
    let mut all = Vec::new();
    let mut add = |text: String, at_ms: i64| {
        all.push(Notification { text, date: rfc3339(at_ms), active: true });
    };
    if !status.reload_ok {
        add("Configuration reload has failed.".to_owned(), status.reload_at_ms);
    }
    if let Some(stats) = parts.store.as_ref().map(|store| store.stats()) {
        if let Some(problem) = &stats.unavailable {
            add(format!("The store takes no samples: {problem}"), status.started_at_ms);
        }
        if !stats.damaged.is_empty() {
            let count = stats.damaged.len();
            let text = format!("{count} damaged parts of the store are set aside.");
            add(text, status.started_at_ms);
        }
    }
    all
}

/// The list.
pub async fn list(State(parts): State<Parts>) -> Success<Vec<Notification>> {
    Success::new(current(&parts))
}

/// The events. 204 when there are too many subscribers.
pub async fn live(State(parts): State<Parts>, State(places): State<Subscribers>) -> Response {
    let Ok(place) = places.0.try_acquire_owned() else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let watch = Watch { parts, told: Vec::new(), quiet: 0, is_new: true, _place: place };
    let events = futures::stream::unfold(watch, |mut watch| async move {
        let text = watch.next().await?;
        Some((Ok::<_, Infallible>(text), watch))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from_stream(events.fuse())).into_response()
}

/// A subscriber.
struct Watch {
    parts: Parts,
    told: Vec<Notification>,
    quiet: u32,
    is_new: bool,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    /// The next piece of the stream; `None` when the server stops.
    async fn next(&mut self) -> Option<String> {
        loop {
            if !std::mem::take(&mut self.is_new) {
                tokio::time::sleep(LOOK).await;
                self.parts.control.readiness().ok()?;
            } else if self.told.is_empty() && current(&self.parts).is_empty() {
                // So that the subscriber sees at once that it is one.
                return Some(": nothing to tell\n\n".to_owned());
            }
            let now = current(&self.parts);
            let gone = self.told.iter().filter(|own| !now.contains(own));
            let gone = gone.map(|own| Notification { active: false, ..own.clone() });
            let new = now.iter().filter(|own| !self.told.contains(own)).cloned();
            let events: String = gone.chain(new).map(|own| event(&own)).collect();
            self.told = now;
            if !events.is_empty() {
                self.quiet = 0;
                return Some(events);
            }
            self.quiet += 1;
            if self.quiet >= QUIET_LOOKS_MAX {
                self.quiet = 0;
                return Some(": still here\n\n".to_owned());
            }
        }
    }
}

fn event(notification: &Notification) -> String {
    let text = serde_json::json!(notification);
    format!("data: {text}\n\n")
}
