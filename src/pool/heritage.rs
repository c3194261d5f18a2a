//! What a pool takes over from the process that this one replaces: an upgrade is no reason to doubt a server that was
//! well, to trust one that was down, or to forget what an operator wanted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Pool;
use super::server::Server;
use super::standing::Standing;
use crate::clock;
use crate::event::{DownCause, Orders};

/// What a server was to the process before.
#[derive(Debug, Clone, PartialEq)]
pub struct Heritage {
    /// What an operator had set; `None` leaves what the configuration says.
    pub orders: Orders,
    /// Its health, if its check has the same rise and fall as before.
    pub health: Option<HealthHeritage>,
    /// Since when its state is what it is.
    pub since: SystemTime,
    /// Time spent down until then.
    pub downtime: Duration,
}

/// Where rise and fall had come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthHeritage {
    pub counter: u16,
    /// Why it was down, if it was.
    pub down: Option<DownCause>,
}

impl Pool {
    /// Goes on from what a server was to the process before.
    pub fn inherit(self: &Arc<Self>, server: &Arc<Server>, heritage: &Heritage) {
        let mut state = self.lock();
        let Some(member) = state.member(server) else { return };
        member.standing.inherit(heritage);
        state.ever_up |= heritage.health.is_some_and(|health| health.down.is_none());
        drop(state);
        self.look();
    }

    /// Sessions at a server, those of processes before this one included.
    pub fn sessions(&self, server: &Arc<Server>) -> u32 {
        let elsewhere = self.lock().member(server).map_or(0, |member| member.elsewhere);
        server.counters.sessions() + elsewhere
    }

    /// Says how many sessions the process before still has at a server: they weigh as much as this process's own.
    pub fn note_elsewhere(self: &Arc<Self>, server: &Arc<Server>, sessions: u32) {
        let mut state = self.lock();
        if let Some(member) = state.member(server) {
            member.elsewhere = sessions;
        }
        drop(state);
        self.serve_queue();
    }
}

impl Standing {
    fn inherit(&mut self, heritage: &Heritage) {
        self.orders = heritage.orders;
        self.admin = self.orders.admin.unwrap_or(self.admin);
        self.weight = self.orders.weight.unwrap_or(self.weight);
        let age = clock::wall().duration_since(heritage.since).unwrap_or_default();
        let since = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        if let Some(health) = heritage.health {
            self.go_on_from(health.counter, health.down.map(|cause| (cause, since)));
        }
        self.stand_since((heritage.since, since), heritage.downtime);
    }
}
