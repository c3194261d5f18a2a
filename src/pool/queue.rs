//! Sessions that wait because every server that could take them is full: first come, first served.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use super::counters::Queued;
use super::{Leased, Pool, Refusal, Tried};

/// Who waits, in order of arrival. Part of the pool's locked state.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiter>,
    arrivals: u64,
}

/// One waiting session, as the pool knows it.
#[derive(Debug)]
pub(super) struct Waiter {
    pub source: Option<IpAddr>,
    pub tried: Tried,
    number: u64,
    answer: oneshot::Sender<Result<Leased, Refusal>>,
}

/// A place in the queue; dropping it leaves.
#[derive(Debug)]
pub struct Ticket {
    /// How many were ahead when it joined.
    pub ahead: u32,
    number: u64,
    pool: Weak<Pool>,
    answer: oneshot::Receiver<Result<Leased, Refusal>>,
    _queued: Queued,
}

impl Ticket {
    /// Waits for a slot. The caller bounds the time.
    pub async fn wait(mut self) -> Result<Leased, Refusal> {
        // The pool keeps the sender until it answers, so that an end without an answer is the end of the pool.
        (&mut self.answer).await.unwrap_or(Err(Refusal::NoServer))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            let left = pool.lock().queue.leave(self.number);
            drop(left);
        }
    }
}

impl Queue {
    pub fn join(&mut self, pool: &Arc<Pool>, source: Option<IpAddr>, tried: Tried) -> Ticket {
        let (sender, receiver) = oneshot::channel();
        let number = self.arrivals;
        self.arrivals += 1;
        let ahead = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.waiting.push_back(Waiter { source, tried, number, answer: sender });
        Ticket { ahead, number, pool: Arc::downgrade(pool), answer: receiver, _queued: pool.counters.enqueue() }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes out the first for whom there is an answer, which need not be the first in line: who waits for one server
    /// must not hold up those who can have another.
    pub fn first_answered<T>(&mut self, answer: impl FnMut(&Waiter) -> Option<T>) -> Option<(Waiter, T)> {
        let mut answers = self.waiting.iter().map(answer).enumerate();
        let (place, answer) = answers.find_map(|(place, answer)| Some((place, answer?)))?;
        let waiter = self.waiting.remove(place)?;
        Some((waiter, answer))
    }

    fn leave(&mut self, number: u64) -> Option<Waiter> {
        let place = self.waiting.iter().position(|waiter| waiter.number == number)?;
        self.waiting.remove(place)
    }
}

impl Waiter {
    pub fn answer(self, answer: Result<Leased, Refusal>) {
        // Who has left in the meantime drops the lease, which gives the slot to the next.
        let _ = self.answer.send(answer);
    }
}
