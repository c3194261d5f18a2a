//! An upgrade: the program is started anew, by the path that it was started by, where another release may be by now.
//!
//! The new process is given the listening sockets, so that no client is ever refused, and what the old one knows
//! (`state`). Once it says that it serves, the old one stops accepting, and lives for as long as its sessions do, and those of
//! processes before it, at most `process.upgrade_grace`; meanwhile it tells the new one what it still counts. If the new process does not come so far,
//! nothing has happened.

pub mod predecessor;
mod retirement;
mod state;
mod wire;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use self::state::{Greeting, State, VERSION};
use super::Applied;
use super::confine::Part;
use super::process::program_file;
use super::serving::Serving;
use crate::admin::Denied;
use crate::clock;
use crate::event::{Actor, Change, Upgrade, UpgradeOutcome};

/// Set in the environment of a process that is started by an upgrade, with its part in it.
const MARK: &str = "EVENKEEL_UPGRADE";

/// It starts the one that is to serve, and waits for its end ([`predecessor::start_apart`]).
const APART: &str = "apart";

/// It meets its predecessor on its standard input.
const MEET: &str = "meet";

/// How long the new process may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the process was started, to be started so again.
#[derive(Debug, Clone)]
pub struct Origin {
    program: PathBuf,
    /// The name that it was called by, which says what its arguments mean.
    called: OsString,
    arguments: Vec<OsString>,
}

/// What the new process says to the old one, in this order; the last again and again.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// It is there.
    Begun {
        pid: u32,
    },
    Serves,
    /// An operator wants a server's sessions to be closed over so many milliseconds, or no more of them.
    Drain {
        backend: String,
        server: String,
        address: String,
        over: Option<u64>,
    },
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
        "can't start {}: the sandbox lets a program that has been replaced be run only in a directory that holds no other, \
         such as /usr/lib/evenkeel; install it there and restart once",
        program.display()
    )]
    Sandboxed { program: PathBuf },
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
    /// Whom this process has started, to start the new one and wait for it.
    starter: Option<Child>,
    /// As this process knows it: the starter, until the new one has said who it is.
    pid: u32,
    /// The new one, whoever has its number later (pidfd_open(2)).
    itself: Option<OwnedFd>,
}

impl Origin {
    /// Of this process, to be asked before the working directory may have changed.
    pub fn of_this_process() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let called = arguments.next().unwrap_or_default();
        let program = installed(Path::new(&called), program_file()?);
        Ok(Self { program, called, arguments: arguments.collect() })
    }

    /// Starts it, with one end of a pair of sockets as its standard input.
    fn start(&self, theirs: UnixStream) -> io::Result<Candidate> {
        let mut program = self.program_as(APART);
        program.stdin(Stdio::from(OwnedFd::from(theirs)));
        // What is meant for this process by its number.
        for name in ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            program.env_remove(name);
        }
        let starter = program.spawn()?;
        Ok(Candidate { pid: starter.id(), starter: Some(starter), itself: None })
    }

    fn program_as(&self, part: &str) -> Program {
        let mut program = Program::new(&self.program);
        program.arg0(&self.called).args(&self.arguments).env(MARK, part);
        program
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
        let failed = |error| self.not_started(origin, error);
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut candidate = origin.start(theirs).map_err(failed)?;
        let ((listen, sockets), state) = (self.sockets().map_err(failed)?, self.state());
        let greeting = Greeting {
            version: VERSION,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            sockets: sockets.len(),
            listen,
            layers: self.applied.as_ref().map(|applied| applied.layers).unwrap_or_default(),
            admin: self.pages.admin_file().map(Path::to_owned),
            by: Some(by.to_owned()),
        };
        // If this future is dropped, the thread that it waits for must end as well.
        let hang_up = HangUp(Some(ours.try_clone().map_err(failed)?));
        let meeting = ours.try_clone().map_err(failed)?;
        let met = match apart(move || begin(meeting)).await.and_then(|meeting| candidate.is(meeting)) {
            Ok(meeting) => apart(move || meet(meeting, &greeting, &sockets, &state)).await,
            Err(error) => Err(error),
        };
        match met.and_then(|()| candidate.let_go()) {
            Ok(pid) => {
                hang_up.not_now();
                Ok(Successor { pid, stream: ours })
            }
            Err(error) => Err(candidate.why(error)),
        }
    }

    fn not_started(&self, origin: &Origin, error: io::Error) -> UpgradeError {
        let program = origin.program.clone();
        let sandboxed = self.applied.as_ref().is_some_and(|applied| matches!(applied.files, Part::On(_)));
        match sandboxed && error.kind() == io::ErrorKind::PermissionDenied {
            true => UpgradeError::Sandboxed { program },
            false => UpgradeError::Start { program, error },
        }
    }

    /// Every socket that clients or operators come in by, and its name among them.
    fn sockets(&self) -> io::Result<(Vec<String>, Vec<OwnedFd>)> {
        let listeners = self.listeners.iter().map(|listener| &listener.open.bound).chain(self.pages.stats());
        let named = listeners.map(|bound| (bound.address().to_string(), bound.as_fd()));
        let named = named.chain(self.pages.runtime.descriptors());
        // The last of the unix sockets: a release that knows no other takes it for the admin socket.
        let admin = self.pages.admin_socket().map(|socket| (String::new(), socket));
        named.chain(admin).map(|(name, socket)| Ok((name, socket.try_clone_to_owned()?))).collect()
    }

    fn state(&self) -> State {
        State::of(&self.facts.snapshot(), &self.facts.current().config)
    }
}

/// Where the next version will be: at the path by which this one was called, which may be a link that is led elsewhere
/// meanwhile, if that is a path to the file that runs.
fn installed(called: &Path, file: PathBuf) -> PathBuf {
    let is_path = called.parent().is_some_and(|directory| !directory.as_os_str().is_empty());
    let called = std::path::absolute(called).ok().filter(|_| is_path);
    called.filter(|called| fs::canonicalize(called).is_ok_and(|real| real == file)).unwrap_or(file)
}

impl UpgradeError {
    fn denied(&self) -> Denied {
        let words = self.to_string();
        match self {
            Self::NoOrigin | Self::NotPermitted(_) | Self::Init => Denied::Conflict(words),
            Self::Start { .. }
            | Self::Sandboxed { .. }
            | Self::Ended { .. }
            | Self::Late { .. }
            | Self::Lost { .. } => Denied::Failed(words),
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

/// Does what blocks on a thread that is there for it.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Waits until the new process has begun, and gives its number. It blocks, for [`PATIENCE`] at most.
fn begin(mut stream: UnixStream) -> io::Result<(UnixStream, u32)> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    match wire::receive(&mut stream)? {
        Word::Begun { pid } => Ok((stream, pid)),
        Word::Serves | Word::Drain { .. } => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Hands over, and returns when the new process serves. It blocks, for [`PATIENCE`] at most.
fn meet(mut stream: UnixStream, greeting: &Greeting, sockets: &[OwnedFd], state: &State) -> io::Result<()> {
    wire::send(&mut stream, greeting)?;
    wire::send_descriptors(&stream, &sockets.iter().map(AsFd::as_fd).collect::<Vec<_>>())?;
    wire::send(&mut stream, state)?;
    stream.flush()?;
    match wire::receive(&mut stream)? {
        Word::Serves => Ok(()),
        Word::Begun { .. } | Word::Drain { .. } => Err(io::ErrorKind::InvalidData.into()),
    }
}

impl Candidate {
    /// It has said who it is.
    fn is(&mut self, (stream, pid): (UnixStream, u32)) -> io::Result<UnixStream> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        self.itself = Some(pidfd_open(number, PidfdFlags::empty())?);
        self.pid = pid;
        Ok(stream)
    }

    /// It serves: once its starter has gone it is the service manager's child.
    fn let_go(&mut self) -> io::Result<u32> {
        if let Some(mut starter) = self.starter.take_if(|starter| starter.id() != self.pid) {
            starter.kill()?;
            starter.wait()?;
        }
        (self.starter, self.itself) = (None, None);
        Ok(self.pid)
    }

    /// Why it does not serve, by what has become of it.
    fn why(&mut self, error: io::Error) -> UpgradeError {
        let pid = self.pid;
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            return UpgradeError::Late { pid };
        }
        // Their end of the socket closes with both.
        let have_ended = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
        match self.starter.take_if(|_| have_ended).map(|mut starter| starter.wait()) {
            Some(Ok(status)) => UpgradeError::Ended { pid, status: status.to_string() },
            _ => UpgradeError::Lost { pid, error },
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if let Some(itself) = self.itself.take() {
            let _ = pidfd_send_signal(itself, Signal::KILL);
        }
        if let Some(mut starter) = self.starter.take() {
            let _ = starter.kill();
            let _ = starter.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    // Seen to fail when links are followed at the start.
    #[test]
    fn a_link_is_followed_when_the_next_version_is_started() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().canonicalize().unwrap().join(name);
        for version in ["evenkeel-1", "evenkeel-2"] {
            fs::write(at(version), "").unwrap();
        }
        symlink("evenkeel-1", at("evenkeel")).unwrap();
        assert_eq!(installed(&at("evenkeel"), at("evenkeel-1")), at("evenkeel"));
        // One that leads to another program by now, one that leads nowhere, and a name that was looked up in PATH.
        assert_eq!(installed(&at("evenkeel"), at("evenkeel-2")), at("evenkeel-2"));
        assert_eq!(installed(&at("other"), at("evenkeel-1")), at("evenkeel-1"));
        assert_eq!(installed(Path::new("evenkeel"), at("evenkeel-1")), at("evenkeel-1"));
    }
}
