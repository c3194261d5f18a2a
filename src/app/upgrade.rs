//! An upgrade: the program is started anew, from the file that it was started from, which may be another release by now.
//!
//! The new process is given the listening sockets, so that no client is ever refused, and what the old one knows
//! (`state`). Once it says that it serves, the old one stops accepting, and lives for as long as its sessions do, and those of
//! processes before it, at most `process.upgrade_grace`; meanwhile it tells the new one what it still counts. If the new process does not come so far,
//! nothing has happened.

pub mod predecessor;
mod state;
mod wire;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use self::state::{Greeting, State, VERSION};
use super::serving::Serving;
use super::workers::{wait_until_empty, within};
use super::{Applied, shutdown, systemd};
use crate::admin::Denied;
use crate::clock;
use crate::event::{Actor, Change, ProcessPhase, Upgrade, UpgradeOutcome};

/// Set in the environment of a process that is to meet its predecessor on its standard input.
const MARK: &str = "EVENKEEL_UPGRADE";

/// How long the new process may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);

/// From one word of the old process to the next.
const TELL: Duration = Duration::from_secs(1);

/// How long the end waits for answers under way, such as that of the upgrade itself.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How the process was started, to be started so again.
#[derive(Debug, Clone)]
pub struct Origin {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// What the new process says to the old one.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Serves,
}

/// Why the old process goes on as if nothing had happened.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error("this process can't be started anew: it was not started by `evenkeel run`")]
    NoOrigin,
    #[error("{0}")]
    NotPermitted(String),
    #[error("process 1 of a container can't be replaced, because the container ends with it: replace the container")]
    Init,
    #[error("can't start {}: {error}", program.display())]
    Start { program: PathBuf, error: io::Error },
    #[error(
        "the new process (pid {pid}) ended with {status} before it served; what it said of that is in its own lines"
    )]
    Ended { pid: u32, status: String },
    #[error("the new process (pid {pid}) did not serve within {} s and was ended", PATIENCE.as_secs())]
    Late { pid: u32 },
    #[error("the new process (pid {pid}) can't be told anything: {error}")]
    Lost { pid: u32, error: io::Error },
}

/// The new process, which serves.
#[derive(Debug)]
pub struct Successor {
    pub pid: u32,
    stream: UnixStream,
}

/// A new process that is ended unless it has been let go.
#[derive(Debug)]
struct Candidate {
    child: Option<Child>,
    pid: u32,
}

impl Origin {
    /// Of this process, to be asked before its file may have been exchanged.
    pub fn of_this_process() -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, arguments: std::env::args_os().skip(1).collect() })
    }

    /// Starts it, with one end of a pair of sockets as its standard input.
    fn start(&self, theirs: UnixStream) -> io::Result<Candidate> {
        let mut program = Program::new(&self.program);
        program.args(&self.arguments).env(MARK, "1").stdin(Stdio::from(OwnedFd::from(theirs)));
        // What is meant for this process by its number.
        for name in ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            program.env_remove(name);
        }
        let child = program.spawn()?;
        Ok(Candidate { pid: child.id(), child: Some(child) })
    }
}

impl Serving {
    /// As [`Serving::start_successor`]; tells of it if that fails. Of one that does not fail the new process tells.
    pub async fn upgrade_for(&self, by: Actor) -> Result<Successor, Denied> {
        let by = by.to_string();
        let started = self.start_successor(&by).await;
        started.map_err(|error| {
            let outcome = UpgradeOutcome::Failed { error: error.to_string() };
            (self.observe)(&Change::Upgrade(Upgrade { by, outcome, at: clock::wall() }));
            error.denied()
        })
    }

    /// Starts the program anew and hands over to it. Once this is `Ok` the new process serves, and so does this one still.
    async fn start_successor(&self, by: &str) -> Result<Successor, UpgradeError> {
        let origin = self.origin.as_ref().ok_or(UpgradeError::NoOrigin)?;
        if let Some(Err(reason)) = self.applied.as_ref().map(Applied::upgrades) {
            return Err(UpgradeError::NotPermitted(reason));
        }
        if std::process::id() == 1 {
            return Err(UpgradeError::Init);
        }
        let failed = |error| UpgradeError::Start { program: origin.program.clone(), error };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut candidate = origin.start(theirs).map_err(failed)?;
        let (sockets, state) = (self.sockets().map_err(failed)?, self.state());
        let greeting = Greeting {
            version: VERSION,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            sockets: sockets.len(),
            admin: self.pages.admin_file().map(Path::to_owned),
            by: Some(by.to_owned()),
        };
        let meeting = ours.try_clone().map_err(failed)?;
        // If this future is dropped, the thread that it waits for must end as well.
        let hang_up = HangUp(Some(ours.try_clone().map_err(failed)?));
        let met = tokio::task::spawn_blocking(move || meet(meeting, &greeting, &sockets, &state)).await;
        match met.map_err(io::Error::other).and_then(|met| met) {
            Ok(()) => {
                let pid = candidate.let_go();
                hang_up.not_now();
                Ok(Successor { pid, stream: ours })
            }
            Err(error) => Err(candidate.why(error)),
        }
    }

    /// Every socket that clients or operators come in by.
    fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        let listeners = self.listeners.iter().map(|listener| listener.open.bound.as_fd().try_clone_to_owned());
        listeners.chain(self.pages.sockets().into_iter().map(|socket| socket.try_clone_to_owned())).collect()
    }

    fn state(&self) -> State {
        State::of(&self.facts.snapshot(), &self.facts.current().config)
    }

    /// Leaves everything but its sessions to the new process, and returns when these have ended.
    pub async fn retire(&mut self, successor: Successor, phase: &watch::Sender<ProcessPhase>) {
        systemd::hand_over_to(successor.pid);
        phase.send_replace(ProcessPhase::Replaced);
        let answered = self.pages.leave();
        self.close_listeners().await;
        let current = self.facts.current();
        let (workers, process) = (&self.facts.workers, &current.config.process);
        let sessions = shutdown::count(workers);
        tracing::info!(by = successor.pid, sessions, grace = ?process.upgrade_grace, "replaced: no longer accepting");
        let grace = Instant::now() + process.upgrade_grace;
        let mut successor = Some(successor.stream);
        loop {
            self.tell_state(&mut successor).await;
            let turn = TELL.min(grace.saturating_duration_since(Instant::now()));
            sleep(turn).await;
            // What an older one tells goes through this one.
            if wait_until_empty(workers, Duration::ZERO).await && !self.facts.has_predecessors() {
                break;
            }
            if Instant::now() >= grace {
                tracing::warn!(
                    sessions = shutdown::count(workers),
                    over = ?process.shutdown_grace,
                    "replaced: closing the sessions that are left"
                );
                shutdown::end_sessions(workers, process.shutdown_grace).await;
                break;
            }
        }
        self.tell_state(&mut successor).await;
        tracing::info!("replaced: the last session has ended");
        within(LAST_ANSWERS, answered).await;
    }

    /// Tells the new process what this one still has and counts, for as long as it listens.
    async fn tell_state(&self, successor: &mut Option<UnixStream>) {
        let Some(mut stream) = successor.take() else { return };
        let state = self.state();
        let told = tokio::task::spawn_blocking(move || wire::send(&mut stream, &state).map(|()| stream)).await;
        // One that has ended, or been replaced itself, wants to know no more.
        *successor = told.ok().and_then(Result::ok);
    }
}

impl UpgradeError {
    fn denied(&self) -> Denied {
        let words = self.to_string();
        match self {
            Self::NoOrigin | Self::NotPermitted(_) | Self::Init => Denied::Conflict(words),
            Self::Start { .. } | Self::Ended { .. } | Self::Late { .. } | Self::Lost { .. } => Denied::Failed(words),
        }
    }
}

/// Ends a conversation that nobody waits for any more.
struct HangUp(Option<UnixStream>);

impl HangUp {
    fn not_now(mut self) {
        self.0 = None;
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Hands over, and returns when the new process serves. It blocks, for [`PATIENCE`] at most.
fn meet(mut stream: UnixStream, greeting: &Greeting, sockets: &[OwnedFd], state: &State) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    wire::send(&mut stream, greeting)?;
    wire::send_descriptors(&stream, &sockets.iter().map(AsFd::as_fd).collect::<Vec<_>>())?;
    wire::send(&mut stream, state)?;
    stream.flush()?;
    let Answer::Serves = wire::receive(&mut stream)?;
    Ok(())
}

impl Candidate {
    /// It serves: it is nobody's child to look after any more.
    fn let_go(&mut self) -> u32 {
        self.child = None;
        self.pid
    }

    /// Why it does not serve, by what has become of it.
    fn why(&mut self, error: io::Error) -> UpgradeError {
        let pid = self.pid;
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            return UpgradeError::Late { pid };
        }
        // Its end of the socket closes with it.
        match self.child.take().map(|mut child| child.wait()) {
            Some(Ok(status)) => UpgradeError::Ended { pid, status: status.to_string() },
            _ => UpgradeError::Lost { pid, error },
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
