//! Sockets that were opened for us: a service manager's, here a shell's.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::app::{BINARY, Config};
use crate::harness::peers::{Manual, Peer, Server, connect};
use crate::harness::ports;
use crate::harness::program::Program;
use crate::harness::wait::until;

/// Hands over what is its standard input as `sd_listen_fds(3)` says, under this name.
const HAND_OVER: &str = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=\"$1\" exec \"$2\" run \"$3\"";

/// A service manager with one socket, which it keeps whatever becomes of the service.
struct Manager {
    socket: TcpListener,
    address: SocketAddr,
    file: TempDir,
}

impl Manager {
    /// `config` says what is listened on beside its socket's address.
    fn new(config: impl FnOnce(SocketAddr) -> Config) -> Self {
        // Of a port that it has named: one that the kernel chose is given back whenever listening ends.
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()));
        let socket = TcpListener::bind(address).unwrap();
        let file = tempfile::tempdir().unwrap();
        let config = config(address);
        std::fs::write(file.path().join("evenkeel.toml"), config.text()).unwrap();
        Self { socket, address, file }
    }

    /// Starts the service with the socket under the name `api`.
    fn launch(&self) -> Program {
        let socket = OwnedFd::from(self.socket.try_clone().unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", HAND_OVER, "sh", "api", BINARY]).arg(self.file.path().join("evenkeel.toml"));
        Program::start_with_input(&mut shell, socket.into())
    }
}

fn to(server: &Server, listen: &str) -> Config {
    Config::to(&[server.address()]).listen(listen, ([127, 0, 0, 1], 1).into())
}

#[test]
fn an_inherited_socket_is_listened_on_by_its_name_its_number_and_its_address() {
    let server = Server::echo();
    for listen in [Some("fd@api"), Some("fd@3"), None] {
        let manager = Manager::new(|address| to(&server, &listen.map_or_else(|| address.to_string(), str::to_owned)));
        // It came before there was anyone to serve it.
        let mut early = connect(manager.address);
        early.say("early");
        let app = manager.launch();
        app.wait_for("opened for us");
        early.hears("early");
    }
}

#[test]
fn a_restart_of_the_service_refuses_nobody() {
    let server = Server::echo();
    let manager = Manager::new(|_| to(&server, "fd@api"));
    let mut app = manager.launch();
    app.wait_for("serving");
    for signal in [Signal::TERM, Signal::KILL] {
        app.signal(signal);
        app.ended();
        let mut between = connect(manager.address);
        between.say("between");
        app = manager.launch();
        between.hears("between");
    }
}

/// Twice, because the second new process has the socket from one that nobody gave it to as a service manager does. Mutation
/// seen to fail: sockets handed over without the addresses that they are listened on as.
#[test]
fn an_upgrade_takes_descriptors_over_and_leaves_the_managers_as_it_was() {
    let server = Server::echo();
    for listen in ["fd@api", "fd@3"] {
        let manager = Manager::new(|_| to(&server, listen));
        let app = manager.launch();
        app.wait_for("serving");
        let mut serving = Serving { pid: app.pid() };
        for _ in 0..2 {
            serving.is_replaced(&app);
            let mut client = connect(manager.address);
            client.say("after an upgrade");
            client.hears("after an upgrade");
        }
        assert!(!app.printed().iter().any(|line| line.contains("fits no listen address")));
        signal(serving.pid, Signal::TERM);
        until("all have ended", || lines(&app).iter().filter(|line| line["message"] == "stopped").nth(2).map(drop));
        let mut between = connect(manager.address);
        between.say("between");
        let _next = manager.launch();
        between.hears("between");
    }
}

/// Who has been replaced opens nothing any more: the socket is the new process's. Mutation seen to fail: it is left as it came by
/// the old one, too.
#[test]
fn a_closed_listener_stays_closed_over_an_upgrade() {
    let dead = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let manager = Manager::new(|_| {
        let closing = "on_no_server = \"close_listener\"\ncheck = { type = \"tcp\", interval = \"100ms\" }";
        Config::to(&[dead]).listen("fd@api", dead).backend(closing)
    });
    let app = manager.launch();
    app.wait_for("the listener is closed");
    let mut serving = Serving { pid: app.pid() };
    serving.is_replaced(&app);
    let closed = |line: &&Value| line["message"] == "no usable server: the listener is closed";
    until("the new one closes it", || lines(&app).iter().filter(closed).nth(1).map(drop));
    assert!(TcpStream::connect(manager.address).is_err());
}

/// Whoever serves, and is no child of the test any more: it ends with this value.
struct Serving {
    pid: u32,
}

impl Serving {
    /// Tells it to be replaced, and waits until it has ended.
    fn is_replaced(&mut self, app: &Program) {
        signal(self.pid, Signal::USR2);
        self.pid = until("the new one serves", || {
            let lines = lines(app);
            let ended = "upgrade: the process before has ended";
            lines.iter().find(|line| line["message"] == ended && line["pid"] == self.pid)?;
            let by = lines.iter().rfind(|line| line["message"] == "replaced: no longer accepting")?;
            by["by"].as_u64()?.try_into().ok()
        });
    }
}

fn lines(app: &Program) -> Vec<Value> {
    app.printed().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

impl Drop for Serving {
    fn drop(&mut self) {
        signal(self.pid, Signal::KILL);
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    let _ = kill_process(pid, signal);
}

#[test]
fn a_listener_that_was_closed_for_want_of_a_server_is_given_back_open() {
    let dead = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let manager = Manager::new(|_| {
        let closing = "on_no_server = \"close_listener\"\ncheck = { type = \"tcp\", interval = \"100ms\" }";
        Config::to(&[dead]).listen("fd@api", dead).backend(closing)
    });
    let mut app = manager.launch();
    app.wait_for("the listener is closed");
    assert!(TcpStream::connect(manager.address).is_err());
    app.signal(Signal::TERM);
    app.ended();
    TcpStream::connect(manager.address).expect("it listens as the manager left it");
}

#[test]
fn a_descriptor_that_nobody_handed_over_ends_the_start() {
    let server = Server::echo();
    let manager = Manager::new(|_| to(&server, "fd@apo"));
    let mut app = manager.launch();
    assert_eq!(app.ended().code(), Some(1));
    let said = app.printed().join("\n");
    assert!(said.contains("can't listen on fd@apo") && said.contains("fd@3 \"api\" on 127.0.0.1:"), "{said}");
}

#[test]
fn a_socket_that_fits_nothing_is_warned_of() {
    let server = Manual::listen();
    let manager = Manager::new(|_| Config::to(&[server.address()]));
    let app = manager.launch();
    let line = app.wait_for("an inherited socket fits no listen address");
    assert!(line.contains(&format!("on {}", manager.address)), "{line}");
}
