//! The Postgres wire: psql, Grafana's PostgreSQL source and drivers ask the same tables.
//!
//! Place in the flow: a connection → `connection` (messages in and out) → `handler` (statements) →
//! [`Session`](crate::Session).
//!
//! Invariants: off unless started; connections are counted and every one is joined at the stop;
//! nothing is read from a client beyond a limit; who has no password gets no further than the
//! greeting; where there is encryption, no password crosses the network without; statements only read.
//!
//! Not here: who may have a password (the [`Passwords`] handed in), where to listen (belfry's
//! configuration).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use model::BoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::Session;

/// Cancel requests: they come on a connection of their own.
mod cancel;
/// Messages of one connection.
mod connection;
/// Statements of one connection.
mod handler;
/// Greeting and password.
mod startup;
/// Parameters in, rows out.
mod values;

pub use pgwire::tokio::TlsAcceptor;

/// How long one refusal may take.
const REFUSAL: Duration = Duration::from_millis(200);
/// How long connections may take to end at the stop.
const STOP: Duration = Duration::from_secs(5);

/// Checks who comes in.
pub trait Passwords: Send + Sync + 'static {
    /// Whether a user may read with this password. Should take as long for a user that does not
    /// exist.
    fn check<'a>(&'a self, user: &'a str, password: &'a str, from: IpAddr) -> BoxFuture<'a, bool>;

    /// Whether nobody has a password: then everybody on this machine may come in, and nobody else.
    fn is_open(&self) -> bool {
        false
    }
}

/// Encrypts connections.
pub trait Encryption: Send + Sync + 'static {
    /// For the next connection, with the certificate in force; `None`: there is none. What it agrees
    /// to speak must be `postgresql`.
    fn acceptor(&self) -> Option<TlsAcceptor>;
}

/// What connections may do.
#[derive(Clone)]
pub struct Settings {
    /// Most connections at once.
    pub connections_max: usize,
    /// Who may come in; `None`: everybody on this machine.
    pub passwords: Option<Arc<dyn Passwords>>,
    /// Encryption; who comes from elsewhere must use it then.
    pub encryption: Option<Arc<dyn Encryption>>,
}

impl Settings {
    /// Whether nobody has a password.
    fn is_open(&self) -> bool {
        self.passwords.as_ref().is_none_or(|passwords| passwords.is_open())
    }

    /// Encryption for the next connection.
    fn acceptor(&self) -> Option<TlsAcceptor> {
        self.encryption.as_ref().and_then(|own| own.acceptor())
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { connections_max: 50, passwords: None, encryption: None }
    }
}

/// Why the wire can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The address can't be bound.
    #[error(
        "listen on {address} for the Postgres wire: {source}; choose another sql.postgres.listen"
    )]
    Bind {
        /// What was asked for.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Everybody on the network would come in.
    #[error(
        "the Postgres wire would listen on {address} without passwords: configure users \
         (web.config_file), or listen on a loopback address such as 127.0.0.1:5433"
    )]
    Open {
        /// Where.
        address: String,
    },
}

/// A bound, not yet serving server.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    settings: Settings,
}

/// What all connections share.
struct Shared {
    session: Arc<Session>,
    settings: Settings,
    parser: PostgresCompatibilityParser,
    cancels: Arc<cancel::Cancels>,
    keys: startup::Keys,
}

impl Server {
    /// Binds the address; refuses one that is open to all.
    pub async fn bind(address: &str, settings: Settings) -> Result<Server, WireError> {
        let failed = |source| WireError::Bind { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        if settings.is_open() && !local.ip().is_loopback() {
            return Err(WireError::Open { address: address.to_owned() });
        }
        Ok(Server { listener, address: local, settings })
    }

    /// The bound address, with the port the system chose for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to serve.
    pub fn start(self, session: Arc<Session>) -> Running {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            session,
            settings: self.settings,
            parser: PostgresCompatibilityParser::new(),
            cancels: Arc::default(),
            keys: startup::Keys::default(),
        });
        let serving = tokio::spawn(serve(self.listener, shared, stop.clone()));
        Running { stop, serving }
    }
}

/// A serving server.
pub struct Running {
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Running {
    /// Ends all connections and waits for them.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!("Postgres wire: {error}");
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => log_end(ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) if connections.len() < shared.settings.connections_max => {
                    let (shared, stop) = (Arc::clone(&shared), stop.clone());
                    connections.spawn(connection::serve(socket, peer, shared, stop));
                }
                Ok((socket, _)) => refuse(socket).await,
                Err(error) => {
                    tracing::warn!("accept a Postgres connection: {error}");
                    // Out of file handles: others must end first.
                    tokio::time::sleep(REFUSAL).await;
                }
            },
        }
    }
    let ended = async {
        while let Some(ended) = connections.join_next().await {
            log_end(ended);
        }
    };
    if tokio::time::timeout(STOP, ended).await.is_err() {
        connections.shutdown().await;
    }
}

fn log_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a Postgres connection ended early: {error}");
    }
}

/// Says that there are too many, without reading anything.
async fn refuse(mut socket: TcpStream) {
    let body = b"SFATAL\0C53300\0Mtoo many connections; see sql.postgres.connections_max\0\0";
    let length = u32::try_from(body.len() + 4).expect("a short text");
    let message = [b"E".as_slice(), &length.to_be_bytes(), body].concat();
    // The client may be gone already.
    let _ = tokio::time::timeout(REFUSAL, socket.write_all(&message)).await;
}
