//! The connections of one worker, watched by an epoll of their own inside the worker's runtime.
//!
//! The runtime's own streams keep readiness for any thread and any number of tasks. A session's connections belong to
//! one task of one thread, and there are thousands of them: here each costs a few bytes, and is forgotten by being closed.
//! The epoll is edge-triggered: readiness is what the kernel last said, until a call finds it untrue.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use slab::Slab;
use tokio::io::unix::AsyncFd;

use super::{DialError, Way, connecting, options, sys};

/// Watches the streams of one worker. [`Reactor::drive`] must run as a task of it.
#[derive(Debug)]
pub struct Reactor {
    epoll: AsyncFd<OwnedFd>,
    places: RefCell<Slab<Place>>,
}

/// What is known of one stream.
#[derive(Debug, Default)]
struct Place {
    ready: u8,
    /// What its task waits for.
    awaited: u8,
    waker: Option<Waker>,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
/// No more will come: reading tells why, and never has to be waited for.
const CLOSED: u8 = 4;
/// An error has arrived.
const FAILED: u8 = 8;

/// Events that one call takes from the kernel.
const EVENTS: usize = 256;

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

impl Reactor {
    /// A reactor within the current runtime.
    pub fn new() -> io::Result<Rc<Self>> {
        let epoll = sys::watch_readable(epoll::create(CreateFlags::CLOEXEC)?)?;
        Ok(Rc::new(Self { epoll, places: RefCell::default() }))
    }

    /// Hands events to the tasks that wait for them, for as long as it is polled.
    pub async fn drive(self: Rc<Self>) {
        let mut events = Vec::with_capacity(EVENTS);
        // The runtime's own failure ends it; there is nothing to wait with then.
        while let Ok(mut guard) = self.epoll.readable().await {
            loop {
                events.clear();
                match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&AT_ONCE)) {
                    Ok(_) | Err(Errno::INTR) => self.deliver(&events),
                    Err(error) => tracing::error!(%error, "the worker's epoll failed"),
                }
                if events.len() < EVENTS {
                    break;
                }
            }
            guard.clear_ready();
        }
    }

    /// Streams that are watched.
    #[cfg(test)]
    pub fn streams(&self) -> usize {
        self.places.borrow().len()
    }

    fn deliver(&self, events: &[Event]) {
        let mut places = self.places.borrow_mut();
        for event in events {
            // An event of a stream that has just been closed finds nobody, or the place's next stream, which learns
            // from its next call that it was not meant.
            let Some(place) = usize::try_from(event.data.u64()).ok().and_then(|place| places.get_mut(place)) else {
                continue;
            };
            let now = readiness(event.flags);
            place.ready |= now;
            if place.awaited & now != 0 {
                place.awaited = 0;
                if let Some(waker) = &place.waker {
                    waker.wake_by_ref();
                }
            }
        }
    }
}

fn readiness(flags: EventFlags) -> u8 {
    let says = |flag, means| if flags.intersects(flag) { means } else { 0 };
    says(EventFlags::IN, READABLE)
        | says(EventFlags::OUT, WRITABLE)
        | says(EventFlags::RDHUP, READABLE | CLOSED)
        | says(EventFlags::HUP, READABLE | WRITABLE | CLOSED)
        | says(EventFlags::ERR, READABLE | WRITABLE | CLOSED | FAILED)
}

/// What there is to read of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peeked {
    /// Bytes that have been copied.
    pub length: usize,
    /// Nothing follows them.
    pub ended: bool,
}

/// A connection of a session, over TCP or a unix socket, used by one task.
#[derive(Debug)]
pub struct Stream {
    socket: OwnedFd,
    place: u32,
    reactor: Rc<Reactor>,
}

impl Stream {
    /// A connection that has just been accepted: it can be written to, and what it has to read will be told.
    pub fn accepted(reactor: &Rc<Reactor>, socket: OwnedFd) -> io::Result<Self> {
        Self::watched(reactor, socket, WRITABLE)
    }

    /// Connects to a server. The caller bounds the time, and sets keepalive once the connection is worth it
    /// ([`options::keep_alive`]).
    pub async fn dial(reactor: &Rc<Reactor>, address: SocketAddr, way: Way<'_>) -> Result<Self, DialError> {
        let stream = Self::watched(reactor, connecting(address, way)?.into(), 0).map_err(DialError::Local)?;
        // Whether the connection stands is told by the event that ends the wait, without asking for SO_ERROR.
        std::future::poll_fn(|cx| stream.poll_ready(cx, WRITABLE)).await;
        match stream.failure() {
            Some(error) => Err(error.into()),
            None => Ok(stream),
        }
    }

    /// One epoll_ctl is all that watching a connection costs in its life: closing it ends the watch.
    fn watched(reactor: &Rc<Reactor>, socket: OwnedFd, ready: u8) -> io::Result<Self> {
        let place = reactor.places.borrow_mut().insert(Place { ready, ..Place::default() });
        let number = u32::try_from(place).expect("fewer streams than descriptors, which are 32-bit numbers");
        let stream = Self { socket, place: number, reactor: Rc::clone(reactor) };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&reactor.epoll, &stream.socket, EventData::new_u64(u64::from(number)), flags)?;
        Ok(stream)
    }

    /// Our end's address.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let address = rustix::net::getsockname(&self.socket)?;
        SocketAddr::try_from(address).map_err(io::Error::from)
    }

    /// Whether bytes wait to be read.
    pub fn has_unread(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(&self.socket, &mut [0_u8], flags).is_ok_and(|(length, _)| length > 0)
    }

    /// Reads into `bytes`; 0 is the end of the stream. A direction costs two calls, of which the second is the end: an
    /// event tells that the end has come, but not whether bytes have come before it.
    pub fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let wanted = bytes.len();
        // Not read, which asks the file system first: a request costs a hundredth less.
        let receive = || Ok(rustix::net::recv(&self.socket, &mut *bytes, RecvFlags::empty())?.0);
        let read = ready!(self.poll_io(cx, READABLE, receive))?;
        if read > 0 && read < wanted {
            // All that was there: the next bytes are a new event, and asking for them now would be a call in vain.
            self.place(|place| place.ready &= !READABLE);
        }
        Poll::Ready(Ok(read))
    }

    /// Copies what there is to read, and leaves it where it is; waits until that is more than `known` bytes, or until
    /// nothing can follow. Whoever has looked last must [`Stream::look_again`].
    pub fn poll_peek(&self, cx: &mut Context<'_>, bytes: &mut [u8], known: usize) -> Poll<io::Result<Peeked>> {
        loop {
            ready!(self.poll_ready(cx, READABLE));
            // All bytes have come before the end was told of.
            let ended = self.place(|place| place.ready & CLOSED != 0);
            match rustix::net::recv(&self.socket, &mut *bytes, RecvFlags::PEEK) {
                Ok((_, length)) if length > known || length == 0 || ended => {
                    return Poll::Ready(Ok(Peeked { length, ended: ended || length == 0 }));
                }
                // The next bytes are a new event.
                Ok(_) => self.place(|place| place.ready &= !READABLE),
                Err(Errno::AGAIN) => self.place(|place| place.ready &= !(READABLE | CLOSED)),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Has the next read ask the kernel: bytes that have been peeked at are no event any more.
    pub fn look_again(&self) {
        self.place(|place| place.ready |= READABLE);
    }

    /// Sends the first bytes of a connection, which its empty buffer takes at once. With more of them to `follow` at
    /// once, the kernel puts them in one segment.
    pub fn send_first(&self, bytes: &[u8], follow: bool) -> io::Result<()> {
        let more = if follow { SendFlags::MORE } else { SendFlags::empty() };
        match rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL | more)? {
            sent if sent == bytes.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Writes of `bytes` what the kernel takes.
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(cx, WRITABLE, || Ok(rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL)?))
    }

    /// Calls `io`, which reads from the socket, when that may succeed; `WouldBlock` waits for the next event.
    pub fn poll_reading<T>(&self, cx: &mut Context<'_>, io: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
        self.poll_io(cx, READABLE, io)
    }

    /// Calls `io`, which writes to the socket, when that may succeed; `WouldBlock` waits for the next event.
    pub fn poll_writing<T>(&self, cx: &mut Context<'_>, io: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
        self.poll_io(cx, WRITABLE, io)
    }

    /// Ready with the error when the peer has reset the connection, whether or not anyone reads from it.
    pub fn poll_failed(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.poll_ready(cx, FAILED));
            if let Some(error) = self.failure() {
                return Poll::Ready(error);
            }
        }
    }

    /// The error that has arrived, if any.
    pub fn failure(&self) -> Option<io::Error> {
        let failed = self.place(|place| {
            let failed = place.ready & FAILED != 0;
            place.ready &= !FAILED;
            failed
        });
        if failed { options::pending_error(self) } else { None }
    }

    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        direction: u8,
        mut io: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(self.poll_ready(cx, direction));
            match io() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let untrue = if direction == READABLE { READABLE | CLOSED } else { direction };
                    self.place(|place| place.ready &= !untrue);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>, direction: u8) -> Poll<()> {
        let enough = if direction == READABLE { READABLE | CLOSED } else { direction };
        self.place(|place| {
            if place.ready & enough != 0 {
                return Poll::Ready(());
            }
            place.awaited |= enough;
            match &mut place.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                waker => *waker = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
    }

    fn place<T>(&self, look: impl FnOnce(&mut Place) -> T) -> T {
        look(&mut self.reactor.places.borrow_mut()[self.place as usize])
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let place = self.reactor.places.borrow_mut().try_remove(self.place as usize);
        // The waker may be the last reference to a task: let it go while nothing is borrowed.
        drop(place);
    }
}

#[cfg(test)]
mod tests;
