//! Serving in HAProxy's shape: who is told, in which order, and how the process ends.
//!
//! Everything is bound before the old process is told to go, and by sockets that it may have handed over, so that no client
//! is refused in between.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

use super::FAILED;
use super::options::{Old, Options};
use super::voice::Voice;
use crate::app::background::{self, Background, Side};
use crate::app::listeners::ListenerSource;
use crate::app::shape::{Caught, Shape, Stop};
use crate::app::upgrade::Origin;
use crate::app::upgrade::predecessor::Predecessor;
use crate::app::{Bound, File, StartError};
use crate::config::{self, Input, Launch, Loaded};
use crate::net::{sys, transfer};

/// How the process starts: what the command line says, and what the file does where it may.
#[derive(Debug)]
struct Way<'a> {
    shape: Shape,
    daemon: bool,
    pidfile: Option<PathBuf>,
    old: Option<&'a Old>,
    sockets_from: Option<&'a Path>,
    shares_ports: bool,
}

impl<'a> Way<'a> {
    fn of(options: &'a Options, launch: Launch) -> Self {
        let is_master = options.master.is_some() || launch.master;
        let shape = if is_master { Shape::HaproxyMaster } else { Shape::Haproxy };
        let is_watched = options.master.is_some_and(|master| master.notifies);
        let daemon = (options.daemon || launch.daemon) && !options.foreground && !is_watched;
        // HAProxy writes none for a process that whoever started it sees anyway.
        let pidfile = options.pidfile.clone().or(launch.pidfile).filter(|_| daemon || is_master);
        Self {
            shape,
            daemon,
            pidfile,
            old: options.old.as_ref(),
            sockets_from: options.sockets_from.as_deref(),
            shares_ports: shape.shares_ports() && !options.keeps_ports,
        }
    }
}

/// Binds, takes over, serves, and ends as HAProxy would.
pub fn serve(loaded: Loaded, input: Input, options: &Options, voice: &Voice) -> ExitCode {
    let way = Way::of(options, config::launch(&input));
    if options.memory.is_some() {
        voice.notice("-m : memory is not limited by itself: the number of sessions limits it (maxconn, -n).");
    }
    match begin(loaded, input, &way, voice) {
        Ok(Begun::Serving(bound)) => run(*bound, way.shape, voice),
        Ok(Begun::InBackground) => ExitCode::SUCCESS,
        Err(NotBegun::Told(code)) => code.into(),
        Err(NotBegun::Because(why)) => {
            voice.alert(&why);
            FAILED.into()
        }
    }
}

enum Begun {
    Serving(Box<Bound>),
    /// Another process serves.
    InBackground,
}

enum NotBegun {
    /// And with which code to end.
    Told(u8),
    Because(String),
}

impl NotBegun {
    fn because(error: impl ToString) -> Self {
        Self::Because(error.to_string())
    }
}

fn begin(loaded: Loaded, input: Input, way: &Way<'_>, voice: &Voice) -> Result<Begun, NotBegun> {
    let mut source = ListenerSource::inherited().sharing(way.shares_ports);
    let origin = Origin::of_this_process().map_err(NotBegun::because)?;
    let predecessor = Predecessor::meet(&mut source).map_err(NotBegun::because)?;
    // What an upgrade starts goes on where the old process is, and takes over from that one alone.
    let is_first = predecessor.is_none();
    let background = match way.daemon && is_first {
        true => match background::begin().map_err(NotBegun::because)? {
            Side::Starter => return Ok(Begun::InBackground),
            Side::Failed { pid, code } => {
                voice.alert(&format!("Process {pid} exited with code {code} (Exit)"));
                return Err(NotBegun::Told(code));
            }
            Side::Background(background) => Some(background),
        },
        false => None,
    };
    if let Some(path) = way.sockets_from.filter(|_| is_first) {
        source.give_transferred(taken(path, voice)?);
    }
    let bound = bind(loaded, source, predecessor, voice)?;
    if let Some(pidfile) = &way.pidfile {
        write_pid(pidfile)?;
    }
    if let Some(old) = way.old.filter(|_| is_first) {
        tell_old(old);
    }
    finish(bound, input, way, background, origin).map(|bound| Begun::Serving(Box::new(bound)))
}

/// The sockets of the process that is there now (`-x`).
fn taken(path: &Path, voice: &Voice) -> Result<Vec<std::os::fd::OwnedFd>, NotBegun> {
    if path == OsStr::new("/dev/null") {
        return Ok(Vec::new());
    }
    transfer::take(path).map_err(|error| {
        voice.warning(&format!("Failed to get the sockets of the process at '{}': {error}", path.display()));
        NotBegun::Because("Failed to get the sockets from the old process!".to_owned())
    })
}

struct Ready {
    bound: Bound,
    settings: config::Settings,
}

fn bind(
    loaded: Loaded,
    source: ListenerSource,
    predecessor: Option<Predecessor>,
    voice: &Voice,
) -> Result<Ready, NotBegun> {
    let Loaded { config, settings, .. } = loaded;
    let bound = Bound::new(config, source).map_err(|error| not_started(&error, voice))?;
    Ok(Ready { bound: bound.replacing(predecessor), settings })
}

fn not_started(error: &StartError, voice: &Voice) -> NotBegun {
    match error {
        StartError::Bind(_) => {
            voice.alert(&error.to_string());
            NotBegun::Because("[haproxy.main()] Some protocols failed to start their listeners! Exiting.".to_owned())
        }
        other => NotBegun::because(other),
    }
}

/// As HAProxy, it is there until somebody takes it away.
fn write_pid(pidfile: &Path) -> Result<(), NotBegun> {
    let written = std::fs::write(pidfile, format!("{}\n", std::process::id()));
    written.map_err(|_| NotBegun::Because(format!("[haproxy.main()] Cannot create pidfile {}", pidfile.display())))
}

/// Has the old processes finish or end: this one listens, and whoever comes waits in its queue. In the sandbox it could
/// not be said any more.
fn tell_old(old: &Old) {
    let signal = if old.finish { Signal::USR1 } else { Signal::TERM };
    for pid in &old.pids {
        if let Some(pid) = i32::try_from(*pid).ok().and_then(Pid::from_raw) {
            // One that has ended already is what is wanted.
            let _ = kill_process(pid, signal);
        }
    }
}

fn finish(
    ready: Ready,
    input: Input,
    way: &Way<'_>,
    background: Option<Background>,
    origin: Origin,
) -> Result<Bound, NotBegun> {
    let Ready { bound, settings } = ready;
    let bound = bound.shaped(way.shape).confine(input.path()).map_err(NotBegun::because)?;
    Ok(bound.in_background(background).reloading(File { input, settings }).replaceable(origin))
}

fn run(bound: Bound, shape: Shape, voice: &Voice) -> ExitCode {
    if shape == Shape::HaproxyMaster {
        voice.notice("Loading success.");
    }
    match bound.run() {
        Ok(stop) => end(stop, shape),
        Err(error) => {
            voice.alert(&error.to_string());
            FAILED.into()
        }
    }
}

/// As whoever waits for the process expects it: a worker ends by its signal, a master says so by its code, and to SIGTERM
/// it says nothing.
fn end(stop: Stop, shape: Shape) -> ExitCode {
    match (stop, shape) {
        (Stop::AtOnce(caught), Shape::Haproxy) => sys::end_by(caught.number()),
        (Stop::AtOnce(Caught::Int), Shape::HaproxyMaster) => ExitCode::from(130),
        _ => ExitCode::SUCCESS,
    }
}

/// How the process that an upgrade has started, to start the one that serves, has ended.
pub fn code_of(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED).into()
}
