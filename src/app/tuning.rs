//! Settings that operators change while the process runs: it goes over to its own configuration with one of them changed, as
//! a reload would. The next reload makes them those of the file again.

use std::net::IpAddr;

use super::orders::Answer;
use super::serving::Serving;
use crate::admin::{Denied, Target, Tuning, unknown};
use crate::event::Actor;
use crate::model::{self, BackendName, Config, Endpoint, HostAddress, ServerName};

/// The servers that a change is about.
type Servers = Vec<(BackendName, ServerName)>;

impl Serving {
    pub fn tune(&mut self, tuning: &Tuning, by: Actor) -> Answer {
        let mut config = Config::clone(&self.facts.current().config);
        let (text, servers) = match tuning {
            Tuning::ProcessSessions(max) => (process_sessions(&mut config, *max), Vec::new()),
            Tuning::FrontendSessions(frontend, max) => (frontend_sessions(&mut config, frontend, *max)?, Vec::new()),
            Tuning::ServerSessions(target, max) => server_sessions(&mut config, target, *max)?,
            Tuning::Check { target, address, port } => check(&mut config, target, *address, *port)?,
            Tuning::Agent { target, address, port, send } => {
                agent(&mut config, target, (*address, *port, send.as_deref()))?
            }
            Tuning::Address(target, address) => address_of(&mut config, target, address)?,
        };
        if let Tuning::Address(..) = tuning {
            config.hosts = model::hosts(&config.backends);
            self.expect_moves(&servers, true);
        }
        let gone_over = self.go_over_to(config);
        self.expect_moves(&servers, false);
        gone_over?;
        self.note_addresses(tuning, &servers);
        Ok(self.tell("tune", text, servers, by))
    }

    /// Has those servers stay who they are wherever the next configuration has them, or not.
    fn expect_moves(&self, servers: &Servers, expect: bool) {
        for (backend, name) in servers {
            if let Some((pool, server)) = self.find(backend, name) {
                pool.expect_move(expect.then(|| server.name.clone()));
            }
        }
    }

    /// Notes where the process has servers of which its file says otherwise.
    fn note_addresses(&mut self, tuning: &Tuning, servers: &Servers) {
        let (Tuning::Address(..), Some(file)) = (tuning, &mut self.file) else { return };
        let config = &self.facts.current().config;
        for (backend, name) in servers {
            let server = config.backend(backend).and_then(|known| known.servers.iter().find(|it| it.name == *name));
            if let Some(server) = server {
                file.settings.remove_server(backend, name);
                file.settings.add_server(backend, server);
            }
        }
    }
}

fn process_sessions(config: &mut Config, max: u32) -> String {
    config.limits.max_sessions = max;
    format!("at most {max} sessions in all")
}

fn frontend_sessions(config: &mut Config, name: &str, max: Option<u32>) -> Result<String, Denied> {
    let Some(place) = config.frontends.iter().position(|frontend| frontend.name.as_str() == name) else {
        let known = config.frontends.iter().map(|frontend| frontend.name.as_str());
        return Err(Denied::Unknown(unknown("frontend", name, known)));
    };
    config.frontends[place].max_sessions = max;
    Ok(format!("frontend {name}: {}", limit(max)))
}

fn server_sessions(config: &mut Config, target: &Target, max: Option<u32>) -> Result<(String, Servers), Denied> {
    each(config, target, |server| {
        server.max_sessions = max;
        Ok(limit(max))
    })
}

fn check(
    config: &mut Config,
    target: &Target,
    address: Option<IpAddr>,
    port: Option<u16>,
) -> Result<(String, Servers), Denied> {
    each(config, target, |server| {
        let check = server.check.as_mut().ok_or_else(|| Denied::Conflict(format!("{} is not checked", server.name)))?;
        (check.address, check.port) = (address.or(check.address), port.or(check.port));
        Ok(format!("is checked {}", place(address, port)))
    })
}

fn agent(
    config: &mut Config,
    target: &Target,
    (address, port, send): (Option<IpAddr>, Option<u16>, Option<&str>),
) -> Result<(String, Servers), Denied> {
    each(config, target, |server| {
        let agent = server.agent.as_mut().ok_or_else(|| Denied::Conflict(format!("{} has no agent", server.name)))?;
        if let Some(address) = address {
            agent.host = Some(HostAddress::Ip(address));
        }
        agent.port = port.unwrap_or(agent.port);
        match send {
            Some(send) => {
                agent.send = send.as_bytes().to_vec();
                Ok(format!("sends its agent {send:?}"))
            }
            None => Ok(format!("has its agent asked {}", place(address, port))),
        }
    })
}

fn place(address: Option<IpAddr>, port: Option<u16>) -> String {
    let address = address.map(|address| format!("at {address}"));
    let port = port.map(|port| format!("on port {port}"));
    let parts: Vec<String> = [address, port].into_iter().flatten().collect();
    parts.join(" ")
}

fn address_of(config: &mut Config, target: &Target, address: &Endpoint) -> Result<(String, Servers), Denied> {
    if let Some(frontend) = config.frontend_at(address) {
        let frontend = &frontend.name;
        let why = format!("{address} is where frontend {frontend} listens: its sessions would come back");
        return Err(Denied::Conflict(why));
    }
    each(config, target, |server| {
        let before = std::mem::replace(&mut server.address, address.clone());
        Ok(format!("is at {address}, was at {before}"))
    })
}

/// Changes each server that is meant, at least one; gives what was done, in words.
fn each(
    config: &mut Config,
    target: &Target,
    mut change: impl FnMut(&mut model::Server) -> Result<String, Denied>,
) -> Result<(String, Servers), Denied> {
    let (mut texts, mut servers) = (Vec::new(), Vec::new());
    let is_meant =
        |backend: &model::Backend| target.backend.as_deref().is_none_or(|name| backend.name.as_str() == name);
    for backend in config.backends.iter_mut().filter(|backend| is_meant(backend)) {
        for server in backend.servers.iter_mut().filter(|server| server.name.as_str() == target.server) {
            let done = change(server)?;
            texts.push(format!("{}/{} {done}", backend.name, server.name));
            servers.push((backend.name.clone(), server.name.clone()));
        }
    }
    if servers.is_empty() {
        let known = config.backends.iter().flat_map(|backend| &backend.servers).map(|server| server.name.as_str());
        return Err(Denied::Unknown(unknown("server", &target.server, known)));
    }
    Ok((texts.join("; "), servers))
}

fn limit(max: Option<u32>) -> String {
    match max {
        Some(max) => format!("takes at most {max} sessions at a time"),
        None => "takes any number of sessions".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "[[frontend]]\nname = 'f'\nlisten = '127.0.0.1:6443'\nbackend = 'b'\n[[backend]]\nname = 'b'\n\
                    servers = [{ name = 'a', address = '127.0.0.1:7443' }, { name = 'c', address = '127.0.0.1:7444', \
                    check = 'off' }]";
        crate::config::parse(text, "a.toml").unwrap()
    }

    fn target(server: &str) -> Target {
        Target { backend: Some("b".into()), server: server.into() }
    }

    #[test]
    fn one_setting_is_changed_and_said() {
        let mut config = config();
        assert_eq!(
            frontend_sessions(&mut config, "f", Some(7)).unwrap(),
            "frontend f: takes at most 7 sessions at a time"
        );
        let (text, servers) = server_sessions(&mut config, &target("a"), None).unwrap();
        assert_eq!((text.as_str(), servers.len()), ("b/a takes any number of sessions", 1));
        let there = crate::config::endpoint("127.0.0.2:9").unwrap();
        let (text, _) = address_of(&mut config, &target("a"), &there).unwrap();
        assert_eq!(text, "b/a is at 127.0.0.2:9, was at 127.0.0.1:7443");
        check(&mut config, &target("a"), None, Some(11)).unwrap();
        let server = &config.backends[0].servers[0];
        assert_eq!(
            (server.address.to_string().as_str(), server.check.as_ref().unwrap().port),
            ("127.0.0.2:9", Some(11))
        );
        assert_eq!(config.frontends[0].max_sessions, Some(7));
    }

    // Seen to fail without the look at who listens there.
    #[test]
    fn what_can_not_be_is_refused() {
        let mut config = config();
        let own = crate::config::endpoint("127.0.0.1:6443").unwrap();
        assert!(matches!(address_of(&mut config, &target("a"), &own), Err(Denied::Conflict(_))));
        assert!(matches!(check(&mut config, &target("c"), None, Some(11)), Err(Denied::Conflict(_))));
        assert!(matches!(agent(&mut config, &target("c"), (None, Some(1), None)), Err(Denied::Conflict(_))));
        assert!(matches!(server_sessions(&mut config, &target("x"), None), Err(Denied::Unknown(_))));
        assert!(matches!(frontend_sessions(&mut config, "x", None), Err(Denied::Unknown(_))));
    }
}
