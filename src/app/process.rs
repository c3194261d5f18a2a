//! What is known of the process as a whole: its limits, its figures, and whether it is fit to serve.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tokio::time::Instant;

use super::peers::Heard;
use super::retired::{Retired, add_shared};
use super::serving::Current;
use super::workers::{STUCK, Watched};
use crate::admin::Door;
use crate::clock;
use crate::event::{
    ConfigReload, ConfigSnapshot, Counts, Fitness, Predecessor, ProcessPhase, ProcessSnapshot, RefusedReload,
    ReloadOutcome, Snapshot,
};
use crate::net::pipe::Pipes;
use crate::observe::history::History;
use crate::observe::logging::Tally;
use crate::observe::series::Series;
use crate::pool::network::Network;
use crate::proxy::frontend::Process;

/// Descriptors that are kept for listeners, probes, pages and files.
const RESERVED: u64 = 384;

/// How long a required backend may be without a server before `/readyz` says so.
const RED_AFTER: Duration = Duration::from_secs(3);

/// All that snapshots and health answers are made from.
#[derive(Debug)]
pub struct Facts {
    pub descriptors: u64,
    pub process: Arc<Process>,
    pub current: watch::Receiver<Arc<Current>>,
    pub retired: Retired,
    pub network: Arc<Network>,
    pub workers: Vec<Watched>,
    pub log_targets: Vec<Arc<Tally>>,
    pub phase: watch::Receiver<ProcessPhase>,
    pub predecessors: Mutex<Vec<Predecessor>>,
    pub history: Arc<History>,
    pub series: Arc<Series>,
    pub door: Arc<Door>,
    /// Actions of operators so far.
    pub actions: AtomicU64,
    pub config: Mutex<ConfigSnapshot>,
    /// What other load balancers have said.
    pub peers: Arc<Heard>,
    pub started: (SystemTime, Instant),
}

impl Facts {
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }

    /// Notes which processes that this one has replaced still have sessions.
    pub fn note_predecessors(&self, predecessors: Vec<Predecessor>) {
        *self.predecessors.lock().unwrap_or_else(PoisonError::into_inner) = predecessors;
    }

    pub fn has_predecessors(&self) -> bool {
        !self.predecessors.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Notes what has become of the last reload, for those who look.
    pub fn note_reload(&self, ConfigReload { by, outcome, at }: &ConfigReload) {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            ReloadOutcome::Done { .. } => *config = ConfigSnapshot { loaded: *at, refused: None },
            ReloadOutcome::Refused(refused) => {
                config.refused = Some(RefusedReload { at: *at, by: by.to_string(), reason: refused.reason() });
            }
        }
    }

    /// Keeps what was counted of frontends and backends that there are no more.
    pub fn retire(&self, old: &Current, new: &Current) {
        let frontends =
            old.frontends.iter().filter(|old| new.frontends.iter().all(|new| new.spec.name != old.spec.name));
        let pools = old.pools.iter().filter(|old| new.pools.iter().all(|new| new.spec.name != old.spec.name));
        let gone = frontends.map(|frontend| &frontend.counters).chain(pools.map(|pool| &pool.counters));
        gone.for_each(|counters| self.retired.add(Arc::clone(counters)));
    }

    /// Everything as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let current = self.current();
        Snapshot {
            at: clock::wall(),
            process: self.process_snapshot(),
            frontends: current.frontend_snapshots(),
            backends: current.backend_snapshots(),
            stats: current.sites.iter().filter_map(|site| site.snapshot()).collect(),
            peers: self.peers.all(),
            tables: self.tables(),
        }
    }

    /// Clients that are connected, to pages, too.
    pub fn connections(&self) -> u32 {
        let of_sites: u32 = self.current().sites.iter().map(|site| site.connections()).sum();
        self.process.counters.sessions() + of_sites
    }

    fn process_snapshot(&self) -> ProcessSnapshot {
        let (started, since) = self.started;
        let log_targets: Vec<_> = self.log_targets.iter().map(|target| target.snapshot()).collect();
        ProcessSnapshot {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            node: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            started,
            uptime: since.elapsed(),
            workers: u32::try_from(self.workers.len()).unwrap_or(u32::MAX),
            sessions: self.process.counters.sessions(),
            max_sessions: self.process.limit.max(),
            max_descriptors: self.descriptors,
            open_descriptors: fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64),
            resident_memory: resident_memory().unwrap_or(0),
            cpu: processor_time(),
            phase: *self.phase.borrow(),
            predecessors: self.predecessors.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            isolated: self.network.is_isolated(),
            dropped_logs: log_targets.iter().map(|target| target.dropped).sum(),
            log_targets,
            limit_reached: self.process.limit.reached(),
            accept_pauses: self.process.accept_pauses(),
            events: self.history.last(),
            actions: self.actions.load(Relaxed),
            actions_refused: self.door.refused(),
            config: self.config.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            counts: self.process_counts(),
        }
    }

    /// The process's own counts, and the sums of what only backends and frontends count.
    fn process_counts(&self) -> Counts {
        let mut sum = self.process.counters.counts();
        let current = self.current();
        for pool in &current.pools {
            sum.queued += pool.waiting();
            add_shared(&mut sum, &pool.counters.counts());
        }
        for counts in current.frontends.iter().map(|frontend| frontend.counters.counts()) {
            add_shared(&mut sum, &counts);
        }
        add_shared(&mut sum, &self.retired.sum());
        sum
    }

    /// Whether every worker has turned lately.
    pub fn workers_turn(&self) -> bool {
        self.workers.iter().all(|worker| worker.pulse.age() < STUCK)
    }

    /// Whether the process itself can serve, whatever has become of the servers behind it: a VIP must not move, nor a
    /// container start anew, because a controller is down.
    pub fn live(&self) -> Fitness {
        let mut reasons = Vec::new();
        if *self.phase.borrow() != ProcessPhase::Serving {
            reasons.push("the process is stopping".to_owned());
        }
        if self.network.is_isolated() {
            reasons.push("isolated: no host behind this one can be reached".to_owned());
        }
        for (index, worker) in self.workers.iter().enumerate() {
            let age = worker.pulse.age();
            if age >= STUCK {
                reasons.push(format!("worker {index} has not turned for {} s", age.as_secs()));
            }
        }
        Fitness { reasons }
    }

    /// As [`Facts::live`], and every required backend has a usable server or has never had one.
    pub fn ready(&self) -> Fitness {
        let Fitness { mut reasons } = self.live();
        for pool in self.current().pools.iter().filter(|pool| pool.spec.required) {
            let usable = pool.usable();
            if !usable.now && usable.ever && usable.since.elapsed() >= RED_AFTER {
                reasons.push(format!("backend {} has no usable server", pool.spec.name));
            }
        }
        Fitness { reasons }
    }
}

/// The file that this program was started from. Once that has been replaced, it is where the other one is.
pub fn program_file() -> io::Result<PathBuf> {
    Ok(without_mark(std::env::current_exe()?))
}

/// Takes off what the kernel adds to the name of a file that is not there any more (proc(5)).
fn without_mark(file: PathBuf) -> PathBuf {
    const MARK: &[u8] = b" (deleted)";
    match file.as_os_str().as_bytes().strip_suffix(MARK) {
        Some(name) if !file.exists() => PathBuf::from(OsStr::from_bytes(name)),
        _ => file,
    }
}

/// Raises the limit of open files as far as it may be raised without rights; the limit that then holds.
pub fn raise_descriptor_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        return maximum.unwrap_or(u64::MAX);
    }
    current.unwrap_or(u64::MAX)
}

/// Sessions that so many descriptors can hold, at most the number that is wanted.
pub fn affordable_sessions(wanted: u32, descriptors: u64, workers: usize) -> u32 {
    let pipes = (2 * Pipes::MAX * workers) as u64;
    let held = descriptors.saturating_sub(RESERVED + pipes) / 2;
    wanted.min(u32::try_from(held).unwrap_or(u32::MAX)).max(1)
}

fn resident_memory() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(used.tv_sec).unwrap_or(0), u32::try_from(used.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_has_its_name_still() {
        let directory = tempfile::tempdir().unwrap();
        let (gone, there) = (directory.path().join("gone (deleted)"), directory.path().join("there (deleted)"));
        fs::write(&there, "").unwrap();
        assert_eq!(without_mark(gone), directory.path().join("gone"));
        assert_eq!(without_mark(there.clone()), there);
    }

    #[test]
    fn sessions_fit_into_the_descriptors() {
        assert_eq!(affordable_sessions(16_384, 20_000, 2), 9_744);
        assert_eq!(affordable_sessions(4_000, 20_000, 2), 4_000);
        assert_eq!(affordable_sessions(4_000, 100, 2), 1);
        assert_eq!(affordable_sessions(4_000, u64::MAX, 2), 4_000);
    }
}
