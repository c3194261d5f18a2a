//! The servers behind the proxies: one process that does what each request's head says.

mod checks;

use std::io::BufRead;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags};
use slab::Slab;
use socket2::{Domain, Socket, Type};

use crate::poller::{Interest, Poller};
use crate::wire::{self, Exchange, HEAD, Manner, SLICE};

/// A read of more than this is thrown away inside the kernel, unless its content is to be looked at.
const WORTH_SKIPPING: u64 = 64 * 1024;

/// The number by which standard input is watched.
const INPUT: usize = usize::MAX;

/// Serves the proxies of so many places, until standard input ends. Each line there is answered with how many bodies
/// were right so far and how many weren't.
pub fn run(places: u8) -> Result<()> {
    checks::serve(places)?;
    let mut servers = Servers::new(places)?;
    println!("ready");
    servers.serve()
}

struct Servers {
    poller: Poller,
    listeners: Vec<OwnedFd>,
    peers: Slab<Peer>,
    buffer: Vec<u8>,
    right: u64,
    wrong: u64,
}

/// One connection from a proxy.
struct Peer {
    socket: OwnedFd,
    head: [u8; HEAD],
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    Head {
        have: usize,
    },
    Body {
        exchange: Exchange,
        at: u64,
        replied: bool,
    },
    Reply {
        exchange: Exchange,
        at: u64,
    },
    /// Nothing but the other side's FIN is to come.
    End {
        exchange: Exchange,
    },
}

/// What becomes of a connection after a step.
enum Step {
    Stay,
    Leave,
}

impl Servers {
    fn new(places: u8) -> Result<Self> {
        let poller = Poller::new()?;
        poller.add(rustix::stdio::stdin(), INPUT, Interest::Reading)?;
        let mut listeners = Vec::new();
        for place in 1..=places {
            for number in 0..wire::SERVERS {
                for port in wire::PORTS {
                    let listener = listen((wire::server(place, number), port).into())?;
                    poller.add(&listener, listeners.len(), Interest::Reading)?;
                    listeners.push(listener);
                }
            }
        }
        let buffer = vec![0; 4 * SLICE];
        Ok(Self { poller, listeners, peers: Slab::new(), buffer, right: 0, wrong: 0 })
    }

    fn serve(&mut self) -> Result<()> {
        let mut ready = Vec::new();
        loop {
            self.poller.wait(None, &mut ready)?;
            for &number in &ready {
                if number == INPUT {
                    if !self.answer()? {
                        return Ok(());
                    }
                } else if number < self.listeners.len() {
                    self.accept(number)?;
                } else {
                    self.turn(number - self.listeners.len());
                }
            }
        }
    }

    /// Whether there was a line to answer.
    fn answer(&self) -> Result<bool> {
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(false);
        }
        println!("{} {}", self.right, self.wrong);
        Ok(true)
    }

    fn accept(&mut self, listener: usize) -> Result<()> {
        match rustix::net::accept_with(&self.listeners[listener], SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(socket) => {
                let entry = self.peers.vacant_entry();
                self.poller.add(&socket, self.listeners.len() + entry.key(), Interest::Reading)?;
                entry.insert(Peer { socket, head: [0; HEAD], phase: Phase::Head { have: 0 } });
                Ok(())
            }
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("accept"),
        }
    }

    fn turn(&mut self, key: usize) {
        let Some(peer) = self.peers.get(key) else { return };
        let step = match peer.phase {
            Phase::Reply { exchange, at } => self.write(key, exchange, at),
            _ => self.read(key),
        };
        // Whatever goes wrong on a connection ends it: the load counts what it misses.
        if !matches!(step, Ok(Step::Stay)) {
            self.peers.remove(key);
        }
    }

    fn read(&mut self, key: usize) -> rustix::io::Result<Step> {
        let peer = &mut self.peers[key];
        let flags = match peer.phase {
            Phase::Body { exchange, at, .. } if !exchange.verify && exchange.up - at > WORTH_SKIPPING => {
                RecvFlags::TRUNC
            }
            _ => RecvFlags::empty(),
        };
        let (_, read) = match rustix::net::recv(&peer.socket, &mut self.buffer[..], flags) {
            Err(Errno::AGAIN) => return Ok(Step::Stay),
            other => other?,
        };
        if read == 0 { self.end(key) } else { self.take(key, read, !flags.is_empty()) }
    }

    /// Bytes have come; `skipped` ones are in no buffer.
    fn take(&mut self, key: usize, read: usize, skipped: bool) -> rustix::io::Result<Step> {
        let peer = &mut self.peers[key];
        let mut bytes = 0..read;
        if let Phase::Head { have } = peer.phase {
            let part = read.min(HEAD - have);
            peer.head[have..have + part].copy_from_slice(&self.buffer[..part]);
            bytes.start = part;
            if have + part < HEAD {
                peer.phase = Phase::Head { have: have + part };
                return Ok(Step::Stay);
            }
            let Some(exchange) = Exchange::read(&peer.head) else {
                self.wrong += 1;
                return Ok(Step::Leave);
            };
            let replied = exchange.manner == Manner::EndBeforeRest;
            if replied {
                self.reply_early(key, exchange)?;
            }
            self.peers[key].phase = Phase::Body { exchange, at: HEAD as u64, replied };
        }
        let Phase::Body { exchange, at, replied } = self.peers[key].phase else {
            self.wrong += 1;
            return Ok(Step::Leave);
        };
        let at_end = at + bytes.len() as u64;
        let right = at_end <= exchange.up && (!exchange.verify || skipped || wire::is_filler(at, &self.buffer[bytes]));
        if !right {
            self.wrong += 1;
            return Ok(Step::Leave);
        }
        self.peers[key].phase = Phase::Body { exchange, at: at_end, replied };
        if at_end < exchange.up { Ok(Step::Stay) } else { self.whole(key, exchange) }
    }

    /// A reply before its request has come to an end: it is small enough for the socket's buffer.
    fn reply_early(&mut self, key: usize, exchange: Exchange) -> rustix::io::Result<()> {
        let socket = &self.peers[key].socket;
        rustix::net::send(socket, wire::filler(0, exchange.down), SendFlags::NOSIGNAL)?;
        rustix::net::shutdown(socket, Shutdown::Write)
    }

    /// The whole request is here.
    fn whole(&mut self, key: usize, exchange: Exchange) -> rustix::io::Result<Step> {
        if exchange.verify {
            self.right += 1;
        }
        match exchange.manner {
            Manner::Open | Manner::ServerCloses => self.write(key, exchange, 0),
            Manner::ReplyAfterEnd | Manner::EndBeforeRest => {
                self.peers[key].phase = Phase::End { exchange };
                Ok(Step::Stay)
            }
        }
    }

    /// The other side's FIN.
    fn end(&mut self, key: usize) -> rustix::io::Result<Step> {
        match self.peers[key].phase {
            Phase::End { exchange } if exchange.manner == Manner::ReplyAfterEnd => self.write(key, exchange, 0),
            Phase::End { .. } | Phase::Head { have: 0 } => Ok(Step::Leave),
            Phase::Head { .. } | Phase::Body { .. } | Phase::Reply { .. } => {
                self.wrong += 1;
                Ok(Step::Leave)
            }
        }
    }

    /// One slice of a reply, so that a long one leaves short ones their turn.
    fn write(&mut self, key: usize, exchange: Exchange, at: u64) -> rustix::io::Result<Step> {
        let waiting = matches!(self.peers[key].phase, Phase::Reply { .. });
        let number = self.listeners.len() + key;
        let peer = &mut self.peers[key];
        let sent = match rustix::net::send(&peer.socket, wire::filler(at, exchange.down - at), SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => 0,
            other => other? as u64,
        };
        if at + sent < exchange.down {
            peer.phase = Phase::Reply { exchange, at: at + sent };
            if !waiting {
                self.poller.change(&peer.socket, number, Interest::Writing)?;
            }
            return Ok(Step::Stay);
        }
        if exchange.manner != Manner::Open {
            return Ok(Step::Leave);
        }
        peer.phase = Phase::Head { have: 0 };
        if waiting {
            self.poller.change(&peer.socket, number, Interest::Reading)?;
        }
        Ok(Step::Stay)
    }
}

/// A listener whose queue holds whatever a proxy dials at once.
fn listen(address: SocketAddr) -> Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into()).with_context(|| format!("bind {address}"))?;
    socket.listen(4096)?;
    Ok(socket.into())
}
