//! The log: one thread writes all lines, in order, to stdout.
//!
//! Whoever has something to say puts it into a bounded queue and goes on; what the queue can't take is counted and
//! told of later. The thread outlives the workers, so that a session that ends last has its line too.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::access_log::{self, Records};
use crate::clock;
use crate::event::{
    CertificateExpiry, Change, Drained, IsolationChange, Limit, LimitReached, ServerChange, ServerState, SessionRecord,
};
use crate::model::{Log, LogFormat, LogLevel};

/// Lines that wait for the writer at most.
const QUEUE: usize = 4096;

/// Bytes of lines from which on they are written, whatever else waits.
const WRITE: usize = 64 * 1024;

/// How late a line may be: too little for anyone who follows the log to see, enough to spare most wakings of the writer.
/// With the 20,000 sessions a second that a core carries at most, a quarter of the queue fills meanwhile.
const GATHER: Duration = Duration::from_millis(50);

/// How long the end of the process waits for a log target that does not read.
const LAST_LINES: Duration = Duration::from_secs(1);

/// One line on its way.
#[derive(Debug)]
pub(super) enum Line {
    Text(Vec<u8>),
    Session(Box<SessionRecord>),
    /// The last one.
    End(SyncSender<()>),
}

/// The way into the queue.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    queue: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

impl Lines {
    pub(super) fn send(&self, line: Line) {
        if self.queue.try_send(line).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// The log while the process runs; dropping it writes what is left.
#[derive(Debug)]
pub struct Logging {
    lines: Lines,
    level: LogLevel,
    writer: Option<JoinHandle<()>>,
}

impl Logging {
    /// Starts the writing thread and makes it the target of `tracing`, for the life of the process.
    ///
    /// A second call in one process keeps the first one's target for `tracing` events.
    pub fn start(log: &Log) -> io::Result<Self> {
        let logging = Self::to(io::stdout(), log.format, log.level)?;
        subscribe(log, logging.lines.clone());
        Ok(logging)
    }

    /// Starts the writing thread alone: session records go to `out`.
    pub fn to(mut out: impl Write + Send + 'static, format: LogFormat, level: LogLevel) -> io::Result<Self> {
        let (queue, arriving) = sync_channel(QUEUE);
        let lines = Lines { queue, dropped: Arc::default() };
        let dropped = Arc::clone(&lines.dropped);
        let writer = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(&arriving, format, &dropped, &mut out))?;
        Ok(Self { lines, level, writer: Some(writer) })
    }

    /// For the workers' sessions.
    pub fn records(&self) -> Records {
        Records::new(self.lines.clone(), self.level)
    }

    /// Counts lines that the queue could not take.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lines.dropped)
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let by = Instant::now() + LAST_LINES;
        let (written, all_written) = sync_channel(1);
        let mut end = Line::End(written);
        // The last one of a full queue waits for its place, or those before it would be lost uncounted.
        while let Err(TrySendError::Full(line)) = self.lines.queue.try_send(end) {
            if Instant::now() >= by {
                return;
            }
            end = line;
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if all_written.recv_timeout(by.saturating_duration_since(Instant::now())).is_ok()
            && let Some(writer) = self.writer.take()
        {
            let _ = writer.join();
        }
    }
}

fn subscribe(log: &Log, lines: Lines) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries speak of their own inside; only what worries them is news here.
    let filter = Targets::new().with_target("evenkeel", level).with_default(level.min(LevelFilter::WARN));
    let layer = tracing_subscriber::fmt::layer().with_writer(lines).with_timer(Timer).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // The first log of a process stays: tests start several in one.
    let _ = match log.format {
        LogFormat::Text => registry.with(layer.with_ansi(io::stdout().is_terminal())).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true).with_current_span(false)).try_init(),
    };
}

/// Writes until the last line.
fn write_all(arriving: &Receiver<Line>, format: LogFormat, dropped: &AtomicU64, out: &mut impl Write) {
    let mut told = 0;
    let mut text = Vec::new();
    while let Ok(first) = arriving.recv() {
        let mut end = append(first, format, &mut text);
        // What waits already goes in the same write.
        while end.is_none() && text.len() < WRITE {
            let Ok(line) = arriving.try_recv() else { break };
            end = append(line, format, &mut text);
        }
        let is_behind = text.len() >= WRITE;
        let lost = dropped.load(Relaxed);
        if lost > told {
            tell_dropped(lost - told, format, &mut text);
            told = lost;
        }
        // A target that is gone can't be told so; the process does not depend on it.
        let _ = out.write_all(&text).and_then(|()| out.flush());
        text.clear();
        if let Some(end) = end {
            let _ = end.send(());
            return;
        }
        // Who is behind does not rest, or many lines would be lost that the target would have taken.
        if !is_behind {
            rest();
        }
    }
}

/// Lets lines gather: while the writer rests, a worker that has one more need not wake it, and they go in one write.
#[expect(clippy::disallowed_methods, reason = "this thread does nothing else, and nobody waits for it")]
fn rest() {
    std::thread::sleep(GATHER);
}

fn append(line: Line, format: LogFormat, text: &mut Vec<u8>) -> Option<SyncSender<()>> {
    match line {
        Line::Text(line) => text.extend_from_slice(&line),
        Line::Session(record) => access_log::format(&record, format, text),
        Line::End(written) => return Some(written),
    }
    None
}

fn tell_dropped(lines: u64, format: LogFormat, text: &mut Vec<u8>) {
    let now = timestamp(clock::wall());
    let _ = match format {
        LogFormat::Text => writeln!(text, "{now}  WARN the log was too slow: lines dropped lines={lines}"),
        LogFormat::Json => writeln!(
            text,
            r#"{{"timestamp":"{now}","level":"WARN","message":"the log was too slow: lines dropped","lines":{lines}}}"#
        ),
    };
}

/// RFC 3339 in UTC, always to the millisecond, so that lines sort and align.
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Wall time as it stands at the beginning of a line.
pub(super) fn timestamp(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(TIMESTAMP).unwrap_or_default()
}

struct Timer;

impl FormatTime for Timer {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&timestamp(clock::wall()))
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event { lines: self.clone(), text: Vec::new() }
    }
}

/// One event on its way into the queue, which it enters whole.
#[derive(Debug)]
pub(super) struct Event {
    lines: Lines,
    text: Vec<u8>,
}

impl Write for Event {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.lines.send(Line::Text(std::mem::take(&mut self.text)));
    }
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
        // Those who bring these about have lines of their own, with what only they know.
        Change::Process(_) => {}
    }
}

fn limit_reached(reached: &LimitReached) {
    let LimitReached { frontend, limit, .. } = reached;
    match limit {
        Limit::Resource { error } => tracing::error!(%frontend, error, "{}", reached.words()),
        Limit::Process { max_sessions, .. } | Limit::Frontend { max_sessions, .. } => {
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
    let (status, detail, check) = match &change.evidence {
        Some(evidence) => (evidence.status.name(), evidence.detail.as_str(), evidence.duration.as_secs_f64() * 1000.0),
        None => ("", "set by the operator", 0.0),
    };
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
                host,
                check_ms = (check * 1000.0).round() / 1000.0,
                sessions = change.sessions,
                active_left = change.active_left,
                backup_left = change.backup_left,
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
        tracing::error!(backend = %change.backend, "backend has no usable server left");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A target that says when it is written to, and takes nothing until its gate is opened.
    struct Gated {
        reached: Sender<()>,
        gate: Receiver<()>,
        lines: Arc<AtomicU64>,
    }

    impl Write for Gated {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.reached.send(());
            let _ = self.gate.recv();
            let lines = text.split(|byte| *byte == b'\n').filter(|line| *line == b"line").count();
            self.lines.fetch_add(lines as u64, Relaxed);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A log whose target is stuck and whose queue is full; the gate's other end, and the lines that are written.
    fn stuck() -> (Logging, Sender<()>, Arc<AtomicU64>) {
        let ((reached, at_target), (open, gate)) = (channel(), channel());
        let lines = Arc::default();
        let logging =
            Logging::to(Gated { reached, gate, lines: Arc::clone(&lines) }, LogFormat::Text, LogLevel::Info).unwrap();
        logging.lines.send(Line::Text(b"line\n".to_vec()));
        at_target.recv().unwrap();
        for _ in 0..=QUEUE {
            logging.lines.send(Line::Text(b"line\n".to_vec()));
        }
        assert_eq!(logging.dropped().load(Relaxed), 1, "one more than the queue holds");
        (logging, open, lines)
    }

    #[test]
    fn the_end_waits_for_a_full_queue_that_is_being_read() {
        let (logging, open, lines) = stuck();
        // The reader is late, and not gone.
        std::thread::spawn(move || {
            std::thread::park_timeout(LAST_LINES / 10);
            drop(open);
        });
        drop(logging);
        assert_eq!(lines.load(Relaxed), 1 + QUEUE as u64, "what was not dropped is written");
    }

    #[test]
    fn who_is_behind_does_not_rest_between_writes() {
        let ((reached, _at_target), (open, gate), lines) = (channel(), channel(), Arc::<AtomicU64>::default());
        drop(open);
        let target = Gated { reached, gate, lines: Arc::clone(&lines) };
        let logging = Logging::to(target, LogFormat::Text, LogLevel::Info).unwrap();
        // Of so many writes that a rest after each would outlast the end's patience.
        let line = [&[b'x'; 1024][..], b"\nline\n"].concat();
        let sent = QUEUE as u64 / 2;
        (0..sent).for_each(|_| logging.lines.send(Line::Text(line.clone())));
        drop(logging);
        assert_eq!(lines.load(Relaxed), sent);
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let (logging, _open, lines) = stuck();
        drop(logging);
        assert_eq!(lines.load(Relaxed), 0);
    }
}
