//! What a server's agent says of it: HAProxy's `agent-check` (configuration manual, section 5.2).

use std::sync::Arc;

use super::Pool;
use super::counters;
use super::health::{Health, Turn};
use super::member::Member;
use super::server::Server;
use super::standing::{Reported, Standing};
use crate::event::{AdminState, AgentSnapshot, Evidence};
use crate::model::Weight;

/// One answer of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Whether the server is up; `None` if the agent doesn't say.
    pub up: Option<bool>,
    pub admin: Option<AdminState>,
    pub weight: Option<Share>,
    pub evidence: Evidence,
}

/// A weight as an agent says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Hundredths of the stated weight.
    Percent(u32),
    Weight(u32),
}

impl Share {
    /// What it comes to, of a server with this weight; `None` if no weight is so large.
    fn of(self, stated: Weight) -> Option<Weight> {
        let weight = match self {
            Self::Percent(percent) => u32::from(stated.value()).checked_mul(percent)? / 100,
            Self::Weight(weight) => weight,
        };
        Weight::new(u16::try_from(weight).ok()?)
    }
}

/// How a server stands by its agent.
#[derive(Debug)]
pub(super) struct AgentStanding {
    health: Health,
    last: Option<Evidence>,
    /// An operator has it left alone.
    unasked: bool,
}

impl AgentStanding {
    /// Up until the agent says otherwise; each word of it counts at once.
    pub fn starting() -> Self {
        Self { health: Health::starting(1, 1), last: None, unasked: false }
    }

    pub fn is_up(&self) -> bool {
        self.health.is_up()
    }

    /// Has it count as having said so.
    pub fn force(&mut self, up: bool) {
        let _turn = self.health.apply(up);
        self.last = None;
    }

    /// Has it asked from now on, or no longer.
    pub fn set_asked(&mut self, asked: bool) {
        self.unasked = !asked;
    }

    pub fn is_asked(&self) -> bool {
        !self.unasked
    }

    /// What it said last, if that took the server down.
    pub fn blame(&self) -> Option<&Evidence> {
        self.last.as_ref().filter(|_| !self.is_up())
    }

    pub fn snapshot(&self, running: bool) -> AgentSnapshot {
        AgentSnapshot { rise: 1, fall: 1, health: self.health.counter(), running, last: self.last.clone() }
    }
}

impl Pool {
    /// Takes an agent's word, and tells what it changed.
    pub fn apply_word(self: &Arc<Self>, server: &Arc<Server>, word: Word) {
        let mut state = self.lock();
        let Some(member) = state.member(server) else { return };
        let before = member.standing.reported_of_agent();
        member.take(&word, &server.spec());
        let turn = member.standing.take_word(word);
        if turn == Some(Turn::Down) {
            counters::count(&server.counters.downs);
        }
        let report = self.report_of_agent(member, before);
        self.tell_report(report);
        self.settle(state);
    }
}

impl Member {
    /// What an agent sets lies where an operator's word does, as with HAProxy.
    fn take(&mut self, word: &Word, spec: &crate::model::Server) {
        if let Some(admin) = word.admin.filter(|admin| *admin != self.standing.admin) {
            (self.standing.admin, self.standing.orders.admin) = (admin, Some(admin));
        }
        let weight = word.weight.and_then(|share| share.of(spec.weight));
        if let Some(weight) = weight.filter(|weight| *weight != self.standing.weight) {
            (self.standing.weight, self.standing.orders.weight) = (weight, Some(weight));
        }
    }
}

impl Standing {
    fn take_word(&mut self, word: Word) -> Option<Turn> {
        let agent = self.agent.as_mut()?;
        agent.last = Some(word.evidence);
        agent.health.apply(word.up?)
    }

    pub(super) fn reported_of_agent(&self) -> Reported {
        let agent = self.agent.as_ref();
        Reported {
            status: agent.and_then(|agent| agent.last.as_ref()).map(|last| last.status),
            counter: agent.map(|agent| agent.health.counter()),
        }
    }

    /// What the agent said last, and where that left its counter.
    pub(super) fn told_by_agent(&self) -> Option<(&Evidence, &Health)> {
        let agent = self.agent.as_ref()?;
        Some((agent.last.as_ref()?, &agent.health))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::tests::{PLAIN, Spec, backend, lease_name, watched};
    use super::*;
    use crate::event::CheckStatus;
    use crate::model::{Agent, Balance};

    fn word(up: Option<bool>, admin: Option<AdminState>, weight: Option<Share>) -> Word {
        Word { up, admin, weight, evidence: Evidence::of(CheckStatus::L7Ok, SystemTime::UNIX_EPOCH) }
    }

    fn pool() -> Arc<Pool> {
        let agent = Agent { host: None, port: 1, interval: Agent::INTERVAL, send: Vec::new() };
        let mut spec = backend(Balance::First, &[Spec { weight: 40, ..PLAIN }, PLAIN]);
        (spec.servers[0].check, spec.servers[0].agent) = (None, Some(agent));
        watched(spec)
    }

    // Seen to fail with the agent left out of the state.
    #[test]
    fn an_agents_word_takes_a_server_down_and_brings_it_up() {
        let pool = pool();
        let server = &pool.servers()[0];
        pool.apply_word(server, word(Some(false), None, None));
        assert_eq!(lease_name(&pool), "s2");
        pool.apply_word(server, word(None, None, None));
        assert_eq!(lease_name(&pool), "s2");
        pool.apply_word(server, word(Some(true), None, None));
        assert_eq!(lease_name(&pool), "s1");
        assert_eq!(server.counters.counts().downs, 1);
    }

    #[test]
    fn it_sets_the_weight_and_the_administrative_state() {
        let pool = pool();
        let server = &pool.servers()[0];
        let weight = |share| {
            pool.apply_word(server, word(None, None, Some(share)));
            pool.server_snapshot(server).unwrap().weight.value()
        };
        assert_eq!([Share::Percent(50), Share::Percent(100), Share::Weight(7)].map(weight), [20, 40, 7]);
        assert_eq!(weight(Share::Weight(257)), 7, "no weight is so large");
        pool.apply_word(server, word(None, Some(AdminState::Maint), None));
        assert_eq!(lease_name(&pool), "s2");
        pool.apply_word(server, word(None, Some(AdminState::Ready), None));
        assert_eq!(lease_name(&pool), "s1");
    }
}
