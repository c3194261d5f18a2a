//! The clients: sessions that move data for as long as the run lasts, and short ones at a steady pace.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::harness::pattern;
use crate::harness::wait::until;

/// A new short session comes so often: 500 in a second.
const PACE: Duration = Duration::from_millis(2);

/// Longest that any step of a session may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a long session sends at once, and the pause after it.
const PIECE: u64 = 2048;
const PAUSE: Duration = Duration::from_millis(500);

/// What a short session sends.
const WORD: u64 = 64;

/// All clients; they live on a thread of their own.
pub struct Clients {
    pub seen: Arc<Seen>,
    hold: mpsc::UnboundedSender<usize>,
    pace: watch::Sender<bool>,
    end: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// What they have seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Short sessions that have had all that they wanted.
    pub served: AtomicU64,
    /// What went wrong with the others.
    pub failed: Mutex<Vec<String>>,
    /// For each server, when the latest short session that met it had begun.
    met: Mutex<BTreeMap<char, Instant>>,
    /// Long sessions that are open, each by the client's address, with its server.
    pub held: Mutex<BTreeMap<SocketAddr, char>>,
    /// Long sessions that ended before the run did.
    pub cut: Mutex<Vec<Cut>>,
    /// Long sessions that had every byte back in its place, and the end after the last.
    pub whole: AtomicUsize,
    /// Bytes that long sessions have had back.
    pub bytes: AtomicU64,
}

/// The early end of a long session.
#[derive(Debug, Clone)]
pub struct Cut {
    pub server: char,
    pub at: Instant,
    pub error: String,
}

impl Seen {
    /// When the latest short session that met this server had begun; `None` if none has.
    pub fn last_met(&self, server: char) -> Option<Instant> {
        self.met.lock().unwrap().get(&server).copied()
    }
}

impl Clients {
    /// Starts them on the host of this thread. `front` is the load balancer's address.
    pub fn start(front: SocketAddr) -> Self {
        let seen = Arc::new(Seen::default());
        let (hold, wanted) = mpsc::unbounded_channel();
        let (pace, end) = (watch::Sender::new(false), watch::Sender::new(false));
        let work = work(front, Arc::clone(&seen), wanted, pace.subscribe(), end.subscribe());
        let thread = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
        });
        Self { seen, hold, pace, end, thread }
    }

    /// Opens so many long sessions, and waits until each has met its server.
    pub fn hold(&self, count: usize) {
        let before = self.seen.held.lock().unwrap().len();
        self.hold.send(count).unwrap();
        until("long sessions are open", || (self.seen.held.lock().unwrap().len() >= before + count).then_some(()));
    }

    /// Lets short sessions come.
    pub fn begin(&self) {
        self.pace.send_replace(true);
    }

    /// Waits until so many more of them have been served.
    pub fn served_more(&self, count: u64) {
        let served = || self.seen.served.load(Relaxed);
        let before = served();
        until("short sessions are served", || (served() >= before + count).then_some(()));
    }

    /// Lets no more come, and every session end as its client wants it.
    pub fn finish(self) -> Arc<Seen> {
        self.pace.send_replace(false);
        self.end.send_replace(true);
        self.thread.join().unwrap();
        self.seen
    }
}

async fn work(
    front: SocketAddr,
    seen: Arc<Seen>,
    mut wanted: mpsc::UnboundedReceiver<usize>,
    pace: watch::Receiver<bool>,
    end: watch::Receiver<bool>,
) {
    let mut ended = end.clone();
    let mut sessions = tokio::task::JoinSet::new();
    sessions.spawn(steadily(front, Arc::clone(&seen), pace));
    loop {
        tokio::select! {
            Some(count) = wanted.recv() => for _ in 0..count {
                sessions.spawn(hold(front, Arc::clone(&seen), end.clone()));
            },
            () = told(&mut ended) => break,
        }
    }
    sessions.join_all().await;
}

/// Short sessions, one after another, whether or not the one before has ended.
async fn steadily(front: SocketAddr, seen: Arc<Seen>, mut pace: watch::Receiver<bool>) {
    told(&mut pace).await;
    let mut sessions = tokio::task::JoinSet::new();
    let mut turn = interval(PACE);
    turn.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while *pace.borrow() {
        turn.tick().await;
        sessions.spawn(once(front, Arc::clone(&seen)));
        while sessions.try_join_next().is_some() {}
    }
    sessions.join_all().await;
}

async fn once(front: SocketAddr, seen: Arc<Seen>) {
    let begun = Instant::now();
    match timeout(PATIENCE, short(front)).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
        Ok(server) => {
            seen.served.fetch_add(1, Relaxed);
            let mut met = seen.met.lock().unwrap();
            let last = met.entry(server).or_insert(begun);
            *last = begun.max(*last);
        }
        Err(error) => seen.failed.lock().unwrap().push(error.to_string()),
    }
}

async fn short(front: SocketAddr) -> Result<char> {
    let (mut stream, server) = meet(front).await?;
    exchange(&mut stream, 0, WORD).await?;
    leave(&mut stream).await?;
    Ok(server)
}

async fn hold(front: SocketAddr, seen: Arc<Seen>, mut end: watch::Receiver<bool>) {
    let met = async {
        let (stream, server) = meet(front).await?;
        Ok::<_, Error>((stream.local_addr()?, stream, server))
    };
    let (address, mut stream, server) = match timeout(PATIENCE, met).await {
        Ok(Ok(met)) => met,
        Ok(Err(error)) => return seen.failed.lock().unwrap().push(format!("a long one: {error}")),
        Err(_) => return seen.failed.lock().unwrap().push("a long one: nobody answered".to_owned()),
    };
    seen.held.lock().unwrap().insert(address, server);
    let outcome = move_data(&mut stream, &seen, &mut end).await;
    seen.held.lock().unwrap().remove(&address);
    match outcome {
        Ok(()) => drop(seen.whole.fetch_add(1, Relaxed)),
        Err(error) => {
            seen.cut.lock().unwrap().push(Cut { server, at: Instant::now(), error: error.to_string() });
        }
    }
}

async fn move_data(stream: &mut TcpStream, seen: &Seen, end: &mut watch::Receiver<bool>) -> Result<()> {
    let mut at = 0;
    loop {
        timeout(PATIENCE, exchange(stream, at, PIECE)).await??;
        at += PIECE;
        seen.bytes.fetch_add(PIECE, Relaxed);
        tokio::select! {
            () = told(end) => return timeout(PATIENCE, leave(stream)).await?,
            () = tokio::time::sleep(PAUSE) => {}
            // Nothing is to come now: an end is noticed at once.
            read = stream.read_u8() => return Err(read.err().unwrap_or_else(|| ErrorKind::InvalidData.into())),
        }
    }
}

/// Returns once it has been said.
async fn told(word: &mut watch::Receiver<bool>) {
    // The sender lives for as long as the clients do.
    let _ = word.wait_for(|said| *said).await;
}

/// Connects, and hears who is there.
async fn meet(front: SocketAddr) -> Result<(TcpStream, char)> {
    let mut stream = TcpStream::connect(front).await.map_err(at("connect"))?;
    stream.set_nodelay(true)?;
    let name = stream.read_u8().await.map_err(at("the server's name"))?;
    Ok((stream, char::from(name)))
}

/// Sends a part of the pattern, and must have it back.
async fn exchange(stream: &mut TcpStream, from: u64, length: u64) -> Result<()> {
    let (mut sent, mut heard) = (Vec::new(), Vec::new());
    while (sent.len() as u64) < length {
        let have = sent.len() as u64;
        sent.extend_from_slice(pattern::part(from + have, length - have));
    }
    heard.resize(sent.len(), 0);
    stream.write_all(&sent).await.map_err(at("send"))?;
    stream.read_exact(&mut heard).await.map_err(at("answer"))?;
    if heard == sent { Ok(()) } else { Err(Error::other("other bytes came back than were sent")) }
}

/// Half-closes; the other side must do the same, with nothing before.
async fn leave(stream: &mut TcpStream) -> Result<()> {
    stream.shutdown().await.map_err(at("half-close"))?;
    match stream.read(&mut [0]).await.map_err(at("end"))? {
        0 => Ok(()),
        _ => Err(Error::other("more came back than was sent")),
    }
}

fn at(step: &'static str) -> impl Fn(Error) -> Error {
    move |error| Error::new(error.kind(), format!("{step}: {error}"))
}
