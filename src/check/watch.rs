//! What no single probe brings about: whether we are cut off, and what is due for sessions as time goes by.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::event::Change;
use crate::pool::network::Network;
use crate::pool::{Observe, Pool};

/// Looks at all pools again and again, whichever there are at the time.
pub struct Watch {
    network: Arc<Network>,
    pools: watch::Receiver<Vec<Arc<Pool>>>,
    observe: Observe,
}

impl Watch {
    pub fn new(network: Arc<Network>, pools: watch::Receiver<Vec<Arc<Pool>>>, observe: Observe) -> Self {
        Self { network, pools, observe }
    }

    /// Looks for as long as it is polled.
    pub async fn run(self) {
        // Rules that count in seconds are as exact as this.
        let mut turn = interval(Network::LOOK);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turn.tick().await;
            self.look();
        }
    }

    fn look(&self) {
        if let Some(change) = self.network.look(Instant::now()) {
            (self.observe)(&Change::Isolation(change));
        }
        let pools = self.pools.borrow();
        for pool in pools.iter() {
            pool.follow(|tracked| {
                let other = pools.iter().find(|other| other.spec.name == tracked.backend)?;
                other.server_state(&tracked.server)
            });
            pool.look();
        }
    }
}
