//! A cluster's hosts, as k0sctl and cfctl name them, held against the servers of a configuration.
//!
//! `hosts` reads the file. A server is a controller's if it has one of the addresses by which that is reached; only
//! backends count of which not every server is known to be something else, such as a worker's ingress.

mod hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use super::expand::Expanded;
use super::finding::Finding;
use super::mistake::Mistakes;
use super::raw;
use super::read::Span;
use super::report::Report;
use super::source::Source;
use crate::model::HostAddress;
use hosts::Host;

const NO_CONTROLLER: &str = "cluster-no-controller";
const NO_SERVER: &str = "cluster-no-server";

/// The ids of what may differ.
pub const FINDINGS: [&str; 2] = [NO_CONTROLLER, NO_SERVER];

/// A file of k0sctl's or cfctl's.
pub struct Cluster {
    source: Source,
    hosts: Vec<Host>,
}

/// What came of a comparison.
#[derive(Debug)]
pub struct Compared {
    /// The cluster's file, as it was named.
    pub name: String,
    /// What is wrong as seen from there, in its places.
    pub report: Report,
    pub controllers: usize,
    /// Servers that are named by a host name, of which nothing can be said.
    pub named: usize,
}

/// A server in its place of what the operator wrote.
struct Server<'a> {
    backend: &'a str,
    name: &'a str,
    host: &'a HostAddress,
    at: Option<Span>,
    /// The cluster's host that has this address, by its place in the file.
    is: Option<usize>,
}

impl Cluster {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// What keeps it from being used.
    pub fn read(path: &Path) -> Result<Self, Report> {
        Self::of(Source::read(path)?)
    }

    fn of(source: Source) -> Result<Self, Report> {
        let mut mistakes = Mistakes::default();
        let hosts = hosts::read(&source, &mut mistakes);
        match mistakes.has_errors() {
            false => Ok(Self { source, hosts }),
            true => Err(Report::new(source, mistakes)),
        }
    }

    fn controllers(&self) -> impl Iterator<Item = (usize, &Host)> {
        self.hosts.iter().enumerate().filter(|(_, host)| host.is_controller())
    }

    /// What is wrong with the servers, in the places of the text that the operator `wrote`, and what came of it.
    pub fn compare(&self, expanded: &Expanded, source: &Source, wrote: &Source) -> (Mistakes, Compared) {
        let all: Vec<Server<'_>> = self.servers(expanded, source);
        let known_as_other = |backend: &str| {
            all.iter().filter(|server| server.backend == backend).all(|server| self.is_no_controller(server))
        };
        let others: BTreeSet<&str> = once_each(&all).into_iter().filter(|backend| known_as_other(backend)).collect();
        let servers: Vec<&Server<'_>> = all.iter().filter(|server| !others.contains(server.backend)).collect();
        let missing = self.missing(&servers);
        let mut mistakes = Mistakes::default();
        self.note_strangers(&servers, &missing, wrote, &mut mistakes);
        let mut here = Mistakes::default();
        self.note_missing(&missing, &servers, &mut here);
        let compared = Compared {
            name: self.source.name.clone(),
            report: Report::new(self.source.clone(), here),
            controllers: self.controllers().count(),
            named: servers.iter().filter(|server| server.is_unknown_name()).count(),
        };
        (mistakes, compared)
    }

    fn servers<'a>(&self, expanded: &'a Expanded, source: &Source) -> Vec<Server<'a>> {
        let by_address = self.by_address();
        let mut servers = Vec::new();
        for backend in expanded.backends() {
            for server in members(backend) {
                let (Some(of), Some(name), Some(address)) = (&backend.name, &server.name, &server.address) else {
                    continue;
                };
                let host = &address.value.endpoint.host;
                servers.push(Server {
                    backend: of.value.as_str(),
                    name: name.value.as_str(),
                    host,
                    at: address.span().and_then(|span| source.origin(span)),
                    is: by_address.get(&host.to_string()).copied(),
                });
            }
        }
        servers
    }

    fn by_address(&self) -> BTreeMap<String, usize> {
        let hosts = self.hosts.iter().enumerate();
        hosts.flat_map(|(place, host)| host.addresses.iter().map(move |(address, _)| (plain(address), place))).collect()
    }

    fn is_no_controller(&self, server: &Server<'_>) -> bool {
        server.is.is_some_and(|place| !self.hosts[place].is_controller())
    }

    /// Of each controller that has no server in some backend, those backends.
    fn missing<'a>(&self, servers: &[&Server<'a>]) -> BTreeMap<usize, Vec<&'a str>> {
        let mut missing: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        let unknown: BTreeSet<&str> =
            servers.iter().filter(|server| server.is_unknown_name()).map(|server| server.backend).collect();
        let served: BTreeSet<(&str, usize)> =
            servers.iter().filter_map(|server| Some((server.backend, server.is?))).collect();
        for backend in once_each(servers.iter().copied()) {
            // A name may be any controller's.
            if unknown.contains(backend) {
                continue;
            }
            for (place, _) in self.controllers().filter(|(place, _)| !served.contains(&(backend, *place))) {
                missing.entry(place).or_default().push(backend);
            }
        }
        missing
    }

    /// Notes servers that are no controllers, those of one address together.
    fn note_strangers(
        &self,
        servers: &[&Server<'_>],
        missing: &BTreeMap<usize, Vec<&str>>,
        wrote: &Source,
        mistakes: &mut Mistakes,
    ) {
        let mut strangers: BTreeMap<&HostAddress, Vec<&Server<'_>>> = BTreeMap::new();
        for server in servers.iter().filter(|server| self.is_no_controller(server) || server.is_stranger()) {
            strangers.entry(server.host).or_default().push(server);
        }
        let only = strangers.len() == 1;
        for (host, servers) in strangers {
            let first = servers[0];
            let role = first.is.and_then(|place| self.hosts[place].role.as_ref());
            let why = match role {
                Some((role, _)) => format!("{host} is a {role} in {}", self.source.name),
                None => format!("{} has no controller with the address {host}", self.source.name),
            };
            let meant = missing.keys().next().filter(|_| only && missing.len() == 1);
            let fix = match meant.map(|place| &self.hosts[*place]) {
                Some(controller) => format!("is {} meant, the controller that has no server?", controller.name()),
                None => format!("write the address of a controller: {}", self.addresses()),
            };
            let what = format!("server {} is none of the cluster's controllers: {why}", first.name);
            // Those of a preset all stand where the controller does.
            let places: BTreeSet<Span> = servers.iter().filter_map(|server| server.at).collect();
            let places = places.into_iter().collect();
            Finding { places, what, fix }.note(NO_CONTROLLER, wrote, mistakes);
        }
    }

    /// Notes controllers that no server stands for, in the cluster's own file.
    fn note_missing(&self, missing: &BTreeMap<usize, Vec<&str>>, servers: &[&Server<'_>], mistakes: &mut Mistakes) {
        let backends = once_each(servers.iter().copied()).len();
        for (place, lacking) in missing {
            let controller = &self.hosts[*place];
            let what = match lacking.len() == backends {
                true => format!("no server stands for the controller {}", controller.name()),
                false => format!("no server of {} stands for the controller {}", lacking.join(", "), controller.name()),
            };
            let fix = "give it a server in each backend, or correct an address here or there".to_owned();
            let places = controller.at().into_iter().collect();
            Finding { places, what, fix }.note(NO_SERVER, &self.source, mistakes);
        }
    }

    /// The controllers, each by one address.
    fn addresses(&self) -> String {
        /// More are no help.
        const LISTED: usize = 9;
        let names: Vec<&str> = self.controllers().map(|(_, host)| host.name()).take(LISTED).collect();
        names.join(", ")
    }
}

impl Server<'_> {
    /// Whether it is named by a name that the cluster's file doesn't have, and so may be any of its hosts.
    fn is_unknown_name(&self) -> bool {
        self.is.is_none() && matches!(self.host, HostAddress::Name(_))
    }

    /// Whether it is no host of the cluster.
    fn is_stranger(&self) -> bool {
        self.is.is_none() && matches!(self.host, HostAddress::Ip(_))
    }
}

fn members(backend: &raw::Backend) -> impl Iterator<Item = &raw::Server> {
    backend.servers.iter().flat_map(|servers| &servers.value.0).map(|member| &member.value.0)
}

/// The backends of these servers, in order.
fn once_each<'a: 'b, 'b>(servers: impl IntoIterator<Item = &'b Server<'a>>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    servers.into_iter().map(|server| server.backend).filter(|backend| seen.insert(*backend)).collect()
}

/// An address as it is compared.
fn plain(address: &str) -> String {
    address.parse::<IpAddr>().map_or_else(|_| address.to_owned(), |ip| ip.to_canonical().to_string())
}

#[cfg(test)]
mod tests;
