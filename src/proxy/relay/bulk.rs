//! Whether a direction carries bulk, and the pipe through which bulk goes.
//!
//! A direction carries bulk once a few reads in a row have brought much. From then on its bytes stay in the kernel,
//! until a few of its moves in a row have been small. It has a pipe only while bytes are on their way.

use std::io;
use std::task::{Context, Poll, ready};

use super::flow::FlowFault;
use crate::net::pipe::{Pipe, Pipes};
use crate::net::reactor::Stream;

/// A move of so many bytes is much: it costs less through a pipe than through the scratch.
const MUCH: usize = 32 * 1024;

/// Moves in a row that change the way.
const IN_A_ROW: u8 = 3;

/// How one direction moves its bytes.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    carries: bool,
    /// Moves in a row that speak for the other way.
    contrary: u8,
    /// Boxed, because most directions never have one.
    pipe: Option<Box<Pipe>>,
}

impl Bulk {
    /// Whether the direction carries bulk.
    pub fn is_carried(&self) -> bool {
        self.carries
    }

    /// Notes how much one move brought.
    pub fn note(&mut self, bytes: usize) {
        if (bytes >= MUCH) == self.carries {
            self.contrary = 0;
            return;
        }
        self.contrary += 1;
        if self.contrary == IN_A_ROW {
            self.carries = !self.carries;
            self.contrary = 0;
        }
    }

    /// Whether bytes are on their way inside the kernel.
    pub fn is_empty(&self) -> bool {
        self.pipe.is_none()
    }

    /// Moves one pipe's worth in; the number of bytes, 0 at the end of the stream, and `None` if there is no pipe to
    /// be had.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        pipes: &Pipes,
    ) -> Poll<Result<Option<usize>, FlowFault>> {
        let Some(mut pipe) = pipes.take() else {
            self.carries = false;
            return Poll::Ready(Ok(None));
        };
        let taken = ready!(pipe.poll_fill(cx, from)).map_err(FlowFault::Read)?;
        if taken > 0 {
            self.pipe = Some(Box::new(pipe));
        }
        self.note(taken);
        Poll::Ready(Ok(Some(taken)))
    }

    /// Moves out what is on its way.
    pub fn poll_empty(&mut self, cx: &mut Context<'_>, to: &Stream, passed: &impl Fn(usize)) -> Poll<io::Result<()>> {
        let Some(pipe) = &mut self.pipe else { return Poll::Ready(Ok(())) };
        while !pipe.is_empty() {
            passed(ready!(pipe.poll_empty(cx, to))?);
        }
        self.pipe = None;
        Poll::Ready(Ok(()))
    }

    /// Gives up what is on its way.
    pub fn discard(&mut self) {
        self.pipe = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether bulk is carried after these moves.
    fn after(moves: &[usize]) -> bool {
        let mut bulk = Bulk::default();
        moves.iter().for_each(|&bytes| bulk.note(bytes));
        bulk.is_carried()
    }

    #[test]
    fn three_large_moves_in_a_row_make_bulk_and_three_small_ones_end_it() {
        let (large, small) = (MUCH, MUCH - 1);
        assert!(!after(&[large, large]));
        assert!(!after(&[large, large, small, large]));
        assert!(after(&[large, large, large]));
        assert!(after(&[large, large, large, small, small, large, small]));
        assert!(!after(&[large, large, large, small, small, small]));
    }
}
