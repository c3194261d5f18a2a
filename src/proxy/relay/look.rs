//! A session looks after its peers: whether they still acknowledge, and whether the server's lives when that is doubted.
//!
//! The sweep says when ([`crate::pool::sessions`]), the kernel knows ([`Signs`]), and the rules are pure
//! ([`asking`]). Silence of a server counts only while another host is heard, and silence of a client while another
//! client is: otherwise it may be our own network that is gone.

use std::time::Duration;

use super::Relay;
use crate::model::OnDown;
use crate::net::options::{self, Signs};
use crate::pool::asking::{self, Found};
use crate::pool::conduct::Conduct;
use crate::pool::sessions::{Command, Sessions};

/// After so long nobody else need be heard for a silent client to count as gone.
const LONG: Duration = Duration::from_secs(60);

impl Relay {
    /// Looks at both peers; why the session is to end, if one of them is gone.
    pub(super) fn look(&self) -> Option<Command> {
        // Who is on this host can't be silent for want of a network: his end closes with him.
        let client = if self.record.is_local() { Signs::default() } else { options::signs(&self.client)? };
        let server = options::signs(&self.server)?;
        self.record
            .entered()
            .set_owed([server, client].iter().any(|signs| signs.unacknowledged > 0 || signs.probes > 0));
        self.look_at_server(server).or_else(|| self.look_at_client(client))
    }

    fn look_at_server(&self, signs: Signs) -> Option<Command> {
        let entered = self.record.entered();
        let (pool, server) = (&self.record.pool, self.record.server.as_ref()?);
        let asked = entered.asked();
        if server.conduct() == Conduct::Leave {
            match asked {
                Some((since, answered)) if answered || signs.heard < since => {
                    options::stop_asking(&self.server, pool.spec.keepalive);
                    entered.stop_asking();
                }
                // One that has not answered goes on being asked: with the ordinary count of questions the kernel would
                // give it up at once, and should the server be doubted again, time without a question would count.
                Some((since, _)) => self.ask(since),
                None => {}
            }
            let lost =
                pool.spec.closing.on_down == OnDown::Ask && asking::is_lost(signs, asked.map(|(since, _)| since));
            return (lost && self.may_blame_server(signs, signs.heard)).then_some(Command::ServerSilent);
        }
        // The first time, or again some time after it has answered.
        let since = match asked {
            Some((since, false)) => since,
            Some((_, true)) | None => {
                entered.ask();
                Duration::ZERO
            }
        };
        let host_heard = server.host.heard().is_some_and(|heard| heard.elapsed() < since);
        match asking::judge(signs, since, host_heard) {
            Found::Alive => {
                server.host.note_heard();
                options::stop_asking(&self.server, pool.spec.keepalive);
                entered.note_answer();
                None
            }
            Found::Silent => {
                self.ask(since);
                None
            }
            Found::Dead => {
                self.ask(since);
                self.may_blame_server(signs, since).then_some(Command::ServerSilent)
            }
        }
    }

    /// Asks the server's peer once in a while, however often the session looks: the kernel bears [`options::ask`]'s count
    /// of unanswered questions and no more.
    fn ask(&self, since: Duration) {
        let questions = |time: Duration| time.as_millis() / asking::PAUSE.as_millis();
        if since.is_zero() || questions(since) != questions(since.saturating_sub(Sessions::SWEEP)) {
            options::ask(&self.server);
        }
    }

    /// Whether it is the server's fault that it has been silent for so long, and the session's turn to be closed.
    fn may_blame_server(&self, signs: Signs, silent: Duration) -> bool {
        let Some(server) = &self.record.server else { return false };
        let network = &self.record.pool.network;
        let (longest, shortest) = asking::proof(signs, silent);
        let proven = || network.is_proven_between(longest, shortest, &server.host.address);
        !network.is_isolated() && !network.is_returning() && proven() && server.may_close_one()
    }

    fn look_at_client(&self, signs: Signs) -> Option<Command> {
        let wanted = self.record.frontend.spec.keepalive.is_some();
        let (longest, shortest) = asking::proof(signs, signs.heard);
        let others = || signs.heard >= LONG || self.record.entered().is_another_client_heard(longest, shortest);
        (wanted && asking::is_lost(signs, None) && others()).then_some(Command::ClientSilent)
    }
}
