//! The live state of one backend: who its servers are, how they stand, who gets the next session.
//!
//! Everything that a choice depends on is behind one lock, held for the choice and its counting and never across an
//! await. That makes least-connections exact, whatever number of workers ask. Checks write verdicts in ([`Pool::apply`]),
//! sessions take slots out ([`Pool::lease`]), pages read ([`Pool::snapshot`]); they never meet anywhere else.

pub mod asking;
pub mod conduct;
pub mod counters;
pub mod dials;
pub mod health;
pub mod history;
pub mod network;
pub mod pace;
pub mod queue;
pub mod server;
pub mod sessions;
pub mod sources;

mod authority;
mod expiry;
mod operator;
mod slow_start;
mod tier;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use self::authority::{Authority, Issuer};
use self::conduct::{Conduct, Situation};
use self::counters::{Counters, Open};
use self::dials::{Dials, Refusals};
use self::network::Network;
use self::queue::{Queue, Ticket, Waiter};
use self::server::{Server, Standing};
use self::slow_start::SlowStart;
use self::sources::{Claim, Sources};
use self::tier::Tier;
use crate::balance::{self, Candidate, Given};
use crate::clock;
use crate::event::{
    BackendSnapshot, CertificateExpiry, Change, DownCause, Kept, Readiness, ServerChange, ServerSnapshot, SharedSource,
    Verdict,
};
use crate::model::{self, Balance, OnNoServer};

/// Told of every change, by whoever brings it about; must not wait.
pub type Observe = Arc<dyn Fn(&Change) + Send + Sync>;

/// One backend while the process runs.
pub struct Pool {
    pub spec: model::Backend,
    pub counters: Arc<Counters>,
    pub network: Arc<Network>,
    /// Whether a failed dial counts against its server.
    heeds_dials: bool,
    observe: Observe,
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
    /// Whose certificates the servers show.
    authority: Authority,
    dials: Dials,
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
    /// Those of them whose connections do not stand yet, and how many there may be.
    dialling: u32,
    max_dials: u32,
    last_chosen: u64,
    credit: i64,
    refusals: Refusals,
    /// A dial of it is silent.
    silent: bool,
    slow_start: SlowStart,
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
    /// Its connection does not stand yet.
    dialling: bool,
    pool: Arc<Pool>,
    /// Boxed, because most backends have none and a session holds it to its end.
    claim: Option<Box<Claim>>,
    _open: Open,
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.pool.give_back(self);
    }
}

/// Whoever was heard within this time is likely to be heard now.
const LATELY: Duration = Duration::from_secs(3);

/// Servers that a session has tried in vain.
pub type Tried = Vec<Arc<Server>>;

impl Pool {
    /// The pool of one of this configuration's backends, all of whose hosts `network` must have.
    pub fn new(spec: model::Backend, policy: &model::Policy, network: &Arc<Network>, observe: Observe) -> Arc<Self> {
        let members: Vec<_> =
            spec.servers.iter().cloned().map(|server| Member::new(server, &spec, policy, network)).collect();
        let unchecked = members.iter().any(|member| member.server.check().is_none());
        let mut state = State {
            members,
            choices: 0,
            queue: Queue::default(),
            up: true,
            ever_up: unchecked,
            since: (clock::wall(), Instant::now()),
            downtime: Duration::ZERO,
            authority: Authority::default(),
            dials: Dials::default(),
            scratch: Vec::new(),
            sources: Sources::new(),
        };
        state.up = state.is_usable();
        Arc::new(Self {
            spec,
            counters: Arc::default(),
            network: Arc::clone(network),
            heeds_dials: policy.heeds_dials,
            observe,
            state: Mutex::new(state),
        })
    }

    /// The pools of a configuration, in its order, and the network that they share.
    pub fn all(config: &model::Config, observe: &Observe) -> (Vec<Arc<Self>>, Arc<Network>) {
        let network = Network::new(&config.hosts, &config.backends);
        let pool = |spec: &model::Backend| Self::new(spec.clone(), &config.policy, &network, Arc::clone(observe));
        (config.backends.iter().map(pool).collect(), network)
    }

    /// A pool with a network of its own, as tests and benchmarks want it.
    pub fn alone(spec: model::Backend, observe: Observe) -> Arc<Self> {
        let mut hosts: Vec<model::Host> = Vec::new();
        for server in &spec.servers {
            if hosts.iter().all(|host| host.address != server.address.host) {
                hosts.push(model::Host { address: server.address.host.clone(), servers: Vec::new() });
            }
        }
        let network = Network::new(&hosts, std::slice::from_ref(&spec));
        Self::new(spec, &model::Policy::evenkeel(), &network, observe)
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
        let open = server.counters.begin();
        Leased { server, last_resort, dialling: true, pool: Arc::clone(self), claim, _open: open }
    }

    fn give_back(self: &Arc<Self>, leased: &Leased) {
        let Leased { server, dialling, claim, .. } = leased;
        let mut state = self.lock();
        if let Some(member) = state.member(server) {
            member.in_flight -= 1;
            member.dialling -= u32::from(*dialling);
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

    /// Counts a verdict on a server, and tells what it changed.
    pub fn apply(self: &Arc<Self>, server: &Arc<Server>, mut verdict: Verdict) {
        let answered = match verdict.state {
            Readiness::Down(cause) => cause.is_answer(),
            Readiness::Ready | Readiness::Draining => true,
        };
        match verdict.state {
            _ if answered => {
                server.host.note_heard();
                server.note_answered();
            }
            Readiness::Down(DownCause::NoNetwork | DownCause::Local) => server.host.note_unroutable(),
            _ => {}
        }
        // Without a way to anybody, having none to this server says nothing of it.
        if verdict.state == Readiness::Down(DownCause::NoNetwork) && !self.hears_others_than(server) {
            verdict.state = Readiness::Down(DownCause::Local);
        }
        let mut state = self.lock();
        let Some(member) = state.member(server) else { return };
        let passed = !matches!(verdict.state, Readiness::Down(_));
        member.standing.apply(verdict, &server.counters);
        let expiry = self.expiry_due(member);
        state.ever_up |= passed;
        state.find_strangers(&self.spec);
        self.settle(state);
        if let Some(expiry) = expiry {
            (self.observe)(&Change::Certificate(expiry));
        }
    }

    /// What is to be told of the end of a server's certificate, if it is time.
    fn expiry_due(&self, member: &mut Member) -> Option<CertificateExpiry> {
        let (at, server) = (clock::wall(), &member.server.spec.name);
        let (left, certificate) = member.standing.expiry_due(at)?;
        let (subject, not_after) = (certificate.subject.clone(), certificate.not_after);
        Some(CertificateExpiry {
            backend: self.spec.name.clone(),
            server: server.clone(),
            subject,
            not_after,
            left,
            at,
        })
    }

    /// Whether another host than this server's has been heard lately.
    fn hears_others_than(&self, server: &Server) -> bool {
        let lately = Instant::now().checked_sub(LATELY);
        lately.is_none_or(|lately| self.network.is_heard_since(lately, &server.host.address))
    }

    /// One of its servers as a page shows it; `None` if it is no longer here.
    pub fn server_snapshot(&self, server: &Arc<Server>) -> Option<ServerSnapshot> {
        self.lock().member(server).map(|member| member.standing.snapshot(server))
    }

    /// Whether a server counts as up, by rise and fall alone; one that is not checked does.
    pub fn is_up(&self, server: &Arc<Server>) -> bool {
        self.lock().member(server).is_some_and(|member| member.standing.down().is_none())
    }

    /// From the start of a server's last probe until the next; `None` if it isn't checked or no longer here.
    pub fn probe_interval(&self, server: &Arc<Server>) -> Option<Duration> {
        let check = server.check()?;
        self.lock().member(server).map(|member| member.standing.probe_interval(check))
    }

    /// Works out what time alone changes: states that depend on the network, and what is due for the sessions.
    pub fn look(self: &Arc<Self>) {
        let state = self.lock();
        self.settle(state);
    }

    /// Works out every server's state after something bore on one, and what follows for the pool and its queue: whether
    /// a server is in use may depend on the others.
    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.keep_some(&self.network);
        let mut changes = Vec::new();
        for place in 0..state.members.len() {
            let member = &mut state.members[place];
            let Some(from) = member.standing.settle() else { continue };
            member.slow_start.note(member.standing.state(), Instant::now());
            let (to, sessions, server) = (member.standing.state(), member.in_flight, Arc::clone(&member.server));
            let (evidence, recent) = member.standing.grounds(from);
            let (active_left, backup_left) = state.usable();
            changes.push(ServerChange {
                backend: self.spec.name.clone(),
                server: server.spec.name.clone(),
                from,
                to,
                evidence,
                recent,
                sessions,
                active_left,
                backup_left,
                at: clock::wall(),
            });
        }
        state.note_usable(&self.counters);
        state.conduct(&self.spec, &self.network);
        drop(state);
        self.serve_queue();
        for change in changes {
            (self.observe)(&Change::Server(change));
        }
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
    fn new(spec: model::Server, backend: &model::Backend, policy: &model::Policy, network: &Network) -> Self {
        let standing = Standing::starting(&spec, policy.suspicion);
        let host = network.host(&spec.address.host).expect("a network has the hosts of all servers");
        Self {
            server: Server::new(spec, host, backend.closing.kill_spread),
            standing,
            in_flight: 0,
            dialling: 0,
            max_dials: backend.max_dials,
            last_chosen: 0,
            credit: 0,
            refusals: Refusals::default(),
            silent: false,
            slow_start: SlowStart::new(backend.slow_start),
        }
    }

    fn tier(&self) -> Option<Tier> {
        Tier::of(&self.standing, self.server.spec.backup, self.silent)
    }

    fn is_usable(&self) -> bool {
        self.standing.state().is_usable() && self.tier().is_some()
    }

    /// Whether it will be usable by what is known of it alone, whatever the others are.
    fn stands_by_itself(&self) -> bool {
        self.standing.weight.value() > 0 && self.standing.due().is_usable()
    }

    fn has_room(&self) -> bool {
        self.dialling < self.max_dials && self.server.spec.max_sessions.is_none_or(|max| self.in_flight < max)
    }

    fn candidate(&self) -> Candidate {
        Candidate {
            key: self.server.key,
            weight: self.slow_start.weigh(self.standing.weight.value(), Instant::now),
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
        self.note_silences();
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
            self.dials.note_begun();
            return Choice::Chosen(self.take(spec, source, place, tier));
        }
        Choice::Nobody(refusal)
    }

    /// Takes a slot of a server for a session that will dial it.
    fn take(&mut self, spec: &model::Backend, source: IpAddr, place: usize, tier: Tier) -> Chosen {
        self.choices += 1;
        let member = &mut self.members[place];
        member.in_flight += 1;
        member.dialling += 1;
        member.last_chosen = self.choices;
        let server = Arc::clone(&member.server);
        let remembers = spec.balance == Balance::Spread;
        let claim = remembers.then(|| Box::new(self.sources.begin(source, server.key, self.choices)));
        Chosen { server, last_resort: tier == Tier::LastResort, claim }
    }

    /// Looks whose dials are silent: once for a choice, because that changes without this lock.
    fn note_silences(&mut self) {
        for member in &mut self.members {
            member.silent = member.server.is_silent();
        }
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

    /// Decides who is in use though it is down.
    fn keep_some(&mut self, network: &Network) {
        let (isolated, last_heard) = (network.is_isolated(), network.last_heard());
        for Member { standing, server, .. } in &mut self.members {
            let keep = match standing.down() {
                // It went down while nobody was heard: that says more of us than of it.
                Some((cause, at)) if isolated && !cause.is_answer() && last_heard.is_none_or(|heard| heard <= at) => {
                    Some(Kept::Isolated)
                }
                Some((DownCause::Tls, _)) if standing.has_never_passed() && server.counters.has_answered() => {
                    Some(Kept::OurCheck)
                }
                _ => None,
            };
            standing.keep(keep);
        }
        // Too slow for its probes, after a connection that stood: still better than nobody.
        if self.members.iter().any(Member::stands_by_itself) {
            return;
        }
        for Member { standing, .. } in &mut self.members {
            if matches!(standing.down(), Some((DownCause::TimedOut, _))) {
                standing.keep(Some(Kept::Slow));
            }
        }
    }

    /// Says who shows another authority's certificate than the rest.
    fn find_strangers(&mut self, spec: &model::Backend) {
        let seen: Vec<_> = self.members.iter().map(|member| member.standing.certificate().map(Issuer::of)).collect();
        let strangers = self.authority.strangers(spec.issuer.as_deref(), &seen);
        for (member, stranger) in self.members.iter_mut().zip(strangers) {
            member.standing.stranger = stranger;
        }
    }

    /// Says what is due for the sessions of every server.
    fn conduct(&mut self, spec: &model::Backend, network: &Network) {
        let relieved = self.members.iter().any(|member| !member.server.spec.backup && member.is_usable());
        let mut hung_left = conduct::most_hung(self.members.len());
        // Whoever has been down for longest is taken for hung first.
        let mut places: Vec<_> = (0..self.members.len()).collect();
        places.sort_by_key(|place| std::cmp::Reverse(self.members[*place].standing.age()));
        for place in places {
            let Member { server, standing, .. } = &self.members[place];
            let due = conduct::conduct(
                Situation {
                    state: standing.state(),
                    doubted: standing.is_suspect() || standing.down().is_some() || server.is_late(),
                    age: standing.age(),
                    hung: standing.is_hung(),
                    may_be_hung: hung_left > 0,
                    relieved: relieved && server.spec.backup,
                    isolated: network.is_isolated(),
                    returning: network.is_returning(),
                },
                &spec.closing,
            );
            hung_left -= usize::from(due == Conduct::CloseHung);
            server.set_conduct(due);
        }
    }

    /// Servers that sessions are given to in the ordinary way: primaries and backups.
    fn usable(&self) -> (u32, u32) {
        let of = |backup| {
            let of_kind = self.members.iter().filter(|member| member.server.spec.backup == backup);
            let count = of_kind.filter(|member| member.is_usable()).count();
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

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.spec.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
