//! `/api/v1/servers/{backend}/{server}` and `/api/v1/backends/{backend}`: what their pages show, but for the charts.

use serde::Serialize;

use super::super::changes::StateChange;
use super::super::headline::evidence;
use super::super::series::Changed;
use super::{Backend, Host, LastCheck, Server, rfc3339};
use crate::event::{
    AdminState, BackendSnapshot, Evidence, FrontendSnapshot, Orders, ProbeTotals, ServerSnapshot, Snapshot, SourceHeld,
    SourcesSnapshot,
};
use crate::model::{ServerName, Weight};

/// A server with its last probes, the oldest first, and its changes of state.
pub(in crate::admin) fn server(
    snapshot: &Snapshot,
    backend: &BackendSnapshot,
    server: &ServerSnapshot,
    probes: &[Evidence],
    changes: &[StateChange],
) -> String {
    let on_host = snapshot.hosts().into_iter().find(|(host, _)| **host == server.host);
    line(&ServerDetail {
        at: rfc3339(snapshot.at),
        backend: backend.name.as_str(),
        frontends: leading_to(snapshot, backend),
        server: Server::of(server),
        why: evidence(server),
        orders: Set::of(server.orders),
        host: on_host.map(Host::of),
        probes: probes.iter().map(LastCheck::of).collect(),
        probe_counts: server.check.as_ref().map(|check| Probes::of(&check.probes)),
        changes: changes.iter().map(Changed::of).collect(),
    })
}

/// A backend with its servers' changes of state; `sources` are for those alone who may see who the clients are.
pub(in crate::admin) fn backend(
    snapshot: &Snapshot,
    backend: &BackendSnapshot,
    sources: Option<&SourcesSnapshot>,
    changes: &[StateChange],
) -> String {
    line(&BackendDetail {
        at: rfc3339(snapshot.at),
        frontends: leading_to(snapshot, backend),
        backend: Backend::of(backend),
        sources: sources.map(Sources::of),
        changes: changes.iter().map(Changed::of).collect(),
    })
}

fn line(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("structs of strings and numbers have a form") + "\n"
}

fn leading_to<'a>(snapshot: &'a Snapshot, backend: &BackendSnapshot) -> Vec<&'a str> {
    let leads = snapshot.frontends.iter().filter(|frontend: &&FrontendSnapshot| frontend.leads_to(&backend.name));
    leads.map(|frontend| frontend.name.as_str()).collect()
}

#[derive(Serialize)]
struct ServerDetail<'a> {
    at: String,
    backend: &'a str,
    frontends: Vec<&'a str>,
    server: Server<'a>,
    why: Option<String>,
    orders: Set,
    host: Option<Host<'a>>,
    probes: Vec<LastCheck<'a>>,
    probe_counts: Option<Probes>,
    changes: Vec<Changed<'a>>,
}

#[derive(Serialize)]
struct BackendDetail<'a> {
    at: String,
    frontends: Vec<&'a str>,
    backend: Backend<'a>,
    sources: Option<Sources<'a>>,
    changes: Vec<Changed<'a>>,
}

/// What an operator has set.
#[derive(Serialize)]
struct Set {
    admin_state: Option<&'static str>,
    weight: Option<u16>,
}

impl Set {
    fn of(orders: Orders) -> Self {
        let Orders { admin, weight } = orders;
        Self { admin_state: admin.map(AdminState::word), weight: weight.map(Weight::value) }
    }
}

#[derive(Serialize)]
struct Probes {
    ended: u64,
    failed: u64,
    duration_seconds: f64,
}

impl Probes {
    fn of(probes: &ProbeTotals) -> Self {
        Self { ended: probes.ended, failed: probes.failed, duration_seconds: probes.time.as_secs_f64() }
    }
}

#[derive(Serialize)]
struct Sources<'a> {
    servers: Vec<&'a str>,
    total: u32,
    held: &'a [u32],
    least: Vec<Source<'a>>,
}

#[derive(Serialize)]
struct Source<'a> {
    address: String,
    sessions: &'a [u32],
}

impl<'a> Sources<'a> {
    fn of(sources: &'a SourcesSnapshot) -> Self {
        let source =
            |source: &'a SourceHeld| Source { address: source.address.to_string(), sessions: &source.sessions };
        Self {
            servers: sources.servers.iter().map(ServerName::as_str).collect(),
            total: sources.total(),
            held: &sources.held,
            least: sources.least.iter().map(source).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::collect;
    use super::*;
    use crate::event::{CheckStatus, fixture};

    fn seen(status: CheckStatus, detail: &str) -> Evidence {
        Evidence { detail: detail.into(), ..Evidence::of(status, fixture::now()) }
    }

    fn sources() -> SourcesSnapshot {
        let least = vec![SourceHeld { address: "10.0.0.9".parse().unwrap(), sessions: vec![0, 2, 0] }];
        let servers = fixture::CONTROLLERS.map(|name| ServerName::new(name).unwrap()).to_vec();
        SourcesSnapshot { servers, held: vec![0, 1, 0, 14], least }
    }

    #[test]
    fn a_server_is_told_with_why_it_is_so_and_what_its_probes_saw() {
        let mut snapshot = fixture::cluster();
        snapshot.take_down("k0s-at-vie-1");
        let of = &mut snapshot.backends[0].servers[1];
        of.orders.weight = Weight::new(7);
        let snapshot = snapshot;
        let (of_backend, of) = (&snapshot.backends[0], &snapshot.backends[0].servers[1]);
        let probes = [seen(CheckStatus::L6Ok, "fine"), seen(CheckStatus::L4Con, "connection refused")];
        let document: Value = serde_json::from_str(&server(&snapshot, of_backend, of, &probes, &[])).unwrap();
        assert_eq!((&document["why"], &document["server"]["state"]), (&"connection refused".into(), &"down".into()));
        assert_eq!(document["frontends"], json!(["kubeAPI"]));
        assert_eq!(document["orders"], json!({"admin_state": null, "weight": 7}));
        assert_eq!(document["probes"][1]["detail"], "connection refused");
        assert_eq!(document["host"]["host"], "10.10.1.2");
        assert_eq!(document["probe_counts"]["ended"], 136_921);
    }

    #[test]
    fn a_backend_is_told_with_who_holds_which_of_its_servers() {
        let snapshot = fixture::cluster();
        let told = |sources: Option<&SourcesSnapshot>| -> Value {
            serde_json::from_str(&backend(&snapshot, &snapshot.backends[1], sources, &[])).unwrap()
        };
        let document = told(Some(&sources()));
        assert_eq!((&document["sources"]["total"], &document["sources"]["held"]), (&15.into(), &json!([0, 1, 0, 14])));
        assert_eq!(document["sources"]["least"], json!([{"address": "10.0.0.9", "sessions": [0, 2, 0]}]));
        assert_eq!(told(None)["sources"], Value::Null);
    }

    #[test]
    fn the_manual_names_every_field() {
        let manual = include_str!("../../../docs/api.md");
        let snapshot = fixture::cluster();
        let (of_backend, of) = (&snapshot.backends[0], &snapshot.backends[0].servers[1]);
        let probes = [seen(CheckStatus::L6Ok, "fine")];
        let documents =
            [server(&snapshot, of_backend, of, &probes, &[]), backend(&snapshot, of_backend, Some(&sources()), &[])];
        let mut names = Vec::new();
        for document in documents {
            collect(&serde_json::from_str(&document).unwrap(), &mut names);
        }
        assert!(names.len() > 60, "{} names", names.len());
        for name in names {
            assert!(manual.contains(&format!("`{name}`")), "docs/api.md doesn't name `{name}`");
        }
    }
}
