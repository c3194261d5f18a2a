//! The live state of one backend: who its servers are, how they stand, who gets the next session.
//!
//! Everything that a choice depends on is behind one lock, held for the choice and its counting and never across an
//! await. That makes least-connections exact, whatever number of workers ask. Checks write verdicts in ([`Pool::apply`]),
//! sessions take slots out ([`Pool::lease`]), pages read ([`Pool::snapshot`]); they never meet anywhere else.

pub mod counters;
pub mod health;
pub mod queue;
pub mod server;
pub mod sessions;
pub mod sources;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use self::counters::{Counters, Open};
use self::queue::{Queue, Ticket, Waiter};
use self::server::{Server, Standing};
use self::sources::{Claim, Sources};
use crate::balance::{self, Candidate, Given};
use crate::clock;
use crate::event::{AdminState, BackendSnapshot, Evidence, ServerChange, ServerState, SharedSource, Verdict};
use crate::model::{self, Balance, OnNoServer};

/// One backend while the process runs.
#[derive(Debug)]
pub struct Pool {
    pub spec: model::Backend,
    pub counters: Arc<Counters>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    members: Vec<Member>,
    /// Choices made so far: the number of the last one.
    choices: u64,
    queue: Queue,
    up: bool,
    ever_up: bool,
    since: (SystemTime, Instant),
    /// Finished times without a usable server.
    downtime: Duration,
    /// Kept between choices for its memory.
    scratch: Vec<Candidate>,
    /// Who has been given to whom, for [`Balance::Spread`]; empty otherwise.
    sources: Sources,
}

/// A server and what the choice knows of it.
#[derive(Debug)]
struct Member {
    server: Arc<Server>,
    standing: Standing,
    in_flight: u32,
    last_chosen: u64,
    credit: i64,
}

/// The answer to who may have this session.
#[derive(Debug)]
pub enum Lease {
    Leased(Leased),
    /// All that could take it are full; the ticket waits for a slot.
    Wait(Ticket),
    Refused(Refusal),
}

/// Why nobody gets a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No server may have it.
    NoServer,
    /// Each that may have it has been tried.
    AllTried,
}

/// The right to send one session to one server; dropping it gives the slot back.
#[derive(Debug)]
pub struct Leased {
    pub server: Arc<Server>,
    /// The server counts as down: it is tried because no better one is left.
    pub last_resort: bool,
    pool: Arc<Pool>,
    /// Boxed, because most backends have none and a session holds it to its end.
    claim: Option<Box<Claim>>,
    _open: Open,
}

impl Leased {
    /// Notes that the connection to the server stands: only then has the server been given to the session's source.
    pub fn connected(&mut self) {
        if let Some(claim) = &mut self.claim {
            self.pool.lock().sources.connect(self.server.key, claim);
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.pool.give_back(&self.server, self.claim.as_deref());
    }
}

/// Which servers a session may be given to, best first. A server that the operator took out is in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    ReadyPrimary,
    ReadyBackup,
    DrainingPrimary,
    DrainingBackup,
    /// All that the operator has not taken out, when [`OnNoServer::TryAll`] is set.
    LastResort,
}

impl Tier {
    const ORDER: [Self; 5] =
        [Self::ReadyPrimary, Self::ReadyBackup, Self::DrainingPrimary, Self::DrainingBackup, Self::LastResort];

    /// How one of a tier is chosen. Backups stand in for one another, in file order, as HAProxy's do without
    /// `option allbackups` (its manual, section 4.2): the first has all sessions.
    fn balance(self, spec: &model::Backend) -> Balance {
        match self {
            Self::ReadyBackup | Self::DrainingBackup => Balance::First,
            Self::ReadyPrimary | Self::DrainingPrimary | Self::LastResort => spec.balance,
        }
    }

    fn of(state: ServerState, backup: bool) -> Option<Self> {
        match (state, backup) {
            (ServerState::Ready, false) => Some(Self::ReadyPrimary),
            (ServerState::Ready, true) => Some(Self::ReadyBackup),
            (ServerState::Draining, false) => Some(Self::DrainingPrimary),
            (ServerState::Draining, true) => Some(Self::DrainingBackup),
            (ServerState::Down(_), _) => Some(Self::LastResort),
            (ServerState::Drain | ServerState::Maint, _) => None,
        }
    }
}

/// Servers that a session has tried in vain.
pub type Tried = Vec<Arc<Server>>;

impl Pool {
    pub fn new(spec: model::Backend) -> Arc<Self> {
        let members: Vec<_> = spec.servers.iter().cloned().map(Member::new).collect();
        let unchecked = members.iter().any(|member| member.server.check().is_none());
        let mut state = State {
            members,
            choices: 0,
            queue: Queue::default(),
            up: true,
            ever_up: unchecked,
            since: (clock::wall(), Instant::now()),
            downtime: Duration::ZERO,
            scratch: Vec::new(),
            sources: Sources::new(),
        };
        state.up = state.is_usable();
        Arc::new(Self { spec, counters: Arc::default(), state: Mutex::new(state) })
    }

    /// Its servers in file order.
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.lock().members.iter().map(|member| Arc::clone(&member.server)).collect()
    }

    /// Chooses a server for a session from `source`, other than those it has tried, and counts it there at once.
    pub fn lease(self: &Arc<Self>, source: IpAddr, tried: &Tried) -> Lease {
        let mut state = self.lock();
        match state.choose(&self.spec, source, tried) {
            Choice::Chosen(chosen) => {
                drop(state);
                Lease::Leased(self.leased(chosen))
            }
            Choice::Full => {
                let ticket = state.queue.join(self, source, tried.clone());
                Lease::Wait(ticket)
            }
            Choice::Nobody(refusal) => Lease::Refused(refusal),
        }
    }

    fn leased(self: &Arc<Self>, chosen: Chosen) -> Leased {
        let Chosen { server, last_resort, claim } = chosen;
        counters::count(&server.counters.chosen);
        counters::count(&self.counters.chosen);
        let open = server.counters.begin();
        Leased { server, last_resort, pool: Arc::clone(self), claim, _open: open }
    }

    fn give_back(self: &Arc<Self>, server: &Arc<Server>, claim: Option<&Claim>) {
        let mut state = self.lock();
        if let Some(member) = state.member(server) {
            member.in_flight -= 1;
        }
        if let Some(claim) = claim {
            state.sources.end(server.key, claim);
        }
        drop(state);
        self.serve_queue();
    }

    /// Gives slots to those who wait, first come first served, while there are any of both.
    fn serve_queue(self: &Arc<Self>) {
        while let Some((waiter, answer)) = self.next_answer() {
            // A waiter that has just left gets its lease all the same, and drops it: outside the lock, as it must be.
            waiter.answer(answer.map(|chosen| self.leased(chosen)));
        }
    }

    /// The first who need not wait any longer, and the answer.
    fn next_answer(&self) -> Option<(Waiter, Result<Chosen, Refusal>)> {
        let mut state = self.lock();
        let mut queue = std::mem::take(&mut state.queue);
        // What one newcomer can't have, no other can: a long queue is not asked one by one.
        let mut full = false;
        let answered = queue.first_answered(|waiter| {
            if full && waiter.tried.is_empty() {
                return None;
            }
            match state.choose(&self.spec, waiter.source, &waiter.tried) {
                Choice::Full => {
                    full |= waiter.tried.is_empty();
                    None
                }
                Choice::Chosen(chosen) => Some(Ok(chosen)),
                Choice::Nobody(refusal) => Some(Err(refusal)),
            }
        });
        state.queue = queue;
        answered
    }

    /// Counts a verdict on a server; what it changed, if anything.
    pub fn apply(self: &Arc<Self>, server: &Arc<Server>, verdict: Verdict) -> Option<ServerChange> {
        let mut state = self.lock();
        let evidence = verdict.evidence.clone();
        let passed = !matches!(verdict.state, crate::event::Readiness::Down(_));
        let member = state.member(server)?;
        member.standing.apply(verdict, &server.counters);
        state.ever_up |= passed;
        self.settle(state, server, Some(evidence))
    }

    /// What an operator wants of a server; what it changed, if anything.
    pub fn set_admin_state(self: &Arc<Self>, server: &Arc<Server>, admin: AdminState) -> Option<ServerChange> {
        let mut state = self.lock();
        state.member(server)?.standing.admin = admin;
        self.settle(state, server, None)
    }

    pub fn admin_state(&self, server: &Arc<Server>) -> Option<AdminState> {
        self.lock().member(server).map(|member| member.standing.admin)
    }

    /// From the start of a server's last probe until the next; `None` if it isn't checked or no longer here.
    pub fn probe_interval(&self, server: &Arc<Server>) -> Option<Duration> {
        let check = server.check()?;
        self.lock().member(server).map(|member| member.standing.probe_interval(check))
    }

    /// Works out a server's state after something bore on it, and what follows for the pool and its queue.
    fn settle(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        server: &Arc<Server>,
        evidence: Option<Evidence>,
    ) -> Option<ServerChange> {
        let member = state.member(server)?;
        let from = member.standing.settle()?;
        let to = member.standing.state();
        let sessions = member.in_flight;
        let (active_left, backup_left) = state.usable();
        state.note_usable(&self.counters);
        drop(state);
        self.serve_queue();
        Some(ServerChange {
            backend: self.spec.name.clone(),
            server: server.spec.name.clone(),
            from,
            to,
            evidence,
            sessions,
            active_left,
            backup_left,
            at: clock::wall(),
        })
    }

    /// Whether a server is usable, whether one ever was, and since when it is so.
    pub fn usable(&self) -> Usable {
        let state = self.lock();
        Usable { now: state.up, ever: state.ever_up, since: state.since.1 }
    }

    pub fn snapshot(&self) -> BackendSnapshot {
        let state = self.lock();
        let (active, backup) = state.usable();
        let tier = Tier::ORDER.into_iter().find(|tier| state.members.iter().any(|member| member.tier() == Some(*tier)));
        let in_use = state.members.iter().filter(|member| member.tier().is_some() && member.tier() == tier);
        BackendSnapshot {
            id: self.spec.id,
            name: self.spec.name.clone(),
            balance: self.spec.balance,
            required: self.spec.required,
            up: state.up,
            since: state.since.0,
            ever_up: state.ever_up,
            active,
            backup,
            weight: if state.up { in_use.map(|member| u32::from(member.standing.weight.value())).sum() } else { 0 },
            downtime: state.downtime + if state.up { Duration::ZERO } else { state.since.1.elapsed() },
            queued: u32::try_from(state.queue.len()).unwrap_or(u32::MAX),
            shared_source: state.shared_source(self.spec.balance),
            counts: self.counters.counts(),
            servers: state.members.iter().map(|member| member.standing.snapshot(&member.server)).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic could leave half done here is one session's count; refusing all others would be worse.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `/readyz` asks of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Usable {
    pub now: bool,
    pub ever: bool,
    pub since: Instant,
}

struct Chosen {
    server: Arc<Server>,
    last_resort: bool,
    claim: Option<Box<Claim>>,
}

enum Choice {
    Chosen(Chosen),
    Full,
    Nobody(Refusal),
}

impl Member {
    fn new(spec: model::Server) -> Self {
        let standing = Standing::starting(&spec);
        Self { server: Server::new(spec), standing, in_flight: 0, last_chosen: 0, credit: 0 }
    }

    fn tier(&self) -> Option<Tier> {
        // One that the operator took out and that is down besides counts as down, and is nobody's last resort.
        if self.standing.weight.value() == 0 || self.standing.admin != AdminState::Ready {
            return None;
        }
        Tier::of(self.standing.state(), self.server.spec.backup)
    }

    fn has_room(&self) -> bool {
        self.server.spec.max_sessions.is_none_or(|max| self.in_flight < max)
    }

    fn candidate(&self) -> Candidate {
        Candidate {
            key: self.server.key,
            weight: self.standing.weight.value(),
            in_flight: self.in_flight,
            last_chosen: self.last_chosen,
            credit: self.credit,
            given: Given::default(),
        }
    }
}

impl State {
    fn member(&mut self, server: &Arc<Server>) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| Arc::ptr_eq(&member.server, server))
    }

    /// Chooses among the best servers that are left, and takes a slot of the chosen one.
    fn choose(&mut self, spec: &model::Backend, source: IpAddr, tried: &Tried) -> Choice {
        let was_tried = |member: &Member| tried.iter().any(|server| Arc::ptr_eq(server, &member.server));
        let mut refusal = Refusal::NoServer;
        for tier in Tier::ORDER {
            if tier == Tier::LastResort && spec.on_no_server != OnNoServer::TryAll {
                break;
            }
            let in_tier = |member: &Member| member.tier() == Some(tier);
            if self.members.iter().any(|member| in_tier(member) && was_tried(member)) {
                refusal = Refusal::AllTried;
            }
            let left = |member: &Member| in_tier(member) && !was_tried(member);
            if !self.members.iter().any(left) {
                continue;
            }
            // A slot that is given back goes to the first who waits for it, so that room found here is nobody's.
            let Some(place) = self.pick(tier.balance(spec), source, |member| left(member) && member.has_room()) else {
                return Choice::Full;
            };
            self.choices += 1;
            let member = &mut self.members[place];
            member.in_flight += 1;
            member.last_chosen = self.choices;
            let server = Arc::clone(&member.server);
            let remembers = spec.balance == Balance::Spread;
            let claim = remembers.then(|| Box::new(self.sources.begin(source, server.key, self.choices)));
            return Choice::Chosen(Chosen { server, last_resort: tier == Tier::LastResort, claim });
        }
        Choice::Nobody(refusal)
    }

    /// Asks the balance method; the place of its choice among the members.
    fn pick(&mut self, method: Balance, source: IpAddr, may: impl Fn(&Member) -> bool) -> Option<usize> {
        let mut candidates = std::mem::take(&mut self.scratch);
        candidates.clear();
        candidates.extend(self.members.iter().filter(|member| may(member)).map(Member::candidate));
        if method == Balance::Spread {
            self.sources.fill(source, &mut candidates);
        }
        let picked = balance::pick(method, &mut candidates, source);
        let mut chosen = None;
        let eligible = self.members.iter_mut().enumerate().filter(|(_, member)| may(member));
        for (index, ((place, member), candidate)) in eligible.zip(&candidates).enumerate() {
            member.credit = candidate.credit;
            if picked == Some(index) {
                chosen = Some(place);
            }
        }
        self.scratch = candidates;
        chosen
    }

    /// Servers that sessions are given to in the ordinary way: primaries and backups.
    fn usable(&self) -> (u32, u32) {
        let of = |backup| {
            let usable = |member: &&Member| member.standing.state().is_usable() && member.tier().is_some();
            let count = self.members.iter().filter(|member| member.server.spec.backup == backup).filter(usable).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        (of(false), of(true))
    }

    /// Whom `spread` can only send round, because several share an address.
    fn shared_source(&self, balance: Balance) -> Option<SharedSource> {
        if balance != Balance::Spread {
            return None;
        }
        let usable = |member: &&Member| member.standing.state().is_usable() && member.tier().is_some();
        let usable: Vec<u64> = self.members.iter().filter(usable).map(|member| member.server.key).collect();
        self.sources.shared(&usable, self.members.len())
    }

    fn is_usable(&self) -> bool {
        self.usable() != (0, 0)
    }

    /// Notes when the pool as a whole goes down or comes up.
    fn note_usable(&mut self, counters: &Counters) {
        let up = self.is_usable();
        if up == self.up {
            return;
        }
        if up {
            self.downtime += self.since.1.elapsed();
        } else {
            counters::count(&counters.downs);
        }
        self.up = up;
        self.since = (clock::wall(), Instant::now());
    }
}

#[cfg(test)]
mod tests;
