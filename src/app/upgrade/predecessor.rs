//! The side of the new process: it meets the one that it replaces, and hears from it until its last session has ended.

use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use socket2::{Domain, Socket};
use tokio::sync::watch;

use super::state::{Greeting, State, VERSION};
use super::{Answer, MARK, wire};
use crate::app::listeners::{ListenerSource, Origin};
use crate::app::process::Facts;
use crate::app::serving::Current;
use crate::app::systemd;
use crate::clock;
use crate::event::{Change, Upgrade, UpgradeOutcome};
use crate::pool::Observe;

/// How long the old process may take for what it has to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// The process that this one replaces, until it has been told that this one serves.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
    greeting: Greeting,
    /// `None` if it is of a version that this release does not know.
    state: Option<State>,
}

impl Predecessor {
    /// Meets it, if there is one: then it has left its sockets in `source`.
    pub fn meet(source: &mut ListenerSource) -> io::Result<Option<Self>> {
        if std::env::var_os(MARK).is_none() {
            return Ok(None);
        }
        let mut stream = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
        // Whoever was started with the mark left over in his environment has no socket there.
        if Socket::from(stream.try_clone()?).domain().ok() != Some(Domain::UNIX) {
            return Ok(None);
        }
        rustix::stdio::dup2_stdin(&File::open("/dev/null")?)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let greeting: Greeting = wire::receive(&mut stream)?;
        for descriptor in wire::receive_descriptors(&stream, greeting.sockets)? {
            let socket = Socket::from(descriptor);
            match &greeting.admin {
                Some(file) if socket.domain()? == Domain::UNIX => source.give_admin(file.clone(), socket.into()),
                _ => source.give(String::new(), Origin::HandedOver, socket),
            }
        }
        let state: serde_json::Value = wire::receive(&mut stream)?;
        let state = (greeting.version == VERSION).then(|| serde_json::from_value(state)).transpose()?;
        Ok(Some(Self { stream, greeting, state }))
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

    /// Tells it that this process serves, and hears from it for as long as it lives. `current` is asked anew each time.
    pub async fn tell_and_hear(mut self, facts: Arc<Facts>, current: watch::Receiver<Arc<Current>>, observe: Observe) {
        let replaced = clock::wall();
        let told = wire::send(&mut self.stream, &Answer::Serves);
        let heard = match told.and_then(|()| self.listening()) {
            Ok(stream) => self.hear(stream, replaced, &facts, &current, &observe).await,
            Err(error) => Err(error),
        };
        facts.note_predecessors(Vec::new());
        State::forget_sessions(&current.borrow());
        match heard {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                tracing::warn!(pid = self.greeting.pid, %error, "upgrade: the process before is heard no more");
            }
            _ => tracing::info!(pid = self.greeting.pid, "upgrade: the process before has ended"),
        }
    }

    fn listening(&self) -> io::Result<tokio::net::UnixStream> {
        let stream = self.stream.try_clone()?;
        stream.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(stream)
    }

    async fn hear(
        &self,
        mut stream: tokio::net::UnixStream,
        replaced: SystemTime,
        facts: &Facts,
        current: &watch::Receiver<Arc<Current>>,
        observe: &Observe,
    ) -> io::Result<()> {
        let mut first = true;
        loop {
            let state: State = wire::receive_async(&mut stream).await?;
            if std::mem::take(&mut first) {
                // Only now is this one the service's main process, whose word counts.
                systemd::ready();
                observe(&Change::Upgrade(self.upgrade(replaced)));
            }
            if self.state.is_some() {
                state.count(facts, &current.borrow());
            }
            facts.note_predecessors(state.predecessors(&self.greeting, replaced));
        }
    }

    fn upgrade(&self, at: SystemTime) -> Upgrade {
        let Greeting { release, pid, by, .. } = &self.greeting;
        let by = by.clone().unwrap_or_else(|| "somebody that the old process does not name".to_owned());
        Upgrade { by, outcome: UpgradeOutcome::Done { pid: *pid, release: release.clone() }, at }
    }
}

impl Drop for Predecessor {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
