//! Rights that are given up for good: root, groups, capabilities, and getting any of it back by running a program.
//!
//! It changes the thread that calls it and whatever that thread starts, so it comes before the first other thread.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Gid, Uid, chdir, chroot, getegid, geteuid, getgid, getgroups, getuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::identity::Identity;

/// What is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privileges {
    pub user: Uid,
    pub group: Gid,
    pub capabilities: CapabilitySet,
    /// Those that should have been given up, which someone doesn't let us.
    pub unwanted: CapabilitySet,
    pub no_new_privs: bool,
}

/// Why rights could not be given up. Nothing is served then.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    #[error(
        "can't become user {user} and group {group}: only root can; start evenkeel as root, or leave process.user and \
         process.group out where whoever starts it has chosen them already (systemd's User=)"
    )]
    NotRoot { user: u32, group: u32 },
    #[error("can't make {path} the root (process.chroot): {source}; it takes a start as root")]
    Chroot { path: PathBuf, source: io::Error },
    #[error(
        "the service manager waits to be told at {socket}, which is not in {path} (process.chroot): use RootDirectory= of \
         the unit instead"
    )]
    NoManager { path: PathBuf, socket: String },
    #[error("can't {what}: {source}")]
    Failed { what: &'static str, source: io::Error },
    #[error("giving up rights failed without an error: {0}")]
    Kept(&'static str),
}

/// Gives up everything but, where `low_ports`, the right to bind ports below 1024, if there is such a right to keep.
pub fn drop_all(identity: Identity, new_root: Option<&Path>, low_ports: bool) -> Result<Privileges, PrivilegeError> {
    let held = capabilities(None).map_err(failed("read the capabilities"))?;
    let kept = if low_ports { held.permitted & CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
    if let Some(path) = new_root {
        if let Some(socket) = unreachable_manager(path) {
            return Err(PrivilegeError::NoManager { path: path.to_owned(), socket });
        }
        enter(path).map_err(|source| PrivilegeError::Chroot { path: path.to_owned(), source })?;
    }
    bound(kept);
    let become_other = become_one(identity)?;
    keep_only(kept, become_other)?;
    if become_other {
        verify(identity, kept)?;
    }
    let no_new_privs = set_no_new_privs(true).is_ok();
    let capabilities = capabilities(None).map_err(failed("read the capabilities"))?.permitted;
    // Whoever hands this one out alone has thought about it, and it is told as one that is left.
    let unwanted = capabilities - kept - CapabilitySet::NET_BIND_SERVICE;
    Ok(Privileges { user: getuid(), group: getgid(), capabilities, unwanted, no_new_privs })
}

fn failed(what: &'static str) -> impl Fn(rustix::io::Errno) -> PrivilegeError {
    move |errno| PrivilegeError::Failed { what, source: errno.into() }
}

/// Where the service manager listens (sd_notify(3)), if that is outside of this directory.
fn unreachable_manager(new_root: &Path) -> Option<String> {
    let socket = std::env::var("NOTIFY_SOCKET").ok()?;
    let inside = new_root.join(socket.strip_prefix('/')?);
    (!inside.exists()).then_some(socket)
}

fn enter(path: &Path) -> io::Result<()> {
    chroot(path)?;
    // A working directory outside would be the way out.
    chdir("/")?;
    Ok(())
}

/// Bounds what a program that is run may have, where it can be done (CAP_SETPCAP). Where it can't, no_new_privs does as
/// well.
fn bound(kept: CapabilitySet) {
    let excess = (0..64).map(|bit| CapabilitySet::from_bits_retain(1 << bit)).filter(|one| !kept.contains(*one));
    for capability in excess {
        // The kernel answers with an error for numbers that it doesn't know.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
}

/// Groups first, then the group, then the user: each step needs what the next one takes away. Whether anything was to
/// be changed.
fn become_one(identity: Identity) -> Result<bool, PrivilegeError> {
    let (user, group) = (identity.user.unwrap_or_else(getuid), identity.group.unwrap_or_else(getgid));
    let is_already = (user, group) == (getuid(), getgid()) && (user, group) == (geteuid(), getegid());
    if is_already && !user.is_root() || identity == (Identity { user: None, group: None }) {
        return Ok(false);
    }
    if !geteuid().is_root() {
        return Err(PrivilegeError::NotRoot { user: user.as_raw(), group: group.as_raw() });
    }
    // A change of user takes all capabilities away but those that are asked to be kept.
    set_keep_capabilities(true).map_err(failed("keep capabilities over the change of user"))?;
    set_thread_groups(&[group]).map_err(failed("give up the other groups"))?;
    set_thread_res_gid(group, group, group).map_err(failed("change the group"))?;
    set_thread_res_uid(user, user, user).map_err(failed("change the user"))?;
    set_keep_capabilities(false).map_err(failed("end the keeping of capabilities"))?;
    Ok(true)
}

/// Leaves these capabilities, and hands them on to an upgraded evenkeel.
fn keep_only(kept: CapabilitySet, must: bool) -> Result<(), PrivilegeError> {
    let wanted = CapabilitySets { effective: kept, permitted: kept, inheritable: kept };
    // A service manager's or a container's filter may refuse it: no reason not to serve, where nobody asked for more.
    if let Err(errno) = set_capabilities(None, wanted)
        && must
    {
        return Err(failed("give up capabilities")(errno));
    }
    if !kept.is_empty() {
        // Without it an upgrade has to do with the ports that are handed over.
        let _ = configure_capability_in_ambient_set(kept, true);
    }
    Ok(())
}

/// What was asked for is what is.
fn verify(identity: Identity, kept: CapabilitySet) -> Result<(), PrivilegeError> {
    let is_user = |user| getuid() == user && geteuid() == user;
    let is_group = |group| getgid() == group && getegid() == group;
    if !identity.user.is_none_or(is_user) {
        return Err(PrivilegeError::Kept("the user has not changed"));
    }
    if !identity.group.is_none_or(is_group) {
        return Err(PrivilegeError::Kept("the group has not changed"));
    }
    let groups = getgroups().map_err(failed("read the groups"))?;
    if groups.iter().any(|group| *group != getgid()) {
        return Err(PrivilegeError::Kept("there are other groups still"));
    }
    let held = capabilities(None).map_err(failed("read the capabilities"))?;
    if held.permitted != kept || held.effective != kept {
        return Err(PrivilegeError::Kept("there are other capabilities still"));
    }
    Ok(())
}
