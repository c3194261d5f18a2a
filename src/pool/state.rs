//! What a choice depends on: the pool's servers, its queue and what it remembers, behind the pool's lock.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::authority::{Authority, Issuer};
use super::conduct::{self, Conduct, Situation};
use super::counters::{self, Counters};
use super::dials::Dials;
use super::lease::{Choice, Chosen};
use super::member::Member;
use super::network::Network;
use super::queue::Queue;
use super::server::Server;
use super::sources::Sources;
use super::tier::Tier;
use super::{Refusal, Tried};
use crate::balance::{self, Candidate, Memory};
use crate::clock;
use crate::event::{DownCause, Kept, SharedSource};
use crate::model::{self, Balance, Closing, JudgedBy, OnNoServer, OnPrimaryBack, ServerName};

#[derive(Debug)]
pub(super) struct State {
    /// The backend as it is configured now; sessions that began before a reload go on by what their own pool says.
    pub spec: Arc<model::Backend>,
    pub members: Vec<Member>,
    /// Choices made so far: the number of the last one.
    pub choices: u64,
    pub queue: Queue,
    pub up: bool,
    pub ever_up: bool,
    pub since: (SystemTime, Instant),
    /// Finished times without a usable server.
    pub downtime: Duration,
    /// Whose certificates the servers show.
    pub authority: Authority,
    pub dials: Dials,
    /// Kept between choices for its room.
    pub scratch: Vec<Candidate>,
    /// What the balance method remembers.
    pub memory: Memory,
    /// Who has been given to whom, for [`Balance::Spread`]; empty otherwise.
    pub sources: Sources,
    /// Draws for [`Balance::Random`].
    pub rng: fastrand::Rng,
    /// Whom the next configuration means, though it may have another address there.
    pub moving: Option<ServerName>,
}

impl State {
    /// A pool that nobody has used yet.
    pub fn new(spec: Arc<model::Backend>, network: &Network) -> Self {
        let servers = spec.servers.iter().cloned();
        let members: Vec<_> = servers.map(|server| Member::new(server, &spec, network)).collect();
        let unchecked = members.iter().any(|member| member.server.spec().check.is_none());
        let mut state = Self {
            spec,
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
            memory: Memory::default(),
            sources: Sources::new(),
            rng: fastrand::Rng::new(),
            moving: None,
        };
        state.up = state.is_usable();
        state.heed();
        state
    }

    pub fn member(&mut self, server: &Arc<Server>) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| Arc::ptr_eq(&member.server, server))
    }

    /// Chooses among the best servers that are left, and takes a slot of the chosen one.
    pub fn choose(&mut self, source: Option<IpAddr>, tried: &Tried) -> Choice {
        let was_tried = |member: &Member| tried.iter().any(|server| Arc::ptr_eq(server, &member.server));
        let mut refusal = Refusal::NoServer;
        self.note_silences();
        for tier in Tier::ORDER {
            if tier == Tier::LastResort && self.spec.on_no_server != OnNoServer::TryAll {
                break;
            }
            let in_tier = |member: &Member| member.tier() == Some(tier);
            if self.members.iter().any(|member| in_tier(member) && was_tried(member)) {
                refusal = Refusal::AllTried;
            }
            if !self.members.iter().any(|member| in_tier(member) && !was_tried(member)) {
                continue;
            }
            // A slot that is given back goes to the first who waits for it, so that room found here is nobody's.
            let Some(place) = self.pick(tier, source, |member| !was_tried(member) && member.has_room()) else {
                return Choice::Full;
            };
            self.dials.note_begun();
            return Choice::Chosen(self.take(source, place, tier));
        }
        Choice::Nobody(refusal)
    }

    /// Takes a slot of a server for a session that will dial it.
    pub fn take(&mut self, source: Option<IpAddr>, place: usize, tier: Tier) -> Chosen {
        self.choices += 1;
        let member = &mut self.members[place];
        member.in_flight += 1;
        member.dialling += 1;
        member.last_chosen = self.choices;
        let server = Arc::clone(&member.server);
        let remembered = source.filter(|_| self.spec.balance == Balance::Spread);
        let claim = remembered.map(|source| Box::new(self.sources.begin(source, server.key, self.choices)));
        Chosen { server, last_resort: tier == Tier::LastResort, claim }
    }

    /// Looks whose dials are silent: once for a choice, because that changes without this lock.
    pub fn note_silences(&mut self) {
        for member in &mut self.members {
            member.silent = member.server.is_silent();
        }
    }

    /// Asks the balance method who of a tier that is free has the next session; the place of its choice among the members.
    pub fn pick(&mut self, tier: Tier, source: Option<IpAddr>, is_free: impl Fn(&Member) -> bool) -> Option<usize> {
        let method = tier.balance(&self.spec);
        let mut candidates = self.candidates(tier, method, is_free);
        if let (Balance::Spread, Some(source)) = (method, source) {
            self.sources.fill(source, &mut candidates);
        }
        if method == Balance::Random {
            balance::draw(&mut candidates, self.spec.draws, &mut self.rng);
        }
        let picked = match source {
            Some(source) => balance::pick(method, &candidates, source, &mut self.memory),
            None => balance::pick_for_nobody(method, &candidates, &mut self.memory),
        };
        self.scratch = candidates;
        picked
    }

    /// Has the balance method know who may be chosen from now on.
    pub fn heed(&mut self) {
        let in_use = |tier: &Tier| self.members.iter().any(|member| member.tier() == Some(*tier));
        let tier = Tier::ORDER.into_iter().find(in_use).unwrap_or(Tier::ReadyPrimary);
        let method = tier.balance(&self.spec);
        let candidates = self.candidates(tier, method, |_| true);
        self.memory.heed(method, &candidates);
        self.scratch = candidates;
    }

    /// All members as a method sees them that chooses among those of a tier.
    fn candidates(&mut self, tier: Tier, method: Balance, is_free: impl Fn(&Member) -> bool) -> Vec<Candidate> {
        let mut candidates = std::mem::take(&mut self.scratch);
        candidates.clear();
        let of_tier = |member: &Member| member.tier() == Some(tier);
        let candidate = |member: &Member| member.candidate(method, of_tier(member), is_free(member));
        candidates.extend(self.members.iter().map(candidate));
        candidates
    }

    /// Decides who is in use though it is down.
    pub fn keep_some(&mut self, network: &Network) {
        if self.spec.judged_by == JudgedBy::Probes {
            return self.members.iter_mut().for_each(|member| member.standing.keep(None));
        }
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
    pub fn find_strangers(&mut self) {
        if self.spec.judged_by == JudgedBy::Probes {
            return self.members.iter_mut().for_each(|member| member.standing.stranger = false);
        }
        let seen: Vec<_> = self.members.iter().map(|member| member.standing.certificate().map(Issuer::of)).collect();
        let strangers = self.authority.strangers(self.spec.issuer.as_deref(), &seen);
        for (member, stranger) in self.members.iter_mut().zip(strangers) {
            member.standing.stranger = stranger;
        }
    }

    /// Says what is due for the sessions of every server.
    pub fn conduct(&mut self, network: &Network) {
        let back = self.primary_back();
        let weighs = self.spec.judged_by.weighs();
        let mut hung_left = conduct::most_hung(self.members.len());
        // Whoever has been down for longest is taken for hung first.
        let mut places: Vec<_> = (0..self.members.len()).collect();
        places.sort_by_key(|place| std::cmp::Reverse(self.members[*place].standing.age()));
        for place in places {
            let Member { server, standing, backup, .. } = &self.members[place];
            let closing = Closing {
                on_down: server.spec().on_down.unwrap_or(self.spec.closing.on_down),
                on_primary_back: back.unwrap_or(self.spec.closing.on_primary_back),
                ..self.spec.closing
            };
            let due = conduct::conduct(
                Situation {
                    state: standing.state(),
                    doubted: standing.is_suspect()
                        || standing.down().is_some()
                        || server.is_late()
                        || server.host.resets(),
                    age: standing.age(),
                    hung: standing.is_hung(),
                    may_be_hung: hung_left > 0,
                    relieved: back.is_some() && *backup,
                    isolated: weighs && network.is_isolated(),
                    returning: weighs && network.is_returning(),
                    maintenance_is_down: !weighs,
                },
                &closing,
            );
            hung_left -= usize::from(due == Conduct::CloseHung);
            server.set_conduct(due);
        }
    }

    /// What becomes of sessions on backups for the primaries that are usable, if any is.
    fn primary_back(&self) -> Option<OnPrimaryBack> {
        let primaries = self.members.iter().filter(|member| !member.backup && member.is_usable());
        let wish = |member: &Member| member.server.spec().on_primary_back.unwrap_or(self.spec.closing.on_primary_back);
        let mut wishes = primaries.map(wish).peekable();
        wishes.peek()?;
        let closes = wishes.any(|wish| wish == OnPrimaryBack::Close);
        Some(if closes { OnPrimaryBack::Close } else { OnPrimaryBack::Keep })
    }

    /// Servers that sessions are given to in the ordinary way: primaries and backups.
    pub fn usable(&self) -> (u32, u32) {
        let of = |backup| {
            let of_kind = self.members.iter().filter(|member| member.backup == backup);
            let count = of_kind.filter(|member| member.is_usable()).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        (of(false), of(true))
    }

    /// Whom `spread` can only send round, because several share an address.
    pub fn shared_source(&self) -> Option<SharedSource> {
        if self.spec.balance != Balance::Spread {
            return None;
        }
        let usable = |member: &&Member| member.standing.state().is_usable() && member.tier().is_some();
        let usable: Vec<u64> = self.members.iter().filter(usable).map(|member| member.server.key).collect();
        self.sources.shared(&usable, self.members.len())
    }

    pub fn is_usable(&self) -> bool {
        self.usable() != (0, 0)
    }

    /// Notes when the pool as a whole goes down or comes up.
    pub fn note_usable(&mut self, counters: &Counters) {
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
