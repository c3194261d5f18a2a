//! Where is listened: each address once, over all frontends and the stats page.

use std::collections::HashMap;

use super::super::expand::Expanded;
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::Origin;
use super::filled;
use crate::model::{ListenAddress, ProxyId, Stats};

/// `None` if it is off.
pub fn stats(raw: &raw::Stats, id: ProxyId) -> Option<Stats> {
    let listen = filled(&raw.listen);
    let listen = listen.on()?.0.iter().map(|address| address.value).collect();
    Some(Stats { id, listen, freebind: filled(&raw.freebind) })
}

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
    let mut ports: HashMap<u16, Port> = HashMap::new();
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

/// The listeners of one port, such that looking for a collision doesn't look at each of many addresses.
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
        let narrow = || match is_wide(address) {
            true => self.narrow.values().filter(overlapping).min_by_key(|listener| listener.origin.span()),
            false => self.narrow.get(&address),
        };
        wide.or_else(narrow)
    }

    fn add(&mut self, listener: Listener) {
        match is_wide(listener.address) {
            true => self.wide.push(listener),
            false => drop(self.narrow.entry(listener.address).or_insert(listener)),
        }
    }
}

fn is_wide(address: ListenAddress) -> bool {
    match address {
        ListenAddress::DualStack { .. } => true,
        ListenAddress::Tcp(address) => address.ip().is_unspecified(),
    }
}

fn listeners(expanded: &Expanded) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for frontend in expanded.frontends() {
        let owner = super::named("frontend", &super::text(&frontend.name));
        for address in frontend.listen.iter().flat_map(|listen| &listen.value.0) {
            listeners.push(Listener { address: address.value, origin: address.origin, owner: owner.clone() });
        }
    }
    let stats = expanded.stats.listen.as_ref().and_then(|listen| listen.value.on());
    for address in stats.iter().flat_map(|listen| &listen.0) {
        let owner = match address.origin {
            Origin::BuiltIn => "the stats page, by default",
            _ => "the stats page",
        };
        listeners.push(Listener { address: address.value, origin: address.origin, owner: owner.to_owned() });
    }
    listeners
}
