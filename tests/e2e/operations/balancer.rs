//! The load balancers, and what an operator does to them.

mod evenkeel;
mod haproxy;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use evenkeel::Evenkeel;
use haproxy::Haproxy;

use crate::harness::program::{command, run};
use crate::watch::Counters;

/// Where clients come in.
pub const FRONT: ([u8; 4], u16) = ([127, 0, 0, 1], 7443);

/// Where a second frontend is in every other configuration.
const SECOND: u16 = 7444;

/// Where somebody else listens.
pub const TAKEN: u16 = 7999;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Evenkeel,
    Haproxy,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Evenkeel, Self::Haproxy];
}

/// What is in a configuration that a reload is asked to go over to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// A good one; each number makes another.
    Good(usize),
    Bad(Mistake),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    UnknownWord,
    HalfWritten,
    Empty,
    PortTaken,
    Gone,
}

impl Mistake {
    /// Those that come again and again,
    pub const MANY: [Self; 3] = [Self::UnknownWord, Self::HalfWritten, Self::PortTaken];
    /// and those that are tried in the end, because not everybody goes on after them.
    pub const LAST: [Self; 2] = [Self::Empty, Self::Gone];

    /// Makes it, in place of a good configuration. `taken` has a frontend where somebody else listens.
    fn spoil(self, file: &Path, good: &str, taken: &str) {
        match self {
            Self::UnknownWord => std::fs::write(file, good.replace("leastconn", "leastcon")),
            Self::HalfWritten => std::fs::write(file, &good[..good.len() / 2]),
            Self::Empty => std::fs::write(file, ""),
            Self::PortTaken => std::fs::write(file, good.to_owned() + taken),
            Self::Gone => std::fs::remove_file(file),
        }
        .unwrap();
    }
}

/// One that runs.
pub trait Balancer {
    /// Has it go over to a configuration; whether it has.
    fn reload(&mut self, file: File) -> bool;
    /// Has the program be started anew in its place, with the good configuration of this number.
    fn upgrade(&mut self, number: usize);
    /// Takes a server out, and returns when it says that nobody is left there; whether that went well.
    fn drain(&mut self, server: char) -> bool;
    /// Something that reads its counters, from any thread.
    fn reader(&self) -> Box<dyn Fn() -> Option<Counters> + Send>;
    /// Its name for each session that it lists, by the client's address.
    fn sessions(&self) -> Option<BTreeMap<SocketAddr, String>>;
    /// Its processes.
    fn processes(&self) -> Vec<u32>;
    fn version(&self) -> String;
}

/// Starts one on the host of this thread; `directory` is for its files.
pub fn start(kind: Kind, directory: &Path) -> Box<dyn Balancer> {
    match kind {
        Kind::Evenkeel => Box::new(Evenkeel::start(directory)),
        Kind::Haproxy => Box::new(Haproxy::start()),
    }
}

/// The inodes of the sockets that listen on the front's port, as `ss` has them.
pub fn listeners() -> Vec<String> {
    let table = run(&mut command("ss --tcp --listening --numeric --extended --no-header"));
    let front = format!(":{}", FRONT.1);
    let mut inodes: Vec<_> = (table.lines())
        .filter(|line| line.split_whitespace().nth(3).is_some_and(|local| local.ends_with(&front)))
        .filter_map(|line| line.split_whitespace().find_map(|word| word.strip_prefix("ino:")).map(str::to_owned))
        .collect();
    inodes.sort();
    inodes.dedup();
    inodes
}

/// Memory that is a process's own share, in bytes (PSS).
pub fn memory(processes: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim();
        line.split(' ').next()?.parse::<u64>().ok()
    };
    processes.iter().filter_map(of).sum::<u64>() * 1024
}
