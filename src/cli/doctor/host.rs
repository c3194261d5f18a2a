//! What this host allows, as the kernel tells everybody. What it doesn't tell is `None`.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use rustix::process::{Resource, getrlimit};

use crate::net::sys;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// Hard limit of open files of a process that is started here.
    pub descriptors: u64,
    pub somaxconn: Option<u64>,
    /// Entries that the connection tracker has, and may have; `None` without one.
    pub conntrack: Option<(u64, u64)>,
    /// First and last port that the kernel takes for a dial.
    pub ephemeral_ports: Option<(u64, u64)>,
    pub has_ipv6: bool,
    /// Lowest port that needs no capability.
    pub unprivileged_ports: Option<u64>,
    /// Pages in pipes that a user without CAP_SYS_RESOURCE may have; 0 is no limit.
    pub pipe_pages: Option<u64>,
    pub page_size: u64,
    pub congestion_control: Option<String>,
    /// Whether something keeps the clock right.
    pub clock_is_synchronised: Option<bool>,
}

impl Host {
    pub(super) fn read() -> Self {
        let tracked = |name: &str| number(&format!("/proc/sys/net/netfilter/{name}"));
        Self {
            descriptors: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
            somaxconn: number("/proc/sys/net/core/somaxconn"),
            conntrack: tracked("nf_conntrack_count").zip(tracked("nf_conntrack_max")),
            ephemeral_ports: text("/proc/sys/net/ipv4/ip_local_port_range").and_then(|text| pair(&text)),
            // The file is there with IPv6, and has a line for each address.
            has_ipv6: text("/proc/net/if_inet6").is_some_and(|text| !text.is_empty()),
            unprivileged_ports: number("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
            pipe_pages: number("/proc/sys/fs/pipe-user-pages-soft"),
            page_size: rustix::param::page_size() as u64,
            congestion_control: text("/proc/sys/net/ipv4/tcp_congestion_control"),
            clock_is_synchronised: sys::clock_is_synchronised().ok(),
        }
    }
}

fn text(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn number(path: &str) -> Option<u64> {
    text(path)?.parse().ok()
}

fn pair<T: FromStr>(text: &str) -> Option<(T, T)> {
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    words.next()?.zip(words.next()?)
}
