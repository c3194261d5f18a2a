//! The relay between peers that do anything at any time. The sentence: no byte is lost, reordered or doubled under any
//! interleaving of partial reads and writes, half-close, reset, splice on and off, and an exhausted budget.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::{spawn_local, yield_now};

use super::tests::{Scene, Session, letters, pattern, play_with, resets};
use super::*;
use crate::net::pipe::Pipes;
use crate::pool::{Lease, Tried};

const CASES: u32 = 64;

/// Bytes that a peer says in one piece at most.
const PIECE: usize = 300 * 1024;

/// Pieces that a peer says at most.
const PIECES: usize = 10;

/// What happens on one worker.
#[derive(Debug, Clone)]
struct Case {
    /// Bytes of the worker's scratch.
    scratch: usize,
    tight: Option<Tight>,
    /// Pipes that nobody uses when the sessions begin.
    pipes: usize,
    /// The client's script and the server's, of each session.
    sessions: Vec<[Script; 2]>,
}

/// Little room in the kernel. Without small segments, each of which is acknowledged at once, connections with small
/// buffers stand still until a timer rings.
#[derive(Debug, Clone, Copy)]
struct Tight {
    /// The largest segment of all connections.
    segment: u32,
    /// Bytes that the kernel keeps of what the relay writes to a client: less than one read has, at times.
    send_buffer: usize,
}

/// What one peer does. It speaks and listens at the same time.
#[derive(Debug, Clone)]
struct Script {
    says: Vec<Step>,
    /// Again and again, for as long as there is something to hear.
    hears: Vec<Step>,
    send_buffer: Option<usize>,
    receive_buffer: Option<usize>,
    /// FIN follows the last byte, once so many hundredths of what the other says have been heard.
    fin: Option<usize>,
    /// RST comes after so many steps of either kind, or when nothing is left to say or hear.
    reset: Option<usize>,
}

/// One write or read of so many bytes at most, and how often others run before it.
#[derive(Debug, Clone, Copy)]
struct Step {
    bytes: usize,
    pauses: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let scratch = prop_oneof![1 => sizes(16, 4 * 1024), 3 => sizes(4 * 1024, 128 * 1024)];
    let tight = (536u32..4 * 1024, sizes(4 * 1024, 32 * 1024));
    let tight = prop::option::weighted(0.7, tight.prop_map(|(segment, send_buffer)| Tight { segment, send_buffer }));
    let pipes = prop_oneof![Just(Pipes::MAX), 1..4usize, Just(0)];
    (scratch, tight, pipes).prop_flat_map(|(scratch, tight, pipes)| {
        // Through a small scratch much takes long, and shows nothing more.
        let piece = PIECE.min(scratch * 512);
        let script = || scripts(piece, tight.is_some());
        let sessions = prop::collection::vec([script(), script()], 1..=4);
        sessions.prop_map(move |sessions| Case { scratch, tight, pipes, sessions })
    })
}

fn scripts(piece: usize, tight: bool) -> impl Strategy<Value = Script> {
    // Enough in large pieces to fill what is between two peers.
    let pieces = prop_oneof![steps(1, piece), steps(piece / 3, piece)];
    let says = prop::collection::vec(pieces, 0..=PIECES);
    // One read in a few is large, or much would take long.
    let hears = (prop::collection::vec(steps(1, PIECE), 0..4), steps(32 * 1024, PIECE))
        .prop_map(|(hears, large)| hears.into_iter().chain([large]).collect());
    let buffer = || prop::option::of(sizes(8 * 1024, 128 * 1024)).prop_map(move |bytes| bytes.filter(|_| tight));
    let fin = || prop_oneof![Just(0), 1..=100usize];
    let ends = prop_oneof![
        3 => fin().prop_map(|fin| (Some(fin), None)),
        1 => (prop::option::of(fin()), sizes(1, 200)).prop_map(|(fin, reset)| (fin, Some(reset))),
    ];
    (says, hears, buffer(), buffer(), ends).prop_map(|(says, hears, send_buffer, receive_buffer, (fin, reset))| {
        Script { says, hears, send_buffer, receive_buffer, fin, reset }
    })
}

fn steps(least: usize, most: usize) -> impl Strategy<Value = Step> {
    let pauses = prop_oneof![3 => 0..4usize, 1 => 4..60usize];
    (sizes(least, most), pauses).prop_map(|(bytes, pauses)| Step { bytes, pauses })
}

/// Each order of magnitude is as likely as any other.
fn sizes(least: usize, most: usize) -> BoxedStrategy<usize> {
    let doublings = 0..=(most / least).ilog2();
    doublings.prop_flat_map(move |doubled| least << doubled..=((least << doubled) * 2 - 1).min(most)).boxed()
}

impl Script {
    fn says_in_all(&self) -> usize {
        self.says.iter().map(|step| step.bytes).sum()
    }
}

/// What one direction of one session carries if nobody resets: no two directions begin alike.
fn speech(session: usize, side: Side, length: usize) -> &'static [u8] {
    static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(PIECES * PIECE + 64 * 1024));
    let from = session * 2_003 + if side == Side::Client { 0 } else { 1_009 };
    &PATTERN[from..from + length]
}

/// One end of a session.
struct Peer<'a> {
    side: Side,
    script: &'a Script,
    says: &'static [u8],
    /// What it is to hear.
    expects: &'static [u8],
    stream: Rc<TcpStream>,
    /// Both peers of the session, the client first.
    both: &'a [Progress; 2],
    steps: Cell<usize>,
}

/// How far a peer has come.
#[derive(Debug, Default)]
struct Progress {
    said: Cell<usize>,
    heard: Cell<usize>,
    has_sent_fin: Cell<bool>,
    end: Cell<Option<End>>,
    stream: Weak<TcpStream>,
}

/// What a peer saw of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Reset,
}

/// Plays a whole session.
async fn converse(
    Session { client, server, task, cell }: Session,
    number: usize,
    scripts: [Script; 2],
) -> [Progress; 2] {
    let streams = [Rc::new(client), Rc::new(server)];
    let both = streams.each_ref().map(|stream| Progress { stream: Rc::downgrade(stream), ..Progress::default() });
    let [up, down] =
        [(0, Side::Client), (1, Side::Server)].map(|(place, side)| speech(number, side, scripts[place].says_in_all()));
    let [client, server] = streams;
    let peer = |side, script, says, expects, stream| Peer {
        side,
        script,
        says,
        expects,
        stream,
        both: &both,
        steps: Cell::new(0),
    };
    let client = peer(Side::Client, &scripts[0], up, down, client);
    let server = peer(Side::Server, &scripts[1], down, up, server);
    tokio::join!(client.live(&cell), server.live(&cell));
    task.await.expect("the session does not panic");
    both
}

impl Peer<'_> {
    /// Speaks and listens to the end.
    async fn live(self, counts: &crate::pool::sessions::Cell) {
        let socket = SockRef::from(&*self.stream);
        socket.set_tcp_nodelay(true).unwrap();
        self.script.send_buffer.iter().for_each(|&bytes| socket.set_send_buffer_size(bytes).unwrap());
        self.script.receive_buffer.iter().for_each(|&bytes| socket.set_recv_buffer_size(bytes).unwrap());
        let is_out_of_steps = poll_fn(|_| if self.is_out_of_steps() { Poll::Ready(()) } else { Poll::Pending });
        tokio::select! {
            biased;
            _ = async { tokio::join!(self.speak(counts), self.hear()) } => {}
            // Polled whenever the other branch is, which takes the steps.
            () = is_out_of_steps => {}
        }
        audit(self.both, counts);
        if self.script.reset.is_some() {
            resets(Rc::into_inner(self.stream).expect("nobody else holds it for longer than a look"));
        }
    }

    async fn speak(&self, counts: &crate::pool::sessions::Cell) {
        let me = self.progress();
        let mut left = self.says;
        for step in &self.script.says {
            let (mut piece, after) = left.split_at(step.bytes);
            left = after;
            while !piece.is_empty() {
                self.take_step(step).await;
                match self.write(piece).await {
                    Ok(written) => {
                        me.said.set(me.said.get() + written);
                        piece = &piece[written..];
                    }
                    Err(error) => return self.has_failed(&error),
                }
            }
        }
        let Some(share) = self.script.fin else { return };
        let enough = self.expects.len() * share / 100;
        while me.heard.get() < enough && me.end.get().is_none() {
            yield_now().await;
        }
        audit(self.both, counts);
        net::options::finish(&*self.stream);
        me.has_sent_fin.set(true);
    }

    async fn hear(&self) {
        let me = self.progress();
        let mut buffer = vec![0; PIECE];
        for step in self.script.hears.iter().cycle() {
            // Who resets in any case does not wait for the other's end, which may be another wait for this one.
            if self.script.reset.is_some() && me.heard.get() == self.expects.len() {
                return;
            }
            self.take_step(step).await;
            let heard = match self.read(&mut buffer[..step.bytes]).await {
                // An error is told once: of what a write has been told, a read sees the end only.
                Ok(0) => return me.end.set(me.end.get().or(Some(End::Fin))),
                Ok(heard) => heard,
                Err(error) => return self.has_failed(&error),
            };
            let from = me.heard.get();
            let expected = self.expects.get(from..from + heard);
            assert!(expected == Some(&buffer[..heard]), "not what was said: {heard} bytes after the first {from}");
            me.heard.set(from + heard);
        }
    }

    /// Counts a step, and lets others run before it; the last one never comes back.
    async fn take_step(&self, step: &Step) {
        if self.is_out_of_steps() {
            std::future::pending::<()>().await;
        }
        self.steps.set(self.steps.get() + 1);
        for _ in 0..step.pauses {
            yield_now().await;
        }
    }

    fn is_out_of_steps(&self) -> bool {
        self.script.reset.is_some_and(|steps| self.steps.get() >= steps)
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    async fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    fn has_failed(&self, error: &io::Error) {
        assert!(matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{error}");
        let me = self.progress();
        me.end.set(me.end.get().or(Some(End::Reset)));
    }

    fn progress(&self) -> &Progress {
        &self.both[self.side as usize]
    }
}

/// Compares what the relay counts with what it has passed on, as far as the kernel tells: no less than what has come to
/// the other peer, no more than that and what is on the way to it. Sessions of which one end is gone tell nothing.
fn audit(both: &[Progress; 2], counts: &crate::pool::sessions::Cell) {
    let streams = both.each_ref().map(|peer| peer.stream.upgrade());
    let [Some(client), Some(server)] = streams else { return };
    let (passed_up, passed_down) = counts.bytes();
    let directions = [("in", passed_up, &both[1], server), ("out", passed_down, &both[0], client)];
    // What moves on meanwhile is seen twice rather than not at all: the sender's end is looked at first.
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table of sockets");
    for (name, passed, to, stream) in directions {
        let Some(on_the_way) = unacknowledged(&table, &stream) else { continue };
        let arrived = to.heard.get() as u64 + rustix::io::ioctl_fionread(&*stream).expect("a socket");
        assert!(passed >= arrived, "bytes {name}: {passed} counted, and {arrived} have come");
        assert!(passed <= arrived + on_the_way, "bytes {name}: {passed} counted, {arrived} + {on_the_way} passed on");
    }
}

/// Bytes that have been written to the other end of `stream`, and that this one has not acknowledged; `None` when the
/// other end is gone.
fn unacknowledged(table: &str, stream: &TcpStream) -> Option<u64> {
    let [theirs, ours] =
        [stream.peer_addr().ok()?, stream.local_addr().ok()?].map(|address| format!("0100007F:{:04X}", address.port()));
    let line = table.lines().find(|line| line.contains(&format!("{theirs} {ours}")))?;
    let queues = line.split_whitespace().nth(4).expect("the fifth column has the queues");
    u64::from_str_radix(queues.split(':').next()?, 16).ok()
}

/// Plays a case, and checks it; says how often a pipe was given, and how often none.
async fn check(scene: Scene, case: Case) -> (usize, usize) {
    let places = case.sessions.len();
    scene.worker.scratch.replace(vec![0; case.scratch].into_boxed_slice());
    if let Some(Tight { segment, send_buffer }) = case.tight {
        let [front, back] = [&scene.front, &scene.back].map(SockRef::from);
        front.set_send_buffer_size(send_buffer).unwrap();
        [front, back].iter().for_each(|listener| listener.set_tcp_mss(segment).unwrap());
    }
    let taken: Vec<_> = (case.pipes..Pipes::MAX).map(|_| scene.worker.pipes.take().expect("a pipe")).collect();
    let (taken_first, _) = scene.worker.pipes.asked();
    let mut conversations = Vec::new();
    for (number, scripts) in case.sessions.iter().cloned().enumerate() {
        let session = scene.session().await;
        let port = session.client.local_addr().unwrap().port();
        conversations.push((port, spawn_local(converse(session, number, scripts))));
    }
    let mut ends = Vec::new();
    for (port, conversation) in conversations {
        ends.push((port, conversation.await.expect("what was heard was said")));
    }
    let (given, none) = scene.worker.pipes.asked();
    assert_eq!(scene.worker.pipes.lent(), taken.len(), "pipes in use");
    drop(taken);
    nothing_is_left(&scene, places);
    let records = scene.records();
    assert_eq!(records.len(), places, "a record for each session");
    for ((port, both), scripts) in ends.iter().zip(&case.sessions) {
        let client = format!("127.0.0.1:{port}");
        let record = records.iter().find(|record| record["client"] == client.as_str()).expect("its record");
        ends_well(scripts, both, record);
    }
    (given - taken_first, none)
}

fn nothing_is_left(scene: &Scene, places: usize) {
    let Scene { worker, frontend, .. } = scene;
    assert!(worker.sessions.is_empty(), "sessions");
    assert_eq!(worker.reactor.streams(), 0, "watched streams");
    assert_eq!(worker.pipes.left_over(), 0, "bytes that the next session would be sent");
    let counters = [&frontend.counters, &frontend.process.counters, &frontend.pool.counters];
    assert!(counters.iter().all(|counters| counters.sessions() == 0), "sessions that are counted");
    let source = scene.front.local_addr().unwrap().ip();
    let door = frontend.any_door();
    let _permits: Vec<_> = (0..places).map(|_| frontend.permits(&door).expect("its permits are back")).collect();
    let leases: Vec<_> = (0..places).map(|_| frontend.pool.lease(source, &Tried::new())).collect();
    assert!(leases.iter().all(|lease| matches!(lease, Lease::Leased(_))), "its leases are back");
}

/// Checks what both peers have seen, and the record.
fn ends_well(scripts: &[Script; 2], both: &[Progress; 2], record: &serde_json::Value) {
    let about = || format!("{both:?}, {record}");
    let totals = scripts.each_ref().map(Script::says_in_all);
    let passed = ["bytes_in", "bytes_out"].map(|key| usize::try_from(record[key].as_u64().unwrap()).unwrap());
    for (from, to) in [(0, 1), (1, 0)] {
        let (said, heard) = (both[from].said.get(), both[to].heard.get());
        assert!(heard <= passed[from] && passed[from] <= said, "{said} said, {}", about());
        if both[to].end.get() == Some(End::Fin) {
            assert!(both[from].has_sent_fin.get() && heard == totals[from], "a FIN too early: {}", about());
        }
        let waits_for_the_end = scripts[to].reset.is_none();
        assert!(!waits_for_the_end || both[to].end.get().is_some(), "no end: {}", about());
    }
    let ended_by = [Side::Client, Side::Server].into_iter().find(|&side| record["letters"] == letters(side));
    match ended_by {
        // A reset that came after all was over.
        None => {
            assert_eq!((&record["letters"], &record["cause"]), (&"--".into(), &"finished".into()), "{}", about());
            assert!(both.iter().all(|peer| peer.has_sent_fin.get()) && passed == totals, "cut short: {}", about());
            let whole = |to: usize| scripts[to].reset.is_some() || both[to].heard.get() == totals[1 - to];
            assert!(whole(0) && whole(1), "not all was heard: {}", about());
        }
        Some(side) => {
            assert!(scripts[side as usize].reset.is_some(), "it did not reset: {}", about());
            let (it, other) = (&both[side as usize], &both[1 - side as usize]);
            let is_told = other.end.get() != Some(End::Fin) || it.has_sent_fin.get();
            assert!(is_told, "the reset was not passed on: {}", about());
        }
    }
}

#[test]
fn what_a_peer_hears_is_what_the_other_said_whatever_both_do() {
    let config = ProptestConfig { cases: CASES, source_file: Some(file!()), ..ProptestConfig::default() };
    let (moved, copied, spent) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let outcome = TestRunner::new(config).run(&cases(), |case| {
        let scripts = || case.sessions.iter().flatten();
        // Such a piece takes more reads than one turn has.
        let is_long = |step: &Step| step.bytes.div_ceil(case.scratch) > 2 * 30;
        spent.set(spent.get() + usize::from(scripts().any(|script| script.says.iter().any(is_long))));
        let places = case.sessions.len();
        play_with("", places, async |scene| {
            let (given, none) = check(scene, case).await;
            moved.set(moved.get() + given);
            copied.set(copied.get() + none);
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let met = (moved.get(), copied.get(), spent.get());
    assert!(met.0 > 0 && met.1 > 0 && met.2 > 0, "pipes given, refused, and budgets spent: {met:?}");
}
