//! Clients, all in one thread: each has one exchange at a time.

mod group;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::dialler::Dialler;
use super::{Connection, Group, Seen, Until};
use crate::poller::{Interest, Poller};
use crate::wire::{self, Exchange, HEAD, Manner, SLICE};
use group::Crowd;

/// A read of more than this is thrown away inside the kernel, unless its content is to be looked at.
const WORTH_SKIPPING: u64 = 64 * 1024;

/// Without any event for so long, exchanges are taken for lost.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Clients {
    poller: Poller,
    dialler: Dialler,
    crowds: Vec<Crowd>,
    clients: Vec<Client>,
    /// Exchanges that have begun and not ended.
    busy: usize,
    /// Exchanges that may still begin.
    left: u64,
    /// Whether a client that is done starts again by itself.
    running: bool,
    buffer: Vec<u8>,
}

struct Client {
    crowd: usize,
    socket: Option<OwnedFd>,
    exchange: Exchange,
    state: State,
    started: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Sending {
        sent: u64,
        waiting: bool,
    },
    Receiving {
        got: u64,
    },
    /// The server's FIN is to come.
    Ending,
}

impl Clients {
    pub fn new() -> Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            dialler: Dialler::default(),
            crowds: Vec::new(),
            clients: Vec::new(),
            busy: 0,
            left: 0,
            running: false,
            buffer: vec![0; 4 * SLICE],
        })
    }

    /// Adds a group. Clients that stay connected have one exchange each, so that all that follows is as in the middle
    /// of a session.
    pub fn open(&mut self, group: Group) -> Result<()> {
        ensure!(group.up >= HEAD as u64, "a request is at least as long as its head");
        let first = self.clients.len();
        let stays = group.connection == Connection::Stays;
        for _ in 0..group.clients {
            self.clients.push(Client::new(self.crowds.len()));
        }
        self.crowds.push(Crowd::new(group, first));
        if stays {
            for number in first..self.clients.len() {
                // The first exchange is a small one whatever follows.
                self.start(number, Some(64))?;
                self.settle()?;
            }
        }
        Ok(())
    }

    /// Everybody closes.
    pub fn close(&mut self) {
        self.clients.clear();
        self.crowds.clear();
        self.busy = 0;
    }

    /// Runs all groups, and waits for the last exchange to end.
    pub fn run(&mut self, until: Until) -> Result<Vec<Seen>> {
        let begun = Instant::now();
        let end = match until {
            Until::Seconds(seconds) => Some(begun + Duration::from_secs_f64(seconds)),
            Until::Exchanges(_) => None,
        };
        self.left = match until {
            Until::Seconds(_) => u64::MAX,
            Until::Exchanges(count) => count,
        };
        self.crowds.iter_mut().for_each(|crowd| crowd.begin(begun));
        self.running = true;
        let outcome = self.keep_going(end);
        self.running = false;
        outcome?;
        self.settle()?;
        let seconds = begun.elapsed().as_secs_f64();
        Ok(self.crowds.iter_mut().map(|crowd| crowd.seen(seconds)).collect())
    }

    fn keep_going(&mut self, end: Option<Instant>) -> Result<()> {
        for number in 0..self.clients.len() {
            if self.crowds[self.clients[number].crowd].is_closed_loop() {
                self.start_another(number)?;
            }
        }
        let mut ready = Vec::new();
        loop {
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) || self.left == 0 {
                return Ok(());
            }
            let due = self.start_due(now)?;
            let limit = [due, end].into_iter().flatten().min().map(|at| at.saturating_duration_since(now));
            self.wait(limit.unwrap_or(PATIENCE), &mut ready)?;
        }
    }

    /// Starts what is due in groups with a rate; says when the next is.
    fn start_due(&mut self, now: Instant) -> Result<Option<Instant>> {
        let mut next = None;
        for crowd in 0..self.crowds.len() {
            while let Some(client) = self.crowds[crowd].due(now) {
                self.start(client, None)?;
            }
            next = [next, self.crowds[crowd].next_due()].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// Waits until nobody is busy.
    fn settle(&mut self) -> Result<()> {
        let mut ready = Vec::new();
        while self.busy > 0 {
            self.wait(PATIENCE, &mut ready)?;
        }
        Ok(())
    }

    fn wait(&mut self, limit: Duration, ready: &mut Vec<usize>) -> Result<()> {
        let before = Instant::now();
        self.poller.wait(Some(limit), ready)?;
        let lost = ready.is_empty() && self.busy > 0 && before.elapsed() >= PATIENCE;
        ensure!(!lost, "{} exchanges never ended", self.busy);
        for &number in ready.iter() {
            self.turn(number).with_context(|| format!("client {number} of {}", self.clients.len()))?;
        }
        Ok(())
    }

    fn start_another(&mut self, number: usize) -> Result<()> {
        if self.running && self.left > 0 {
            self.left -= 1;
            self.start(number, None)?;
        }
        Ok(())
    }

    fn start(&mut self, number: usize, down: Option<u64>) -> Result<()> {
        let client = &mut self.clients[number];
        let crowd = &mut self.crowds[client.crowd];
        client.started = Instant::now();
        client.exchange = crowd.exchange();
        if let Some(down) = down {
            client.exchange = Exchange { up: HEAD as u64, down, ..client.exchange };
        }
        if client.socket.is_none() {
            let socket = match crowd.connection() {
                Connection::Stays => self.dialler.connect_for_long(crowd.target())?,
                Connection::ClientCloses | Connection::ServerCloses => self.dialler.connect(crowd.target())?,
            };
            self.poller.add(&socket, number, Interest::Reading)?;
            client.socket = Some(socket);
        }
        self.busy += 1;
        self.send(number, 0, false)
    }

    fn send(&mut self, number: usize, sent: u64, waiting: bool) -> Result<()> {
        let client = &mut self.clients[number];
        let socket = client.socket.as_ref().context("a busy client has a socket")?;
        let piece = client.exchange.piece(sent, &mut self.buffer);
        let sent = match rustix::net::send(socket, piece, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => sent,
            other => sent + other.context("send")? as u64,
        };
        let whole = sent == client.exchange.up;
        if whole == waiting {
            let interest = if whole { Interest::Reading } else { Interest::Writing };
            self.poller.change(socket, number, interest)?;
        }
        client.state = if whole { State::Receiving { got: 0 } } else { State::Sending { sent, waiting: true } };
        Ok(())
    }

    fn turn(&mut self, number: usize) -> Result<()> {
        let Some(client) = self.clients.get(number) else { return Ok(()) };
        match client.state {
            State::Sending { sent, waiting } => self.send(number, sent, waiting),
            State::Receiving { got } => self.receive(number, got),
            State::Ending => self.receive(number, client.exchange.down),
            State::Idle if client.socket.is_some() => bail!("a connection was ended while it was idle"),
            State::Idle => Ok(()),
        }
    }

    fn receive(&mut self, number: usize, got: u64) -> Result<()> {
        let client = &mut self.clients[number];
        let socket = client.socket.as_ref().context("a busy client has a socket")?;
        let exchange = client.exchange;
        let skip = !exchange.verify && exchange.down - got > WORTH_SKIPPING;
        let flags = RecvFlags::DONTWAIT | if skip { RecvFlags::TRUNC } else { RecvFlags::empty() };
        let (_, read) = match rustix::net::recv(socket, &mut self.buffer[..], flags) {
            Err(Errno::AGAIN) => return Ok(()),
            other => other.context("receive")?,
        };
        let end = got + read as u64;
        if client.state == State::Ending {
            ensure!(read == 0, "{read} bytes too many");
            return self.finish(number);
        }
        ensure!(read > 0, "closed after {got} of {} bytes", exchange.down);
        ensure!(end <= exchange.down, "{} bytes too many", end - exchange.down);
        ensure!(!exchange.verify || wire::is_filler(got, &self.buffer[..read]), "other bytes than were sent");
        if end < exchange.down {
            client.state = State::Receiving { got: end };
            Ok(())
        } else if exchange.manner == Manner::ServerCloses {
            client.state = State::Ending;
            Ok(())
        } else {
            self.finish(number)
        }
    }

    fn finish(&mut self, number: usize) -> Result<()> {
        let client = &mut self.clients[number];
        let crowd = &mut self.crowds[client.crowd];
        client.state = State::Idle;
        if crowd.connection() != Connection::Stays {
            client.socket = None;
        }
        self.busy -= 1;
        crowd.finished(number, client.exchange, client.started.elapsed());
        if crowd.is_closed_loop() { self.start_another(number) } else { Ok(()) }
    }
}

impl Client {
    fn new(crowd: usize) -> Self {
        let exchange = Exchange { up: 0, down: 0, manner: Manner::Open, verify: false };
        Self { crowd, socket: None, exchange, state: State::Idle, started: Instant::now() }
    }
}
