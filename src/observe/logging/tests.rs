//! Queues, drops, the end, and targets that go and come back.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::time::SystemTime;

use super::*;
use crate::event::{Cause, CheckStatus, DownCause, Ending, Evidence, Phase, SessionStage, Who};
use crate::model::{BackendName, LogLines, ServerName, Severities, Severity};
use crate::observe::access_log::tests::record;

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
        let lines = text.split(|byte| *byte == b'\n').filter(|line| line.ends_with(b" line")).count();
        self.lines.fetch_add(lines as u64, Relaxed);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn message(text: &str) -> News {
    News::Message(Box::new(Message::new(LogLevel::Info, text)))
}

/// A target of a test's making.
fn target(out: Out, level: LogLevel) -> Target {
    let (wants, form) = (Wants::everything(LogFormat::Text, level), Form::stream(LogFormat::Text));
    Target { name: "test".to_owned(), wants, form, out }
}

/// A log whose target is stuck and whose queue is full; the gate's other end, and the lines that are written.
fn stuck() -> (Logging, Sender<()>, Arc<AtomicU64>) {
    let (target, at_target, open, lines) = gated();
    let logging = Logging::to(target, LogFormat::Text, LogLevel::Info).unwrap();
    logging.lines.send(message("line"));
    at_target.recv().unwrap();
    for _ in 0..=QUEUE {
        logging.lines.send(message("line"));
    }
    assert_eq!(logging.tallies()[0].dropped(), 1, "one more than the queue holds");
    (logging, open, lines)
}

fn gated() -> (Gated, Receiver<()>, Sender<()>, Arc<AtomicU64>) {
    let ((reached, at_target), (open, gate), lines) = (channel(), channel(), Arc::<AtomicU64>::default());
    (Gated { reached, gate, lines: Arc::clone(&lines) }, at_target, open, lines)
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
    let (target, _at_target, open, lines) = gated();
    drop(open);
    let logging = Logging::to(target, LogFormat::Text, LogLevel::Info).unwrap();
    // Of so many writes that a rest after each would outlast the end's patience.
    let line = format!("{} line", "x".repeat(1024));
    let sent = QUEUE as u64 / 2;
    for _ in 0..sent {
        logging.lines.send(message(&line));
    }
    drop(logging);
    assert_eq!(lines.load(Relaxed), sent);
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let (logging, _open, lines) = stuck();
    drop(logging);
    assert_eq!(lines.load(Relaxed), 0);
}

#[test]
fn a_target_that_is_stuck_takes_nothing_from_another() {
    let ((first, at_first, _shut, _), (second, _at_second, open, lines)) = (gated(), gated());
    drop(open);
    let targets = [first, second].map(|out| target(Out::Stream(Box::new(out)), LogLevel::Info));
    let logging = Logging::begin(targets.into()).unwrap();
    logging.lines.send(message("line"));
    at_first.recv().unwrap();
    let sent = 1 + QUEUE as u64 + 100;
    for sent in 1..sent {
        logging.lines.send(message("line"));
        // The second reads all the time; it is given the time.
        while lines.load(Relaxed) + (QUEUE as u64) / 2 < sent {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    let tallies = logging.tallies();
    drop(logging);
    assert_eq!(lines.load(Relaxed), sent);
    assert_eq!((tallies[0].dropped(), tallies[1].dropped()), (100, 0));
}

#[test]
fn each_target_has_its_level_and_its_format() {
    let outs = [SharedText::default(), SharedText::default()];
    let of = |out: &SharedText, level, format| {
        let out = Out::Stream(Box::new(out.clone()));
        Target { form: Form::stream(format), wants: Wants::everything(format, level), ..target(out, level) }
    };
    let targets = vec![of(&outs[0], LogLevel::Info, LogFormat::Json), of(&outs[1], LogLevel::Warn, LogFormat::Text)];
    let logging = Logging::begin(targets).unwrap();
    logging.lines.send(message("of info"));
    logging.lines.send(News::Message(Box::new(Message::new(LogLevel::Warn, "of warn"))));
    logging.records().write(record());
    drop(logging);
    let [json, text] = outs.map(|out| out.text());
    let said: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        said.iter().map(|line| line["message"].as_str().unwrap()).collect::<Vec<_>>(),
        ["of info", "of warn", "session"]
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.ends_with("Z  WARN of warn\n"), "{text}");
}

/// What HAProxy says goes beside the fields of the line, and comes out in its format.
#[test]
fn a_change_of_a_server_is_told_in_haproxys_words() {
    let out = SharedText::default();
    let logging = Logging::to(out.clone(), LogFormat::Tcplog, LogLevel::Info).unwrap();
    let evidence = Evidence {
        status: CheckStatus::L7Sts,
        detail: "status 500".to_owned(),
        duration: Duration::from_millis(3),
        code: Some(500),
        certificate: None,
        remark: None,
        at: SystemTime::UNIX_EPOCH,
        info: "Internal Server Error".to_owned(),
    };
    let down = ServerChange {
        backend: BackendName::new("back").unwrap(),
        server: ServerName::new("a").unwrap(),
        from: ServerState::Ready,
        to: ServerState::Down(DownCause::Unexpected),
        evidence: Some(evidence),
        recent: Vec::new(),
        sessions: 2,
        active_left: 0,
        backup_left: 0,
        at: SystemTime::UNIX_EPOCH,
        backup: false,
        reported: false,
        via: None,
        is_listen: false,
        forced: None,
    };
    let maint = ServerChange { to: ServerState::Maint, evidence: None, backup_left: 1, ..down.clone() };
    let subscriber = tracing_subscriber::registry().with(Layer(logging.lines.clone()));
    tracing::subscriber::with_default(subscriber, || {
        change(&Change::Server(down), None);
        change(&Change::Server(maint), None);
    });
    drop(logging);
    assert_eq!(
        out.text(),
        "Server back/a is DOWN, reason: Layer7 wrong status, code: 500, info: \"Internal Server Error\", check duration: 3ms. 0 \
         active and 0 backup servers left. 2 sessions active, 0 requeued, 0 remaining in queue.\n\
         backend back has no server available!\n\
         Server back/a is going DOWN for maintenance. 0 active and 1 backup servers left. Running on backup. 2 sessions \
         active, 0 requeued, 0 remaining in queue.\n"
    );
}

/// A message that HAProxy has words for, of a backend.
fn haproxys(backend: &str, severity: Severity) -> News {
    let message = Message::new(LogLevel::Warn, "server is down").with("backend", backend);
    let haproxys = Some(Haproxys { severity, text: format!("Server {backend}/a is DOWN.") });
    News::Message(Box::new(Message { haproxys, ..message }))
}

#[test]
fn whoever_waits_for_haproxys_lines_of_some_proxies_gets_no_others() {
    let out = SharedText::default();
    let wants = Wants {
        lines: LogLines::Haproxys,
        proxies: Some(Arc::new(["kubeAPI", "back"].map(str::to_owned).into())),
        severities: Severities { least: Severity::Info, gravest: Severity::Emergency },
        ..Wants::everything(LogFormat::Tcplog, LogLevel::Info)
    };
    let form = Form::stream(LogFormat::Tcplog);
    let target = Target { name: "test".to_owned(), wants, form, out: Out::Stream(Box::new(out.clone())) };
    let logging = Logging::begin(vec![target]).unwrap();
    logging.lines.send(message("evenkeel's own"));
    logging.lines.send(haproxys("back", Severity::Alert));
    logging.lines.send(haproxys("other", Severity::Alert));
    logging.lines.send(haproxys("back", Severity::Debug));
    let other = crate::model::FrontendName::new("other").unwrap();
    logging.records().write(crate::event::SessionRecord { frontend: other, ..record() });
    let stopped = Ending::new(Who::Killed, Phase::Data, Cause::Shutdown);
    logging.records().write(crate::event::SessionRecord { ending: stopped, ..record() });
    logging.records().write(record());
    drop(logging);
    let text = out.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "Server back/a is DOWN."), "{text}");
    assert!(lines[1].contains(" kubeAPI kubeAPI_backend/k0s-1 "), "{text}");
}

#[test]
fn nobody_who_wants_no_sessions_has_them_made() {
    let logging = Logging::to(io::sink(), LogFormat::Text, LogLevel::Warn).unwrap();
    logging.records().write_stage(SessionStage::Open, || panic!("nobody wants it"));
    assert_eq!((logging.records().opens(), logging.records().progress()), (false, None));
}

/// Takes the log.
#[derive(Clone, Default)]
struct SharedText(Arc<std::sync::Mutex<Vec<u8>>>);

impl SharedText {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for SharedText {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A way to a unix socket as `net` has it.
fn connect(address: &DatagramAddress) -> io::Result<Deliver> {
    let DatagramAddress::Unix(path) = address else { panic!("a unix socket") };
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(Box::new(move |datagram| socket.send(datagram).map(drop)))
}

/// A log of one target at `path`, and another that takes the text of what else is told.
fn of_socket(path: PathBuf) -> (Logging, SharedText) {
    let other = SharedText::default();
    let socket = target(Out::Datagrams(DatagramAddress::Unix(path), connect), LogLevel::Info);
    let targets = vec![socket, target(Out::Stream(Box::new(other.clone())), LogLevel::Warn)];
    (Logging::begin(targets).unwrap(), other)
}

fn next(receiver: &UnixDatagram) -> String {
    receiver.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut datagram = [0; 4096];
    let length = receiver.recv(&mut datagram).unwrap();
    String::from_utf8_lossy(&datagram[..length]).into_owned()
}

#[test]
fn lines_wait_for_a_receiver_that_goes_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let receiver = UnixDatagram::bind(&path).unwrap();
    let (logging, other) = of_socket(path.clone());
    logging.lines.send(message("first"));
    assert!(next(&receiver).ends_with(" INFO first\n"));
    drop(receiver);
    std::fs::remove_file(&path).unwrap();
    logging.lines.send(message("second"));
    logging.lines.send(message("third"));
    while logging.tallies()[0].snapshot().reached {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let receiver = UnixDatagram::bind(&path).unwrap();
    // Tried: with a broken connection that is kept, a receiver that has been started anew is never found.
    assert!(next(&receiver).ends_with(" INFO second\n"));
    assert!(next(&receiver).ends_with(" INFO third\n"));
    assert_eq!(logging.tallies()[0].dropped(), 0);
    drop(logging);
    let told = other.text();
    assert_eq!(told.matches("a log target takes no lines").count(), 1, "{told}");
    assert!(told.contains(r#"target="test" error="there is no such socket""#), "{told}");
}

#[test]
fn what_a_receiver_missed_is_told_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (logging, _other) = of_socket(path.clone());
    logging.lines.send(message("line"));
    while logging.tallies()[0].snapshot().reached {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let lost = 7;
    for _ in 0..QUEUE + lost {
        logging.lines.send(message("line"));
    }
    assert_eq!(logging.tallies()[0].dropped(), lost as u64);
    let receiver = UnixDatagram::bind(&path).unwrap();
    // The one under way when nobody was there, those that waited, and what became of the others.
    let lines: Vec<_> = (0..QUEUE + 2).map(|_| next(&receiver)).collect();
    let (told, delivered): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.contains(" WARN "));
    // Tried: with a run that ends at its limit and forgets the line that it has taken, one is missing.
    assert_eq!(delivered.len(), QUEUE + 1);
    assert!(delivered.iter().all(|line| line.ends_with(" INFO line\n")));
    assert!(
        matches!(told[..], [told] if told.ends_with(" WARN the log was too slow: lines dropped lines=7\n")),
        "{told:?}"
    );
}
