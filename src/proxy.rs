//! The life of a session, from accept to its log line.
//!
//! ```text
//! client ──accept──▶ Accepted    listener   within the session limits; the record begins
//!                               handover   by the worker that is to have it
//!        ──greet───▶ Greeted     greet      who he is, where another passes him on
//!        ──admit───▶ Admitted    admit      may this source come in
//!        ──inspect─▶ Inspected   inspect    what its first bytes say
//!        ──route───▶ Routed      route      to which backend
//!        ──lease───▶ Assigned    lease      which server, with a slot of it
//!        ──dial────▶ Connected   dial       the connection to it, or to the next
//!        ──relay───▶ Ended       relay      all bytes both ways
//! ```
//!
//! Each arrow is a function that consumes the value before it. A session that is dropped at any arrow is put right by
//! the guards in its [`Record`], whose own drop writes the log line: so a session that died in dialling, was cut at the
//! end of a stop, or panicked has its line too.

pub mod admit;
pub mod dial;
pub mod frontend;
pub mod greet;
pub mod handover;
pub mod hello;
pub mod inspect;
pub mod lease;
pub mod limit;
pub mod listener;
pub mod record;
pub mod relay;
pub mod route;
pub mod rules;
pub mod sources;
pub mod table;
pub mod trace;
pub mod worker;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use self::listener::Accepted;
use self::record::{Ended, Record};
use self::worker::Worker;
use crate::event::SessionId;
use crate::net::reactor::Stream;

pin_project! {
    /// One session on its way to its end.
    pub struct Carried<F> {
        worker: Rc<Worker>,
        id: SessionId,
        #[pin]
        life: F,
    }
}

/// Carries one session to its end.
pub fn session(accepted: Accepted) -> Carried<impl Future<Output = Result<Ended, Ended>>> {
    let (worker, id) = (Rc::clone(&accepted.record.worker), accepted.record.cell().id);
    Carried { worker, id, life: live(accepted) }
}

impl<F: Future<Output = Result<Ended, Ended>>> Future for Carried<F> {
    type Output = ();

    /// Should a turn of it never end, it is known whose turn it was.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Whichever way it ends, its record says so, and is written where this value is dropped.
        this.worker.seat.pulse().carry(*this.id, || this.life.poll(cx)).map(drop)
    }
}

async fn live(accepted: Accepted) -> Result<Ended, Ended> {
    poll_fn(|cx| {
        accepted.record.entered().wake_with(cx.waker().clone());
        Poll::Ready(())
    })
    .await;
    let greeted = greet::greet(accepted).await?;
    let admitted = admit::admit(greeted)?;
    let inspected = inspect::inspect(admitted).await?;
    let routed = route::route(inspected)?;
    // Boxed, because these need room for a while only, and the session would hold it to its end.
    let assigned = Box::pin(lease::lease(routed)).await?;
    let connected = Box::pin(dial::dial(assigned)).await?;
    #[cfg(debug_assertions)]
    misbehave_if_told();
    Ok(relay::relay(connected).await)
}

/// The way of tests to see that a panic ends one session and nothing else, and that a worker that hangs is found out: the
/// environment names the session by its number, counted from 1. A release has no such thing.
#[cfg(debug_assertions)]
fn misbehave_if_told() {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    fn told(variable: &str) -> Option<u64> {
        std::env::var(variable).ok()?.parse().ok()
    }
    static PANIC: LazyLock<Option<u64>> = LazyLock::new(|| told("EVENKEEL_PANIC_IN_SESSION"));
    static HANG: LazyLock<Option<u64>> = LazyLock::new(|| told("EVENKEEL_HANG_IN_SESSION"));
    let number = SESSIONS.fetch_add(1, Relaxed) + 1;
    assert!(*PANIC != Some(number), "told to panic in session {number}");
    while *HANG == Some(number) {
        std::thread::park();
    }
}

/// Returns when the session is told to end, or when its client resets while nobody reads from it.
async fn interrupted(client: &Stream, record: &Record) -> crate::event::Ending {
    use crate::event::{Cause, Ending, Who};
    tokio::select! {
        ending = told(record) => ending,
        _ = poll_fn(|cx| client.poll_failed(cx)) => Ending::new(Who::Client, record.phase(), Cause::Reset),
    }
}

/// Returns when the session is told to end.
async fn told(record: &Record) -> crate::event::Ending {
    poll_fn(|_| match record.cell().command() {
        // The task is woken whenever there is a command: see `Entered::wake_with`.
        Some(command) => {
            let (who, cause) = command.ending();
            Poll::Ready(crate::event::Ending::new(who, record.phase(), cause))
        }
        None => Poll::Pending,
    })
    .await
}
