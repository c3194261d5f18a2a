//! An etcd cluster of three behind evenkeel: what a cluster's memory does while one of its members dies.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::certificates::{Authority, Identity};
use crate::harness::app::{App, Config};
use crate::harness::program::{Program, command, output, run};
use crate::harness::wait::{until, until_within};
use crate::harness::{http, ports, sockets};

/// Three members on 127.0.0.11, .12 and .13, with TLS and client certificates on every port.
struct Cluster {
    directory: tempfile::TempDir,
    authority: Authority,
    identity: Identity,
    client_port: u16,
    peer_port: u16,
    members: Vec<Program>,
}

impl Cluster {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path());
        let identity = authority.issue("etcd", &["127.0.0.1", "127.0.0.11", "127.0.0.12", "127.0.0.13"]);
        let (client_port, peer_port) = (ports::free(), ports::free());
        let mut cluster = Self { directory, authority, identity, client_port, peer_port, members: Vec::new() };
        cluster.members = (0..3).map(|number| cluster.member(number)).collect();
        cluster
    }

    /// Starts a member, with the data that it had if it ran before.
    fn member(&self, number: usize) -> Program {
        let host = format!("127.0.0.{}", 11 + number);
        let (client, peer) =
            (format!("https://{host}:{}", self.client_port), format!("https://{host}:{}", self.peer_port));
        let all: Vec<String> = (0..3).map(|n| format!("n{n}=https://127.0.0.{}:{}", 11 + n, self.peer_port)).collect();
        let mut etcd = command("etcd --client-cert-auth --peer-client-cert-auth --initial-cluster-state new");
        etcd.args(["--name", &format!("n{number}"), "--initial-cluster", &all.join(",")]);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.arg("--data-dir").arg(self.directory.path().join(format!("data{number}")));
        for prefix in ["--", "--peer-"] {
            etcd.arg(format!("{prefix}cert-file")).arg(&self.identity.certificate);
            etcd.arg(format!("{prefix}key-file")).arg(&self.identity.key);
            etcd.arg(format!("{prefix}trusted-ca-file")).arg(self.authority.file());
        }
        Program::start(&mut etcd)
    }

    /// `etcdctl …` through evenkeel's frontend.
    fn client(&self, app: &App, arguments: &str) -> Command {
        let mut etcdctl = command(&format!("etcdctl --endpoints https://{} {arguments}", app.front()));
        etcdctl.env("ETCDCTL_API", "3").env("ETCDCTL_CACERT", self.authority.file());
        etcdctl.env("ETCDCTL_CERT", &self.identity.certificate).env("ETCDCTL_KEY", &self.identity.key);
        etcdctl
    }

    /// Puts until it is taken: while a member dies, one call may fail and the next one goes elsewhere.
    fn put(&self, app: &App, key: &str, value: &str) {
        let put = format!("--command-timeout 3s put {key} {value}");
        until_within(Duration::from_secs(60), "a put is taken", || {
            output(&mut self.client(app, &put)).status.success().then_some(())
        });
    }
}

/// A frontend that leads to all members, each checked over TLS at a pace that suits a test.
fn in_front_of(cluster: &Cluster) -> App {
    let members = [11, 12, 13].map(|last| ([127, 0, 0, last], cluster.client_port).into());
    let pace = "interval = \"500ms\", fast_interval = \"500ms\", timeout = \"500ms\", rise = 2, fall = 3";
    App::start(&Config::to(&members).backend(&format!("check = {{ type = \"tls\", verify = \"none\", {pace} }}")))
}

const NAMES: [&str; 3] = ["a", "b", "c"];

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn an_etcd_cluster_loses_a_member_and_its_client_goes_on() {
    let mut cluster = Cluster::start();
    let mut app = in_front_of(&cluster);
    cluster.put(&app, "greeting", "hello");
    assert_eq!(run(&mut cluster.client(&app, "get greeting --print-value-only")).trim(), "hello");
    for name in NAMES {
        app.server_is(name, "ready");
    }

    let mut watch = Program::start(&mut cluster.client(&app, "watch --prefix seen/"));
    until("the watch is open", || (app.status()["process"]["counts"]["sessions"] == 1).then_some(()));
    let carrier = NAMES.iter().position(|name| app.server_sessions(name) == 1).expect("one of them carries the watch");
    let lease = lease(&cluster, &app);
    let alive = Program::start(&mut cluster.client(&app, &format!("lease keep-alive {lease}")));
    alive.wait_for("keepalived with TTL");
    // A watch is told of everything from its creation on: until it shows one change, it may not be created yet.
    until("the watch tells of a change", || {
        cluster.put(&app, "seen/first", "1");
        watch.printed().iter().any(|line| line == "seen/first").then_some(())
    });

    cluster.members[carrier].kill();
    app.next_line("that the member is down", |line| line["server"] == NAMES[carrier] && line["to"] == "down");
    shows(&app, NAMES[carrier], "down");
    cluster.put(&app, "seen/second", "2");
    tells(&mut watch, "seen/second", &cluster, &app);
    no_session_is_left_at(&cluster, carrier);

    cluster.members[carrier] = cluster.member(carrier);
    app.next_line("that the member is back", |line| line["server"] == NAMES[carrier] && line["to"] == "ready");
    shows(&app, NAMES[carrier], "ready");
    cluster.put(&app, "seen/third", "3");
    tells(&mut watch, "seen/third", &cluster, &app);

    let before = alive.printed().len();
    alive.find("the lease is still kept alive", before, |line| line.contains("keepalived with TTL").then_some(()));
    drop((watch, alive));
    app.has_sessions(0);
    nothing_lingers(&cluster, &app);
}

/// Waits until the watch tells of a change. While a leader is elected that takes its time, etcd itself ends a watch, as
/// etcdctl wants it to, and whoever watches begins anew.
fn tells(watch: &mut Program, key: &str, cluster: &Cluster, app: &App) {
    until("the watch tells of the change", || {
        let printed = watch.printed();
        if printed.iter().any(|line| line.contains("no leader")) {
            *watch = Program::start(&mut cluster.client(app, "watch --prefix seen/ --rev 1"));
        }
        printed.iter().any(|line| line == key).then_some(())
    });
}

/// Grants a lease of five seconds and gives its number.
fn lease(cluster: &Cluster, app: &App) -> String {
    let granted = run(&mut cluster.client(app, "lease grant 5"));
    granted.split_whitespace().nth(1).expect("lease NUMBER granted").to_owned()
}

/// The page and the status say the state in words, with the time since when.
fn shows(app: &App, name: &str, state: &str) {
    app.server_is(name, state);
    let server = app.server(name);
    assert!(server["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{server}");
    let page = http::get(app.stats(), "/").expect("the page").body;
    assert!(page.contains(state) && page.contains("UTC"), "{page}");
}

/// The kernel of the load balancer has no connection left to a member that is dead.
fn no_session_is_left_at(cluster: &Cluster, member: usize) {
    let host = [127, 0, 0, 11 + u8::try_from(member).expect("one of three")];
    until("no connection is left to the dead member", || {
        let sockets = sockets::tcp(None);
        let left = sockets.iter().any(|socket| {
            socket.peer == (host, cluster.client_port).into() && ["ESTAB", "CLOSE-WAIT"].contains(&&*socket.state)
        });
        (!left).then_some(())
    });
}

/// Once all clients have left, no connection of theirs is half open anywhere, on either side of the load balancer.
fn nothing_lingers(cluster: &Cluster, app: &App) {
    let halves = ["ESTAB", "CLOSE-WAIT", "FIN-WAIT-1", "FIN-WAIT-2", "LAST-ACK"];
    until("no session lingers in the kernel", || {
        let lingering = sockets::tcp(None).into_iter().filter(|socket| halves.contains(&&*socket.state));
        let mut ours = lingering.filter(|socket| socket.local == app.front() || socket.peer == app.front());
        ours.next().is_none().then_some(())
    });
    assert!(Path::new(&format!("/proc/{}", cluster.members[0].pid())).exists(), "the cluster itself goes on");
}
