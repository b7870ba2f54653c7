//! Accepts connections: who is behind each, how many at once, and how they end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use mains_types::Peer;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::App;
use crate::access::Door;
use crate::errors::ApiError;
use crate::identity::peer_of;
use crate::rooms::Rooms;
use crate::router::router;
use crate::stall::Stall;

/// Open connections over all users: each costs two descriptors at most (`LimitNOFILE` is far above) and some 100 KiB.
pub const MAX_CONNECTIONS: usize = 1_024;

/// Open connections of one user, so that one program cannot shut out the others. A pool of 64 streams fits many times.
pub const MAX_CONNECTIONS_PER_UID: usize = 512;

/// How long the head of a request may take, and how long a kept connection may stay idle. Clients' pools drop idle
/// connections after 5 to 60 s themselves.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// Bytes of a request's head, checked between reads so that a little more may pass, and of what is buffered of a body.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Fields of a request's head. `OpenAI`'s clients send some 20.
const MAX_HEADERS: usize = 100;

/// How long to wait after a failed accept: the usual reason is that descriptors ran out, and trying at once spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves one socket until [`App::stop`], then lets open connections finish their requests for `bound`.
pub async fn serve(app: Arc<App>, listener: UnixListener, door: Door, bound: Duration) {
    let router = router(&app, door);
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let rooms = Rooms::new(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_UID);
    while let Some((stream, peer)) = next(&listener, &app.stopping).await {
        let Some(room) = rooms.take(peer.uid) else {
            app.counters.refused_connections.inc();
            turn_away(&stream);
            continue;
        };
        let connection = builder
            .serve_connection(TokioIo::new(Stall::new(stream)), service(router.clone(), peer))
            .into_owned();
        let connection = graceful.watch(connection);
        let connections = app.counters.connections.clone();
        connections.inc();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection broke off");
            }
            connections.dec();
            drop(room);
        });
    }
    drop(listener);
    if tokio::time::timeout(bound, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            bound_s = bound.as_secs(),
            "connections were still open and are cut off"
        );
    }
}

/// The next connection with its peer; `None` when it is time to stop.
async fn next(listener: &UnixListener, stop: &CancellationToken) -> Option<(UnixStream, Peer)> {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted.and_then(|(stream, _)| peer_of(&stream).map(|peer| (stream, peer))) {
            Ok(connection) => return Some(connection),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
}

/// The router, with the peer in every request.
fn service(
    router: Router,
    peer: Peer,
) -> TowerToHyperService<
    impl tower::Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone,
> {
    TowerToHyperService::new(tower::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request.map(Body::new))
    }))
}

/// Says why, without a task and without waiting: the answer fits into an empty socket buffer.
fn turn_away(stream: &UnixStream) {
    let error = ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_many_connections",
        format!(
            "too many connections: the most are {MAX_CONNECTIONS_PER_UID} of one user and {MAX_CONNECTIONS} in all; \
             use one client with a pool and close what is idle"
        ),
    );
    let body = serde_json::to_string(&error.body).expect("an error body has string keys and no numbers");
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: \
         close\r\n\r\n{body}",
        body.len()
    );
    if let Err(error) = stream.try_write(answer.as_bytes()) {
        tracing::debug!(%error, "a refused connection was not told why");
    }
}
