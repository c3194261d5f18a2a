//! The sections that are about the process as a whole.

use super::super::expand::Expanded;
use super::super::leaf::Workers;
use super::super::raw;
use super::{filled, keepalive};
use crate::model::{Admin, Limits, Log, LogTarget, Policy, Process, Security};

/// evenkeel's own, with what the file states for everything.
pub fn policy(expanded: &Expanded) -> Policy {
    Policy {
        client_keepalive: keepalive(&expanded.defaults.client_keepalive),
        server_keepalive: keepalive(&expanded.defaults.server_keepalive),
        half_close: filled(&expanded.timeouts.half_close).on().map(|wait| wait.0),
        on_no_server: filled(&expanded.defaults.on_no_server),
        ..Policy::evenkeel()
    }
}

/// The limits of the process.
pub fn limits(raw: &raw::Limits) -> Limits {
    Limits { max_sessions: filled(&raw.max_sessions).0, on_limit: filled(&raw.on_limit) }
}

/// `None` without a socket.
pub fn admin(raw: &raw::Admin) -> Option<Admin> {
    let socket = filled(&raw.socket);
    let group = raw.group.as_ref().map(|group| group.value.0.clone());
    Some(Admin { socket: socket.on()?.0.clone(), mode: filled(&raw.mode).0, group })
}

/// What is logged.
pub fn log(raw: &raw::Log, targets: Vec<LogTarget>) -> Log {
    Log { targets, open: filled(&raw.open), progress: filled(&raw.progress).on().map(|wait| wait.0) }
}

/// The process as a whole.
pub fn process(raw: &raw::Process) -> Process {
    let workers = match filled(&raw.workers) {
        Workers::Auto => None,
        Workers::Count(count) => Some(count),
    };
    Process {
        workers,
        preempt: filled(&raw.preempt).0,
        shutdown_grace: filled(&raw.shutdown_grace).0,
        upgrade_grace: filled(&raw.upgrade_grace).0,
        user: raw.user.as_ref().map(|user| user.value.clone()),
        group: raw.group.as_ref().map(|group| group.value.clone()),
        chroot: raw.chroot.as_ref().map(|root| root.value.0.clone()),
        keep_bind: filled(&raw.keep_bind),
    }
}

/// What the process gives up before it serves.
pub fn security(raw: &raw::Security) -> Security {
    Security { sandbox: filled(&raw.sandbox), connect: filled(&raw.connect) }
}
