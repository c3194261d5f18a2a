//! Servers that come and go while the process runs: it goes over to its own configuration with one more or less, as a
//! reload would. The next reload makes them those of the file again.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::orders::Answer;
use super::serving::Serving;
use crate::admin::{Denied, Done, NewCheck, NewServer, Outcome, Target, unknown};
use crate::check::Probers;
use crate::clock;
use crate::event::{ActionTaken, Actor, Change};
use crate::model::{self, BackendName, Config, OnRemoved, ServerId, ServerName};
use crate::pool::Pool;
use crate::pool::server::Server;

/// Servers that a process has beyond those of its file at most.
const MOST_ADDED: usize = 256;

impl Serving {
    /// Adds a server to a backend.
    pub fn add_server(&mut self, new: NewServer, by: Actor) -> Answer {
        let current = self.facts.current();
        let backend = backend(&current.config, &new.backend)?;
        let later = matches!(new.check, NewCheck::Later(_));
        let server = self.server_of(&current.config, backend, new)?;
        let config = current.config.with_server(&backend.name, server.clone());
        self.go_over_to(config)?;
        if later {
            self.leave_unprobed(&backend.name, &server.name);
        }
        if let Some(file) = &mut self.file {
            file.settings.add_server(&backend.name, &server);
        }
        let text = format!("{}/{} ({}) added", backend.name, server.name, server.address);
        Ok(self.tell("add-server", text, vec![(backend.name.clone(), server.name)], by))
    }

    /// Takes a server out of its backend, or out of all that have one of this name.
    pub fn remove_server(&mut self, target: &Target, by: Actor) -> Answer {
        let current = self.facts.current();
        let members = members(&current.config, target)?;
        let mut config = Config::clone(&current.config);
        for (backend, server) in &members {
            config = config.without_server(&backend.name, server);
        }
        let sessions: Vec<u32> = members.iter().map(|(backend, name)| self.sessions_at(&backend.name, name)).collect();
        self.go_over_to(config)?;
        let mut texts = Vec::new();
        for ((backend, server), sessions) in members.iter().zip(sessions) {
            if let Some(file) = &mut self.file {
                file.settings.remove_server(&backend.name, server);
            }
            texts.push(format!("{}/{server} removed{}", backend.name, of_sessions(sessions, &backend.closing)));
        }
        let servers = members.into_iter().map(|(backend, server)| (backend.name.clone(), server)).collect();
        Ok(self.tell("remove-server", texts.join("; "), servers, by))
    }

    /// The server as a file would state it, if it can be added.
    fn server_of(&self, config: &Config, backend: &model::Backend, new: NewServer) -> Result<model::Server, Denied> {
        let NewServer { name, address, weight, backup, max_sessions, disabled, check, .. } = new;
        if let Some(known) = backend.servers.iter().find(|known| known.name == name) {
            let at = &known.address;
            return Err(Denied::Conflict(format!("{} has a server {name} already, at {at}", backend.name)));
        }
        if let Some(frontend) = config.frontend_at(&address) {
            let frontend = &frontend.name;
            let why = format!("{address} is where frontend {frontend} listens: its sessions would come back");
            return Err(Denied::Conflict(why));
        }
        if self.file.as_ref().is_some_and(|file| file.settings.added_servers() >= MOST_ADDED) {
            let why = format!("{MOST_ADDED} servers that the file hasn't are as many as there may be: add them to it");
            return Err(Denied::Conflict(why));
        }
        let last = backend.servers.iter().map(|server| server.id.0).max().unwrap_or(0);
        let check = match check {
            NewCheck::OfBackend => backend.check.clone(),
            NewCheck::Off => None,
            NewCheck::Later(check) => Some(*check),
        };
        let plain = model::Server::new(ServerId(last + 1), name, address);
        Ok(model::Server { weight, backup, max_sessions, disabled, check, ..plain })
    }
    fn leave_unprobed(&self, backend: &BackendName, server: &ServerName) {
        if let Some((pool, server)) = self.find(backend, server) {
            pool.set_probed(&server, false);
        }
    }

    /// Goes over to another set of servers, if the process still may.
    pub(super) fn go_over_to(&mut self, config: Config) -> Result<(), Denied> {
        let permitted = self.applied.as_ref().map_or(Ok(()), |applied| applied.permits(&config));
        permitted.map_err(|reasons| Denied::Conflict(reasons.join("; ")))?;
        let probers = Probers::of(&config.backends).map_err(|error| Denied::Failed(error.to_string()))?;
        let sites = self.sites(&config).map_err(|error| Denied::Failed(error.to_string()))?;
        let renewed = self.go_over(config, sites, Vec::new(), probers);
        self.close_removed(renewed.removed);
        Ok(())
    }

    fn sessions_at(&self, backend: &BackendName, server: &ServerName) -> u32 {
        self.find(backend, server).map_or(0, |(_, server)| server.counters.sessions())
    }

    /// A server that runs, and the pool that it is in.
    pub(super) fn find(&self, backend: &BackendName, server: &ServerName) -> Option<(Arc<Pool>, Arc<Server>)> {
        let current = self.facts.current();
        let pool = current.pools.iter().find(|pool| pool.spec.name == *backend)?;
        let found = pool.servers().into_iter().find(|found| found.name == *server)?;
        Some((Arc::clone(pool), found))
    }

    pub(super) fn tell(
        &self,
        action: &'static str,
        text: String,
        servers: Vec<(BackendName, ServerName)>,
        by: Actor,
    ) -> Done {
        self.facts.actions.fetch_add(1, Relaxed);
        (self.observe)(&Change::Action(ActionTaken { by, action, text: text.clone(), servers, at: clock::wall() }));
        Done { text, outcome: Outcome::Told }
    }
}

fn backend<'a>(config: &'a Config, name: &str) -> Result<&'a model::Backend, Denied> {
    let found = config.backends.iter().find(|backend| backend.name.as_str() == name);
    let known = || config.backends.iter().map(|backend| backend.name.as_str());
    found.ok_or_else(|| Denied::Unknown(unknown("backend", name, known())))
}

/// The servers that are meant, at least one, and none that is the last of its backend.
fn members<'a>(config: &'a Config, target: &Target) -> Result<Vec<(&'a model::Backend, ServerName)>, Denied> {
    let backends = match &target.backend {
        Some(name) => vec![backend(config, name)?],
        None => config.backends.iter().collect(),
    };
    let named = |backend: &model::Backend| {
        backend.servers.iter().find(|server| server.name.as_str() == target.server).map(|server| server.name.clone())
    };
    let members: Vec<_> = backends.iter().filter_map(|backend| Some((*backend, named(backend)?))).collect();
    if members.is_empty() {
        let known = backends.iter().flat_map(|backend| &backend.servers).map(|server| server.name.as_str());
        return Err(Denied::Unknown(unknown("server", &target.server, known)));
    }
    if let Some((backend, server)) = members.iter().find(|(backend, _)| backend.servers.len() == 1) {
        let why = format!("{server} is the last server of {}: use maint to give it no sessions", backend.name);
        return Err(Denied::Conflict(why));
    }
    Ok(members)
}

/// What becomes of the sessions of a server that was removed.
fn of_sessions(sessions: u32, closing: &model::Closing) -> String {
    let (which, one) = match sessions {
        0 => return String::new(),
        1 => ("its session".to_owned(), true),
        _ => (format!("its {sessions} sessions"), false),
    };
    match (closing.on_removed, one) {
        (OnRemoved::Keep, true) => format!(", {which} stays"),
        (OnRemoved::Keep, false) => format!(", {which} stay"),
        (OnRemoved::Drain, true) => format!(", {which} is closed within {:?}", closing.drain_max),
        (OnRemoved::Drain, false) => format!(", {which} are closed over {:?}", closing.drain_max),
        (OnRemoved::Close, true) => format!(", {which} is closed"),
        (OnRemoved::Close, false) => format!(", {which} are closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn target(backend: Option<&str>, server: &str) -> Target {
        Target { backend: backend.map(str::to_owned), server: server.to_owned() }
    }

    fn words<T>(denied: Result<T, Denied>) -> String {
        match denied {
            Err(Denied::Unknown(words)) => format!("404 {words}"),
            Err(Denied::Conflict(words)) => format!("409 {words}"),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it was done"),
        }
    }

    // Seen to fail without the look at the last one.
    #[test]
    fn servers_are_found_in_one_backend_or_in_all_and_the_last_one_stays() {
        let text = "preset = 'k0s'\ncontrollers = { sion = '10.0.0.2', vie = '10.0.0.3' }\n\
                    [[backend]]\nname = 'konnectivity_backend'\nservers = [{ name = 'vie', address = '10.0.0.3:8132' }]";
        let config = config::parse(text, "a.toml").unwrap();
        let found = |backend, server| {
            let members = members(&config, &target(backend, server)).map_err(|error| format!("{error:?}"))?;
            Ok::<_, String>(members.iter().map(|(backend, _)| backend.name.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(found(Some("kubeAPI_backend"), "vie").unwrap(), ["kubeAPI_backend"]);
        assert_eq!(found(None, "sion").unwrap(), ["kubeAPI_backend", "controllerJoinAPI_backend"]);
        let refused = |backend, server| words(members(&config, &target(backend, server)));
        assert!(refused(Some("kubeAPI"), "vie").starts_with("404 there is no backend \"kubeAPI\": there are "));
        assert!(refused(None, "bern").starts_with("404 there is no server \"bern\": there are sion, vie"));
        let last = refused(None, "vie");
        assert_eq!(last, "409 vie is the last server of konnectivity_backend: use maint to give it no sessions");
    }

    #[test]
    fn what_becomes_of_the_sessions_is_said() {
        let mut closing = model::Policy::evenkeel().closing;
        assert_eq!(of_sessions(0, &closing), "");
        assert_eq!(of_sessions(2, &closing), ", its 2 sessions stay");
        closing.on_removed = OnRemoved::Drain;
        assert_eq!(of_sessions(1, &closing), ", its session is closed within 60s");
        closing.on_removed = OnRemoved::Close;
        assert_eq!(of_sessions(2, &closing), ", its 2 sessions are closed");
    }
}
