//! All bytes both ways, until both sides have finished or one of them has failed.
//!
//! No buffer belongs to a session: bytes are read into the worker's scratch and written straight on, and only what the
//! other side does not take is kept. Bulk does not come up at all: it goes through a pipe of the kernel. Both directions run in one task and end each for itself: a FIN is passed on as a
//! FIN after the last byte before it, and leaves the other direction alone; a reset is passed on as a reset at once.

mod bulk;
mod flow;
mod look;

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::timeout;

use self::flow::{Flow, Stage, Way, poll_discard};
use super::dial::Connected;
use super::record::{Ended, Record};
use super::trace::Step;
use crate::event::{Cause, Ending, Phase, SessionStage, Who};
use crate::model::BackendTimeouts;
use crate::net;
use crate::net::reactor::Stream;
use crate::pool::sessions::Command;

/// Bytes that each direction of a session may move before others have their turn.
const BUDGET: usize = 256 * 1024;

/// How long a session that was told to end waits for its peers to finish.
const LINGER: Duration = Duration::from_millis(500);

/// The future is what an idle session owns beside its connections: it holds each value once.
pub fn relay(Connected { client, server, mut record, leased }: Connected) -> impl Future<Output = Ended> {
    record.enter_phase(Phase::Data);
    record.entered().set_server(&leased.server, record.source);
    record.cell().limit_idle(Limits::of(&record).open.map(|(limit, _)| limit));
    if record.pool.spec.keepalive.is_some() {
        record.cell().set_fresh();
    }
    record.entered().touch();
    record.tell_connected();
    let mut relay = Relay { record, client, server, up: Flow::default(), down: Flow::default(), half_closed: false };
    async move {
        let ending = relay.run().await;
        let Relay { record, client, server, up, down, .. } = relay;
        // Closed before it is counted out, and counted out after its record has counted it in.
        drop((client, server, up, down));
        let ended = record.end(ending);
        drop(leased);
        ended
    }
}

/// Longest times without a byte, and whose silence it is then.
struct Limits {
    open: Option<(Duration, Who)>,
    half_closed: Option<Duration>,
}

impl Limits {
    fn of(record: &Record) -> Self {
        let BackendTimeouts { server, tunnel, half_close, .. } = record.pool.spec.timeouts;
        let client = record.frontend.spec.client_timeout;
        let open = match (tunnel, client, server) {
            (Some(tunnel), _, _) => Some((tunnel, Who::ClientTimeout)),
            (None, Some(client), Some(server)) if server < client => Some((server, Who::ServerTimeout)),
            (None, Some(client), _) => Some((client, Who::ClientTimeout)),
            (None, None, server) => server.map(|server| (server, Who::ServerTimeout)),
        };
        Self { open, half_closed: half_close }
    }
}

struct Relay {
    record: Box<Record>,
    client: Stream,
    server: Stream,
    /// Client to server.
    up: Flow,
    /// Server to client.
    down: Flow,
    /// The cell has been given the deadline of a half-closed session.
    half_closed: bool,
}

/// Why a session's turn is over.
enum Turn {
    Finished,
    /// There is more to do, and others are to have their turn.
    Yield,
    Failed(Fault),
    Told(Command),
}

/// A side that failed, and how.
struct Fault {
    side: Side,
    error: io::Error,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Relay {
    async fn run(&mut self) -> Ending {
        loop {
            match poll_fn(|cx| self.turn(cx)).await {
                Turn::Finished => return Ending::NORMAL,
                // Past the driver's poll: sessions that became ready meanwhile come first.
                Turn::Yield => tokio::task::yield_now().await,
                Turn::Failed(fault) => return self.fail(fault),
                Turn::Told(command) => {
                    // Said first: closing ends both directions, whichever had ended before.
                    let ending = self.told(command);
                    if self.is_cut(ending) {
                        poll_fn(|cx| self.poll_cut(cx)).await;
                        return ending;
                    }
                    // Boxed, because an idle session would hold the room for it.
                    Box::pin(self.close()).await;
                    return ending;
                }
            }
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let cell = self.record.cell();
        if let Some(command) = cell.command() {
            return Poll::Ready(Turn::Told(command));
        }
        if cell.is_to_look_now()
            && let Some(command) = self.look()
        {
            return Poll::Ready(Turn::Told(command));
        }
        if cell.is_to_tell() {
            self.record.tell(SessionStage::Progress);
        }
        if cell.is_to_settle() {
            net::options::keep_alive(&self.server, self.record.pool.spec.keepalive);
        }
        let worker = &self.record.worker;
        let mut scratch = worker.scratch.borrow_mut();
        let mut way = Way { scratch: &mut scratch, pipes: &worker.pipes, budget: BUDGET };
        let count_in = |bytes| count(&self.record, bytes, Direction::In);
        let count_out = |bytes| count(&self.record, bytes, Direction::Out);
        let up = self.up.poll(cx, &self.client, &self.server, &mut way, count_in);
        let up_left = std::mem::replace(&mut way.budget, BUDGET);
        if let Poll::Ready(Err(fault)) = up {
            return Poll::Ready(Turn::Failed(fault.of(Side::Client, Side::Server)));
        }
        let down = self.down.poll(cx, &self.server, &self.client, &mut way, count_out);
        let down_left = way.budget;
        drop(scratch);
        if let Poll::Ready(Err(fault)) = down {
            return Poll::Ready(Turn::Failed(fault.of(Side::Server, Side::Client)));
        }
        if self.up.is_flushed_to_the_end() && self.down.is_flushed_to_the_end() {
            // Closing says the last FIN.
            return Poll::Ready(Turn::Finished);
        }
        self.pass_fins();
        if let Poll::Ready(fault) = self.poll_unread(cx) {
            return Poll::Ready(Turn::Failed(fault));
        }
        self.note_half_close();
        if up_left == 0 || down_left == 0 { Poll::Ready(Turn::Yield) } else { Poll::Pending }
    }

    fn pass_fins(&mut self) {
        let before = (self.up.stage, self.down.stage);
        self.up.pass_fin(&self.server);
        self.down.pass_fin(&self.client);
        for (before, after, step) in
            [(before.0, self.up.stage, Step::ClientFinished), (before.1, self.down.stage, Step::ServerFinished)]
        {
            if before != after {
                self.record.trace(step, "passed on");
            }
        }
    }

    /// The reset of a side that is not being read, which no read would show.
    fn poll_unread(&self, cx: &mut Context<'_>) -> Poll<Fault> {
        for (side, stream, flow) in [(Side::Client, &self.client, &self.up), (Side::Server, &self.server, &self.down)] {
            if flow.is_unread()
                && let Poll::Ready(error) = stream.poll_failed(cx)
            {
                return Poll::Ready(Fault { side, error });
            }
        }
        Poll::Pending
    }

    /// Gives the session the deadline of a half-closed one.
    fn note_half_close(&mut self) {
        if self.half_closed || !self.is_half_closed() {
            return;
        }
        self.half_closed = true;
        let Limits { open, half_closed } = Limits::of(&self.record);
        self.record.cell().limit_idle(open.map(|(limit, _)| limit).into_iter().chain(half_closed).min());
        self.record.entered().touch();
    }

    fn is_half_closed(&self) -> bool {
        self.up.stage != Stage::Open || self.down.stage != Stage::Open
    }

    /// Passes a failure on to the other side as a reset, unless its frontend's clients are to be spared; what that side
    /// has not taken is dropped.
    fn fail(&self, Fault { side, error }: Fault) -> Ending {
        let (who, other) = match side {
            Side::Client => (Who::Client, &self.server),
            Side::Server => (Who::Server, &self.client),
        };
        if side == Side::Client || self.record.frontend.spec.reset_clients {
            net::options::reset_on_close(other);
        }
        let cause = if net::is_timeout(&error) { Cause::TimedOut } else { Cause::Reset };
        if let (Side::Server, Cause::Reset, Some(server)) = (side, cause, &self.record.server) {
            server.host.note_reset();
        }
        Ending::new(who, Phase::Data, cause)
    }

    /// Whether it ends as HAProxy ends a session that somebody else closes: at once, and by a reset towards its server.
    fn is_cut(&self, ending: Ending) -> bool {
        let by_others = matches!(ending.who, Who::Killed | Who::Down | Who::Up) && ending.cause != Cause::Shutdown;
        by_others && !self.record.pool.spec.judged_by.weighs()
    }

    /// The client is given what was read for it, as far as it takes that now, and a FIN.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        net::options::reset_on_close(&self.server);
        let count_out = |bytes| count(&self.record, bytes, Direction::Out);
        let _ = self.down.poll_finish(cx, &self.client, count_out);
        // The kernel would say a reset to a client whose bytes are left unread.
        let _ = poll_discard(cx, &self.client, &mut self.record.worker.scratch.borrow_mut());
        Poll::Ready(())
    }

    /// What was read is flushed, both sides get a FIN, and a reset if they have not finished in time.
    async fn close(&mut self) {
        let finished = timeout(LINGER, poll_fn(|cx| self.poll_close(cx))).await;
        if finished.is_err() {
            net::options::reset_on_close(&self.client);
            net::options::reset_on_close(&self.server);
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = self.record.worker.scratch.borrow_mut();
        let count_in = |bytes| count(&self.record, bytes, Direction::In);
        let count_out = |bytes| count(&self.record, bytes, Direction::Out);
        let up = self.up.poll_finish(cx, &self.server, count_in);
        let down = self.down.poll_finish(cx, &self.client, count_out);
        let client = poll_discard(cx, &self.client, &mut scratch);
        let server = poll_discard(cx, &self.server, &mut scratch);
        for part in [up, down, client, server] {
            ready!(part);
        }
        Poll::Ready(())
    }

    fn told(&self, command: Command) -> Ending {
        let (who, cause) = command.ending();
        let Limits { open, half_closed } = Limits::of(&self.record);
        // Of a half-closed session the shorter of the two limits has passed.
        let by_half_close = half_closed.filter(|_| self.is_half_closed());
        let (who, cause) = match (command, open, by_half_close) {
            (Command::Idle, Some((limit, who)), half) if half.is_none_or(|half| limit <= half) => (who, cause),
            (Command::Idle, ..) if self.up.stage == Stage::Open => (Who::ClientTimeout, Cause::HalfClosed),
            (Command::Idle, ..) => (Who::ServerTimeout, Cause::HalfClosed),
            _ => (who, cause),
        };
        Ending::new(who, Phase::Data, cause)
    }
}

enum Direction {
    In,
    Out,
}

/// Counts bytes that have been passed on, wherever they are counted.
fn count(record: &Record, bytes: usize, direction: Direction) {
    let bytes = bytes as u64;
    if record.frontend.process.traced.has_any() {
        trace_first(record, bytes, &direction);
    }
    let worker = record.worker.sessions.worker();
    let server = record.server.as_ref().map(|server| &server.counters);
    let all = [&record.frontend.process.counters, &record.frontend.counters, &record.pool.counters];
    match direction {
        Direction::In => {
            record.entered().passed_in(bytes);
            all.into_iter().chain(server).for_each(|counters| counters.traffic(worker).add_in(bytes));
        }
        Direction::Out => {
            record.entered().passed_out(bytes);
            all.into_iter().chain(server).for_each(|counters| counters.traffic(worker).add_out(bytes));
        }
    }
}

fn trace_first(record: &Record, bytes: u64, direction: &Direction) {
    let (passed, step) = match (record.cell().bytes(), direction) {
        ((passed, _), Direction::In) => (passed, Step::FirstBytesIn),
        ((_, passed), Direction::Out) => (passed, Step::FirstBytesOut),
    };
    if passed == 0 {
        record.trace(step, format_args!("{bytes} bytes"));
    }
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
