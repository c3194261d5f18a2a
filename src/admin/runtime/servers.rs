//! Tables of backends and servers: `show backend`, `show servers state`, `show servers conn`.

use std::fmt::Write;

use super::command::Asked;
use super::target;
use crate::event::{AdminState, BackendSnapshot, CheckStatus, ServerSnapshot, ServerState, Snapshot};
use crate::model::{self, Config, HostAddress};

/// `show backend`.
pub fn backends(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    config.backends.iter().fold("# name\n".to_owned(), |text, backend| format!("{text}{}\n", backend.name))
}

/// Version of the table's form, and its columns.
const STATE: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
                     srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
                     srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
                     srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";

/// `show servers state`.
pub fn state(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    let snapshot = (asked.views.snapshot)();
    match wanted(asked.word(3), &config, &snapshot) {
        None => "Can't find backend.\n".to_owned(),
        Some(backends) => {
            let mut text = STATE.to_owned();
            for (backend, server, spec) in members(&backends, &config) {
                let row = StateRow { backend, server, spec, snapshot: &snapshot };
                // A string takes whatever is written.
                let _ = row.write(&mut text);
            }
            text
        }
    }
}

/// `show servers conn`.
pub fn connections(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    let snapshot = (asked.views.snapshot)();
    let Some(backends) = wanted(asked.word(3), &config, &snapshot) else { return "Can't find backend.\n".to_owned() };
    let threads = snapshot.process.workers;
    let mut text = format!(
        "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim idle_cur \
         idle_per_thr[{threads}]\n"
    );
    for (backend, server, _) in members(&backends, &config) {
        let (names, ids) = ((&backend.name, &server.name), (backend.id, server.id));
        let (address, port, counts) = (address(&server.address.host), server.address.port, &server.counts);
        let (now, most) = (counts.sessions, counts.sessions_max);
        // No connection to a server is kept for another session.
        let idle = " 0".repeat(threads as usize);
        let _ = writeln!(
            text,
            "{}/{} {}/{} {address} {port} - 5000 {now} {most} {most} 0 0 -1 0{idle}",
            names.0, names.1, ids.0, ids.1
        );
    }
    text
}

/// The backends that are meant, all without a word; `None` if there is no such.
fn wanted<'a>(word: &str, config: &Config, snapshot: &'a Snapshot) -> Option<Vec<&'a BackendSnapshot>> {
    if word.is_empty() {
        return Some(snapshot.backends.iter().collect());
    }
    let meant = target::backend(word, config)?;
    Some(snapshot.backends.iter().filter(|backend| backend.name == meant.name).collect())
}

/// Their servers, each with what the configuration says of it.
fn members<'a>(
    backends: &[&'a BackendSnapshot],
    config: &'a Config,
) -> impl Iterator<Item = (&'a BackendSnapshot, &'a ServerSnapshot, &'a model::Server)> {
    let servers = backends.iter().flat_map(|backend| backend.servers.iter().map(move |server| (*backend, server)));
    servers.filter_map(move |(backend, server)| {
        let spec = config.backend(&backend.name)?.servers.iter().find(|spec| spec.name == server.name)?;
        Some((backend, server, spec))
    })
}

/// One server in HAProxy's numbers (its header server-t.h and check-t.h have them).
struct StateRow<'a> {
    backend: &'a BackendSnapshot,
    server: &'a ServerSnapshot,
    spec: &'a model::Server,
    snapshot: &'a Snapshot,
}

impl StateRow<'_> {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self { backend, server, spec, snapshot } = self;
        let since = snapshot.at.duration_since(server.since).unwrap_or_default().as_secs();
        let (status, result) = self.check_result();
        let name = match &server.address.host {
            HostAddress::Name(name) => name.as_str(),
            HostAddress::Ip(_) => "-",
        };
        let check_port = spec.check.as_ref().and_then(|check| check.port).unwrap_or(0);
        write!(text, "{} {} {} {} ", backend.id, backend.name, server.id, server.name)?;
        write!(text, "{} {} {} ", address(&server.address.host), self.operation(), self.administration())?;
        write!(text, "{} {} {since} ", server.weight, spec.weight)?;
        write!(text, "{status} {result} {} {} {} 0 0 ", self.health(), self.check_state(), self.agent_state())?;
        let check_address = spec.check.as_ref().and_then(|check| check.address);
        let check_address = check_address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let agent = spec.agent.as_ref();
        let agent_address = agent.and_then(|agent| agent.host.as_ref()).map_or_else(|| "-".to_owned(), address);
        let agent_port = agent.map_or(0, |agent| agent.port);
        write!(text, "{name} {} - 0 {check_port} ", server.address.port)?;
        writeln!(text, "{check_address} {agent_address} {agent_port}")
    }

    /// Stopped, on its way back, running, or without new sessions.
    fn operation(&self) -> u8 {
        match self.server.state {
            ServerState::Down(_) | ServerState::Maint => 0,
            ServerState::Ready if self.server.throttle.is_some() => 1,
            ServerState::Ready | ServerState::Kept(_) | ServerState::Drain => 2,
            ServerState::Draining | ServerState::Stranger => 3,
        }
    }

    /// Bits: maintenance, that it is that of the server which it follows, that the file states it, drain, and whose that is.
    fn administration(&self) -> u8 {
        let stated = u8::from(self.spec.disabled) << 2;
        match self.server.admin {
            AdminState::Ready if self.server.tracked.is_some() => stated | inherited(self.server.state),
            AdminState::Ready => stated,
            AdminState::Maint => stated | 1,
            AdminState::Drain => stated | 8,
        }
    }

    /// What the last check saw, and what that means.
    fn check_result(&self) -> (u8, u8) {
        let last = self.server.check.as_ref().and_then(|check| check.last.as_ref());
        let Some(last) = last else { return (code(CheckStatus::Ini), 0) };
        let result = match last.status {
            CheckStatus::L7Okc => 4,
            status if status.is_passed() => 3,
            _ => 2,
        };
        (code(last.status), result)
    }

    /// The counter of rise and fall; of one that is not checked it is where it begins.
    fn health(&self) -> u16 {
        let begins = self.spec.check.as_ref().map_or(2, |check| check.rise);
        match (self.server.state, &self.server.check) {
            (ServerState::Maint, _) => 0,
            (_, Some(check)) => check.health,
            (ServerState::Down(_), None) if self.server.tracked.is_none() => 0,
            (_, None) => begins,
        }
    }

    /// Bits: under way, configured, enabled, paused.
    fn check_state(&self) -> u8 {
        let running = self.server.check.as_ref().is_some_and(|check| check.running);
        let configured = self.spec.check.is_some();
        let enabled = self.server.check.is_some();
        // Where there is none, it stays as it began.
        let paused = if configured { self.server.admin == AdminState::Maint } else { self.spec.disabled };
        u8::from(running) | u8::from(configured) << 1 | u8::from(enabled) << 2 | u8::from(paused) << 3
    }

    /// As the check's, and the bit of an agent.
    fn agent_state(&self) -> u8 {
        let Some(_) = self.spec.agent else { return 0 };
        let agent = self.server.agent.as_ref();
        let running = agent.is_some_and(|agent| agent.running);
        let paused = self.server.admin == AdminState::Maint;
        16 | 2 | u8::from(running) | u8::from(agent.is_some()) << 2 | u8::from(paused) << 3
    }
}

/// What it has from the server that it follows.
fn inherited(state: ServerState) -> u8 {
    match state {
        ServerState::Maint => 2,
        ServerState::Drain => 16,
        _ => 0,
    }
}

fn address(host: &HostAddress) -> String {
    match host {
        HostAddress::Ip(ip) => ip.to_string(),
        HostAddress::Name(_) => "-".to_owned(),
    }
}

fn code(status: CheckStatus) -> u8 {
    match status {
        CheckStatus::Ini => 1,
        CheckStatus::Hana => 4,
        CheckStatus::SockErr => 5,
        CheckStatus::L4Ok => 6,
        CheckStatus::L4Tout => 7,
        CheckStatus::L4Con => 8,
        CheckStatus::L6Ok => 9,
        CheckStatus::L6Tout => 10,
        CheckStatus::L6Rsp => 11,
        CheckStatus::L7Tout => 12,
        CheckStatus::L7Rsp => 13,
        CheckStatus::L7Ok => 15,
        CheckStatus::L7Okc => 16,
        CheckStatus::L7Sts => 17,
    }
}
