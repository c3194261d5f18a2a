//! Closing the listeners of a frontend while its backend has no usable server, where that is wanted
//! (`on_no_server = "close_listener"`): the kernel then refuses clients, which makes those with several load balancers
//! turn to another one at once.
//!
//! The sockets stay bound, and stay the same: only listening ends and begins again, so that no other program can take
//! the port in between.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::event::ProcessPhase;
use crate::model::OnNoServer;
use crate::net;
use crate::pool::network::Network;
use crate::proxy::frontend::Frontend;

/// The listeners of one frontend.
pub struct Gate {
    frontend: Arc<Frontend>,
    listeners: Vec<net::Bound>,
    shut: bool,
}

/// The gates of those frontends for which it is wanted; `bound` has the sockets of each frontend.
pub fn gates(frontends: &[Arc<Frontend>], bound: &[Vec<net::Bound>]) -> Vec<Gate> {
    let is_wanted = |frontend: &Frontend| frontend.pool.spec.on_no_server == OnNoServer::CloseListener;
    let mut gates = Vec::new();
    for (frontend, bound) in frontends.iter().zip(bound).filter(|(frontend, _)| is_wanted(frontend)) {
        match bound.iter().map(net::Bound::share).collect() {
            Ok(listeners) => gates.push(Gate { frontend: Arc::clone(frontend), listeners, shut: false }),
            Err(error) => tracing::error!(frontend = %frontend.spec.name, %error, "can't close its listeners later"),
        }
    }
    gates
}

/// Opens and shuts them as their backends have usable servers, until the process stops.
pub async fn keep(mut gates: Vec<Gate>, mut phases: watch::Receiver<ProcessPhase>) {
    if gates.is_empty() {
        return;
    }
    let mut turn = interval(Network::LOOK);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = turn.tick() => gates.iter_mut().for_each(Gate::look),
            // The listeners are closed for good with these descriptors, too.
            _ = phases.wait_for(|phase| *phase == ProcessPhase::Stopping) => return drop(gates),
        }
    }
}

/// Whoever opened the sockets for us keeps them, and the clients of the next process wait in them: they are left as they
/// came. systemd gives up a socket unit whose socket does not listen.
impl Drop for Gate {
    fn drop(&mut self) {
        if !self.shut {
            return;
        }
        for bound in self.listeners.iter().filter(|bound| bound.adopted) {
            if let Err(error) = bound.listen_again(self.frontend.spec.backlog) {
                tracing::error!(frontend = %self.frontend.spec.name, %error, "an inherited socket is left closed");
            }
        }
    }
}

impl Gate {
    fn look(&mut self) {
        let shut = !self.frontend.pool.usable().now;
        if shut == self.shut {
            return;
        }
        self.shut = shut;
        let name = &self.frontend.spec.name;
        // The workers are told first of an end and last of a beginning: none of them takes an end for a failure.
        let done: Result<(), _> = if shut {
            self.frontend.set_shut(true);
            self.listeners.iter().try_for_each(net::Bound::stop_listening)
        } else {
            let done = self.listeners.iter().try_for_each(|bound| bound.listen_again(self.frontend.spec.backlog));
            self.frontend.set_shut(false);
            done
        };
        match done {
            Ok(()) if shut => tracing::warn!(frontend = %name, "no usable server: the listeners are closed"),
            Ok(()) => tracing::info!(frontend = %name, "the listeners are open again"),
            Err(error) => tracing::error!(frontend = %name, %error, "can't open or close the listeners"),
        }
    }
}
