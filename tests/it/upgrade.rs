//! An upgrade: another process takes over the listeners, and nobody is refused for it.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::admin::Operator;
use crate::harness::app::{App, BINARY, Config};
use crate::harness::http;
use crate::harness::peers::{Manual, Peer, Server, connect, refusing};
use crate::harness::program::Program;
use crate::harness::runtime::Runtime;
use crate::harness::schema;
use crate::harness::wait::{pause, until};

/// evenkeel, and whoever replaces it: all end with the test.
struct Line {
    app: App,
    /// Those that others have left their place to.
    left: Vec<Value>,
}

impl Line {
    fn start(config: &Config) -> Self {
        Self::of(App::start(config))
    }

    fn of(app: App) -> Self {
        Self { app, left: Vec::new() }
    }

    /// Whoever serves now.
    fn pid(&self) -> Value {
        self.app.status()["process"]["pid"].clone()
    }

    /// Tells the serving process to be replaced, and waits until it is; gives both process numbers.
    fn upgrade(&mut self) -> (Value, Value) {
        let old = self.pid();
        signal(&old, Signal::USR2);
        // Their lines come in any order.
        let new = until("the old one has left", || {
            let lines = self.app.lines();
            let left = lines.iter().rfind(|line| line["message"] == "replaced: no longer accepting")?;
            (!self.left.contains(&left["by"])).then(|| left["by"].clone())
        });
        self.left.push(new.clone());
        until("the new one serves", || (self.pid() == new).then_some(()));
        (old, new)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let lines = self.app.lines();
        let told = lines.iter().filter(|line| line["message"] == "serving").map(|line| &line["pid"]);
        // The last one's line may still be on its way.
        let serving =
            http::get(self.app.stats(), "/api/v1/status").map(|answer| answer.json()["process"]["pid"].clone());
        told.chain(&self.left).chain(&serving).for_each(|pid| signal(pid, Signal::KILL));
    }
}

/// Ends others' work with its own, however that ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn signal(pid: &Value, signal: Signal) {
    let pid = pid.as_i64().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).expect("a process number");
    let _ = kill_process(pid, signal);
}

fn total(app: &App, of: &str) -> u64 {
    app.status()["process"]["counts"][of].as_u64().expect("a count")
}

// Seen to fail when the old process goes on accepting, and when the new one binds its sockets itself.
#[test]
fn over_five_upgrades_nobody_is_refused_and_sessions_go_on() {
    let server = Server::echo();
    let mut line = Line::start(&Config::to(&[server.address()]));
    let mut held = line.app.connect();
    held.say("before");
    held.hears("before");
    let (front, ended, asked) = (line.app.front(), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _ends = Ends(&ended);
        for _ in 0..4 {
            scope.spawn(|| {
                while !ended.load(Relaxed) {
                    let mut client = connect(front);
                    client.say("hello");
                    client.hears("hello");
                    asked.fetch_add(1, Relaxed);
                }
            });
        }
        for _ in 0..5 {
            line.upgrade();
            let before = asked.load(Relaxed);
            until("clients are served", || (asked.load(Relaxed) > before + 20).then_some(()));
            held.say("between");
            held.hears("between");
        }
    });
    assert_eq!(
        line.app.status()["process"]["predecessors"].as_array().map(Vec::len),
        Some(5),
        "the others wait for the first, which has a session"
    );
    drop(held);
    until("the first has ended", || {
        line.app.status()["process"]["predecessors"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    assert_eq!(total(&line.app, "sessions_total"), asked.load(Relaxed) as u64 + 1);
}

// Seen to fail with listeners that send away who has come in and has not asked yet: of HTTP, and of the runtime API.
#[test]
fn whoever_comes_to_ask_during_an_upgrade_is_answered() {
    let server = Server::echo();
    let (mut line, operator, runtime, _directory) = with_both_sockets(Config::to(&[server.address()]));
    let stats = line.app.stats();
    let live = "GET /livez HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n";
    let askers: [&(dyn Fn() -> String + Sync); 3] =
        [&|| asks(operator.connect(), live), &|| asks(connect(stats), live), &|| {
            asks(runtime.connect(), "show version\n")
        }];
    let (ended, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _ends = Ends(&ended);
        for (number, ask) in askers.iter().chain(&askers).enumerate() {
            let (ended, answered) = (&ended, &answered);
            scope.spawn(move || {
                while !ended.load(Relaxed) {
                    assert_ne!(ask(), "", "asker {number} has no answer");
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        for _ in 0..8 {
            line.upgrade();
            let before = answered.load(Relaxed);
            until("they are answered", || (answered.load(Relaxed) > before + 20).then_some(()));
        }
    });
}

/// A line of processes with an admin socket, and one of the runtime API.
fn with_both_sockets(config: Config) -> (Line, Operator, Runtime, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let (admin, runtime) = (directory.path().join("admin.sock"), directory.path().join("haproxy.sock"));
    let sockets =
        format!("[admin]\nsocket = \"{}\"\n[[runtime]]\nlisten = \"unix:{}\"", admin.display(), runtime.display());
    (Line::start(&config.more(&sockets)), Operator::at(&admin), Runtime::at(&runtime), directory)
}

/// Asks a moment after having come in, as whoever is not on the same host does; all that comes back.
fn asks(mut stream: impl Read + Write, question: &str) -> String {
    pause(Duration::from_millis(5));
    let mut answer = Vec::new();
    let _reset = stream.write_all(question.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
    String::from_utf8(answer).unwrap()
}

// Seen to fail when the old process tells no more after it was replaced.
#[test]
fn what_the_old_process_still_counts_is_counted_on_in_the_new_one() {
    let server = Manual::listen();
    let mut line = Line::start(&Config::to(&[server.address()]));
    let (mut client, mut peer) = line.app.session(&server);
    client.say("1234567");
    peer.hears("1234567");
    until("it is counted", || (total(&line.app, "bytes_in") == 7).then_some(()));
    let (old, _) = line.upgrade();
    assert_eq!(total(&line.app, "bytes_in"), 7);
    assert_eq!(line.app.status()["process"]["predecessors"][0]["pid"], old);
    client.say("890");
    peer.hears("890");
    until("it is told", || (total(&line.app, "bytes_in") == 10).then_some(()));
    assert_eq!(line.app.server("a")["counts"]["bytes_in"], 10);
    assert_eq!(line.app.metric("evenkeel_replaced_sessions", &[]), 1.0);
    drop((client, peer));
    until("the old one has ended", || (line.app.metric("evenkeel_replaced_processes", &[]) == 0.0).then_some(()));
    assert_eq!(total(&line.app, "bytes_in"), 10);
}

// Seen to fail when nothing is said of sessions elsewhere.
#[test]
fn least_connections_count_what_the_old_process_still_has() {
    let (busy, idle) = (Manual::listen(), Server::named("b"));
    let config = Config::to(&[busy.address(), idle.address()]).server(1, "weight = 0");
    let mut line = Line::start(&config);
    let _held: Vec<_> = (0..3).map(|_| line.app.session(&busy)).collect();
    std::fs::write(line.app.file(), Config::to(&[busy.address(), idle.address()]).at(&config).text()).unwrap();
    line.upgrade();
    for _ in 0..3 {
        line.app.connect().hears("b");
    }
}

#[test]
fn a_runtime_socket_goes_over_with_its_file() {
    let server = Server::echo();
    let (mut line, operator, runtime, _directory) = with_both_sockets(Config::to(&[server.address()]));
    let serves = |pid: &Value| runtime.ask("show info").contains(&format!("\nPid: {pid}\n"));
    assert!(serves(&line.pid()));
    let (_, new) = line.upgrade();
    assert!(serves(&new));
    assert!(operator.look("/api/v1/status").is_some());
}

#[test]
fn health_survives_an_upgrade() {
    let (up, down) = (Server::named("a"), refusing());
    let check = "check = { type = \"tcp\", interval = \"1m\", fast_interval = \"100ms\", down_interval = \"1m\" }";
    let mut line = Line::start(&Config::to(&[up.address(), down]).backend(check));
    line.app.server_is("b", "down");
    until("a is well", || (line.app.server("a")["check"]["health"] == 4).then_some(()));
    let before = (line.app.server("a")["check"]["health"].clone(), line.app.server("b")["since"].clone());
    line.upgrade();
    assert_eq!((line.app.server("a")["check"]["health"].clone(), line.app.server("b")["since"].clone()), before);
    assert_eq!(line.app.server("b")["state"], "down");
}

#[test]
fn a_new_process_that_does_not_come_to_serve_changes_nothing() {
    let server = Server::named("a");
    let config = Config::to(&[server.address()]);
    let mut line = Line::start(&config);
    let pid = line.pid();
    std::fs::write(line.app.file(), "nonsense").unwrap();
    signal(&pid, Signal::USR2);
    let refused = line.app.next_line("why not", |line| line["message"] == "not upgraded");
    assert!(refused["error"].as_str().unwrap().contains("ended with exit status: 2"), "{refused}");
    assert_eq!(line.pid(), pid);
    line.app.connect().hears("a");
    std::fs::write(line.app.file(), config.text()).unwrap();
    line.upgrade();
}

/// A package does this: the file is another one. Mutations seen to fail: only the file may be run; its directory can't be
/// looked into by the process that was started from there; restrictions applied once more by each process.
#[test]
fn in_the_sandbox_a_replaced_program_is_run_in_a_directory_of_its_own() {
    let server = Server::named("a");
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("evenkeel");
    let mut line = Line::of(App::start_copy(&program, &Config::to(&[server.address()])));
    let sandbox = line.app.next_line("what is on", |line| line["message"] == "confined");
    assert!(sandbox["sandbox"].as_str().unwrap().starts_with("landlock"), "{sandbox}");
    let filters = |line: &Line| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", line.pid())).unwrap();
        status.lines().find(|line| line.starts_with("Seccomp_filters:")).expect("a count").to_owned()
    };
    let at_first = filters(&line);
    // One more than the kernel takes rule sets of files, one on top of the other.
    for _ in 0..17 {
        replace(&program);
        line.upgrade();
        line.app.connect().hears("a");
        let now = line.app.next_line("what is on", |line| line["message"] == "confined");
        assert_eq!((&now["sandbox"], now.get("missing")), (&sandbox["sandbox"], None));
    }
    assert_eq!(filters(&line), at_first, "none is applied again");
    // Among others it can't be told from a shell, and what has taken its place is not run.
    let others = tempfile::tempdir().unwrap();
    let program = others.path().join("evenkeel");
    std::fs::copy("/bin/true", others.path().join("true")).unwrap();
    let mut line = Line::of(App::start_copy(&program, &Config::to(&[server.address()])));
    line.upgrade();
    replace(&program);
    let pid = line.pid();
    signal(&pid, Signal::USR2);
    let refused = line.app.next_line("why not", |line| line["message"] == "not upgraded");
    assert!(refused["error"].as_str().unwrap().contains("a directory that holds no other"), "{refused}");
    assert_eq!(line.pid(), pid);
}

/// Puts another file of the same content there.
fn replace(program: &Path) {
    let fresh = program.with_file_name("evenkeel.new");
    std::fs::copy(BINARY, &fresh).unwrap();
    std::fs::rename(fresh, program).unwrap();
}

/// Each version in a directory of its own, and a link to the one that is to run.
#[test]
fn a_link_that_was_led_to_another_version_is_followed() {
    let server = Server::named("a");
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for version in ["1", "2"] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::copy(BINARY, at(version).join("evenkeel")).unwrap();
    }
    symlink("1", at("current")).unwrap();
    let config = Config::to(&[server.address()]).more("[security]\nsandbox = false");
    let mut line = Line::of(App::start_of(&at("current").join("evenkeel"), &config));
    std::fs::remove_file(at("current")).unwrap();
    symlink("2", at("current")).unwrap();
    let (_, new) = line.upgrade();
    assert_eq!(std::fs::read_link(format!("/proc/{new}/exe")).unwrap(), at("2").join("evenkeel"));
}

/// A reload leaves these to the next start. An upgrade is one.
#[test]
fn an_upgrade_applies_what_a_reload_leaves_to_the_next_start() {
    let server = Server::named("a");
    let config = Config::to(&[server.address()]).process("workers = 1");
    let mut line = Line::start(&config);
    let other = Config::to(&[server.address()]).at(&config).process("workers = 2").log("open = true");
    line.app.reload(&other);
    for setting in ["process.workers", "[log]"] {
        line.app
            .lines()
            .iter()
            .find(|line| line["setting"] == setting)
            .unwrap_or_else(|| panic!("{setting} is told of"));
    }
    let opened = |line: &Line| line.app.lines().iter().any(|line| line["message"] == "session open");
    line.app.connect().hears("a");
    line.app.next_session();
    assert!(!opened(&line), "not yet");
    line.upgrade();
    line.app.next_line("the new one", |line| line["message"] == "serving" && line["workers"] == 2);
    line.app.connect().hears("a");
    line.app.next_line("a session's beginning", |line| line["message"] == "session open");
}

/// Says that a process of its has begun, and notes both once it is greeted for that.
const BEGINS: &str = r#"#!/bin/sh
sleep 1000 &
begun="{\"Begun\":{\"pid\":$!}}"
printf "\0\0\0\\$(printf %03o ${#begun})%s" "$begun" >&0
head -c 4 >/dev/null
echo $$ $! >STARTED.part
mv STARTED.part STARTED
wait
"#;

// Seen to fail when only the starter is ended.
#[test]
fn who_is_told_to_stop_during_an_upgrade_stops_and_ends_the_new_process() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("evenkeel");
    let mut app = App::start_copy(&copy, &Config::to(&[refusing()]).more("[security]\nsandbox = false"));
    let started = directory.path().join("started");
    replace_by_one_that_hangs(&copy, &started);
    app.signal(Signal::USR2);
    let pids = until("it has started", || std::fs::read_to_string(&started).ok());
    app.signal(Signal::TERM);
    assert_eq!(app.ended().code(), Some(0));
    for pid in pids.split_whitespace() {
        // One that nobody has waited for yet runs nothing any more.
        until("the new process is gone", || std::fs::read_link(format!("/proc/{pid}/exe")).err());
    }
}

#[test]
fn a_replaced_process_that_is_told_to_stop_closes_its_sessions() {
    let server = Server::echo();
    let mut line = Line::start(&Config::to(&[server.address()]).process("shutdown_grace = \"100ms\""));
    let mut client = line.app.connect();
    client.say("x");
    client.hears("x");
    line.upgrade();
    line.app.signal(Signal::TERM);
    client.sees_fin();
    assert_eq!(line.app.ended().code(), Some(0));
}

#[test]
fn after_the_grace_a_replaced_process_closes_its_sessions() {
    let server = Server::echo();
    let grace = "upgrade_grace = \"500ms\"\nshutdown_grace = \"100ms\"";
    let mut line = Line::start(&Config::to(&[server.address()]).process(grace));
    let mut client = line.app.connect();
    client.say("x");
    client.hears("x");
    line.upgrade();
    client.sees_fin();
    assert_eq!(line.app.ended().code(), Some(0));
}

/// Plays the old process, one of a later release.
#[test]
fn sockets_are_taken_over_though_the_state_is_of_an_unknown_version() {
    let server = Server::named("a");
    let config = Config::to(&[server.address()]);
    let socket = TcpListener::bind(config.front()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.toml");
    std::fs::write(&file, config.text()).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut command = Command::new(BINARY);
    command.arg("run").arg(&file).env("EVENKEEL_UPGRADE", "meet");
    let program = Program::start_with_input(&mut command, Stdio::from(OwnedFd::from(theirs)));
    send(
        &mut ours,
        &json!({ "version": 99, "release": "9.9.9", "pid": 4711, "sockets": 1, "admin": null, "more": true }),
    );
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(&ours, &[IoSlice::new(&[0])], &mut control, SendFlags::empty()).unwrap();
    send(&mut ours, &json!({ "anything": ["else"] }));
    program.wait_for("the state is of a version that is not known here");
    program.wait_for("serving");
    drop(socket);
    crate::harness::peers::connect(config.front()).hears("a");
}

fn send(stream: &mut UnixStream, message: &Value) {
    let text = message.to_string();
    stream.write_all(&u32::try_from(text.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
}

// ---- asked for by an operator ----

/// A line of processes with an admin socket.
fn with_operator(config: Config) -> (Line, Operator, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    let line = Line::start(&config.more(&format!("[admin]\nsocket = \"{}\"", socket.display())));
    (line, Operator::at(&socket), directory)
}

fn upgrades(operator: &Operator) -> Vec<Value> {
    let events = operator.get("/api/v1/events?after=0&limit=4096");
    schema::fits(&events, "Events");
    events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "upgrade").cloned().collect()
}

// Seen to fail with connections that end with their listener.
#[test]
fn who_asks_for_an_upgrade_is_answered_when_the_new_process_serves() {
    let server = Server::echo();
    let (line, operator, _directory) = with_operator(Config::to(&[server.address()]));
    let mut client = line.app.connect();
    client.say("before");
    client.hears("before");
    for _ in 0..3 {
        let old = line.pid();
        let answer = operator.does("/api/v1/upgrade", "{}");
        schema::fits(&answer, "Upgraded");
        assert_eq!(operator.get("/api/v1/status")["process"]["pid"], answer["pid"]);
        assert_ne!(answer["pid"], old);
        let told = until("the new process tells of it", || upgrades(&operator).pop());
        let by = format!("uid {}, pid {}", rustix::process::getuid().as_raw(), std::process::id());
        assert!(told["by"].as_str().unwrap().contains(&by), "{told}");
        assert!(told["text"].as_str().unwrap().ends_with(&format!("pid {old}")), "{told}");
    }
    client.say("after");
    client.hears("after");
}

#[test]
fn an_upgrade_that_fails_is_answered_with_the_reason_and_told() {
    let server = Server::named("a");
    let (mut line, operator, _directory) = with_operator(Config::to(&[server.address()]));
    let pid = line.pid();
    std::fs::write(line.app.file(), "nonsense").unwrap();
    let answer = operator.post("/api/v1/upgrade", "{}");
    assert_eq!(answer.status, 500, "{}", answer.body);
    let error = answer.json()["error"].clone();
    assert!(error.as_str().unwrap().contains("ended with exit status: 2"), "{error}");
    let told = upgrades(&operator).remove(0);
    assert_eq!(told["text"], format!("not upgraded: {}", error.as_str().unwrap()));
    assert_eq!(told["level"], "error");
    let line_of = line.app.next_line("why not", |line| line["message"] == "not upgraded");
    assert_eq!((&line_of["error"], &line_of["by"]), (&error, &told["by"]));
    assert_eq!(line.pid(), pid);
    line.app.connect().hears("a");
}

/// Another release, which begins and never comes to serve, in place of the running one; its process numbers once it has.
fn replace_by_one_that_hangs(copy: &std::path::Path, started: &std::path::Path) {
    std::fs::remove_file(copy).unwrap();
    let script = BEGINS.replace("STARTED", &started.display().to_string());
    std::fs::write(copy, script).unwrap();
    std::fs::set_permissions(copy, std::fs::Permissions::from_mode(0o755)).unwrap();
}

// Seen to fail when a reload that comes during an upgrade is dropped.
#[test]
fn a_reload_during_an_upgrade_has_its_turn_when_that_has_failed_and_a_stop_comes_first() {
    let directory = tempfile::tempdir().unwrap();
    let (copy, started) = (directory.path().join("evenkeel"), directory.path().join("started"));
    let socket = directory.path().join("admin.sock");
    let server = Server::echo();
    let section = format!("[security]\nsandbox = false\n[admin]\nsocket = \"{}\"", socket.display());
    let config = Config::to(&[server.address()]).process("shutdown_grace = \"10s\"").more(&section);
    let mut app = App::start_copy(&copy, &config);
    let mut client = app.connect();
    client.say("x");
    client.hears("x");
    replace_by_one_that_hangs(&copy, &started);
    let operator = Operator::at(&socket);
    let upgrade = |started: &std::path::Path| {
        let operator = operator.clone();
        let asked = thread::spawn(move || operator.post("/api/v1/upgrade", "{}"));
        let pids = until("it has started", || std::fs::read_to_string(started).ok());
        std::fs::remove_file(started).unwrap();
        let pids: Vec<Value> = pids.split_whitespace().map(|pid| json!(pid.parse::<i32>().unwrap())).collect();
        (asked, pids)
    };

    let (upgrading, pids) = upgrade(&started);
    let reloading = {
        let operator = operator.clone();
        thread::spawn(move || operator.post("/api/v1/reload", "{}"))
    };
    app.signal(Signal::HUP);
    pids.iter().for_each(|pid| signal(pid, Signal::KILL));
    assert_eq!(upgrading.join().unwrap().status, 500);
    let answer = reloading.join().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    app.next_line("the signal is not lost", |line| line["message"] == "reloaded" && line["by"] == "SIGHUP");

    let (upgrading, pids) = upgrade(&started);
    app.signal(Signal::TERM);
    let answer = upgrading.join().unwrap();
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.contains("told to stop meanwhile"), "{}", answer.body);
    for pid in pids {
        // One that nobody has waited for yet runs nothing any more.
        until("the new process is gone", || std::fs::read_link(format!("/proc/{pid}/exe")).err());
    }
    client.say("still here");
    client.hears("still here");
    drop(client);
    assert_eq!(app.ended().code(), Some(0));
}

/// A frontend's unix socket goes over as its other sockets do: nobody is refused, and the file stays the same. The old
/// process doesn't take it away.
// Seen to fail with a file that the old process removes, and with one that the new one makes anew.
#[test]
fn a_unix_socket_of_a_frontend_goes_over_with_its_file() {
    use std::os::unix::fs::MetadataExt;
    let (server, directory) = (Server::echo(), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    let frontend = |name: &str| {
        let listen = at(name).display().to_string();
        format!("[[frontend]]\nname = \"local\"\nlisten = \"unix:{listen}\"\nbackend = \"back\"\n")
    };
    let config = Config::to(&[server.address()]);
    let mut line = Line::start(&config.clone().more(&frontend("a.sock")));
    let file = std::fs::metadata(at("a.sock")).unwrap().ino();
    let answers = |stream: &mut UnixStream| {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    };
    let mut held = UnixStream::connect(at("a.sock")).unwrap();
    answers(&mut held);
    line.upgrade();
    assert_eq!(std::fs::metadata(at("a.sock")).unwrap().ino(), file);
    answers(&mut held);
    answers(&mut UnixStream::connect(at("a.sock")).unwrap());
    drop(held);
    until("the old one has ended", || (line.app.metric("evenkeel_replaced_processes", &[]) == 0.0).then_some(()));
    answers(&mut UnixStream::connect(at("a.sock")).unwrap());
    std::fs::write(line.app.file(), config.more(&frontend("b.sock")).text()).unwrap();
    line.upgrade();
    answers(&mut UnixStream::connect(at("b.sock")).unwrap());
    assert!(!at("a.sock").exists(), "what is not wanted any more is gone");
}
