//! Who is connected: the sessions of one worker, readable from any thread while the worker goes on.
//!
//! A session's [`Cell`] holds what its relay updates anyway. A command to a session is a flag in its cell and a wake
//! of its task, so that no session needs a channel.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use self::cell::Note;
use super::conduct::Conduct;
use super::history::History;
use super::server::Server;
use crate::event::SessionId;
use crate::model::{BackendName, FrontendName, SessionAddress};

mod cell;

pub use self::cell::{Cell, Command};

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
    /// When it was last seen whose turn it was to tell how it stands with it.
    called: u64,
    /// When the last sweep was, and since when none has come [`Sessions::LATE`].
    swept: u64,
    steady: u64,
}

#[derive(Debug)]
struct Place {
    cell: Arc<Cell>,
    way: Way,
    /// Wakes the session's task; `None` until it has first run.
    waker: Option<Waker>,
    /// Once it is connected to one.
    server: Option<Arc<Server>>,
    /// Our address towards it.
    source: Option<SocketAddr>,
}

/// By which frontend a session has come in, and to which backend that leads: names, because a reload may give their
/// numbers to others.
#[derive(Debug, Clone)]
pub struct Way {
    pub frontend: FrontendName,
    pub backend: BackendName,
}

/// A live session as an operator sees it.
#[derive(Debug)]
pub struct Live {
    pub cell: Arc<Cell>,
    pub way: Way,
    pub server: Option<Arc<Server>>,
    /// Our address towards the server.
    pub source: Option<SocketAddr>,
    pub age: Duration,
    pub idle: Duration,
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
    pub fn enter(self: &Arc<Self>, client: impl Into<SessionAddress>, way: Way) -> Entered {
        let accepted = self.now();
        self.client_heard.store(accepted, Relaxed);
        let mut places = self.lock();
        places.generation = places.generation.wrapping_add(1);
        let generation = places.generation;
        let vacant = places.taken.vacant_entry();
        let slot = u32::try_from(vacant.key()).expect("fewer sessions than descriptors, which are 32-bit numbers");
        let id = SessionId { worker: self.worker, slot, generation };
        let cell = Arc::new(Cell::new(id, client.into(), accepted));
        vacant.insert(Place { cell: Arc::clone(&cell), way, waker: None, server: None, source: None });
        Entered { sessions: Arc::clone(self), cell }
    }

    /// Sessions at the moment.
    pub fn len(&self) -> usize {
        self.lock().taken.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A session, for whoever must not wait: a worker that hangs may hold the lock.
    pub fn try_find(&self, id: SessionId) -> Option<Live> {
        let places = match self.places.try_lock() {
            Ok(places) => places,
            Err(TryLockError::Poisoned(places)) => places.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let place = places.taken.get(id.slot as usize).filter(|place| place.cell.id == id)?;
        Some(place.live(self.now()))
    }

    /// All sessions, with their servers.
    pub fn live(&self) -> Vec<Live> {
        let now = self.now();
        self.lock().taken.iter().map(|(_, place)| place.live(now)).collect()
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
    pub const SWEEP: Duration = Duration::from_millis(100);

    /// A sweep that comes so long after the last one, in milliseconds, shows that the worker has stood still, or the whole
    /// machine. Silence of that time is nobody's: what was said meanwhile is still to be read.
    const LATE: u64 = 500;

    /// Looks at every session, and tells those to end, or to look for themselves, for which it is time.
    pub fn sweep(&self) {
        let now = self.now();
        self.clients_heard.note(self.epoch + Duration::from_millis(self.client_heard.load(Relaxed)));
        let mut places = self.lock();
        places.turn = places.turn.wrapping_add(1);
        let turn = places.turn;
        if now.saturating_sub(std::mem::replace(&mut places.swept, now)) >= Self::LATE {
            places.steady = now;
        }
        let steady = now - places.steady;
        for (slot, place) in &places.taken {
            match place.due(now, turn.wrapping_add(slot), steady) {
                Due::Nothing => {}
                Due::Told(command) => place.tell(command),
                Due::Woken(note) => {
                    place.cell.note(note);
                    place.wake();
                }
            }
        }
    }

    /// How often it is seen whose turn it is to tell how it stands with it, in milliseconds.
    const CALL: u64 = 1000;

    /// Has those sessions that are connected tell how it stands with them whose turn it is: each has one in each `every`.
    pub fn call_for_progress(&self, every: Duration) {
        let (now, every) = (self.now(), u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1));
        let mut places = self.lock();
        if now.saturating_sub(places.called) < Self::CALL {
            return;
        }
        let before = std::mem::replace(&mut places.called, now);
        for (_, place) in &places.taken {
            if place.server.is_some() && place.cell.is_its_turn(before, now, every) {
                place.cell.note(Note::TELL);
                place.wake();
            }
        }
    }

    /// Since the last byte of one of these sessions.
    pub fn idle(&self, cell: &Cell) -> Duration {
        cell.idle(self.now())
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
    Woken(Note),
}

impl Place {
    fn live(&self, now: u64) -> Live {
        Live {
            cell: Arc::clone(&self.cell),
            way: self.way.clone(),
            server: self.server.clone(),
            source: self.source,
            age: self.cell.age(now),
            idle: self.cell.idle(now),
        }
    }

    /// `turn` is another one for each session at the same time: what is done now and then is spread over them. `steady` is
    /// for how many milliseconds the worker has turned without standing still.
    fn due(&self, now: u64, turn: usize, steady: u64) -> Due {
        if self.cell.is_overdue(now) {
            return Due::Told(Command::Idle);
        }
        if self.cell.settles(now) {
            return Due::Woken(Note::SETTLE);
        }
        let conduct = self.server.as_ref().map_or(Conduct::Leave, |server| server.conduct());
        if let (None, Some(command), Some(server)) =
            (self.cell.command(), self.cell.sentence(conduct, now, steady), &self.server)
            && server.may_close_one()
        {
            return Due::Told(command);
        }
        if self.cell.is_to_look(conduct, now, turn) { Due::Woken(Note::LOOK) } else { Due::Nothing }
    }

    fn tell(&self, command: Command) {
        // The first command stays: a session that is closing for one reason is not closed for another.
        if self.cell.give(command) {
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

    /// Has the session be another client's, whom the one that is connected stands for.
    pub fn set_client(&mut self, client: SessionAddress) {
        let mut places = self.sessions.lock();
        if let Some(place) = places.taken.get_mut(self.cell.id.slot as usize) {
            // Under the lock, which whoever tells the session something holds, too: no word is lost between the two.
            self.cell = Arc::new(self.cell.of(client));
            place.cell = Arc::clone(&self.cell);
        }
    }

    /// Notes that it goes to another backend than its frontend's.
    pub fn set_backend(&self, backend: BackendName) {
        if let Some(place) = self.sessions.lock().taken.get_mut(self.cell.id.slot as usize) {
            place.way.backend = backend;
        }
    }

    /// Notes the server that it is connected to, and from which address of ours.
    pub fn set_server(&self, server: &Arc<Server>, source: Option<SocketAddr>) {
        if let Some(place) = self.sessions.lock().taken.get_mut(self.cell.id.slot as usize) {
            place.server = Some(Arc::clone(server));
            place.source = source;
        }
    }

    /// Since accept.
    pub fn age(&self) -> Duration {
        self.cell.age(self.sessions.now())
    }

    /// Notes that the session begins to be idle.
    pub fn touch(&self) {
        self.cell.touch(self.sessions.now());
    }

    /// Notes bytes of the client that have been passed on.
    pub fn passed_in(&self, bytes: u64) {
        let now = self.sessions.now();
        self.cell.passed_in(bytes, now);
        self.sessions.client_heard.store(now, Relaxed);
    }

    /// Notes bytes of the server that have been passed on.
    pub fn passed_out(&self, bytes: u64) {
        let now = self.sessions.now();
        self.cell.passed_out(bytes, now);
    }

    /// Since the server's peer was asked whether it lives, and whether it has answered; `None` if it was not asked.
    pub fn asked(&self) -> Option<(Duration, bool)> {
        self.cell.asked(self.sessions.now())
    }

    /// Notes that the server's peer is asked now.
    pub fn ask(&self) {
        self.cell.ask(self.sessions.now());
    }

    /// Notes that the server's peer has answered.
    pub fn note_answer(&self) {
        self.cell.note(Note::ANSWERED);
    }

    /// Notes that nobody asks any more.
    pub fn stop_asking(&self) {
        self.cell.stop_asking();
    }

    /// Notes whether one of its peers owes an acknowledgement, so that it looks again soon.
    pub fn set_owed(&self, owed: bool) {
        if owed { self.cell.note(Note::OWED) } else { self.cell.forget(Note::OWED) }
    }

    /// Whether another client of the worker's was heard while this one was silent: between these times ago.
    pub fn is_another_client_heard(&self, longest: Duration, shortest: Duration) -> bool {
        self.sessions.clients_heard.heard_between(Instant::now(), longest, shortest)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let place = self.sessions.lock().taken.try_remove(self.cell.id.slot as usize);
        // The waker may be the last reference to the task: let it go outside the lock.
        drop(place);
    }
}

#[cfg(test)]
mod tests;
