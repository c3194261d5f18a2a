//! The load balancers that meet the same faults: evenkeel with nothing tuned, and HAProxy 3.2 with two files.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::harness::app::BINARY;
use crate::harness::haproxy;
use crate::harness::namespace::Host;
use crate::harness::program::Program;
use crate::rows::Setup;

/// A load balancer with its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub enum Kind {
    Evenkeel,
    /// HAProxy with the file of the cluster guide.
    Reference,
    /// HAProxy with what an expert would write.
    Expert,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Evenkeel, Self::Reference, Self::Expert];

    /// As in names of files and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evenkeel => "evenkeel",
            Self::Reference => "haproxy-reference",
            Self::Expert => "haproxy-expert",
        }
    }

    /// What it says its version is.
    pub fn version(self) -> String {
        match self {
            Self::Evenkeel => haproxy::first_line(Command::new(BINARY).arg("--version")),
            Self::Reference | Self::Expert => haproxy::version(),
        }
    }
}

/// evenkeel's configuration: where to listen, where to send, and what kind of check.
const EVENKEEL: &str = include_str!("proxies/evenkeel.toml");
const REFERENCE: &str = include_str!("proxies/reference.cfg");
const EXPERT: &str = include_str!("proxies/expert.cfg");

/// The session that panics where a row asks for it: after those that the client holds, and the first three seconds.
const PANIC: u32 = 900;

/// evenkeel as cargo built it for tests, or another build of it, such as a release beside HAProxy's.
fn evenkeel(setup: &Setup) -> String {
    let other = std::env::var("EVENKEEL_UNDER_FAULTS").ok();
    // No other build can be told to panic.
    other.filter(|_| !setup.panic).unwrap_or_else(|| BINARY.to_owned())
}

/// A load balancer that runs.
pub struct Proxy {
    pub program: Program,
    /// Goes away with it.
    configuration: PathBuf,
    clock: Option<PathBuf>,
}

impl Proxy {
    /// Starts it on a host; `directory` is for its files.
    pub fn start(kind: Kind, setup: &Setup, host: &Host, directory: &Path) -> Self {
        match kind {
            Kind::Evenkeel => Self::evenkeel(setup, host, directory),
            Kind::Reference => Self::haproxy(REFERENCE, host),
            Kind::Expert => Self::haproxy(EXPERT, host),
        }
    }

    fn evenkeel(setup: &Setup, host: &Host, directory: &Path) -> Self {
        let configuration = directory.join("evenkeel.toml");
        let checked = if setup.readyz { EVENKEEL.replace(TLS_CHECK, READYZ_CHECK) } else { EVENKEEL.to_owned() };
        std::fs::write(&configuration, checked).unwrap();
        let mut command = host.command(&evenkeel(setup));
        command.arg("run").arg(&configuration);
        let clock = setup.clock.then(|| clock_file(directory, &mut command));
        if setup.panic {
            command.env("EVENKEEL_PANIC_IN_SESSION", PANIC.to_string());
        }
        let program = Program::start(&mut command);
        program.wait_for("serving");
        Self { program, configuration, clock }
    }

    fn haproxy(text: &str, host: &Host) -> Self {
        let run = Path::new(haproxy::ROOT).join("run");
        let name = format!("{}.cfg", host.name());
        std::fs::write(run.join(&name), text).unwrap();
        let mut command = haproxy::haproxy(&host.command("chroot"));
        command.args(["-db", "-f", &format!("/run/{name}")]);
        let program = Program::start(&mut command);
        Self { program, configuration: run.join(name), clock: None }
    }

    /// Lets the wall clock jump by so many seconds from the true time.
    pub fn jump(&self, seconds: i32) {
        let clock = self.clock.as_ref().expect("the row asked for a clock of its own");
        // In one step: the program reads it all the time.
        let next = clock.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(next, clock).unwrap();
    }

    /// The hour of its last log line, if it has lines with a time.
    pub fn hour(&self) -> Option<String> {
        let lines = self.program.printed();
        let time = lines.iter().rev().find_map(|line| line.strip_prefix("{\"timestamp\":\""))?;
        Some(time.get(..13)?.to_owned())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.program.signal(rustix::process::Signal::KILL);
        let _ = std::fs::remove_file(&self.configuration);
    }
}

/// The line of evenkeel's configuration that says how servers are checked.
const TLS_CHECK: &str = "check = { type = \"tls\", verify = \"none\" } # kubeAPI";

/// What stands there in rows that are about /readyz.
const READYZ_CHECK: &str = "check = { type = \"https\", verify = \"none\", path = \"/readyz\" }";

/// The library of Debian's package that answers for the clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A wall clock that reads its distance from the true one in a file of this directory; the monotonic clock is left alone.
fn clock_file(directory: &Path, command: &mut Command) -> PathBuf {
    assert!(Path::new(FAKETIME).exists(), "no {FAKETIME}: tests/run --full installs the package faketime");
    let file = directory.join("clock");
    std::fs::write(&file, "+0\n").unwrap();
    command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_TIMESTAMP_FILE", &file);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    file
}
