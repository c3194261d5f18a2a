//! One direction of a session: bytes from one side to the other, and its FIN.

use std::io;
use std::task::{Context, Poll, ready};

use super::bulk::Bulk;
use super::{Fault, Side};
use crate::net;
use crate::net::pipe::Pipes;
use crate::net::reactor::Stream;

/// What a read takes of the budget at least: the runtime gives a session 128 reads and writes a turn, and a direction
/// that never pauses, in small pieces, must leave half of them to the other.
const READ: usize = super::BUDGET / 30;

/// One direction.
#[derive(Default)]
pub(super) struct Flow {
    /// Read, and not yet taken by the other side.
    pending: Vec<u8>,
    bulk: Bulk,
    pub stage: Stage,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
pub(super) enum Stage {
    #[default]
    Open,
    /// FIN has come, and goes on when all is written.
    Ending,
    /// FIN has been passed on.
    Finished,
}

/// What the bytes of a turn go through, and how many of them may.
pub(super) struct Way<'a> {
    pub scratch: &'a mut [u8],
    pub pipes: &'a Pipes,
    pub budget: usize,
}

/// Where one direction failed.
pub(super) enum FlowFault {
    Read(io::Error),
    Write(io::Error),
}

impl FlowFault {
    pub fn of(self, from: Side, to: Side) -> Fault {
        match self {
            Self::Read(error) => Fault { side: from, error },
            Self::Write(error) => Fault { side: to, error },
        }
    }
}

impl Flow {
    /// Moves bytes until one side is not ready, the budget is spent, or the direction is finished.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        way: &mut Way<'_>,
        passed: impl Fn(usize),
    ) -> Poll<Result<(), FlowFault>> {
        loop {
            ready!(self.poll_flush(cx, to, &passed)).map_err(FlowFault::Write)?;
            match self.stage {
                Stage::Finished | Stage::Ending => return Poll::Ready(Ok(())),
                Stage::Open if way.budget == 0 => return Poll::Ready(Ok(())),
                Stage::Open => {}
            }
            let moved = if self.bulk.is_carried() {
                ready!(self.bulk.poll_fill(cx, from, way.pipes))?
            } else {
                Some(ready!(self.poll_copy(cx, from, to, way.scratch, &passed))?)
            };
            match moved {
                Some(0) => self.stage = Stage::Ending,
                Some(bytes) => way.budget = way.budget.saturating_sub(bytes.max(READ)),
                None => {}
            }
        }
    }

    /// Moves one read's worth through the scratch; the number of bytes, 0 at the end of the stream.
    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        scratch: &mut [u8],
        passed: &impl Fn(usize),
    ) -> Poll<Result<usize, FlowFault>> {
        let read = ready!(from.poll_read(cx, scratch)).map_err(FlowFault::Read)?;
        let bytes = &scratch[..read];
        let written = write_some(cx, to, bytes, passed).map_err(FlowFault::Write)?;
        self.pending.extend_from_slice(&bytes[written..]);
        self.bulk.note(bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    /// Writes what is pending.
    fn poll_flush(&mut self, cx: &mut Context<'_>, to: &Stream, passed: &impl Fn(usize)) -> Poll<io::Result<()>> {
        if self.pending.is_empty() {
            return self.bulk.poll_empty(cx, to, passed);
        }
        let written = write_some(cx, to, &self.pending, passed)?;
        if written < self.pending.len() {
            self.pending.drain(..written);
            return Poll::Pending;
        }
        // The memory goes back: a session that is not behind owns none.
        self.pending = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// Passes a FIN on once all that came before it is written.
    pub fn pass_fin(&mut self, to: &Stream) {
        if self.stage == Stage::Ending && self.is_flushed() {
            net::options::finish(to);
            self.stage = Stage::Finished;
        }
    }

    /// Writes what is pending and passes a FIN on, whatever the other side still sends.
    pub fn poll_finish(&mut self, cx: &mut Context<'_>, to: &Stream, passed: impl Fn(usize)) -> Poll<()> {
        if self.stage == Stage::Open {
            self.stage = Stage::Ending;
        }
        // What can't be written any more is given up.
        if ready!(self.poll_flush(cx, to, &passed)).is_err() {
            self.pending = Vec::new();
            self.bulk.discard();
        }
        self.pass_fin(to);
        Poll::Ready(())
    }

    /// Whether FIN has come and all before it is written.
    pub fn is_flushed_to_the_end(&self) -> bool {
        self.stage != Stage::Open && self.is_flushed()
    }

    /// Whether all that was read has been written.
    fn is_flushed(&self) -> bool {
        self.pending.is_empty() && self.bulk.is_empty()
    }

    /// Whether its source is not being read, because of what is pending or because it has finished.
    pub fn is_unread(&self) -> bool {
        !self.is_flushed() || self.stage != Stage::Open
    }
}

/// Writes as much as the socket takes; if that is not all, the task is woken when it takes more.
fn write_some(cx: &mut Context<'_>, to: &Stream, bytes: &[u8], passed: &impl Fn(usize)) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match to.poll_write(cx, &bytes[written..]) {
            Poll::Ready(Ok(taken)) => {
                written += taken;
                passed(taken);
            }
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(written)
}

/// Reads until the end, for nobody.
pub(super) fn poll_discard(cx: &mut Context<'_>, from: &Stream, scratch: &mut [u8]) -> Poll<()> {
    while let Ok(1..) = ready!(from.poll_read(cx, scratch)) {}
    Poll::Ready(())
}
