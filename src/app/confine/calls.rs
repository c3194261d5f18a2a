//! Calls: what the kernel still does for the process (seccomp(2)).
//!
//! Two filters, because there are two kinds of refusal. A call that serving has no use for and an intruder has is on the
//! list of those refused: it answers EPERM, and the kernel's log has a line, as it has no place in this program. A call on
//! neither list is answered as by a kernel that is too old for it (ENOSYS), without a line: a C library that comes to use
//! it goes on as it did before, which it would not after EPERM. No call ends the process.
//!
//! Arguments are looked at in the second filter alone, so that the first one says yes to a call whatever it is about,
//! which the kernel finds out once and remembers (since 5.11): a read or a write runs no filter.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::io;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::net::sys::{self, Refusals};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("no list of calls is made for this processor")]
    Processor,
    #[error("the filter can't be made: {0}")]
    Filter(#[from] BackendError),
    #[error("{0}")]
    Kernel(#[from] io::Error),
}

/// Both filters. They are made before the first of them holds, which might not like how the second one is made.
#[derive(Debug)]
pub struct Filters {
    allow: BpfProgram,
    refuse: BpfProgram,
}

impl Filters {
    pub fn new() -> Result<Self, CallError> {
        let processor = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| CallError::Processor)?;
        Ok(Self { allow: allow(processor)?, refuse: refuse(processor)? })
    }

    /// Refuses from now on whatever is not needed.
    pub fn enforce(&self) -> Result<(), CallError> {
        sys::filter_calls(&instructions(&self.allow), Refusals::Quiet)?;
        // Of two filters that refuse, the later one's answer counts.
        sys::filter_calls(&instructions(&self.refuse), Refusals::Logged)?;
        Ok(())
    }
}

impl Hash for Filters {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for program in [&self.allow, &self.refuse] {
            program.iter().for_each(|of| (of.code, of.jt, of.jf, of.k).hash(state));
        }
    }
}

fn instructions(program: &BpfProgram) -> Vec<libc::sock_filter> {
    program.iter().map(|of| libc::sock_filter { code: of.code, jt: of.jt, jf: of.jf, k: of.k }).collect()
}

/// All but the calls that are used answers ENOSYS.
fn allow(processor: TargetArch) -> Result<BpfProgram, BackendError> {
    let rules = ALLOWED.iter().chain(OLD_ALLOWED).map(|call| (*call, Vec::new())).collect();
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, unknown, SeccompAction::Allow, processor)?.try_into()
}

/// Calls of an intruder answer EPERM.
fn refuse(processor: TargetArch) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
        REFUSED.iter().chain(OLD_REFUSED).map(|call| (*call, Vec::new())).collect();
    rules.extend(refused_arguments()?);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refused, processor)?.try_into()
}

/// What calls that are used are refused with.
fn refused_arguments() -> Result<Vec<(c_long, Vec<SeccompRule>)>, BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let argument = |place, operator, value: c_long| {
        // All of these are `int` or `unsigned int` to the kernel, which doesn't look at the upper half.
        SeccompCondition::new(place, SeccompCmpArgLen::Dword, operator, value.unsigned_abs())
    };
    let rule = |conditions| SeccompRule::new(conditions);
    let any_bit = |place, bits: &[c_long]| {
        bits.iter()
            .map(|bit| rule(vec![argument(place, MaskedEq(bit.unsigned_abs()), *bit)?]))
            .collect::<Result<_, _>>()
    };
    let new_families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].map(c_long::from);
    let other_family = new_families.iter().map(|family| argument(0, Ne, *family)).collect::<Result<_, _>>()?;
    let mut refused = vec![
        // Name spaces of its own, where a process has rights again.
        (libc::SYS_clone, any_bit(0, &NEW_NAMESPACES.map(c_long::from))?),
        // Packets as they are on the wire, and the kernel's rarely used protocols.
        (libc::SYS_socket, vec![rule(other_family)?]),
        // Typing on a terminal.
        (libc::SYS_ioctl, vec![rule(vec![argument(1, Eq, libc::TIOCSTI as c_long)?])?]),
        // Another process's limits.
        (libc::SYS_prlimit64, vec![rule(vec![argument(0, Ne, 0)?])?]),
        // Programs that run with their owner's rights.
        (libc::SYS_fchmod, any_bit(1, &SET_ID)?),
        (libc::SYS_fchmodat, any_bit(2, &SET_ID)?),
    ];
    for (call, place) in OLD_CHMOD {
        refused.push((*call, any_bit(*place, &SET_ID)?));
    }
    Ok(refused)
}

/// clone(2)'s, those of unshare(2) among them.
const NEW_NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Permission bits that hand rights on.
const SET_ID: [c_long; 2] = [libc::S_ISUID as c_long, libc::S_ISGID as c_long];

/// What serving takes, and an upgrade, which runs our own program; and what their libraries may come to take.
#[rustfmt::skip]
const ALLOWED: &[c_long] = &[
    // Bytes.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2, libc::SYS_pwritev2, libc::SYS_splice, libc::SYS_tee,
    libc::SYS_vmsplice, libc::SYS_sendfile, libc::SYS_copy_file_range, libc::SYS_pipe2,
    // Sockets.
    libc::SYS_socket, libc::SYS_socketpair, libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4,
    libc::SYS_connect, libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_getsockopt, libc::SYS_setsockopt,
    libc::SYS_shutdown, libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_recvmsg,
    libc::SYS_sendmmsg, libc::SYS_recvmmsg,
    // Waiting.
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_ppoll,
    libc::SYS_pselect6, libc::SYS_eventfd2, libc::SYS_signalfd4, libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime, libc::SYS_nanosleep, libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall, libc::SYS_futex, libc::SYS_futex_waitv, libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch,
    // Descriptors and files; which files, others decide.
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_close, libc::SYS_close_range, libc::SYS_dup, libc::SYS_dup3,
    libc::SYS_fcntl, libc::SYS_ioctl, libc::SYS_flock, libc::SYS_lseek, libc::SYS_fstat, libc::SYS_newfstatat,
    libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_readlinkat, libc::SYS_faccessat,
    libc::SYS_faccessat2, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir,
    libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_renameat2, libc::SYS_linkat, libc::SYS_symlinkat,
    libc::SYS_ftruncate, libc::SYS_truncate, libc::SYS_fallocate, libc::SYS_fsync, libc::SYS_fdatasync,
    libc::SYS_fadvise64, libc::SYS_umask, libc::SYS_fchmod, libc::SYS_fchmodat, libc::SYS_fchown,
    libc::SYS_fchownat, libc::SYS_utimensat, libc::SYS_memfd_create,
    // Memory.
    libc::SYS_brk, libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_madvise,
    libc::SYS_msync, libc::SYS_mincore, libc::SYS_membarrier, libc::SYS_pkey_mprotect, libc::SYS_pkey_alloc,
    libc::SYS_pkey_free, libc::SYS_mseal,
    // Threads and processes; which programs, others decide.
    libc::SYS_clone, libc::SYS_execve, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid,
    libc::SYS_set_tid_address, libc::SYS_set_robust_list, libc::SYS_get_robust_list, libc::SYS_rseq,
    libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_sched_getparam, libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min, libc::SYS_getcpu, libc::SYS_prctl,
    libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal,
    // Signals.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigsuspend, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sigaltstack, libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill,
    // Who, when, how much.
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
    libc::SYS_getegid, libc::SYS_getresuid, libc::SYS_getresgid, libc::SYS_getgroups, libc::SYS_getpgid,
    libc::SYS_setpgid, libc::SYS_getsid, libc::SYS_setsid, libc::SYS_capget, libc::SYS_capset, libc::SYS_prlimit64,
    libc::SYS_getpriority, libc::SYS_getrusage, libc::SYS_times, libc::SYS_sysinfo, libc::SYS_uname,
    libc::SYS_getrandom, libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_gettimeofday,
    // More of the same as this: it only ever takes away.
    libc::SYS_seccomp, libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
];

/// Calls that x86-64 has beside those that replaced them, and that its C libraries use still.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD_ALLOWED: &[c_long] = &[
    libc::SYS_open, libc::SYS_creat, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink,
    libc::SYS_poll, libc::SYS_select, libc::SYS_pipe, libc::SYS_dup2, libc::SYS_epoll_create, libc::SYS_epoll_wait,
    libc::SYS_eventfd, libc::SYS_signalfd, libc::SYS_inotify_init, libc::SYS_fork, libc::SYS_vfork,
    libc::SYS_getdents, libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_rename, libc::SYS_renameat, libc::SYS_unlink,
    libc::SYS_link, libc::SYS_symlink, libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown, libc::SYS_pause,
    libc::SYS_getpgrp, libc::SYS_time, libc::SYS_getrlimit, libc::SYS_setrlimit, libc::SYS_arch_prctl,
];
/// renameat(2), for which musl has a use on arm64 and the crate no name.
#[cfg(not(target_arch = "x86_64"))]
const OLD_ALLOWED: &[c_long] = &[38];

/// What an intruder has a use for.
#[rustfmt::skip]
const REFUSED: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd, libc::SYS_kcmp, libc::SYS_migrate_pages, libc::SYS_move_pages,
    // Becoming somebody.
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid, libc::SYS_setresuid,
    libc::SYS_setresgid, libc::SYS_setfsuid, libc::SYS_setfsgid, libc::SYS_setgroups,
    // Another world around it.
    libc::SYS_unshare, libc::SYS_setns, libc::SYS_chroot, libc::SYS_pivot_root, libc::SYS_mount, libc::SYS_umount2,
    libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount,
    libc::SYS_fspick, libc::SYS_mount_setattr, libc::SYS_personality,
    // The kernel's code.
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load, libc::SYS_bpf,
    libc::SYS_perf_event_open, libc::SYS_userfaultfd,
    // Ways around these filters, and around the permissions of directories.
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_execveat,
    libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at,
    // Secrets, devices, and who opens what.
    libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key, libc::SYS_mknodat, libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // The machine.
    libc::SYS_reboot, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_settimeofday, libc::SYS_clock_settime,
    libc::SYS_adjtimex, libc::SYS_clock_adjtime, libc::SYS_sethostname, libc::SYS_setdomainname, libc::SYS_acct,
    libc::SYS_quotactl, libc::SYS_syslog, libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD_REFUSED: &[c_long] = &[
    libc::SYS_kexec_file_load, libc::SYS_mknod, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_REFUSED: &[c_long] = &[];

/// Older forms of a change of permissions, with the place of the bits among their arguments.
#[cfg(target_arch = "x86_64")]
const OLD_CHMOD: &[(c_long, u8)] = &[(libc::SYS_chmod, 1), (libc::SYS_creat, 1)];
#[cfg(not(target_arch = "x86_64"))]
const OLD_CHMOD: &[(c_long, u8)] = &[];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_call_is_on_both_lists_or_twice_on_one() {
        let (allowed, refused) = ([ALLOWED, OLD_ALLOWED].concat(), [REFUSED, OLD_REFUSED].concat());
        let all: BTreeSet<c_long> = allowed.iter().chain(&refused).copied().collect();
        assert_eq!(all.len(), allowed.len() + refused.len());
    }

    /// One that the first filter doesn't know would answer ENOSYS, whatever its arguments.
    #[test]
    fn calls_that_are_looked_at_closely_are_allowed_at_all() {
        for (call, _) in refused_arguments().unwrap() {
            assert!(ALLOWED.contains(&call) || OLD_ALLOWED.contains(&call), "{call}");
        }
    }

    #[test]
    fn filters_can_be_made_for_both_processors() {
        for processor in [TargetArch::x86_64, TargetArch::aarch64] {
            assert!(!allow(processor).unwrap().is_empty() && !refuse(processor).unwrap().is_empty());
        }
    }
}
