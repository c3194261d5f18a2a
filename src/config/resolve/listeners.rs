//! Where is listened: each address once, over all frontends and the stats page.

use std::collections::HashMap;

use super::super::expand::Expanded;
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::Span;
use super::{filled, frontends};
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
    at: Option<Span>,
    owner: String,
}

/// Notes each listener that would collide with one before it.
pub fn note_collisions(expanded: &Expanded, mistakes: &mut Mistakes) {
    let mut by_port: HashMap<u16, Vec<Listener>> = HashMap::new();
    for listener in listeners(expanded) {
        let others = by_port.entry(listener.address.port()).or_default();
        if let Some(first) = others.iter().find(|other| other.address.overlaps(listener.address)) {
            let mistake = Mistake::ListenersCollide {
                first: first.address.to_string(),
                first_owner: first.owner.clone(),
                second: listener.address.to_string(),
                owner: listener.owner.clone(),
            };
            mistakes.push_pair(listener.at, first.at, "first here", mistake);
        }
        others.push(listener);
    }
}

fn listeners(expanded: &Expanded) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for frontend in frontends(expanded) {
        let owner = super::named("frontend", &frontend.name);
        for address in frontend.listen.iter().flat_map(|listen| &listen.value.0) {
            listeners.push(Listener { address: address.value, at: address.span(), owner: owner.clone() });
        }
    }
    let stats = expanded.stats.listen.as_ref().and_then(|listen| listen.value.on());
    for address in stats.iter().flat_map(|listen| &listen.0) {
        listeners.push(Listener { address: address.value, at: address.span(), owner: "stats".to_owned() });
    }
    listeners
}
