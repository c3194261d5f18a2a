//! Somebody who reads the records of sessions that a proxy writes, as a journal would: no proxy gets them for free.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result};

/// How many lines were read.
pub struct Records {
    lines: Arc<AtomicU64>,
}

impl Records {
    /// From a socket to which the proxy sends a datagram for each session: the cheapest syslog there is.
    pub fn from_socket(path: &Path) -> Result<Self> {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path).with_context(|| path.display().to_string())?;
        let records = Self { lines: Arc::default() };
        let lines = Arc::clone(&records.lines);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while socket.recv(&mut buffer).is_ok() {
                lines.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(records)
    }

    /// From standard output.
    pub fn from_output() -> Self {
        Self { lines: Arc::default() }
    }

    /// Reads standard output from now on, whoever writes there.
    pub fn follow(&mut self, process: &mut Child) {
        let Some(mut output) = process.stdout.take() else { return };
        let lines = Arc::clone(&self.lines);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                let ends = buffer[..read].iter().filter(|byte| **byte == b'\n').count();
                lines.fetch_add(ends as u64, Ordering::Relaxed);
            }
        });
    }

    pub fn count(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }
}
