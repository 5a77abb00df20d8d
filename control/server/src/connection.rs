//! From a listener to requests: how many connections, for how long, and how they end.
//!
//! What is not HTTP, or not in time, ends with hyper's own 4xx or a close; it never reaches the planner.

use crate::Limits;
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Most headers of a request. SDKs send about a dozen.
const MAX_HEADERS: usize = 100;
/// Room for a request's head, and so its longest: a GET carries its form there.
const HEAD_BYTES: usize = 256 << 10;
/// Pause after a failed accept: what it lacks (descriptors, memory) needs time to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `stop`, then lets the requests in hand finish.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: &Limits, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_ended) = connections.join_next() => continue,
            () = &mut stop => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let connection = connection(stream, router.clone(), limits.head_wait, stopped.clone());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(stopping);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.stop_wait, finished).await.is_err() {
        tracing::warn!("stopped with requests still in hand");
    }
}

/// The next connection and its place among the limited number; `None` if it could not be had.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _peer)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, router: Router, head_wait: Duration, mut stopped: watch::Receiver<()>) {
    // A reply is one write, and its reader waits for it.
    let no_delay = stream.set_nodelay(true);
    // Ends a connection whose peer takes nothing in, as header_read_timeout ends one that sends nothing.
    let unread_ms = u32::try_from(head_wait.as_millis()).unwrap_or(u32::MAX);
    let unread = rustix::net::sockopt::set_tcp_user_timeout(&stream, unread_ms);
    if let (Err(error), _) | (_, Err(error)) = (no_delay, unread.map_err(std::io::Error::from)) {
        tracing::debug!(%error, "the peer is gone already");
        return;
    }
    let service = service_fn(move |request| router.clone().oneshot(request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head_wait);
    builder.max_headers(MAX_HEADERS).max_buf_size(HEAD_BYTES).half_close(true);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended in error");
    }
}
