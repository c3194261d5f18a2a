//! A group of clients: what they ask for, when, and what they have seen.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::load::{Connection, Group, Seen};
use crate::wire::{Exchange, Manner};

pub struct Crowd {
    group: Group,
    /// Clients that are at rest, longest first. Only groups with a rate look at it.
    idle: VecDeque<usize>,
    due: Option<Instant>,
    random: fastrand::Rng,
    seen: Seen,
    /// Nanoseconds of each exchange.
    times: Vec<u64>,
}

impl Crowd {
    /// Clients with numbers from `first` on.
    pub fn new(group: Group, first: usize) -> Self {
        let idle = match group.connection {
            // They come to rest after their first exchange.
            Connection::Stays => VecDeque::new(),
            Connection::ClientCloses | Connection::ServerCloses => (first..first + group.clients).collect(),
        };
        let random = fastrand::Rng::with_seed(first as u64);
        Self { group, idle, due: None, random, seen: Seen::default(), times: Vec::new() }
    }

    pub fn target(&self) -> SocketAddrV4 {
        self.group.target
    }

    pub fn connection(&self) -> Connection {
        self.group.connection
    }

    pub fn is_closed_loop(&self) -> bool {
        self.group.rate.is_none()
    }

    /// Forgets what was seen before now.
    pub fn begin(&mut self, now: Instant) {
        self.seen = Seen::default();
        self.times.clear();
        self.due = self.interval().map(|interval| now + interval);
    }

    fn interval(&self) -> Option<Duration> {
        self.group.rate.filter(|rate| *rate > 0.0).map(|rate| Duration::from_secs_f64(1.0 / rate))
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.due
    }

    /// The client that has its turn now, if one is due. Call until there is none.
    pub fn due(&mut self, now: Instant) -> Option<usize> {
        let interval = self.interval()?;
        while self.due.is_some_and(|due| due <= now) {
            self.due = self.due.map(|due| due + interval);
            match self.idle.pop_front() {
                Some(client) => return Some(client),
                None => self.seen.missed += 1,
            }
        }
        None
    }

    /// The next exchange of any of its clients.
    pub fn exchange(&mut self) -> Exchange {
        let (least, most) = self.group.down;
        let manner = match self.group.connection {
            Connection::Stays | Connection::ClientCloses => Manner::Open,
            Connection::ServerCloses => Manner::ServerCloses,
        };
        Exchange { up: self.group.up, down: self.random.u64(least..=most), manner, verify: self.group.verify }
    }

    pub fn finished(&mut self, client: usize, exchange: Exchange, took: Duration) {
        if !self.is_closed_loop() {
            self.idle.push_back(client);
        }
        self.seen.exchanges += 1;
        self.seen.bytes += exchange.up + exchange.down;
        self.times.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What was seen since it began, `seconds` ago.
    pub fn seen(&mut self, seconds: f64) -> Seen {
        self.times.sort_unstable();
        let at = |share: f64| {
            // The smallest time that at least this share of exchanges did not exceed.
            let place = (share * self.times.len() as f64).ceil() as usize;
            self.times.get(place.saturating_sub(1)).map_or(0.0, |time| *time as f64 / 1e9)
        };
        Seen { seconds, p50: at(0.5), p99: at(0.99), longest: at(1.0), ..self.seen.clone() }
    }
}
