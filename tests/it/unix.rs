//! Sessions that come in by a unix socket.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::app::{App, Config};
use crate::harness::pattern;
use crate::harness::peers::{Manual, Peer, Server};
use crate::harness::runtime::Runtime;
use crate::harness::wait::{PATIENCE, until};

const MIB: u64 = 1024 * 1024;

/// A place for sockets, and what a second frontend (`local`) is there.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The frontend with these entries of `listen`, of which `@` is this place, and these keys.
    fn frontend(&self, listen: &str, keys: &str) -> String {
        let at = format!("unix:{}/", self.0.path().display());
        format!("[[frontend]]\nname = \"local\"\nlisten = {}\nbackend = \"back\"\n{keys}\n", listen.replace('@', &at))
    }
}

/// A client of a unix socket, as one of TCP: reading, writing and ending are the same calls.
fn connect(path: &Path) -> TcpStream {
    let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    OwnedFd::from(stream).into()
}

/// The number that a socket's file has, which another one of the same name has not.
fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// No line of the log is worse than information.
fn is_content(app: &App) {
    let complaints: Vec<Value> =
        app.lines().into_iter().filter(|line| ["WARN", "ERROR"].iter().any(|level| line["level"] == *level)).collect();
    assert_eq!(complaints, Vec::<Value>::new());
}

// Seen to fail with a file that is left behind, and with mode 0o755.
#[test]
fn a_client_of_a_unix_socket_has_a_session_and_no_address() {
    let (place, server) = (Place::new(), Server::echo());
    let keys = "client_keepalive = { idle = \"30s\" }\nfreebind = true";
    let config =
        Config::to(&[server.address()]).limits("max_sessions = 100").more(&place.frontend("\"@a.sock\"", keys));
    let mut app = App::start(&config);
    let path = place.path("a.sock");
    assert_eq!(mode(&path), 0o660);
    let mut client = connect(&path);
    client.say("hello");
    client.hears("hello");
    assert_eq!(app.status()["frontends"][1]["counts"]["sessions"], 1);
    client.sends_fin();
    client.sees_fin();
    let record = app.next_session();
    assert_eq!((&record["client"], &record["listener"]), (&"unix:1".into(), &"unix:1".into()), "{record}");
    assert_eq!((&record["letters"], &record["bytes_in"], &record["bytes_out"]), (&"--".into(), &5.into(), &5.into()));
    is_content(&app);
    app.signal(Signal::TERM);
    assert!(app.ended().success());
    assert!(!path.exists());
}

// Both are larger than any buffer: they go through a pipe of the kernel.
#[test]
fn a_direction_that_is_left_goes_on_to_its_last_byte() {
    let (place, server) = (Place::new(), Manual::listen());
    let mut app = App::start(&Config::to(&[server.address()]).more(&place.frontend("\"@a.sock\"", "")));
    let (mut client, mut served) = (connect(&place.path("a.sock")), server.accept());
    client.say("question");
    client.sends_fin();
    served.hears("question");
    served.sees_fin();
    let down = thread::spawn(move || pattern::write(&mut served, 24 * MIB).unwrap());
    assert_eq!(pattern::read_to_end(&mut client).unwrap(), 24 * MIB);
    down.join().unwrap();
    let record = app.next_session();
    assert_eq!((&record["letters"], &record["bytes_out"]), (&"--".into(), &(24 * MIB).into()));

    let (mut client, mut served) = (connect(&place.path("a.sock")), server.accept());
    served.sends_fin();
    client.sees_fin();
    let up = thread::spawn(move || pattern::write(&mut client, 24 * MIB).unwrap());
    assert_eq!(pattern::read_to_end(&mut served).unwrap(), 24 * MIB);
    up.join().unwrap();
    drop(served);
    assert_eq!(app.next_session()["bytes_in"], 24 * MIB);
}

#[test]
fn both_directions_at_once_lose_nothing_where_the_reader_is_slow() {
    let (place, server) = (Place::new(), Server::echo());
    let mut app = App::start(&Config::to(&[server.address()]).more(&place.frontend("\"@a.sock\"", "")));
    let mut client = connect(&place.path("a.sock"));
    let mut writer = client.try_clone().unwrap();
    let writing = thread::spawn(move || {
        pattern::write(&mut writer, 8 * MIB).unwrap();
        writer.sends_fin();
    });
    // Not a byte is read until all buffers on the way are full.
    until("the session stands still", {
        let mut before = None;
        let app = &app;
        move || {
            let counts = app.status()["frontends"][1]["counts"]["bytes_out"].clone();
            let stands = counts != 0 && before.replace(counts.clone()) == Some(counts);
            stands.then_some(())
        }
    });
    assert_eq!(pattern::read_to_end(&mut client).unwrap(), 8 * MIB);
    writing.join().unwrap();
    let record = app.next_session();
    assert_eq!((&record["bytes_in"], &record["bytes_out"]), (&(8 * MIB).into(), &(8 * MIB).into()));
}

/// A unix socket knows no reset: whose server is gone sees an end.
#[test]
fn whoever_is_gone_ends_the_session_for_the_other_side() {
    let (place, server) = (Place::new(), Manual::listen());
    let mut app = App::start(&Config::to(&[server.address()]).more(&place.frontend("\"@a.sock\"", "")));
    let session = || {
        let (mut client, mut served) = (connect(&place.path("a.sock")), server.accept());
        client.say("x");
        served.hears("x");
        (client, served)
    };
    let (mut client, served) = session();
    served.resets();
    client.sees_fin();
    assert_eq!(app.next_session()["letters"], "SD");

    // It ends with bytes that it has not read, which is a reset to the kernel.
    let (client, mut served) = session();
    served.say("unread");
    until("it has come", || (client.peek(&mut [0; 8]).unwrap() == 6).then_some(()));
    drop(client);
    served.sees_reset();
    assert_eq!(app.next_session()["letters"], "CD");

    let (client, mut served) = session();
    drop(client);
    served.sees_fin();
    served.fills_until_it_fails();
    assert_eq!(app.next_session()["letters"], "CD");
}

trait Insists {
    /// Sends on until the other side wants no more.
    fn fills_until_it_fails(&mut self);
}

impl Insists for TcpStream {
    fn fills_until_it_fails(&mut self) {
        let error = until("nobody takes it", || self.write_all(&[0; 4096]).err());
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    }
}

// Seen to fail with a listener that is bound anew.
#[test]
fn a_reload_keeps_the_socket_and_makes_and_removes_others() {
    let (place, server) = (Place::new(), Server::echo());
    let config = Config::to(&[server.address()]);
    let with = |listen: &str| config.clone().more(&place.frontend(listen, ""));
    let [kept, old, new] = ["kept.sock", "old.sock", "new.sock"].map(|name| place.path(name));
    let mut app = App::start(&with("[\"@kept.sock\", \"@old.sock\"]"));
    let (mut client, file) = (connect(&kept), inode(&kept));
    client.say("before");
    client.hears("before");
    let mut of_old = connect(&old);
    of_old.say("before");
    of_old.hears("before");
    app.reload(&with("[{ address = \"@kept.sock\", mode = \"0600\" }, { address = \"@new.sock\", mode = \"0666\" }]"));
    assert_eq!((inode(&kept), mode(&kept), mode(&new)), (file, 0o600, 0o666));
    assert!(!old.exists());
    for mut session in [client, of_old, connect(&kept), connect(&new)] {
        session.say("after");
        session.hears("after");
    }
    let mistakes = app.refuses(
        &with("\"@kept.sock\"")
            .more("[[runtime]]\nlisten = \"unix:@\"")
            .text()
            .replace("unix:@", &format!("unix:{}", kept.display())),
    );
    assert!(mistakes[0].contains("two listeners on one address"), "{mistakes:?}");
    assert_eq!(inode(&kept), file);
}

/// The directory of a socket is all that the sandbox lets it have of the file system.
#[test]
fn a_reload_can_not_listen_where_the_sandbox_has_no_right() {
    let (place, other, server) = (Place::new(), Place::new(), Server::echo());
    let config = Config::to(&[server.address()]);
    let mut app = App::start(&config.clone().more(&place.frontend("\"@a.sock\"", "")));
    let reasons = app.refuses(&config.clone().more(&other.frontend("\"@b.sock\"", "")).text());
    assert!(reasons[0].contains("b.sock is in no directory that the sandbox allows"), "{reasons:?}");
    app.reload(&config.more(&place.frontend("\"@b.sock\"", "")));
    connect(&place.path("b.sock")).say("x");
    assert!(!place.path("a.sock").exists());
}

// Seen to fail with files that are replaced whatever they are.
#[test]
fn a_socket_that_is_left_over_is_replaced_and_nothing_else() {
    let (place, server) = (Place::new(), Server::echo());
    let config = Config::to(&[server.address()]).more(&place.frontend("\"@a.sock\"", ""));
    let path = place.path("a.sock");
    let refusal = || {
        let mut app = App::launch(&config);
        assert_eq!(app.ended().code(), Some(1));
        app.program().printed().join("\n")
    };
    fs::write(&path, "precious").unwrap();
    assert!(refusal().contains("something that is not a socket has this name"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    let living = UnixListener::bind(&path).unwrap();
    let error = refusal();
    assert!(
        error.contains(&format!("can't open the unix socket {}: another process listens there", path.display())),
        "{error}"
    );
    drop(living);
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let _app = App::start(&config);
    let mut client = connect(&path);
    client.say("x");
    client.hears("x");
}

#[test]
fn a_header_says_for_whom_a_client_of_the_socket_stands() {
    let (place, server) = (Place::new(), Manual::listen());
    let listen = "[{ address = \"@a.sock\", accept_proxy = \"everybody\" }]";
    let rules =
        "[[frontend.rule]]\nwhen = \"source 10.9.8.7/32 192.0.2.1/32\"\nverdict = \"reject\"\nstage = \"session\"";
    let mut app = App::start(&Config::to(&[server.address()]).more(&place.frontend(listen, rules)));
    for (header, client) in [
        (b"PROXY TCP4 10.9.8.6 10.1.1.1 1234 6443\r\n".as_slice(), "10.9.8.6:1234"),
        (b"PROXY UNKNOWN\r\n", "unix:1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "unix:1"),
    ] {
        let mut stream = connect(&place.path("a.sock"));
        // In pieces: what is there is looked at until it is enough.
        for byte in header {
            stream.write_all(&[*byte]).unwrap();
        }
        stream.say("question");
        let mut served = server.accept();
        served.hears("question");
        drop((stream, served));
        assert_eq!(app.next_session()["client"], client);
    }
    let mut rejected = connect(&place.path("a.sock"));
    rejected.say("PROXY TCP4 10.9.8.7 10.1.1.1 1234 6443\r\n");
    rejected.sees_fin();
    let mut wrong = connect(&place.path("a.sock"));
    wrong.say("GET / HTTP/1.1\r\n\r\n");
    // What nobody has read makes a reset of it.
    wrong.sees_reset();
    assert_eq!(app.next_session()["cause"], "bad PROXY protocol header");
}

/// Who has no address is in no network: a rule for one passes him over, and its opposite does not.
// Seen to fail with one who is in every network.
#[test]
fn who_has_no_address_is_in_no_network_and_is_told_as_nobody() {
    let (place, server) = (Place::new(), Manual::listen());
    let server_line = format!("{{ name = \"n\", address = \"{}\", send_proxy = \"v2\" }}", server.address());
    let backend = format!("[[backend]]\nname = \"none\"\ncheck = \"off\"\nservers = [{server_line}]\n");
    let route = "[[frontend.route]]\nwhen = \"not source 0.0.0.0/0 ::/0\"\nbackend = \"none\"\n";
    let keys = format!("max_sessions_per_source = 1\n{route}");
    let mut app =
        App::start(&Config::to(&[Server::echo().address()]).more(&(place.frontend("\"@a.sock\"", &keys) + &backend)));
    let (mut one, mut other) = (connect(&place.path("a.sock")), connect(&place.path("a.sock")));
    for client in [&mut one, &mut other] {
        client.say("x");
        let mut served = server.accept();
        served.hears("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0x");
        drop(served);
        client.sees_fin();
    }
    drop((one, other));
    assert_eq!([app.next_session()["backend"].clone(), app.next_session()["backend"].clone()], ["none", "none"]);
}

#[test]
fn a_listener_has_its_limit_and_its_clients_wait() {
    let (place, server) = (Place::new(), Server::named("a"));
    let listen =
        "[{ address = \"@a.sock\", max_sessions = 2, name = \"one\" }, { address = \"@b.sock\", backlog = 7 }]";
    let app = App::start(&Config::to(&[server.address()]).more(&place.frontend(listen, "")));
    let mut full = [connect(&place.path("a.sock")), connect(&place.path("a.sock"))];
    full.iter_mut().for_each(|client| client.hears("a"));
    let mut third = connect(&place.path("a.sock"));
    app.has_sessions(2);
    connect(&place.path("b.sock")).hears("a");
    assert!(!third.is_over());
    let [first, _second] = full;
    drop(first);
    third.hears("a");
}

/// A unix socket can't be closed for a while: its clients wait, as with HAProxy.
// Seen to fail with a socket that ceases to listen, which never listens again.
#[test]
fn a_paused_frontend_lets_its_clients_wait_and_one_that_is_shut_down_has_no_socket() {
    let (place, server) = (Place::new(), Server::named("a"));
    let runtime = format!("[[runtime]]\nlisten = \"unix:{}\"\nlevel = \"admin\"\n", place.path("api.sock").display());
    let config = Config::to(&[server.address()]).more(&(place.frontend("\"@a.sock\"", "") + &runtime));
    let app = App::start(&config);
    let (path, api) = (place.path("a.sock"), Runtime::at(&place.path("api.sock")));
    let mut before = connect(&path);
    before.hears("a");
    api.does("disable frontend local");
    let mut waits = connect(&path);
    before.say("still");
    before.hears("still");
    assert!(!waits.is_over());
    assert_eq!(app.status()["frontends"][1]["counts"]["sessions"], 1);
    api.does("enable frontend local");
    waits.hears("a");
    assert!(api.ask("show sess").contains("proto=unix_stream src=unix:1 fe=local"), "{}", api.ask("show sess"));
    api.does("shutdown frontend local");
    assert!(!path.exists());
    waits.say("still");
    waits.hears("still");
}

/// HAProxy leaves the file, and takes the place of whoever listens there.
#[test]
fn as_haproxy_the_file_is_taken_over_and_left() {
    let (place, server) = (Place::new(), Server::named("a"));
    let path = place.path("a.sock");
    let text = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 1m\nlisten l\n bind unix@{} mode 606\n server a {}\n",
        path.display(),
        server.address()
    );
    let file = place.path("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let start = |more: &[&str]| {
        let mut command = std::process::Command::new(crate::harness::app::BINARY);
        let arguments = ["haproxy", "-db", "-f", file.to_str().unwrap()];
        crate::harness::program::Program::start(command.args(arguments).args(more))
    };
    let mut old = start(&[]);
    until("it listens", || UnixStream::connect(&path).ok());
    let first = inode(&path);
    assert_eq!(mode(&path), 0o606);
    let mut client = connect(&path);
    client.hears("a");
    let mut new = start(&["-sf", &old.pid().to_string()]);
    until("the new one listens", || (inode(&path) != first).then_some(()));
    drop(client);
    assert!(old.ended().success());
    connect(&path).hears("a");
    new.signal(Signal::USR1);
    assert!(new.ended().success());
    assert!(path.exists(), "the old file's name is as HAProxy leaves it");
    assert!(UnixStream::connect(&path).is_err());
}
