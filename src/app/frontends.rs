//! Frontends that operators open and close while the process runs.

use super::gate;
use super::orders::Answer;
use super::serving::{Listener, Serving};
use crate::admin::{Denied, unknown};
use crate::event::{Actor, FrontendState};
use crate::model::FrontendName;

impl Serving {
    /// Lets clients in at a frontend, or no longer. Its sessions are not touched.
    pub fn switch_frontend(&mut self, name: &str, to: FrontendState, by: Actor) -> Answer {
        let current = self.facts.current();
        let frontend =
            current.frontends.iter().find(|frontend| frontend.spec.name.as_str() == name).ok_or_else(|| {
                let known = current.frontends.iter().map(|frontend| frontend.spec.name.as_str());
                Denied::Unknown(unknown("frontend", name, known))
            })?;
        let name = &frontend.spec.name;
        if frontend.state() == FrontendState::Stopped {
            return Err(Denied::Conflict(format!("frontend {name} was shut down: a reload opens it again")));
        }
        frontend.set_state(to);
        match to {
            FrontendState::Stopped => self.close_listeners_of(name),
            FrontendState::Open | FrontendState::Paused => {
                self.listeners_of(name).for_each(|listener| gate::look(&listener.open));
            }
        }
        let words = match to {
            FrontendState::Open => "lets clients in again",
            FrontendState::Paused => "is paused: the kernel refuses its clients, and those of unix sockets wait",
            FrontendState::Stopped => "is shut down: its listeners are closed",
        };
        Ok(self.tell("frontend", format!("frontend {name} {words}"), Vec::new(), by))
    }

    fn listeners_of<'a>(&'a self, name: &'a FrontendName) -> impl Iterator<Item = &'a Listener> {
        self.listeners.iter().filter(move |listener| listener.open.frontend().spec.name == *name)
    }

    fn close_listeners_of(&mut self, name: &FrontendName) {
        self.listeners_of(name).for_each(|listener| listener.open.close());
        self.listeners.retain(|listener| listener.open.frontend().spec.name != *name);
        self.show_listeners();
    }
}
