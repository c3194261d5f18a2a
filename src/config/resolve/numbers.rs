//! The numbers by which HAProxy's outputs name proxies: those that the file states, and the next free ones.

use std::collections::{HashMap, HashSet};

use super::super::expand::{Expanded, Proxy};
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::Stated;
use crate::model::ProxyId;

/// Gives out numbers in the order of the file.
pub struct Numbers {
    stated: HashSet<u32>,
    next: u32,
}

impl Numbers {
    pub fn of(expanded: &Expanded) -> Self {
        let proxies = expanded.proxies.iter().filter_map(|proxy| stated(proxy)?.0.as_ref());
        let sites = expanded.stats.iter().filter_map(|stats| stats.id.as_ref());
        Self { stated: proxies.chain(sites).map(|id| id.value.0).collect(), next: ProxyId::FIRST.0 }
    }

    /// The number of a proxy that states this one, or none.
    pub fn id(&mut self, stated: &Option<Stated<raw::Number>>) -> ProxyId {
        stated.as_ref().map_or_else(|| self.next(), |id| ProxyId(id.value.0))
    }

    /// The next one that nobody has.
    pub fn next(&mut self) -> ProxyId {
        while self.stated.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        ProxyId(self.next - 1)
    }
}

/// A proxy's number as it is stated, and its name.
fn stated(proxy: &Proxy) -> Option<(&Option<Stated<raw::Number>>, String)> {
    match proxy {
        Proxy::Frontend(frontend) => Some((&frontend.id, super::text(&frontend.name)?)),
        Proxy::Backend(backend) => Some((&backend.id, super::text(&backend.name)?)),
    }
}

/// Notes each number that two proxies state, unless they are a frontend and a backend of one name: what HAProxy calls
/// a `listen` section is one proxy.
pub fn note_duplicates(expanded: &Expanded, mistakes: &mut Mistakes) {
    let mut seen: HashMap<u32, (bool, String, &Stated<raw::Number>)> = HashMap::new();
    for proxy in &expanded.proxies {
        let Some((Some(id), name)) = stated(proxy) else { continue };
        let is_frontend = matches!(proxy, Proxy::Frontend(_));
        match seen.get(&id.value.0) {
            Some((other, of, _)) if *other != is_frontend && *of == name => {}
            Some((_, _, first)) => {
                let mistake = Mistake::DuplicateName { things: "proxies", name: format!("number {}", id.value.0) };
                mistakes.push_pair(id.span(), first.span(), "first here", mistake);
            }
            None => drop(seen.insert(id.value.0, (is_frontend, name, id))),
        }
    }
    let mut seen: HashMap<u32, &Stated<raw::Number>> =
        seen.into_iter().map(|(id, (.., stated))| (id, stated)).collect();
    for id in expanded.stats.iter().filter_map(|stats| stats.id.as_ref()) {
        if let Some(first) = seen.insert(id.value.0, id) {
            let mistake = Mistake::DuplicateName { things: "proxies", name: format!("number {}", id.value.0) };
            mistakes.push_pair(id.span(), first.span(), "first here", mistake);
        }
    }
}
