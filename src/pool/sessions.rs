//! Who is connected: the sessions of one worker, readable from any thread while the worker goes on.
//!
//! A session's [`Cell`] holds what its relay updates anyway. A command to a session is a flag in its cell and a wake
//! of its task, so that no session needs a channel.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use crate::event::{Cause, SessionId, Who};
use crate::model::{ProxyId, ServerId};

/// The sessions of one worker.
#[derive(Debug)]
pub struct Sessions {
    worker: u16,
    /// Times in cells are milliseconds since then.
    epoch: Instant,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    taken: Slab<Place>,
    generation: u32,
}

#[derive(Debug)]
struct Place {
    cell: Arc<Cell>,
    /// Wakes the session's task; `None` until it has first run.
    waker: Option<Waker>,
}

/// What is known of one live session, in at most 128 bytes.
#[derive(Debug)]
pub struct Cell {
    pub id: SessionId,
    pub client: SocketAddr,
    pub frontend: ProxyId,
    /// 0 until it has a server.
    backend: AtomicU32,
    server: AtomicU32,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    accepted: u64,
    last_byte: AtomicU64,
    /// Longest time without a byte in milliseconds, 0 for none; the sweep closes the session after it.
    idle_limit: AtomicU32,
    /// Our port towards the server, 0 before there is one.
    port: AtomicU16,
    command: AtomicU8,
    /// Whether its connection to the server has been given what only longer sessions need: [`FRESH`] and so on.
    age: AtomicU8,
}

/// Nothing is to be given.
const PLAIN: u8 = 0;
/// Younger than [`SETTLED`].
const FRESH: u8 = 1;
/// The sweep has found it old enough.
const SETTLE: u8 = 2;

/// The age in milliseconds from which on a session is worth what only longer ones need: most are over by then.
const SETTLED: u64 = 1000;

/// Why a session is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    /// No byte for longer than the session may be idle.
    Idle = 1,
    /// The operator closed it.
    Close = 2,
    /// The process stops.
    Shutdown = 3,
}

impl Command {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Idle, Self::Close, Self::Shutdown].into_iter().find(|command| *command as u8 == code)
    }

    /// Who ends a session by it, and the cause in its record.
    pub fn ending(self) -> (Who, Cause) {
        match self {
            Self::Idle => (Who::ClientTimeout, Cause::Idle),
            Self::Close => (Who::Killed, Cause::Operator),
            Self::Shutdown => (Who::Killed, Cause::Shutdown),
        }
    }
}

impl Sessions {
    pub fn new(worker: u16) -> Arc<Self> {
        Arc::new(Self { worker, epoch: Instant::now(), places: Mutex::default() })
    }

    pub fn worker(&self) -> u16 {
        self.worker
    }

    /// Enters a session; it leaves when the guard is dropped.
    pub fn enter(self: &Arc<Self>, client: SocketAddr, frontend: ProxyId) -> Entered {
        let accepted = self.now();
        let mut places = self.lock();
        places.generation = places.generation.wrapping_add(1);
        let generation = places.generation;
        let vacant = places.taken.vacant_entry();
        let slot = u32::try_from(vacant.key()).expect("fewer sessions than descriptors, which are 32-bit numbers");
        let cell = Arc::new(Cell {
            id: SessionId { worker: self.worker, slot, generation },
            client,
            frontend,
            backend: AtomicU32::new(0),
            server: AtomicU32::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            accepted,
            last_byte: AtomicU64::new(accepted),
            idle_limit: AtomicU32::new(0),
            port: AtomicU16::new(0),
            command: AtomicU8::new(0),
            age: AtomicU8::new(PLAIN),
        });
        vacant.insert(Place { cell: Arc::clone(&cell), waker: None });
        Entered { sessions: Arc::clone(self), cell }
    }

    /// Sessions at the moment.
    pub fn len(&self) -> usize {
        self.lock().taken.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cells of all sessions.
    pub fn list(&self) -> Vec<Arc<Cell>> {
        self.lock().taken.iter().map(|(_, place)| Arc::clone(&place.cell)).collect()
    }

    /// Tells a session to end; `false` if it has ended already.
    pub fn command(&self, id: SessionId, command: Command) -> bool {
        let places = self.lock();
        let place = places.taken.get(id.slot as usize).filter(|place| place.cell.id == id);
        if let Some(place) = place {
            place.tell(command);
        }
        place.is_some()
    }

    /// Looks at every session: those that have been idle for too long are told to end, and
    /// those that have become a second old are woken.
    pub fn sweep(&self) {
        let now = self.now();
        for (_, place) in &self.lock().taken {
            if place.cell.is_overdue(now) {
                place.tell(Command::Idle);
            } else if place.cell.settles(now) {
                place.wake();
            }
        }
    }

    /// Since the last byte of one of these sessions.
    pub fn idle(&self, cell: &Cell) -> Duration {
        Duration::from_millis(self.now().saturating_sub(cell.last_byte.load(Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Every change under this lock is one insertion or removal: there is no half-done state to fear.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn tell(&self, command: Command) {
        // The first command stays: a session that is closing for one reason is not closed for another.
        if self.cell.command.compare_exchange(0, command as u8, SeqCst, SeqCst).is_ok() {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// A session's place among its worker's; dropping it leaves.
#[derive(Debug)]
pub struct Entered {
    sessions: Arc<Sessions>,
    cell: Arc<Cell>,
}

impl Entered {
    pub fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    /// The task to wake when there is a command. A task's waker does not change in its life, so once is enough.
    pub fn wake_with(&self, waker: Waker) {
        if let Some(place) = self.sessions.lock().taken.get_mut(self.cell.id.slot as usize) {
            place.waker = Some(waker);
        }
    }

    /// Since accept.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.sessions.now().saturating_sub(self.cell.accepted))
    }

    /// Notes that bytes have gone through.
    pub fn touch(&self) {
        self.cell.last_byte.store(self.sessions.now(), Relaxed);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let place = self.sessions.lock().taken.try_remove(self.cell.id.slot as usize);
        // The waker may be the last reference to the task: let it go outside the lock.
        drop(place);
    }
}

impl Cell {
    pub fn add_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
    }

    pub fn add_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
    }

    /// Bytes passed on from the client and from the server.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes_in.load(Relaxed), self.bytes_out.load(Relaxed))
    }

    /// The command that it has been given.
    pub fn command(&self) -> Option<Command> {
        Command::from_code(self.command.load(Relaxed))
    }

    /// Longest time without a byte from now on; `None` for any time.
    pub fn limit_idle(&self, limit: Option<Duration>) {
        let limit = limit.map_or(0, |limit| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).max(1));
        self.idle_limit.store(limit, Relaxed);
    }

    /// Has the session woken when it is a second old.
    pub fn set_fresh(&self) {
        self.age.store(FRESH, Relaxed);
    }

    /// Whether it has just become a second old, said once: time for what only longer sessions need.
    pub fn is_to_settle(&self) -> bool {
        self.age.load(Relaxed) == SETTLE && self.age.compare_exchange(SETTLE, PLAIN, Relaxed, Relaxed).is_ok()
    }

    fn settles(&self, now: u64) -> bool {
        now.saturating_sub(self.accepted) >= SETTLED
            && self.age.compare_exchange(FRESH, SETTLE, Relaxed, Relaxed).is_ok()
    }

    /// Where it goes, and from which port of ours.
    pub fn set_server(&self, backend: ProxyId, server: ServerId, port: u16) {
        self.backend.store(backend.0, Relaxed);
        self.server.store(server.0, Relaxed);
        self.port.store(port, Relaxed);
    }

    /// Its server, once it has one.
    pub fn server(&self) -> Option<(ProxyId, ServerId)> {
        let server = self.server.load(Relaxed);
        (server != 0).then(|| (ProxyId(self.backend.load(Relaxed)), ServerId(server)))
    }

    fn is_overdue(&self, now: u64) -> bool {
        let limit = u64::from(self.idle_limit.load(Relaxed));
        limit != 0 && now.saturating_sub(self.last_byte.load(Relaxed)) >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> SocketAddr {
        "192.0.2.7:40000".parse().unwrap()
    }

    #[test]
    fn a_cell_stays_within_two_cache_lines() {
        assert!(size_of::<Cell>() <= 128, "{} bytes", size_of::<Cell>());
    }

    #[test]
    fn an_id_is_never_given_out_again() {
        let sessions = Sessions::new(3);
        let first = sessions.enter(client(), ProxyId::FIRST);
        let id = first.cell().id;
        drop(first);
        let second = sessions.enter(client(), ProxyId::FIRST);
        assert_eq!(second.cell().id.slot, id.slot);
        assert_ne!(second.cell().id, id);
        assert!(!sessions.command(id, Command::Close), "the first session is gone");
        assert_eq!(second.cell().command(), None);
        assert!(sessions.command(second.cell().id, Command::Close));
        assert_eq!(second.cell().command(), Some(Command::Close));
    }

    #[tokio::test(start_paused = true)]
    async fn the_sweep_ends_who_is_idle_for_too_long_and_nobody_else() {
        let sessions = Sessions::new(0);
        let (limited, free) = (sessions.enter(client(), ProxyId::FIRST), sessions.enter(client(), ProxyId::FIRST));
        limited.cell().limit_idle(Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(9)).await;
        limited.touch();
        tokio::time::advance(Duration::from_secs(9)).await;
        sessions.sweep();
        assert_eq!(limited.cell().command(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        sessions.sweep();
        assert_eq!(limited.cell().command(), Some(Command::Idle));
        assert_eq!(free.cell().command(), None);
    }
}
