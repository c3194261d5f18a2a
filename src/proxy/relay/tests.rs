//! The relay between two scripted peers, on real sockets, all in one thread.

use std::io::Write;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::*;
use crate::model::{LogFormat, LogLevel};
use crate::net::BindOptions;
use crate::observe::logging::Logging;
use crate::pool::sessions::{Cell, Sessions};
use crate::pool::{Lease, Pool, Tried};
use crate::proxy::frontend::{Frontend, Process};
use crate::proxy::handover::{self, Arrival};
use crate::proxy::listener::Accepted;
use crate::proxy::worker::Worker;

/// Longest wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

const MIB: usize = 1024 * 1024;

/// A worker with one frontend, and the sockets of both sides.
pub(super) struct Scene {
    pub worker: Rc<Worker>,
    pub frontend: Arc<Frontend>,
    pub front: TcpListener,
    pub back: TcpListener,
    log: Arc<Mutex<Vec<u8>>>,
    logging: Logging,
}

/// A session and both its peers.
pub(super) struct Session {
    pub client: TcpStream,
    pub server: TcpStream,
    pub task: JoinHandle<()>,
    pub cell: Arc<Cell>,
}

/// Runs a test with the lines of `[timeouts]` that it wants.
fn play<F: Future<Output = ()>>(timeouts: &str, script: impl FnOnce(Scene) -> F) {
    play_with(timeouts, 1, script);
}

/// Runs a test that has so many sessions at once.
pub(super) fn play_with<F: Future<Output = ()>>(timeouts: &str, places: usize, script: impl FnOnce(Scene) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let scene = Scene::set(timeouts, places).await;
        timeout(PATIENCE, script(scene)).await.expect("the script is over in time");
    });
}

impl Scene {
    async fn set(timeouts: &str, places: usize) -> Self {
        let [front, back] = [TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await];
        let (front, back) = (front.unwrap(), back.unwrap());
        net::options::inherit_on_accept(&SockRef::from(&front), &BindOptions::with_backlog(16)).unwrap();
        let server = back.local_addr().unwrap();
        let text = format!(
            "[timeouts]\n{timeouts}\n[[frontend]]\nname = 'f'\nlisten = '127.0.0.1:6443'\nbackend = 'b'\n\
             max_sessions = {places}\n[[backend]]\nname = 'b'\ncheck = 'off'\n\
             servers = [{{ name = 's', address = '{server}', max_sessions = {places} }}]\n[log]\nnull_sessions = true\n"
        );
        let config =
            crate::config::parse(&text, "test.toml").unwrap_or_else(|report| panic!("{}", report.render(false)));
        let process = Process::new(&config, config.limits.max_sessions, Arc::new(|_| {}));
        let pool = Pool::alone(config.backends[0].clone(), Arc::new(|_| {}));
        let frontend = Frontend::new(config.frontends[0].clone(), pool, process);
        let log = Arc::new(Mutex::new(Vec::new()));
        let logging = Logging::to(Memory(Arc::clone(&log)), LogFormat::Json, LogLevel::Info).unwrap();
        let seat = handover::seats(1).pop().expect("one");
        let worker = Worker::new(Sessions::new(0), logging.records(), seat).unwrap();
        spawn_local(Rc::clone(&worker).run());
        Self { worker, frontend, front, back, log, logging }
    }

    /// A client that is connected, and no more.
    async fn client(&self) -> (TcpStream, Accepted) {
        let client = TcpStream::connect(self.front.local_addr().unwrap()).await.unwrap();
        let (accepted, peer) = self.front.accept().await.unwrap();
        let door = self.frontend.any_door();
        let arrival = Arrival {
            socket: accepted.into_std().unwrap().into(),
            peer: peer.into(),
            listener: self.front.local_addr().unwrap().into(),
            permits: self.frontend.permits(&door).expect("a place"),
            frontend: Arc::clone(&self.frontend),
            door,
        };
        let (arrival, load) = self.worker.seat.deal(arrival).expect("there is no other worker");
        (client, Accepted::at(&self.worker, arrival, load).unwrap())
    }

    /// A session that has reached its server.
    pub async fn session(&self) -> Session {
        let (client, accepted) = self.client().await;
        self.begin(client, accepted).await
    }

    async fn begin(&self, client: TcpStream, accepted: Accepted) -> Session {
        let cell = Arc::clone(accepted.record.cell());
        let task = spawn_local(crate::proxy::session(accepted));
        let (server, _) = self.back.accept().await.unwrap();
        Session { client, server, task, cell }
    }

    /// The record of the session, which has ended.
    fn record(self) -> serde_json::Value {
        let [record] = self.records().try_into().expect("one line");
        record
    }

    /// The records of all sessions, which have ended.
    pub fn records(self) -> Vec<serde_json::Value> {
        let Self { log, logging, .. } = self;
        drop(logging);
        let log = log.lock().unwrap();
        serde_json::Deserializer::from_slice(&log).into_iter().collect::<Result<_, _>>().expect("lines of JSON")
    }
}

/// Takes the log.
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Session {
    /// Both peers, the one on `side` first.
    fn peers(self, side: Side) -> (TcpStream, TcpStream, JoinHandle<()>) {
        match side {
            Side::Client => (self.client, self.server, self.task),
            Side::Server => (self.server, self.client, self.task),
        }
    }
}

const SIDES: [Side; 2] = [Side::Client, Side::Server];

async fn hears(peer: &mut TcpStream, text: &str) {
    let mut bytes = vec![0; text.len()];
    peer.read_exact(&mut bytes).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), text);
}

async fn hears_to_the_end(peer: &mut TcpStream, text: &str) {
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.expect("a FIN");
    assert_eq!(String::from_utf8_lossy(&bytes), text);
}

async fn sees_reset(peer: &mut TcpStream) {
    let error = tokio::io::copy(peer, &mut tokio::io::sink()).await.expect_err("a RST was to come, not a FIN");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

pub(super) fn resets(peer: TcpStream) {
    net::options::reset_on_close(&peer);
}

/// Sends until nobody takes any more; gives how much that was.
async fn fills(peer: &mut TcpStream) -> usize {
    let mut sent = 0;
    // While this waits, the relay takes and passes on what it can.
    while let Ok(Ok(length)) = timeout(Duration::from_millis(200), peer.write(&[b'x'; 64 * 1024])).await {
        sent += length;
    }
    sent
}

/// Bytes of which each tells its place.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place ^ (place >> 8) ^ (place >> 16)) as u8).collect()
}

/// Who is at the other end, and the two letters of what `side` does to it.
pub(super) fn letters(side: Side) -> &'static str {
    match side {
        Side::Client => "CD",
        Side::Server => "SD",
    }
}

#[test]
fn after_one_side_s_fin_the_other_s_bytes_still_come() {
    for side in SIDES {
        play("", async |scene| {
            let (mut first, mut other, task) = scene.session().await.peers(side);
            first.write_all(b"question").await.unwrap();
            first.shutdown().await.unwrap();
            hears_to_the_end(&mut other, "question").await;
            other.write_all(b"late").await.unwrap();
            hears(&mut first, "late").await;
            other.write_all(b"later").await.unwrap();
            other.shutdown().await.unwrap();
            hears_to_the_end(&mut first, "later").await;
            task.await.unwrap();
            let record = scene.record();
            let (of_first, of_other) = if side == Side::Client { ("in", "out") } else { ("out", "in") };
            assert_eq!(record[format!("bytes_{of_first}")], 8);
            assert_eq!(record[format!("bytes_{of_other}")], 9);
            assert_eq!((&record["letters"], &record["cause"]), (&"--".into(), &"finished".into()));
        });
    }
}

#[test]
fn a_reset_is_passed_on_while_nothing_is_said() {
    for side in SIDES {
        play("", async |scene| {
            let (mut first, mut other, task) = scene.session().await.peers(side);
            first.write_all(b"hello").await.unwrap();
            hears(&mut other, "hello").await;
            resets(first);
            sees_reset(&mut other).await;
            task.await.unwrap();
            let record = scene.record();
            assert_eq!(record["letters"], letters(side));
            assert_eq!(record["bytes_in"].as_u64().unwrap() + record["bytes_out"].as_u64().unwrap(), 5);
        });
    }
}

#[test]
fn a_reset_of_who_is_not_read_is_passed_on() {
    for side in SIDES {
        play("", async |scene| {
            let (mut first, mut other, task) = scene.session().await.peers(side);
            assert!(fills(&mut first).await > 0);
            resets(first);
            task.await.unwrap();
            sees_reset(&mut other).await;
            assert_eq!(scene.record()["letters"], letters(side));
        });
    }
}

#[test]
fn a_reset_of_who_does_not_read_is_passed_on() {
    for side in SIDES {
        play("", async |scene| {
            let (first, mut other, task) = scene.session().await.peers(side);
            assert!(fills(&mut other).await > 0);
            resets(first);
            sees_reset(&mut other).await;
            task.await.unwrap();
            assert_eq!(scene.record()["letters"], letters(side));
        });
    }
}

#[test]
fn a_reset_after_its_own_fin_is_passed_on() {
    for side in SIDES {
        play("", async |scene| {
            let (mut first, mut other, task) = scene.session().await.peers(side);
            first.shutdown().await.unwrap();
            hears_to_the_end(&mut other, "").await;
            resets(first);
            task.await.unwrap();
            assert!(net::options::pending_error(&other).is_some(), "a RST has come");
            assert_eq!(scene.record()["letters"], letters(side));
        });
    }
}

#[test]
fn a_reset_after_the_other_s_fin_is_passed_on() {
    for side in SIDES {
        play("", async |scene| {
            let (mut first, mut other, task) = scene.session().await.peers(side);
            other.shutdown().await.unwrap();
            hears_to_the_end(&mut first, "").await;
            resets(first);
            sees_reset(&mut other).await;
            task.await.unwrap();
            assert_eq!(scene.record()["letters"], letters(side));
        });
    }
}

/// Both send at once, each reads what it is sent in pieces that never fit what was written.
#[test]
fn both_directions_carry_every_byte_to_readers_that_pause() {
    play("", async |scene| {
        let Session { mut client, mut server, task, .. } = scene.session().await;
        let (up, down) = (pattern(6 * MIB + 7), pattern(4 * MIB + 3));
        let speak = async |peer: &mut TcpStream, sends: &[u8], expects: &[u8]| {
            let (mut reader, mut writer) = peer.split();
            let write = async {
                writer.write_all(sends).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let read = async {
                let mut heard = Vec::new();
                let mut piece = vec![0; 20_011];
                loop {
                    // Others run meanwhile, and find what is not yet read in their way.
                    tokio::task::yield_now().await;
                    match reader.read(&mut piece).await.unwrap() {
                        0 => break,
                        length => heard.extend_from_slice(&piece[..length]),
                    }
                }
                assert!(heard == expects, "{} of {} bytes, or others", heard.len(), expects.len());
            };
            tokio::join!(write, read);
        };
        tokio::join!(speak(&mut client, &up, &down), speak(&mut server, &down, &up));
        task.await.unwrap();
        let record = scene.record();
        assert_eq!((&record["bytes_in"], &record["bytes_out"]), (&up.len().into(), &down.len().into()));
        assert_eq!(record["letters"], "--");
    });
}

/// With a small scratch each read takes little, as from a client that sends in small pieces and never pauses.
#[test]
fn many_small_pieces_one_way_do_not_hold_up_the_other_way() {
    for side in SIDES {
        play("", async |scene| {
            scene.worker.scratch.replace(vec![0; 16].into_boxed_slice());
            let session = scene.session().await;
            let cell = Arc::clone(&session.cell);
            let (mut flooding, other, _task) = session.peers(side);
            // Neither waits for the relay: all is in the kernel before it has another turn.
            assert!(flooding.try_write(&vec![0; MIB]).unwrap() > 256 * 1024);
            other.try_write(b"!").unwrap();
            hears(&mut flooding, "!").await;
            let (up, down) = cell.bytes();
            assert!(up + down < 16 * 1024, "{} bytes went the other way first", up + down);
        });
    }
}

#[test]
fn an_idle_session_is_closed_for_idleness_whatever_the_half_close_limit() {
    let cases = [("client", "10ms", "cD"), ("server", "10ms", "sD"), ("server", "1h", "sD"), ("tunnel", "off", "cD")];
    for (key, half_close, letters) in cases {
        play(&format!("{key} = '300ms'\nhalf_close = '{half_close}'"), async |scene| {
            let mut session = scene.session().await;
            session.client.write_all(b"hello").await.unwrap();
            hears(&mut session.server, "hello").await;
            hears_to_the_end(&mut session.server, "").await;
            hears_to_the_end(&mut session.client, "").await;
            drop((session.client, session.server));
            session.task.await.unwrap();
            let record = scene.record();
            assert_eq!((&record["letters"], &record["cause"]), (&letters.into(), &"idle".into()), "{half_close}");
        });
    }
}

#[test]
fn a_half_closed_session_ends_by_the_silence_of_who_has_not_finished() {
    for side in SIDES {
        play("tunnel = '1h'\nhalf_close = '300ms'", async |scene| {
            let (mut first, mut other, task) = scene.session().await.peers(side);
            first.shutdown().await.unwrap();
            hears_to_the_end(&mut other, "").await;
            hears_to_the_end(&mut first, "").await;
            task.await.unwrap();
            let record = scene.record();
            assert_eq!(record["letters"], if side == Side::Client { "sD" } else { "cD" });
            assert_eq!(record["cause"], "half-closed for too long");
        });
    }
}

#[test]
fn a_half_closed_session_without_a_limit_of_its_own_is_as_idle_as_any() {
    play("tunnel = '300ms'\nhalf_close = 'off'", async |scene| {
        let mut session = scene.session().await;
        session.client.shutdown().await.unwrap();
        hears_to_the_end(&mut session.server, "").await;
        hears_to_the_end(&mut session.client, "").await;
        session.task.await.unwrap();
        assert_eq!(scene.record()["cause"], "idle");
    });
}

#[test]
fn a_session_that_is_told_to_close_flushes_what_it_has_read() {
    for side in SIDES {
        play("", async |scene| {
            let session = scene.session().await;
            let id = session.cell.id;
            let (mut speaker, mut listener, task) = session.peers(side);
            assert!(fills(&mut speaker).await > 0);
            assert!(scene.worker.sessions.command(id, Command::Close));
            let mut heard = Vec::new();
            listener.read_to_end(&mut heard).await.expect("a FIN, since all was taken in time");
            drop((speaker, listener));
            task.await.unwrap();
            let record = scene.record();
            let passed = if side == Side::Client { &record["bytes_in"] } else { &record["bytes_out"] };
            assert_eq!(passed, heard.len());
            assert_eq!((&record["letters"], &record["cause"]), (&"KC".into(), &"closed by the operator".into()));
        });
    }
}

#[test]
fn a_session_that_is_told_to_close_resets_who_does_not_finish() {
    play("", async |scene| {
        let mut session = scene.session().await;
        assert!(fills(&mut session.client).await > 0);
        assert!(scene.worker.sessions.command(session.cell.id, Command::Shutdown));
        session.task.await.unwrap();
        // It has had its FIN, after which reading tells nothing.
        assert!(net::options::pending_error(&session.client).is_some(), "a RST has come");
        sees_reset(&mut session.server).await;
        assert_eq!(scene.record()["letters"], "KC");
    });
}

#[test]
#[expect(clippy::await_holding_refcell_ref, reason = "this is what makes the session panic")]
fn a_session_that_panics_ends_alone_and_gives_everything_back() {
    play("", async |scene| {
        let (client, accepted) = scene.client().await;
        // The relay finds the worker's scratch in other hands, which is not to happen: it panics.
        let held = scene.worker.scratch.borrow_mut();
        let session = scene.begin(client, accepted).await;
        assert!(session.task.await.unwrap_err().is_panic());
        drop(held);
        assert!(scene.worker.sessions.is_empty());
        let source = scene.front.local_addr().unwrap().ip();
        assert!(matches!(scene.frontend.pool.lease(source, &Tried::new()), Lease::Leased(_)), "the only slot is back");
        let counters = [&scene.frontend.counters, &scene.frontend.process.counters, &scene.frontend.pool.counters];
        assert!(counters.iter().all(|counters| counters.sessions() == 0));
        // The frontend's only permit is back, and the worker goes on.
        let mut next = scene.session().await;
        next.client.write_all(b"goes on").await.unwrap();
        hears(&mut next.server, "goes on").await;
        next.task.abort();
        let log = Arc::clone(&scene.log);
        drop(scene.logging);
        let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        let record: serde_json::Value = serde_json::from_str(log.lines().next().expect("a record")).unwrap();
        assert_eq!((&record["letters"], &record["cause"]), (&"ID".into(), &"internal error".into()));
    });
}

/// What an idle session owns beside its two connections: its future, its record, its cell.
#[test]
fn an_idle_session_is_small() {
    fn future<A, F>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }
    let sizes = (future(crate::proxy::session), size_of::<Record>(), size_of::<Cell>());
    assert!(sizes.0 <= 320 && sizes.1 <= 288 && sizes.2 <= 104, "future, record, cell: {sizes:?}");
}
