//! Where people and programs watch the process, and where operators act on it: stats page, JSON, metrics, health
//! answers, actions.
//!
//! The same router answers on the stats listener and on the admin socket. Who connects to the socket may act; over the
//! stats listener that takes a credential ([`Door`]). All of it runs on the control thread, never on a worker, and is
//! bounded: connections, request heads and bodies, waits.

mod action;
mod caller;
mod changes;
mod chart;
mod compress;
mod connection;
mod crowd;
mod detail;
mod door;
mod events;
pub(crate) mod figures;
pub mod haproxy;
mod headline;
mod json;
mod leaving;
mod live;
mod login;
mod names;
mod origin;
mod page;
mod pages;
pub mod password;
mod past;
mod peers;
mod query;
mod rates;
mod refusal;
mod requests;
mod route;
mod router;
pub mod runtime;
mod series;
mod sessions;
mod shared;
mod sight;
mod site;
mod tally;
mod unread;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};

pub use self::action::{Action, Changed, Denied, Done, NewCheck, NewServer, Outcome, Setting, Target, Tuning};
use self::caller::Caller;
use self::crowd::Crowd;
pub use self::door::Door;
pub use self::leaving::{Leave, Leaving, leaving};
pub use self::names::unknown;
pub use self::pages::Readers;
pub use self::peers::{bounded, read_answer};
pub use self::site::Site;
use crate::event::{Actor, Evidence, Fitness, Names, SessionSnapshot, Snapshot, SourcesSnapshot, TrackedSource};
use crate::model::{BackendName, Config, ServerName, TableName};
use crate::observe::history::History;
use crate::observe::series::Series;

/// How long accepting pauses when the process has no descriptor or memory left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// What the routes show and do. The app hands it in; whoever calls a view must not be kept waiting by it.
pub struct Views {
    pub snapshot: Box<dyn Fn() -> Snapshot + Send + Sync>,
    /// Whether the process itself can serve: `/livez`.
    pub live: Box<dyn Fn() -> FitnessFuture + Send + Sync>,
    /// Whether clients should be sent here: `/readyz`.
    pub ready: Box<dyn Fn() -> FitnessFuture + Send + Sync>,
    /// All sessions that are open.
    pub sessions: Box<dyn Fn() -> Vec<SessionSnapshot> + Send + Sync>,
    pub names: Box<dyn Fn() -> Names + Send + Sync>,
    /// The configuration in force.
    pub config: Box<dyn Fn() -> Arc<Config> + Send + Sync>,
    pub history: Arc<History>,
    /// Who may act over the stats listener.
    pub door: Arc<Door>,
    /// What readers of pages share.
    pub readers: Readers,
    /// Does what an operator wants.
    pub act: Box<dyn Fn(Action, Actor) -> ActionFuture + Send + Sync>,
    /// How everything went for the last hour and the last day.
    pub series: Arc<Series>,
    /// What the last probes of a server saw, the oldest first.
    pub probes: ProbesView,
    /// Who holds sessions at which servers, of a backend that spreads each source over all of them.
    pub sources: SourcesView,
    /// How many clients are connected to the process, to its pages, too.
    pub connections: Box<dyn Fn() -> u32 + Send + Sync>,
    /// What a table knows of sources.
    pub tracked: TrackedView,
}

/// What the last probes of one server saw.
pub type ProbesView = Box<dyn Fn(&BackendName, &ServerName) -> Vec<Evidence> + Send + Sync>;

/// Who holds sessions at the servers of one backend.
pub type SourcesView = Box<dyn Fn(&BackendName) -> Option<SourcesSnapshot> + Send + Sync>;

/// The sources of a table of which something is true.
pub type TrackedView = Box<dyn Fn(&TableName, &dyn Fn(&TrackedSource) -> bool) -> Vec<TrackedSource> + Send + Sync>;

/// An answer that asks the workers first. It is given two seconds.
pub type FitnessFuture = Pin<Box<dyn Future<Output = Fitness> + Send>>;

/// What becomes of an action.
pub type ActionFuture = Pin<Box<dyn Future<Output = Result<Done, Denied>> + Send>>;

/// Serves a listener of a site until it is told to leave; ends with its last connection.
pub async fn serve_tcp(listener: TcpListener, site: Arc<Site>, views: Arc<Views>, leaving: Leaving) {
    let name = listener.local_addr().map_or_else(|_| "stats listener".to_owned(), |address| address.to_string());
    let accept = |cx: &mut Context<'_>| {
        listener.poll_accept(cx).map_ok(|(stream, peer)| {
            let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            let local = stream.local_addr().ok().map(canonical);
            (stream, Caller::Remote { address: canonical(peer), local, secure: false })
        })
    };
    let open = accept_until_told(accept, &name, &site, views, leaving).await;
    drop(listener);
    open.ended().await;
}

/// Serves the admin socket until it is told to leave; ends with its last connection.
pub async fn serve_unix(listener: UnixListener, views: Arc<Views>, leaving: Leaving) {
    let accept = |cx: &mut Context<'_>| {
        let accepted = listener.poll_accept(cx);
        accepted.map(|accepted| {
            let (stream, _) = accepted?;
            let caller = local(&stream)?;
            Ok((stream, caller))
        })
    };
    let open = accept_until_told(accept, "admin socket", &Site::socket(), views, leaving).await;
    drop(listener);
    open.ended().await;
}

fn local(stream: &UnixStream) -> io::Result<Caller> {
    let peer = stream.peer_cred()?;
    Ok(Caller::Local { pid: peer.pid().and_then(|pid| u32::try_from(pid).ok()), uid: peer.uid() })
}

/// Never ends by itself: an error of one connection is that connection's, and want of descriptors passes. Gives the
/// connections that are open in the end.
async fn accept_until_told<S>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<(S, Caller)>>,
    name: &str,
    site: &Arc<Site>,
    views: Arc<Views>,
    mut leaving: Leaving,
) -> Crowd
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut open = Crowd::new(site.max_sessions);
    let mut pausing = false;
    loop {
        let accepted = tokio::select! {
            accepted = poll_fn(&mut accept) => accepted,
            () = leaving.told() => return open,
            () = open.one_less() => continue,
        };
        match accepted {
            Ok((stream, caller)) => {
                pausing = false;
                let (site, views, leaving) = (Arc::clone(site), Arc::clone(&views), leaving.clone());
                open.admit(|asked| connection::open(stream, caller, site, views, leaving, asked));
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
