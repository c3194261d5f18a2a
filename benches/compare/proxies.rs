//! The proxies: what each is told, how it is started, and what it costs.

mod evenkeel;
mod haproxy;
mod nginx;
mod records;

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::machine::{self, CoreTime, Holding, LOAD_CORES, PROXY_CORES};
use crate::wire;
use records::Records;

/// A proxy in one of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    Evenkeel,
    #[value(name = "haproxy-3.2")]
    Haproxy32,
    #[value(name = "haproxy-3.2-splice")]
    Haproxy32Splice,
    #[value(name = "haproxy-3.2-bufsize")]
    Haproxy32Buffer,
    #[value(name = "haproxy-2.6")]
    Haproxy26,
    Nginx,
    #[value(name = "nginx-256k")]
    NginxBuffer,
    /// Another evenkeel, such as the one before a change.
    Before,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Evenkeel,
        Self::Haproxy32,
        Self::Haproxy32Splice,
        Self::Haproxy32Buffer,
        Self::Haproxy26,
        Self::Nginx,
        Self::NginxBuffer,
        Self::Before,
    ];

    /// HAProxy 3.2's settings: the best of them on an axis is what evenkeel is held against.
    pub const REFERENCE: [Self; 3] = [Self::Haproxy32, Self::Haproxy32Splice, Self::Haproxy32Buffer];

    /// As on the command line, in tables and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evenkeel => "evenkeel",
            Self::Haproxy32 => "haproxy-3.2",
            Self::Haproxy32Splice => "haproxy-3.2-splice",
            Self::Haproxy32Buffer => "haproxy-3.2-bufsize",
            Self::Haproxy26 => "haproxy-2.6",
            Self::Nginx => "nginx",
            Self::NginxBuffer => "nginx-256k",
            Self::Before => "before",
        }
    }

    /// What it is told beyond the common settings.
    pub fn tuning(self) -> &'static str {
        match self {
            Self::Evenkeel | Self::Before => "config/evenkeel.toml",
            Self::Haproxy32 | Self::Haproxy26 | Self::Nginx => "defaults",
            Self::Haproxy32Splice => "option splice-auto, tune.pipesize 1048576",
            Self::Haproxy32Buffer => "tune.bufsize 262144",
            Self::NginxBuffer => "proxy_buffer_size 256k",
        }
    }

    pub fn is_evenkeel(self) -> bool {
        matches!(self, Self::Evenkeel | Self::Before)
    }

    /// Its own addresses are made of this number, from 1.
    pub fn place(self) -> u8 {
        Self::ALL.iter().position(|kind| *kind == self).map_or(0, |place| place as u8 + 1)
    }

    /// Where clients connect, by the number of the frontend.
    pub fn frontend(self, number: usize) -> SocketAddrV4 {
        SocketAddrV4::new(wire::frontend(self.place()), wire::PORTS[number])
    }

    /// Where its pages are.
    pub fn stats(self) -> SocketAddrV4 {
        SocketAddrV4::new(wire::frontend(self.place()), wire::STATS_PORT)
    }
}

/// What is the same for all proxies that are compared.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub threads: usize,
    /// Sessions of the process, and of each frontend.
    pub sessions: (u32, u32),
    pub cores: &'static str,
}

impl Setting {
    /// The reference configuration's limits, and one thread on a core.
    pub const ONE: Self = Self { threads: 1, sessions: (4000, 3000), cores: PROXY_CORES };

    /// One thread on a core, with room for as many sessions as 20,000 descriptors allow.
    pub const CROWDED: Self = Self { threads: 1, sessions: (9500, 9500), cores: PROXY_CORES };

    /// A thread on each of two cores.
    pub const TWO: Self = Self { threads: 2, sessions: (4000, 3000), cores: "0,1" };

    /// Whether sessions take nearly all descriptors.
    pub fn is_crowded(self) -> bool {
        self.sessions == Self::CROWDED.sessions
    }
}

/// Where programs and their files are.
pub struct Programs {
    pub evenkeel: PathBuf,
    pub before: Option<PathBuf>,
    pub forky: PathBuf,
    pub scratch: PathBuf,
}

impl Programs {
    /// What a program says its version is, in a line.
    pub fn version(&self, kind: Kind) -> Result<String> {
        let text = match kind {
            Kind::Evenkeel | Kind::Before => machine::said(self.evenkeel(kind)?, &["--version"])?,
            Kind::Haproxy32 | Kind::Haproxy32Splice | Kind::Haproxy32Buffer => {
                machine::said("chroot", &[path_text(&self.forky)?, haproxy::PROGRAM, "-v"])?
            }
            Kind::Haproxy26 => machine::said(haproxy::PROGRAM, &["-v"])?,
            Kind::Nginx | Kind::NginxBuffer => machine::said(nginx::PROGRAM, &["-v"])?,
        };
        Ok(text.lines().next().context("it says nothing")?.to_owned())
    }

    /// The path of one of the two evenkeels.
    fn evenkeel(&self, kind: Kind) -> Result<&str> {
        let before = self.before.as_deref().filter(|_| kind == Kind::Before);
        path_text(before.unwrap_or(&self.evenkeel))
    }
}

/// What a start comes to: the command, the configuration in force, and where its records come out.
struct Plan {
    command: Command,
    configuration: String,
    records: Records,
}

/// A proxy that runs.
pub struct Proxy {
    pub kind: Kind,
    /// The configuration in force.
    pub configuration: String,
    process: Child,
    records: Records,
    pids: Vec<u32>,
}

impl Proxy {
    /// Starts it, and waits until it takes connections on all frontends.
    pub fn start(kind: Kind, setting: Setting, programs: &Programs) -> Result<Self> {
        let plan = match kind {
            Kind::Evenkeel | Kind::Before => evenkeel::plan(kind, setting, programs),
            Kind::Haproxy32 | Kind::Haproxy32Splice | Kind::Haproxy32Buffer | Kind::Haproxy26 => {
                haproxy::plan(kind, setting, programs)
            }
            Kind::Nginx | Kind::NginxBuffer => nginx::plan(kind, setting, programs),
        };
        let Plan { command, configuration, mut records } = plan.with_context(|| kind.name())?;
        let mut process = pinned(command, setting.cores).spawn().with_context(|| kind.name())?;
        records.follow(&mut process);
        let mut proxy = Self { kind, configuration, process, records, pids: Vec::new() };
        proxy.wait().with_context(|| format!("{} does not start", kind.name()))?;
        proxy.pids = machine::family(proxy.process.id());
        Ok(proxy)
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        for number in 0..wire::PORTS.len() {
            while std::net::TcpStream::connect(self.kind.frontend(number)).is_err() {
                ensure!(self.process.try_wait()?.is_none(), "it has ended");
                ensure!(begun.elapsed() < Duration::from_secs(10), "it takes no connections");
                machine::pause(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Its processes.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Time on a core since its start.
    pub fn core_time(&self) -> Result<CoreTime> {
        CoreTime::of(&self.pids).with_context(|| self.kind.name())
    }

    /// Time on a core of evenkeel's workers, since its start.
    pub fn worker_time(&self) -> Result<CoreTime> {
        CoreTime::of_threads(self.process.id(), |_, name| is_worker(name))
    }

    /// The numbers of evenkeel's workers' threads.
    pub fn workers(&self) -> Result<Vec<u32>> {
        machine::threads_named(self.process.id(), is_worker)
    }

    /// Time on a core of the thread that checks, counts and shows, since its start.
    pub fn main_thread_time(&self) -> Result<CoreTime> {
        let process = self.process.id();
        CoreTime::of_threads(process, |thread, _| thread == process)
    }

    /// Has every thread of evenkeel's but its workers run where load and servers do.
    pub fn leave_the_core_to_workers(&self) -> Result<()> {
        machine::pin_threads(self.process.id(), LOAD_CORES, |name| !is_worker(name))
    }

    pub fn holding(&self) -> Result<Holding> {
        Holding::of(&self.pids).with_context(|| self.kind.name())
    }

    /// Records of sessions that were read so far.
    pub fn records(&self) -> u64 {
        self.records.count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        machine::end(&mut self.process);
    }
}

/// As evenkeel names its workers' threads.
fn is_worker(name: &str) -> bool {
    name.starts_with("worker-")
}

/// The command on these cores; it keeps its process id, and ends when the bench does, however that happens.
fn pinned(command: Command, cores: &str) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", cores, "setpriv", "--pdeathsig", "TERM"]).arg(command.get_program()).args(command.get_args());
    pinned.stdin(Stdio::null()).stdout(Stdio::piped());
    pinned
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not text", path.display()))
}
