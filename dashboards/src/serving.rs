//! Connections: accepted, encrypted, served, ended.
//!
//! Place in the flow: a bound listener → **`serve`** → handshake → HTTP → the router, which finds
//! who is connected in each request's extensions.
//!
//! Accepting never waits for a client: handshake and requests of a connection are a task of their
//! own. Connections, handshakes under way, headers and the wait for the next request all have limits.
//! Each connection takes the certificate in force when it comes.
//!
//! Invariants: `serve` owns every task and returns when the last has ended or the drain is over.
//!
//! Not here: routes (server), certificates and their reload (access).

/// Wake-ups of a connection by itself.
mod steady;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::access::Access;
use crate::access::door::Peer;
use crate::access::limits::Limits;
use crate::access::whole::count;
use steady::Steady;

/// Longest handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// Handshakes under way; more wait, each at most as long as one may take.
const HANDSHAKES_MAX: usize = 256;
/// How often files are looked at.
const REFRESH: Duration = Duration::from_secs(2);
/// After an accept that failed for want of descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Requests of one HTTP/2 connection at once.
const STREAMS_MAX: u32 = 128;

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    router: Router,
    access: Arc<Access>,
    limits: Arc<Limits>,
    handshakes: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

/// Serves until `stop` is ready, then lets open requests end for at most `drain`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    access: Arc<Access>,
    stop: impl Future<Output = ()>,
    drain: Duration,
) {
    let limits = Arc::new(access.rules().limits.clone());
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let (told, stopping) = watch::channel(false);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let shared = Shared { router, access: Arc::clone(&access), limits, handshakes, stopping };
    let mut tasks = JoinSet::new();
    let mut stop = pin!(stop);
    let mut refresh = tokio::time::interval(REFRESH);
    refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => {
                let Some((stream, address, place)) = accepted else { continue };
                count(&access.counters.connections_accepted);
                tasks.spawn(connection(shared.clone(), stream, address, place));
            }
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            _ = refresh.tick() => {
                let access = Arc::clone(&access);
                tasks.spawn(async move {
                    // It reads files; nothing waits for it but this task.
                    let _ = tokio::task::spawn_blocking(move || access.refresh()).await;
                });
            }
        }
    }
    drop(listener);
    // Each connection hears it; there may be none.
    let _ = told.send(true);
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, ended).await.is_err() {
        tasks.shutdown().await;
    }
}

/// The next connection with its place; `None` when accepting failed and is to be tried again.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the places are never closed");
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address, place)),
        Err(error) => {
            let is_the_clients = matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
            );
            if !is_the_clients {
                tracing::error!("accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

/// Counts a connection as long as it lives, also when its task is ended.
struct Counted(Arc<Access>);

impl Counted {
    fn new(access: &Arc<Access>) -> Counted {
        count(&access.counters.connections);
        Counted(Arc::clone(access))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(
    shared: Shared,
    stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    let _place = place;
    let _counted = Counted::new(&shared.access);
    // A refusal only makes the last piece of an answer wait a little.
    let _ = stream.set_nodelay(true);
    let Some(encryption) = shared.access.encryption() else {
        let peer = Peer { address, is_encrypted: false };
        return speak(&shared, stream, peer, false).await;
    };
    let handshakes = Arc::clone(&shared.handshakes);
    let handshake = async {
        let _one = handshakes.acquire().await.ok()?;
        TlsAcceptor::from(encryption.config).accept(stream).await.ok()
    };
    match tokio::time::timeout(HANDSHAKE_WAIT, handshake).await {
        Ok(Some(stream)) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            speak(&shared, stream, Peer { address, is_encrypted: true }, is_http2).await;
        }
        // Whatever a client does wrong here is its own affair.
        Ok(None) | Err(_) => count(&shared.access.counters.handshakes_failed),
    }
}

/// HTTP over an open connection until it ends, or until the stop and the end of its last request.
async fn speak<I>(shared: &Shared, stream: I, peer: Peer, is_http2: bool)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = builder(&shared.limits, is_http2);
    let service = Answering { inner: TowerToHyperService::new(shared.router.clone()), peer };
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopping = shared.stopping.clone();
    let steady = Steady::new();
    tokio::select! {
        // What breaks a connection concerns its client alone.
        _ = poll_fn(|cx| steady.poll(cx, |cx| serving.as_mut().poll(cx))) => return,
        () = until_told(&mut stopping) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

async fn until_told(stopping: &mut watch::Receiver<bool>) {
    // A sender that has gone means the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn builder(limits: &Limits, is_http2: bool) -> Builder<TokioExecutor> {
    let builder = Builder::new(TokioExecutor::new());
    let mut builder = if is_http2 { builder.http2_only() } else { builder.http1_only() };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

/// The router, told who is connected.
#[derive(Clone)]
struct Answering {
    inner: TowerToHyperService<Router>,
    peer: Peer,
}

impl hyper::service::Service<Request<Incoming>> for Answering {
    type Response = Response;
    type Error = Infallible;
    type Future =
        <TowerToHyperService<Router> as hyper::service::Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}
