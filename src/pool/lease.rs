//! Who gets a session: the choice, the slot that goes with it, and the wait for one.

use std::net::IpAddr;
use std::sync::Arc;

use super::counters::Open;
use super::queue::Ticket;
use super::server::Server;
use super::sources::Claim;
use super::{Pool, Tried};

/// The answer to who may have this session.
#[derive(Debug)]
pub enum Lease {
    Leased(Leased),
    /// All that could take it are full; the ticket waits for a slot.
    Wait(Ticket),
    Refused(Refusal),
    /// It is tied to this server, which is full, and as many wait for that as may.
    Crowded(Arc<Server>),
}

/// Why nobody gets a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No server may have it.
    NoServer,
    /// Each that may have it has been tried.
    AllTried,
    /// As many wait for the one that may have it as may.
    Crowded,
}

/// The right to send one session to one server; dropping it gives the slot back.
#[derive(Debug)]
pub struct Leased {
    pub server: Arc<Server>,
    /// The server counts as down: it is tried because no better one is left.
    pub last_resort: bool,
    /// Its connection does not stand yet.
    pub(super) dialling: bool,
    /// Its server has been counted as chosen.
    pub(super) counted: bool,
    pub(super) pool: Arc<Pool>,
    /// Boxed, because most backends have none and a session holds it to its end.
    pub(super) claim: Option<Box<Claim>>,
    _open: Open,
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.pool.give_back(self);
    }
}

impl Pool {
    /// Chooses a server for a session from `source`, other than those it has tried, and counts it there at once.
    /// One from nowhere has no address, such as the client of a unix socket.
    pub fn lease(self: &Arc<Self>, source: impl Into<Option<IpAddr>>, tried: &Tried) -> Lease {
        let source = source.into();
        let mut state = self.lock();
        match state.choose(source, tried) {
            Choice::Chosen(chosen) => {
                drop(state);
                Lease::Leased(self.leased(chosen))
            }
            Choice::Full => Lease::Wait(state.queue_up(self, source, tried, None)),
            Choice::Queue(place) => {
                let ticket = state.queue_up(self, source, tried, Some(place));
                drop(state);
                // With this one there is more load than before, and with that, a server may have more sessions.
                self.serve_queue();
                Lease::Wait(ticket)
            }
            Choice::Crowded(place) => {
                state.count_choice(place);
                Lease::Crowded(Arc::clone(&state.members[place].server))
            }
            Choice::Nobody(refusal) => Lease::Refused(refusal),
        }
    }

    pub(super) fn leased(self: &Arc<Self>, chosen: Chosen) -> Leased {
        let Chosen { server, last_resort, claim, counted } = chosen;
        let open = server.counters.begin();
        Leased { server, last_resort, dialling: true, counted, pool: Arc::clone(self), claim, _open: open }
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
        let is_awaited = state.is_awaited();
        drop(state);
        if is_awaited {
            self.serve_queue();
        }
    }
}

/// A server with a slot that is taken already.
pub(super) struct Chosen {
    pub server: Arc<Server>,
    pub last_resort: bool,
    pub claim: Option<Box<Claim>>,
    /// It has been counted as chosen, or is not to be.
    pub counted: bool,
}

pub(super) enum Choice {
    Chosen(Chosen),
    /// All that could take it are full: it waits for any of them,
    Full,
    /// or for the one at this place alone,
    Queue(usize),
    /// for which as many wait already as may.
    Crowded(usize),
    Nobody(Refusal),
}
