//! What is handed over, as JSON with a version: both processes may be of different releases.
//!
//! Fields are added, never renamed or removed; a change of meaning is another version. A process that is given a version
//! it does not know starts without the state. The sockets do not depend on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::app::confine::Layers;
use crate::app::process::Facts;
use crate::app::serving::Current;
use crate::event::{AdminState, Counts, DownCause, Orders, Predecessor, ServerSnapshot, ServerState, Snapshot};
use crate::model::{self, Weight};
use crate::pool::heritage::HealthHeritage;
use crate::pool::{Heritage, Pool};

/// The version that this release writes and reads.
pub const VERSION: u32 = 1;

/// The first message of all, whatever the version.
#[derive(Debug, Serialize, Deserialize)]
pub struct Greeting {
    pub version: u32,
    pub release: String,
    pub pid: u32,
    /// Descriptors that follow: listening sockets.
    pub sockets: usize,
    /// What each of them is listened on as, in the words of the configuration. Releases before this had none.
    #[serde(default)]
    pub listen: Vec<String>,
    /// What holds for the new process as well, because the old one has started it.
    #[serde(default)]
    pub layers: Layers,
    /// The file of the admin socket, if that is among them.
    pub admin: Option<PathBuf>,
    /// Who wanted the upgrade.
    #[serde(default)]
    pub by: Option<String>,
}

/// What the process was when the message was sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    pub process: Figures,
    pub frontends: BTreeMap<String, Figures>,
    pub backends: BTreeMap<String, Backend>,
    /// Those that it has itself replaced, and that still have sessions.
    pub predecessors: Vec<Before>,
    pub sessions: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Before {
    pid: u32,
    release: String,
    replaced: u64,
    sessions: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Backend {
    figures: Figures,
    servers: BTreeMap<String, Server>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Server {
    address: String,
    figures: Figures,
    sessions: u32,
    /// What an operator has set.
    admin: Option<String>,
    weight: Option<u16>,
    /// What the configuration said of the two: where it says something else by now, that holds.
    stated_disabled: bool,
    stated_weight: u16,
    check: Option<Check>,
    /// Milliseconds since 1970.
    since: u64,
    downtime: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Check {
    rise: u16,
    fall: u16,
    counter: u16,
    /// Why it is down, if it is.
    down: Option<String>,
}

/// Totals and maxima; times in microseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    sessions_total: u64,
    sessions_max: u32,
    bytes_in: u64,
    bytes_out: u64,
    rate_max: u32,
    queued_max: u32,
    denied: u64,
    denied_contents: u64,
    denied_sessions: u64,
    handshake_errors: u64,
    embryonic: u64,
    request_errors: u64,
    connect_errors: u64,
    response_errors: u64,
    retries: u64,
    moves: u64,
    hedges: u64,
    connects: u64,
    chosen: u64,
    client_aborts: u64,
    server_aborts: u64,
    check_failures: u64,
    downs: u64,
    queue_time_max: u64,
    connect_time_max: u64,
    total_time_max: u64,
}

// ---- written ----

impl State {
    pub fn of(snapshot: &Snapshot, config: &model::Config) -> Self {
        let frontends = snapshot.frontends.iter().map(|of| (of.name.to_string(), Figures::of(&of.counts)));
        let backends = snapshot.backends.iter().map(|backend| {
            let stated = config.backend(&backend.name);
            let servers = backend.servers.iter().filter_map(|server| {
                let stated = stated?.servers.iter().find(|stated| stated.name == server.name)?;
                Some((server.name.to_string(), Server::of(server, stated)))
            });
            let servers = servers.collect();
            (backend.name.to_string(), Backend { figures: Figures::of(&backend.counts), servers })
        });
        Self {
            process: Figures::of(&snapshot.process.counts),
            frontends: frontends.collect(),
            backends: backends.collect(),
            predecessors: snapshot.process.predecessors.iter().map(Before::of).collect(),
            sessions: snapshot.process.sessions,
        }
    }
}

impl Before {
    fn of(predecessor: &Predecessor) -> Self {
        let Predecessor { pid, version, replaced, sessions } = predecessor;
        Self { pid: *pid, release: version.clone(), replaced: milliseconds(*replaced), sessions: *sessions }
    }
}

impl Server {
    fn of(server: &ServerSnapshot, stated: &model::Server) -> Self {
        let down = match server.state {
            ServerState::Down(cause) => Some(cause.words().to_owned()),
            _ => None,
        };
        // One that is in use though it is down has a counter that says so, and the next look finds why.
        let check = server.check.as_ref();
        let check = check.map(|check| Check { rise: check.rise, fall: check.fall, counter: check.health, down });
        Self {
            address: server.address.to_string(),
            figures: Figures::of(&server.counts),
            // An older process's are told through this one.
            sessions: server.counts.sessions + server.replaced_sessions,
            admin: server.orders.admin.map(|state| state.word().to_owned()),
            weight: server.orders.weight.map(Weight::value),
            stated_disabled: stated.disabled,
            stated_weight: stated.weight.value(),
            check,
            since: milliseconds(server.since),
            downtime: u64::try_from(server.downtime.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

// ---- read ----

impl State {
    /// Takes over all of it: once, before anybody is served.
    pub fn take_over(&self, facts: &Facts, current: &Current) {
        self.count(facts, current);
        self.each_server(current, |pool, server, was| {
            let spec = server.spec();
            pool.inherit(server, &was.heritage(&spec));
        });
    }

    /// Goes on from what the process before has counted, which may still be counting.
    pub fn count(&self, facts: &Facts, current: &Current) {
        facts.process.counters.inherit(self.process.counts());
        for frontend in &current.frontends {
            if let Some(figures) = self.frontends.get(frontend.spec.name.as_str()) {
                frontend.counters.inherit(figures.counts());
            }
        }
        for pool in &current.pools {
            if let Some(backend) = self.backends.get(pool.spec.name.as_str()) {
                pool.counters.inherit(backend.figures.counts());
            }
        }
        self.each_server(current, |pool, server, was| {
            server.counters.inherit(was.figures.counts());
            pool.note_elsewhere(server, was.sessions);
        });
    }

    /// Forgets the sessions of a process that has ended.
    pub fn forget_sessions(current: &Current) {
        for pool in &current.pools {
            pool.servers().iter().for_each(|server| pool.note_elsewhere(server, 0));
        }
    }

    /// Every server that both processes have.
    fn each_server(&self, current: &Current, see: impl Fn(&Arc<Pool>, &Arc<crate::pool::server::Server>, &Server)) {
        for pool in &current.pools {
            let Some(backend) = self.backends.get(pool.spec.name.as_str()) else { continue };
            for server in pool.servers() {
                let was = backend.servers.get(server.name.as_str());
                if let Some(was) = was.filter(|was| was.address == server.endpoint.to_string()) {
                    see(pool, &server, was);
                }
            }
        }
    }

    /// The process that has sent this, replaced at that time, and those before it.
    pub fn predecessors(&self, greeting: &Greeting, replaced: SystemTime) -> Vec<Predecessor> {
        let it =
            Predecessor { pid: greeting.pid, version: greeting.release.clone(), replaced, sessions: self.sessions };
        let before = self.predecessors.iter().map(|before| Predecessor {
            pid: before.pid,
            version: before.release.clone(),
            replaced: UNIX_EPOCH + Duration::from_millis(before.replaced),
            sessions: before.sessions,
        });
        std::iter::once(it).chain(before).collect()
    }
}

impl Server {
    fn heritage(&self, spec: &model::Server) -> Heritage {
        let set = self.admin.as_deref();
        let admin = set.and_then(|word| AdminState::ALL.into_iter().find(|state| state.word() == word));
        let weight = self.weight.and_then(Weight::new);
        // What the file says anew wins over what an operator had set.
        let orders = Orders {
            admin: admin.filter(|_| spec.disabled == self.stated_disabled),
            weight: weight.filter(|_| spec.weight.value() == self.stated_weight),
        };
        let same = self.check.as_ref().zip(spec.check.as_ref());
        let same = same.filter(|(was, is)| (was.rise, was.fall) == (is.rise.max(1), is.fall.max(1)));
        let health = same.map(|(was, _)| HealthHeritage { counter: was.counter, down: was.cause() });
        Heritage {
            orders,
            health,
            since: UNIX_EPOCH + Duration::from_millis(self.since),
            downtime: Duration::from_millis(self.downtime),
        }
    }
}

impl Check {
    fn cause(&self) -> Option<DownCause> {
        let told = self.down.as_deref();
        let known = told.and_then(|words| DownCause::ALL.into_iter().find(|cause| cause.words() == words));
        // A counter below rise is down, whatever else is said.
        known.or_else(|| (self.counter < self.rise).then_some(DownCause::Unreachable))
    }
}

/// The fields that [`Figures`] shares with [`Counts`], by kind.
macro_rules! figures {
    (counts: $($count:ident)*; times: $($time:ident)*) => {
        impl Figures {
            fn of(counts: &Counts) -> Self {
                let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                Self { $($count: counts.$count,)* $($time: micros(counts.$time),)* }
            }

            fn counts(&self) -> Counts {
                Counts {
                    $($count: self.$count,)*
                    $($time: Duration::from_micros(self.$time),)*
                    ..Counts::default()
                }
            }
        }
    };
}

figures! {
    counts:
        sessions_total sessions_max bytes_in bytes_out rate_max queued_max denied denied_contents denied_sessions
        handshake_errors embryonic request_errors connect_errors response_errors retries moves hedges connects chosen client_aborts server_aborts check_failures downs;
    times: queue_time_max connect_time_max total_time_max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_fields_of_other_releases_are_no_harm() {
        let counts = Counts { bytes_in: 7, downs: 3, total_time_max: Duration::from_millis(5), ..Counts::default() };
        let text = serde_json::to_string(&Figures::of(&counts)).unwrap();
        let read: Figures = serde_json::from_str(&text.replacen('{', "{\"of_a_later_release\":1,", 1)).unwrap();
        assert_eq!(read.counts(), counts);
        assert_eq!(serde_json::from_str::<Figures>("{}").unwrap().counts(), Counts::default());
    }
}
