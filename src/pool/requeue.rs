//! What becomes of those who wait for a server that goes.

use std::sync::Arc;

use super::lease::{Choice, Chosen};
use super::queue::Waiter;
use super::state::State;
use super::tier::Tier;
use super::{Refusal, counters};
use crate::event::ServerState;
use crate::model::{Redispatch, Retries};

/// What becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// They go on waiting for it: it may still serve them, or come back.
    Stay,
    /// They choose anew.
    Move,
    /// They are given to it all the same, whatever its limit is: if it is gone, their retries lead them elsewhere.
    Go,
}

impl Fate {
    /// Of those who wait for a server that comes to this state. What HAProxy 3.2.26 does, where it counts retries: with
    /// `option redispatch` it hands them to the server that they wait for, and without it they stay, unless an operator
    /// has taken the server out.
    pub fn of(to: ServerState, retries: Retries) -> Self {
        match (to, retries) {
            (ServerState::Ready | ServerState::Kept(_), _) => Self::Stay,
            (_, Retries::Others) | (ServerState::Maint, Retries::Counted { redispatch: Redispatch::Never, .. }) => {
                Self::Move
            }
            (_, Retries::Counted { redispatch: Redispatch::Never, .. }) => Self::Stay,
            (_, Retries::Counted { .. }) => Self::Go,
        }
    }
}

impl State {
    /// How many of those who wait for a server will have left its queue, and how many wait for it then. With the last
    /// server that is usable, those leave who wait for any.
    pub fn requeued(&self, place: usize, fate: Fate, any_left: bool) -> (usize, usize) {
        let own = self.members[place].queue.len();
        let shared = if any_left { 0 } else { self.queue.len() };
        match fate {
            Fate::Stay => (shared, own),
            Fate::Move | Fate::Go => (own + shared, 0),
        }
    }

    /// Has those who wait for a server meet their fate; the answers of those who need not wait any longer.
    pub fn requeue(&mut self, place: usize, fate: Fate) -> Vec<(Waiter, Result<Chosen, Refusal>)> {
        match fate {
            Fate::Stay => Vec::new(),
            Fate::Go => self.members[place].queue.empty().into_iter().map(|waiter| self.sent(waiter, place)).collect(),
            Fate::Move => {
                let waiters = self.members[place].queue.empty();
                waiters.into_iter().filter_map(|waiter| self.moved(waiter, place)).collect()
            }
        }
    }

    fn sent(&mut self, waiter: Waiter, place: usize) -> (Waiter, Result<Chosen, Refusal>) {
        let tier = self.members[place].tier().unwrap_or(Tier::ReadyPrimary);
        let chosen = self.take(waiter.source, place, tier);
        (waiter, Ok(Chosen { counted: true, ..chosen }))
    }

    /// `None` if it waits for another server, or for any.
    fn moved(&mut self, mut waiter: Waiter, from: usize) -> Option<(Waiter, Result<Chosen, Refusal>)> {
        [&self.members[from].server.counters, &self.counters].iter().for_each(|of| counters::count(&of.moves));
        waiter.course.moves += 1;
        waiter.course.server = None;
        let at = match self.choose(waiter.source, &waiter.tried) {
            Choice::Chosen(chosen) => return Some((waiter, Ok(chosen))),
            Choice::Nobody(refusal) => return Some((waiter, Err(refusal))),
            Choice::Crowded(place) => {
                self.count_choice(place);
                waiter.course.server = Some(Arc::clone(&self.members[place].server));
                return Some((waiter, Err(Refusal::Crowded)));
            }
            Choice::Queue(place) => Some(place),
            Choice::Full => None,
        };
        self.put(waiter, at);
        None
    }

    /// Has those wait for any server who wait for one that is no longer here.
    pub fn take_in(&mut self, waiters: Vec<Waiter>) {
        waiters.into_iter().for_each(|waiter| self.put(waiter, None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DownCause;

    /// As HAProxy 3.2.26 was seen to do it, and evenkeel's own way beside it.
    #[test]
    fn what_becomes_of_waiters_depends_on_why_the_server_goes() {
        let states =
            [ServerState::Down(DownCause::Refused), ServerState::Drain, ServerState::Draining, ServerState::Maint];
        let fates = |retries| states.map(|to| Fate::of(to, retries));
        let never = Retries::Counted { most: 3, redispatch: Redispatch::Never };
        assert_eq!(fates(never), [Fate::Stay, Fate::Stay, Fate::Stay, Fate::Move]);
        assert_eq!(fates(Retries::Counted { most: 3, redispatch: Redispatch::LAST }), [Fate::Go; 4]);
        assert_eq!(fates(Retries::Others), [Fate::Move; 4]);
        assert_eq!(Fate::of(ServerState::Ready, Retries::Others), Fate::Stay);
    }
}
