//! A worker of each way: an event loop that reads a byte from each connection and answers it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};
use slab::Slab;
use socket2::{Domain, Socket, Type};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One socket, which each worker watches by a descriptor of its own.
    Shared,
    /// The same with EPOLLEXCLUSIVE.
    Exclusive,
    /// As `Shared`, but the worker blocks on an epoll that watches the one with the socket, as inside a runtime.
    NestedShared,
    /// The same with EPOLLEXCLUSIVE.
    NestedExclusive,
    /// One more thread accepts, and gives each connection to the worker that has the fewest.
    HandOver,
    /// SO_REUSEPORT: a socket for each worker.
    ReusePort,
}

pub const WAYS: [Way; 6] =
    [Way::Shared, Way::Exclusive, Way::NestedShared, Way::NestedExclusive, Way::HandOver, Way::ReusePort];

/// A client's one byte: what is to become of it, once it is answered.
pub const CLOSE: u8 = b'c';
pub const KEEP: u8 = b'k';
/// The worker is to sleep in its turn for [`STUCK`].
pub const STICK: u8 = b's';
const STUCK: Duration = Duration::from_secs(2);

/// Connections that a worker takes in a row before it looks after those that it has.
const BATCH: usize = 16;
/// More than there ever are: one call takes them all.
const EVENTS: usize = 256;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// The numbers of what is no client; those count from 0.
const LISTENER: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;

/// A worker as others see it.
pub struct Seat {
    /// Connections that it has, or that are on their way to it.
    pub open: AtomicUsize,
    /// Wake-ups for a connection that another worker had taken.
    pub in_vain: AtomicUsize,
    queue: Mutex<Vec<OwnedFd>>,
    bell: OwnedFd,
    end: AtomicBool,
}

impl Seat {
    pub fn new() -> Self {
        let (open, in_vain, queue, end) = Default::default();
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).expect("a descriptor");
        Self { open, in_vain, queue, bell, end }
    }

    /// Tells the worker to end; one that is stuck does so later.
    pub fn end(&self) {
        self.end.store(true, Relaxed);
        self.ring();
    }

    fn hand(&self, client: OwnedFd) {
        self.open.fetch_add(1, Relaxed);
        let mut queue = self.queue.lock().expect("nobody panics with it");
        queue.push(client);
        let first = queue.len() == 1;
        drop(queue);
        if first {
            self.ring();
        }
    }

    /// Each write is an event, whether or not the one before was read.
    fn ring(&self) {
        rustix::io::write(&self.bell, &1_u64.to_ne_bytes()).expect("a counter far from full");
    }
}

pub fn listen(way: Way, at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(way == Way::ReusePort)?;
    socket.set_nonblocking(way != Way::HandOver)?;
    socket.bind(&at.into())?;
    socket.listen(1024)?;
    Ok(socket)
}

/// Accepts for all workers until the socket is shut down.
pub fn hand_over(socket: &Socket, seats: &[Seat]) {
    while let Ok(client) = accept(socket) {
        seats.iter().min_by_key(|seat| seat.open.load(Relaxed)).expect("a worker").hand(client);
    }
}

fn accept(socket: &Socket) -> rustix::io::Result<OwnedFd> {
    accept_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
}

pub struct Worker {
    listener: Socket,
    seats: Arc<[Seat]>,
    index: usize,
    /// Watches the listener, the bell and the clients.
    epoll: OwnedFd,
    /// Watches `epoll`, when nested.
    outer: Option<OwnedFd>,
    clients: Slab<OwnedFd>,
}

impl Worker {
    pub fn new(way: Way, listener: Socket, seats: Arc<[Seat]>, index: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let edge = EventFlags::IN | EventFlags::ET;
        if way != Way::HandOver {
            let exclusive = matches!(way, Way::Exclusive | Way::NestedExclusive);
            let flags = if exclusive { edge | EventFlags::EXCLUSIVE } else { edge };
            epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), flags)?;
        }
        epoll::add(&epoll, &seats[index].bell, EventData::new_u64(BELL), edge)?;
        let nested = matches!(way, Way::NestedShared | Way::NestedExclusive);
        let outer = if nested { Some(epoll::create(CreateFlags::CLOEXEC)?) } else { None };
        if let Some(outer) = &outer {
            epoll::add(outer, &epoll, EventData::new_u64(0), edge)?;
        }
        Ok(Self { listener, seats, index, epoll, outer, clients: Slab::new() })
    }

    /// Serves until it is told to end. In a turn clients come first, and then those who want to become one.
    pub fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        let mut more = false;
        loop {
            self.wait(&mut events, more);
            if self.seat().end.load(Relaxed) {
                return;
            }
            let mut woken = false;
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => woken = true,
                    BELL => self.take_over(),
                    client => self.answer(usize::try_from(client).expect("it was made of one")),
                }
            }
            if woken || more {
                more = self.accept_batch(woken && !more);
            }
        }
    }

    fn seat(&self) -> &Seat {
        &self.seats[self.index]
    }

    fn wait(&self, events: &mut Vec<Event>, at_once: bool) {
        let limit = at_once.then_some(&AT_ONCE);
        let Some(outer) = &self.outer else { return wait(&self.epoll, events, limit) };
        wait(outer, events, limit);
        wait(&self.epoll, events, Some(&AT_ONCE));
    }

    /// Takes what waits, up to a batch; says whether there may be more.
    fn accept_batch(&mut self, woken: bool) -> bool {
        for taken in 0..BATCH {
            match accept(&self.listener) {
                Ok(client) => {
                    self.seat().open.fetch_add(1, Relaxed);
                    self.watch(client);
                }
                Err(Errno::AGAIN) => {
                    self.seat().in_vain.fetch_add(usize::from(woken && taken == 0), Relaxed);
                    return false;
                }
                Err(error) => panic!("can't accept: {error}"),
            }
        }
        true
    }

    /// Takes all that was handed over.
    fn take_over(&mut self) {
        let queue = std::mem::take(&mut *self.seat().queue.lock().expect("nobody panics with it"));
        queue.into_iter().for_each(|client| self.watch(client));
    }

    fn watch(&mut self, client: OwnedFd) {
        let place = self.clients.vacant_entry();
        let number = EventData::new_u64(place.key() as u64);
        epoll::add(&self.epoll, &client, number, EventFlags::IN | EventFlags::RDHUP | EventFlags::ET)
            .expect("a new descriptor");
        place.insert(client);
    }

    fn answer(&mut self, place: usize) {
        let client = &self.clients[place];
        let mut wish = [CLOSE];
        match recv(client, &mut wish, RecvFlags::empty()) {
            Ok((1, _)) => {
                // Whoever has lost patience is not there for it.
                let _ = send(client, &wish, SendFlags::NOSIGNAL);
            }
            Err(Errno::AGAIN) => return,
            _ => wish = [CLOSE],
        }
        match wish {
            [KEEP] => {}
            [STICK] => stick(),
            _ => {
                self.clients.remove(place);
                self.seat().open.fetch_sub(1, Relaxed);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the worker that is blocked")]
fn stick() {
    std::thread::sleep(STUCK);
}

fn wait(epoll: &OwnedFd, events: &mut Vec<Event>, limit: Option<&Timespec>) {
    events.clear();
    match epoll::wait(epoll, spare_capacity(events), limit) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => panic!("the worker's epoll failed: {error}"),
    }
}
