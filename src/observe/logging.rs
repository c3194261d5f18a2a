//! The log: what the process says of itself and of its sessions, written in order by one thread for each target.
//!
//! Whoever has something to say puts it into the bounded queue of each target that wants it, and goes on; what a queue
//! can't take is counted and told of later, in that target's own log. So no target slows a session, or another target.
//! The threads outlive the workers, so that a session that ends last has its line too.

mod datagrams;
mod episode;
mod form;
mod journal;
mod lines;
mod message;
mod moment;
mod syslog;
mod tcplog;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use self::episode::Episode;
use self::form::Form;
pub use self::lines::Tally;
use self::lines::{Line, Wants, Way};
pub(super) use self::lines::{Lines, News};
use self::message::Message;
pub(super) use self::moment::timestamp;
use self::tcplog::Haproxys;
use super::access_log::Records;
use crate::event::{
    CertificateExpiry, Change, ConfigReload, Drained, IsolationChange, Limit, LimitReached, ReloadOutcome,
    RequestRecord, ServerChange, ServerState, Upgrade, UpgradeOutcome,
};
use crate::model::{DatagramAddress, Log, LogFormat, LogLevel, LogTarget, Severity};

/// Lines that wait for a target's thread at most.
const QUEUE: usize = 4096;

/// Bytes of lines from which on they are written, whatever else waits.
const WRITE: usize = 64 * 1024;

/// How late a line may be: too little for anyone who follows the log to see, enough to spare most wakings of the writer.
/// With the 20,000 sessions a second that a core carries at most, a quarter of the queue fills meanwhile.
const GATHER: Duration = Duration::from_millis(50);

/// How long the end of the process waits for log targets that do not read, for all of them together.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Takes one datagram, or says why not.
pub type Deliver = Box<dyn FnMut(&[u8]) -> io::Result<()> + Send>;

/// Makes a connection to a target that takes datagrams.
pub type Connect = fn(&DatagramAddress) -> io::Result<Deliver>;

/// A target, before its thread is there.
struct Target {
    name: String,
    wants: Wants,
    form: Form,
    out: Out,
}

/// What takes a target's lines.
enum Out {
    Stream(Box<dyn Write + Send>),
    Datagrams(DatagramAddress, Connect),
}

/// The log while the process runs; dropping it writes what is left.
#[derive(Debug)]
pub struct Logging {
    lines: Lines,
    open: bool,
    progress: Option<Duration>,
    writers: Vec<JoinHandle<()>>,
}

impl Logging {
    /// Starts the writing threads and makes them the target of `tracing`, for the life of the process.
    ///
    /// A second call in one process keeps the first one's targets for `tracing` events.
    pub fn start(log: &Log, connect: Connect) -> io::Result<Self> {
        let names = LogTarget::names(&log.targets);
        let targets = log.targets.iter().zip(names).map(|(target, name)| Target {
            name,
            wants: Wants::of(target),
            form: Form::of(target),
            out: match target.place.address() {
                None => Out::Stream(Box::new(io::stdout())),
                Some(address) => Out::Datagrams(address, connect),
            },
        });
        let mut logging = Self::begin(targets.collect())?;
        (logging.open, logging.progress) = (log.open, log.progress);
        subscribe(logging.lines.clone());
        Ok(logging)
    }

    /// Starts a writing thread alone: session records go to `out`.
    pub fn to(out: impl Write + Send + 'static, format: LogFormat, level: LogLevel) -> io::Result<Self> {
        let out = Out::Stream(Box::new(out));
        let (wants, form) = (Wants::everything(format, level), Form::stream(format));
        Self::begin(vec![Target { name: "memory".to_owned(), wants, form, out }])
    }

    fn begin(targets: Vec<Target>) -> io::Result<Self> {
        // While a time zone's file can still be read: the process may give up its rights later.
        moment::know_zone();
        let (ways, queues): (Vec<_>, Vec<_>) = targets.iter().map(Target::queue).unzip();
        let mut logging = Self { lines: Lines(ways.into()), open: false, progress: None, writers: Vec::new() };
        for (number, (target, arriving)) in targets.into_iter().zip(queues).enumerate() {
            let tally = Arc::clone(&logging.lines.0[number].tally);
            let episode = Episode::new(Arc::clone(&tally), logging.lines.without(number));
            let writer = Writer { arriving, form: target.form, tally, episode, told: 0 };
            let thread = std::thread::Builder::new().name("log".into()).spawn(move || match target.out {
                Out::Stream(out) => writer.write_stream(out),
                Out::Datagrams(address, connect) => datagrams::write(writer, || connect(&address)),
            })?;
            logging.writers.push(thread);
        }
        Ok(logging)
    }

    /// For the workers' sessions.
    pub fn records(&self) -> Records {
        Records::new(self.lines.clone(), self.lines.level(), self.open, self.progress)
    }

    /// How each target fares, in the order of the configuration.
    pub fn tallies(&self) -> Vec<Arc<Tally>> {
        self.lines.0.iter().map(|way| Arc::clone(&way.tally)).collect()
    }

    /// Sends the last line to all targets, whose places it waits for, or those before it would be lost uncounted; gives
    /// what says that all is written, for each that has taken it.
    fn send_ends(&self, by: Instant) -> Vec<Receiver<()>> {
        let mut taken = Vec::new();
        let mut waiting: Vec<&Way> = self.lines.0.iter().collect();
        while !waiting.is_empty() && Instant::now() < by {
            waiting.retain(|way| {
                let (written, all_written) = sync_channel(1);
                let full = matches!(way.queue.try_send(Line::End(written)), Err(TrySendError::Full(_)));
                if !full {
                    taken.push(all_written);
                }
                full
            });
            if !waiting.is_empty() {
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
        taken
    }
}

impl Target {
    fn queue(&self) -> (Way, Receiver<Line>) {
        Way::of(QUEUE, self.name.clone(), self.wants.clone())
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let by = Instant::now() + LAST_LINES;
        let all_written = self.send_ends(by);
        let mut whole = all_written.len() == self.writers.len();
        for written in all_written {
            whole &= written.recv_timeout(by.saturating_duration_since(Instant::now())).is_ok();
        }
        // A thread whose target does not read is left behind.
        if whole {
            self.writers.drain(..).for_each(|writer| drop(writer.join()));
        }
    }
}

/// Puts `tracing`'s events into the queues.
struct Layer(Lines);

fn subscribe(lines: Lines) {
    let level = match lines.level() {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries speak of their own inside; only what worries them is news here.
    let filter = Targets::new().with_target("evenkeel", level).with_default(level.min(LevelFilter::WARN));
    // The first log of a process stays: tests start several in one.
    let _ = tracing_subscriber::registry().with(filter).with(Layer(lines)).try_init();
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Layer {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.send(News::Message(Box::new(Message::of(event))));
    }
}

/// A target's thread: what it writes, and how.
struct Writer {
    arriving: Receiver<Line>,
    form: Form,
    tally: Arc<Tally>,
    episode: Episode,
    /// Dropped lines that the target's log tells of already.
    told: u64,
}

impl Writer {
    /// Writes until the last line: what waits goes in one write.
    fn write_stream(mut self, mut out: impl Write) {
        let mut text = Vec::new();
        while let Ok(first) = self.arriving.recv() {
            let mut lines = 0;
            let mut end = self.append(first, &mut text, &mut lines);
            while end.is_none() && text.len() < WRITE {
                let Ok(line) = self.arriving.try_recv() else { break };
                end = self.append(line, &mut text, &mut lines);
            }
            let is_behind = text.len() >= WRITE;
            let lost = self.append_lost(&mut text);
            match out.write_all(&text).and_then(|()| out.flush()) {
                Ok(()) => {
                    self.told = lost;
                    self.episode.delivered();
                }
                // The process does not depend on it.
                Err(error) => {
                    self.tally.drop_lines(lines);
                    self.episode.failed(&error);
                }
            }
            text.clear();
            if let Some(end) = end {
                let _ = end.send(());
                return;
            }
            // Who is behind does not rest, or many lines would be lost that the target would have taken.
            if !is_behind {
                rest(GATHER);
            }
        }
    }

    fn append(&self, line: Line, text: &mut Vec<u8>, lines: &mut u64) -> Option<SyncSender<()>> {
        match line {
            Line::News(news) => {
                self.form.write(&news, text);
                *lines += 1;
                None
            }
            Line::End(written) => Some(written),
        }
    }

    /// Tells of the lines that were lost and not yet told of; gives how many were lost in all.
    fn append_lost(&self, text: &mut Vec<u8>) -> u64 {
        let lost = self.tally.dropped();
        if lost > self.told {
            let message = Message::new(LogLevel::Warn, "the log was too slow: lines dropped");
            self.form.write(&News::Message(Box::new(message.with("lines", lost - self.told))), text);
        }
        lost
    }
}

/// Lets time pass. Between writes it lets lines gather: while the writer rests, a worker that has one more need not wake
/// it, and they go in one write.
#[expect(clippy::disallowed_methods, reason = "these threads do nothing else, and nobody waits for them")]
fn rest(time: Duration) {
    std::thread::sleep(time);
}

/// Tells what happened; `host` is what all servers of the host say together.
pub fn change(change: &Change, host: Option<&str>) {
    match change {
        Change::Server(change) => server_change(change, host),
        Change::Isolation(IsolationChange { isolated: Some(_), .. }) => tracing::error!("{}", change.text()),
        Change::Isolation(IsolationChange { isolated: None, .. }) => tracing::warn!("{}", change.text()),
        Change::Action(action) => tracing::info!(by = %action.by, action = action.action, "{}", action.text),
        Change::Limit(reached) => limit_reached(reached),
        Change::Certificate(expiry) => certificate_expires(expiry, &change.text()),
        Change::Drained(Drained { backend, server, closed, .. }) => {
            tracing::info!(%backend, %server, closed, "server is drained: none of its sessions is left");
        }
        Change::Reload(reload) => reloaded(reload),
        Change::Upgrade(Upgrade { by, outcome, .. }) => match outcome {
            UpgradeOutcome::Done { pid, release } => tracing::info!(by, pid, release, "upgraded"),
            UpgradeOutcome::Failed { error } => tracing::error!(by, %error, "not upgraded"),
        },
        Change::NeverUp(told) => {
            let (backend, server, address) = (&told.backend, &told.server, &told.address);
            tracing::warn!(%backend, %server, %address, "{}", told.text());
        }
        Change::Check(report) => {
            let (backend, server, outcome) = (&report.backend, &report.server, report.outcome.words());
            let Haproxys { severity, text } = tcplog::of_check(report);
            tracing::info!(
                %backend,
                %server,
                outcome,
                haproxys_text = text,
                haproxys_severity = u64::from(severity.code()),
                "{}",
                report.text()
            );
        }
        // Those who bring these about have lines of their own, with what only they know.
        Change::Process(_) => {}
    }
}

/// Says in HAProxy's words what happens to a frontend or a backend, where whoever reads its lines waits for them.
pub fn as_haproxy(severity: Severity, proxy: &str, text: &str) {
    let haproxys_severity = u64::from(severity.code());
    tracing::warn!(frontend = proxy, haproxys_text = text, haproxys_severity, "{text}");
}

/// Tells of a request to a place where the process is watched.
pub fn request(record: &RequestRecord) {
    let Haproxys { severity, text } = tcplog::of_request(record);
    let asked = record.asked.as_ref().map(|asked| asked.line.as_str());
    tracing::info!(
        frontend = %record.site,
        client = %record.client,
        asked,
        status = record.fate.status(),
        bytes_out = record.bytes,
        total_ms = u64::try_from(record.total.as_millis()).unwrap_or(u64::MAX),
        haproxys_text = text,
        haproxys_severity = u64::from(severity.code()),
        "request"
    );
}

/// What has become of a reload; its changes, or all mistakes, have had their lines.
fn reloaded(ConfigReload { by, outcome, .. }: &ConfigReload) {
    match outcome {
        ReloadOutcome::Done { changes, closing } => tracing::info!(%by, changes, closing, "reloaded"),
        ReloadOutcome::Refused(refused) => tracing::error!(%by, error = %refused.error, "not reloaded"),
    }
}

fn limit_reached(reached: &LimitReached) {
    let LimitReached { frontend, limit, .. } = reached;
    match limit {
        Limit::Resource { error } => tracing::error!(%frontend, error, "{}", reached.words()),
        Limit::Process { max_sessions, .. }
        | Limit::Frontend { max_sessions, .. }
        | Limit::Listener { max_sessions, .. } => {
            tracing::warn!(%frontend, max_sessions, "{}", reached.words());
        }
    }
}

fn certificate_expires(expiry: &CertificateExpiry, text: &str) {
    let CertificateExpiry { backend, server, subject, not_after, left, .. } = expiry;
    let not_after = timestamp(*not_after);
    match left {
        Some(_) => tracing::warn!(%backend, %server, subject, not_after, "{text}"),
        None => tracing::error!(%backend, %server, subject, not_after, "{text}"),
    }
}

/// A server's change of state, with its evidence, in one line.
fn server_change(change: &ServerChange, host: Option<&str>) {
    let cause = match change.to {
        ServerState::Down(cause) => cause.words(),
        _ => "",
    };
    let follows = change.via.as_ref().map(|tracked| format!("as {}/{}", tracked.backend, tracked.server));
    let (status, detail, check) = match (&change.evidence, &follows) {
        (Some(seen), _) => (seen.status.name(), seen.detail.as_str(), seen.duration.as_secs_f64() * 1000.0),
        (None, Some(follows)) => ("", follows.as_str(), 0.0),
        (None, None) => ("", "set by the operator", 0.0),
    };
    let code = change.evidence.as_ref().and_then(|evidence| evidence.code);
    let haproxys = tcplog::of_server(change);
    let haproxys_text = haproxys.as_ref().map(|haproxys| haproxys.text.as_str());
    let haproxys_severity = haproxys.as_ref().map(|haproxys| u64::from(haproxys.severity.code()));
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                backend = %change.backend,
                server = %change.server,
                from = change.from.word(),
                to = change.to.word(),
                cause,
                status,
                detail,
                code,
                host,
                check_ms = (check * 1000.0).round() / 1000.0,
                sessions = change.sessions,
                active_left = change.active_left,
                backup_left = change.backup_left,
                haproxys_text,
                haproxys_severity,
                "server is {}",
                change.to.word()
            )
        };
    }
    match change.to {
        ServerState::Stranger => line!(error),
        ServerState::Down(_) | ServerState::Kept(_) => line!(warn),
        _ => line!(info),
    }
    if change.leaves_nobody() {
        let Haproxys { severity, text } = tcplog::of_nobody_left(change);
        tracing::error!(
            backend = %change.backend,
            usable_left = 0,
            haproxys_text = text,
            haproxys_severity = u64::from(severity.code()),
            "backend has no usable server left"
        );
    }
}

#[cfg(test)]
mod tests;
