//! Where people and programs watch the process: stats page, JSON, metrics, health answers.
//!
//! The same router answers on the stats listener and on the admin socket; [`Rights`] say what a listener may ask
//! for. All of it runs on the control thread, never on a worker, and is bounded: connections, request heads, waits.

mod connection;
pub(crate) mod figures;
mod headline;
mod json;
mod page;
mod router;
mod shared;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use crate::event::{Fitness, Snapshot};

/// Connections that a listener serves at a time; more are accepted and closed.
pub const MAX_CONNECTIONS: usize = 64;

/// How long accepting pauses when the process has no descriptor or memory left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// What the routes show. The app hands it in; whoever calls a view must not be kept waiting by it.
pub struct Views {
    pub snapshot: Box<dyn Fn() -> Snapshot + Send + Sync>,
    /// Whether the process itself can serve: `/livez`.
    pub live: Box<dyn Fn() -> FitnessFuture + Send + Sync>,
    /// Whether clients should be sent here: `/readyz`.
    pub ready: Box<dyn Fn() -> FitnessFuture + Send + Sync>,
}

/// An answer that asks the workers first. It is given two seconds.
pub type FitnessFuture = Pin<Box<dyn Future<Output = Fitness> + Send>>;

/// What those who connect to a listener may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// To look.
    Read,
    /// To look and to act.
    Full,
}

/// Serves the stats listener until it is cancelled, which closes its connections.
pub async fn serve_tcp(listener: TcpListener, views: Arc<Views>) {
    let name = listener.local_addr().map_or_else(|_| "stats listener".to_owned(), |address| address.to_string());
    accept_forever(|cx| listener.poll_accept(cx).map_ok(|(stream, _)| stream), &name, Rights::Read, views).await;
}

/// Serves the admin socket until it is cancelled, which closes its connections.
pub async fn serve_unix(listener: UnixListener, views: Arc<Views>) {
    let accept = |cx: &mut Context<'_>| listener.poll_accept(cx).map_ok(|(stream, _)| stream);
    accept_forever(accept, "admin socket", Rights::Full, views).await;
}

/// Never ends by itself: an error of one connection is that connection's, and want of descriptors passes.
async fn accept_forever<S>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<S>>,
    name: &str,
    rights: Rights,
    views: Arc<Views>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut open = JoinSet::new();
    let mut pausing = false;
    loop {
        let accepted = tokio::select! {
            accepted = poll_fn(&mut accept) => accepted,
            Some(_ended) = open.join_next() => continue,
        };
        match accepted {
            Ok(stream) => {
                pausing = false;
                if open.len() < MAX_CONNECTIONS {
                    open.spawn(connection::serve(stream, rights, Arc::clone(&views)));
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !pausing {
                    tracing::warn!(listener = name, %error, "accepting pauses");
                }
                pausing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client left while it waited to be accepted (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
