//! `openssl`, `curl` and `socat` through evenkeel: what they verify is the backend's own certificate, and no byte is lost.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::certificates::{Authority, Identity};
use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server};
use crate::harness::program::{Program, command, output, run};
use crate::harness::wait::{until, until_within};
use crate::harness::{pattern, ports, raise_descriptor_limit, sockets};

const GIB: u64 = 1024 * 1024 * 1024;
const LOCAL: [&str; 2] = ["127.0.0.1", "::1"];

/// `openssl s_server` at this address, with more arguments; it is listening when this returns.
fn s_server(address: SocketAddr, identity: &Identity, arguments: &str, within: &Path) -> Program {
    let mut server = command(&format!("openssl s_server -accept {address} -quiet {arguments}"));
    server.arg("-cert").arg(&identity.certificate).arg("-key").arg(&identity.key).current_dir(within);
    // It ends when its input does: a pipe that nobody writes to keeps it.
    let server = Program::start_with_input(&mut server, Stdio::piped());
    until("s_server listens", || {
        sockets::tcp(None).iter().any(|socket| socket.state == "LISTEN" && socket.local == address).then_some(())
    });
    server
}

fn s_client(address: SocketAddr, authority: &Authority, arguments: &str) -> Command {
    let mut client = command(&format!("openssl s_client -connect {address} -verify_return_error {arguments}"));
    client.arg("-CAfile").arg(authority.file());
    client
}

fn curl(authority: &Authority, url: &str) -> Command {
    let mut curl = command("curl --silent --show-error --fail --max-time 300");
    curl.arg("--cacert").arg(authority.file()).arg(url);
    curl
}

fn sha256(file: &Path) -> String {
    let printed = run(Command::new("sha256sum").arg(file));
    printed.split_whitespace().next().expect("a checksum").to_owned()
}

fn address(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(host.parse().unwrap(), port)
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_client_sees_the_backends_own_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let identity = authority.issue("kube-apiserver", &LOCAL);
    let backend = address("127.0.0.1", ports::free());
    let _server = s_server(backend, &identity, "-www", directory.path());
    let app = App::start(&Config::to(&[backend]));
    for version in ["-tls1_2", "-tls1_3"] {
        let seen = run(&mut s_client(app.front(), &authority, version));
        assert!(seen.contains("subject=CN = kube-apiserver"), "{seen}");
        assert!(seen.contains("Verify return code: 0 (ok)"), "{seen}");
    }
    let page = run(&mut curl(&authority, &format!("https://{}/", app.front())));
    assert!(page.contains("s_server"), "{page}");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn curl_crosses_from_either_family_to_either() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let identity = authority.issue("either", &LOCAL);
    for backend_host in LOCAL {
        let backend = address(backend_host, ports::free());
        let _server = s_server(backend, &identity, "-www", directory.path());
        let port = ports::free();
        let _app = App::start(&Config::to(&[backend]).listen(&format!(":{port}"), address("127.0.0.1", port)));
        for client_host in LOCAL {
            let front = address(client_host, port);
            let page = run(&mut curl(&authority, &format!("https://{front}/")));
            assert!(page.contains("s_server"), "from {client_host} to {backend_host}: {page}");
        }
    }
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_gibibyte_comes_down_whole() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let identity = authority.issue("files", &LOCAL);
    let backend = address("127.0.0.1", ports::free());
    let file = gibibyte(directory.path());
    let _server = s_server(backend, &identity, "-WWW", directory.path());
    let mut app = App::start(&Config::to(&[backend]));
    let received = directory.path().join("received");
    run(curl(&authority, &format!("https://{}/gibibyte", app.front())).arg("--output").arg(&received));
    assert_eq!(sha256(&received), sha256(&file));
    let record = app.next_session();
    assert!(record["bytes_out"].as_u64().unwrap() > GIB, "{record}");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_gibibyte_goes_up_whole() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let identity = authority.issue("sink", &LOCAL);
    let backend = address("127.0.0.1", ports::free());
    let file = gibibyte(directory.path());
    let received = directory.path().join("received");
    let mut server = command(&format!("openssl s_server -accept {backend} -quiet -naccept 1"));
    server.arg("-cert").arg(&identity.certificate).arg("-key").arg(&identity.key);
    server.stdin(Stdio::piped()).stdout(File::create(&received).unwrap()).stderr(Stdio::null());
    let mut server = server.spawn().unwrap();
    until("s_server listens", || {
        sockets::tcp(None).iter().any(|socket| socket.state == "LISTEN" && socket.local == backend).then_some(())
    });
    let app = App::start(&Config::to(&[backend]));
    let mut client = s_client(app.front(), &authority, "-quiet -nocommands -no_ign_eof");
    client.stdin(File::open(&file).unwrap());
    let sent = client.output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    until_within(Duration::from_secs(120), "s_server ends after its one client", || server.try_wait().unwrap());
    assert_eq!(sha256(&received), sha256(&file));
}

fn gibibyte(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("gibibyte");
    let mut file = File::create(&path).unwrap();
    pattern::write(&mut file, GIB).unwrap();
    path
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn two_thousand_sessions_live_at_once() {
    raise_descriptor_limit();
    let servers = [Server::echo(), Server::echo(), Server::echo()];
    let app = App::start(&Config::to(&servers.each_ref().map(Server::address)));
    let mut clients: Vec<TcpStream> = (0..2_000).map(|_| app.connect()).collect();
    app.has_sessions(2_000);
    // All are written to before any is read: none may wait for another.
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(&format!("client {number:04}"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.hears(&format!("client {number:04}"));
    }
    let shares = ["a", "b", "c"].map(|name| app.server_sessions(name));
    assert!(shares.iter().all(|share| share.abs_diff(667) <= 1), "{shares:?}");
    drop(clients);
    app.has_sessions(0);
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_backend_that_accepts_and_never_answers_is_taken_out() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let identity = authority.issue("answers", &LOCAL);
    let backend = address("127.0.0.1", ports::free());
    let _server = s_server(backend, &identity, "-www", directory.path());
    let silent = Server::silent();
    let check = "check = { type = \"tls\", verify = \"none\", interval = \"500ms\", timeout = \"400ms\" }";
    let mut app = App::start(&Config::to(&[silent.address(), backend]).backend(check));
    let line = app.next_line("that a is down", |line| line["server"] == "a" && line["to"] == "down");
    assert!(line.to_string().contains("timed out"), "{line}");
    for _ in 0..10 {
        run(&mut curl(&authority, &format!("https://{}/", app.front())));
    }
    assert_eq!(app.server("b")["state"], "ready");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_refused_handshake_is_the_clients_own_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let other = tempfile::tempdir().unwrap();
    let identity = Authority::new(other.path()).issue("stranger", &LOCAL);
    let backend = address("127.0.0.1", ports::free());
    let _server = s_server(backend, &identity, "-www", directory.path());
    let app = App::start(&Config::to(&[backend]));
    let refused = output(&mut curl(&authority, &format!("https://{}/", app.front())));
    assert_eq!(refused.status.code(), Some(60), "curl's code for a certificate that it doesn't trust");
}

/// One `socat` that ends its input at once and takes what comes, and one that sends a file two seconds after that.
fn half_closed(
    silent: impl FnOnce(SocketAddr) -> Command,
    late: impl FnOnce(SocketAddr) -> Command,
    client_first: bool,
) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("late");
    pattern::write(&mut File::create(&file).unwrap(), 100 * 1024 * 1024).unwrap();
    let received = directory.path().join("received");
    let backend = address("127.0.0.1", ports::free());
    let app = App::start(&Config::to(&[backend]));
    let (silent_at, late_at) = if client_first { (app.front(), backend) } else { (backend, app.front()) };
    let (mut silent, mut late) = (silent(silent_at), late(late_at));
    silent.stdin(Stdio::null()).stdout(File::create(&received).unwrap());
    late.env("FILE", &file);
    let (server, client) = if client_first { (&mut late, &mut silent) } else { (&mut silent, &mut late) };
    let mut server = server.spawn().unwrap();
    until("the server listens", || {
        sockets::tcp(None).iter().any(|socket| socket.state == "LISTEN" && socket.local == backend).then_some(())
    });
    let ended = client.status().unwrap();
    assert!(ended.success(), "{ended}");
    until("the server ends", || server.try_wait().unwrap());
    assert_eq!(sha256(&received), sha256(&file));
}

/// Waits for the other side's FIN, and two seconds more, before it sends `$FILE`.
const LATE: &str = "SYSTEM:cat >/dev/null; sleep 2; cat $FILE";

fn socat(words: &[&str]) -> Command {
    let mut command = Command::new("socat");
    // How long it goes on after one side's FIN.
    command.args(["-t", "60"]).args(words);
    command
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn socat_is_answered_two_seconds_after_its_fin() {
    let silent = |at| socat(&["-", &format!("TCP:{at}")]);
    let late = |at: SocketAddr| socat(&[&format!("TCP-LISTEN:{},bind={}", at.port(), at.ip()), LATE]);
    half_closed(silent, late, true);
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn socat_goes_on_two_seconds_after_its_servers_fin() {
    let silent = |at: SocketAddr| socat(&["-", &format!("TCP-LISTEN:{},bind={}", at.port(), at.ip())]);
    let late = |at| socat(&[&format!("TCP:{at}"), LATE]);
    half_closed(silent, late, false);
}
