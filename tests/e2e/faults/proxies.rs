//! The load balancers that meet the same faults: evenkeel with nothing tuned, and HAProxy 3.2 with two files.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::harness::app::BINARY;
use crate::harness::namespace::Host;
use crate::harness::program::{Program, output};
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
        let mut command = match self {
            Self::Evenkeel => Command::new(BINARY),
            Self::Reference | Self::Expert => haproxy(&mut Command::new("chroot")),
        };
        let argument = if self == Self::Evenkeel { "--version" } else { "-v" };
        let text = String::from_utf8_lossy(&output(command.arg(argument)).stdout).into_owned();
        text.lines().next().unwrap_or("it says nothing").to_owned()
    }
}

/// Where HAProxy 3.2 stands, with the Debian that it needs around it.
pub const FORKY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/compare/forky");

const HAPROXY: &str = "/usr/sbin/haproxy";

/// evenkeel's configuration: where to listen, where to send, and what kind of check.
const EVENKEEL: &str = include_str!("proxies/evenkeel.toml");
const REFERENCE: &str = include_str!("proxies/reference.cfg");
const EXPERT: &str = include_str!("proxies/expert.cfg");

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
            Kind::Reference => Self::haproxy(REFERENCE, setup, host),
            Kind::Expert => Self::haproxy(EXPERT, setup, host),
        }
    }

    fn evenkeel(setup: &Setup, host: &Host, directory: &Path) -> Self {
        let configuration = directory.join("evenkeel.toml");
        let checked = if setup.readyz { EVENKEEL.replace(TLS_CHECK, READYZ_CHECK) } else { EVENKEEL.to_owned() };
        std::fs::write(&configuration, checked).unwrap();
        let mut command = host.command(BINARY);
        command.arg("run").arg(&configuration);
        let clock = setup.clock.then(|| clock_file(directory, "/usr/lib", &mut command));
        let program = Program::start(&mut command);
        program.wait_for("serving");
        Self { program, configuration, clock }
    }

    fn haproxy(text: &str, setup: &Setup, host: &Host) -> Self {
        assert!(
            Path::new(FORKY).join(&HAPROXY[1..]).exists(),
            "no HAProxy 3.2 in {FORKY}: tests/run --full unpacks it"
        );
        let run = Path::new(FORKY).join("run");
        let name = format!("{}.cfg", host.name());
        std::fs::write(run.join(&name), text).unwrap();
        let mut command = haproxy(&mut host.command("chroot"));
        command.args(["-db", "-f", &format!("/run/{name}")]);
        let clock = setup.clock.then(|| clock_file(&run, "/run", &mut command));
        let program = Program::start(&mut command);
        Self { program, configuration: run.join(name), clock }
    }

    /// Lets the wall clock jump by so many seconds from the true time.
    pub fn jump(&self, seconds: i32) {
        let clock = self.clock.as_ref().expect("the row asked for a clock of its own");
        std::fs::write(clock, format!("{seconds:+}\n")).unwrap();
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

fn haproxy(chroot: &mut Command) -> Command {
    let mut command = Command::new(chroot.get_program());
    command.args(chroot.get_args()).arg(FORKY).arg(HAPROXY);
    command
}

/// Where Debian's package has the library that answers for the clock.
const FAKETIME: &str = "x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A wall clock that reads its distance from the true one in a file; the monotonic clock is left alone.
fn clock_file(directory: &Path, library_root: &str, command: &mut Command) -> PathBuf {
    let installed = Path::new("/usr/lib").join(FAKETIME);
    let library = if library_root == "/run" {
        std::fs::copy(&installed, directory.join("libfaketime.so.1")).unwrap();
        PathBuf::from("/run/libfaketime.so.1")
    } else {
        assert!(installed.exists(), "no libfaketime: tests/run --full installs the package faketime");
        installed
    };
    let name = format!("clock-{}", std::process::id());
    let file = directory.join(&name);
    std::fs::write(&file, "+0\n").unwrap();
    let seen = if library_root == "/run" { Path::new("/run").join(&name) } else { file.clone() };
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", seen);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    file
}
