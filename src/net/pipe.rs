//! Pipes of the kernel: bytes go from one socket to another through them without coming up to us (splice(2)).

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::reactor::Stream;

/// Pages are moved rather than copied where the kernel can, and nothing waits.
const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

/// The pipes of one worker: those that nobody uses wait to be used again.
#[derive(Debug, Default)]
pub struct Pipes {
    home: Rc<Home>,
}

#[derive(Debug, Default)]
struct Home {
    free: RefCell<Vec<Ends>>,
    lent: Cell<usize>,
    /// The kernel gave none that is large enough: not asked again before all of ours have come back.
    exhausted: Cell<bool>,
    /// How often a pipe was given, and how often none: whether a test has met both.
    #[cfg(test)]
    asked: Cell<(usize, usize)>,
}

/// A pipe that one direction of a session uses; empty, it goes back to the worker's when it is dropped.
#[derive(Debug)]
pub struct Pipe {
    /// `None` only while it is being dropped.
    ends: Option<Ends>,
    /// Bytes inside.
    held: usize,
    home: Rc<Home>,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
}

impl Pipes {
    /// Pipes that a worker has in use at most, two descriptors each; who comes later copies.
    pub const MAX: usize = 32;

    /// Bytes that a pipe holds, and one move takes in, at most: a longer one would keep others waiting for their turn, and
    /// costs no less per byte. All pipes of a user without CAP_SYS_RESOURCE may have 64 MiB (`fs.pipe-user-pages-soft`),
    /// which are those of eight workers; beyond that a pipe has two pages.
    pub const CAPACITY: usize = 256 * 1024;

    /// A smaller one is no better than copying.
    const LEAST: usize = 64 * 1024;

    /// A pipe, or `None` when too many are in use or the kernel gives none.
    pub fn take(&self) -> Option<Pipe> {
        let pipe = self.lend();
        #[cfg(test)]
        self.home.asked.set(match (self.home.asked.get(), &pipe) {
            ((given, none), Some(_)) => (given + 1, none),
            ((given, none), None) => (given, none + 1),
        });
        pipe
    }

    fn lend(&self) -> Option<Pipe> {
        if self.home.lent.get() == Self::MAX {
            return None;
        }
        let free = self.home.free.borrow_mut().pop();
        let ends = free.or_else(|| self.open())?;
        self.home.lent.set(self.home.lent.get() + 1);
        Some(Pipe { ends: Some(ends), held: 0, home: Rc::clone(&self.home) })
    }

    fn open(&self) -> Option<Ends> {
        if self.home.exhausted.get() {
            return None;
        }
        let ends = Ends::open().ok().filter(|ends| ends.capacity >= Self::LEAST);
        self.home.exhausted.set(ends.is_none());
        ends
    }

    /// Pipes that are in use.
    #[cfg(test)]
    pub fn lent(&self) -> usize {
        self.home.lent.get()
    }

    /// Bytes in pipes that nobody uses.
    #[cfg(test)]
    pub fn left_over(&self) -> u64 {
        let free = self.home.free.borrow();
        free.iter().map(|ends| rustix::io::ioctl_fionread(&ends.read).expect("a pipe")).sum()
    }

    /// How often a pipe was given so far, and how often none.
    #[cfg(test)]
    pub fn asked(&self) -> (usize, usize) {
        self.home.asked.get()
    }
}

impl Ends {
    /// As large as the kernel allows.
    fn open() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let sizes = std::iter::successors(Some(Pipes::CAPACITY), |size| Some(size / 2));
        let enough = sizes.take_while(|size| *size >= Pipes::LEAST);
        let given = enough.filter_map(|size| fcntl_setpipe_size(&write, size).ok()).next();
        Ok(Self { read, write, capacity: given.unwrap_or(0) })
    }
}

impl Pipe {
    /// Takes in what the socket has, once it has something; 0 is the end of its stream. Only an empty pipe is filled,
    /// so that being full is never why it takes nothing.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>, from: &Stream) -> Poll<io::Result<usize>> {
        debug_assert_eq!(self.held, 0, "a pipe that holds bytes can't tell why it takes no more");
        let ends = self.ends.as_ref().expect("a pipe in use has its ends");
        let move_in = || splice(from, None, &ends.write, None, ends.capacity, FLAGS).map_err(io::Error::from);
        self.held = ready!(from.poll_reading(cx, move_in))?;
        Poll::Ready(Ok(self.held))
    }

    /// Gives the socket what it takes, once it takes something.
    pub fn poll_empty(&mut self, cx: &mut Context<'_>, to: &Stream) -> Poll<io::Result<usize>> {
        let ends = self.ends.as_ref().expect("a pipe in use has its ends");
        let move_out = || splice(&ends.read, None, to, None, self.held, FLAGS).map_err(io::Error::from);
        let given = ready!(to.poll_writing(cx, move_out))?;
        self.held -= given;
        Poll::Ready(Ok(given))
    }

    #[cfg(test)]
    pub fn descriptor(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsRawFd;
        self.ends.as_ref().expect("a pipe in use has its ends").read.as_raw_fd()
    }

    pub fn is_empty(&self) -> bool {
        self.held == 0
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.home.lent.set(self.home.lent.get() - 1);
        if self.home.lent.get() == 0 {
            self.home.exhausted.set(false);
        }
        // Bytes of one session must never meet another.
        if self.held == 0 {
            self.home.free.borrow_mut().extend(self.ends.take());
        }
    }
}
