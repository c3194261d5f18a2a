//! A terminal for commands that draw: a pseudo-terminal of the kernel's.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Terminal {
    pub child: Child,
    keys: File,
    shown: Arc<(Mutex<String>, Condvar)>,
}

impl Terminal {
    /// Starts a command with its standard output on a terminal of so many columns.
    pub fn start(command: &mut Command, columns: u16) -> Self {
        Self::begin(command, columns, false)
    }

    /// As [`Terminal::start`], with its standard input on it, too, so that it can be typed to.
    pub fn start_for_keys(command: &mut Command, columns: u16) -> Self {
        Self::begin(command, columns, true)
    }

    fn begin(command: &mut Command, columns: u16, for_keys: bool) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        tcsetwinsize(&ours, Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = File::options().read(true).write(true).open(name).unwrap();
        if for_keys {
            command.stdin(theirs.try_clone().unwrap());
        }
        let child = command.stdout(theirs).env("TERM", "xterm").spawn().unwrap();
        let shown = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let mut screen = File::from(ours);
        let keys = screen.try_clone().unwrap();
        let writing = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error once the other side is closed.
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                writing.0.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
                writing.1.notify_all();
            }
        });
        Self { child, keys, shown }
    }

    /// Types these keys.
    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until it shows this; all that it has shown so far.
    pub fn shows(&self, text: &str) -> String {
        let shown = self.shown.0.lock().unwrap();
        let waited = self.shown.1.wait_timeout_while(shown, PATIENCE, |shown| !shown.contains(text)).unwrap();
        assert!(!waited.1.timed_out(), "{text:?} is not in\n{}", waited.0);
        waited.0.clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
