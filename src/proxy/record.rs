//! The record of a session: begun at accept, written when it is dropped, whatever happened in between.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::frontend::{Frontend, Permits};
use super::handover::Load;
use super::sources::Visit;
use super::worker::Worker;
use crate::clock;
use crate::event::{Cause, Concurrent, Ending, Phase, SessionRecord, Who};
use crate::pool::Pool;
use crate::pool::counters::{self, Open};
use crate::pool::server::Server;
use crate::pool::sessions::{Cell, Command, Entered};

/// What is known of a session so far, and all that its end must undo.
#[derive(Debug)]
pub struct Record {
    pub worker: Rc<Worker>,
    pub frontend: Arc<Frontend>,
    listener: SocketAddr,
    accepted: SystemTime,
    started: Instant,
    phase: Phase,
    ending: Option<(Ending, Concurrent)>,
    /// The server that carries it, or the last one tried.
    pub server: Option<Arc<Server>>,
    /// Our address towards the server.
    pub source: Option<SocketAddr>,
    pub waited: Option<Duration>,
    pub dialled: Option<Duration>,
    pub retries: u32,
    pub moves: u32,
    /// How many were ahead of it in the backend's queue.
    pub queue_ahead: u32,
    entered: Entered,
    _process: Open,
    _frontend: Open,
    backend: Option<Open>,
    pub visit: Visit,
    _admission: Admission,
}

/// What a session holds of limits and of its worker, for as long as it lives.
#[derive(Debug)]
pub struct Admission {
    pub permits: Permits,
    pub load: Load,
}

/// A session that has its ending: dropping it writes the record.
#[derive(Debug)]
#[must_use]
pub struct Ended {
    _record: Box<Record>,
}

impl Record {
    pub fn begin(
        worker: &Rc<Worker>,
        frontend: &Arc<Frontend>,
        admission: Admission,
        client: SocketAddr,
        listener: SocketAddr,
    ) -> Box<Self> {
        // Boxed, because it is handed from arrow to arrow.
        Box::new(Self {
            worker: Rc::clone(worker),
            frontend: Arc::clone(frontend),
            listener,
            accepted: clock::wall(),
            started: Instant::now(),
            phase: Phase::Request,
            ending: None,
            server: None,
            source: None,
            waited: None,
            dialled: None,
            retries: 0,
            moves: 0,
            queue_ahead: 0,
            entered: worker.sessions.enter(client, frontend.spec.id),
            _process: frontend.process.counters.begin(),
            _frontend: frontend.counters.begin(),
            backend: None,
            visit: Visit::Free,
            _admission: admission,
        })
    }

    pub fn entered(&self) -> &Entered {
        &self.entered
    }

    pub fn cell(&self) -> &Arc<Cell> {
        self.entered.cell()
    }

    pub fn client(&self) -> SocketAddr {
        self.cell().client
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn enter_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Counts the session in the backend that it goes to.
    pub fn enter_backend(&mut self, pool: &Pool) {
        self.backend = Some(pool.counters.begin());
    }

    /// Gives the session its ending.
    pub fn end(mut self: Box<Self>, ending: Ending) -> Ended {
        self.ending = Some((ending, self.concurrent()));
        Ended { _record: self }
    }

    /// What ended a session that nobody gave an ending.
    fn unsaid_ending(&self) -> Ending {
        if std::thread::panicking() {
            return Ending::new(Who::Internal, self.phase, Cause::Panic);
        }
        let (who, cause) = self.cell().command().map_or((Who::Killed, Cause::Shutdown), Command::ending);
        Ending::new(who, self.phase, cause)
    }

    fn count(&self, ending: Ending, bytes_out: u64, total: Duration) {
        let pool = self.frontend.pool.counters.as_ref();
        let both = || self.server.as_ref().map(|server| server.counters.as_ref()).into_iter().chain([pool]);
        match (ending.who, ending.phase) {
            (Who::Client, Phase::Request) => counters::count(&self.frontend.counters.request_errors),
            (Who::Client, _) => both().for_each(|of| counters::count(&of.client_aborts)),
            (Who::Server, Phase::Data) => both().for_each(|of| {
                counters::count(&of.server_aborts);
                if bytes_out == 0 {
                    counters::count(&of.response_errors);
                }
            }),
            (Who::Server | Who::ServerTimeout | Who::Resource, Phase::Connect) => counters::count(&pool.connect_errors),
            (Who::Internal, _) => counters::count(&self.frontend.counters.request_errors),
            _ => {}
        }
        if self.backend.is_some() {
            both().for_each(|of| of.time(self.waited, self.dialled, total));
        }
    }

    /// Gives back its place among the sessions of its source.
    fn leave_source(&self) {
        if let (Visit::Counted, Some(sources)) = (self.visit, &self.frontend.sources) {
            sources.leave(self.client().ip());
        }
    }

    fn concurrent(&self) -> Concurrent {
        Concurrent {
            process: self.frontend.process.counters.sessions(),
            frontend: self.frontend.counters.sessions(),
            backend: self.frontend.pool.counters.sessions(),
            server: self.server.as_ref().map_or(0, |server| server.counters.sessions()),
            server_queue: 0,
            backend_queue: self.queue_ahead,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let (ending, concurrent) = self.ending.unwrap_or_else(|| (self.unsaid_ending(), self.concurrent()));
        let (bytes_in, bytes_out) = self.cell().bytes();
        let total = self.started.elapsed();
        self.count(ending, bytes_out, total);
        self.leave_source();
        let null = bytes_in == 0 && bytes_out == 0 && matches!(ending.who, Who::Nobody | Who::Client);
        if self.visit == Visit::Untold || (null && !self.frontend.process.log_null_sessions) {
            return;
        }
        self.worker.records.write(SessionRecord {
            id: self.cell().id,
            frontend: self.frontend.spec.name.clone(),
            backend: self.frontend.pool.spec.name.clone(),
            server: self.server.as_ref().map(|server| server.name.clone()),
            client: self.client(),
            listener: self.listener,
            source: self.source,
            accepted: self.accepted,
            ended: clock::wall(),
            waited: self.waited,
            dialled: self.dialled,
            total,
            bytes_in,
            bytes_out,
            retries: self.retries,
            moves: self.moves,
            ending,
            concurrent,
        });
    }
}
