//! Sessions that wait for a slot: a queue of each server, and one of the backend for those who may have any.
//!
//! Those in the backend's have whichever server is free first; a server's own is used where sessions are tied to servers
//! ([`OnFull::Wait`](crate::model::OnFull::Wait)). Each is first come, first served, and between two of them it is the same:
//! a pool numbers those who come.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use super::counters::{Counters, Queued};
use super::server::Server;
use super::{Leased, Pool, Refusal, Tried};

/// Who waits, in order of arrival. Part of the pool's locked state.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiter>,
    /// Who has been served from it so far.
    served: u64,
}

/// One waiting session, as the pool knows it.
#[derive(Debug)]
pub(super) struct Waiter {
    pub source: Option<IpAddr>,
    pub tried: Tried,
    pub course: Course,
    /// Its number among all that have waited here.
    number: u64,
    /// Who had been served from its queue when it joined.
    before: u64,
    answer: oneshot::Sender<Answer>,
    /// Counted in the queue where it waits.
    queued: Option<Queued>,
}

/// What a session has waited for so far.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// The server whose queue it was in last, or that it has been given; `None` if that was the backend's queue.
    pub server: Option<Arc<Server>>,
    /// How many were served from the queues it was in until it was its turn, itself included: in queues of servers,
    pub server_place: u32,
    /// and in the backend's.
    pub backend_place: u32,
    /// How often it has left a server's queue for another.
    pub moves: u32,
}

/// What becomes of a session that has waited.
#[derive(Debug)]
pub struct Answer {
    pub outcome: Result<Leased, Refusal>,
    pub course: Course,
}

/// A place in a queue; dropping it leaves.
#[derive(Debug)]
pub struct Ticket {
    number: u64,
    pool: Weak<Pool>,
    answer: oneshot::Receiver<Answer>,
}

impl Ticket {
    /// Waits for a slot. The caller bounds the time.
    pub async fn wait(&mut self) -> Answer {
        // The pool keeps the sender until it answers, so that an end without an answer is the end of the pool.
        let gone = |_| Answer { outcome: Err(Refusal::NoServer), course: Course::default() };
        (&mut self.answer).await.unwrap_or_else(gone)
    }

    /// Leaves without having been served.
    pub fn leave(mut self) -> Course {
        let left = self.step_out();
        // Whoever isn't there any more was being served: the lease is dropped with the rest of its answer.
        left.map(|waiter| waiter.course).or_else(|| Some(self.answer.try_recv().ok()?.course)).unwrap_or_default()
    }

    fn step_out(&mut self) -> Option<Waiter> {
        let pool = self.pool.upgrade()?;
        let mut state = pool.lock();
        state.queues().find_map(|queue| queue.leave(self.number))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        drop(self.step_out());
    }
}

impl Queue {
    /// Begins to wait at its end.
    pub fn join(&mut self, mut waiter: Waiter, counters: &Arc<Counters>) {
        waiter.before = self.served;
        waiter.queued = Some(counters.enqueue());
        // Who comes from another queue keeps its place among those who came later.
        let place = self.waiting.partition_point(|other| other.number < waiter.number);
        self.waiting.insert(place, waiter);
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The number of whoever is first in line.
    pub fn first(&self) -> Option<u64> {
        self.waiting.front().map(|waiter| waiter.number)
    }

    /// The first for whom there is an answer, which need not be the first in line: who waits for one server must not hold
    /// up those who can have another. Its place, its number, and the answer.
    pub fn first_answered<T>(&self, mut answer: impl FnMut(&Waiter) -> Option<T>) -> Option<(usize, u64, T)> {
        let mut waiting = self.waiting.iter().enumerate();
        waiting.find_map(|(place, waiter)| Some((place, waiter.number, answer(waiter)?)))
    }

    /// Takes out whoever is at a place, whose turn it is.
    pub fn serve(&mut self, place: usize) -> Option<Waiter> {
        let waiter = self.take(place)?;
        self.served += 1;
        Some(waiter)
    }

    /// Takes out everyone, who are to wait elsewhere, or not at all.
    pub fn empty(&mut self) -> Vec<Waiter> {
        (0..self.len()).filter_map(|_| self.take(0)).collect()
    }

    fn leave(&mut self, number: u64) -> Option<Waiter> {
        let place = self.waiting.binary_search_by_key(&number, |waiter| waiter.number).ok()?;
        self.take(place)
    }

    fn take(&mut self, place: usize) -> Option<Waiter> {
        let mut waiter = self.waiting.remove(place)?;
        waiter.queued = None;
        let place = u32::try_from(self.served - waiter.before + 1).unwrap_or(u32::MAX);
        match waiter.course.server {
            Some(_) => waiter.course.server_place += place,
            None => waiter.course.backend_place += place,
        }
        Some(waiter)
    }
}

impl Waiter {
    /// A session that is to wait, and its ticket.
    pub fn new(number: u64, pool: &Arc<Pool>, source: Option<IpAddr>, tried: &Tried) -> (Self, Ticket) {
        let (sender, receiver) = oneshot::channel();
        let (tried, course) = (tried.clone(), Course::default());
        let waiter = Self { source, tried, course, number, before: 0, answer: sender, queued: None };
        (waiter, Ticket { number, pool: Arc::downgrade(pool), answer: receiver })
    }

    pub fn answer(mut self, outcome: Result<Leased, Refusal>) {
        if let Ok(leased) = &outcome {
            self.course.server = Some(Arc::clone(&leased.server));
        }
        // Who has left in the meantime drops the lease, which gives the slot to the next.
        let _ = self.answer.send(Answer { outcome, course: self.course });
    }
}
