//! What operators say of servers over the runtime API beside what [`super::operator`] has: their health, whether they are
//! probed, and where they are.

use std::sync::Arc;

use super::Pool;
use super::server::Server;
use crate::event::{AdminState, ForcedHealth, ForcedOver};
use crate::model::ServerName;

impl Pool {
    /// Has a server's health be as an operator says, until its probes say otherwise; `None` if it is no longer here.
    pub fn force_health(self: &Arc<Self>, server: &Arc<Server>, forced: ForcedHealth, over: ForcedOver) -> Option<()> {
        let mut state = self.lock();
        state.member(server)?.standing.force(forced, over);
        self.settle(state);
        Some(())
    }

    /// Has a server probed, or no longer; `None` if it is no longer here.
    pub fn set_probed(&self, server: &Arc<Server>, probed: bool) -> Option<()> {
        self.lock().member(server)?.standing.set_probed(probed);
        if probed {
            server.want_probe();
        }
        Some(())
    }

    /// Whether a server's probes are left out, because an operator wants it so or works on the server.
    pub fn is_unprobed(&self, server: &Arc<Server>) -> bool {
        let mut state = self.lock();
        state
            .member(server)
            .is_some_and(|member| member.standing.admin == AdminState::Maint || member.standing.is_unprobed())
    }

    /// Has a server's agent count as having said so; `None` if it has none that is asked.
    pub fn force_agent(self: &Arc<Self>, server: &Arc<Server>, up: bool, over: ForcedOver) -> Option<()> {
        let mut state = self.lock();
        state.member(server)?.standing.force_agent(up, over)?;
        self.settle(state);
        Some(())
    }

    /// Has a server's agent asked, or no longer; `None` if it has none.
    pub fn set_agent_asked(&self, server: &Arc<Server>, asked: bool) -> Option<()> {
        self.lock().member(server)?.standing.set_agent_asked(asked)
    }

    /// Whether a server's agent is to be asked.
    pub fn asks_agent_of(&self, server: &Arc<Server>) -> bool {
        self.lock().member(server).is_some_and(|member| member.standing.is_agent_asked())
    }

    /// Has the next configuration mean the server of this name that is here, also where it has another address: it keeps its
    /// health and its counts.
    pub fn expect_move(&self, server: Option<ServerName>) {
        self.lock().moving = server;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DownCause, ServerState};
    use crate::model::{self, Agent};
    use crate::pool::health::Health;

    fn pool(check: &str) -> (Arc<Pool>, Arc<Server>) {
        let text = format!(
            "[[frontend]]\nname = 'f'\nlisten = ':6443'\nbackend = 'b'\n[[backend]]\nname = 'b'\n\
             servers = ['192.0.2.1:6443', '192.0.2.2:6443']\ncheck = {check}"
        );
        let spec = crate::config::parse(&text, "test.toml").unwrap().backends.remove(0);
        let pool = Pool::alone(spec, Arc::new(|_| {}));
        let server = pool.servers().remove(0);
        (pool, server)
    }

    fn state(pool: &Pool, server: &Arc<Server>) -> ServerState {
        pool.server_snapshot(server).unwrap().state
    }

    // Seen to fail with a word that leaves `willing` as it was.
    #[tokio::test]
    async fn a_servers_health_is_what_the_operator_says_checked_or_not() {
        for check in ["'off'", "{ type = 'tcp' }"] {
            let (pool, server) = pool(check);
            pool.force_health(&server, ForcedHealth::Down, ForcedOver::Runtime).unwrap();
            assert_eq!(state(&pool, &server), ServerState::Down(DownCause::Ordered));
            pool.force_health(&server, ForcedHealth::Stopping, ForcedOver::Runtime).unwrap();
            assert_eq!(state(&pool, &server), ServerState::Draining);
            pool.force_health(&server, ForcedHealth::Up, ForcedOver::Runtime).unwrap();
            assert_eq!(state(&pool, &server), ServerState::Ready);
        }
    }

    #[tokio::test]
    async fn a_server_whose_health_was_set_is_far_from_changing_it() {
        let (pool, server) = pool("{ type = 'tcp', rise = 2, fall = 3 }");
        pool.force_health(&server, ForcedHealth::Up, ForcedOver::Runtime).unwrap();
        let mut firm = Health::starting(2, 3);
        firm.apply(true);
        assert_eq!(pool.server_snapshot(&server).unwrap().check.unwrap().health, firm.counter());
    }

    /// What HAProxy 3.2.26 counts. Seen to fail with maintenance that is counted nowhere.
    #[tokio::test]
    async fn maintenance_counts_as_having_gone_down_where_it_does_for_haproxy() {
        for (judged_by, downs) in [(model::JudgedBy::Probes, 1), (model::JudgedBy::Everything, 0)] {
            let (pool, _) = pool("{ type = 'tcp' }");
            let spec = model::Backend { judged_by, ..model::Backend::clone(&pool.spec) };
            let pool = Pool::alone(spec, Arc::new(|_| {}));
            let server = pool.servers().remove(0);
            for admin in [AdminState::Maint, AdminState::Ready, AdminState::Drain] {
                pool.set_admin_state(&server, admin).unwrap();
            }
            assert_eq!(server.counters.counts().downs, downs);
        }
    }

    // Seen to fail with an agent that is left alone and can be spoken for all the same.
    #[tokio::test]
    async fn an_agent_is_spoken_for_while_it_is_asked() {
        let (pool, server) = pool("'off'");
        assert_eq!(pool.force_agent(&server, false, ForcedOver::Runtime), None, "it has none");
        let mut spec = model::Backend::clone(&pool.spec);
        let agent = Agent { host: None, port: 7, interval: Agent::INTERVAL, send: Vec::new() };
        spec.servers[0].agent = Some(agent);
        let pool = Pool::alone(spec, Arc::new(|_| {}));
        let server = pool.servers().remove(0);
        pool.force_agent(&server, false, ForcedOver::Runtime).unwrap();
        assert_eq!(state(&pool, &server), ServerState::Down(DownCause::Ordered));
        pool.force_agent(&server, true, ForcedOver::Runtime).unwrap();
        assert_eq!(state(&pool, &server), ServerState::Ready);
        pool.set_agent_asked(&server, false).unwrap();
        assert_eq!((pool.force_agent(&server, false, ForcedOver::Runtime), pool.asks_agent_of(&server)), (None, false));
    }

    #[tokio::test]
    async fn one_that_is_not_probed_shows_no_check_and_stays_what_it_was() {
        let (pool, server) = pool("{ type = 'tcp' }");
        pool.force_health(&server, ForcedHealth::Down, ForcedOver::Runtime).unwrap();
        pool.set_probed(&server, false).unwrap();
        let snapshot = pool.server_snapshot(&server).unwrap();
        assert_eq!((snapshot.check, snapshot.state), (None, ServerState::Down(DownCause::Ordered)));
        assert!(pool.is_unprobed(&server));
        pool.set_probed(&server, true).unwrap();
        assert!(!pool.is_unprobed(&server) && pool.server_snapshot(&server).unwrap().check.is_some());
    }
}
