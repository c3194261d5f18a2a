//! What keeps konnectivity's agents from reaching every server: works for other clients, and is warned of here.

use std::collections::HashSet;

use super::super::expand::Expanded;
use super::super::mistake::{Mistake, Mistakes};
use super::super::preset::KONNECTIVITY;
use super::super::raw;
use super::text;
use crate::model::{BackendName, Balance};

/// The preset's name for its backend, which people keep when they write the file by themselves.
const BACKEND: &str = "konnectivity_backend";

/// Notes what does not go with clients each of whom needs a session at every server.
pub fn note_hindrances(expanded: &Expanded, mistakes: &mut Mistakes) {
    let reached = reached(expanded);
    for backend in expanded.backends() {
        let agents = is_konnectivity(backend, &reached);
        if agents {
            note_balance(backend, mistakes);
            note_slow_start(backend, mistakes);
        }
        if agents || backend.balance.as_ref().is_some_and(|balance| balance.value == Balance::Spread) {
            note_weights(backend, mistakes);
        }
    }
}

/// The backends that frontends lead to which listen on konnectivity's port.
fn reached(expanded: &Expanded) -> HashSet<&BackendName> {
    let listens = |frontend: &&raw::Frontend| {
        let doors = frontend.listen.iter().flat_map(|listen| &listen.value.0);
        doors.filter_map(|door| door.value.address()).any(|address| address.value.0.port() == Some(KONNECTIVITY))
    };
    expanded.frontends().filter(listens).filter_map(|frontend| Some(&frontend.backend.as_ref()?.value)).collect()
}

/// By its name, or by the port of a server or of a frontend that leads to it.
fn is_konnectivity(backend: &raw::Backend, reached: &HashSet<&BackendName>) -> bool {
    let Some(name) = &backend.name else { return false };
    name.value.as_str() == BACKEND
        || reached.contains(&name.value)
        || members(backend)
            .any(|server| server.address.as_ref().is_some_and(|address| address.value.endpoint.port == KONNECTIVITY))
}

fn members(backend: &raw::Backend) -> impl Iterator<Item = &raw::Server> {
    backend.servers.iter().flat_map(|servers| &servers.value.0).map(|member| &member.value.0)
}

/// Notes a method that leads one address to one server.
fn note_balance(backend: &raw::Backend, mistakes: &mut Mistakes) {
    let Some(balance) = &backend.balance else { return };
    if (balance.value.is_sticky() || balance.value == Balance::First) && !backend.refused.contains(&"balance") {
        let backend = text(&backend.name).unwrap_or_default();
        mistakes.push(balance.span(), Mistake::OneServerForAgents { backend, balance: balance.value.name() });
    }
}

/// Notes what keeps sessions from the very server that all agents are missing.
fn note_slow_start(backend: &raw::Backend, mistakes: &mut Mistakes) {
    let spread = backend.balance.as_ref().is_some_and(|balance| balance.value == Balance::Spread);
    if let Some(slow_start) = backend.slow_start.as_ref().filter(|slow_start| slow_start.value.on().is_some()) {
        let backend = text(&backend.name).unwrap_or_default();
        mistakes.push(slow_start.span(), Mistake::SlowStartForAgents { backend, spread });
    }
}

/// Notes weights that differ; 0 takes a server out, and is no share.
fn note_weights(backend: &raw::Backend, mistakes: &mut Mistakes) {
    let mut shares = members(backend).filter_map(|server| server.weight.as_ref()).filter(|weight| weight.value.0 > 0);
    let Some(first) = shares.next() else { return };
    let Some(other) = shares.find(|weight| weight.value != first.value) else { return };
    let spread = backend.balance.as_ref().is_some_and(|balance| balance.value == Balance::Spread);
    let mistake = Mistake::UnequalWeights { backend: text(&backend.name).unwrap_or_default(), spread };
    mistakes.push_pair(other.span(), first.span(), "unlike this one", mistake);
}
