//! What has no safe form anywhere else. The only `unsafe` of the crate.

#![expect(
    unsafe_code,
    reason = "inherited descriptors, tokio's registration of a listener and TCP_INFO have no safe form"
)]

use std::env;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that the service manager opened for us, with the name that it has there (empty without one). It keeps
/// the number that it came with for as long as it is owned.
#[derive(Debug)]
pub struct Inherited {
    pub name: String,
    pub descriptor: OwnedFd,
}

/// The first number that `sd_listen_fds(3)` hands over.
const FIRST: RawFd = crate::model::Descriptor::FIRST as RawFd;

/// The descriptors handed over by the service manager (`LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`).
///
/// They are given out once: later calls have none.
pub fn inherited_descriptors() -> Vec<Inherited> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) || number("LISTEN_PID") != Some(std::process::id()) {
        return Vec::new();
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let count = RawFd::try_from(number("LISTEN_FDS").unwrap_or(0)).unwrap_or(0);
    (FIRST..FIRST.saturating_add(count))
        .map_while(|descriptor| {
            // SAFETY: the service manager opened these numbers for this process (LISTEN_PID names it), nothing in the
            // process has touched them, and TAKEN makes this the only place that ever owns them.
            let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
            // A manager that announces more than it opened ends the list here; the number is given up unclosed.
            let Ok(flags) = fcntl_getfd(&descriptor) else {
                std::mem::forget(descriptor);
                return None;
            };
            let _ = fcntl_setfd(descriptor.as_fd(), flags | FdFlags::CLOEXEC);
            Some(Inherited { name: names.next().unwrap_or_default().to_owned(), descriptor })
        })
        .collect()
}

fn number(variable: &str) -> Option<u32> {
    env::var(variable).ok()?.parse().ok()
}

/// What the kernel knows of a TCP connection (tcp(7), TCP_INFO).
pub fn tcp_info(socket: &impl AsFd) -> io::Result<libc::tcp_info> {
    // SAFETY: the structure is made of integers alone, for which all bits 0 are a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as it is borrowed; the kernel writes at most `length` bytes, which is the
    // structure's size, and a shorter structure of an older kernel leaves the rest 0.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            std::ptr::from_mut(&mut info).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}

/// Registers a descriptor with the current runtime, for reading only.
pub fn watch_readable<T: Owner>(owner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: each `Owner` owns its descriptor and always returns that one; it stays open until it is dropped, and the
    // `AsyncFd` that holds it drops its registration first.
    unsafe { AsyncFd::register_with_interest(owner, Interest::READABLE) }.map_err(|error| error.into_parts().1)
}

/// Types known to own one descriptor for as long as they live.
pub trait Owner: AsRawFd {}

impl Owner for Socket {}
impl Owner for OwnedFd {}
