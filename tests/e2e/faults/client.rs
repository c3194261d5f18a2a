//! The clients of a control plane: a process of its own, which opens connections at a steady pace, holds sessions, and
//! writes down what becomes of them.

mod dials;
mod sessions;
mod talk;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use crate::harness::raise_descriptor_limit;
use crate::records::{Kind, Records};

/// What a client is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Load {
    /// The load balancer's address for the API.
    pub api: SocketAddr,
    /// The load balancer's address for etcd.
    pub etcd: SocketAddr,
    /// The API of controllers for connections made directly: of those that stay healthy, if any does.
    pub healthy: Vec<SocketAddr>,
    /// The etcd members themselves, to learn their identities.
    pub members: Vec<SocketAddr>,
    pub idle: usize,
    pub busy: usize,
    pub writers: usize,
    pub stalled: usize,
    /// Where the records go when standard input says `stop`.
    pub records: PathBuf,
}

/// What all of a client's tasks share.
struct Shared {
    load: Load,
    connector: TlsConnector,
    records: Mutex<Records>,
    /// The number of the next write.
    next_write: AtomicU64,
    /// Sessions that have had their first answer.
    begun: AtomicUsize,
    /// Connections that are being made.
    dialling: AtomicUsize,
    /// Numbers of controllers by the identity of their etcd member.
    members: BTreeMap<String, usize>,
    /// Becomes true when stalled sessions are to read on.
    reading: watch::Sender<bool>,
    /// Becomes true when nothing new is to begin.
    stopping: watch::Sender<bool>,
}

/// Works until standard input says `stop`, or ends.
pub fn run(load: Load) {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(load));
}

async fn work(load: Load) {
    let connector = talk::connector();
    let members = sessions::identities(&load.members, &connector).await;
    let shared = Arc::new(Shared {
        load,
        connector,
        records: Mutex::default(),
        next_write: AtomicU64::new(1),
        begun: AtomicUsize::new(0),
        dialling: AtomicUsize::new(0),
        members,
        reading: watch::Sender::new(false),
        stopping: watch::Sender::new(false),
    });
    let load = &shared.load;
    let kinds =
        [(Kind::Idle, load.idle), (Kind::Busy, load.busy), (Kind::Etcd, load.writers), (Kind::Stalled, load.stalled)];
    for (kind, count) in kinds {
        for number in 0..count {
            tokio::spawn(sessions::hold(kind, number, Arc::clone(&shared)));
        }
    }
    let wanted: usize = kinds.iter().map(|(_, count)| count).sum();
    while shared.begun.load(Relaxed) < wanted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::spawn(dials::steadily(Arc::clone(&shared)));
    tell("ready");
    follow_orders(&shared).await;
}

async fn follow_orders(shared: &Arc<Shared>) {
    let mut lines = BufReader::new(stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["burst", count] => {
                dials::burst(count.parse().unwrap(), shared).await;
                tell("done: burst");
            }
            ["read"] => drop(shared.reading.send_replace(true)),
            ["stop"] => return stop(shared).await,
            _ => panic!("no such order: {line}"),
        }
    }
}

/// Standard input as a pipe that the runtime watches: the bench made it one.
fn stdin() -> tokio::net::unix::pipe::Receiver {
    let input = rustix::io::dup(rustix::stdio::stdin()).unwrap();
    tokio::net::unix::pipe::Receiver::from_owned_fd(input).unwrap()
}

/// Begins nothing more, waits for what is being dialled, and writes down what was seen.
async fn stop(shared: &Arc<Shared>) {
    shared.stopping.send_replace(true);
    while shared.dialling.load(Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = serde_json::to_vec(&*shared.records.lock().unwrap()).unwrap();
    std::fs::write(&shared.load.records, text).unwrap();
    tell("stopped");
}

#[expect(clippy::print_stdout, reason = "the bench reads it")]
fn tell(word: &str) {
    println!("{word}");
}
