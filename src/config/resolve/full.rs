//! What is said of servers that are full, held against each other.

use super::super::leaf::Switch;
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw::{self, Sessions};
use super::super::read::Stated;
use super::filled;
use crate::model::OnFull;

/// Notes queues that nobody waits in, and limits that begin beyond their end.
pub fn note_contradictions(backend: &raw::Backend, mistakes: &mut Mistakes) {
    for server in backend.servers.iter().flat_map(|servers| &servers.value.0).map(|member| &member.value.0) {
        note_queue_for_nobody(server, backend, mistakes);
        note_limits(server, mistakes);
    }
}

fn note_queue_for_nobody(server: &raw::Server, backend: &raw::Backend, mistakes: &mut Mistakes) {
    let Some(queue) = stated(&server.max_queue) else { return };
    if filled(&backend.on_full) == OnFull::Next && !backend.refused.contains(&"on_full") {
        mistakes.push(queue.span(), Mistake::QueueForNobody);
    }
}

fn note_limits(server: &raw::Server, mistakes: &mut Mistakes) {
    let Some(low) = stated(&server.min_sessions) else { return };
    if server.refused.contains(&"max_sessions") {
        return;
    }
    let Some(least) = low.value.on().map(|sessions| sessions.0) else { return };
    let most = filled(&server.max_sessions).on().map(|sessions| sessions.0);
    if most.is_none_or(|most| least >= most) {
        mistakes.push(low.span(), Mistake::LimitWithoutRoom { least });
    }
}

/// A number that is on.
fn stated(key: &Option<Stated<Switch<Sessions>>>) -> Option<&Stated<Switch<Sessions>>> {
    key.as_ref().filter(|key| key.value.on().is_some())
}
