//! Which worker gets a connection: the one that accepts it, unless another has clearly fewer sessions.
//!
//! All workers accept on the same sockets, and whoever looks first takes what is there. Of connections that come together
//! and stay for days one worker could so have all. What would leave it with clearly more than another it hands over, which
//! costs the waking of that one.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, error::SendError, unbounded_channel};

use super::frontend::{Door, Frontend, Permits};
use super::worker::Pulse;
use crate::model::SessionAddress;

/// A connection that has been accepted, within the session limits, and is nobody's yet.
#[derive(Debug)]
pub struct Arrival {
    pub socket: OwnedFd,
    pub peer: SessionAddress,
    pub listener: SessionAddress,
    pub permits: Permits,
    pub frontend: Arc<Frontend>,
    pub door: Arc<Door>,
}

/// A worker's place among all workers.
#[derive(Debug)]
pub struct Seat {
    desks: Arc<[Arc<Desk>]>,
    index: usize,
    inbox: RefCell<UnboundedReceiver<(Arrival, Load)>>,
}

/// A worker, as the others see it.
#[derive(Debug)]
struct Desk {
    load: AtomicU32,
    pulse: Arc<Pulse>,
    /// Bounded by the session limits: each arrival holds its permits.
    inbox: UnboundedSender<(Arrival, Load)>,
}

/// One session of a worker, from the choice of the worker to its end.
#[derive(Debug)]
pub struct Load(Arc<Desk>);

/// A worker that has not turned for so long, four sweeps, is handed nothing.
const LATE: Duration = Duration::from_secs(1);

/// The places of so many workers.
pub fn seats(count: usize) -> Vec<Seat> {
    let (desks, inboxes): (Vec<_>, Vec<_>) = (0..count)
        .map(|_| {
            let (sender, inbox) = unbounded_channel();
            (Arc::new(Desk { load: AtomicU32::new(0), pulse: Pulse::new(), inbox: sender }), RefCell::new(inbox))
        })
        .unzip();
    let desks: Arc<[_]> = desks.into();
    (0..).zip(inboxes).map(|(index, inbox)| Seat { desks: Arc::clone(&desks), index, inbox }).collect()
}

impl Seat {
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.desks[self.index].pulse
    }

    /// Hands an arrival to the worker that is to have it; gives it back if that is this one.
    pub fn deal(&self, arrival: Arrival) -> Option<(Arrival, Load)> {
        let own = &self.desks[self.index];
        let Some(other) = self.relief() else { return Some((arrival, Load::of(own))) };
        match other.inbox.send((arrival, Load::of(other))) {
            Ok(()) => None,
            // Its thread has ended.
            Err(SendError((arrival, _))) => Some((arrival, Load::of(own))),
        }
    }

    /// The next arrival that another worker has handed over.
    #[expect(clippy::await_holding_refcell_ref, reason = "one task asks, and nobody else borrows it")]
    pub async fn handed_over(&self) -> (Arrival, Load) {
        match self.inbox.borrow_mut().recv().await {
            Some(arrival) => arrival,
            // Never: a sender is among the desks, which this seat holds.
            None => std::future::pending().await,
        }
    }

    /// Who has clearly fewer sessions than this worker, the fewest of all. An eighth more is not worth a waking, and
    /// neither is one or two: so short sessions, whose numbers go up and down, mostly stay where they were accepted.
    fn relief(&self) -> Option<&Arc<Desk>> {
        let own = self.desks[self.index].sessions();
        let fair = own - own / 8;
        let relieves = |desk: &&Arc<Desk>| desk.sessions() + 2 < fair && desk.pulse.age() < LATE;
        self.desks.iter().filter(relieves).min_by_key(|desk| desk.sessions())
    }
}

impl Desk {
    fn sessions(&self) -> u32 {
        self.load.load(Relaxed)
    }
}

impl Load {
    fn of(desk: &Arc<Desk>) -> Self {
        desk.load.fetch_add(1, Relaxed);
        Self(Arc::clone(desk))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of several workers the first one hands to when they have so many sessions.
    fn relief(sessions: &[u32]) -> Option<usize> {
        let seats = seats(sessions.len());
        for (desk, sessions) in seats[0].desks.iter().zip(sessions) {
            desk.load.store(*sessions, Relaxed);
        }
        let relief = seats[0].relief()?;
        seats[0].desks.iter().position(|desk| Arc::ptr_eq(desk, relief))
    }

    #[test]
    fn who_has_clearly_fewer_sessions_is_handed_the_next_and_a_few_more_are_kept() {
        assert_eq!(relief(&[0]), None);
        assert_eq!(relief(&[2, 0, 0]), None);
        assert_eq!(relief(&[3, 1, 0]), Some(2));
        assert_eq!(relief(&[0, 9, 9]), None);
        assert_eq!(relief(&[800, 699, 697]), Some(2));
        assert_eq!(relief(&[800, 698, 698]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_turn_is_handed_nothing() {
        let seats = seats(3);
        seats[0].desks[0].load.store(100, Relaxed);
        seats[0].desks[1].load.store(1, Relaxed);
        tokio::time::advance(LATE).await;
        seats[1].pulse().beat();
        let relief = seats[0].relief().expect("one turns");
        assert!(Arc::ptr_eq(relief, &seats[0].desks[1]), "the idle one is stuck");
    }

    #[test]
    fn a_load_counts_until_it_is_dropped() {
        let seats = seats(1);
        let load = Load::of(&seats[0].desks[0]);
        assert_eq!(seats[0].desks[0].sessions(), 1);
        drop(load);
        assert_eq!(seats[0].desks[0].sessions(), 0);
    }
}
