//! Hosts: network namespaces, joined by cables, that go away with the test.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::program::{command, output, run};

/// A network namespace with its loopback interface up.
pub struct Host {
    name: String,
}

impl Host {
    /// A new one; its name is `name` behind a prefix that no other host has.
    pub fn new(name: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("evenkeel-{}-{number}-{name}", std::process::id());
        run(&mut command(&format!("ip netns add {name}")));
        let host = Self { name };
        host.ip("link set lo up");
        host
    }

    /// The namespace's name, for programs that take one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `ip …`, as on this host.
    pub fn ip(&self, arguments: &str) {
        run(&mut command(&format!("ip -n {} {arguments}", self.name)));
    }

    /// A program on this host.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command(&format!("ip netns exec {}", self.name));
        command.arg(program);
        command
    }

    /// Has its connections not paced: many machines' default does, and would be measured too. A machine may keep cubic to
    /// itself, reno never.
    pub fn does_not_pace(&self) {
        let chosen = ["cubic", "reno"].into_iter().find(|control| {
            let setting = format!("net.ipv4.tcp_congestion_control={control}");
            output(self.command("sysctl").args(["-q", "-w", &setting])).status.success()
        });
        assert!(chosen.is_some(), "{}: no congestion control that doesn't pace", self.name);
    }

    /// Does something on this host. A socket that is made there stays there, whoever uses it.
    pub fn on<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        inside(&Path::new("/run/netns").join(&self.name), act)
    }
}

/// Does something in the network namespace that this file stands for.
pub fn inside<T: Send>(namespace: &Path, act: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(namespace).unwrap();
    let there = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may do this");
        act()
    };
    thread::scope(|scope| scope.spawn(there).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Drop for Host {
    fn drop(&mut self) {
        output(&mut command(&format!("ip netns del {}", self.name)));
    }
}

/// Joins two hosts by a cable: each end is an interface with an address, written `host interface address/length`.
pub fn cable(left: (&Host, &str, &str), right: (&Host, &str, &str)) {
    let (one, other) = (left.0.name(), right.0.name());
    let ends = format!("name {} netns {one} type veth peer name {} netns {other}", left.1, right.1);
    run(&mut command(&format!("ip link add {ends}")));
    for (host, interface, address) in [left, right] {
        host.ip(&format!("address add {address} dev {interface}"));
        host.ip(&format!("link set {interface} up"));
    }
}
