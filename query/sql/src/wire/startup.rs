//! Greeting and password of one connection.
//!
//! Place in the flow: first message → **`Startup`** → ready for statements, registered for cancel
//! requests.
//!
//! The password comes as it is: without TLS it can be read on the way. Where there are certificates,
//! who comes from another machine is asked for it on an encrypted connection only; where there are
//! none, the address should be a loopback or inner one.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{Sink, SinkExt};
use pgwire::api::auth::{
    DefaultServerParameterProvider, LoginInfo, StartupHandler, finish_authentication,
    protocol_negotiation, save_startup_parameters_to_metadata,
};
use pgwire::api::{
    ClientInfo, PgWireConnectionState, PidSecretKeyGenerator, RandomPidSecretKeyGenerator,
};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::startup::Authentication;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::Notify;

use super::cancel::Registered;
use super::{Passwords, Shared};
use crate::functions::SERVER_VERSION;

/// Lets one connection in.
pub struct Startup {
    shared: Arc<Shared>,
    from: IpAddr,
    /// Whether a password could be read on the way though it need not.
    is_too_open: bool,
    told: Arc<Notify>,
    registered: Mutex<Option<Registered>>,
}

impl Startup {
    /// For one connection.
    pub fn new(shared: &Arc<Shared>, from: IpAddr, is_too_open: bool) -> Startup {
        let shared = Arc::clone(shared);
        Startup { shared, from, is_too_open, told: Arc::default(), registered: Mutex::default() }
    }

    /// Told when a cancel request has come for this connection.
    pub fn told(&self) -> Arc<Notify> {
        Arc::clone(&self.told)
    }

    async fn let_in<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (pid, key) = self.shared.keys.generate(client);
        client.set_pid_and_secret_key(pid, key.clone());
        let registered = self.shared.cancels.register((pid, key), self.told());
        *self.registered.lock().unwrap_or_else(PoisonError::into_inner) = Some(registered);
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version = format!("{SERVER_VERSION} (Belfry)");
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        finish_authentication(client, &parameters).await
    }

    async fn check(&self, passwords: &dyn Passwords, user: &str, password: &str) -> bool {
        passwords.check(user, password, self.from).await
    }
}

/// Numbers and secrets of connections.
pub type Keys = RandomPidSecretKeyGenerator;

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(ref startup) => {
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                if self.is_too_open {
                    let text = "this server wants an encrypted connection: sslmode=require";
                    let (fatal, code) = ("FATAL".to_owned(), "28000".to_owned());
                    let error = ErrorInfo::new(fatal, code, text.to_owned());
                    return Err(PgWireError::UserError(Box::new(error)));
                }
                // Users may have been removed since the address was bound.
                if self.shared.settings.is_open() {
                    if !self.from.is_loopback() {
                        return Err(PgWireError::InvalidPassword(String::new()));
                    }
                    return self.let_in(client).await;
                }
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let ask = Authentication::CleartextPassword;
                client.send(PgWireBackendMessage::Authentication(ask)).await?;
                Ok(())
            }
            PgWireFrontendMessage::PasswordMessageFamily(password) => {
                let password = password.into_password()?;
                let user = LoginInfo::from_client_info(client).user().unwrap_or("").to_owned();
                // Without a question before it there was no greeting either.
                let Some(passwords) = &self.shared.settings.passwords else {
                    return Err(PgWireError::InvalidPassword(user));
                };
                let is_asked =
                    matches!(client.state(), PgWireConnectionState::AuthenticationInProgress);
                if is_asked && self.check(passwords.as_ref(), &user, &password.password).await {
                    return self.let_in(client).await;
                }
                Err(PgWireError::InvalidPassword(user))
            }
            // Anything else before the password is no Postgres client.
            _ => Err(PgWireError::InvalidPassword(String::new())),
        }
    }
}
