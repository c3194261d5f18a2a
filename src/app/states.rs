//! What HAProxy's SIGHUP writes to the log: the state of every server and proxy, in its words.

use std::fmt::Write as _;

use super::process::Facts;
use crate::event::{BackendSnapshot, Counts, FrontendSnapshot, ProcessSnapshot, ServerSnapshot, ServerState, Snapshot};
use crate::model::Severity;
use crate::observe::logging;

/// Writes them.
pub fn tell(facts: &Facts) {
    for (proxy, line) in lines(&facts.snapshot()) {
        logging::as_haproxy(Severity::Notice, proxy, &line);
    }
}

/// What takes HAProxy's place in its SIGQUIT, which tells of its pools of memory.
pub fn tell_figures(facts: &Facts) {
    let ProcessSnapshot { resident_memory, open_descriptors, sessions, workers, .. } = facts.snapshot().process;
    tracing::warn!(resident_memory, open_descriptors, sessions, workers, "SIGQUIT: what the process takes");
}

/// Says of every frontend and backend that nobody new comes in by it, as HAProxy does at a soft stop.
pub fn tell_stopped(facts: &Facts) {
    for proxy in proxies(&facts.snapshot()) {
        let (front, back) = (total(proxy.frontend.map(|f| f.counts)), total(proxy.backend.map(|b| b.counts)));
        let line = format!("Proxy {} stopped (cumulated conns: FE: {front}, BE: {back}).", proxy.name);
        logging::as_haproxy(Severity::Warning, proxy.name, &line);
    }
}

/// Says that a soft stop's time is over, and which proxies have sessions left.
pub fn tell_hard_stop(facts: &Facts) {
    // HAProxy says it where `global` logs; here each line is a proxy's, and any will do.
    if let Some(proxy) = proxies(&facts.snapshot()).first() {
        logging::as_haproxy(Severity::Warning, proxy.name, "soft-stop running for too long, performing a hard-stop.");
    }
    for Proxy { name, frontend, .. } in proxies(&facts.snapshot()) {
        let left = frontend.map_or(0, |frontend| frontend.counts.sessions);
        if left > 0 {
            let line = format!("Proxy {name} hard-stopped ({left} remaining conns will be closed).");
            logging::as_haproxy(Severity::Warning, name, &line);
        }
    }
}

fn total(counts: Option<Counts>) -> u64 {
    counts.map_or(0, |counts| counts.sessions_total)
}

/// A section of HAProxy's file: a frontend, a backend, or both of one name.
struct Proxy<'a> {
    name: &'a str,
    frontend: Option<&'a FrontendSnapshot>,
    backend: Option<&'a BackendSnapshot>,
}

/// In the order of the file, which their numbers tell.
fn proxies(snapshot: &Snapshot) -> Vec<Proxy<'_>> {
    let backend_of = |frontend: &FrontendSnapshot| snapshot.backends.iter().find(|backend| backend.id == frontend.id);
    let fronts = snapshot.frontends.iter().map(|frontend| {
        (frontend.id, Proxy { name: frontend.name.as_str(), frontend: Some(frontend), backend: backend_of(frontend) })
    });
    let is_alone = |backend: &&BackendSnapshot| snapshot.frontends.iter().all(|frontend| frontend.id != backend.id);
    let backs = snapshot
        .backends
        .iter()
        .filter(is_alone)
        .map(|backend| (backend.id, Proxy { name: backend.name.as_str(), frontend: None, backend: Some(backend) }));
    let mut all: Vec<_> = fronts.chain(backs).collect();
    all.sort_by_key(|(id, _)| *id);
    all.into_iter().map(|(_, proxy)| proxy).collect()
}

/// Lines with the proxy that each is about.
fn lines(snapshot: &Snapshot) -> Vec<(&str, String)> {
    let mut lines = Vec::new();
    for proxy in proxies(snapshot) {
        let name = proxy.name;
        lines.push((name, format!("SIGHUP received, dumping servers states for proxy {name}.")));
        let servers = proxy.backend.map_or(&[][..], |backend| &backend.servers);
        lines.extend(servers.iter().map(|server| (name, server_line(name, server))));
        lines.push((name, proxy.line()));
    }
    lines
}

fn server_line(backend: &str, server: &ServerSnapshot) -> String {
    let ServerSnapshot { name, counts, .. } = server;
    let is_down = matches!(server.state, ServerState::Down(_) | ServerState::Stranger | ServerState::Maint);
    let state = if is_down { "DOWN" } else { "UP" };
    format!(
        "SIGHUP: Server {backend}/{name} is {state}. Conn: {} act, {} pend, {} tot.",
        counts.sessions, counts.queued, counts.sessions_total
    )
}

impl Proxy<'_> {
    fn line(&self) -> String {
        let mut line = format!("SIGHUP: Proxy {} ", self.name);
        // Writing to a String can't fail.
        let _ = match self.backend {
            Some(backend) if backend.servers.is_empty() => write!(line, "has no servers."),
            None => write!(line, "has no servers."),
            Some(BackendSnapshot { active: 0, backup: 0, .. }) => write!(line, "has no server available !"),
            Some(BackendSnapshot { active: 0, .. }) => write!(line, "is running on backup servers !"),
            Some(BackendSnapshot { active, backup, .. }) => {
                write!(line, "has {active} active servers and {backup} backup servers available.")
            }
        };
        let front = self.frontend.map(|frontend| frontend.counts).unwrap_or_default();
        let back = self.backend.map(|backend| backend.counts).unwrap_or_default();
        let (queued, unassigned) = self.backend.map_or((0, 0), |backend| (backend.queued, backend.counts.queued));
        let _ = write!(
            line,
            " Conn: act(FE+BE): {}+{}, {queued} pend ({unassigned} unass), tot(FE+BE): {}+{}.",
            front.sessions, back.sessions, front.sessions_total, back.sessions_total
        );
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture;

    /// The words are those that HAProxy 3.2 was seen to write.
    #[test]
    fn each_server_has_a_line_and_each_proxy_one_after_its_servers() {
        let mut snapshot = fixture::cluster();
        snapshot.frontends.truncate(1);
        snapshot.backends.truncate(1);
        snapshot.take_down("k0s-ch-sion-1");
        snapshot.set_state("k0s-at-vie-1", ServerState::Drain);
        for counts in [&mut snapshot.frontends[0].counts, &mut snapshot.backends[0].counts] {
            (counts.sessions, counts.sessions_total) = (2, 9);
        }
        for server in &mut snapshot.backends[0].servers {
            (server.counts.sessions, server.counts.queued, server.counts.sessions_total) = (1, 0, 4);
        }
        let lines: Vec<String> = lines(&snapshot).into_iter().map(|(_, line)| line).collect();
        assert_eq!(
            lines,
            [
                "SIGHUP received, dumping servers states for proxy kubeAPI.",
                "SIGHUP: Proxy kubeAPI has no servers. Conn: act(FE+BE): 2+0, 0 pend (0 unass), tot(FE+BE): 9+0.",
                "SIGHUP received, dumping servers states for proxy kubeAPI_backend.",
                "SIGHUP: Server kubeAPI_backend/k0s-ch-sion-1 is DOWN. Conn: 1 act, 0 pend, 4 tot.",
                "SIGHUP: Server kubeAPI_backend/k0s-at-vie-1 is UP. Conn: 1 act, 0 pend, 4 tot.",
                "SIGHUP: Server kubeAPI_backend/k0s-de-fra-1 is UP. Conn: 1 act, 0 pend, 4 tot.",
                "SIGHUP: Proxy kubeAPI_backend has 1 active servers and 0 backup servers available. \
                 Conn: act(FE+BE): 0+2, 0 pend (0 unass), tot(FE+BE): 0+9.",
            ]
        );
    }

    #[test]
    fn a_listen_section_is_one_proxy() {
        let mut snapshot = fixture::cluster();
        snapshot.frontends.truncate(1);
        snapshot.backends.truncate(1);
        snapshot.backends[0].id = snapshot.frontends[0].id;
        (snapshot.backends[0].active, snapshot.backends[0].backup) = (0, 1);
        let lines = lines(&snapshot);
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|(proxy, _)| *proxy == "kubeAPI"));
        assert!(lines[1].1.starts_with("SIGHUP: Server kubeAPI/k0s-ch-sion-1 is UP."), "{lines:?}");
        assert!(lines[4].1.starts_with("SIGHUP: Proxy kubeAPI is running on backup servers ! Conn: "), "{lines:?}");
    }
}
