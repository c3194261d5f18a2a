//! Probes are silent: servers that log every bad handshake have nothing to say about a thousand of each type.
//!
//! Each server is also shown a check that doesn't fit it, and must complain: a test of silence is no good where nobody
//! listens. Seen to fail at the gRPC server with RST instead of a goodbye; Go and nginx don't mind that after the answer,
//! so `check::probe`'s own tests hold the goodbye.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::certificates::{Authority, Identity};
use crate::harness::app::{App, Config};
use crate::harness::peers::connect_from;
use crate::harness::program::{Program, command, run};
use crate::harness::wait::{until, until_within};
use crate::harness::{ports, raise_descriptor_limit, sockets};

/// Servers, each of which is probed once: a server on each of so many loopback addresses, which are all one program's.
const PROBES: usize = 1_000;

/// Whose complaints the test itself has provoked.
const PROVOKER: Ipv4Addr = Ipv4Addr::new(127, 8, 8, 8);

/// For a thousand probes at once, of a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that complains of clients, on a port of every address.
struct Complainer {
    program: Program,
    port: u16,
    /// Where its complaints are, if not in what it prints.
    log: Option<PathBuf>,
    /// Whether a line is about a client, and more than news.
    is_complaint: fn(&str) -> bool,
    /// Holds its files.
    _directory: tempfile::TempDir,
}

impl Complainer {
    fn start(
        is_complaint: fn(&str) -> bool,
        program: impl FnOnce(u16, &Path, &Identity) -> (Program, Option<PathBuf>),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = Authority::new(directory.path()).issue("complainer", &["127.0.0.1"]);
        let port = ports::free();
        let (program, log) = program(port, directory.path(), &identity);
        until("it listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        let complainer = Self { program, port, log, is_complaint, _directory: directory };
        // The client that found it listening is the first that it complains of.
        until("it complains", || (!complainer.complaints().is_empty()).then_some(()));
        complainer
    }

    fn all_complaints(&self) -> Vec<String> {
        let lines = match &self.log {
            None => self.program.printed(),
            Some(log) => String::from_utf8_lossy(&std::fs::read(log).unwrap()).lines().map(str::to_owned).collect(),
        };
        lines.into_iter().filter(|line| (self.is_complaint)(line)).collect()
    }

    /// Those of others than the provoker.
    fn complaints(&self) -> Vec<String> {
        let provoker = PROVOKER.to_string();
        self.all_complaints().into_iter().filter(|line| !line.contains(&provoker)).collect()
    }

    /// A client connects and leaves; once that is in the log, all is that was said before.
    fn is_provoked(&self) {
        let provoked = || self.all_complaints().len() - self.complaints().len();
        let before = provoked();
        until("it complains", || {
            // More than once if need be: some leave lines out when there are many.
            drop(connect_from(PROVOKER, ([127, 0, 0, 1], self.port).into()));
            (provoked() > before).then_some(())
        });
    }

    /// A thousand probes of this check: the statuses that they came to, and what was said of them.
    fn says_of(&self, check: &str) -> (Vec<String>, Vec<String>) {
        self.is_provoked();
        let before = self.complaints().len();
        let statuses = self.is_probed(check);
        self.is_provoked();
        (statuses, self.complaints().split_off(before))
    }

    /// Each kind of status once.
    fn is_probed(&self, check: &str) -> Vec<String> {
        let mut servers = String::new();
        for number in 0..PROBES {
            let _ = writeln!(servers, "\"127.9.{}.{}:{}\",", number / 250, number % 250 + 1, self.port);
        }
        // An hour until a second probe: none comes while the test looks.
        let pace = "interval = \"1h\", fast_interval = \"1h\", timeout = \"100s\"";
        let backend =
            format!("[[backend]]\nname = \"probed\"\ncheck = {{ {check}, {pace} }}\nservers = [\n{servers}]\n");
        let app = App::start(&Config::to(&[SocketAddr::from(([127, 0, 0, 1], self.port))]).more(&backend));
        let mut statuses = until_within(PATIENCE, "all are probed", || {
            let status = app.status();
            let servers = status["backends"][1]["servers"].as_array().expect("the backend that is probed");
            assert_eq!(servers.len(), PROBES);
            let status = |server: &serde_json::Value| server["check"]["last"]["status"].as_str().map(str::to_owned);
            servers.iter().map(status).collect::<Option<Vec<_>>>()
        });
        until_within(PATIENCE, "all have said goodbye", || {
            let probed =
                |address: SocketAddr| address.port() == self.port && address.ip().to_string().starts_with("127.9.");
            let open = |socket: &sockets::Socket| {
                let ended = ["LISTEN", "TIME-WAIT"].contains(&&*socket.state);
                !ended && (probed(socket.peer) || probed(socket.local))
            };
            (!sockets::tcp(None).iter().any(open)).then_some(())
        });
        statuses.sort();
        statuses.dedup();
        statuses
    }

    fn is_silent_under(&self, checks: &[(&str, &str)]) {
        for (check, status) in checks {
            let (statuses, complaints) = self.says_of(check);
            assert_eq!(statuses, [*status], "{check}");
            assert!(complaints.is_empty(), "{} lines about {check}, such as {}", complaints.len(), complaints[0]);
        }
    }

    fn is_loud_under(&self, check: &str, least: usize) {
        let (_, complaints) = self.says_of(check);
        assert!(complaints.len() >= least, "{} lines about {check}: {complaints:?}", complaints.len());
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/silence").join(name)
}

const TLS: &str = "type = \"tls\", verify = \"none\"";
const HTTPS: &str = "type = \"https\", verify = \"none\", accept = [200]";
const APISERVER: &str = "type = \"kube-apiserver\", verify = \"none\"";
const KONNECTIVITY: &str = "type = \"konnectivity\", verify = \"none\"";
const JOIN: &str = "type = \"k0s-join\", verify = \"none\"";

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_server_of_gos_standard_library_has_nothing_to_say() {
    raise_descriptor_limit();
    let server = Complainer::start(
        |line| line.contains("http: "),
        |port, directory, identity| {
            let binary = directory.join("server");
            let mut build = command("go build -o");
            build.arg(&binary).arg(fixture("server.go"));
            build.env("GO111MODULE", "off").env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go"));
            run(&mut build);
            let mut server = Command::new(binary);
            server.arg(format!("0.0.0.0:{port}")).arg(&identity.certificate).arg(&identity.key);
            (Program::start(&mut server), None)
        },
    );
    server.is_silent_under(&[
        (TLS, "L6OK"),
        (HTTPS, "L7OK"),
        (APISERVER, "L7OK"),
        (KONNECTIVITY, "L7OK"),
        (JOIN, "L7OK"),
    ]);
    // What leaves before the handshake is what it complains of.
    server.is_loud_under("type = \"tcp\"", PROBES);
}

/// Its own level for errors is `error`. Here it writes everything: no probe that asks something may leave a line of
/// `info` or above. One that completes the handshake and asks nothing leaves one of `info`, which says just that.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn nginx_has_nothing_to_say_of_those_who_ask_something() {
    raise_descriptor_limit();
    let server = Complainer::start(
        |line| line.contains("]") && !line.contains("[debug]") && line.contains(" *"),
        |port, directory, identity| {
            let log = directory.join("error.log");
            let configuration = format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log {log} debug;\n\
                 events {{ worker_connections 8192; }}\n\
                 http {{\naccess_log off;\nclient_body_temp_path a;\nproxy_temp_path b;\nfastcgi_temp_path c;\n\
                 uwsgi_temp_path d;\nscgi_temp_path e;\n\
                 server {{\nlisten {port} ssl http2 backlog=4096;\nssl_certificate {certificate};\nssl_certificate_key {key};\n\
                 location = /readyz {{ return 200 ok; }}\nlocation / {{ return 404; }}\n}}\n}}\n",
                log = log.display(),
                certificate = identity.certificate.display(),
                key = identity.key.display(),
            );
            let file = directory.join("nginx.conf");
            std::fs::write(&file, configuration).unwrap();
            let mut nginx = Command::new("nginx");
            nginx.arg("-p").arg(directory).arg("-e").arg(&log).arg("-c").arg(&file);
            (Program::start(&mut nginx), Some(log))
        },
    );
    server.is_silent_under(&[(HTTPS, "L7OK"), (APISERVER, "L7OK"), (KONNECTIVITY, "L7OK"), (JOIN, "L7OK")]);
    let (statuses, complaints) = server.says_of(TLS);
    assert_eq!(statuses, ["L6OK"]);
    let other = complaints
        .iter()
        .find(|line| !line.contains("[info]") || !line.contains("client closed connection while waiting for request"));
    assert_eq!((complaints.len(), other), (PROBES, None));
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn an_etcd_member_has_nothing_to_say() {
    raise_descriptor_limit();
    let server = Complainer::start(
        |line| line.contains("rejected connection") || line.contains("remote-addr"),
        |port, directory, identity| {
            let client = format!("https://0.0.0.0:{port}");
            let peer = format!("http://127.0.0.1:{}", ports::free());
            let mut etcd = command("etcd --name one --logger zap --log-outputs stderr --log-level debug");
            etcd.arg("--data-dir").arg(directory.join("data"));
            etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            etcd.args(["--initial-cluster", &format!("one={peer}")]);
            etcd.arg("--cert-file").arg(&identity.certificate).arg("--key-file").arg(&identity.key);
            (Program::start(&mut etcd), None)
        },
    );
    let health = "type = \"https\", verify = \"none\", path = \"/health\", accept = [200]";
    server.is_silent_under(&[
        (TLS, "L6OK"),
        (health, "L7OK"),
        (APISERVER, "L7STS"),
        (KONNECTIVITY, "L7OK"),
        (JOIN, "L7OK"),
    ]);
    // It leaves out what it has said a hundred times within a second.
    server.is_loud_under("type = \"tcp\"", 100);
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_grpc_server_that_wants_h2_has_nothing_to_say_of_those_who_offer_it() {
    raise_descriptor_limit();
    let server = Complainer::start(
        |line| line.contains("Handshaking failed") || line.starts_with('E'),
        |port, _, identity| {
            let mut server = Command::new("/usr/bin/python3");
            server.arg(fixture("server.py")).arg(port.to_string()).arg(&identity.certificate).arg(&identity.key);
            server.env("GRPC_VERBOSITY", "debug");
            (Program::start(&mut server), None)
        },
    );
    server.is_silent_under(&[(KONNECTIVITY, "L7OK"), ("type = \"tls\", verify = \"none\", alpn = [\"h2\"]", "L6OK")]);
    // As the checks of many load balancers do.
    server.is_loud_under(TLS, PROBES);
}
