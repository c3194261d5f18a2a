//! The process in the background: whoever started it waits until it serves, and learns by the exit code whether it does.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::process::{Pid, WaitOptions, setsid, waitpid};

use crate::net::sys;

/// One of the two processes that [`begin`] makes of one.
#[derive(Debug)]
pub enum Side {
    /// The one that was started, and that ends now: the other one serves.
    Starter,
    /// The same: the other one has ended with this code.
    Failed { pid: u32, code: u8 },
    /// The one that goes on.
    Background(Background),
}

/// A process in the background that somebody still waits for.
#[derive(Debug)]
pub struct Background {
    starter: File,
    /// Opened before the sandbox is closed.
    null: File,
}

/// Goes on in a process of its own, which belongs to no terminal. To be called before the first thread.
pub fn begin() -> io::Result<Side> {
    let (from_it, to_starter) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    match sys::fork()? {
        Some(pid) => {
            drop(to_starter);
            wait(pid, from_it)
        }
        None => {
            drop(from_it);
            setsid()?;
            Ok(Side::Background(Background { starter: to_starter.into(), null }))
        }
    }
}

/// Waits until the other process says that it serves, or ends.
fn wait(pid: u32, from_it: OwnedFd) -> io::Result<Side> {
    let mut word = [0];
    if File::from(from_it).read(&mut word)? == 1 {
        return Ok(Side::Starter);
    }
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let status = waitpid(Some(number), WaitOptions::empty())?.map(|(_, status)| status);
    let code = status.map_or(Some(1), |status| {
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
    });
    Ok(Side::Failed { pid, code: code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1) })
}

impl Background {
    /// It serves: the starter may go, and nothing of it is held open any more.
    pub fn serves(mut self) -> io::Result<()> {
        rustix::stdio::dup2_stdin(&self.null)?;
        rustix::stdio::dup2_stdout(&self.null)?;
        rustix::stdio::dup2_stderr(&self.null)?;
        self.starter.write_all(&[1])
    }
}
