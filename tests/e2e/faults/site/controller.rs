//! One controller: its API, its member of the etcd cluster, and the ways in which both can be hurt.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use rustix::process::Signal;

use super::{API, ETCD, controller, host, port, role};
use crate::certificates::Identity;
use crate::harness::namespace::Host;
use crate::harness::program::{Program, command, run};
use crate::server;

/// Port between members of the etcd cluster.
const PEERS: u16 = 2380;

/// A controller that runs, until it is hurt.
pub struct Controller {
    number: usize,
    pub api: Program,
    orders: ChildStdin,
    pub etcd: Program,
    pub host: Host,
    certificate: PathBuf,
    key: PathBuf,
    directory: PathBuf,
}

impl Controller {
    /// The name of its host, and of its port on the switch.
    pub fn name(number: usize) -> String {
        format!("cp{number}")
    }

    /// Starts it; its etcd member has the data of the one that was there before.
    pub fn start(number: usize, switch: &Host, identity: &Identity, directory: &Path) -> Self {
        let host = host(switch, &Self::name(number), controller(number));
        let etcd = Program::start(&mut member(number, &host, identity, directory));
        let (certificate, key) = (identity.certificate.clone(), identity.key.clone());
        let (api, orders) = role(&host, "server", &order(number, &certificate, &key, directory));
        Self { number, api, orders, etcd, host, certificate, key, directory: directory.to_owned() }
    }

    /// Waits until its API listens; etcd needs its other members for that, and the client waits for it.
    pub fn serves(&self) {
        self.api.wait_for("ready");
    }

    /// Tells the API something, and waits until it has done it.
    pub fn tell(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it listens while it lives");
        self.api.wait_for(&format!("done: {order}"));
    }

    /// Both processes are gone when this returns.
    pub fn kill(&mut self) {
        self.api.signal(Signal::KILL);
        self.etcd.kill();
        self.api.kill();
    }

    pub fn signal(&self, signal: Signal) {
        self.api.signal(signal);
        self.etcd.signal(signal);
    }

    /// Starts its API again, and waits until it listens.
    pub fn restart_api(&mut self) {
        let order = order(self.number, &self.certificate, &self.key, &self.directory);
        (self.api, self.orders) = role(&self.host, "server", &order);
        self.serves();
    }

    /// Rules of the host's firewall: what is written is what a chain of this hook does.
    pub fn firewall(&self, hook: &str, rule: &str) {
        let table = format!("add table inet fault_{hook}");
        let chain = format!("add chain inet fault_{hook} rules {{ type filter hook {hook} priority 0 ; }}");
        for line in [table, chain, format!("add rule inet fault_{hook} rules {rule}")] {
            run(&mut command(&format!("ip netns exec {} nft {line}", self.host.name())));
        }
    }

    /// Takes away what [`Controller::firewall`] has put there.
    pub fn open_firewall(&self, hook: &str) {
        run(&mut command(&format!("ip netns exec {} nft delete table inet fault_{hook}", self.host.name())));
    }

    /// It is gone without a word to anybody.
    pub fn vanish(self, switch: &Host) {
        switch.ip(&format!("link delete {}", port(&Self::name(self.number))));
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn order(number: usize, certificate: &Path, key: &Path, directory: &Path) -> String {
    let order = server::Order {
        number,
        address: SocketAddr::from((controller(number), API)),
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        writes: directory.join(format!("writes{number}")),
    };
    serde_json::to_string(&order).unwrap()
}

/// A member with TLS towards clients.
fn member(number: usize, host: &Host, identity: &Identity, directory: &Path) -> std::process::Command {
    let address = |number: usize| controller(number).map(|part| part.to_string()).join(".");
    let all: Vec<String> = (0..3).map(|n| format!("n{n}=http://{}:{PEERS}", address(n))).collect();
    let (client, peer) = (format!("https://{}:{ETCD}", address(number)), format!("http://{}:{PEERS}", address(number)));
    let mut etcd = host.command("etcd");
    etcd.args(["--initial-cluster-state", "new", "--name", &format!("n{number}")]);
    etcd.args(["--initial-cluster", &all.join(",")]);
    etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    etcd.arg("--cert-file").arg(&identity.certificate).arg("--key-file").arg(&identity.key);
    etcd.arg("--data-dir").arg(directory.join(format!("etcd{number}")));
    etcd
}
