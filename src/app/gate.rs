//! Closing the listeners of a frontend while an operator has paused it, or while its backend has no usable server, where
//! that is wanted (`on_no_server = "close_listener"`): the kernel then refuses clients, which makes those with several load balancers
//! turn to another one at once.
//!
//! The sockets stay bound, and stay the same: only listening ends and begins again, so that no other program can take
//! the port in between. A unix socket can't do so: who comes to one waits in its queue until it is open again, as with
//! HAProxy.

use std::io;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::workers::Listeners;
use crate::event::FrontendState;
use crate::model::OnNoServer;
use crate::pool::network::Network;
use crate::proxy::listener::OpenListener;

/// Opens and shuts the listeners that are open as their backends have usable servers, for as long as it is polled.
pub async fn keep(listeners: watch::Receiver<Listeners>) {
    let mut turn = interval(Network::LOOK);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        listeners.borrow().iter().for_each(|listener| look(listener));
    }
}

/// Opens or shuts one, if it is not as it should be.
pub fn look(listener: &OpenListener) {
    let frontend = listener.frontend();
    let is_wanted = frontend.pool.spec.on_no_server == OnNoServer::CloseListener;
    let paused = frontend.state() != FrontendState::Open;
    let shut = paused || (is_wanted && !frontend.pool.usable().now);
    if shut == listener.is_shut() {
        return;
    }
    // The workers are told first of an end and last of a beginning: none of them takes an end for a failure.
    let done = if shut {
        listener.set_shut(true);
        stop_listening(listener)
    } else {
        let done = listener.bound.listen_again(listener.options().backlog);
        listener.set_shut(false);
        done
    };
    let (frontend, listen) = (&frontend.spec.name, listener.bound.address());
    match done {
        Ok(()) if shut && listener.bound.is_unix() => {
            tracing::warn!(%frontend, %listen, "clients of this socket wait: the frontend is paused or has no usable server");
        }
        Ok(()) if paused => tracing::warn!(%frontend, %listen, "paused by an operator: the listener is closed"),
        Ok(()) if shut => tracing::warn!(%frontend, %listen, "no usable server: the listener is closed"),
        Ok(()) => tracing::info!(%frontend, %listen, "the listener is open again"),
        Err(error) => tracing::error!(%frontend, %listen, %error, "can't open or close the listener"),
    }
}

fn stop_listening(listener: &OpenListener) -> io::Result<()> {
    if listener.bound.is_unix() { Ok(()) } else { listener.bound.stop_listening() }
}
