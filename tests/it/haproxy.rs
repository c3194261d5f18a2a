//! HAProxy's command line: what signals mean, how the process ends, goes to the background and takes another one's place.
//! What it is held against here HAProxy 3.2 was seen to do.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::harness::app::{BINARY, Config};
use crate::harness::http;
use crate::harness::peers::{Manual, Peer, Server, connect};
use crate::harness::program::Program;
use crate::harness::wait::{PATIENCE, until};

/// evenkeel by HAProxy's command line.
struct Started {
    program: Program,
    front: SocketAddr,
    stats: SocketAddr,
    directory: TempDir,
}

/// A file of this configuration, in a directory that is gone with the test.
fn written(config: &Config) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("evenkeel.toml"), config.text()).unwrap();
    directory
}

fn command(options: &str, directory: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("haproxy").args(options.split_whitespace()).arg("-f").arg(directory.join("evenkeel.toml"));
    command.current_dir(directory);
    command
}

impl Started {
    /// Starts it and waits until it serves.
    fn with(options: &str, config: &Config) -> Self {
        Self::prepared(options, config, |_| ())
    }

    fn prepared(options: &str, config: &Config, prepare: impl FnOnce(&mut Command)) -> Self {
        let directory = written(config);
        let mut command = command(options, directory.path());
        prepare(&mut command);
        let program = Program::start(&mut command);
        program.wait_for("\"serving\"");
        Self { program, front: config.front(), stats: config.stats(), directory }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn session(&self, server: &Manual) -> (TcpStream, TcpStream) {
        let (mut client, mut served) = (connect(self.front), server.accept());
        client.say("hello");
        served.hears("hello");
        (client, served)
    }

    /// How it ends after these signals, each sent once the one before has had its effect.
    fn ends_by(mut self, signals: &[(Signal, &str)]) -> std::process::ExitStatus {
        for (signal, effect) in signals {
            self.program.signal(*signal);
            self.program.wait_for(effect);
        }
        self.program.ended()
    }
}

const AT_ONCE: &str = "ending at once";
const SOFTLY: &str = "soft stop: no longer accepting";

// Seen to fail when it exits with the code that a shell would show for the signal.
#[test]
fn without_a_master_it_ends_by_its_signal_whoever_is_there() {
    let server = Manual::listen();
    for signals in
        [&[(Signal::TERM, AT_ONCE)][..], &[(Signal::INT, AT_ONCE)], &[(Signal::USR1, SOFTLY), (Signal::TERM, AT_ONCE)]]
    {
        let app = Started::with("-db", &Config::to(&[server.address()]));
        let (mut client, _served) = app.session(&server);
        let status = app.ends_by(signals);
        let last = signals.last().expect("there is one").0;
        assert_eq!((status.code(), status.signal()), (None, Some(last.as_raw())), "{signals:?}");
        let mut rest = Vec::new();
        assert!(client.read_to_end(&mut rest).is_err() || rest.is_empty(), "the session is over");
    }
}

#[test]
fn a_master_says_by_its_code_that_it_was_interrupted_and_nothing_of_other_ends() {
    let server = Manual::listen();
    for (signals, code) in [
        (&[(Signal::TERM, AT_ONCE)][..], 0),
        (&[(Signal::INT, AT_ONCE)], 130),
        (&[(Signal::USR1, SOFTLY), (Signal::TERM, AT_ONCE)], 0),
        (&[(Signal::USR1, SOFTLY), (Signal::INT, AT_ONCE)], 130),
    ] {
        let app = Started::with("-W -db", &Config::to(&[server.address()]));
        app.program.wait_for("Loading success.");
        let _session = app.session(&server);
        assert_eq!(app.ends_by(signals).code(), Some(code), "{signals:?}");
    }
}

// Seen to fail when the soft stop closes sessions over shutdown_grace.
#[test]
fn a_soft_stop_takes_nobody_and_ends_with_the_last_session() {
    for options in ["-db", "-W -db", "-Ws"] {
        let server = Manual::listen();
        let mut app = Started::with(options, &Config::to(&[server.address()]).process("shutdown_grace = \"0s\""));
        let (mut client, mut served) = app.session(&server);
        app.program.signal(Signal::USR1);
        app.program.wait_for("Proxy front stopped (cumulated conns: FE: 1, BE: 0).");
        app.program.wait_for(SOFTLY);
        assert!(TcpStream::connect(app.front).is_err() && http::get(app.stats, "/livez").is_none());
        served.say("still here");
        client.hears("still here");
        assert!(app.program.runs());
        client.sends_fin();
        served.sees_fin();
        drop(served);
        assert_eq!(app.program.ended().code(), Some(0), "{options}");
    }
}

#[test]
fn a_soft_stop_lasts_as_long_as_a_replaced_process_may() {
    let server = Manual::listen();
    let config = Config::to(&[server.address()]).process("shutdown_grace = \"0s\"\nupgrade_grace = \"1s\"");
    let app = Started::with("-db", &config);
    let (mut client, _served) = app.session(&server);
    let status = app.ends_by(&[(Signal::USR1, "soft stop: closing the sessions that are left")]);
    assert_eq!(status.code(), Some(0));
    let mut rest = Vec::new();
    assert!(client.read_to_end(&mut rest).is_err() || rest.is_empty());
}

#[test]
fn without_a_master_sighup_tells_the_states_and_sigusr2_nothing() {
    let server = Manual::listen();
    let app = Started::with("-db", &Config::to(&[server.address()]));
    let _session = app.session(&server);
    app.program.signal(Signal::USR2);
    app.program.signal(Signal::QUIT);
    app.program.wait_for("SIGQUIT: what the process takes");
    app.program.signal(Signal::HUP);
    for line in [
        "SIGHUP received, dumping servers states for proxy front.",
        "SIGHUP: Proxy front has no servers. Conn: act(FE+BE): 1+0, 0 pend (0 unass), tot(FE+BE): 1+0.",
        "SIGHUP: Server back/a is UP. Conn: 1 act, 0 pend, 1 tot.",
        "SIGHUP: Proxy back has 1 active servers and 0 backup servers available. \
         Conn: act(FE+BE): 0+1, 0 pend (0 unass), tot(FE+BE): 0+1.",
    ] {
        app.program.wait_for(line);
    }
    assert!(!app.program.printed().iter().any(|line| line.contains("reload")), "{:#?}", app.program.printed());
}

#[test]
fn with_a_master_sighup_and_sigusr2_reload() {
    let (first, second) = (Server::named("first"), Server::named("second"));
    let config = Config::to(&[first.address()]);
    let app = Started::with("-W -db", &config);
    let mut client = connect(app.front);
    client.hears("first");
    let mut line = 0;
    for (signal, server, name) in [(Signal::HUP, &second, "second"), (Signal::USR2, &first, "first")] {
        std::fs::write(app.at("evenkeel.toml"), Config::to(&[server.address()]).at(&config).text()).unwrap();
        app.program.signal(signal);
        (line, ()) = app.program.find("the reload", line, |line| line.contains("\"reloaded\"").then_some(()));
        connect(app.front).hears(name);
    }
    client.say("as before");
    client.hears("as before");
}

#[test]
fn the_service_manager_hears_ready_first_and_of_each_reload() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).expect("a word");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let server = Server::echo();
    let mut app = Started::prepared("-Ws", &Config::to(&[server.address()]), |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    let has = |words: &str, line: &str| assert!(words.lines().any(|word| word.starts_with(line)), "{line}: {words}");
    has(&next(), "READY=1");
    app.program.signal(Signal::USR2);
    let reloading = next();
    has(&reloading, "RELOADING=1");
    has(&reloading, "MONOTONIC_USEC=");
    has(&next(), "READY=1");
    app.program.signal(Signal::USR1);
    has(&next(), "STOPPING=1");
    assert_eq!(app.program.ended().code(), Some(0));
}

#[test]
fn the_pid_is_written_for_a_master_and_a_daemon_alone() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    let app = Started::with("-W -db -p pid", &config);
    assert_eq!(std::fs::read_to_string(app.at("pid")).unwrap(), format!("{}\n", app.program.pid()));
    let app = Started::with("-db -p pid", &Config::to(&[server.address()]));
    assert!(!app.at("pid").exists());
    drop(app);
    let directory = written(&Config::to(&[server.address()]));
    let mut program = Program::start(&mut command("-W -p /nowhere/pid", directory.path()));
    assert_eq!(program.ended().code(), Some(1));
    program.wait_for("[haproxy.main()] Cannot create pidfile /nowhere/pid");
}

/// A process that nobody waits for; it ends with the test.
struct Daemon(Pid);

impl Daemon {
    /// The one whose number this file has.
    fn of(pidfile: &Path) -> Self {
        let text = std::fs::read_to_string(pidfile).unwrap();
        Self(text.trim().parse().ok().and_then(Pid::from_raw).expect("a number"))
    }

    fn lives(&self) -> bool {
        test_kill_process(self.0).is_ok()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// Runs it to its end, and until all that it has started has closed its outputs; the code and what it printed.
fn starts(command: &mut Command) -> (Option<i32>, String) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (done, output) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output().unwrap()));
    let output = output.recv_timeout(PATIENCE).expect("it ends, and nobody holds its outputs open");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

// Seen to hang when the outputs are left open.
#[test]
fn a_daemon_serves_when_its_starter_has_ended_and_holds_nothing_of_it() {
    let server = Server::echo();
    for options in ["-D -p pid", "-W -D -p pid"] {
        let config = Config::to(&[server.address()]);
        let directory = written(&config);
        let (code, printed) = starts(&mut command(options, directory.path()));
        assert_eq!(code, Some(0), "{printed}");
        let daemon = Daemon::of(&directory.path().join("pid"));
        // Nothing is waited for: the starter has.
        let mut client = connect(config.front());
        client.say("at once");
        client.hears("at once");
        drop(client);
        let parent = std::fs::read_to_string(format!("/proc/{}/stat", daemon.0)).unwrap();
        let session: Vec<_> = parent.rsplit(") ").next().unwrap().split(' ').collect();
        assert_eq!(session[3], daemon.0.to_string(), "it has a session of its own: {parent}");
        kill_process(daemon.0, Signal::TERM).unwrap();
        until("it has ended", || (!daemon.lives()).then_some(()));
        assert!(directory.path().join("pid").exists(), "HAProxy leaves the file");
    }
}

#[test]
fn a_daemon_that_can_not_serve_is_its_starters_failure() {
    let (server, taken) = (Server::echo(), TcpListener::bind("127.0.0.1:0").unwrap());
    let front = taken.local_addr().unwrap();
    let config = Config::to(&[server.address()]).listen(&front.to_string(), front);
    let directory = written(&config);
    let (code, printed) = starts(&mut command("-D -p pid", directory.path()));
    assert_eq!(code, Some(1), "{printed}");
    for line in [
        "the port is taken",
        "[haproxy.main()] Some protocols failed to start their listeners! Exiting.",
        "exited with code 1 (Exit)",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    assert!(!directory.path().join("pid").exists());
}

#[test]
fn another_process_takes_the_place_of_an_old_one_beside_it() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]);
    for (how, code, signal) in [("-sf", Some(0), None), ("-st", None, Some(Signal::TERM.as_raw()))] {
        let mut old = Started::with("-db", &config);
        let mut client = connect(old.front);
        client.say("old");
        client.hears("old");
        let new = Started::with(&format!("-db {how} {}", old.program.pid()), &config);
        if how == "-sf" {
            old.program.wait_for(SOFTLY);
            client.say("still served");
            client.hears("still served");
            drop(client);
        }
        let status = old.program.ended();
        assert_eq!((status.code(), status.signal()), (code, signal), "{how}");
        connect(new.front).say("new");
        until("the page is the new one's", || {
            let page = http::get(new.stats, "/api/v1/status")?;
            (page.json()["process"]["pid"] == new.program.pid()).then_some(())
        });
    }
}

/// Plays HAProxy's side of `-x`: hands these sockets to whoever asks.
fn hands_over(path: &Path, sockets: Vec<TcpListener>) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = [0; 10];
        stream.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"_getsocks\n");
        stream.write_all(&i32::try_from(sockets.len()).unwrap().to_ne_bytes()).unwrap();
        let descriptors: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&stream, &[IoSlice::new(&vec![0; 6 * sockets.len()])], &mut control, SendFlags::empty()).unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).expect("an answer, or the other side would complain");
    })
}

#[test]
fn it_goes_on_with_the_sockets_of_the_process_before() {
    let server = Server::echo();
    let (wanted, unwanted) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let front = wanted.local_addr().unwrap();
    // Nobody else can bind there: that it serves is by the socket that it was given.
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("haproxy.sock");
    let keeps = wanted.try_clone().unwrap();
    let handing = hands_over(&socket, vec![unwanted, wanted]);
    // He has come before the new process is there.
    let mut waiting = connect(front);
    waiting.say("from before");
    let config = Config::to(&[server.address()]).listen(&front.to_string(), front);
    let app = Started::with(&format!("-db -x {}", socket.display()), &config);
    handing.join().unwrap();
    waiting.hears("from before");
    app.program.wait_for("listening on a socket that was opened for us");
    drop(keeps);
}

#[test]
fn without_the_sockets_of_the_process_before_it_does_not_start() {
    let server = Server::echo();
    let directory = written(&Config::to(&[server.address()]));
    let mut program = Program::start(&mut command("-db -x nobody.sock", directory.path()));
    assert_eq!(program.ended().code(), Some(1));
    program.wait_for("Failed to get the sockets from the old process!");
}
