//! Who does not read costs the other side its speed, and us no memory.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;

use socket2::SockRef;

use crate::harness::app::{App, Config};
use crate::harness::peers::{Manual, Peer, connect_in_segments};
use crate::harness::wait::until;
use crate::harness::{pattern, raise_descriptor_limit};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

const SESSIONS: usize = 200;

/// What each speaker has to say.
const SPEECH: u64 = GIB;

/// How much of it the one that reads on hears, up to an early FIN.
const HEARD: u64 = 128 * MIB;

/// As on an Ethernet: the kernel keeps four megabytes of each connection otherwise, which are not ours but are many.
const SEGMENT: u32 = 1460;

/// Resident memory that evenkeel may ever have had.
const BOUND: u64 = 100 * MIB;

#[test]
fn two_hundred_clients_that_hardly_read_a_gibibyte_each_cost_no_memory() {
    hardly_read(|client, server| (server, client));
}

#[test]
fn two_hundred_servers_that_hardly_read_a_gibibyte_each_cost_no_memory() {
    hardly_read(|client, server| (client, server));
}

/// `roles` says of client and server who speaks, and who hardly listens.
fn hardly_read(roles: impl Fn(TcpStream, TcpStream) -> (TcpStream, TcpStream)) {
    raise_descriptor_limit();
    let server = Manual::listen().in_segments(SEGMENT);
    let mut app = App::start(&Config::to(&[server.address()]).process("workers = 2"));
    let (mut speakers, mut listeners): (Vec<_>, Vec<_>) = (0..SESSIONS)
        .map(|_| {
            let (mut client, mut served) = (connect_in_segments(app.front(), SEGMENT), server.accept());
            client.say("a gibibyte");
            served.hears("a gibibyte");
            let (speaker, listener) = roles(client, served);
            (Speaker::new(speaker), Listener { stream: listener, heard: 0 })
        })
        .unzip();
    all_are_blocked(&mut app, &mut speakers);
    for _ in 0..3 {
        // Half of them read a little, so that what is kept for them moves on and is kept again.
        listeners.iter_mut().step_by(2).for_each(|listener| listener.hears(5 * KIB + 1));
        all_are_blocked(&mut app, &mut speakers);
    }
    let said: Vec<u64> = speakers.iter().map(|speaker| speaker.said).collect();
    // The kernel keeps up to `tcp_rmem` and `tcp_wmem` of each, some tens of mebibytes.
    assert!(said.iter().all(|said| (MIB / 4..HEARD).contains(said)), "they tried, and were stopped: {said:?}");
    let (speaker, listener) = (speakers.swap_remove(0), listeners.swap_remove(0));
    let speaking = thread::spawn(move || speaker.says_more());
    listener.hears_to_the_end();
    speaking.join().unwrap();
    stays_small(&mut app);
}

/// Waits until no speaker gets rid of another byte.
fn all_are_blocked(app: &mut App, speakers: &mut [Speaker]) {
    let mut quiet = 0;
    until("every speaker is blocked", || {
        let taken: u64 = speakers.iter_mut().map(Speaker::says_what_is_taken).sum();
        stays_small(app);
        // What is on its way still moves on after a refusal: only a series of them says that all is full.
        quiet = if taken == 0 { quiet + 1 } else { 0 };
        (quiet == 10).then_some(())
    });
}

fn stays_small(app: &mut App) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.program().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most that was ever resident");
    let most: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(most * KIB < BOUND, "{} MiB were resident", most / KIB);
}

struct Speaker {
    stream: TcpStream,
    said: u64,
}

impl Speaker {
    fn new(stream: TcpStream) -> Self {
        SockRef::from(&stream).set_send_buffer_size(64 * 1024).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, said: 0 }
    }

    /// Says what it can without waiting, and no more than a mebibyte; gives how much that was.
    fn says_what_is_taken(&mut self) -> u64 {
        let (from, to) = (self.said, (self.said + MIB).min(SPEECH));
        while self.said < to {
            match self.stream.write(pattern::part(self.said, to - self.said)) {
                Ok(taken) => self.said += taken as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("after {} bytes: {error}", self.said),
            }
        }
        self.said - from
    }

    fn says_more(mut self) {
        self.stream.set_nonblocking(false).unwrap();
        pattern::write_on(&mut self.stream, self.said, HEARD).unwrap();
        self.stream.sends_fin();
    }
}

struct Listener {
    stream: TcpStream,
    heard: u64,
}

impl Listener {
    fn hears(&mut self, bytes: u64) {
        self.heard = pattern::read_on_to_end(&mut (&self.stream).take(bytes), self.heard).unwrap();
    }

    fn hears_to_the_end(mut self) {
        assert_eq!(pattern::read_on_to_end(&mut self.stream, self.heard).unwrap(), HEARD);
    }
}
