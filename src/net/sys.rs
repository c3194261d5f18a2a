//! What has no safe form anywhere else. The only `unsafe` of the crate.

#![expect(
    unsafe_code,
    reason = "inherited descriptors, tokio's registration of a listener, TCP_INFO, IP_BIND_ADDRESS_NO_PORT, adjtimex, seccomp, fork and the end by a signal have no safe form"
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

/// Has a later bind to an address leave the port to connect(2) (ip(7), IP_BIND_ADDRESS_NO_PORT).
pub fn bind_without_port(socket: &impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for as long as it is borrowed; the kernel reads the integer, whose size is stated.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            std::ptr::from_ref(&on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether something keeps the kernel's clock right (adjtimex(2), STA_UNSYNC). Needs no rights.
pub fn clock_is_synchronised() -> io::Result<bool> {
    // SAFETY: the structure is made of integers alone, for which all bits 0 are a value; `modes` 0 only reads.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to a structure of ours, which outlives the call.
    let state = unsafe { libc::adjtimex(&raw mut clock) };
    if state == -1 { Err(io::Error::last_os_error()) } else { Ok(clock.status & libc::STA_UNSYNC == 0) }
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

/// What becomes of a call that a filter refuses, beside its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    Quiet,
    /// A line in the kernel's log.
    Logged,
}

/// Has the kernel ask a filter about each call of this thread, and of those that it starts (seccomp(2)).
pub fn filter_calls(program: &[libc::sock_filter], refusals: Refusals) -> io::Result<()> {
    // Nothing here runs code of strangers, which alone would be a reason to slow speculation down.
    let flags = match refusals {
        Refusals::Quiet => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        Refusals::Logged => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW | libc::SECCOMP_FILTER_FLAG_LOG,
    };
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // The kernel copies the program and writes nothing.
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the structure and the `len` instructions that it points to live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a second process of this one, which begins here, too (fork(2)): its number, and `None` in itself.
///
/// It is refused where there is more than one thread: of those only the calling one would go on in the new process, with
/// whatever locks the others hold.
pub fn fork() -> io::Result<Option<u32>> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("there are threads already"));
    }
    // SAFETY: this thread is the only one, as was just seen, and so the new process lacks nothing that this one has.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid.unsigned_abs())),
    }
}

/// Ends the process by a signal, as if nobody had caught it: who waits for the process sees by which.
pub fn end_by(signal: i32) -> ! {
    // SAFETY: both calls take numbers alone; that this signal's own action comes back takes nothing from anyone, because
    // the process ends with it.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
    // The first process of a container is not ended by a signal: then with what a shell would show.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing is left to be written or given back: the process is to end by a signal"
    )]
    std::process::exit(128 + signal)
}

/// Calls that no program of good intent makes and that have no safe form, with arguments that do no harm if the kernel
/// answers. `other` is another process.
#[cfg(debug_assertions)]
pub fn hostile_calls(other: i32) -> [(&'static str, io::Result<()>); 11] {
    const PTRACE_CONT: i64 = 7;
    const SESSION_KEYRING: i64 = -3;
    let new_host_name = i64::from(libc::CLONE_NEWUTS);
    let other = i64::from(other);
    [
        ("ptrace", libc::SYS_ptrace, [PTRACE_CONT, other, 0, 0, 0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [other, 0, 0, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [0, 0, 0, 0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0, -1, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [0, SESSION_KEYRING, 0, 0, 0, 0]),
        ("setuid", libc::SYS_setuid, [0, 0, 0, 0, 0, 0]),
        ("unshare", libc::SYS_unshare, [new_host_name, 0, 0, 0, 0, 0]),
        ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0, 0]),
        ("mount", libc::SYS_mount, [0, 0, 0, 0, 0, 0]),
        ("chroot", libc::SYS_chroot, [0, 0, 0, 0, 0, 0]),
        ("load a module", libc::SYS_init_module, [0, 0, 0, 0, 0, 0]),
    ]
    .map(|(name, call, [a, b, c, d, e, f])| {
        // SAFETY: none of them is given memory of this process: all that stands for an address is 0.
        let result = unsafe { libc::syscall(call, a, b, c, d, e, f) };
        (name, if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) })
    })
}
