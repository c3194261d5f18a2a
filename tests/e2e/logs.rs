//! The log beside HAProxy's, line by line, and in a journal of its own.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;

use serde_json::Value;

use crate::harness::app::{App, BINARY, Config};
use crate::harness::peers::{self, Peer, Server};
use crate::harness::program::{Program, command, run};
use crate::harness::wait::{PATIENCE, until};
use crate::harness::{ports, sockets};

/// A syslog receiver over UDP.
struct Receiver(UdpSocket);

impl Receiver {
    fn bind() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next datagram that contains this.
    fn next_with(&self, text: &str) -> String {
        loop {
            let mut datagram = [0; 4096];
            let length = self.0.recv(&mut datagram).unwrap_or_else(|error| panic!("no line with {text}: {error}"));
            let line = String::from_utf8(datagram[..length].to_vec()).unwrap();
            if line.contains(text) {
                return line.trim_end().to_owned();
            }
        }
    }
}

/// A line with what differs between two sessions taken out: each number of several digits, dates and times, who writes it,
/// and milliseconds, of which a session has none or a few.
fn shape(line: &str) -> String {
    let (header, said) = line.split_once("]: ").expect("a header");
    let priority = header.split_once('>').expect("a priority").0;
    let words =
        said.split(' ').map(|word| match word.split('/').map(str::parse::<i64>).collect::<Result<Vec<_>, _>>() {
            // Times of a session; HAProxy 2.6 counts the read of its first byte as a wait.
            Ok(times) if times.len() == 3 => {
                times.iter().map(|time| if *time < 0 { "-1" } else { "N" }).collect::<Vec<_>>().join("/")
            }
            _ if word.starts_with('[') && word.ends_with(']') && word.len() == "[25/Nov/2026:09:57:26.287]".len() => {
                "[DATE]".to_owned()
            }
            _ if word.starts_with("127.0.0.1:") => "CLIENT".to_owned(),
            _ if word.ends_with("ms.") => "MILLISECONDS.".to_owned(),
            _ => word.to_lowercase(),
        });
    format!("{priority} {}", words.collect::<Vec<_>>().join(" "))
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn tcplog_is_haproxys_line_for_sessions_and_servers() {
    let receivers = [Receiver::bind(), Receiver::bind()];
    let servers = [Server::named("answer"), Server::named("answer")];
    let addresses = servers.each_ref().map(Server::address);
    let (_directory, _haproxy, front) = haproxy(&receivers[0], addresses);
    let target = format!(
        "target = [\"stdout\", {{ type = \"syslog\", address = \"{}\", facility = \"local2\", format = \"tcplog\" }}]",
        receivers[1].address()
    );
    let config = Config::to(&addresses).log(&target);
    let app = App::start(&config.backend("check = { type = \"tcp\", interval = \"200ms\" }\non_no_server = \"reset\""));
    let fronts = [front, app.front()];
    let both = |text: &str, act: &dyn Fn(SocketAddr)| {
        let lines = [0, 1].map(|one| {
            act(fronts[one]);
            shape(&receivers[one].next_with(text))
        });
        assert_eq!(lines[1], lines[0], "evenkeel's and HAProxy's");
        lines[0].clone()
    };
    let session = both(" front back/", &|front| {
        let mut client = peers::connect(front);
        client.hears("answer");
        client.sends_fin();
        client.sees_fin();
    });
    assert!(session.starts_with("<150 CLIENT [DATE] front back/a N/N/N 6 -- 1/1/0/0/0 0/0"), "{session}");
    // One after the other, so that each change is told of by both before the next.
    let [first, second] = servers;
    first.stop();
    both("Server back/a is DOWN", &|_| ());
    second.stop();
    both("Server back/b is DOWN", &|_| ());
    both("has no server available", &|_| ());
    both("back/<NOSRV>", &is_turned_away);
    let _first = Server::echo_on(addresses[0]);
    both("Server back/a is UP", &|_| ());
}

/// What happens in namespaces of their own: a journal is there, goes away and comes back while evenkeel writes to it. All of
/// it ends with the first process of these namespaces.
const JOURNAL: &str = r#"
    set -eu
    ip link set lo up
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/journal /run/log/journal
    read_journal() { journalctl --directory=/run/log/journal --quiet --output=json "$@"; }
    has() {
        for _ in $(seq 300); do
            (($(read_journal "$2" | wc -l) >= $1)) && return
            sleep 0.1
        done
        echo "not $1 times in the journal: $2" >&2
        exit 1
    }
    begin_journal() {
        /lib/systemd/systemd-journald &
        journal=$!
        for _ in $(seq 300); do
            [ -S /run/systemd/journal/socket ] && return
            sleep 0.1
        done
        exit 1
    }
    begin_journal
    "$1" run "$2" &
    evenkeel=$!
    has 1 EVENKEEL_TO=down
    kill "$journal" && wait "$journal" || true
    rm -f /run/systemd/journal/socket
    for _ in 1 2 3; do (exec 3<>"/dev/tcp/127.0.0.1/$3" && cat <&3) 2>/dev/null || true; done
    begin_journal
    has 3 EVENKEEL_EVENT=session
    kill "$evenkeel" && wait "$evenkeel"
    has 1 MESSAGE=stopped
    kill "$journal" && wait "$journal" || true
    read_journal SYSLOG_IDENTIFIER=evenkeel
"#;

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_real_journal_has_every_field_and_misses_no_line_while_it_is_started_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.toml");
    // Nobody listens behind it, which is news enough.
    let config = Config::to(&[peers::refusing()]).backend("check = { type = \"tcp\", interval = \"100ms\" }");
    let front = config.front();
    std::fs::write(&file, config.log("target = { type = \"journald\", format = \"text\" }").text()).unwrap();
    let mut unshare = command("unshare --mount --net --pid --fork --kill-child --mount-proc bash -c");
    let printed = run(unshare.args([JOURNAL, "bash", BINARY]).arg(&file).arg(front.port().to_string()));
    let entries: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |name: &str, value: &str| {
        let found = entries.iter().find(|entry| entry[name] == value);
        found.unwrap_or_else(|| panic!("no {name}={value} in\n{printed}"))
    };
    let down = with("EVENKEEL_TO", "down");
    for (name, value) in [
        ("PRIORITY", "4"),
        ("_TRANSPORT", "journal"),
        ("EVENKEEL_EVENT", "message"),
        ("EVENKEEL_BACKEND", "back"),
        ("EVENKEEL_SERVER", "a"),
        ("EVENKEEL_STATUS", "L4CON"),
        ("EVENKEEL_CAUSE", "refused"),
    ] {
        assert_eq!(down[name], value, "{name} in {down}");
    }
    assert!(down["MESSAGE"].as_str().is_some_and(|text| text.starts_with("server is down backend=back server=a ")));
    let sessions = entries.iter().filter(|entry| entry["EVENKEEL_EVENT"] == "session").count();
    assert_eq!(sessions, 3, "those that ended while there was no journal");
}

/// HAProxy with a frontend `front` and a backend `back`, as [`Config`] has them.
fn haproxy(receiver: &Receiver, servers: [SocketAddr; 2]) -> (tempfile::TempDir, Program, SocketAddr) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("haproxy.cfg");
    let front = SocketAddr::from(([127, 0, 0, 1], ports::free()));
    let text = format!(
        "global\n log {} local2\ndefaults\n mode tcp\n log global\n option tcplog\n timeout connect 2s\n timeout client 30s\n \
         timeout server 30s\nfrontend front\n bind {front}\n default_backend back\nbackend back\n \
         server a {} check inter 200\n server b {} check inter 200\n",
        receiver.address(),
        servers[0],
        servers[1]
    );
    std::fs::write(&file, text).unwrap();
    let program = Program::start(Command::new("haproxy").arg("-db").arg("-f").arg(&file));
    until("HAProxy listens", || {
        sockets::tcp(None).iter().any(|socket| socket.state == "LISTEN" && socket.local == front).then_some(())
    });
    (directory, program, front)
}

/// A client that is turned away: HAProxy ends it with FIN, evenkeel with RST, which may come before it is connected.
fn is_turned_away(front: SocketAddr) {
    let _ = TcpStream::connect(front).and_then(|mut client| io::copy(&mut client, &mut io::sink()));
}
