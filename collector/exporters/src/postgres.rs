//! PostgreSQL 12 to 18 under postgres_exporter's names.
//!
//! Place in the flow: `config` → [`PostgresExporter`] → one kept connection → rows → families.
//!
//! A server that is down is an answer: `pg_up 0` with the exporter's own families. One query that
//! is refused, or fails, shows as `pg_scrape_collector_success 0` and empties nothing else. The
//! role needs `pg_monitor`, never more; the session is read-only with a statement time-out.
//!
//! Not here: other databases of the cluster (table statistics are those of the connected one; add
//! an entry per database), texts of statements, TLS.

mod map;
mod queries;
mod rows;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use model::{BoxFuture, Exporter, Family};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::config::PostgresConfig;
use crate::families::Families;
use queries::{QUERIES, Query};
use session::{Session, SessionError};

/// Watches one PostgreSQL server.
pub struct PostgresExporter {
    config: Arc<PostgresConfig>,
    session: Mutex<Option<Session>>,
    scrapes: AtomicU64,
    was_up: AtomicBool,
}

impl PostgresExporter {
    /// Sets it up; the first `collect` connects.
    pub fn new(config: PostgresConfig) -> PostgresExporter {
        PostgresExporter {
            config: Arc::new(config),
            session: Mutex::default(),
            scrapes: AtomicU64::new(0),
            was_up: AtomicBool::new(true),
        }
    }

    async fn read(&self) -> Vec<Family> {
        let started = Instant::now();
        // A tenth is left to answer "down" before the caller gives up on us.
        let share = Duration::from_millis(self.config.pace.timeout_ms) * 9 / 10;
        let deadline = started + share;
        let mut families = Families::new();
        let outcome = self.read_server(deadline, &mut families).await;
        let up = outcome.is_ok();
        match &outcome {
            Err(error) if self.was_up.swap(false, Ordering::Relaxed) => {
                tracing::warn!(server = self.config.name, %error, "PostgreSQL does not answer");
            }
            Err(_) => {}
            Ok(_) => self.was_up.store(true, Ordering::Relaxed),
        }
        let failed = outcome.unwrap_or(1);
        let scrapes = self.scrapes.fetch_add(1, Ordering::Relaxed) + 1;
        let flag = |flag: bool| f64::from(u8::from(flag));
        families.gauge("pg_up", "Whether the server answered.", &[], flag(up));
        let name = "pg_exporter_last_scrape_error";
        families.gauge(name, "Whether anything failed in the last scrape.", &[], flag(failed > 0));
        let name = "pg_exporter_last_scrape_duration_seconds";
        let help = "How long the last scrape took.";
        families.gauge(name, help, &[], started.elapsed().as_secs_f64());
        families.counter("pg_exporter_scrapes_total", "Scrapes so far.", &[], scrapes as f64);
        families.into_list()
    }

    /// Runs all queries and returns how many failed.
    async fn read_server(
        &self,
        deadline: Instant,
        families: &mut Families,
    ) -> Result<usize, SessionError> {
        let mut kept = timeout_at(deadline, self.session.lock()).await.map_err(session::late)?;
        // Taken out: when the caller drops us in the middle, a half-read session is not used again.
        let (mut session, server) = self.open(kept.take(), deadline).await?;
        map::server(&server, families);
        let mut failed = 0;
        let mut usable = true;
        for query in QUERIES.iter().filter(|query| query.fits(server.version)) {
            let started = Instant::now();
            let answer = match usable {
                true => run(&mut session, query, deadline, families).await,
                false => Err(SessionError::TimedOut),
            };
            if let Err(error) = &answer {
                tracing::debug!(collector = query.collector, %error, "a query failed");
                usable &= matches!(error, SessionError::Refused(_));
                failed += 1;
            }
            map::outcome(query.collector, started.elapsed(), answer.is_ok(), families);
        }
        if usable {
            *kept = Some(session);
        }
        Ok(failed)
    }

    /// The kept session if it still answers, else a new one.
    async fn open(
        &self,
        kept: Option<Session>,
        deadline: Instant,
    ) -> Result<(Session, session::Server), SessionError> {
        if let Some(mut session) = kept
            && let Ok(server) = session.server(deadline).await
        {
            return Ok((session, server));
        }
        let mut session = Session::connect(&self.config, deadline).await?;
        let server = session.server(deadline).await?;
        Ok((session, server))
    }
}

async fn run(
    session: &mut Session,
    query: &Query,
    deadline: Instant,
    families: &mut Families,
) -> Result<(), SessionError> {
    let rows = session.query(query.sql, deadline).await?;
    map::rows(query, &rows, families).map_err(SessionError::Refused)
}

impl Exporter for PostgresExporter {
    fn collect(&self) -> BoxFuture<'_, Result<Vec<Family>, String>> {
        Box::pin(async { Ok(self.read().await) })
    }
}

#[cfg(test)]
mod tests;
