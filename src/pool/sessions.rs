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

use super::conduct::Conduct;
use super::history::History;
use super::server::Server;
use crate::event::{Cause, SessionId, Who};
use crate::model::{ProxyId, ServerId};

/// The sessions of one worker.
#[derive(Debug)]
pub struct Sessions {
    worker: u16,
    /// Times in cells are milliseconds since then.
    epoch: Instant,
    /// When a client was last heard of: by a byte, or by coming.
    client_heard: AtomicU64,
    /// Whether one was, from one sweep to the next.
    clients_heard: History,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    taken: Slab<Place>,
    generation: u32,
    /// Sweeps so far.
    turn: usize,
}

#[derive(Debug)]
struct Place {
    cell: Arc<Cell>,
    /// Wakes the session's task; `None` until it has first run.
    waker: Option<Waker>,
    /// Once it is connected to one.
    server: Option<Arc<Server>>,
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
    /// [`FRESH`] and so on.
    notes: AtomicU8,
    /// When its server's peer was asked whether it lives: milliseconds that wrap after 49 days, 0 for never.
    asked: AtomicU32,
    /// When its server last sent a byte, in tenths of a second.
    last_out: AtomicU32,
}

/// Younger than [`SETTLED`], and to be given what only longer sessions need.
const FRESH: u8 = 1;
/// The sweep has found it old enough for that.
const SETTLE: u8 = 2;
/// The session is to look at its peers.
const LOOK: u8 = 4;
/// One of its peers has not acknowledged everything when it last looked.
const OWED: u8 = 8;
/// The server's peer has answered since it was asked.
const ANSWERED: u8 = 16;

/// The age in milliseconds from which on a session is worth what only longer ones need: most are over by then.
const SETTLED: u64 = 1000;

/// A session that has moved bytes within so many milliseconds looks every [`TURNS`] sweeps, five seconds, whether its
/// peers acknowledge them; one that is owed an acknowledgement every [`OWED_TURNS`], a second.
const LATELY: u64 = 10_000;
const TURNS: usize = 20;
const OWED_TURNS: usize = 4;

/// How soon a peer that has answered is asked again while its server is doubted.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How long a server must have sent nothing for a session to be closed because it hangs, in tenths of a second.
const HUNG: u32 = 50;

/// Milliseconds as tenths of a second, which reach for 13 years.
fn tenths(milliseconds: u64) -> u32 {
    (milliseconds / 100) as u32
}

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
    /// The server's peer acknowledges nothing any more,
    ServerSilent = 4,
    /// or the client does not.
    ClientSilent = 5,
    /// Its server is down, and sessions are closed for that;
    ServerDown = 6,
    /// it drains,
    ServerDraining = 7,
    /// or it is a backup whose primary is back.
    PrimaryBack = 8,
}

impl Command {
    const ALL: [Self; 8] = [
        Self::Idle,
        Self::Close,
        Self::Shutdown,
        Self::ServerSilent,
        Self::ClientSilent,
        Self::ServerDown,
        Self::ServerDraining,
        Self::PrimaryBack,
    ];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|command| *command as u8 == code)
    }

    /// Who ends a session by it, and the cause in its record.
    pub fn ending(self) -> (Who, Cause) {
        match self {
            Self::Idle => (Who::ClientTimeout, Cause::Idle),
            Self::Close => (Who::Killed, Cause::Operator),
            Self::Shutdown => (Who::Killed, Cause::Shutdown),
            Self::ServerSilent => (Who::Down, Cause::Silent),
            Self::ClientSilent => (Who::Client, Cause::Silent),
            Self::ServerDown => (Who::Down, Cause::ServerDown),
            Self::ServerDraining => (Who::Down, Cause::ServerDraining),
            Self::PrimaryBack => (Who::Up, Cause::PrimaryBack),
        }
    }
}

impl Sessions {
    pub fn new(worker: u16) -> Arc<Self> {
        Arc::new(Self {
            worker,
            epoch: Instant::now(),
            client_heard: AtomicU64::new(0),
            clients_heard: History::new(Self::SWEEP),
            places: Mutex::default(),
        })
    }

    pub fn worker(&self) -> u16 {
        self.worker
    }

    /// Enters a session; it leaves when the guard is dropped.
    pub fn enter(self: &Arc<Self>, client: SocketAddr, frontend: ProxyId) -> Entered {
        let accepted = self.now();
        self.client_heard.store(accepted, Relaxed);
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
            notes: AtomicU8::new(0),
            asked: AtomicU32::new(0),
            last_out: AtomicU32::new(tenths(accepted)),
        });
        vacant.insert(Place { cell: Arc::clone(&cell), waker: None, server: None });
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

    /// How often all sessions are to be looked at: deadlines are as exact as this.
    pub const SWEEP: Duration = Duration::from_millis(250);

    /// Looks at every session, and tells those to end, or to look for themselves, for which it is time.
    pub fn sweep(&self) {
        let now = self.now();
        let last = now.saturating_sub(u64::try_from(Self::SWEEP.as_millis()).unwrap_or(u64::MAX));
        self.clients_heard.push(self.client_heard.load(Relaxed) > last);
        let mut places = self.lock();
        places.turn = places.turn.wrapping_add(1);
        let turn = places.turn;
        for (slot, place) in &places.taken {
            match place.due(now, turn.wrapping_add(slot)) {
                Due::Nothing => {}
                Due::Told(command) => place.tell(command),
                Due::Woken(note) => {
                    place.cell.note(note);
                    place.wake();
                }
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

/// What a sweep has for one session.
enum Due {
    Nothing,
    Told(Command),
    /// It is woken for what this note says.
    Woken(u8),
}

impl Place {
    /// `turn` is another one for each session at the same time: what is done now and then is spread over them.
    fn due(&self, now: u64, turn: usize) -> Due {
        if self.cell.is_overdue(now) {
            return Due::Told(Command::Idle);
        }
        if self.cell.settles(now) {
            return Due::Woken(SETTLE);
        }
        let conduct = self.server.as_ref().map_or(Conduct::Leave, |server| server.conduct());
        if let (None, Some(command), Some(server)) =
            (self.cell.command(), self.cell.sentence(conduct, now), &self.server)
            && server.may_close_one()
        {
            return Due::Told(command);
        }
        if self.cell.is_to_look(conduct, now, turn) { Due::Woken(LOOK) } else { Due::Nothing }
    }

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

    /// Notes the server that it is connected to.
    pub fn set_server(&self, backend: ProxyId, server: &Arc<Server>, port: u16) {
        self.cell.set_server(backend, server.spec.id, port);
        if let Some(place) = self.sessions.lock().taken.get_mut(self.cell.id.slot as usize) {
            place.server = Some(Arc::clone(server));
        }
    }

    /// Since accept.
    pub fn age(&self) -> Duration {
        Duration::from_millis(self.sessions.now().saturating_sub(self.cell.accepted))
    }

    /// Notes that the session begins to be idle.
    pub fn touch(&self) {
        self.cell.last_byte.store(self.sessions.now(), Relaxed);
    }

    /// Notes bytes of the client that have been passed on.
    pub fn passed_in(&self, bytes: u64) {
        let now = self.sessions.now();
        self.cell.bytes_in.fetch_add(bytes, Relaxed);
        self.cell.last_byte.store(now, Relaxed);
        self.sessions.client_heard.store(now, Relaxed);
    }

    /// Notes bytes of the server that have been passed on.
    pub fn passed_out(&self, bytes: u64) {
        let now = self.sessions.now();
        self.cell.bytes_out.fetch_add(bytes, Relaxed);
        self.cell.last_byte.store(now, Relaxed);
        self.cell.last_out.store(tenths(now), Relaxed);
    }

    /// Since the server's peer was asked whether it lives, and whether it has answered; `None` if it was not asked.
    pub fn asked(&self) -> Option<(Duration, bool)> {
        self.cell.asked_at(self.sessions.now()).map(|since| (since, self.cell.has(ANSWERED)))
    }

    /// Notes that the server's peer is asked now.
    pub fn ask(&self) {
        self.cell.forget(ANSWERED);
        self.cell.asked.store((self.sessions.now() as u32).max(1), Relaxed);
    }

    /// Notes that the server's peer has answered.
    pub fn note_answer(&self) {
        self.cell.note(ANSWERED);
    }

    /// Notes that nobody asks any more.
    pub fn stop_asking(&self) {
        self.cell.forget(ANSWERED);
        self.cell.asked.store(0, Relaxed);
    }

    /// Notes whether one of its peers owes an acknowledgement, so that it looks again soon.
    pub fn set_owed(&self, owed: bool) {
        if owed { self.cell.note(OWED) } else { self.cell.forget(OWED) }
    }

    /// Whether another client of the worker's was heard while this one was silent: between these times ago.
    pub fn is_another_client_heard(&self, longest: Duration, shortest: Duration) -> bool {
        self.sessions.clients_heard.heard_between(longest, shortest)
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
        self.note(FRESH);
    }

    /// Whether it has just become a second old, said once: time for what only longer sessions need.
    pub fn is_to_settle(&self) -> bool {
        self.has(SETTLE) && self.take(SETTLE | FRESH) & SETTLE != 0
    }

    /// Whether it is to look at its peers, said once.
    pub fn is_to_look_now(&self) -> bool {
        self.has(LOOK) && self.take(LOOK) & LOOK != 0
    }

    fn settles(&self, now: u64) -> bool {
        self.notes.load(Relaxed) & (FRESH | SETTLE) == FRESH && now.saturating_sub(self.accepted) >= SETTLED
    }

    /// Why it is to be closed, its peer unasked.
    fn sentence(&self, conduct: Conduct, now: u64) -> Option<Command> {
        let idle = Duration::from_millis(now.saturating_sub(self.last_byte.load(Relaxed)));
        let unanswered = tenths(now).wrapping_sub(self.last_out.load(Relaxed));
        match conduct {
            Conduct::Leave | Conduct::Ask => None,
            Conduct::CloseIdle | Conduct::CloseQuiet => {
                conduct.idle_limit().is_some_and(|limit| idle >= limit).then_some(Command::ServerDown)
            }
            // A process that sends anything does not hang.
            Conduct::CloseHung => (unanswered >= HUNG).then_some(Command::ServerDown),
            Conduct::CloseDown => Some(Command::ServerDown),
            Conduct::CloseDraining => Some(Command::ServerDraining),
            Conduct::CloseBackup => Some(Command::PrimaryBack),
        }
    }

    fn is_to_look(&self, conduct: Conduct, now: u64, turn: usize) -> bool {
        match (conduct, self.asked_at(now)) {
            // It puts its connection back as it was.
            (Conduct::Leave, Some(_)) => return true,
            (Conduct::Leave, None) => {}
            (_, Some(since)) if self.has(ANSWERED) => return since >= ASK_AGAIN,
            _ => return true,
        }
        let idle = now.saturating_sub(self.last_byte.load(Relaxed));
        if self.has(OWED) { turn.is_multiple_of(OWED_TURNS) } else { idle < LATELY && turn.is_multiple_of(TURNS) }
    }

    fn asked_at(&self, now: u64) -> Option<Duration> {
        let asked = self.asked.load(Relaxed);
        (asked != 0).then(|| Duration::from_millis((now as u32).wrapping_sub(asked).into()))
    }

    fn note(&self, note: u8) {
        self.notes.fetch_or(note, Relaxed);
    }

    fn forget(&self, note: u8) {
        self.notes.fetch_and(!note, Relaxed);
    }

    fn has(&self, note: u8) -> bool {
        self.notes.load(Relaxed) & note != 0
    }

    fn take(&self, notes: u8) -> u8 {
        self.notes.fetch_and(!notes, Relaxed)
    }

    /// Where it goes, and from which port of ours.
    fn set_server(&self, backend: ProxyId, server: ServerId, port: u16) {
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
