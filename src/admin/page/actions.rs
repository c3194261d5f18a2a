//! What an operator may do to a server, each asked once, with what it touches.

use std::time::SystemTime;

use askama::Template;

use super::super::figures::{count, span};
use crate::event::{BackendSnapshot, DrainSnapshot, ServerSnapshot};

/// The part of a server's page that acts.
#[derive(Template)]
#[template(path = "actions.html")]
pub(super) struct Actions {
    /// Where its actions are sent.
    path: String,
    backend: String,
    server: String,
    sessions: u32,
    /// How many sessions it is about, in a sentence.
    touched: String,
    /// What an operator wants of it.
    state: &'static str,
    weight: u16,
    drain: Option<Progress>,
}

/// How far a drain over a time is.
struct Progress {
    words: String,
    gone: u32,
    of: u32,
}

impl Actions {
    pub(super) fn of(backend: &BackendSnapshot, server: &ServerSnapshot, now: SystemTime) -> Self {
        let sessions = server.counts.sessions;
        let touched = match sessions {
            0 => "No session is open there.".to_owned(),
            1 => "One session is open there.".to_owned(),
            n => format!("{} sessions are open there.", count(n.into())),
        };
        Self {
            path: format!("/api/v1/servers/{}/{}", backend.name, server.name),
            backend: backend.name.to_string(),
            server: server.name.to_string(),
            sessions,
            touched,
            state: server.admin.word(),
            weight: server.weight.value(),
            drain: server.drain.map(|drain| Progress::of(drain, sessions, now)),
        }
    }
}

impl Progress {
    fn of(drain: DrainSnapshot, left: u32, now: SystemTime) -> Self {
        let time_left = drain.over.saturating_sub(now.duration_since(drain.begun).unwrap_or_default());
        let gone = drain.sessions.saturating_sub(left);
        let words = format!(
            "Draining: {} of {} sessions are left, {} to go.",
            count(left.into()),
            count(drain.sessions.into()),
            span(time_left)
        );
        Self { words, gone, of: drain.sessions.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::AdminState;
    use crate::event::fixture;

    fn part(change: impl FnOnce(&mut ServerSnapshot)) -> String {
        let mut snapshot = fixture::cluster();
        let mut server = snapshot.backends[0].servers.remove(1);
        change(&mut server);
        Actions::of(&snapshot.backends[0], &server, snapshot.at).render().unwrap()
    }

    // Seen to fail with the number of sessions left out of one of them.
    #[test]
    fn each_action_says_how_many_sessions_it_touches_and_what_is_so_is_not_offered() {
        let html = part(|server| server.counts.sessions = 1_204);
        assert_eq!(html.matches("1,204 sessions are open there.").count(), html.matches("<dialog").count());
        assert!(html.contains("data-opens=\"ask-drain\"") && !html.contains("data-opens=\"ask-ready\""));
        let html = part(|server| {
            server.admin = AdminState::Drain;
            server.counts.sessions = 0;
        });
        assert!(html.contains("data-opens=\"ask-ready\"") && !html.contains("data-opens=\"ask-drain\""));
        assert!(!html.contains("data-opens=\"ask-close\""), "there is nothing to close");
    }

    #[test]
    fn a_drain_says_how_far_it_is() {
        let html = part(|server| {
            server.counts.sessions = 30;
            let begun = fixture::now() - Duration::from_secs(45);
            server.drain = Some(DrainSnapshot { begun, over: Duration::from_secs(60), sessions: 100 });
        });
        assert!(html.contains("Draining: 30 of 100 sessions are left, 15 s to go."), "{html}");
        assert!(html.contains("<progress max=\"100\" value=\"70\">"));
    }
}
