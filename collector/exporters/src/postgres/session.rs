//! One connection to a PostgreSQL server, driven only while someone asks.
//!
//! Place in the flow: `config` → **[`Session`]** → rows.
//!
//! The connection's task is not spawned: it is polled beside each query, so there is nothing to
//! join and nothing runs between scrapes.
//!
//! Invariants: every wait has the scrape's deadline; the session is read-only and bounded by
//! `statement_timeout` on the server, so a query that we gave up on ends there too.
//!
//! Not here: which queries (`queries`).

use std::error::Error as _;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, NoTls, SimpleQueryMessage, Socket};

use crate::config::PostgresConfig;

use super::rows::Rows;

/// Longest wait for the connection itself.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for a lock: a table under ALTER must not hold a scrape.
const LOCK_TIMEOUT_MS: u64 = 1_000;
/// Most rows of one answer; every query has a LIMIT below it.
pub(super) const ROWS_MAX: usize = 20_000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The server or the way to it is gone. Connect again at the next scrape.
    #[error("{0}")]
    Gone(String),
    /// No answer before the deadline. Connect again at the next scrape.
    #[error("no answer before the deadline")]
    TimedOut,
    /// The server refused this one query. The session is still good.
    #[error("{0}")]
    Refused(String),
}

pub(super) fn late(_: tokio::time::error::Elapsed) -> SessionError {
    SessionError::TimedOut
}

/// What the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// Major version, such as 15.
    pub(super) version: u32,
    /// `server_version`, such as `15.20 (Debian 15.20-0+deb12u1)`.
    pub(super) short_version: String,
    /// What `version()` says.
    pub(super) long_version: String,
}

/// An open connection.
pub(super) struct Session {
    client: Client,
    connection: Connection<Socket, NoTlsStream>,
}

impl Session {
    pub(super) async fn connect(
        config: &PostgresConfig,
        deadline: Instant,
    ) -> Result<Session, SessionError> {
        let deadline = deadline.min(Instant::now() + CONNECT_TIMEOUT_MAX);
        let mut settings = tokio_postgres::Config::new();
        settings.host(&config.host).port(config.port).user(&config.user).dbname(&config.dbname);
        settings.application_name("belfry").ssl_mode(tokio_postgres::config::SslMode::Disable);
        if let Some(password) = config.password.read().map_err(SessionError::Gone)? {
            settings.password(password);
        }
        let connected = timeout_at(deadline, settings.connect(NoTls)).await.map_err(late)?;
        let (client, connection) = connected.map_err(describe)?;
        let mut session = Session { client, connection };
        let statement_timeout_ms = (config.pace.timeout_ms / 2).max(1);
        let setup = format!(
            "SET statement_timeout = {statement_timeout_ms}; \
             SET lock_timeout = {LOCK_TIMEOUT_MS}; \
             SET default_transaction_read_only = on; \
             SET DateStyle = ISO; SET extra_float_digits = 1"
        );
        session.query(&setup, deadline).await?;
        Ok(session)
    }

    /// Asks what the server is; also tells whether the session still works.
    pub(super) async fn server(&mut self, deadline: Instant) -> Result<Server, SessionError> {
        const SQL: &str = "SELECT current_setting('server_version_num') AS number, \
                           current_setting('server_version') AS short, version() AS long";
        let rows = self.query(SQL, deadline).await?;
        let row = rows.iter().next();
        let text = |column: &str| row.and_then(|row| row.text(column)).unwrap_or("").to_owned();
        let number: u32 = text("number")
            .parse()
            .map_err(|_| SessionError::Refused("server_version_num is not a number".to_owned()))?;
        Ok(Server {
            version: number / 10_000,
            short_version: text("short"),
            long_version: text("long"),
        })
    }

    /// Runs one query to its last row.
    pub(super) async fn query(
        &mut self,
        sql: &str,
        deadline: Instant,
    ) -> Result<Rows, SessionError> {
        let asked = self.client.simple_query(sql);
        let either = async {
            tokio::select! {
                biased;
                ended = &mut self.connection => Err(match ended {
                    Ok(()) => SessionError::Gone("the server closed the connection".to_owned()),
                    Err(error) => describe(error),
                }),
                answer = asked => answer.map_err(describe),
            }
        };
        let messages = timeout_at(deadline, either).await.map_err(late)??;
        rows(messages)
    }
}

fn rows(messages: Vec<SimpleQueryMessage>) -> Result<Rows, SessionError> {
    let mut rows = Rows::default();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                rows.columns = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                if rows.rows.len() == ROWS_MAX {
                    return Err(SessionError::Refused(format!("more than {ROWS_MAX} rows")));
                }
                let cells = (0..row.len()).map(|index| row.get(index).map(str::to_owned));
                rows.rows.push(cells.collect());
            }
            _ => {}
        }
    }
    Ok(rows)
}

/// The server's own words if there are any, else the chain of causes.
fn describe(error: tokio_postgres::Error) -> SessionError {
    let closed = error.is_closed();
    if let Some(refusal) = error.as_db_error() {
        let message = format!("{} (SQLSTATE {})", refusal.message(), refusal.code().code());
        // Class 57P: an operator's command or a crash ended the session.
        let gone = closed || refusal.code().code().starts_with("57P");
        return if gone { SessionError::Gone(message) } else { SessionError::Refused(message) };
    }
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message.push_str(": ");
        message.push_str(&inner.to_string());
        cause = inner.source();
    }
    SessionError::Gone(message)
}
