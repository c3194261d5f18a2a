//! Where is listened: each address once, over all frontends and the stats page, and none of them a server's.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::super::expand::Expanded;
use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Origin;
use crate::model::{Endpoint, HostAddress, ListenAddress, RuntimeAddress};

/// A listener as it stands in the file.
struct Listener {
    address: ListenAddress,
    origin: Origin,
    owner: String,
}

impl Listener {
    /// What is at its place.
    fn label(&self) -> &'static str {
        match self.origin {
            Origin::Preset { .. } => "the preset listens there",
            _ => "first here",
        }
    }
}

/// Notes each listener that would collide with one before it.
pub fn note_collisions(expanded: &Expanded, mistakes: &mut Mistakes) {
    let mut ports: HashMap<Option<u16>, Port> = HashMap::new();
    for listener in listeners(expanded) {
        let port = ports.entry(listener.address.port()).or_default();
        if let Some(first) = port.colliding(listener.address) {
            let mistake = Mistake::ListenersCollide {
                first: first.address.to_string(),
                first_owner: first.owner.clone(),
                second: listener.address.to_string(),
                owner: listener.owner.clone(),
            };
            mistakes.push_pair(listener.origin.span(), first.origin.span(), first.label(), mistake);
        }
        port.add(listener);
    }
}

/// Notes each server that is a listener of a frontend: its sessions would come back, and take another session each
/// time. Only what is sure on any machine is noted: the very address, or loopback where all addresses are listened on.
pub fn note_circles(expanded: &Expanded, mistakes: &mut Mistakes) {
    let mut ports: HashMap<Option<u16>, Port> = HashMap::new();
    for listener in frontends_listeners(expanded) {
        ports.entry(listener.address.port()).or_default().add(listener);
    }
    // One controller of a preset is a server in several backends.
    let mut noted = HashSet::new();
    for backend in expanded.backends() {
        for member in backend.servers.iter().flat_map(|servers| &servers.value.0) {
            let Some(address) = &member.value.0.address else { continue };
            let endpoint = &address.value.endpoint;
            let listener = ports.get(&Some(endpoint.port)).and_then(|port| port.taking(endpoint));
            let Some(listener) = listener.filter(|_| noted.insert(address.span())) else { continue };
            let mistake = Mistake::LeadsToItself {
                server: super::named("server", &super::text(&member.value.0.name)),
                address: address.value.written.clone(),
                listener: listener.address.to_string(),
                owner: listener.owner.clone(),
            };
            mistakes.push_pair(address.span(), listener.origin.span(), "this takes its sessions", mistake);
        }
    }
}

/// The listeners of one port, or all those of which only the socket knows it, such that looking for a collision doesn't look at each of many addresses.
#[derive(Default)]
struct Port {
    /// Those on all addresses of a family or of both.
    wide: Vec<Listener>,
    narrow: HashMap<ListenAddress, Listener>,
}

impl Port {
    fn colliding(&self, address: ListenAddress) -> Option<&Listener> {
        let overlapping = |other: &&Listener| other.address.overlaps(address);
        let wide = self.wide.iter().find(overlapping);
        let narrow = || match address.is_wide() {
            true => self.narrow.values().filter(overlapping).min_by_key(|listener| listener.origin.span()),
            false => self.narrow.get(&address),
        };
        wide.or_else(narrow)
    }

    /// The listener that is reached under this address.
    fn taking(&self, endpoint: &Endpoint) -> Option<&Listener> {
        let narrow = match &endpoint.host {
            HostAddress::Ip(ip) => self.narrow.get(&ListenAddress::Tcp(SocketAddr::new(*ip, endpoint.port))),
            HostAddress::Name(_) => None,
        };
        narrow.or_else(|| self.wide.iter().find(|listener| listener.address.takes(endpoint)))
    }

    fn add(&mut self, listener: Listener) {
        match listener.address.is_wide() {
            true => self.wide.push(listener),
            false => drop(self.narrow.entry(listener.address).or_insert(listener)),
        }
    }
}

fn frontends_listeners(expanded: &Expanded) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for frontend in expanded.frontends() {
        let owner = super::named("frontend", &super::text(&frontend.name));
        let doors = frontend.listen.iter().flat_map(|listen| &listen.value.0);
        for address in doors.filter_map(|door| door.value.address()) {
            listeners.push(Listener { address: address.value.0, origin: address.origin, owner: owner.clone() });
        }
    }
    listeners
}

fn listeners(expanded: &Expanded) -> Vec<Listener> {
    let mut listeners = frontends_listeners(expanded);
    let stats = expanded.stats.iter().filter(|stats| !stats.refused.contains(&"listen"));
    let stats = stats.filter_map(|stats| stats.listen.as_ref()?.value.on());
    for address in stats.flat_map(|listen| &listen.0) {
        let owner = match address.origin {
            Origin::BuiltIn => "the stats page, by default",
            _ => "the stats page",
        };
        listeners.push(Listener { address: address.value, origin: address.origin, owner: owner.to_owned() });
    }
    for listen in expanded.runtime.iter().filter_map(|socket| socket.listen.as_ref()) {
        if let RuntimeAddress::Listen(address) = listen.value.0 {
            listeners.push(Listener { address, origin: listen.origin, owner: "the runtime API".to_owned() });
        }
    }
    listeners
}
