//! What a reload makes of a pool: another one for new sessions, with the same live state behind it.
//!
//! A server is known by its name and its address. One that both configurations have keeps its sessions, counters, health
//! and history; one that only the old one has gets no new sessions, and its sessions are whoever's who reloads.

use std::sync::Arc;

use super::conduct::Conduct;
use super::member::Member;
use super::network::Network;
use super::server::Server;
use super::{Observe, Pool};
use crate::model::{self, OnFull};

/// The pools of a new configuration, and who is no longer in them.
pub struct Renewed {
    /// In the configuration's order.
    pub pools: Vec<Arc<Pool>>,
    /// Each with the backend that it was in.
    pub removed: Vec<(Arc<model::Backend>, Arc<Server>)>,
}

impl Pool {
    /// Makes the pools of a new configuration out of those of the old one, and tells of every server's state that this
    /// has changed. `network` is theirs, and takes the new hosts.
    pub fn renew(old: &[Arc<Self>], config: &model::Config, network: &Arc<Network>, observe: &Observe) -> Renewed {
        network.renew(&config.hosts, &config.backends);
        let mut removed = Vec::new();
        let pools: Vec<_> = (config.backends.iter().cloned())
            .map(|spec| match old.iter().find(|pool| pool.spec.name == spec.name) {
                Some(pool) => pool.renewed(spec, &mut removed),
                None => Self::new(spec, network, Arc::clone(observe)),
            })
            .collect();
        for pool in old.iter().filter(|pool| config.backend(&pool.spec.name).is_none()) {
            removed.extend(pool.emptied().into_iter().map(|server| (Arc::clone(&pool.spec), server)));
        }
        for (_, server) in &removed {
            // Nobody watches it any more: what was due for its sessions by its health is due no longer.
            server.set_conduct(Conduct::Leave);
        }
        for (pool, spec) in pools.iter().zip(&config.backends) {
            pool.lock().full_sessions = config.full_sessions(spec);
            pool.look();
            pool.serve_queue();
        }
        Renewed { pools, removed }
    }

    /// The servers that [`Pool::renew`] would take away, each with the backend that it is in; nothing is done.
    pub fn leaving(old: &[Arc<Self>], config: &model::Config) -> Vec<(Arc<model::Backend>, Arc<Server>)> {
        let mut leaving = Vec::new();
        for pool in old {
            let stay = config.backend(&pool.spec.name).map_or(&[][..], |backend| &backend.servers);
            let goes = |server: &Arc<Server>| !stay.iter().any(|spec| server.is(spec));
            leaving.extend(pool.servers().into_iter().filter(goes).map(|server| (Arc::clone(&pool.spec), server)));
        }
        leaving
    }

    fn renewed(
        self: &Arc<Self>,
        spec: model::Backend,
        removed: &mut Vec<(Arc<model::Backend>, Arc<Server>)>,
    ) -> Arc<Self> {
        let spec = Arc::new(spec);
        let mut state = self.lock();
        let mut old = std::mem::take(&mut state.members);
        let moving = state.moving.take();
        let is = |member: &Member, spec: &model::Server| {
            member.server.is(spec) || (moving.as_ref() == Some(&spec.name) && member.server.name == spec.name)
        };
        state.members = (spec.servers.iter().cloned())
            .map(|server| match old.iter().position(|member| is(member, &server)) {
                Some(place) => {
                    let mut member = old.swap_remove(place);
                    if !member.server.is(&server) {
                        member.move_to(server.clone(), &spec, &self.network);
                    }
                    member.renew(server, &spec);
                    member
                }
                None => Member::new(server, &spec, &self.network),
            })
            .collect();
        for mut member in old {
            state.take_in(member.queue.empty());
            removed.push((Arc::clone(&self.spec), member.server));
        }
        if spec.on_full == OnFull::Next {
            let tied: Vec<_> = state.members.iter_mut().flat_map(|member| member.queue.empty()).collect();
            state.take_in(tied);
        }
        state.ever_up |= state.members.iter().any(|member| member.server.spec().check.is_none());
        state.spec = Arc::clone(&spec);
        state.find_strangers();
        drop(state);
        Arc::new(Self {
            spec,
            counters: Arc::clone(&self.counters),
            network: Arc::clone(&self.network),
            observe: Arc::clone(&self.observe),
            state: Arc::clone(&self.state),
        })
    }

    /// Takes all servers out: the backend is gone, and nobody waits for it any longer.
    fn emptied(self: &Arc<Self>) -> Vec<Arc<Server>> {
        let mut state = self.lock();
        let mut members = std::mem::take(&mut state.members);
        let tied: Vec<_> = members.iter_mut().flat_map(|member| member.queue.empty()).collect();
        state.take_in(tied);
        drop(state);
        self.serve_queue();
        members.into_iter().map(|member| member.server).collect()
    }
}
