//! A cable that delays and loses: frames go from one host to another through this process.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::ioctl::{Setter, ioctl};

use crate::harness::namespace::Host;
use crate::harness::wait::pause;

/// What of a frame is lost and how late the rest comes, once the cable is bad.
const LOST: f64 = 0.02;
const LATE: Duration = Duration::from_millis(25);

/// Longer than any frame that an interface of 1,500 bytes sends.
const FRAME: usize = 2048;

/// The cable's other end looks whether it is still wanted.
const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Two interfaces and what carries frames between them, until this is dropped.
pub struct Wire {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    bad: AtomicBool,
    cut: AtomicBool,
    carried: AtomicU64,
    lost: AtomicU64,
}

impl Wire {
    /// Makes an interface on each host; a good cable between them, for now.
    pub fn new(left: (&Host, &str), right: (&Host, &str)) -> Self {
        let state = Arc::new(State::default());
        let [left, right] = [left, right].map(|(host, name)| Arc::new(host.on(|| tap(name))));
        for (from, to) in [(&left, &right), (&right, &left)] {
            let (from, to, state) = (Arc::clone(from), Arc::clone(to), Arc::clone(&state));
            let (sender, receiver) = channel();
            thread::spawn(move || take(&from, &sender, &state));
            thread::spawn(move || give(&to, &receiver));
        }
        Self { state }
    }

    /// From now on, 2 % of all frames are lost, and the others need 25 ms: 50 ms there and back.
    pub fn go_bad(&self) {
        self.state.bad.store(true, Relaxed);
    }

    /// The share of frames that was lost since it went bad.
    pub fn lost(&self) -> f64 {
        let (carried, lost) = (self.state.carried.load(Relaxed), self.state.lost.load(Relaxed));
        lost as f64 / (carried + lost).max(1) as f64
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.cut.store(true, Relaxed);
    }
}

/// Takes frames from an interface and says when each is due at the other.
fn take(from: &File, sender: &Sender<(Instant, Vec<u8>)>, state: &State) {
    while !state.cut.load(Relaxed) {
        let mut watched = [PollFd::new(from, PollFlags::IN)];
        if !poll(&mut watched, Some(&TURN)).is_ok_and(|ready| ready > 0) {
            continue;
        }
        let mut frame = vec![0; FRAME];
        // While the interface is down, reading fails.
        let Ok(length) = (&mut &*from).read(&mut frame) else { continue };
        frame.truncate(length);
        let bad = state.bad.load(Relaxed);
        if bad && fastrand::f64() < LOST {
            state.lost.fetch_add(1, Relaxed);
            continue;
        }
        if bad {
            state.carried.fetch_add(1, Relaxed);
        }
        let due = Instant::now() + if bad { LATE } else { Duration::ZERO };
        if sender.send((due, frame)).is_err() {
            return;
        }
    }
}

fn give(to: &File, receiver: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, frame)) = receiver.recv() {
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            pause(left);
        }
        // As above: a frame for an interface that is down is lost.
        let _ = (&mut &*to).write(&frame);
    }
}

/// `struct ifreq` of `TUNSETIFF`: a name, flags, and room that isn't used.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    unused: [u8; 22],
}

/// `TUNSETIFF`, and its flags `IFF_TAP | IFF_NO_PI`; see `linux/if_tun.h`.
const SET_INTERFACE: rustix::ioctl::Opcode = 0x4004_54ca;
const TAP_WITHOUT_PREFIX: u16 = 0x0002 | 0x1000;

/// An Ethernet interface of the calling thread's host whose cable is this file.
fn tap(name: &str) -> File {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun").unwrap();
    let mut request = Request { name: [0; 16], flags: TAP_WITHOUT_PREFIX, unused: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: `Request` has the layout and size (40 bytes) of the `struct ifreq` that this request reads.
    let set = unsafe { ioctl(file.as_fd(), Setter::<SET_INTERFACE, Request>::new(request)) };
    set.unwrap();
    file
}
