//! Messages of one connection: in, through the handlers, out, until it ends.
//!
//! Place in the flow: accepted socket → greeting, password (`startup`) → statements (`handler`).
//!
//! Invariants: a message has a limit and the greeting a deadline; a statement ends when its client
//! goes away, asks for it, or the server stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use pgwire::api::{ClientInfo, NoopHandler, PgWireConnectionState};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::PgWireFrontendMessage;
use pgwire::tokio::server::{
    MaybeTls, PgWireMessageServerCodec, negotiate_tls, process_error, process_message,
};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::handler::{Handler, Prepared};
use super::startup::Startup;

/// From the connection to the password.
const STARTUP: Duration = Duration::from_secs(10);
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// Longest message; statements are far shorter.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How often a client that has more to say is looked at for being gone.
const GONE_EVERY: Duration = Duration::from_millis(250);

type Socket = Framed<MaybeTls, PgWireMessageServerCodec<Prepared>>;

/// Serves a connection until it ends.
pub async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let outcome = tokio::select! {
        outcome = messages(socket, peer, &shared, &stop) => outcome,
        () = stop.cancelled() => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::debug!("Postgres connection from {peer}: {error}");
    }
}

async fn messages(
    socket: TcpStream,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    // A second handle on the same socket: tells that the client is gone while a statement runs.
    let socket = socket.into_std()?;
    let watched = TcpStream::from_std(socket.try_clone()?)?;
    let socket = TcpStream::from_std(socket)?;
    let acceptor = shared.settings.acceptor();
    let is_guarded = acceptor.is_some();
    let negotiating = negotiate_tls(socket, acceptor);
    let Ok(negotiated) = tokio::time::timeout(STARTUP, negotiating).await else { return Ok(()) };
    let Some(mut socket): Option<Socket> = negotiated? else { return Ok(()) };
    let is_too_open = is_guarded && !socket.is_secure() && !peer.ip().is_loopback();
    let startup = Arc::new(Startup::new(shared, peer.ip(), is_too_open));
    let handler = Arc::new(Handler::new(Arc::clone(shared)));
    let (copy, cancels) = (Arc::new(NoopHandler), Arc::clone(&shared.cancels));
    let deadline = tokio::time::Instant::now() + STARTUP;
    loop {
        let is_starting = matches!(
            socket.state(),
            PgWireConnectionState::AwaitingStartup
                | PgWireConnectionState::AuthenticationInProgress
        );
        let until = if is_starting { deadline } else { tokio::time::Instant::now() + IDLE };
        let next = tokio::time::timeout_at(until, next_message(&mut socket)).await;
        let Ok(Some(message)) = next else { return Ok(()) };
        let message = match message {
            Ok(PgWireFrontendMessage::Terminate(_)) => return Ok(()),
            Ok(message) => message,
            Err(error) => return process_error(&mut socket, error, false).await,
        };
        let is_extended = message.is_extended_query();
        let (startup, simple, extended) =
            (Arc::clone(&startup), Arc::clone(&handler), Arc::clone(&handler));
        let told = startup.told();
        let processing = process_message(
            message,
            &mut socket,
            startup,
            simple,
            extended,
            Arc::clone(&copy),
            Arc::clone(&cancels),
        );
        // What is not chosen is dropped: a statement's rows go with it, and so the statement. What
        // can be done at once is done first: who asks for a cancel hangs up without waiting.
        let outcome = tokio::select! {
            biased;
            outcome = processing => outcome,
            () = told.notified() => Err(PgWireError::QueryCanceled),
            () = gone(&watched) => return Ok(()),
            () = stop.cancelled() => Err(stopping()),
        };
        if let Err(error) = outcome {
            process_error(&mut socket, error, is_extended).await?;
        }
    }
}

fn stopping() -> PgWireError {
    let text = "Belfry is stopping".to_owned();
    PgWireError::UserError(Box::new(ErrorInfo::new("FATAL".to_owned(), "57P01".to_owned(), text)))
}

/// The next whole message, if it is not too long.
async fn next_message(socket: &mut Socket) -> Option<Result<PgWireFrontendMessage, PgWireError>> {
    std::future::poll_fn(|context| match socket.poll_next_unpin(context) {
        Poll::Pending if socket.read_buffer().len() > MESSAGE_BYTES_MAX => {
            let text = format!("a message is longer than {MESSAGE_BYTES_MAX} bytes");
            let error = ErrorInfo::new("FATAL".to_owned(), "08P01".to_owned(), text);
            Poll::Ready(Some(Err(PgWireError::UserError(Box::new(error)))))
        }
        other => other,
    })
    .await
}

/// Ready when the client has closed its side.
async fn gone(socket: &TcpStream) {
    loop {
        match socket.ready(Interest::READABLE).await {
            Ok(ready) if !ready.is_read_closed() => tokio::time::sleep(GONE_EVERY).await,
            _ => return,
        }
    }
}
