//! The log's targets: what each receives, and what becomes of the others when one is slow or gone.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::app::{App, BINARY, Config};
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::wait::{PATIENCE, until};

/// A unix socket that takes datagrams, as journald and syslog daemons have it.
struct Socket {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Socket {
    fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { path: path.to_owned(), socket }
    }

    fn next(&self) -> String {
        let mut datagram = vec![0; 1 << 17];
        let length = self.socket.recv(&mut datagram).expect("a datagram");
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    /// The next datagram that contains this; those before it are passed over.
    fn next_with(&self, text: &str) -> String {
        std::iter::repeat_with(|| self.next()).find(|datagram| datagram.contains(text)).expect("an endless search")
    }

    /// Ends as a daemon that stops, and takes its socket away.
    fn stop(self) -> PathBuf {
        fs::remove_file(&self.path).unwrap();
        self.path
    }
}

fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A session that says four bytes and hears them; it has ended for the client.
fn one_session(app: &App) {
    let mut client = app.connect();
    client.say("four");
    client.hears("four");
    client.sends_fin();
    client.sees_fin();
}

/// The value of a field of a journal's datagram.
fn field<'a>(datagram: &'a str, name: &str) -> &'a str {
    let line = datagram.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in\n{datagram}"))
}

#[test]
fn the_journal_gets_every_field_of_a_line() {
    let directory = temporary();
    let journal = Socket::bind(&directory.path().join("journal"));
    let server = Server::echo();
    let target = format!(
        r#"target = ["stdout", {{ type = "journald", socket = "{}", format = "text", tag = "lb" }}]"#,
        journal.path.display()
    );
    let mut app = App::start(&Config::to(&[server.address()]).log(&target));
    let start = journal.next_with("EVENKEEL_VERSION=");
    assert_eq!(field(&start, "EVENKEEL_EVENT"), "message");
    one_session(&app);
    let (record, datagram) = (app.next_session(), journal.next_with("EVENKEEL_EVENT=session\n"));
    assert_eq!((field(&datagram, "PRIORITY"), field(&datagram, "SYSLOG_IDENTIFIER")), ("6", "lb"));
    assert!(field(&datagram, "MESSAGE").starts_with("session client=127.0.0.1:"), "{datagram}");
    let fields = record.as_object().unwrap().iter().filter(|(name, _)| !["level", "message"].contains(&name.as_str()));
    let mut compared = 0;
    for (name, value) in fields {
        let said = field(&datagram, &format!("EVENKEEL_{}", name.to_uppercase()));
        match value {
            Value::String(text) => assert_eq!(said, text, "{name}"),
            number => assert_eq!(said.parse().ok(), number.as_f64(), "{name}"),
        }
        compared += 1;
    }
    assert!(compared > 15, "only {compared} fields");
}

#[test]
fn syslog_over_udp_gets_haproxys_lines() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = Server::echo();
    let target = format!(
        r#"target = ["stdout", {{ type = "syslog", address = "{}", facility = "local2", format = "tcplog" }}]"#,
        receiver.local_addr().unwrap()
    );
    // A zone of the test's own: five and a half hours before Greenwich's time.
    let mut app = App::launch_with(&Config::to(&[server.address()]).log(&target), |command| {
        command.env("TZ", "XST-5:30");
    });
    app.program().wait_for("serving");
    one_session(&app);
    let record = app.next_session();
    let mut datagram = [0; 2048];
    let text = std::iter::repeat_with(|| {
        let length = receiver.recv(&mut datagram).expect("a datagram");
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    });
    let line = text.into_iter().find(|line| line.contains(" front back/a ")).unwrap();
    // Local use 2 and info; HAProxy's for a session.
    let (header, said) = line.split_once(&format!(" evenkeel[{}]: ", app.program().pid())).expect("a tag");
    assert!(header.starts_with("<150>") && header.len() == "<150>Nov 25 09:57:26".len(), "{header}");
    let rest = said.strip_prefix(record["client"].as_str().unwrap()).and_then(|rest| rest.strip_prefix(" [")).unwrap();
    let (date, rest) = rest.split_once("] ").unwrap();
    assert_eq!(date.len(), "25/Nov/2026:09:57:26.287".len(), "{date}");
    assert_eq!(minutes(&date[12..17]), (minutes(&record["timestamp"].as_str().unwrap()[11..16]) + 330) % 1440);
    let (times, rest) = rest.strip_prefix("front back/a ").unwrap().split_once(' ').unwrap();
    let times: Vec<i64> = times.split('/').map(|time| time.parse().unwrap()).collect();
    assert!(times.len() == 3 && times.iter().all(|time| *time >= 0), "{line}");
    assert_eq!(rest, "4 -- 1/1/0/0/0 0/0", "{line}");
}

/// Of a time as in `09:57`; a minute may end between two readings, which a session's few milliseconds nearly never see.
fn minutes(time: &str) -> u32 {
    let (hours, minutes) = time.split_once(':').unwrap();
    hours.parse::<u32>().unwrap() * 60 + minutes.parse::<u32>().unwrap()
}

#[test]
fn syslog_over_a_unix_socket_gets_structured_data() {
    let directory = temporary();
    let daemon = Socket::bind(&directory.path().join("log"));
    let server = Server::echo();
    let target = format!(
        r#"target = ["stdout", {{ type = "syslog", address = "{}", protocol = "rfc5424", format = "text" }}]"#,
        daemon.path.display()
    );
    let mut app = App::start(&Config::to(&[server.address()]).log(&target));
    one_session(&app);
    let record = app.next_session();
    let line = daemon.next_with(" session [evenkeel@32473 ");
    assert!(line.starts_with(&format!("<30>1 {} ", record["timestamp"].as_str().unwrap())), "{line}");
    assert!(line.contains(&format!(" evenkeel {} session [evenkeel@32473 id=", app.program().pid())), "{line}");
    let (data, said) = line.split_once("] ").unwrap();
    assert!(data.contains(r#" frontend="front" backend="back" server="a" "#), "{line}");
    assert!(said.starts_with("session client=") && !line.contains('\n'), "{line}");
}

#[test]
fn a_target_that_never_reads_costs_nobody_else_anything() {
    const SESSIONS: usize = 2200;
    let directory = temporary();
    let stuck = Socket::bind(&directory.path().join("log"));
    let server = Server::echo();
    let target = format!(
        "open = true\ntarget = [\"stdout\", {{ type = \"syslog\", address = \"{}\", format = \"text\" }}]",
        stuck.path.display()
    );
    let mut app = App::start(&Config::to(&[server.address()]).log(&target));
    // Two lines each: more than its queue and the socket hold together.
    (0..SESSIONS).for_each(|_| one_session(&app));
    until("all sessions' lines on stdout", || (app.sessions().len() == SESSIONS).then_some(()));
    let name = format!("target=\"syslog {}\"", stuck.path.display());
    let dropped = app.metric("evenkeel_log_target_lines_dropped_total", &[&name]);
    assert!(dropped > 0.0 && dropped < SESSIONS as f64, "{dropped}");
    assert_eq!(app.metric("evenkeel_log_target_lines_dropped_total", &["target=\"stdout\""]), 0.0);
    assert_eq!(app.metric("evenkeel_log_target_reached", &[&name]), 0.0);
    assert_eq!(app.metric("evenkeel_log_target_reached", &["target=\"stdout\""]), 1.0);
    let told = app.next_line("what has become of the target", |line| {
        line["message"].as_str().is_some_and(|text| text.starts_with("a log target takes no lines"))
    });
    assert_eq!(told["error"], "its receiver does not read");
    let status = app.status()["process"].clone();
    assert_eq!(status["log_lines_dropped"], status["log_targets"][1]["lines_dropped"]);
    // It reads at last, and learns what it has missed.
    let missed = stuck.next_with("the log was too slow: lines dropped");
    assert!(missed.ends_with(&format!("lines={dropped:.0}")), "{missed}");
    let printed = app.program().printed();
    assert_eq!(printed.iter().filter(|line| line.contains("a log target takes no lines")).count(), 1, "told once");
}

#[test]
fn a_target_that_never_reads_does_not_keep_the_process_from_ending() {
    let directory = temporary();
    let stuck = Socket::bind(&directory.path().join("log"));
    let server = Server::echo();
    let target =
        format!("open = true\ntarget = [\"stdout\", {{ type = \"syslog\", address = \"{}\" }}]", stuck.path.display());
    let mut app = App::start(&Config::to(&[server.address()]).log(&target));
    (0..50).for_each(|_| one_session(&app));
    app.signal(Signal::TERM);
    assert!(app.ended().success());
    assert!(app.program().printed().last().is_some_and(|line| line.contains("stopped")), "stdout has its last line");
}

#[test]
fn a_daemon_that_goes_and_comes_back_has_every_line() {
    let directory = temporary();
    let daemon = Socket::bind(&directory.path().join("log"));
    let server = Server::echo();
    let target = format!("target = [\"stdout\", {{ type = \"syslog\", address = \"{}\" }}]", daemon.path.display());
    let mut app = App::start(&Config::to(&[server.address()]).log(&target));
    one_session(&app);
    let first = app.next_session()["id"].as_str().unwrap().to_owned();
    daemon.next_with(&first);
    let path = daemon.stop();
    one_session(&app);
    let second = app.next_session()["id"].as_str().unwrap().to_owned();
    let name = format!("target=\"syslog {}\"", path.display());
    until("the daemon is missed", || (app.metric("evenkeel_log_target_reached", &[&name]) == 0.0).then_some(()));
    one_session(&app);
    let third = app.next_session()["id"].as_str().unwrap().to_owned();
    let daemon = Socket::bind(&path);
    daemon.next_with(&second);
    daemon.next_with(&third);
    // Lines are what shows that it is back.
    until("the daemon is back", || {
        one_session(&app);
        daemon.next();
        (app.metric("evenkeel_log_target_reached", &[&name]) == 1.0).then_some(())
    });
    assert_eq!(app.metric("evenkeel_log_target_lines_dropped_total", &[&name]), 0.0);
}

#[test]
fn a_session_is_told_of_while_it_lives_on_request() {
    let server = Manual::listen();
    let config = Config::to(&[server.address()]).log("open = true\nprogress = \"1s\"");
    let mut app = App::start(&config);
    let (mut client, mut served) = app.session(&server);
    let opened = app.next_line("a line of an open session", |line| line["message"] == "session open");
    assert_eq!((&opened["server"], &opened["client"]), (&"a".into(), &client.local_addr().unwrap().to_string().into()));
    client.say("four");
    served.hears("four");
    let so_far = app.next_line("a line of a session that lives on", |line| line["message"] == "session progress");
    assert_eq!((&so_far["id"], &so_far["bytes_in"]), (&opened["id"], &4.into()));
    assert!(so_far["age_ms"].as_f64().is_some_and(|age| age >= 1000.0) && so_far.get("cause").is_none(), "{so_far}");
    let again = app.next_line("a second one", |line| line["message"] == "session progress");
    assert!(again["age_ms"].as_f64() > so_far["age_ms"].as_f64());
    drop((client, served));
    assert_eq!(app.next_session()["id"], opened["id"]);
    // No byte, and a line all the same: its beginning was told.
    let silent = app.session(&server);
    let opened = app.next_line("a line of an open session", |line| line["message"] == "session open");
    drop(silent);
    assert_eq!(app.next_session()["id"], opened["id"]);
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn lines_to_a_stream_of_the_journal_begin_with_their_priority() {
    let directory = temporary();
    let server = Server::echo();
    let config = directory.path().join("evenkeel.toml");
    fs::write(&config, Config::to(&[server.address()]).text()).unwrap();
    let lines = |stream: &dyn Fn(u64, u64) -> String, name: &str| {
        let path = directory.path().join(name);
        let output = File::create(&path).unwrap();
        let metadata = output.metadata().unwrap();
        let mut command = Command::new(BINARY);
        command.arg("run").arg(&config).stdin(Stdio::null()).stdout(output);
        let running =
            command.env("JOURNAL_STREAM", stream(metadata.dev(), metadata.ino())).spawn().map(Running).unwrap();
        let text = until("it serves", || fs::read_to_string(&path).ok().filter(|text| text.contains("\"serving\"")));
        drop(running);
        text
    };
    let of_journal = lines(&|device, inode| format!("{device}:{inode}"), "journal");
    for line in of_journal.lines() {
        let priority = if line.contains(r#""level":"WARN""#) { "<4>{" } else { "<6>{" };
        assert!(line.starts_with(priority), "{line}");
    }
    // Whoever sends the output elsewhere has the variable from its service all the same.
    let elsewhere = lines(&|device, inode| format!("{device}:{}", inode + 1), "elsewhere");
    assert!(elsewhere.lines().all(|line| line.starts_with('{')), "{elsewhere}");
}
