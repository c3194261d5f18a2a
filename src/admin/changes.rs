//! Changes of servers' states, for those who look back, and the colour of each state.

use std::time::SystemTime;

use super::headline::Tone;
use crate::event::{Change, ServerChange, ServerState};
use crate::model::{BackendName, ServerName};
use crate::observe::history::History;

/// A server's state became another one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StateChange {
    pub at: SystemTime,
    pub server: ServerName,
    pub from: ServerState,
    pub to: ServerState,
    /// The event's sentence.
    pub text: String,
}

/// The changes of a backend's servers since a time, or of one of them alone; the oldest first.
pub(super) fn changes(
    history: &History,
    since: SystemTime,
    backend: &BackendName,
    server: Option<&ServerName>,
) -> Vec<StateChange> {
    let is_wanted = |change: &ServerChange| {
        change.at >= since && change.backend == *backend && server.is_none_or(|server| change.server == *server)
    };
    let events = history.after(Some(0), History::MOST).events;
    let changes = events.iter().filter_map(|event| match &event.change {
        Change::Server(change) if is_wanted(change) => Some(StateChange::of(change)),
        _ => None,
    });
    changes.collect()
}

impl StateChange {
    fn of(change: &ServerChange) -> Self {
        let ServerChange { at, server, from, to, .. } = change;
        Self { at: *at, server: server.clone(), from: *from, to: *to, text: change.text() }
    }
}

impl Tone {
    /// How bad it is for a server to be in this state.
    pub(super) fn of(state: ServerState) -> Self {
        match state {
            ServerState::Ready => Self::Good,
            ServerState::Drain | ServerState::Maint => Self::Notice,
            ServerState::Draining | ServerState::Kept(_) => Self::Warning,
            ServerState::Down(_) | ServerState::Stranger => Self::Bad,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;
    use crate::event::{DownCause, IsolationChange};

    /// A change of one of the fixture's servers, so long ago.
    pub(in crate::admin) fn change(server: &str, from: ServerState, to: ServerState, ago: u64) -> Change {
        Change::Server(ServerChange {
            backend: BackendName::new("kubeAPI_backend").unwrap(),
            server: ServerName::new(server).unwrap(),
            from,
            to,
            evidence: None,
            recent: Vec::new(),
            sessions: 0,
            active_left: 2,
            backup_left: 0,
            at: clock::wall() - Duration::from_secs(ago),
            backup: false,
            reported: false,
            via: None,
            is_listen: false,
            forced: None,
        })
    }

    // Seen to fail with the other servers' changes among them, and with those of before.
    #[test]
    fn of_all_events_those_of_one_backend_or_server_are_given() {
        const DOWN: ServerState = ServerState::Down(DownCause::Refused);
        let history = History::default();
        history.note(change("a", ServerState::Ready, DOWN, 7_200));
        history.note(change("a", DOWN, ServerState::Ready, 300));
        history.note(Change::Isolation(IsolationChange { isolated: None, at: clock::wall() }));
        history.note(change("b", ServerState::Ready, DOWN, 200));
        let hour = clock::wall() - Duration::from_secs(3_600);
        let name = |name: &str| BackendName::new(name).unwrap();
        let of = |backend: &str, server: Option<&ServerName>| -> Vec<String> {
            let changes = changes(&history, hour, &name(backend), server).into_iter();
            changes.map(|change| format!("{} {}", change.server, change.to.word())).collect()
        };
        assert_eq!(of("kubeAPI_backend", None), ["a ready", "b down"]);
        assert_eq!(of("kubeAPI_backend", Some(&ServerName::new("b").unwrap())), ["b down"]);
        assert!(of("konnectivity_backend", None).is_empty());
    }
}
