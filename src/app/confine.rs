//! What the process gives up before its first thread: rights, files, programs, calls.
//!
//! [`confine`] does it, in the order in which each step still can: the root of the file system, groups, group and user,
//! capabilities, then what the kernel refuses from then on (the sandbox). What it could not do is told, and no reason not
//! to serve; a user that was asked for and can't be had is. [`Applied`] is what came of it, against which a reload is held.
//! docs/security.md has the rules for people.

mod applied;
#[cfg(debug_assertions)]
pub mod attempts;
mod calls;
mod files;
mod identity;
mod layers;
mod privileges;

use std::fs::{self, File};
use std::path::Path;

pub use self::applied::{Applied, LowPorts, Part};
use self::calls::Filters;
pub use self::files::Allowed;
pub use self::identity::{Identity, IdentityError};
pub use self::layers::Layers;
pub use self::privileges::{PrivilegeError, Privileges};
use crate::model::Config;

/// Gives up all that serving this configuration, which was read from `file`, has no use for.
///
/// It holds for the calling thread and those that it starts. `before` is what holds because this process was started by
/// another one of ours.
pub fn confine(config: &Config, file: &Path, identity: Identity, before: Layers) -> Result<Applied, PrivilegeError> {
    let low_ports = LowPorts::of(config, unprivileged_from());
    let keep_bind = config.process.keep_bind || !low_ports.bound.is_empty();
    let privileges = privileges::drop_all(identity, config.process.chroot.as_deref(), keep_bind)?;
    // Looked at by the one who will open them.
    let allowed = Allowed::needed_by(config, file);
    let (files, calls, layers) = match config.security.sandbox {
        true => sandbox(allowed, before),
        false => (Part::Off, Part::Off, Layers::default()),
    };
    Ok(Applied {
        privileges,
        files,
        calls,
        layers,
        low_ports,
        sockets: files::sockets(config),
        process: config.process.clone(),
        security: config.security,
        lost: lost(config, file),
    })
}

/// Applies what does not hold already.
fn sandbox(allowed: Allowed, before: Layers) -> (Part<(i32, Allowed)>, Part<()>, Layers) {
    // In this order: the filter of calls would have to let more through for the other.
    let version = before.allow(&allowed).map_or_else(|| files::enforce(&allowed), Ok);
    let files = Part::from(version.map(|version| (version, allowed)));
    let filters = Filters::new().and_then(|filters| match before.hold(&filters) {
        true => Ok(filters),
        false => filters.enforce().map(|()| filters),
    });
    let layers = Layers::of(&files, filters.as_ref().ok());
    (files, Part::from(filters.map(drop).map_err(|error| error.to_string())), layers)
}

/// The port from which on anyone may bind (ip(7), `ip_unprivileged_port_start`).
fn unprivileged_from() -> u16 {
    const UNLESS_SET: u16 = 1024;
    let set = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    set.ok().and_then(|set| set.trim().parse().ok()).unwrap_or(UNLESS_SET)
}

/// Files that were read at the start and can't be read any more, each with why.
fn lost(config: &Config, file: &Path) -> Vec<String> {
    let needed = config.files().into_iter().chain([file]);
    needed.filter_map(|file| File::open(file).err().map(|error| format!("{}: {error}", file.display()))).collect()
}
