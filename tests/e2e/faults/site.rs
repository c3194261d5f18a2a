//! Where the faults happen: a load balancer, three controllers and a client, each a host of its own on one network.

mod controller;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use std::io::Write;
use std::process::ChildStdin;

use crate::certificates::{Authority, Identity};
use crate::client::Load;
use crate::harness::namespace::Host;
use crate::harness::program::{Program, command, output, run};
use crate::harness::wait::until_within;
use crate::proxies::{Kind, Proxy};
use crate::records::Records;
use crate::rows::Setup;
use crate::wire::Wire;
pub use controller::Controller;

/// Ports of the API and of etcd, on controllers and load balancer alike.
pub const API: u16 = 6443;
pub const ETCD: u16 = 2379;

/// Addresses are those of the reference configuration; all hosts are on one network.
pub const BALANCER: [u8; 4] = [10, 10, 9, 1];
const CLIENT: [u8; 4] = [10, 10, 9, 2];

/// The address of a controller.
pub fn controller(number: usize) -> [u8; 4] {
    [10, 10, u8::try_from(number).expect("one of three"), 2]
}

/// Longest wait for what a client has begun before it stops.
const STOPPING: Duration = Duration::from_secs(60);

/// All hosts with what runs on them. Whatever happens, nothing of it outlives this value.
pub struct Site {
    client: Program,
    orders: ChildStdin,
    pub proxy: Proxy,
    pub controllers: Vec<Controller>,
    pub wire: Option<Wire>,
    pub balancer: Host,
    _client_host: Host,
    pub switch: Host,
    identity: Identity,
    records: PathBuf,
    directory: tempfile::TempDir,
}

impl Site {
    /// Builds all of it, and waits until every session of the client's has had an answer.
    pub fn build(setup: &Setup, kind: Kind) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = [0, 1, 2].map(|number| controller(number).map(|part| part.to_string()).join("."));
        let identity = Authority::new(directory.path()).issue("controller", &names.each_ref().map(String::as_str));
        let switch = Host::new("switch");
        switch.ip("link add bridge type bridge");
        switch.ip("link set bridge up");
        let (balancer, wire) = if setup.wire { lossy_host(&switch) } else { (host(&switch, "lb", BALANCER), None) };
        let client_host = host(&switch, "client", CLIENT);
        let controllers = (0..3).map(|number| Controller::start(number, &switch, &identity, directory.path()));
        let controllers: Vec<_> = controllers.collect();
        controllers.iter().for_each(Controller::serves);
        let proxy = Proxy::start(kind, setup, &balancer, directory.path());
        let records = directory.path().join("records.json");
        let (client, orders) = start_client(setup, &client_host, &records);
        let _client_host = client_host;
        Self { client, orders, proxy, controllers, wire, balancer, _client_host, switch, identity, records, directory }
    }

    /// Orders the client to do something more.
    pub fn tell_client(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the client listens to the end");
    }

    /// Waits until the client has said so.
    pub fn client_has(&self, patience: Duration, word: &str) {
        until_within(patience, word, || self.client.printed().iter().any(|line| line == word).then_some(()));
    }

    /// Puts a controller where there is none, with the addresses of the one that was there.
    pub fn rebuild(&mut self, number: usize) {
        let crashed = self.controllers.remove(number);
        crashed.vanish(&self.switch);
        let rebuilt = Controller::start(number, &self.switch, &self.identity, self.directory.path());
        self.controllers.insert(number, rebuilt);
    }

    /// Pulls the plug of a host at the switch, or puts it back.
    pub fn plug(&self, name: &str, state: &str) {
        self.switch.ip(&format!("link set {} {state}", port(name)));
    }

    /// `ss -tin` of the load balancer: every connection that it has, with what the kernel knows of it.
    pub fn sockets(&self) -> String {
        let inside = format!("ip netns exec {} ss --tcp --info --numeric --all --no-header", self.balancer.name());
        String::from_utf8_lossy(&output(&mut command(&inside)).stdout).into_owned()
    }

    /// Ends the client's work and gives what it saw.
    pub fn finish(&mut self) -> Records {
        self.tell_client("stop");
        self.client_has(STOPPING, "stopped");
        serde_json::from_slice(&std::fs::read(&self.records).unwrap()).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.client.signal(rustix::process::Signal::KILL);
    }
}

fn start_client(setup: &Setup, host: &Host, records: &Path) -> (Program, ChildStdin) {
    // Where all are hurt, what is hurt is what the others are held against.
    let healthy = (0..3).filter(|number| !setup.victims.contains(number) || setup.victims.len() == 3);
    let load = Load {
        api: SocketAddr::from((BALANCER, API)),
        etcd: SocketAddr::from((BALANCER, ETCD)),
        healthy: healthy.map(|number| SocketAddr::from((controller(number), API))).collect(),
        members: (0..3).map(|number| SocketAddr::from((controller(number), ETCD))).collect(),
        idle: 300,
        busy: 48,
        writers: 12,
        stalled: setup.stalled,
        records: records.to_owned(),
    };
    let (client, orders) = role(host, "client", &serde_json::to_string(&load).unwrap());
    client.wait_for("ready");
    (client, orders)
}

/// This program in another role, on a host, with what it is told to do.
fn role(host: &Host, role: &str, order: &str) -> (Program, ChildStdin) {
    let program = std::env::current_exe().unwrap();
    let mut command = host.command(program.to_str().expect("cargo's names are text"));
    let mut program = Program::start_with_input(command.args([role, order]), Stdio::piped());
    let input = program.input().expect("it was piped");
    (program, input)
}

/// A host whose one interface is plugged into the switch. Its hardware address stays when it is built again.
fn host(switch: &Host, name: &str, address: [u8; 4]) -> Host {
    let host = Host::new(name);
    let (port, hardware) = (port(name), hardware(address));
    let ends = format!("name {port} netns {} type veth peer name eth0 address {hardware}", switch.name());
    run(&mut command(&format!("ip link add {ends} netns {}", host.name())));
    plug_in(&host, switch, &port, address);
    host
}

/// A host whose cable is a wire that may go bad.
fn lossy_host(switch: &Host) -> (Host, Option<Wire>) {
    let host = Host::new("lb");
    let wire = Wire::new((&host, "eth0"), (switch, &port("lb")));
    plug_in(&host, switch, &port("lb"), BALANCER);
    (host, Some(wire))
}

fn plug_in(host: &Host, switch: &Host, port: &str, address: [u8; 4]) {
    let address = address.map(|part| part.to_string()).join(".");
    host.does_not_pace();
    run(host.command("sysctl").args(["-q", "-w", "net.core.somaxconn=4096"]));
    host.ip(&format!("address add {address}/16 dev eth0"));
    host.ip("link set eth0 up");
    switch.ip(&format!("link set {port} master bridge up"));
}

/// The name of a host's port on the switch.
fn port(name: &str) -> String {
    format!("to-{name}")
}

fn hardware(address: [u8; 4]) -> String {
    let parts = address.map(|part| format!("{part:02x}"));
    format!("02:00:{}", parts.join(":"))
}
