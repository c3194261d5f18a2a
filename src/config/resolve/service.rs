//! How servers are used: retries, tracking, what dials do to their health, their agents.

use std::collections::HashSet;
use std::time::Duration;

use super::super::expand::Expanded;
use super::super::leaf::Switch;
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::Stated;
use super::super::service::Retry;
use super::filled;
use crate::model::{Agent, Backend, HostAddress, Retries, ServerId, Watchfulness};

/// The numbers of a backend's servers: those that are stated, and the next free one for each other, as HAProxy does.
pub struct ServerIds {
    stated: HashSet<u32>,
    next: u32,
}

impl ServerIds {
    /// Notes a number that is there twice.
    pub fn of(raw: &raw::Backend, mistakes: &mut Mistakes) -> Self {
        let members = raw.servers.iter().flat_map(|servers| &servers.value.0).map(|member| &member.value.0);
        let mut stated = HashSet::new();
        for id in members.filter_map(|server| server.id.as_ref()) {
            if !stated.insert(id.value.0) {
                let mistake = Mistake::DuplicateName { things: "servers", name: format!("number {}", id.value.0) };
                mistakes.push(id.span(), mistake);
            }
        }
        Self { stated, next: 1 }
    }

    pub fn id(&mut self, server: &raw::Server) -> ServerId {
        if let Some(id) = &server.id {
            return ServerId(id.value.0);
        }
        while self.stated.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        ServerId(self.next - 1)
    }
}

/// Whom a session dials after a failed dial.
pub fn retries(raw: &raw::Backend) -> Retries {
    match filled(&raw.retries) {
        Retry::Others => Retries::Others,
        Retry::Count(count) => Retries::Counted { most: count.0, redispatch: filled(&raw.redispatch) },
    }
}

/// A server's own; one that is off holds against its backend's.
pub fn slow_start(raw: &raw::Server) -> Option<Duration> {
    let own = raw.slow_start.as_ref()?;
    Some(own.value.on().map_or(Duration::ZERO, |wait| wait.0))
}

/// What failed dials do to a server's health.
pub fn watchfulness(raw: &raw::Server) -> Option<Watchfulness> {
    let observe = filled(&raw.observe);
    let observe = observe.on()?;
    Some(Watchfulness { errors: filled(&observe.errors).0, then: filled(&observe.then) })
}

/// `None` without one, or without its port, which is noted.
pub fn agent(raw: &raw::Server, mistakes: &mut Mistakes) -> Option<Agent> {
    let agent = filled(&raw.agent);
    let agent = agent.on()?;
    let Some(port) = &agent.port else {
        if !agent.stated.contains(&"port") {
            mistakes.push(Some(agent.at), Mistake::AgentWithoutPort);
        }
        return None;
    };
    Some(Agent {
        host: agent.address.as_ref().map(|address| address.value.host.clone()),
        port: port.value.0 as u16,
        interval: filled(&agent.interval).0,
        send: filled(&agent.send).0.into_bytes(),
    })
}

/// Notes what a server can't be told at once.
pub fn note_contradictions(raw: &raw::Server, checked: bool, mistakes: &mut Mistakes) {
    let observe_at = raw.observe.as_ref().filter(|observe| observe.value.on().is_some()).and_then(Stated::span);
    let check = raw.check.as_ref().filter(|check| matches!(check.value, Switch::On(_)));
    if let (Some(track), Some(check)) = (&raw.track, check) {
        mistakes.push_pair(check.span(), track.span(), "it has that one's state", Mistake::TracksAndChecks);
    }
    if observe_at.is_some() && !checked {
        mistakes.push(observe_at, Mistake::ObservesUnchecked);
    }
    let server = raw.address.as_ref().map(|address| &address.value.endpoint.host);
    if let (Some(source), Some(HostAddress::Ip(ip))) = (&raw.source, server)
        && source.value.0.is_ipv4() != ip.is_ipv4()
    {
        mistakes.push(source.span(), Mistake::OtherFamily { address: ip.to_string() });
    }
}

/// Notes servers that track one which is not there, or which tracks them.
pub fn note_tracked(expanded: &Expanded, backends: &[Backend], mistakes: &mut Mistakes) {
    if expanded.backends().count() != backends.len() {
        // What is missing may be what is meant.
        return;
    }
    let find = |tracked: &crate::model::Tracked| {
        let backend = backends.iter().find(|backend| backend.name == tracked.backend)?;
        backend.servers.iter().find(|server| server.name == tracked.server)
    };
    let tracking = expanded.backends().flat_map(|backend| &backend.servers).flat_map(|servers| &servers.value.0);
    for track in tracking.filter_map(|member| member.value.0.track.as_ref()) {
        let tracked = &track.value;
        // As many hops as there are servers, and one more, is a circle.
        let hops = backends.iter().map(|backend| backend.servers.len()).sum::<usize>() + 1;
        let mut last = find(tracked);
        for _ in 0..hops {
            match last.and_then(|server| server.track.as_ref()) {
                Some(next) => last = find(next),
                None => break,
            }
        }
        if last.is_none_or(|server| server.track.is_some()) {
            let name = format!("{}/{}", tracked.backend, tracked.server);
            mistakes.push(track.span(), Mistake::UnknownTracked { name });
        }
    }
}
