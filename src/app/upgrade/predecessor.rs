//! The side of the new process: it meets the one that it replaces, and hears from it until its last session has ended.

use std::fs::File;
use std::future::pending;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use socket2::{Domain, Socket};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use super::state::{Greeting, State, VERSION};
use super::{APART, MARK, MEET, Origin, Word, wire};
use crate::app::confine::Layers;
use crate::app::drain::Wish;
use crate::app::listeners::{self, ListenerSource};
use crate::app::process::Facts;
use crate::app::serving::Current;
use crate::app::systemd;
use crate::clock;
use crate::event::{Change, Upgrade, UpgradeOutcome};
use crate::pool::Observe;

/// How long the old process may take for what it has to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long pages wait for its last word before this one's figures.
const LAST_FIGURES: Duration = Duration::from_secs(5);

/// What the new process goes on with once it serves.
pub struct Heir {
    pub facts: Arc<Facts>,
    /// Asked anew each time.
    pub current: watch::Receiver<Arc<Current>>,
    pub observe: Observe,
    /// Opens the pages. Nobody is to see less here than the old process has just shown him.
    pub pages: watch::Sender<bool>,
}

/// The process that this one replaces, until it has been told that this one serves.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
    greeting: Greeting,
    /// `None` if it is of a version that this release does not know.
    state: Option<State>,
}

/// The first process of an upgrade: starts the one that is to serve, and is there until that has ended, or serves. Then the
/// old process ends this one, and the other becomes a child of the service manager's: systemd does not wait for the end of a
/// main process that is another's child, and kills it at a stop. `None` in every other process.
pub fn start_apart() -> Option<io::Result<ExitStatus>> {
    std::env::var_os(MARK).filter(|part| part == APART)?;
    Some(Origin::of_this_process().and_then(|origin| origin.program_as(MEET).status()))
}

impl Predecessor {
    /// Meets it, if there is one: then it has left its sockets in `source`.
    pub fn meet(source: &mut ListenerSource) -> io::Result<Option<Self>> {
        if std::env::var_os(MARK).is_none_or(|part| part != MEET) {
            return Ok(None);
        }
        let mut stream = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
        // Whoever was started with the mark left over in his environment has no socket there.
        if Socket::from(stream.try_clone()?).domain().ok() != Some(Domain::UNIX) {
            return Ok(None);
        }
        systemd::wait_to_take_over();
        rustix::stdio::dup2_stdin(&File::open("/dev/null")?)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        wire::send(&mut stream, &Word::Begun { pid: std::process::id() })?;
        let greeting: Greeting = wire::receive(&mut stream)?;
        let mut names = greeting.listen.iter().cloned();
        for descriptor in wire::receive_descriptors(&stream, greeting.sockets)? {
            let (name, socket) = (names.next().unwrap_or_default(), Socket::from(descriptor));
            match &greeting.admin {
                // The admin socket has no name, or is of a release that gave none.
                Some(file) if name.is_empty() && socket.domain()? == Domain::UNIX => {
                    source.give_admin(file.clone(), socket.into());
                }
                _ => source.give(name, listeners::Origin::HandedOver, socket),
            }
        }
        let state: serde_json::Value = wire::receive(&mut stream)?;
        let state = (greeting.version == VERSION).then(|| serde_json::from_value(state)).transpose()?;
        Ok(Some(Self { stream, greeting, state }))
    }

    /// What holds for this process because that one has started it.
    pub fn layers(&self) -> Layers {
        self.greeting.layers
    }

    /// Takes over what it knew, before anybody is served.
    pub fn take_over(&self, facts: &Facts, current: &Current) {
        let Greeting { version, release, pid, .. } = &self.greeting;
        match &self.state {
            Some(state) => {
                state.take_over(facts, current);
                tracing::info!(pid, release, "upgrade: health, admin states and counters are taken over");
            }
            None => tracing::warn!(
                pid,
                release,
                version,
                known = VERSION,
                "upgrade: the state is of a version that is not known here: health and counters begin anew"
            ),
        }
    }

    /// Tells it that this process serves, hears from it for as long as it lives, and passes on what is wanted of sessions.
    pub async fn tell_and_hear(mut self, heir: Heir, wishes: broadcast::Receiver<Wish>) {
        let replaced = clock::wall();
        let told = wire::send(&mut self.stream, &Word::Serves);
        let heard = match told.and_then(|()| self.listening()) {
            Ok((states, words)) => tokio::select! {
                heard = self.hear(states, replaced, &heir) => heard,
                () = pass_on(wishes, words) => Ok(()),
                () = open_late(&heir.pages) => Ok(()),
            },
            Err(error) => Err(error),
        };
        heir.pages.send_replace(true);
        heir.facts.note_predecessors(Vec::new());
        State::forget_sessions(&heir.current.borrow());
        match heard {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                tracing::warn!(pid = self.greeting.pid, %error, "upgrade: the process before is heard no more");
            }
            _ => tracing::info!(pid = self.greeting.pid, "upgrade: the process before has ended"),
        }
    }

    fn listening(&self) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
        let stream = self.stream.try_clone()?;
        stream.set_nonblocking(true)?;
        Ok(tokio::net::UnixStream::from_std(stream)?.into_split())
    }

    async fn hear(&self, mut states: OwnedReadHalf, replaced: SystemTime, heir: &Heir) -> io::Result<()> {
        let mut first = true;
        loop {
            let state: State = wire::receive_async(&mut states).await?;
            if std::mem::take(&mut first) {
                // What it says first is said after it has told the service manager.
                systemd::take_over();
                (heir.observe)(&Change::Upgrade(self.upgrade(replaced)));
            }
            if self.state.is_some() {
                state.count(&heir.facts, &heir.current.borrow());
            }
            heir.facts.note_predecessors(state.predecessors(&self.greeting, replaced));
            // It has shown its own for the last time before it said so.
            heir.pages.send_replace(true);
        }
    }

    fn upgrade(&self, at: SystemTime) -> Upgrade {
        let Greeting { release, pid, by, .. } = &self.greeting;
        let by = by.clone().unwrap_or_else(|| "somebody that the old process does not name".to_owned());
        Upgrade { by, outcome: UpgradeOutcome::Done { pid: *pid, release: release.clone() }, at }
    }
}

/// Opens the pages when the old process takes too long; never returns.
async fn open_late(pages: &watch::Sender<bool>) {
    sleep(LAST_FIGURES).await;
    pages.send_replace(true);
    pending::<()>().await;
}

/// Passes on what is wanted of sessions; returns only when nothing more will be.
async fn pass_on(mut wishes: broadcast::Receiver<Wish>, mut words: OwnedWriteHalf) {
    loop {
        let Wish { backend, server, over } = match wishes.recv().await {
            Ok(wish) => wish,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "upgrade: the process before has not heard of every drain");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let word = Word::Drain {
            backend: backend.to_string(),
            server: server.name.to_string(),
            address: server.endpoint.to_string(),
            over: over.map(|over| u64::try_from(over.as_millis()).unwrap_or(u64::MAX)),
        };
        // One that hears no more has ended, and who reads from it learns so.
        if wire::send_async(&mut words, &word).await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Drop for Predecessor {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
