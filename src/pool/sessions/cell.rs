//! One live session as any thread may see it, and what its sweep finds due for it.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use crate::event::{Cause, SessionId, Who};
use crate::model::SessionAddress;
use crate::pool::conduct::Conduct;

/// What is known of one live session, in at most 128 bytes.
#[derive(Debug)]
pub struct Cell {
    pub id: SessionId,
    pub client: SessionAddress,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    accepted: u64,
    last_byte: AtomicU64,
    /// Longest time without a byte in milliseconds, 0 for none; the sweep closes the session after it.
    idle_limit: AtomicU32,
    command: AtomicU8,
    /// [`Note`]s, one bit each.
    notes: AtomicU8,
    /// When its server's peer was asked whether it lives: milliseconds that wrap after 49 days, 0 for never.
    asked: AtomicU32,
    /// When its server last sent a byte, in tenths of a second.
    last_out: AtomicU32,
}

/// What is to be remembered of a session until it has been seen to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note(u8);

impl Note {
    /// Younger than [`SETTLED`], and to be given what only longer sessions need.
    const FRESH: Self = Self(1);
    /// The sweep has found it old enough for that.
    pub const SETTLE: Self = Self(2);
    /// The session is to look at its peers.
    pub const LOOK: Self = Self(4);
    /// One of its peers had not acknowledged everything when it last looked.
    pub const OWED: Self = Self(8);
    /// The server's peer has answered since it was asked.
    pub const ANSWERED: Self = Self(16);
    /// It is to tell how it stands with it.
    pub const TELL: Self = Self(32);
}

/// The age in milliseconds from which on a session is worth what only longer ones need: most are over by then.
const SETTLED: u64 = 1000;

/// A session that has moved bytes within so many milliseconds looks every [`TURNS`] sweeps, five seconds, whether its
/// peers acknowledge them; one that is owed an acknowledgement every [`OWED_TURNS`], a second.
const LATELY: u64 = 10_000;
const TURNS: usize = 50;
const OWED_TURNS: usize = 10;

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
    /// it is a backup whose primary is back,
    PrimaryBack = 8,
    /// or it is no longer in the configuration.
    ServerRemoved = 9,
    /// The process stops, and a soft stop has waited for it for as long as it may.
    HardStop = 10,
}

impl Command {
    const ALL: [Self; 10] = [
        Self::Idle,
        Self::Close,
        Self::Shutdown,
        Self::ServerSilent,
        Self::ClientSilent,
        Self::ServerDown,
        Self::ServerDraining,
        Self::PrimaryBack,
        Self::ServerRemoved,
        Self::HardStop,
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
            Self::ServerRemoved => (Who::Killed, Cause::ServerRemoved),
            Self::HardStop => (Who::Killed, Cause::HardStop),
        }
    }
}

impl Cell {
    pub(super) fn new(id: SessionId, client: SessionAddress, accepted: u64) -> Self {
        Self {
            id,
            client,
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            accepted,
            last_byte: AtomicU64::new(accepted),
            idle_limit: AtomicU32::new(0),
            command: AtomicU8::new(0),
            notes: AtomicU8::new(0),
            asked: AtomicU32::new(0),
            last_out: AtomicU32::new(tenths(accepted)),
        }
    }

    /// The same session of another client, before any of its bytes are passed on.
    pub(super) fn of(&self, client: SessionAddress) -> Self {
        Self {
            client,
            command: AtomicU8::new(self.command.load(SeqCst)),
            notes: AtomicU8::new(self.notes.load(Relaxed)),
            idle_limit: AtomicU32::new(self.idle_limit.load(Relaxed)),
            last_byte: AtomicU64::new(self.last_byte.load(Relaxed)),
            ..Self::new(self.id, client, self.accepted)
        }
    }

    pub(super) fn passed_in(&self, bytes: u64, now: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
        self.touch(now);
    }

    pub(super) fn passed_out(&self, bytes: u64, now: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
        self.touch(now);
        self.last_out.store(tenths(now), Relaxed);
    }

    pub(super) fn touch(&self, now: u64) {
        self.last_byte.store(now, Relaxed);
    }

    /// Since accept.
    pub(super) fn age(&self, now: u64) -> Duration {
        Duration::from_millis(now.saturating_sub(self.accepted))
    }

    /// Since the last byte.
    pub(super) fn idle(&self, now: u64) -> Duration {
        Duration::from_millis(now.saturating_sub(self.last_byte.load(Relaxed)))
    }

    /// Gives it a command unless it has one: a session that is closing for one reason is not closed for another.
    pub(super) fn give(&self, command: Command) -> bool {
        self.command.compare_exchange(0, command as u8, SeqCst, SeqCst).is_ok()
    }

    /// Since the server's peer was asked, and whether it has answered; `None` if it was not asked.
    pub(super) fn asked(&self, now: u64) -> Option<(Duration, bool)> {
        self.asked_at(now).map(|since| (since, self.has(Note::ANSWERED)))
    }

    pub(super) fn ask(&self, now: u64) {
        self.forget(Note::ANSWERED);
        self.asked.store((now as u32).max(1), Relaxed);
    }

    pub(super) fn stop_asking(&self) {
        self.forget(Note::ANSWERED);
        self.asked.store(0, Relaxed);
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
        self.note(Note::FRESH);
    }

    /// Whether it has just become a second old, said once: time for what only longer sessions need.
    pub fn is_to_settle(&self) -> bool {
        self.take(Note::SETTLE)
    }

    /// Whether it is to tell how it stands with it, said once.
    pub fn is_to_tell(&self) -> bool {
        self.take(Note::TELL)
    }

    /// Whether its turn to tell has come since `before`: it has one in each `every`, from that age on, at a time of its
    /// own, so that sessions that came together are not told of together. All in milliseconds.
    pub(super) fn is_its_turn(&self, before: u64, now: u64, every: u64) -> bool {
        /// Its multiples are spread evenly over all numbers (Knuth, The Art of Computer Programming, section 6.4).
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let own = u64::from(self.id.generation).wrapping_mul(GOLDEN) % every;
        let turns = |at: u64| at.saturating_add(own) / every;
        now.saturating_sub(self.accepted) >= every && turns(before) != turns(now)
    }

    /// Whether it is to look at its peers, said once.
    pub fn is_to_look_now(&self) -> bool {
        self.take(Note::LOOK)
    }

    /// Whether it has become old enough to settle, said once.
    pub(super) fn settles(&self, now: u64) -> bool {
        now.saturating_sub(self.accepted) >= SETTLED && self.take(Note::FRESH)
    }

    /// Why it is to be closed, its peer unasked. Of a silence, only so much counts as there was somebody to hear: `steady`.
    pub(super) fn sentence(&self, conduct: Conduct, now: u64, steady: u64) -> Option<Command> {
        let unanswered = tenths(now).wrapping_sub(self.last_out.load(Relaxed));
        match conduct {
            Conduct::Leave | Conduct::Ask => None,
            Conduct::CloseIdle | Conduct::CloseQuiet => {
                let silence = self.idle(now).min(Duration::from_millis(steady));
                conduct.idle_limit().is_some_and(|limit| silence >= limit).then_some(Command::ServerDown)
            }
            // A process that sends anything does not hang.
            Conduct::CloseHung => (unanswered.min(tenths(steady)) >= HUNG).then_some(Command::ServerDown),
            Conduct::CloseDown => Some(Command::ServerDown),
            Conduct::CloseDraining => Some(Command::ServerDraining),
            Conduct::CloseBackup => Some(Command::PrimaryBack),
        }
    }

    pub(super) fn is_to_look(&self, conduct: Conduct, now: u64, turn: usize) -> bool {
        match (conduct, self.asked_at(now)) {
            // It puts its connection back as it was.
            (Conduct::Leave, Some(_)) => return true,
            (Conduct::Leave, None) => {}
            (_, Some(since)) if self.has(Note::ANSWERED) => return since >= ASK_AGAIN,
            _ => return true,
        }
        let idle = now.saturating_sub(self.last_byte.load(Relaxed));
        if self.has(Note::OWED) { turn.is_multiple_of(OWED_TURNS) } else { idle < LATELY && turn.is_multiple_of(TURNS) }
    }

    fn asked_at(&self, now: u64) -> Option<Duration> {
        let asked = self.asked.load(Relaxed);
        (asked != 0).then(|| Duration::from_millis((now as u32).wrapping_sub(asked).into()))
    }

    pub(super) fn note(&self, note: Note) {
        self.notes.fetch_or(note.0, Relaxed);
    }

    pub(super) fn forget(&self, note: Note) {
        self.notes.fetch_and(!note.0, Relaxed);
    }

    fn has(&self, note: Note) -> bool {
        self.notes.load(Relaxed) & note.0 != 0
    }

    /// Whether it has this note, and forgets it; looking alone costs nothing.
    fn take(&self, note: Note) -> bool {
        self.has(note) && self.notes.fetch_and(!note.0, Relaxed) & note.0 != 0
    }

    pub(super) fn is_overdue(&self, now: u64) -> bool {
        let limit = u64::from(self.idle_limit.load(Relaxed));
        limit != 0 && now.saturating_sub(self.last_byte.load(Relaxed)) >= limit
    }
}
