//! What an operator says of a server's health, and whether it is probed at all.
//!
//! A word on health takes the place of what probes have found, until the next one finds something else: with rise and fall,
//! as ever.

use tokio::time::Instant;

use super::{AgentStanding, Standing};
use crate::event::{DownCause, ForcedHealth, ForcedOver};
use crate::pool::health::Health;

impl Standing {
    /// Has it be as an operator says.
    pub fn force(&mut self, forced: ForcedHealth, over: ForcedOver) {
        // One that isn't probed stays so until the next word.
        let health = self.health.get_or_insert_with(|| Health::starting(1, 1));
        let was_up = health.is_up();
        match forced {
            ForcedHealth::Up | ForcedHealth::Stopping => health.recover(),
            ForcedHealth::Down => drop(health.fail()),
        }
        let willing = self.willing.get_or_insert_with(|| Health::starting(1, 1));
        match forced {
            ForcedHealth::Stopping => drop(willing.fail()),
            ForcedHealth::Up | ForcedHealth::Down => willing.recover(),
        }
        if forced == ForcedHealth::Down && was_up {
            (self.cause, self.down_at) = (DownCause::Ordered, Some(Instant::now()));
        }
        (self.suspect, self.hung, self.forced) = (false, false, Some(over));
    }

    /// Over what an operator has said how it is, if nobody has said anything since.
    pub fn forced(&self) -> Option<ForcedOver> {
        self.forced
    }

    /// Has it probed from now on, or no longer; what it was then it stays.
    pub fn set_probed(&mut self, probed: bool) {
        self.unprobed = !probed;
    }

    /// Has its agent count as having said so; `None` if it has none that is asked.
    pub fn force_agent(&mut self, up: bool, over: ForcedOver) -> Option<()> {
        let takes_down = !up && self.up() != Some(false);
        self.agent.as_mut().filter(|agent| agent.is_asked())?.force(up);
        if takes_down {
            self.cause = DownCause::Ordered;
        }
        self.forced = Some(over);
        Some(())
    }

    /// Has its agent asked from now on, or no longer; `None` if it has none.
    pub fn set_agent_asked(&mut self, asked: bool) -> Option<()> {
        self.agent.as_mut()?.set_asked(asked);
        Some(())
    }

    /// Whether its agent is to be asked.
    pub fn is_agent_asked(&self) -> bool {
        self.agent.as_ref().is_some_and(AgentStanding::is_asked)
    }

    /// Whether an operator has its probes left out.
    pub fn is_unprobed(&self) -> bool {
        self.unprobed
    }
}
