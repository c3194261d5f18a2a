//! What the running process answers, as far as the commands read it; docs/api.md has all of it.
//!
//! Fields that this version doesn't know are passed over: the process may be newer.

use serde::Deserialize;

/// `GET /api/v1/status`.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) at: String,
    pub(super) process: Process,
    pub(super) frontends: Vec<Frontend>,
    pub(super) backends: Vec<Backend>,
    pub(super) hosts: Vec<Host>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Process {
    pub(super) version: String,
    pub(super) node: String,
    pub(super) pid: u32,
    pub(super) uptime_seconds: f64,
    pub(super) phase: String,
    pub(super) isolated: bool,
    pub(super) workers: u32,
    pub(super) sessions_limit: u32,
    pub(super) open_descriptors: u64,
    pub(super) max_descriptors: u64,
    pub(super) resident_memory_bytes: u64,
    pub(super) log_lines_dropped: u64,
    /// Of a process that says it.
    #[serde(default)]
    pub(super) config: Configuration,
    pub(super) counts: Counts,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Configuration {
    /// The last reload, if it was refused.
    pub(super) refused: Option<RefusedReload>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RefusedReload {
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Frontend {
    pub(super) name: String,
    pub(super) listen: Vec<String>,
    pub(super) backend: String,
    pub(super) full: bool,
    pub(super) sessions_limit: Option<u32>,
    pub(super) counts: Counts,
}

#[derive(Debug, Deserialize)]
pub(super) struct Backend {
    pub(super) name: String,
    pub(super) balance: String,
    pub(super) up: bool,
    pub(super) since: String,
    pub(super) weight: u32,
    pub(super) shared_source: Option<Note>,
    pub(super) counts: Counts,
    pub(super) servers: Vec<Server>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Note {
    pub(super) note: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) state: String,
    pub(super) suspect: bool,
    pub(super) cause: Option<String>,
    pub(super) admin_state: String,
    pub(super) since: String,
    pub(super) weight: u16,
    pub(super) backup: bool,
    pub(super) check: Option<Check>,
    #[serde(default)]
    pub(super) replaced_sessions: u32,
    pub(super) counts: Counts,
}

#[derive(Debug, Deserialize)]
pub(super) struct Check {
    pub(super) last: Option<LastCheck>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LastCheck {
    pub(super) status: String,
    pub(super) passed: bool,
    pub(super) detail: String,
    pub(super) duration_seconds: f64,
    pub(super) remark: Option<String>,
    pub(super) advice: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Counts {
    pub(super) sessions: u32,
    pub(super) session_rate: u32,
    pub(super) queued: u32,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Host {
    pub(super) host: String,
    pub(super) reading: Option<String>,
}

impl Status {
    /// A server of this backend.
    pub(super) fn server(&self, backend: &str, server: &str) -> Option<&Server> {
        let backend = self.backends.iter().find(|known| known.name == backend)?;
        backend.servers.iter().find(|known| known.name == server)
    }
}

/// `GET /api/v1/sessions`.
#[derive(Debug, Deserialize)]
pub(super) struct Sessions {
    /// How many the filters let through, the limit aside.
    pub(super) total: u64,
    pub(super) sessions: Vec<Session>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) frontend: String,
    pub(super) backend: Option<String>,
    pub(super) server: Option<String>,
    pub(super) client: String,
    /// Our address towards the server.
    pub(super) source: Option<String>,
    pub(super) age_seconds: f64,
    pub(super) idle_seconds: f64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) state: String,
}

/// The answer to an action.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    /// One sentence for people.
    pub(super) text: String,
}

/// The answer to a change of one or several servers.
#[derive(Debug, Deserialize)]
pub(super) struct Changed {
    pub(super) text: String,
    pub(super) changed: Vec<Change>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Change {
    pub(super) backend: String,
    pub(super) server: String,
}
