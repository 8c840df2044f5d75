//! Redis and Valkey under redis_exporter's names.
//!
//! Place in the flow: `config` → [`RedisExporter`] → one pipeline of commands → replies → families.
//!
//! A server that is down, refuses the password or says nothing is an answer: `redis_up 0`. Commands
//! other than INFO may be forbidden or renamed; what they would have told is then left out.
//!
//! Not here: keys, streams, Sentinel, TLS.

mod client;
mod map;
mod names;
mod resp;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use model::{BoxFuture, Exporter, Family};
use tokio::time::{Instant, timeout_at};

use crate::config::RedisConfig;
use crate::families::Families;
use client::Replies;

/// Watches one Redis server.
pub struct RedisExporter {
    config: RedisConfig,
    scrapes: AtomicU64,
    was_up: AtomicBool,
}

impl RedisExporter {
    /// Sets it up; the first `collect` connects.
    pub fn new(config: RedisConfig) -> RedisExporter {
        RedisExporter { config, scrapes: AtomicU64::new(0), was_up: AtomicBool::new(true) }
    }

    async fn read(&self) -> Vec<Family> {
        let started = Instant::now();
        // A tenth is left to answer "down" before the caller gives up on us.
        let share = Duration::from_millis(self.config.pace.timeout_ms) * 9 / 10;
        let read = timeout_at(started + share, client::read(&self.config)).await;
        let outcome = read.unwrap_or_else(|_| Err("no answer before the deadline".to_owned()));
        let mut families = Families::new();
        let outcome = outcome.and_then(|replies: Replies| map::replies(&replies, &mut families));
        match &outcome {
            Err(message) if self.was_up.swap(false, Ordering::Relaxed) => {
                tracing::warn!(server = self.config.name, message, "Redis does not answer");
            }
            Err(_) => {}
            Ok(()) => self.was_up.store(true, Ordering::Relaxed),
        }
        let scrapes = self.scrapes.fetch_add(1, Ordering::Relaxed) + 1;
        map_self(&outcome, started.elapsed(), scrapes, &mut families);
        families.into_list()
    }
}

fn map_self(outcome: &Result<(), String>, took: Duration, scrapes: u64, families: &mut Families) {
    let flag = |flag: bool| f64::from(u8::from(flag));
    families.gauge("redis_up", "Whether the server answered.", &[], flag(outcome.is_ok()));
    let name = "redis_exporter_last_scrape_error";
    let help = "Whether the last scrape failed, and why.";
    let error = outcome.as_ref().err().map_or("", String::as_str);
    families.gauge(name, help, &[("err", error)], flag(outcome.is_err()));
    let name = "redis_exporter_last_scrape_duration_seconds";
    families.gauge(name, "How long the last scrape took.", &[], took.as_secs_f64());
    families.counter("redis_exporter_scrapes_total", "Scrapes so far.", &[], scrapes as f64);
}

impl Exporter for RedisExporter {
    fn collect(&self) -> BoxFuture<'_, Result<Vec<Family>, String>> {
        Box::pin(async { Ok(self.read().await) })
    }
}

#[cfg(test)]
mod tests;
