//! The record of a session: begun at accept, written when it is dropped, whatever happened in between.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::frontend::{Door, Frontend, Permits};
use super::handover::Load;
use super::sources::Visit;
use super::table::Tracks;
use super::trace::Step;
use super::worker::Worker;
use crate::clock;
use crate::event::{Cause, Concurrent, Doorstep, Ending, Phase, SessionRecord, SessionStage, Who};
use crate::model::{BackendName, Count, Counted, SessionAddress, Track};
use crate::net;
use crate::net::proxy_header::Parties;
use crate::net::reactor::Stream;
use crate::pool::Pool;
use crate::pool::counters::{self, Open};
use crate::pool::queue::Course;
use crate::pool::server::Server;
use crate::pool::sessions::{Cell, Command, Entered};

/// What is known of a session so far, and all that its end must undo.
#[derive(Debug)]
pub struct Record {
    pub worker: Rc<Worker>,
    pub frontend: Arc<Frontend>,
    /// The backend that it goes to: its frontend's, until a route leads it elsewhere.
    pub pool: Arc<Pool>,
    listener: SessionAddress,
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
    /// How often it has gone to another server; no more are told than there is room for.
    moves: u16,
    /// As [`Concurrent`] has them.
    server_queue: u32,
    backend_queue: u32,
    entered: Entered,
    _process: Open,
    _frontend: Open,
    backend: Option<Open>,
    pub visit: Visit,
    /// It has sent something, whether or not that was passed on.
    pub heard: bool,
    /// Whether it has had its only line.
    told: bool,
    /// Whether it ended before its client had said for whom it stands.
    pub is_on_the_doorstep: bool,
    /// It stands for another client, as a PROXY protocol header says.
    proxied: bool,
    admission: Admission,
}

/// What a session holds of limits and of its worker, for as long as it lives.
#[derive(Debug)]
pub struct Admission {
    pub permits: Permits,
    pub load: Load,
    /// By which it has come in.
    pub door: Arc<Door>,
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
        client: SessionAddress,
        listener: SessionAddress,
    ) -> Box<Self> {
        // Boxed, because it is handed from arrow to arrow.
        let record = Box::new(Self {
            worker: Rc::clone(worker),
            frontend: Arc::clone(frontend),
            pool: Arc::clone(&frontend.pool),
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
            server_queue: 0,
            backend_queue: 0,
            entered: worker.sessions.enter(client, frontend.way()),
            _process: frontend.process.counters.begin(),
            _frontend: frontend.counters.begin(),
            backend: None,
            visit: Visit::Free,
            heard: false,
            told: false,
            is_on_the_doorstep: false,
            proxied: false,
            admission,
        });
        record.trace(Step::Accepted, listener);
        record
    }

    pub fn entered(&self) -> &Entered {
        &self.entered
    }

    pub fn cell(&self) -> &Arc<Cell> {
        self.entered.cell()
    }

    pub fn client(&self) -> SessionAddress {
        self.cell().client
    }

    /// Since accept.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn enter_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Where it has come in.
    pub fn door(&self) -> &Door {
        &self.admission.door
    }

    /// Whether the client's end is a unix socket, whomever he stands for.
    pub fn is_local(&self) -> bool {
        self.door().spec.address.path().is_some()
    }

    /// The listener's name, or its number in its frontend.
    fn door_name(&self) -> String {
        let door = self.door();
        door.spec.name.clone().unwrap_or_else(|| door.number.to_string())
    }

    /// What the client has connected to, at one of our addresses or, as a PROXY protocol header says, at another's.
    pub fn destination(&self, client: &Stream) -> SessionAddress {
        match self.proxied {
            true => self.listener,
            // The listener's own address may be all that there are.
            false => client.local_address().map_or(self.listener, |address| net::canonical(address).into()),
        }
    }

    /// Has the session be whose a PROXY protocol header says that it is.
    pub fn stand_for(&mut self, Parties { source, destination }: Parties) {
        self.entered.set_client(source.into());
        self.listener = destination.into();
        self.proxied = true;
    }

    /// Who it is counted as; a client of a unix socket is nobody.
    fn counted_as(&self) -> Option<IpAddr> {
        self.client().ip()
    }

    /// Has its source counted in a table from now on.
    pub fn track(&self, Track { counter, table }: &Track) {
        let Some(table) = self.frontend.process.tables.named(table) else { return };
        let track = || table.track(self.counted_as()?, Instant::now());
        self.worker.tracked.begin(self.cell().id, *counter, track);
    }

    /// Counts it as a session where its source is counted: no rule has rejected it that asks before a client has said
    /// anything.
    pub fn begin_session(&self) {
        self.worker.tracked.of(self.cell().id, |tracks| tracks.begin_session(Instant::now()));
    }

    /// What has been counted of its source.
    pub fn counted(&self, of: &Counted, count: Count) -> Option<u32> {
        let (tables, now) = (&self.frontend.process.tables, Instant::now());
        match of {
            Counted::Source(table) => tables.named(table)?.count(self.counted_as()?, count, now),
            Counted::Tracked { counter, table } => {
                let of = |tracks: &Tracks| tracks.count(*counter, table.as_ref(), tables, count, now);
                self.worker.tracked.of(self.cell().id, of)?
            }
        }
    }

    /// Counts the session in the backend that it goes to.
    pub fn enter_backend(&mut self, pool: &Arc<Pool>) {
        self.backend = Some(pool.counters.begin());
        if !Arc::ptr_eq(pool, &self.pool) {
            self.pool = Arc::clone(pool);
            self.entered.set_backend(pool.spec.name.clone());
        }
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

    /// Notes which of our addresses the client has connected to, if its line says that.
    pub fn note_destination(&mut self, client: &Stream) {
        if self.frontend.spec.log.line.tells_the_destination() {
            self.listener = self.destination(client);
        }
    }

    /// Notes whether a client that gets no server has said something meanwhile. HAProxy reads while a session waits.
    pub fn note_said(&mut self, client: &Stream) {
        let has_waited = self.retries > 0 || self.server_queue + self.backend_queue > 0;
        self.heard |= has_waited && client.has_unread();
    }

    /// Notes that it has gone to another server.
    pub fn note_move(&mut self) {
        self.moves = self.moves.saturating_add(1);
    }

    /// Notes what it has waited for.
    pub fn note_wait(&mut self, course: &Course) {
        self.server_queue += course.server_place;
        self.backend_queue += course.backend_place;
        self.moves = self.moves.saturating_add(u16::try_from(course.moves).unwrap_or(u16::MAX));
    }

    /// Tells that the session is connected, where that has a line: one beside that of its end, or its only one.
    pub fn tell_connected(&mut self) {
        let is_early = self.frontend.spec.log.is_early();
        if is_early || self.worker.records.opens() {
            self.tell(SessionStage::Open);
        }
        self.told = is_early;
    }

    /// Tells of a session that lives on.
    pub fn tell(&self, stage: SessionStage) {
        if !self.frontend.spec.log.enabled {
            return;
        }
        self.worker
            .records
            .write_stage(stage, || self.so_far(self.started.elapsed(), Ending::NORMAL, self.concurrent()));
    }

    fn so_far(&self, total: Duration, ending: Ending, concurrent: Concurrent) -> SessionRecord {
        let (bytes_in, bytes_out) = self.cell().bytes();
        SessionRecord {
            id: self.cell().id,
            frontend: self.frontend.spec.name.clone(),
            backend: self.backend_name(),
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
            moves: self.moves.into(),
            ending,
            concurrent,
            log: Arc::clone(&self.frontend.spec.log),
            doorstep: self.is_on_the_doorstep.then(|| Doorstep { door: self.door_name(), heard: self.heard }),
        }
    }

    /// Of a session that is for no backend, HAProxy names its frontend once more.
    fn backend_name(&self) -> BackendName {
        let nobodys = self.backend.is_none() && self.frontend.spec.closes_unrouted;
        let again = nobodys.then(|| BackendName::new(self.frontend.spec.name.as_str()).ok()).flatten();
        again.unwrap_or_else(|| self.pool.spec.name.clone())
    }

    fn count(&self, ending: Ending, bytes_out: u64, total: Duration) {
        let pool = self.pool.counters.as_ref();
        let both = || self.server.as_ref().map(|server| server.counters.as_ref()).into_iter().chain([pool]);
        match (ending.who, ending.phase) {
            (Who::Client | Who::ClientTimeout, Phase::Request) => {
                counters::count(&self.frontend.counters.request_errors);
            }
            // As with HAProxy: one that has left in an orderly way has been failed by nobody.
            (Who::Client, Phase::Queue) if ending.cause == Cause::Finished => {}
            (Who::Client, _) | (Who::ClientTimeout, Phase::Data) => {
                both().for_each(|of| counters::count(&of.client_aborts));
            }
            (Who::ServerTimeout, Phase::Data) => both().for_each(|of| counters::count(&of.server_aborts)),
            (Who::Server, Phase::Data) => both().for_each(|of| {
                counters::count(&of.server_aborts);
                if bytes_out == 0 {
                    counters::count(&of.response_errors);
                }
            }),
            (Who::Server | Who::ServerTimeout | Who::Resource, Phase::Connect) if self.backend.is_some() => {
                counters::count(&pool.connect_errors);
            }
            (Who::Server | Who::ServerTimeout, Phase::Queue) => {
                both().for_each(|of| counters::count(&of.connect_errors));
            }
            (Who::Internal, _) => counters::count(&self.frontend.counters.request_errors),
            _ => {}
        }
        if self.backend.is_some() {
            both().for_each(|of| of.time(self.waited, self.dialled, total));
        }
    }

    /// Gives back its place among the sessions of its source.
    fn leave_source(&self) {
        if let (Visit::Counted, Some(sources), Some(source)) = (self.visit, &self.frontend.sources, self.client().ip())
        {
            sources.leave(source);
        }
    }

    fn concurrent(&self) -> Concurrent {
        Concurrent {
            process: self.frontend.process.counters.sessions(),
            frontend: self.frontend.counters.sessions(),
            backend: self.backend.as_ref().map_or(0, |_| self.pool.counters.sessions()),
            server: self.server.as_ref().map_or(0, |server| server.counters.sessions()),
            server_queue: self.server_queue,
            backend_queue: self.backend_queue,
        }
    }
}

/// Whether it ended as clients do that say nothing, however long they are waited for.
fn is_its_own(ending: Ending) -> bool {
    match ending.who {
        Who::Nobody | Who::Client => true,
        Who::ClientTimeout | Who::Limit => {
            matches!(ending.cause, Cause::NotSaid | Cause::NoProxyHeader | Cause::RuleDenied)
        }
        _ => false,
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let (ending, concurrent) = self.ending.unwrap_or_else(|| (self.unsaid_ending(), self.concurrent()));
        let (bytes_in, bytes_out) = self.cell().bytes();
        let total = self.started.elapsed();
        self.count(ending, bytes_out, total);
        self.leave_source();
        self.worker.tracked.end(self.cell().id);
        self.trace(Step::Ended, format_args!("by {}: {}", ending.who.word(), ending.cause.words()));
        let log = &self.frontend.spec.log;
        if self.told || !log.enabled || self.visit == Visit::Untold {
            return;
        }
        let silent = bytes_in == 0 && !self.heard;
        let null = silent && bytes_out == 0 && is_its_own(ending);
        // Whoever read that it was opened is to read of its end.
        let opened = self.worker.records.opens() && self.phase == Phase::Data;
        if !opened && ((null && !log.null_sessions) || (silent && !log.silent_clients)) {
            return;
        }
        let record = self.so_far(total, ending, concurrent);
        if log.normal_sessions || record.is_error() {
            self.worker.records.write(record);
        }
    }
}
