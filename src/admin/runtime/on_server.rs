//! What HAProxy's words do to one server, whether they come over the runtime API or by the form of its page.

use super::target::Found;
use crate::admin::{Action, Views};
use crate::event::{AdminState, ForcedHealth, ServerSnapshot, SessionId, SessionSnapshot};

/// Something that is done to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnServer {
    State(AdminState),
    /// Has it probed, or no longer.
    Check(bool),
    Health(ForcedHealth),
    /// Has its agent asked, or no longer.
    AskAgent(bool),
    /// Has its agent count as having said up, or down.
    Agent(bool),
    EndSessions,
}

impl OnServer {
    /// Whether the server has what that is done to.
    pub fn fits(self, found: Found<'_>, views: &Views) -> bool {
        match self {
            Self::State(_) | Self::EndSessions => true,
            Self::Check(_) => found.server.check.is_some(),
            Self::Health(_) => found.server.track.is_none(),
            Self::AskAgent(_) => found.server.agent.is_some(),
            Self::Agent(_) => server(found, views).is_some_and(|server| server.agent.is_some()),
        }
    }

    /// The action that does it; `None` if there is nothing to be done, as where no session is.
    pub fn action(self, found: Found<'_>, views: &Views) -> Option<Action> {
        let target = found.target();
        Some(match self {
            Self::State(state) => Action::SetState { target, state, over: None },
            Self::Check(on) => Action::SetChecks { target, on },
            Self::Health(health) => Action::SetHealth { target, health },
            Self::AskAgent(on) => Action::AskAgent { target, on },
            Self::Agent(up) => Action::SetAgent { target, up },
            Self::EndSessions => {
                let ids = sessions(found, views);
                (!ids.is_empty()).then_some(Action::Kill { ids })?
            }
        })
    }
}

/// The server as it is.
pub fn server(found: Found<'_>, views: &Views) -> Option<ServerSnapshot> {
    let mut backends = (views.snapshot)().backends.into_iter();
    let backend = backends.find(|backend| backend.name == found.backend.name)?;
    backend.servers.into_iter().find(|server| server.name == found.server.name)
}

fn sessions(found: Found<'_>, views: &Views) -> Vec<SessionId> {
    let is_there = |session: &SessionSnapshot| {
        session.backend.as_ref() == Some(&found.backend.name) && session.server.as_ref() == Some(&found.server.name)
    };
    (views.sessions)().into_iter().filter(is_there).map(|session| session.id).collect()
}
