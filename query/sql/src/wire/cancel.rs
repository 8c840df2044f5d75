//! Cancel requests: a client opens a second connection and names the first by number and secret.
//!
//! Place in the flow: `startup` registers a connection → a request on another one → the statement of
//! the first is dropped, which ends it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pgwire::api::cancel::CancelHandler;
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::SecretKey;
use tokio::sync::Notify;

/// A connection's secret, and who waits for the request.
type Waiting = (SecretKey, Arc<Notify>);

/// All connections by number.
#[derive(Default)]
pub struct Cancels {
    connections: Mutex<HashMap<i32, Waiting>>,
}

/// The place of one connection, which is freed when it is dropped.
pub struct Registered {
    cancels: Arc<Cancels>,
    pid: i32,
}

impl Cancels {
    /// Registers a connection.
    pub fn register(
        self: &Arc<Cancels>,
        (pid, key): (i32, SecretKey),
        told: Arc<Notify>,
    ) -> Registered {
        self.lock().insert(pid, (key, told));
        Registered { cancels: Arc::clone(self), pid }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, Waiting>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.cancels.lock().remove(&self.pid);
    }
}

#[async_trait]
impl CancelHandler for Cancels {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let connections = self.lock();
        let Some((key, told)) = connections.get(&request.pid) else { return };
        // Whoever waits is told; without a statement nobody does, and nothing happens.
        if bytes(key) == bytes(&request.secret_key) {
            told.notify_waiters();
        }
    }
}

/// Clients of the older protocol send four bytes, which are the same secret.
fn bytes(key: &SecretKey) -> Vec<u8> {
    match key {
        SecretKey::I32(key) => key.to_be_bytes().to_vec(),
        SecretKey::Bytes(key) => key.to_vec(),
    }
}
