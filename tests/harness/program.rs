//! Running programs: ours, and those of the Debian packages that it is tried with.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::{PATIENCE, until_within};

/// A program that runs beside the test, with what it has printed so far. It ends with the test.
pub struct Program {
    name: String,
    child: Child,
    lines: Arc<Lines>,
}

/// Standard output and standard error, line by line, in the order of arrival.
#[derive(Default)]
struct Lines {
    printed: Mutex<Vec<String>>,
    more: Condvar,
    /// Outputs whose end has been read.
    ended: AtomicU8,
}

impl Program {
    /// Starts it with both its outputs collected and its input at its end.
    pub fn start(command: &mut Command) -> Self {
        Self::start_with_input(command, Stdio::null())
    }

    pub fn start_with_input(command: &mut Command, input: Stdio) -> Self {
        let name = format!("{command:?}");
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} doesn't start: {error}"));
        let lines = Arc::new(Lines::default());
        lines.collect(child.stdout.take().expect("it was piped"));
        lines.collect(child.stderr.take().expect("it was piped"));
        Self { name, child, lines }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, if it was asked to be a pipe.
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// All that it has printed.
    pub fn printed(&self) -> Vec<String> {
        self.lines.printed.lock().unwrap().clone()
    }

    /// Waits for a line for which `wanted` has an answer, from line number `from` on; gives the number after it, too.
    pub fn find<T>(&self, what: &str, from: usize, mut wanted: impl FnMut(&str) -> Option<T>) -> (usize, T) {
        let deadline = Instant::now() + PATIENCE;
        let mut next = from;
        let mut printed = self.lines.printed.lock().unwrap();
        loop {
            while next < printed.len() {
                next += 1;
                if let Some(found) = wanted(&printed[next - 1]) {
                    return (next, found);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (printed, _) = self.lines.more.wait_timeout(printed, left).unwrap();
        }
        // Given back before the panic, or what was printed could not be shown.
        drop(printed);
        panic!("{}: not printed within {PATIENCE:?}: {what}", self.name);
    }

    /// Waits for a line that contains `text`.
    pub fn wait_for(&self, text: &str) -> String {
        self.find(text, 0, |line| line.contains(text).then(|| line.to_owned())).1
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // It may have ended in the meantime: then there is nobody to tell.
        let _ = kill_process(pid, signal);
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Waits for its end, and until all that it has said is here.
    pub fn ended(&mut self) -> ExitStatus {
        let name = self.name.clone();
        let status = until_within(PATIENCE, &format!("{name} ends"), || self.child.try_wait().expect("our own child"));
        // A child that it has left behind may hold its outputs open: that one is not waited for.
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.lines.ended.load(SeqCst) < 2 && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(5));
        }
        status
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(3);
        while self.runs() && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(15));
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
        if thread::panicking() {
            self.tell();
        }
    }
}

impl Program {
    #[expect(clippy::print_stderr, reason = "a failed test shows what its programs said")]
    fn tell(&self) {
        let printed = self.printed();
        eprintln!("---- {} printed {} lines, the last of them:", self.name, printed.len());
        for line in printed.iter().skip(printed.len().saturating_sub(60)) {
            eprintln!("{line}");
        }
    }
}

impl Lines {
    fn collect(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let lines = Arc::clone(self);
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                lines.printed.lock().unwrap().push(line);
                lines.more.notify_all();
                bytes.clear();
            }
            lines.ended.fetch_add(1, SeqCst);
        });
    }
}

/// Runs a program to its end and gives its outputs; panics if it fails.
pub fn run(command: &mut Command) -> String {
    let name = format!("{command:?}");
    let output = output(command);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{printed}\n{errors}", output.status);
    printed
}

/// Runs a program to its end, whatever that is.
pub fn output(command: &mut Command) -> Output {
    let name = format!("{command:?}");
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{name} doesn't start: {error}"))
}

/// A program with its arguments, written as on a command line without quotes.
pub fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program's name"));
    command.args(words);
    command
}
