//! The order in which servers are used: whom a session may be given to, best first.

use super::standing::Standing;
use crate::event::{AdminState, ServerState};
use crate::model::{self, Balance};

/// Servers that are as good as one another. One that the operator took out is in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    ReadyPrimary,
    ReadyBackup,
    DrainingPrimary,
    DrainingBackup,
    /// Suspects, and those whose dials are silent, are chosen only if nobody is usable who isn't one.
    SuspectPrimary,
    SuspectBackup,
    SuspectDrainingPrimary,
    SuspectDrainingBackup,
    /// All that the operator has not taken out, when [`model::OnNoServer::TryAll`] is set.
    LastResort,
}

impl Tier {
    pub const ORDER: [Self; 9] = [
        Self::ReadyPrimary,
        Self::ReadyBackup,
        Self::DrainingPrimary,
        Self::DrainingBackup,
        Self::SuspectPrimary,
        Self::SuspectBackup,
        Self::SuspectDrainingPrimary,
        Self::SuspectDrainingBackup,
        Self::LastResort,
    ];

    /// How one of a tier is chosen. Backups stand in for one another, in file order, as HAProxy's do without
    /// `option allbackups` (its manual, section 4.2): the first has all sessions, unless they are to share them.
    pub fn balance(self, spec: &model::Backend) -> Balance {
        match self {
            _ if self.is_backup() && !spec.all_backups => Balance::First,
            _ => spec.balance,
        }
    }

    /// Where a server stands at the moment.
    pub fn of(standing: &Standing, backup: bool, silent: bool) -> Option<Self> {
        // One that the operator took out and that is down besides counts as down, and is nobody's last resort.
        if standing.weight.value() == 0 || standing.admin != AdminState::Ready {
            return None;
        }
        let tier = match (standing.state(), backup) {
            (ServerState::Ready | ServerState::Kept(_), false) => Self::ReadyPrimary,
            (ServerState::Ready | ServerState::Kept(_), true) => Self::ReadyBackup,
            (ServerState::Draining, false) => Self::DrainingPrimary,
            (ServerState::Draining, true) => Self::DrainingBackup,
            (ServerState::Down(_), _) => return Some(Self::LastResort),
            (ServerState::Stranger | ServerState::Drain | ServerState::Maint, _) => return None,
        };
        let doubted = silent || standing.is_suspect() || matches!(standing.state(), ServerState::Kept(_));
        Some(if doubted { tier.suspect() } else { tier })
    }

    /// Whether its servers say that they take no new work.
    pub fn is_draining(self) -> bool {
        matches!(
            self,
            Self::DrainingPrimary | Self::DrainingBackup | Self::SuspectDrainingPrimary | Self::SuspectDrainingBackup
        )
    }

    pub fn is_backup(self) -> bool {
        matches!(self, Self::ReadyBackup | Self::DrainingBackup | Self::SuspectBackup | Self::SuspectDrainingBackup)
    }

    fn suspect(self) -> Self {
        match self {
            Self::ReadyPrimary => Self::SuspectPrimary,
            Self::ReadyBackup => Self::SuspectBackup,
            Self::DrainingPrimary => Self::SuspectDrainingPrimary,
            Self::DrainingBackup => Self::SuspectDrainingBackup,
            other => other,
        }
    }
}
