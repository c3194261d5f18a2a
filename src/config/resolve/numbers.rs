//! The numbers that proxies state: whose they are, and that nobody has another's.

use std::collections::HashMap;

use super::super::expand::{Expanded, Proxy};
use super::super::mistake::{Mistake, Mistakes};
use super::super::numbers::Numbers;
use super::super::raw;
use super::super::read::Stated;
use crate::model::ProxyId;

type Number = Option<Stated<raw::Number>>;

/// Those of a file, before the first is given out.
pub fn of(expanded: &Expanded) -> Numbers {
    Numbers::new(owners(expanded).filter_map(|(_, number)| value(number)), ProxyId::FIRST)
}

/// What is stated.
pub fn value(number: &Number) -> Option<u32> {
    number.as_ref().map(|number| number.value.0)
}

/// Who has a number.
#[derive(PartialEq)]
enum Owner {
    Frontend(Option<String>),
    Backend(Option<String>),
    Stats,
}

impl Owner {
    /// Whether the two may have one number, because they are what HAProxy calls a `listen` section.
    fn is_one_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Frontend(front), Self::Backend(back)) | (Self::Backend(back), Self::Frontend(front)) => {
                front.is_some() && front == back
            }
            _ => false,
        }
    }
}

fn owners(expanded: &Expanded) -> impl Iterator<Item = (Owner, &Number)> {
    let proxies = expanded.proxies.iter().map(|proxy| match proxy {
        Proxy::Frontend(frontend) => (Owner::Frontend(super::text(&frontend.name)), &frontend.id),
        Proxy::Backend(backend) => (Owner::Backend(super::text(&backend.name)), &backend.id),
    });
    proxies.chain(expanded.stats.iter().map(|stats| (Owner::Stats, &stats.id)))
}

/// Notes each number that two have who are not one.
pub fn note_duplicates(expanded: &Expanded, mistakes: &mut Mistakes) {
    let mut seen: HashMap<u32, (Owner, &Stated<raw::Number>)> = HashMap::new();
    for (owner, number) in owners(expanded) {
        let Some(id) = number else { continue };
        match seen.get(&id.value.0) {
            Some((first, _)) if first.is_one_with(&owner) => {}
            Some((_, first)) => {
                let mistake = Mistake::DuplicateName { things: "proxies", name: format!("number {}", id.value.0) };
                mistakes.push_pair(id.span(), first.span(), "first here", mistake);
            }
            None => drop(seen.insert(id.value.0, (owner, id))),
        }
    }
}
