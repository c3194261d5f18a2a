//! What operators do while the process runs. Each action is told of, with who did it and from where.
//!
//! Most are done at once. Those that change what is served are orders, done in their turn (`orders`).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::drain::Drains;
use super::orders::{Desk, Order};
use super::process::Facts;
use crate::admin::{Action, ActionFuture, Changed, Denied, Done, Outcome, Setting, Target, unknown};
use crate::clock;
use crate::event::{ActionTaken, Actor, AdminState, Change, ForcedHealth, ForcedOver, SessionId};
use crate::model::{BackendName, Network, ServerName, TableName, Weight};
use crate::pool::counters::Counters;
use crate::pool::server::Server;
use crate::pool::sessions::Command;
use crate::pool::{Observe, Pool};

/// All that actions are done with.
pub struct Actions {
    facts: Arc<Facts>,
    drains: Arc<Drains>,
    observe: Observe,
    desk: Desk,
}

/// A server, and the pool that it is in.
type Member = (Arc<Pool>, Arc<Server>);

impl Actions {
    pub fn new(facts: &Arc<Facts>, drains: &Arc<Drains>, observe: &Observe, desk: Desk) -> Self {
        Self { facts: Arc::clone(facts), drains: Arc::clone(drains), observe: Arc::clone(observe), desk }
    }

    /// Does it, and tells of it.
    pub fn perform(&self, action: Action, by: Actor) -> ActionFuture {
        let (name, done) = match action {
            Action::SetState { target, state, over } => ("state", self.set_state(&target, state, over)),
            Action::SetWeight { target, weight } => ("weight", self.set_weight(&target, weight)),
            Action::Kill { ids } => ("kill", Ok(self.kill(ids))),
            Action::Debug { source, time } => ("debug", self.debug(source, time)),
            Action::Reload => return self.order(Order::Reload, by),
            Action::Plan => return self.order(Order::Plan, by),
            Action::Upgrade => return self.order(Order::Upgrade, by),
            Action::AddServer(server) => return self.order(Order::AddServer(server), by),
            Action::RemoveServer(target) => return self.order(Order::RemoveServer(target), by),
            Action::Tune(tuning) => return self.order(Order::Tune(tuning), by),
            Action::SwitchFrontend { frontend, to } => return self.order(Order::SwitchFrontend(frontend, to), by),
            Action::SetHealth { target, health } => ("health", self.set_health(&target, health, over(&by))),
            Action::SetChecks { target, on } => ("checks", self.set_checks(&target, on)),
            Action::SetAgent { target, up } => ("health", self.set_agent(&target, up, over(&by))),
            Action::AskAgent { target, on } => ("checks", self.ask_agent(&target, on)),
            Action::ClearCounters { all } => ("clear-counters", Ok(self.clear_counters(all))),
            Action::ClearTable { table, sources } => ("clear-table", self.clear_table(&table, &sources)),
        };
        if let Ok(done) = &done {
            self.facts.actions.fetch_add(1, Relaxed);
            self.tell(name, done, by);
        }
        Box::pin(async { done })
    }

    /// Has it done, and told of, by the control loop.
    fn order(&self, order: Order, by: Actor) -> ActionFuture {
        Box::pin(self.desk.order(order, by))
    }

    fn tell(&self, action: &'static str, done: &Done, by: Actor) {
        let servers = match &done.outcome {
            Outcome::Changed(changed) => changed.iter().map(|it| (it.backend.clone(), it.server.clone())).collect(),
            Outcome::Killed { .. } | Outcome::Planned { .. } | Outcome::Upgraded { .. } | Outcome::Told => Vec::new(),
        };
        let text = done.text.clone();
        (self.observe)(&Change::Action(ActionTaken { by, action, text, servers, at: clock::wall() }));
    }

    fn set_state(&self, target: &Target, state: AdminState, over: Option<Duration>) -> Result<Done, Denied> {
        let mut texts = Vec::new();
        let done = self.change(target, |(pool, server)| {
            let from = pool.set_admin_state(server, state)?;
            let (backend, sessions) = (&pool.spec.name, pool.sessions(server));
            // Whatever is wanted now, it takes the place of what was wanted before.
            let stopped = self.drains.stop(backend, server);
            if let Some(over) = over {
                self.drains.begin(backend, server, over);
            }
            let change = format!("{backend}/{}: {} → {}", server.name, from.word(), state.word());
            texts.push(change + &of_sessions(sessions, state, over, stopped));
            Some((Setting::State(from, state), sessions))
        })?;
        Ok(Done { text: texts.join("; "), outcome: Outcome::Changed(done) })
    }

    fn set_weight(&self, target: &Target, weight: Weight) -> Result<Done, Denied> {
        let mut texts = Vec::new();
        let done = self.change(target, |(pool, server)| {
            let from = pool.set_weight(server, weight)?;
            texts.push(format!("{}/{}: weight {from} → {weight}", pool.spec.name, server.name));
            Some((Setting::Weight(from, weight), pool.sessions(server)))
        })?;
        Ok(Done { text: texts.join("; "), outcome: Outcome::Changed(done) })
    }

    fn set_health(&self, target: &Target, health: ForcedHealth, over: ForcedOver) -> Result<Done, Denied> {
        self.say(target, |(pool, server)| {
            pool.force_health(server, health, over)?;
            Some(format!("{}/{}: health set to {}", pool.spec.name, server.name, health.word()))
        })
    }

    fn set_checks(&self, target: &Target, on: bool) -> Result<Done, Denied> {
        self.say(target, |(pool, server)| {
            pool.set_probed(server, on)?;
            let now = if on { "is checked again" } else { "is not checked any more" };
            Some(format!("{}/{} {now}", pool.spec.name, server.name))
        })
    }

    fn set_agent(&self, target: &Target, up: bool, over: ForcedOver) -> Result<Done, Denied> {
        self.say(target, |(pool, server)| {
            pool.force_agent(server, up, over)?;
            let word = if up { "up" } else { "down" };
            Some(format!("{}/{}: its agent's word set to {word}", pool.spec.name, server.name))
        })
    }

    fn ask_agent(&self, target: &Target, on: bool) -> Result<Done, Denied> {
        self.say(target, |(pool, server)| {
            pool.set_agent_asked(server, on)?;
            let now = if on { "is asked again" } else { "is not asked any more" };
            Some(format!("{}/{}: its agent {now}", pool.spec.name, server.name))
        })
    }

    /// Does something to each server that is meant, and says so.
    fn say(&self, target: &Target, mut act: impl FnMut(&Member) -> Option<String>) -> Result<Done, Denied> {
        let texts: Vec<String> = self.members(target)?.iter().filter_map(&mut act).collect();
        Ok(Done { text: texts.join("; "), outcome: Outcome::Told })
    }

    /// Has everything that is shown counted anew, or only its maxima.
    fn clear_counters(&self, all: bool) -> Done {
        let current = self.facts.current();
        let clear = |counters: &Counters| if all { counters.clear() } else { counters.clear_maxima() };
        clear(&self.facts.process.counters);
        current.frontends.iter().for_each(|frontend| clear(&frontend.counters));
        for pool in &current.pools {
            clear(&pool.counters);
            pool.servers().iter().for_each(|server| clear(&server.counters));
        }
        let what = if all { "all counters begin anew" } else { "all maxima begin anew" };
        Done { text: what.to_owned(), outcome: Outcome::Told }
    }

    fn clear_table(&self, table: &TableName, sources: &[IpAddr]) -> Result<Done, Denied> {
        let tables = self.facts.process.tables.current();
        let Some(known) = tables.iter().find(|known| known.spec.name == *table) else {
            let names = tables.iter().map(|known| known.spec.name.as_str());
            return Err(Denied::Unknown(unknown("table", table.as_str(), names)));
        };
        let text = match known.forget(sources) {
            1 => format!("table {table}: one source forgotten"),
            number => format!("table {table}: {number} sources forgotten"),
        };
        Ok(Done { text, outcome: Outcome::Told })
    }

    /// Changes each server that is meant; one that is gone by then is left out.
    fn change(
        &self,
        target: &Target,
        mut change: impl FnMut(&Member) -> Option<(Setting, u32)>,
    ) -> Result<Vec<Changed>, Denied> {
        let mut changed = Vec::new();
        for member in self.members(target)? {
            let Some((setting, sessions)) = change(&member) else { continue };
            let (backend, server) = (member.0.spec.name.clone(), member.1.name.clone());
            changed.push(Changed { backend, server, setting, sessions });
        }
        Ok(changed)
    }

    /// The servers that are meant, at least one.
    fn members(&self, target: &Target) -> Result<Vec<Member>, Denied> {
        let is_meant = |pool: &&Arc<Pool>| target.backend.as_deref().is_none_or(|name| name == pool.spec.name.as_str());
        let current = self.facts.current();
        let pools: Vec<&Arc<Pool>> = current.pools.iter().filter(is_meant).collect();
        if let (Some(name), true) = (&target.backend, pools.is_empty()) {
            let known = current.pools.iter().map(|pool| pool.spec.name.as_str());
            return Err(Denied::Unknown(unknown("backend", name, known)));
        }
        let of = |pool: &Arc<Pool>| pool.servers().into_iter().map(|server| (Arc::clone(pool), server)).collect();
        let all: Vec<Member> = pools.into_iter().flat_map(|pool| -> Vec<Member> { of(pool) }).collect();
        let is_named = |(_, server): &&Member| server.name.as_str() == target.server;
        let named: Vec<Member> = all.iter().filter(is_named).cloned().collect();
        if named.is_empty() {
            let known = all.iter().map(|(_, server)| server.name.as_str());
            return Err(Denied::Unknown(unknown("server", &target.server, known)));
        }
        Ok(named)
    }

    fn kill(&self, mut ids: Vec<SessionId>) -> Done {
        ids.sort_unstable();
        ids.dedup();
        let (told, unknown): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| self.kill_one(*id));
        let mut text = match told[..] {
            [] => "no session killed".to_owned(),
            [id] => format!("session {id} killed"),
            _ => format!("{} sessions killed", told.len()),
        };
        if !unknown.is_empty() {
            text += &format!(", {} had ended already or never been", unknown.len());
        }
        Done { text, outcome: Outcome::Killed { killed: told.len(), unknown } }
    }

    fn kill_one(&self, id: SessionId) -> bool {
        let worker = self.facts.workers.get(usize::from(id.worker));
        worker.is_some_and(|worker| worker.sessions.command(id, Command::Close))
    }

    fn debug(&self, source: Network, time: Duration) -> Result<Done, Denied> {
        let traced = &self.facts.process.traced;
        traced.follow(source, time).map_err(|error| Denied::Conflict(error.to_string()))?;
        let text = format!("sessions of {source} are logged step by step for {time:?}");
        Ok(Done { text, outcome: Outcome::Told })
    }
}

/// Over what somebody says how a server is.
fn over(by: &Actor) -> ForcedOver {
    match by {
        Actor::StatsPage { .. } => ForcedOver::Page,
        _ => ForcedOver::Runtime,
    }
}

/// What becomes of a server's sessions.
fn of_sessions(sessions: u32, state: AdminState, over: Option<Duration>, stopped: bool) -> String {
    let which = match sessions {
        0 => return String::new(),
        1 => "its session".to_owned(),
        _ => format!("its {sessions} sessions"),
    };
    let is = if sessions == 1 { "is" } else { "are" };
    let stays = if sessions == 1 { "stays" } else { "stay" };
    match (state, over) {
        (_, Some(over)) => format!(", {which} {is} closed over {over:?}"),
        _ if stopped => format!(", {which} {stays}, the closing has ended"),
        (AdminState::Ready, None) => String::new(),
        (AdminState::Drain | AdminState::Maint, None) => format!(", {which} {stays}"),
    }
}

impl Facts {
    /// What there is, by name.
    pub fn names(&self) -> crate::event::Names {
        let servers = |pool: &Arc<Pool>| pool.servers().iter().map(|server| server.name.clone()).collect();
        let backend = |pool: &Arc<Pool>| -> (BackendName, Vec<ServerName>) { (pool.spec.name.clone(), servers(pool)) };
        let current = self.current();
        crate::event::Names {
            frontends: current.frontends.iter().map(|frontend| frontend.spec.name.clone()).collect(),
            backends: current.pools.iter().map(backend).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_the_sessions_is_said() {
        let minute = Some(Duration::from_secs(60));
        for (sessions, state, over, stopped, text) in [
            (0, AdminState::Drain, minute, false, ""),
            (1, AdminState::Drain, minute, false, ", its session is closed over 60s"),
            (3, AdminState::Drain, minute, true, ", its 3 sessions are closed over 60s"),
            (3, AdminState::Drain, None, false, ", its 3 sessions stay"),
            (3, AdminState::Ready, None, true, ", its 3 sessions stay, the closing has ended"),
            (3, AdminState::Ready, None, false, ""),
            (1, AdminState::Maint, None, false, ", its session stays"),
        ] {
            assert_eq!(of_sessions(sessions, state, over, stopped), text);
        }
    }
}
