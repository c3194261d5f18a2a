//! The runtime API: answers held against HAProxy's own, and what its commands do to sessions, servers and listeners.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::app::{App, BINARY, Config};
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::ports;
use crate::harness::program::Program;
use crate::harness::runtime::{GOLDEN, Runtime, Scene, rest};
use crate::harness::wait::{PATIENCE, until};

#[test]
fn each_answer_is_haproxys() {
    let scene = Scene::set();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, scene.config(directory.path())).unwrap();
    let app = Program::start(Command::new(BINARY).arg("run").arg(&file));
    app.wait_for("serving");
    scene.settle(&Runtime::at(&directory.path().join("admin.sock")));
    let (theirs, ours) = (fs::read_to_string(GOLDEN).expect("HAProxy's own"), scene.play(directory.path()));
    let different: Vec<String> = asked(&theirs)
        .zip(asked(&ours))
        .filter(|(theirs, ours)| theirs != ours)
        .map(|(theirs, ours)| format!("HAProxy: {theirs}evenkeel: {ours}"))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(asked(&theirs).count() > 200 && asked(&theirs).count() == asked(&ours).count());
}

/// Each command with its answer.
fn asked(text: &str) -> impl Iterator<Item = String> {
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        if !line.starts_with('|') {
            parts.push(String::new());
        }
        if let Some(last) = parts.last_mut() {
            *last += &format!("{line}\n");
        }
    }
    parts.into_iter()
}

/// An app with a runtime socket.
struct Site {
    app: App,
    runtime: Runtime,
    directory: TempDir,
}

fn socket(directory: &TempDir, lines: &str) -> String {
    let path = directory.path().join("runtime.sock");
    format!("[[runtime]]\nlisten = \"unix:{}\"\nlevel = \"admin\"\n{lines}", path.display())
}

impl Site {
    fn start(config: &Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let app = App::start(&config.clone().more(&socket(&directory, "")));
        let runtime = Runtime::at(&directory.path().join("runtime.sock"));
        Self { app, runtime, directory }
    }

    fn reloads(&mut self, config: &Config) {
        self.app.reload(&config.clone().more(&socket(&self.directory, "")));
    }

    /// The line that tells of such an action.
    fn told(&self, action: &str) -> String {
        until(&format!("{action} is told"), || {
            let lines = self.app.lines();
            lines.iter().rev().find(|line| line["action"] == action).map(ToString::to_string)
        })
    }
}

#[test]
fn a_session_is_closed_by_its_id_and_with_all_of_its_server() {
    let server = Manual::listen();
    let mut site = Site::start(&Config::to(&[server.address()]));
    let (mut client, _server) = site.app.session(&server);
    site.app.has_sessions(1);
    let shown = until("it is shown", || Some(site.runtime.ask("show sess")).filter(|line| line.contains(" srv=a ")));
    let address = client.local_addr().unwrap();
    assert!(shown.contains(&format!(": proto=tcpv4 src={address} fe=front be=back srv=a ")), "{shown}");
    let id = shown.split(':').next().unwrap().to_owned();
    let long = site.runtime.ask(&format!("show sess {id}"));
    assert!(long.contains("  frontend=front (id=2 mode=tcp)") && long.contains("  server=a (id=1)"), "{long}");
    site.runtime.does(&format!("shutdown session {id}"));
    client.sees_fin();
    assert_eq!(site.app.next_session()["ended_by"], "killed");

    let (mut client, _server) = site.app.session(&server);
    until("it is shown", || site.runtime.ask("show sess server back/a").contains("srv=a").then_some(()));
    site.runtime.does("shutdown sessions server back/a");
    client.sees_fin();
    assert!(site.told("kill").contains("over the runtime API"), "{}", site.told("kill"));
}

#[test]
fn a_frontend_is_paused_and_opened_again_and_keeps_its_sessions() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let mut site = Site::start(&config);
    let mut open = site.app.connect();
    site.app.has_sessions(1);
    site.runtime.does("disable frontend front");
    let refused = TcpStream::connect(site.app.front()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(site.runtime.ask("show stat front 1 -1").contains(",PAUSED,"));
    open.write_all(b"still here").unwrap();
    let mut echo = [0; 10];
    open.read_exact(&mut echo).unwrap();
    site.reloads(&config.clone().frontend("backlog = 77"));
    assert_eq!(TcpStream::connect(site.app.front()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    site.runtime.does("enable frontend front");
    site.app.connect();
}

#[test]
fn a_frontend_is_shut_down_until_a_reload() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let mut site = Site::start(&config);
    site.runtime.does("shutdown frontend front");
    until("nobody listens", || TcpStream::connect(site.app.front()).is_err().then_some(()));
    assert!(site.runtime.ask("show stat front 1 -1").contains(",STOP,"));
    // What goes over to the same configuration opens nothing.
    site.runtime.does("set maxconn server back/a 7");
    assert!(TcpStream::connect(site.app.front()).is_err());
    site.reloads(&config);
    site.app.connect();
    assert!(site.runtime.ask("show stat front 1 -1").contains(",OPEN,"));
}

#[test]
fn a_server_moves_and_stays_who_it_is() {
    let (before, after) = (Server::echo(), Server::echo());
    let site =
        Site::start(&Config::to(&[before.address()]).backend("check = { type = \"tcp\", interval = \"100ms\" }"));
    let mut old = site.app.connect();
    site.app.has_sessions(1);
    site.app.server_is("a", "ready");
    site.runtime.does("set weight back/a 50");
    let port = after.address().port();
    let said = site.runtime.ask(&format!("set server back/a addr 127.0.0.1 port {port}"));
    let expected = format!("port changed from '{}' to '{port}' by 'stats socket command'\n", before.address().port());
    assert_eq!(said, expected);
    let server = site.app.server("a");
    assert_eq!((&server["weight"], &server["state"]), (&50.into(), &"ready".into()));
    assert_eq!(server["counts"]["sessions_total"], 1, "what was counted stays counted");
    drop(before);
    old.sees_fin();
    let mut new = site.app.connect();
    new.write_all(b"hello").unwrap();
    let mut echo = [0; 5];
    new.read_exact(&mut echo).unwrap();
    assert!(site.told("tune").contains("back/a is at 127.0.0.1:"), "{}", site.told("tune"));
}

#[test]
fn limits_are_set_while_it_runs() {
    let server = Server::echo();
    let site = Site::start(&Config::to(&[server.address()]));
    let _first = site.app.connect();
    site.app.has_sessions(1);
    site.runtime.does("set maxconn frontend front 1");
    let mut second = site.app.connect();
    second.write_all(b"let me in").unwrap();
    site.runtime.does("set maxconn frontend front 2");
    let mut echo = [0; 9];
    second.read_exact(&mut echo).unwrap();
    site.runtime.does("set maxconn global 123");
    assert!(site.runtime.ask("show info").contains("\nMaxconn: 123\n"));
}

#[test]
fn a_server_is_added_checked_and_removed() {
    let (first, new) = (Server::echo(), Server::echo());
    let site = Site::start(&Config::to(&[first.address()]));
    let added = site.runtime.ask(&format!("add server back/new {} check inter 100ms weight 7", new.address()));
    assert_eq!(added, "New server registered.\n");
    let server = site.app.server("new");
    assert_eq!(
        (&server["admin_state"], &server["check"], &server["weight"]),
        (&"maint".into(), &Value::Null, &7.into())
    );
    site.runtime.does("enable health back/new");
    site.runtime.does("enable server back/new");
    until("it is checked", || site.app.server("new")["check"]["last"]["passed"].as_bool().filter(|passed| *passed));
    assert_eq!(site.runtime.ask("del server back/new"), "Only servers in maintenance mode can be deleted.\n");
    site.runtime.does("set server back/new state maint");
    assert_eq!(site.runtime.ask("del server back/new"), "Server deleted.\n");
}

#[test]
fn a_server_with_sessions_is_removed_once_they_are_over() {
    let (first, second) = (Manual::listen(), Server::echo());
    let site = Site::start(&Config::to(&[first.address(), second.address()]).server(1, "backup = true"));
    let (client, at_server) = site.app.session(&first);
    site.app.has_sessions(1);
    site.runtime.does("set server back/a state maint");
    let held = "Server still has connections attached to it, cannot remove it.\n";
    assert_eq!(site.runtime.ask("del server back/a"), held);
    let mut waiting = site.runtime.connect();
    waiting.write_all(b"wait 1m srv-removable back/a\n").unwrap();
    drop((client, at_server));
    assert_eq!(rest(&mut waiting), "Done.\n\n");
    assert_eq!(site.runtime.ask("del server back/a"), "Server deleted.\n");
}

#[test]
fn checks_are_left_out_and_health_is_what_is_said() {
    let server = Server::echo();
    let site =
        Site::start(&Config::to(&[server.address()]).backend("check = { type = \"tcp\", interval = \"100ms\" }"));
    site.app.server_is("a", "ready");
    site.runtime.does("disable health back/a");
    site.runtime.does("set server back/a health down");
    assert_eq!(site.app.server("a")["state"], "down");
    assert!(site.runtime.ask("show stat back 4 -1").contains(",DOWN,"));
    site.runtime.does("enable health back/a");
    site.app.server_is("a", "ready");
}

#[test]
fn counters_begin_anew() {
    let server = Server::echo();
    let site = Site::start(&Config::to(&[server.address()]));
    drop(site.app.connect());
    until("it is counted", || (site.app.server("a")["counts"]["sessions_total"] == 1).then_some(()));
    site.runtime.does("clear counters all");
    assert_eq!(site.app.server("a")["counts"]["sessions_total"], 0);
    assert_eq!(site.app.status()["backends"][0]["counts"]["sessions_total"], 0);
}

#[test]
fn a_socket_stays_over_a_reload_changes_its_mode_and_goes_with_the_process() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let mut site = Site::start(&config);
    let mut patient = site.runtime.connect();
    patient.write_all(b"prompt i\n").unwrap();
    let mut end = [0; 1];
    patient.read_exact(&mut end).unwrap();
    let path = site.directory.path().join("runtime.sock");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o660);
    site.app.reload(&config.clone().more(&socket(&site.directory, "mode = \"0600\"\ntimeout = \"20s\"")));
    assert_eq!(mode(), 0o600);
    assert_eq!(site.runtime.ask("show cli level"), "admin\n");
    let lower = socket(&site.directory, "mode = \"0600\"").replace("admin\"", "user\"");
    site.app.reload(&config.clone().more(&lower));
    assert_eq!(site.runtime.ask("show cli level"), "user\n");
    site.app.reload(&config);
    assert!(!path.exists());
}

#[test]
fn it_is_spoken_over_tcp_too() {
    let server = Server::echo();
    let port = ports::free();
    let line = format!("[[runtime]]\nlisten = \"127.0.0.1:{port}\"\nlevel = \"user\"");
    let _app = App::start(&Config::to(&[server.address()]).more(&line));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"show cli level;show cli sockets\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("user\n\n# socket lvl processes\nipv4@127.0.0.1:{port} user all\n\n"));
}
