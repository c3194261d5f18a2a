//! A configuration with one server more or less than the file has, and what follows from its servers.

use std::collections::hash_map::{Entry, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::{Backend, BackendName, Config, Endpoint, Frontend, Host, HostAddress, ListenAddress, Server, ServerName};

impl Config {
    /// The same with another server at the end of a backend.
    #[must_use]
    pub fn with_server(&self, backend: &BackendName, server: Server) -> Self {
        self.with_servers_of(backend, |servers| servers.push(server))
    }

    /// The same without a server of a backend.
    #[must_use]
    pub fn without_server(&self, backend: &BackendName, server: &ServerName) -> Self {
        self.with_servers_of(backend, |servers| servers.retain(|known| known.name != *server))
    }

    fn with_servers_of(&self, name: &BackendName, change: impl FnOnce(&mut Vec<Server>)) -> Self {
        let mut config = self.clone();
        if let Some(backend) = config.backends.iter_mut().find(|backend| backend.name == *name) {
            change(&mut backend.servers);
        }
        config.hosts = hosts(&config.backends);
        config
    }

    /// The frontend that sessions of a server at this address would come back to.
    pub fn frontend_at(&self, endpoint: &Endpoint) -> Option<&Frontend> {
        self.frontends.iter().find(|frontend| frontend.listen.iter().any(|listen| listen.address.takes(endpoint)))
    }
}

/// The machines of all servers, in order of first appearance.
pub fn hosts(backends: &[Backend]) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    let mut places: HashMap<&HostAddress, usize> = HashMap::new();
    for backend in backends {
        for server in &backend.servers {
            let member: (BackendName, ServerName) = (backend.name.clone(), server.name.clone());
            match places.entry(&server.address.host) {
                Entry::Occupied(place) => hosts[*place.get()].servers.push(member),
                Entry::Vacant(place) => {
                    place.insert(hosts.len());
                    hosts.push(Host { address: server.address.host.clone(), servers: vec![member] });
                }
            }
        }
    }
    hosts
}

impl ListenAddress {
    /// Whether who connects to `endpoint` comes here, on any machine for sure: it is the very address, or loopback where
    /// all addresses are listened on.
    pub fn takes(self, endpoint: &Endpoint) -> bool {
        let ip: IpAddr = match &endpoint.host {
            HostAddress::Ip(ip) => *ip,
            // It means loopback everywhere, though not in which family (RFC 6761, section 6.3).
            HostAddress::Name(name) if name.trim_end_matches('.') == "localhost" => {
                return matches!(self, Self::DualStack { port } if port == endpoint.port);
            }
            HostAddress::Name(_) => return false,
        };
        let address = Self::Tcp(SocketAddr::new(ip, endpoint.port));
        self == address || (self.is_wide() && ip.is_loopback() && self.overlaps(address))
    }

    /// Whether it is all addresses of a family or of both.
    pub fn is_wide(self) -> bool {
        match self {
            Self::DualStack { .. } => true,
            Self::Tcp(address) => address.ip().is_unspecified(),
            Self::Descriptor(_) | Self::Unix(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn config() -> Config {
        let text = "preset = 'k0s'\ncontrollers = ['10.0.0.2', '10.0.0.3']";
        config::parse(text, "a.toml").unwrap()
    }

    // Seen to fail with hosts that are kept as they were.
    #[test]
    fn a_server_comes_and_goes_and_so_does_its_machine() {
        let before = config();
        let api = &before.backends[0];
        let address = config::endpoint("10.0.0.9:6443").unwrap();
        let server = Server { name: ServerName::new("new").unwrap(), address, ..api.servers[0].clone() };
        let after = before.with_server(&api.name, server.clone());
        assert_eq!(after.backends[0].servers[2], server);
        assert_eq!(
            after.hosts.last().map(|host| host.servers.clone()),
            Some(vec![(api.name.clone(), server.name.clone())])
        );
        assert_eq!(after.without_server(&api.name, &server.name), before);
        let one_less = before.without_server(&api.name, &api.servers[0].name);
        assert_eq!(one_less.backends[0].servers.len(), 1);
        assert_eq!(one_less.hosts.len(), 2, "it is still in the other backends");
    }

    #[test]
    fn an_address_that_leads_back_is_found() {
        let config = config();
        let at = |text: &str| config.frontend_at(&config::endpoint(text).unwrap()).map(|found| found.name.as_str());
        assert_eq!(at("127.0.0.1:6443"), Some("kubeAPI"));
        assert_eq!(at("localhost:9443"), Some("controllerJoinAPI"));
        assert_eq!(at("10.0.0.2:6443"), None, "another machine's, for all that is known");
        assert_eq!(at("127.0.0.1:6444"), None);
    }
}
