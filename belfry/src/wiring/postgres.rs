//! The Postgres wire: bound while the rooms open, served while they run.
//!
//! Place in the flow: the configuration's `sql.postgres` → **`Postgres`** → `sql::wire`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use dashboards::access::{Access, Role};
use model::BoxFuture;
use sql::wire::{Encryption, Passwords, Running, Server, Settings, TlsAcceptor};

use crate::config::Sql;

/// The wire, if it is configured.
#[derive(Default)]
pub struct Postgres {
    bound: Mutex<Option<Server>>,
    running: Mutex<Option<Running>>,
}

impl Postgres {
    /// Binds the address; nothing without one, or without queries in this process.
    pub async fn bind(
        config: &Sql,
        is_queried: bool,
        access: &Arc<Access>,
    ) -> Result<Postgres, String> {
        let Some(address) = config.postgres_listen.as_ref().filter(|_| is_queried) else {
            return Ok(Postgres::default());
        };
        let settings = Settings {
            connections_max: config.postgres_connections_max,
            passwords: Some(Arc::new(Readers(Arc::clone(access)))),
            encryption: Some(Arc::new(Certificates(Arc::clone(access)))),
        };
        let server = Server::bind(address, settings).await.map_err(|error| error.to_string())?;
        tracing::info!(address = %server.address(), "Postgres wire");
        Ok(Postgres { bound: Mutex::new(Some(server)), running: Mutex::default() })
    }

    /// Begins to serve.
    pub fn start(&self, session: &Arc<sql::Session>) {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).take();
        let running = bound.map(|server| server.start(Arc::clone(session)));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    /// Ends all connections.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.stop().await;
        }
    }
}

/// The users of the web server, as far as they may read everything: SQL knows no label scopes.
struct Readers(Arc<Access>);

impl Passwords for Readers {
    fn check<'a>(&'a self, user: &'a str, password: &'a str, from: IpAddr) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let identity = self.0.check_password(user, password, from).await;
            identity.is_some_and(|own| own.roles().has(Role::Read) && own.scope().is_everything())
        })
    }

    fn is_open(&self) -> bool {
        self.0.is_open()
    }
}

/// What the wire agrees to speak.
const PROTOCOL: &[u8] = b"postgresql";

/// The certificates of the web server, as they are when a connection comes.
struct Certificates(Arc<Access>);

impl Encryption for Certificates {
    fn acceptor(&self) -> Option<TlsAcceptor> {
        let mut config = self.0.encryption()?.config.as_ref().clone();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Some(TlsAcceptor::from(Arc::new(config)))
    }
}
