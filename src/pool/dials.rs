//! The dials of one pool: what each tells of its server, and when a silent one is joined by a second.
//!
//! A lease is dialling until its connection stands. Only then has the balance method chosen for good: a session may have
//! held two leases, and given one back.

mod budget;
mod latency;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::budget::Budget;
use self::latency::Latency;
use super::lease::{Choice, Chosen};
use super::member::Member;
use super::row::Row;
use super::server::Server;
use super::sources::Claim;
use super::state::State;
use super::tier::Tier;
use super::{Leased, Pool, Tried, counters};
use crate::clock;
use crate::event::{CheckStatus, DownCause, Evidence, Readiness, ServerState, Verdict, VerdictSource};
use crate::model::JudgedBy;

/// What is known of a pool's dials. Part of its locked state.
#[derive(Debug, Default)]
pub(super) struct Dials {
    latency: Latency,
    budget: Budget,
}

impl Dials {
    /// Notes that one begins.
    pub fn note_begun(&mut self) {
        self.budget.earn();
    }
}

/// A dial counts as silent after so many times as long as nearly all others have taken.
const PATIENCE: u32 = 4;

/// But no later than this, however slow the others were: by then the kernel asks again (RFC 6298, section 2), because the
/// first SYN or its answer is lost, as it is when a host has crashed.
const LOST: Duration = Duration::from_secs(1);

impl Leased {
    /// Notes that its connection stands, so long after the dial began.
    pub fn connected(&mut self, took: Duration) {
        if std::mem::replace(&mut self.dialling, false) {
            if !std::mem::replace(&mut self.counted, true) {
                self.pool.count_choice(&self.server);
            }
            self.pool.note_connected(&self.server, self.claim.as_deref_mut(), took);
        }
    }

    /// Counts its server as chosen now, whatever becomes of its dials, as HAProxy does.
    pub fn count_choice(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.pool.count_choice(&self.server);
        }
    }

    /// Notes that its server refused the connection.
    pub fn refused(&self) {
        self.note_failure(DownCause::Refused);
        self.pool.note_refused(&self.server);
    }

    /// Notes that its server could not be reached.
    pub fn unanswered(&self) {
        self.note_failure(DownCause::Unreachable);
        if self.pool.heeds_dials() {
            self.server.want_probe();
        }
    }
}

impl Pool {
    /// From when on a dial counts as silent, since its begin; `None` if none does.
    pub fn silence(&self) -> Option<Duration> {
        let least = self.spec.dial_hedge?;
        let usual = self.lock().dials.latency.p99().unwrap_or_default();
        Some(least.max(usual.saturating_mul(PATIENCE).min(LOST)))
    }

    /// Whether a failed dial counts against its server.
    fn heeds_dials(&self) -> bool {
        self.spec.judged_by == JudgedBy::Everything
    }

    /// Notes that a dial of this server is silent: its host is probed with all that runs there, since their sessions are
    /// as dead as its own if the host is, and so are others, whose answers decide what its silence means.
    pub fn note_silence(&self, server: &Server) {
        server.note_silent();
        if self.heeds_dials() {
            server.host.ask();
            self.network.ask_others(&server.host.address);
        }
    }

    /// A second lease for a session whose first dial is silent, of a server that nothing at all speaks against; `None`
    /// if there is none, or if too many dials have been joined by a second.
    pub fn lease_beside(self: &Arc<Self>, source: impl Into<Option<IpAddr>>, tried: &Tried) -> Option<Leased> {
        let mut state = self.lock();
        let chosen = state.choose_beside(source.into(), tried)?;
        drop(state);
        Some(self.leased(chosen))
    }

    /// A second lease for a session that is to go to another server, if one has room at once.
    pub fn lease_at_once(self: &Arc<Self>, source: Option<IpAddr>, tried: &Tried) -> Option<Leased> {
        let choice = self.lock().choose(source, tried);
        match choice {
            Choice::Chosen(chosen) => Some(self.leased(chosen)),
            Choice::Full | Choice::Nobody(_) => None,
        }
    }

    /// Primaries that are usable now.
    pub fn active(&self) -> u32 {
        self.lock().usable().0
    }

    /// Whether a server is neither down nor in maintenance.
    pub fn is_running(&self, server: &Arc<Server>) -> bool {
        let mut state = self.lock();
        let member = state.member(server);
        member.is_some_and(|member| !matches!(member.standing.state(), ServerState::Down(_) | ServerState::Maint))
    }

    fn count_choice(&self, server: &Server) {
        [server.counters.as_ref(), self.counters.as_ref()].iter().for_each(|of| counters::count(&of.chosen));
    }

    fn note_connected(self: &Arc<Self>, server: &Arc<Server>, claim: Option<&mut Claim>, took: Duration) {
        server.host.note_heard();
        server.note_answered();
        [&server.counters, &self.counters].iter().for_each(|of| of.count_dial(took));
        let mut state = self.lock();
        state.dials.latency.note(took, Instant::now());
        if let Some(member) = state.member(server) {
            member.dialling -= 1;
            member.refusals.forget();
            member.failed_dials = 0;
        }
        // Only now has the server been given to the session's source.
        if let Some(claim) = claim {
            state.sources.connect(server.key, claim);
        }
        let is_awaited = state.queue.len() > 0;
        drop(state);
        if is_awaited {
            self.serve_queue();
        }
    }

    fn note_refused(self: &Arc<Self>, server: &Arc<Server>) {
        server.host.note_heard();
        server.note_answered();
        if !self.heeds_dials() {
            return;
        }
        server.want_probe();
        let mut state = self.lock();
        let Some(member) = state.member(server) else { return };
        // One without a check could never come back, and one that is down goes no further.
        let may_fall = server.spec().check.is_some() && member.standing.down().is_none();
        let falls = member.refusals.note(Instant::now()) && may_fall;
        drop(state);
        if falls {
            self.apply(server, refused_in_a_row());
        }
    }
}

fn refused_in_a_row() -> Verdict {
    let detail = format!("{} sessions in a row were refused", Row::LENGTH);
    let evidence = Evidence { detail, ..Evidence::of(CheckStatus::L4Con, clock::wall()) };
    Verdict { state: Readiness::Down(DownCause::Refused), evidence, source: VerdictSource::Passive }
}

impl State {
    fn choose_beside(&mut self, source: Option<IpAddr>, tried: &Tried) -> Option<Chosen> {
        if !self.dials.budget.allows() {
            return None;
        }
        self.note_silences();
        let was_tried = |member: &Member| tried.iter().any(|server| Arc::ptr_eq(server, &member.server));
        for tier in [Tier::ReadyPrimary, Tier::ReadyBackup] {
            let is_sound = |member: &Member| !member.standing.in_transition();
            let may = |member: &Member| is_sound(member) && !was_tried(member) && member.has_room();
            if let Some(place) = self.pick(tier, source, may) {
                self.dials.budget.spend();
                return Some(self.take(source, place, tier));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
