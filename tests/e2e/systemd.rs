//! The units in a Debian of their own, under a systemd that is booted for each test.

mod machine;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use self::machine::{Machine, RELEASES};
use crate::harness::app::BINARY;
use crate::harness::http;
use crate::harness::namespace::inside;
use crate::harness::peers::{Peer, Server, connect};
use crate::harness::wait::{PATIENCE, pause, until};

const REFERENCE: &str = include_str!("../../config/evenkeel.toml");

/// On all ports of the reference configuration, in front of one server of the machine itself.
const ECHO: &str = r#"
[stats]
listen = ":9000"
[admin]
socket = "/run/evenkeel/admin.sock"
[[frontend]]
name = "kubeAPI"
listen = ":6443"
backend = "echo"
[[frontend]]
name = "others"
listen = [":8132", ":9443"]
backend = "echo"
[[backend]]
name = "echo"
check = "off"
servers = ["127.0.0.1:7000"]
"#;

fn front() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 6443))
}

fn stats() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9000))
}

fn echo(machine: &Machine) -> Server {
    machine.on(|| Server::echo_on(SocketAddr::from(([127, 0, 0, 1], 7000))))
}

// Seen to fail when systemd is not told that it serves.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_start_returns_when_it_serves_and_the_service_has_no_rights() {
    for release in RELEASES {
        let machine = Machine::boot(release, REFERENCE);
        machine.systemctl("start evenkeel.service");
        // Nothing is waited for: systemctl has.
        let status = machine.on(|| http::get(stats(), "/livez").expect("it serves").status);
        assert_eq!(status, 200);
        // Nobody behind them can be reached from here: a client may be reset before it knows that it is connected.
        for port in [6443, 8132, 9443] {
            let connected = machine.on(|| TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))));
            let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
            assert!(connected.as_ref().is_ok() || connected.as_ref().is_err_and(reset), "{port}: {connected:?}");
        }
        assert_eq!(machine.property("ActiveState"), "active");
        assert_eq!(machine.property("Type"), "notify");
        let text = machine.systemctl("status evenkeel.service");
        assert!(text.contains("Status: \"serving"), "{text}");
        has_one_capability(&machine);
        has_a_command_line(&machine);
        let security = machine.run("systemd-analyze", "security --no-pager evenkeel.service");
        let exposure = security.split("exposure level for evenkeel.service: ").nth(1).expect("a verdict");
        let exposure: f64 = exposure.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
        assert!(exposure <= 1.5, "{release}: {security}");
    }
}

/// Every command works as it is installed, without an option or a variable.
fn has_a_command_line(machine: &Machine) {
    let status: serde_json::Value = serde_json::from_str(&machine.run("evenkeel", "status --json")).unwrap();
    assert_eq!(status["process"]["pid"].to_string(), machine.property("MainPID"));
    let doctor = machine.shell("evenkeel doctor /etc/evenkeel/evenkeel.toml || true");
    assert!(doctor.contains("/run/evenkeel/admin.sock answers"), "{doctor}");
}

/// Neither root, nor able to become it, nor allowed more than to take a port below 1024.
fn has_one_capability(machine: &Machine) {
    let status = machine.run("cat", &format!("/proc/{}/status", machine.property("MainPID")));
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} {status}"));
        line.trim().to_owned()
    };
    assert!(!field("Uid:").split_whitespace().any(|uid| uid == "0"), "{status}");
    assert_eq!([field("NoNewPrivs:"), field("Seccomp:")], ["1", "2"]);
    // Bit 10 is CAP_NET_BIND_SERVICE.
    for set in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(&field(set), 16).unwrap(), 1 << 10, "{set}");
    }
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_journal_has_every_line_as_json() {
    let machine = Machine::boot("bookworm", ECHO);
    let _server = echo(&machine);
    machine.systemctl("start evenkeel.service");
    let mut client = machine.on(|| connect(front()));
    client.say("for the record");
    client.hears("for the record");
    let address = client.local_addr().unwrap().to_string();
    drop(client);
    machine.logs(&address);
    let journal = machine.journal();
    let line = |text: &str| {
        let said = |line: &&serde_json::Value| line["MESSAGE"].as_str().is_some_and(|message| message.contains(text));
        journal.iter().find(said).unwrap_or_else(|| panic!("{text} in {journal:#?}"))
    };
    for text in [" serving", &address] {
        assert_eq!(line(text)["_SYSTEMD_UNIT"], "evenkeel.service");
        assert_eq!(line(text)["SYSLOG_IDENTIFIER"], "evenkeel");
    }
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_journal_has_fields_where_they_are_wanted() {
    let machine = Machine::boot("bookworm", &format!("{ECHO}[log]\ntarget = \"journald\"\n"));
    let _server = echo(&machine);
    machine.systemctl("start evenkeel.service");
    let mut client = machine.on(|| connect(front()));
    client.say("for the record");
    client.hears("for the record");
    let address = client.local_addr().unwrap().to_string();
    drop(client);
    machine.logs(&address);
    let found = machine.run("journalctl", &format!("--output json --no-pager EVENKEEL_CLIENT={address}"));
    let line: serde_json::Value = serde_json::from_str(found.trim()).expect("one line");
    for (field, value) in [
        ("EVENKEEL_EVENT", "session"),
        ("EVENKEEL_FRONTEND", "kubeAPI"),
        ("EVENKEEL_BACKEND", "echo"),
        ("EVENKEEL_BYTES_IN", "14"),
        ("SYSLOG_IDENTIFIER", "evenkeel"),
        ("_SYSTEMD_UNIT", "evenkeel.service"),
        ("_TRANSPORT", "journal"),
        ("_PID", &machine.property("MainPID")),
    ] {
        assert_eq!(line[field], value, "{field} of {line}");
    }
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_stop_closes_the_sessions_within_its_grace_and_ends_well() {
    let machine = Machine::boot("bookworm", ECHO);
    let _server = echo(&machine);
    machine.systemctl("start evenkeel.service");
    let mut clients: Vec<TcpStream> = machine.on(|| (0..20).map(|_| connect(front())).collect());
    for client in &mut clients {
        client.say("to stay");
        client.hears("to stay");
    }
    let begun = Instant::now();
    let stopping = thread::scope(|scope| {
        let stop = scope.spawn(|| machine.systemctl("stop evenkeel.service"));
        // A FIN each, not a reset, and not all at once.
        let mut ends: Vec<Duration> = Vec::new();
        for client in &mut clients {
            client.sees_fin();
            ends.push(begun.elapsed());
        }
        stop.join().unwrap();
        (ends[0], ends[ends.len() - 1])
    });
    // The one that has been idle for longest is the first. The grace is 5 s, which a busy machine may exceed.
    let (first, last) = stopping;
    assert!(first < last / 2 && (Duration::from_secs(3)..Duration::from_secs(15)).contains(&last), "{stopping:?}");
    assert_eq!([machine.property("Result"), machine.property("ExecMainStatus")], ["success", "0"]);
    machine.logs("stopped");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_restart_or_an_upgrade_under_load_refuses_nobody() {
    for release in RELEASES {
        let machine = Machine::boot(release, ECHO);
        let server = echo(&machine);
        machine.systemctl("enable --now evenkeel.socket");
        machine.systemctl("start evenkeel.service");
        machine.logs("opened for us");
        let load = Load::default();
        let network = machine.network();
        thread::scope(|scope| {
            for address in [6443, 8132, 9443, 6443].map(|port| SocketAddr::from(([127, 0, 0, 1], port))) {
                let (load, network) = (&load, &network);
                scope.spawn(move || inside(network, || load.dial(address)));
            }
            for _ in 0..3 {
                load.serves_more(50);
                machine.systemctl("restart evenkeel.service");
                load.serves_more(50);
                upgraded(&machine);
            }
            load.serves_more(50);
            load.over.store(true, SeqCst);
        });
        assert_eq!(load.failures.load(SeqCst), 0, "of {} clients on {release}", load.served.load(SeqCst));
        assert!(server.accepted() >= 200, "they came through evenkeel");
        assert_eq!(machine.property("NRestarts"), "0", "it was told to, each time");
    }
}

/// Clients that come one after another, each of which must be served.
#[derive(Default)]
struct Load {
    served: AtomicUsize,
    failures: AtomicUsize,
    over: AtomicBool,
}

impl Load {
    fn dial(&self, address: SocketAddr) {
        while !self.over.load(SeqCst) {
            match exchange(address) {
                Ok(()) => self.served.fetch_add(1, SeqCst),
                Err(_) => self.failures.fetch_add(1, SeqCst),
            };
            // Some hundreds a second: more would use up the ports of the loopback address before the test ends.
            pause(Duration::from_millis(5));
        }
    }

    fn serves_more(&self, count: usize) {
        let wanted = self.served.load(SeqCst) + count;
        until("clients are served", || (self.served.load(SeqCst) >= wanted).then_some(()));
    }
}

fn exchange(address: SocketAddr) -> std::io::Result<()> {
    let mut client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.write_all(b"echo")?;
    client.read_exact(&mut [0; 4])
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_watchdog_ends_a_process_of_which_a_worker_hangs_and_the_journal_says_why() {
    let machine = Machine::boot("bookworm", ECHO);
    let _server = echo(&machine);
    machine.drop_in("WatchdogSec=3\nEnvironment=EVENKEEL_HANG_IN_SESSION=1");
    machine.systemctl("start evenkeel.service");
    let first = machine.property("MainPID");
    let client = machine.on(|| connect(front()));
    let line = machine.logs("a worker hangs");
    let address = client.local_addr().unwrap().to_string();
    assert!(line.contains(&address) && line.contains("worker") && line.contains("sleeping"), "{line}");
    // systemd's own words are in the journal of the unit, too.
    machine.logs("Watchdog timeout");
    until("it is started again", || (machine.property("NRestarts") == "1").then_some(()));
    until("it serves again", || machine.on(|| http::get(stats(), "/livez")).filter(|answer| answer.status == 200));
    assert_ne!(machine.property("MainPID"), first);
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_refused_configuration_fails_the_start_once_and_says_where() {
    let machine = Machine::boot("bookworm", "[[frontend]]\nnam = \"api\"\n");
    let start = machine.try_systemctl("start evenkeel.service");
    assert!(!start.status.success());
    assert_eq!([machine.property("ExecMainStatus"), machine.property("NRestarts")], ["2", "0"]);
    assert_eq!(machine.property("ActiveState"), "failed");
    machine.logs("/etc/evenkeel/evenkeel.toml:2:1");
    machine.configure(REFERENCE);
    machine.systemctl("start evenkeel.service");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_reload_keeps_the_process_and_its_sessions_and_a_bad_one_keeps_all() {
    for release in RELEASES {
        let machine = Machine::boot(release, ECHO);
        let _servers =
            [echo(&machine), machine.on(|| Server::named_on("other", SocketAddr::from(([127, 0, 0, 1], 7001))))];
        machine.systemctl("start evenkeel.service");
        let process = machine.property("MainPID");
        let mut staying = machine.on(|| connect(front()));
        staying.say("before");
        staying.hears("before");
        machine.configure(&ECHO.replace("7000", "7001"));
        machine.systemctl("reload evenkeel.service");
        machine.logs(" reloaded");
        machine.on(|| connect(front())).hears("other");
        machine.configure("[[frontend]]\nnam = \"api\"\n");
        // Who reloads is told, and the process goes on.
        assert!(!machine.try_systemctl("reload evenkeel.service").status.success());
        machine.logs("not reloaded");
        machine.logs("/etc/evenkeel/evenkeel.toml:2:1");
        machine.on(|| connect(front())).hears("other");
        staying.say("after");
        staying.hears("after");
        // Over the admin socket all is told that keeps a reload from being done.
        let taken = "[[frontend]]\nname = \"taken\"\nlisten = \"127.0.0.1:7001\"\nbackend = \"echo\"\n";
        machine.configure(&format!("{ECHO}{taken}"));
        assert!(!machine.try_systemctl("reload evenkeel.service").status.success());
        // Without one, a signal does, and mistakes are told all the same.
        let alone = ECHO.replace("[admin]\nsocket = \"/run/evenkeel/admin.sock\"\n", "");
        assert_ne!(alone, ECHO);
        for text in [&alone, &alone.replace("7000", "7001")] {
            machine.configure(text);
            machine.systemctl("reload evenkeel.service");
        }
        machine.logs("sent SIGHUP");
        let heeded =
            |line: &serde_json::Value| ["reloaded", "SIGHUP"].iter().all(|word| line.to_string().contains(word));
        until("the signal is heeded", || machine.journal().iter().any(heeded).then_some(()));
        machine.on(|| connect(front())).hears("other");
        machine.configure("[[frontend]]\nnam = \"api\"\n");
        assert!(!machine.try_systemctl("reload evenkeel.service").status.success());
        assert_eq!([machine.property("MainPID"), machine.property("ActiveState")], [process, "active".to_owned()]);
    }
}

/// Does what docs/systemd.md has a package run, with another file of the same program, and gives the number of the process
/// that serves then.
fn upgraded(machine: &Machine) -> String {
    let old = machine.property("MainPID");
    let docs = include_str!("../../docs/systemd.md");
    let script = docs.split("```sh\n# postinst").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
    machine.replace_program(Path::new(BINARY));
    machine.shell(script);
    until("the unit follows", || Some(machine.property("MainPID")).filter(|pid| *pid != old))
}

// Seen to fail when a process that is not the main one tells systemd something all the same, and when the process that serves
// is started by the old one itself: a stop kills it at once then.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn an_upgrade_of_the_package_changes_the_process_and_nothing_else() {
    for (release, activated) in RELEASES.into_iter().flat_map(|release| [(release, false), (release, true)]) {
        let machine = Machine::boot(release, ECHO);
        let _servers =
            [echo(&machine), machine.on(|| Server::named_on("other", SocketAddr::from(([127, 0, 0, 1], 7001))))];
        if activated {
            machine.systemctl("enable --now evenkeel.socket");
        }
        let systemds = machine.listening();
        machine.systemctl("start evenkeel.service");
        let confined = machine.logs("confined");
        assert!(confined.contains("landlock ABI"), "in the sandbox: {confined}");
        let (sockets, mut processes) = (machine.listening(), vec![machine.property("MainPID")]);
        assert!([6443, 8132, 9443, 9000].iter().all(|port| sockets.iter().any(|(of, _)| of == port)), "{sockets:?}");
        let mut staying = machine.on(|| connect(front()));
        for _ in 0..2 {
            staying.say("between");
            staying.hears("between");
            processes.push(upgraded(&machine));
            // The new one's first word to systemd says that it serves.
            until("it is said to serve", || {
                machine.systemctl("status evenkeel.service").contains("Status: \"serving").then_some(())
            });
            let mut client = machine.on(|| connect(front()));
            client.say("after");
            client.hears("after");
            assert_eq!(machine.listening(), sockets, "{release}");
            let status: serde_json::Value = serde_json::from_str(&machine.run("evenkeel", "status --json")).unwrap();
            assert_eq!(Some(&status["process"]["pid"].to_string()), processes.last());
        }
        machine.run("evenkeel", "healthz");
        drop(staying);
        machine.logs("replaced: the last session has ended");
        machine.logs("upgrade: health, admin states and counters are taken over");
        until("those before have ended", || {
            machine
                .messages()
                .iter()
                .filter(|line| line.contains("upgrade: the process before has ended"))
                .nth(1)
                .map(drop)
        });
        let property = |name: &str| machine.property(name);
        assert_eq!(["ActiveState", "SubState", "NRestarts"].map(property), ["active", "running", "0"]);
        assert_eq!(Some(&property("MainPID")), processes.last());
        // What systemd says of a service's process that tells it something and is not the main one, or is no child of its.
        let odd = ["reception only permitted", "not our child"];
        let odd = machine.messages().into_iter().find(|line| odd.iter().any(|odd| line.contains(odd)));
        assert_eq!(odd, None);
        machine.configure(&ECHO.replace("7000", "7001"));
        machine.systemctl("reload evenkeel.service");
        machine.logs(" reloaded");
        machine.on(|| connect(front())).hears("other");
        machine.systemctl("stop evenkeel.service");
        assert_eq!(["Result", "ExecMainStatus"].map(property), ["success", "0"]);
        assert_eq!(machine.listening(), systemds, "{release}: they stay, and no other does");
        if activated {
            // The next client starts it again.
            machine.on(|| connect(front())).hears("other");
        }
    }
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_version_that_does_not_start_leaves_the_old_one_as_it_was() {
    let machine = Machine::boot("bookworm", ECHO);
    let _server = echo(&machine);
    machine.systemctl("start evenkeel.service");
    let process = machine.property("MainPID");
    machine.replace_program(Path::new("/bin/false"));
    machine.systemctl("kill --kill-who=main --signal=USR2 evenkeel.service");
    assert!(machine.logs("not upgraded").contains("ended with exit status: 1"));
    let mut client = machine.on(|| connect(front()));
    client.say("still");
    client.hears("still");
    assert_eq!([machine.property("MainPID"), machine.property("ActiveState")], [process, "active".to_owned()]);
}

/// systemd hears of the end of its own children, not of its children's.
// Seen to fail when the process that serves is started by the old one itself.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_new_process_that_is_killed_is_started_again() {
    let machine = Machine::boot("bookworm", ECHO);
    let _server = echo(&machine);
    machine.drop_in("WatchdogSec=0");
    machine.systemctl("start evenkeel.service");
    let mut staying = machine.on(|| connect(front()));
    staying.say("held");
    staying.hears("held");
    upgraded(&machine);
    machine.systemctl("kill --kill-who=main --signal=KILL evenkeel.service");
    until("it is started again", || (machine.property("NRestarts") == "1").then_some(()));
    until("it serves again", || machine.on(|| http::get(stats(), "/livez")).filter(|answer| answer.status == 200));
}

mod full {
    use std::fs;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::harness::haproxy::ROOT;

    /// As Debian's own file begins, with one frontend.
    const CONFIG: &str = "global\n  log /dev/log local0\n  chroot /var/lib/haproxy\n  \
                          stats socket /run/haproxy/admin.sock mode 660 level admin\n  stats timeout 30s\n  user haproxy\n  \
                          group haproxy\n  daemon\ndefaults\n  mode tcp\n  log global\n  timeout connect 5s\n  \
                          timeout client 50s\n  timeout server 50s\nfrontend front\n  bind :6443\n  default_backend back\n\
                          backend back\n  server a 127.0.0.1:7000\n";

    fn says(socket: &Path, command: &str) -> String {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The unit is that of Debian's package, untouched; only the program of that name is another one.
    #[test]
    #[ignore = "needs Debian packages, HAProxy's unit and root: tests/run --full runs it"]
    fn haproxys_own_unit_starts_reloads_and_stops_evenkeel() {
        let unit = fs::read_to_string(format!("{ROOT}/usr/lib/systemd/system/haproxy.service")).unwrap();
        let machine = Machine::boot("trixie", ECHO);
        let _server = echo(&machine);
        machine.write("etc/systemd/system/haproxy.service", &unit);
        machine.write("etc/haproxy/haproxy.cfg", CONFIG);
        machine.shell("ln -s /usr/lib/evenkeel/evenkeel /usr/sbin/haproxy; systemctl daemon-reload");
        // A Debian as small as this one has none but the shell's own.
        machine.shell("test -e /bin/kill || install -m 755 /dev/stdin /bin/kill <<'EOF'\n#!/bin/sh\nkill \"$@\"\nEOF");
        let property = |name: &str| {
            machine.systemctl(&format!("show --value --property {name} haproxy.service")).trim().to_owned()
        };

        let started = machine.try_systemctl("start haproxy.service");
        let journal = || machine.run("journalctl", "--no-pager --unit haproxy.service");
        assert!(started.status.success(), "{}", journal());
        let pid = property("MainPID");
        assert_eq!(machine.run("cat", "/run/haproxy.pid").trim(), pid);
        let mut client = machine.on(|| connect(front()));
        client.say("before the reload");
        client.hears("before the reload");
        let master = machine.root().join("run/haproxy-master.sock");
        assert!(says(&master, "show info").contains(&format!("\nPid: {pid}\n")));

        machine.write("etc/haproxy/haproxy.cfg", &CONFIG.replace("bind :6443", "bind :6443\n  bind :8132"));
        machine.systemctl("reload haproxy.service");
        let second = SocketAddr::from(([127, 0, 0, 1], 8132));
        until("the new port is open", || {
            assert!(!journal().contains("not reloaded"), "{}", journal());
            machine.on(|| TcpStream::connect(second)).ok()
        });
        client.say("after it");
        client.hears("after it");
        assert_eq!(property("MainPID"), pid);
        machine.write("etc/haproxy/haproxy.cfg", &format!("{CONFIG}  frobnicate\n"));
        assert!(!machine.try_systemctl("reload haproxy.service").status.success(), "it is checked before");

        machine.systemctl("stop haproxy.service");
        assert_eq!([property("ActiveState"), property("Result")], ["inactive", "success"]);
    }
}
