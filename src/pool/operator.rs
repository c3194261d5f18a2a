//! What an operator sets of a server while the process runs.
//!
//! It lies over what the file says, and is kept apart from it ([`Orders`]): whoever reads the file anew can tell what was
//! set by hand from what was stated.

use std::sync::Arc;

use super::Pool;
use super::server::Server;
use super::standing::Standing;
use crate::event::{AdminState, Orders};
use crate::model::Weight;

impl Pool {
    /// Sets what an operator wants of a server; what held before, or `None` if the server is no longer here.
    pub fn set_admin_state(self: &Arc<Self>, server: &Arc<Server>, admin: AdminState) -> Option<AdminState> {
        let judged_by = self.spec.judged_by;
        self.order(server, |standing| {
            standing.orders.admin = Some(admin);
            let before = std::mem::replace(&mut standing.admin, admin);
            if !judged_by.weighs() && before == AdminState::Maint && admin != AdminState::Maint {
                standing.begin_anew(&server.spec());
                server.want_probe();
            }
            before
        })
    }

    /// Sets a server's weight; what held before, or `None` if the server is no longer here.
    pub fn set_weight(self: &Arc<Self>, server: &Arc<Server>, weight: Weight) -> Option<Weight> {
        self.order(server, |standing| {
            standing.orders.weight = Some(weight);
            std::mem::replace(&mut standing.weight, weight)
        })
    }

    /// What an operator has set of a server.
    pub fn orders(&self, server: &Arc<Server>) -> Option<Orders> {
        self.lock().member(server).map(|member| member.standing.orders)
    }

    pub fn admin_state(&self, server: &Arc<Server>) -> Option<AdminState> {
        self.lock().member(server).map(|member| member.standing.admin)
    }

    fn order<T>(self: &Arc<Self>, server: &Arc<Server>, order: impl FnOnce(&mut Standing) -> T) -> Option<T> {
        let mut state = self.lock();
        let before = order(&mut state.member(server)?.standing);
        self.settle(state);
        self.serve_queue();
        Some(before)
    }
}
