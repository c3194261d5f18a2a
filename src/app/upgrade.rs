//! An upgrade: the program is started anew, from the file that it was started from, which may be another release by now.
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
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::state::{Greeting, State, VERSION};
use super::serving::Serving;

/// Set in the environment of a process that is to meet its predecessor on its standard input.
const MARK: &str = "EVENKEEL_UPGRADE";

/// How long the new process may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the process was started, to be started so again.
#[derive(Debug, Clone)]
pub struct Origin {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// What the new process says to the old one: first that it serves, then what an operator wants of sessions there.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    Serves,
    /// Close those of a server over so many milliseconds, or no more of them.
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
    /// Starts the program anew and hands over to it. Once this is `Ok` the new process serves, and so does this one still.
    pub async fn start_successor(&self) -> Result<Successor, UpgradeError> {
        let origin = self.origin.as_ref().ok_or(UpgradeError::NoOrigin)?;
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
    match wire::receive(&mut stream)? {
        Word::Serves => Ok(()),
        Word::Drain { .. } => Err(io::Error::new(io::ErrorKind::InvalidData, "it wants something before it serves")),
    }
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
