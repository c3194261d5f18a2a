//! Who gets a session: the choice, the slot that goes with it, and the wait for one.

use std::net::IpAddr;
use std::sync::Arc;

use super::counters::Open;
use super::queue::{Ticket, Waiter};
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
            Choice::Full => {
                let ticket = state.queue.join(self, source, tried.clone());
                Lease::Wait(ticket)
            }
            Choice::Nobody(refusal) => Lease::Refused(refusal),
        }
    }

    pub(super) fn leased(self: &Arc<Self>, chosen: Chosen) -> Leased {
        let Chosen { server, last_resort, claim } = chosen;
        let open = server.counters.begin();
        Leased { server, last_resort, dialling: true, counted: false, pool: Arc::clone(self), claim, _open: open }
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
    pub(super) fn serve_queue(self: &Arc<Self>) {
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
            match state.choose(waiter.source, &waiter.tried) {
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
}

/// A server with a slot that is taken already.
pub(super) struct Chosen {
    pub server: Arc<Server>,
    pub last_resort: bool,
    pub claim: Option<Box<Claim>>,
}

pub(super) enum Choice {
    Chosen(Chosen),
    Full,
    Nobody(Refusal),
}
