//! Whose turn it is when a slot is free.

use std::net::IpAddr;
use std::sync::Arc;

use super::lease::{Choice, Chosen};
use super::member::Member;
use super::queue::{Ticket, Waiter};
use super::room::Load;
use super::state::State;
use super::tier::Tier;
use super::{Pool, Refusal, Tried, counters};
use crate::model::OnFull;

/// One who need not wait any longer, and the answer.
type Served = (Waiter, Result<Chosen, Refusal>);

impl Pool {
    /// Gives slots to those who wait, first come first served, while there are any of both.
    pub(super) fn serve_queue(self: &Arc<Self>) {
        while let Some(served) = self.next_served() {
            self.deliver(served);
        }
    }

    /// Tells one who has waited. A waiter that has just left gets its lease all the same, and drops it: outside the lock,
    /// as it must be.
    pub(super) fn deliver(self: &Arc<Self>, (waiter, answer): Served) {
        waiter.answer(answer.map(|chosen| self.leased(chosen)));
    }

    fn next_served(&self) -> Option<Served> {
        let mut state = self.lock();
        match state.spec.on_full {
            OnFull::Next => state.next_by_method(),
            OnFull::Wait => state.next_by_server(),
        }
    }
}

/// The first in the backend's queue whose turn it may be.
struct First {
    place: usize,
    number: u64,
    /// Whom it can have, of those that have a slot; or that nobody can have it.
    tier: Result<Tier, Refusal>,
}

impl State {
    /// Has a session wait: for the server at a place, or for any.
    pub fn queue_up(&mut self, pool: &Arc<Pool>, source: Option<IpAddr>, tried: &Tried, at: Option<usize>) -> Ticket {
        self.arrivals += 1;
        let (waiter, ticket) = Waiter::new(self.arrivals, pool, source, tried);
        self.put(waiter, at);
        ticket
    }

    /// Puts one who waits into a queue.
    pub(super) fn put(&mut self, mut waiter: Waiter, at: Option<usize>) {
        match at {
            Some(place) => {
                self.count_choice(place);
                let Member { server, queue, .. } = &mut self.members[place];
                waiter.course.server = Some(Arc::clone(server));
                queue.join(waiter, &server.counters);
            }
            None => {
                waiter.course.server = None;
                self.queue.join(waiter, &self.counters);
            }
        }
        self.counters.note_waiting(self.waiting());
    }

    /// Counts a server as chosen for a session that is not given to it at once.
    pub fn count_choice(&self, place: usize) {
        let of = [&self.members[place].server.counters, &self.counters];
        of.iter().for_each(|of| counters::count(&of.chosen));
    }

    /// Whether anybody waits.
    pub fn is_awaited(&self) -> bool {
        !self.queue.is_empty() || self.members.iter().any(|member| !member.queue.is_empty())
    }

    /// How many wait, for whomever.
    pub fn waiting(&self) -> u32 {
        let all = self.queue.len() + self.members.iter().map(|member| member.queue.len()).sum::<usize>();
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// All of its queues.
    pub fn queues(&mut self) -> impl Iterator<Item = &mut super::queue::Queue> {
        std::iter::once(&mut self.queue).chain(self.members.iter_mut().map(|member| &mut member.queue))
    }

    /// The first for whom the balance method has an answer.
    fn next_by_method(&mut self) -> Option<Served> {
        let mut queue = std::mem::take(&mut self.queue);
        // What one newcomer can't have, no other can: a long queue is not asked one by one.
        let mut full = false;
        let answered = queue.first_answered(|waiter| {
            if full && waiter.tried.is_empty() {
                return None;
            }
            match self.choose(waiter.source, &waiter.tried) {
                Choice::Full | Choice::Queue(_) | Choice::Crowded(_) => {
                    full |= waiter.tried.is_empty();
                    None
                }
                Choice::Chosen(chosen) => Some(Ok(chosen)),
                Choice::Nobody(refusal) => Some(Err(refusal)),
            }
        });
        let served = answered.and_then(|(place, _, answer)| Some((queue.serve(place)?, answer)));
        self.queue = queue;
        served
    }

    /// The first of those who wait for a server that has a slot, whether for it alone or for any, as HAProxy does it.
    fn next_by_server(&mut self) -> Option<Served> {
        let load = self.load();
        match (self.first_of_one(load), self.first_of_any(load)) {
            (Some((number, _)), Some(first)) if first.number < number => self.serve_any(first, load),
            (Some((_, place)), _) => self.serve_one(place),
            (None, Some(first)) => self.serve_any(first, load),
            (None, None) => None,
        }
    }

    /// The first of those who wait for one server that has a slot, whatever else holds of it: the number and the server.
    fn first_of_one(&self, load: Load) -> Option<(u64, usize)> {
        let firsts = self.members.iter().enumerate().filter_map(|(place, member)| Some((member.queue.first()?, place)));
        firsts.filter(|(_, place)| self.members[*place].has_room(load)).min()
    }

    fn first_of_any(&self, load: Load) -> Option<First> {
        let mut full = false;
        let answered = self.queue.first_answered(|waiter| {
            if full && waiter.tried.is_empty() {
                return None;
            }
            let tier = self.best_tier(&waiter.tried);
            let has_slot =
                tier.is_err() || tier.is_ok_and(|tier| self.slots(tier, &waiter.tried, load).next().is_some());
            full |= !has_slot && waiter.tried.is_empty();
            has_slot.then_some(tier)
        });
        answered.map(|(place, number, tier)| First { place, number, tier })
    }

    /// The places of those of a tier that have a slot for one who hasn't tried them.
    fn slots<'a>(&'a self, tier: Tier, tried: &'a Tried, load: Load) -> impl Iterator<Item = usize> + 'a {
        let of_tier = move |(_, member): &(usize, &Member)| member.tier() == Some(tier) && !member.is_among(tried);
        let most = if self.is_alone(tier) { 1 } else { usize::MAX };
        let all = self.members.iter().enumerate().filter(of_tier).take(most);
        all.filter(move |(_, member)| member.has_room(load)).map(|(place, _)| place)
    }

    fn serve_one(&mut self, place: usize) -> Option<Served> {
        let waiter = self.members[place].queue.serve(0)?;
        let tier = self.members[place].tier().unwrap_or(Tier::ReadyPrimary);
        Some(self.given(waiter, place, tier))
    }

    fn serve_any(&mut self, first: First, load: Load) -> Option<Served> {
        let waiter = self.queue.serve(first.place)?;
        let tier = match first.tier {
            Ok(tier) => tier,
            Err(refusal) => return Some((waiter, Err(refusal))),
        };
        let slots: Vec<usize> = self.slots(tier, &waiter.tried, load).collect();
        // Who takes whoever is free has had no turn: the method's order is for those who choose.
        let place = match slots.as_slice() {
            [only] => Some(*only),
            several => {
                let tried = &waiter.tried;
                let picked = self.pick(tier, waiter.source, |member| member.has_room(load) && !member.is_among(tried));
                picked.or(several.first().copied())
            }
        };
        Some(self.given(waiter, place?, tier))
    }

    fn given(&mut self, waiter: Waiter, place: usize, tier: Tier) -> Served {
        self.dials.note_begun();
        let chosen = self.take(waiter.source, place, tier);
        // It was counted when it was chosen to be waited for, and who takes any server has chosen none.
        (waiter, Ok(Chosen { counted: true, ..chosen }))
    }
}
