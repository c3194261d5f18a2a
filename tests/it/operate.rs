//! Operating it: the command line before the running process, as an operator's hands and scripts use it.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::app::{App, BINARY, Config};
use crate::harness::peers::{Manual, Peer, Server, connect_from};
use crate::harness::program::Program;
use crate::harness::wait::until;

/// The place of an admin socket, and commands that ask there.
struct Operator {
    directory: TempDir,
}

impl Operator {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn socket(&self) -> String {
        self.directory.path().join("admin.sock").to_str().unwrap().to_owned()
    }

    /// The section that opens the socket.
    fn section(&self) -> String {
        format!("[admin]\nsocket = \"{}\"", self.socket())
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).env("EVENKEEL_SOCKET", self.socket()).stdin(Stdio::null());
        command
    }

    /// Exit code and both outputs.
    fn tries(&self, line: &str) -> (i32, String, String) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Output { status, stdout, stderr } = self.command(BINARY, &words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code().expect("it ends by itself"), text(stdout), text(stderr))
    }

    /// Standard output of a command that succeeds.
    fn does(&self, line: &str) -> String {
        let (code, out, err) = self.tries(line);
        assert_eq!(code, 0, "{line}\n{out}\n{err}");
        out
    }

    fn sessions(&self, filters: &str) -> Value {
        serde_json::from_str(&self.does(&format!("sessions --json {filters}"))).unwrap()
    }
}

/// A client and its end at the server, known by what it said.
fn session_from(source: Ipv4Addr, app: &App, server: &Manual) -> (TcpStream, TcpStream) {
    let mut client = connect_from(source, app.front());
    let mut served = server.accept();
    client.say("hello");
    served.hears("hello");
    (client, served)
}

#[test]
fn healthz_follows_the_process_and_never_its_backends() {
    let operator = Operator::new();
    let server = Server::echo();
    let config = Config::to(&[server.address()])
        .process("preempt = \"60s\"")
        .backend("required = true")
        .backend(
            "check = { type = \"tcp\", interval = \"100ms\", fast_interval = \"100ms\", down_interval = \"100ms\" }",
        )
        .more(&operator.section());
    let url = format!("healthz --url http://{}", config.stats());
    let (code, _, err) = operator.tries("healthz");
    assert!(code == 1 && err.contains("there is no such file"), "{err}");
    let mut app = App::start(&config);
    for line in ["healthz", "healthz --ready", &url] {
        assert_eq!(operator.tries(line), (0, String::new(), String::new()), "{line}");
    }
    app.server_is("a", "ready");
    server.stop();
    until("not ready without a server", || (operator.tries("healthz --ready").0 == 1).then_some(()));
    assert!(operator.tries("healthz --ready").2.contains("backend back has no usable server"));
    assert_eq!(operator.tries("healthz").0, 0, "a VIP must not move because a controller is down");
    app.signal(Signal::TERM);
    until("not live once it is told to stop", || (operator.tries("healthz").0 == 1).then_some(()));
    assert!(operator.tries(&url).2.contains("stopping"), "{:?}", operator.tries(&url));
    app.signal(Signal::TERM);
    app.ended();
    let (code, _, err) = operator.tries("healthz");
    assert!(code == 1 && err.contains("no evenkeel answers at"), "{err}");
}

#[test]
fn a_process_that_is_stopped_is_not_live() {
    let operator = Operator::new();
    let app = App::start(&Config::to(&[Server::echo().address()]).more(&operator.section()));
    app.signal(Signal::STOP);
    let (code, _, err) = operator.tries("healthz");
    app.signal(Signal::CONT);
    assert!(code == 1 && err.contains("no answer within 3 s"), "{err}");
    until("live again", || (operator.tries("healthz").0 == 0).then_some(()));
}

#[test]
fn status_tells_which_controller_is_down_and_why() {
    let operator = Operator::new();
    let (killed, other) = (Server::echo(), Server::echo());
    let check = "check = { type = \"tcp\", interval = \"100ms\", fast_interval = \"100ms\" }";
    let config = Config::to(&[killed.address(), other.address()]).backend(check).more(&operator.section());
    let app = App::start(&config);
    app.server_is("a", "ready");
    app.server_is("b", "ready");
    let row = |name: &str| {
        let out = operator.does("status");
        out.lines().find(|line| line.starts_with(&format!("  {name} "))).expect("its row").to_owned()
    };
    assert!(row("a").contains("ready"), "{}", row("a"));
    killed.stop();
    until("status shows it", || row("a").contains("down: refused").then_some(()));
    assert!(row("a").contains("L4CON") && row("b").contains("ready"), "{}", operator.does("status"));
}

#[test]
fn drain_with_wait_stands_in_a_script_before_a_controller_is_stopped() {
    let operator = Operator::new();
    let (drained, other) = (Manual::listen(), Manual::listen());
    let config =
        Config::to(&[drained.address(), other.address()]).backend("balance = \"first\"").more(&operator.section());
    let app = App::start(&config);
    let mut sessions: Vec<_> = (0..3).map(|_| session_from(Ipv4Addr::LOCALHOST, &app, &drained)).collect();
    let script = format!("{BINARY} drain a --over 2s --wait && echo 'k0s stop'");
    let mut script = Program::start(&mut operator.command("sh", &["-c", &script]));
    script.wait_for("3 sessions left on a");
    let (_client, _served) = session_from(Ipv4Addr::LOCALHOST, &app, &other);
    for (client, _served) in &mut sessions {
        client.sees_fin();
    }
    drop(sessions);
    script.wait_for("nobody is left on a");
    script.wait_for("k0s stop");
    assert!(script.ended().success());
    assert_eq!(app.server("a")["admin_state"], "drain");
    operator.does("ready back/a");
    let (_client, _served) = session_from(Ipv4Addr::LOCALHOST, &app, &drained);
}

#[test]
fn sessions_are_found_by_all_that_is_known_of_them_and_killed_by_id() {
    let operator = Operator::new();
    let server = Manual::listen();
    let app = App::start(&Config::to(&[server.address()]).more(&operator.section()));
    let (mut one, _served) = session_from(Ipv4Addr::new(127, 0, 0, 5), &app, &server);
    let (mut other, mut other_served) = session_from(Ipv4Addr::new(127, 0, 1, 6), &app, &server);
    for (filters, total) in [
        ("", 2),
        ("--source 127.0.0.5", 1),
        ("--source 127.0.1.0/24", 1),
        ("--source 10.0.0.0/8", 0),
        ("--server a --frontend front --backend back", 2),
        ("--server back/a --limit 1", 2),
    ] {
        assert_eq!(operator.sessions(filters)["total"], total, "{filters}");
    }
    let found = operator.sessions("--source 127.0.0.5 --sort bytes");
    let session = &found["sessions"][0];
    assert_eq!((&session["bytes_in"], &session["state"]), (&5.into(), &"open".into()));
    assert!(operator.does("sessions").contains("2 sessions"));
    let id = session["id"].as_str().unwrap();
    operator.does(&format!("kill {id}"));
    one.sees_fin();
    other_served.say("alive");
    other.hears("alive");
    // It has ended once its client has closed, too.
    drop(one);
    app.has_sessions(1);
    let (code, _, err) = operator.tries(&format!("kill {id}"));
    assert!(code == 1 && err.contains(id), "{err}");
}

#[test]
fn what_an_operator_does_is_an_event_and_lasts() {
    let operator = Operator::new();
    let servers = [Manual::listen(), Manual::listen()];
    let addresses = [servers[0].address(), servers[1].address()];
    let app = App::start(&Config::to(&addresses).backend("balance = \"first\"").more(&operator.section()));
    operator.does("maint a");
    operator.does("weight back/b 7");
    assert_eq!((&app.server("a")["state"], &app.server("b")["weight"]), (&"maint".into(), &7.into()));
    let _session = session_from(Ipv4Addr::LOCALHOST, &app, &servers[1]);
    let events = operator.does("events --json");
    let actions: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<&Value> = actions.iter().filter(|event| event["kind"] == "action").collect();
    assert_eq!(actions.len(), 2, "{events}");
    assert!(actions.iter().all(|action| action["by"].is_string()), "who did it: {actions:?}");
    assert!(operator.does("events").contains("action"));
    let (code, _, err) = operator.tries("drain nobody");
    assert!(code == 1 && err.contains("nobody") && err.contains('b'), "{err}");
    let (code, _, err) = operator.tries("sessions --source 10.0.0.300");
    assert!(code == 2 && err.contains("source"), "{err}");
}

#[test]
fn a_source_is_logged_step_by_step_while_its_sessions_are_shown() {
    let operator = Operator::new();
    let server = Manual::listen();
    let mut app = App::start(&Config::to(&[server.address()]).more(&operator.section()));
    let mut debug = Program::start(&mut operator.command(BINARY, &["debug", "127.0.0.5", "--for", "3s"]));
    debug.wait_for("step by step");
    let (client, _served) = session_from(Ipv4Addr::new(127, 0, 0, 5), &app, &server);
    debug.wait_for(&format!("open       {} through front to back/a", client.local_addr().unwrap()));
    app.next_line("a step of it", |line| line["debug"] == true);
    assert!(debug.ended().success());
}

#[test]
fn doctor_knows_the_running_process_by_its_ports() {
    let operator = Operator::new();
    let server = Server::echo();
    let config = Config::to(&[server.address()]).limits("max_sessions = 100").more(&operator.section());
    let app = App::start(&config);
    let file = app.directory().path().join("evenkeel.toml");
    let out = operator.does(&format!("doctor {}", file.display()));
    for address in [config.front(), config.stats()] {
        assert!(out.contains(&format!("{address} is the running evenkeel's")), "{out}");
    }
    assert!(out.contains("0 of 100 sessions (0 %)") && out.contains("of the running process hold"), "{out}");
}

// ---- changing what is served ----

#[test]
fn what_is_served_is_changed_by_commands_that_say_what_they_did() {
    let operator = Operator::new();
    let (first, new) = (Server::named("a"), Server::named("n"));
    let config = Config::to(&[first.address()]).more(&operator.section());
    let app = App::start(&config);
    let out = operator.does(&format!("add-server back new {}", new.address()));
    assert!(out.starts_with("back/new (") && out.contains("until the next reload"), "{out}");
    let out = operator.does("remove-server back/a");
    assert!(out.starts_with("back/a removed\n"), "{out}");
    app.connect().hears("n");
    let (code, _, err) = operator.tries("remove-server new");
    assert!(code == 1 && err.contains("the last server of back"), "{err}");
    let (code, _, err) = operator.tries("add-server back bad 127.0.0.1");
    assert!(code == 2 && err.contains("there is no port"), "{err}");

    let out = operator.does("reload --dry-run");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "2 changes would be made", "{out}");
    assert!(lines[1].starts_with("  + server back/a (") && lines[1].ends_with("removed at run time)"), "{out}");
    assert!(lines[2].starts_with("  - server back/new (") && lines[2].ends_with("added at run time)"), "{out}");
    assert_eq!(lines[3], "  0 sessions closed");
    assert!(operator.does("reload").starts_with("reloaded: 2 changes, 0 sessions closed\n"));
    app.connect().hears("a");
    std::fs::write(app.file(), config.text() + "[nonsense]\n").unwrap();
    let (code, out, err) = operator.tries("reload");
    assert!(code == 2 && out.is_empty(), "{out}");
    assert!(
        err.contains("evenkeel.toml:")
            && err.contains("nonsense")
            && err.contains("error: the configuration was refused"),
        "{err}"
    );
    let (code, _, err) = operator.tries("upgrade");
    assert!(code == 1 && err.contains("ended with exit status: 2"), "{err}");
    let events = operator.does("events");
    for told in ["reloaded: 2 changes", "not reloaded: ", "not upgraded: ", "back/new ("] {
        assert!(events.contains(told), "{told} in {events}");
    }
}
