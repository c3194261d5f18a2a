//! Who the process is to become: names to numbers.
//!
//! `/etc/passwd` and `/etc/group` are read here, because a static binary has no other way to look a name up. A name that
//! only a directory service knows is therefore unknown: its number does as well.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Gid, Uid, geteuid};

use crate::model::{Account, Process};

/// The user and the group that the process changes to. `None` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub user: Option<Uid>,
    pub group: Option<Gid>,
}

/// Why it can't be known.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("process.{key}: {file} has no {key} {name:?}; write one of its names, or a number")]
    Unknown { key: &'static str, file: &'static str, name: String },
    #[error(
        "process.{key}: {file} can't be read to look {name:?} up: {source}; a number for user and group needs no file"
    )]
    Unreadable { key: &'static str, file: &'static str, name: String, source: io::Error },
    #[error("process.user: {PASSWD} has no user {id}, so that its group is unknown; state process.group, too")]
    NoGroup { id: u32 },
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

impl Identity {
    /// Who the configuration says it is to be.
    ///
    /// One who is not root can become nobody else, and where names can't be looked up either, as after an upgrade under the
    /// sandbox, whoever it is will be right.
    pub fn of(spec: &Process) -> Result<Self, IdentityError> {
        match Self::look_up(spec) {
            Err(IdentityError::Unreadable { .. }) if !geteuid().is_root() => Ok(Self { user: None, group: None }),
            looked_up => looked_up,
        }
    }

    fn look_up(spec: &Process) -> Result<Self, IdentityError> {
        let user = spec.user.as_ref().map(|user| look_up_user(user, spec.group.is_some())).transpose()?;
        let group = spec.group.as_ref().map(look_up_group).transpose()?;
        let users_group = user.and_then(|user| user.group);
        Ok(Self { user: user.map(|user| Uid::from_raw(user.id)), group: group.or(users_group).map(Gid::from_raw) })
    }
}

/// A line of `/etc/passwd`, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    id: u32,
    group: Option<u32>,
}

fn look_up_user(user: &Account, group_is_stated: bool) -> Result<User, IdentityError> {
    match user {
        Account::Id(id) if group_is_stated => Ok(User { id: *id, group: None }),
        Account::Id(id) => {
            let users = read("user", PASSWD, &id.to_string())?;
            let found = users.lines().filter_map(user_of).find(|(_, user)| user.id == *id);
            found.map(|(_, user)| user).ok_or(IdentityError::NoGroup { id: *id })
        }
        Account::Name(name) => {
            let users = read("user", PASSWD, name)?;
            let found = users.lines().filter_map(user_of).find(|(found, _)| found == name);
            found.map(|(_, user)| user).ok_or_else(|| unknown("user", PASSWD, name))
        }
    }
}

fn look_up_group(group: &Account) -> Result<u32, IdentityError> {
    match group {
        Account::Id(id) => Ok(*id),
        Account::Name(name) => {
            let groups = read("group", GROUP, name)?;
            let found = groups.lines().filter_map(group_of).find(|(found, _)| found == name);
            found.map(|(_, id)| id).ok_or_else(|| unknown("group", GROUP, name))
        }
    }
}

fn read(key: &'static str, file: &'static str, name: &str) -> Result<String, IdentityError> {
    let unreadable = |source| IdentityError::Unreadable { key, file, name: name.to_owned(), source };
    // Comments of a full name need not be UTF-8; names and numbers are.
    fs::read(Path::new(file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(unreadable)
}

fn unknown(key: &'static str, file: &'static str, name: &str) -> IdentityError {
    IdentityError::Unknown { key, file, name: name.to_owned() }
}

/// passwd(5): `name:password:UID:GID:GECOS:directory:shell`.
fn user_of(line: &str) -> Option<(&str, User)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let id = fields.nth(1)?.parse().ok()?;
    Some((name, User { id, group: Some(fields.next()?.parse().ok()?) }))
}

/// group(5): `name:password:GID:members`.
fn group_of(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    Some((name, fields.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn identity(process: &str) -> Result<Identity, IdentityError> {
        let text = format!("preset = 'k0s'\ncontrollers = ['10.10.0.2']\n[process]\n{process}");
        Identity::of(&config::parse(&text, "evenkeel.toml").unwrap().process)
    }

    #[test]
    fn lines_are_read_as_their_manual_pages_say() {
        let haproxy = User { id: 101, group: Some(104) };
        assert_eq!(user_of("haproxy:x:101:104:a, b:/var/lib/haproxy:/usr/sbin/nologin"), Some(("haproxy", haproxy)));
        assert_eq!(group_of("haproxy:x:104:one,two"), Some(("haproxy", 104)));
        // Of NIS, a comment, a number that is none, a line that ends too early.
        for line in ["+::::::", "# haproxy", "haproxy:x:-2:104::/:", "haproxy:x:101"] {
            assert_eq!(user_of(line), None, "{line}");
        }
        assert_eq!(group_of("haproxy:x"), None);
    }

    /// Both files are on every Linux host, and root is in both.
    #[test]
    fn names_and_numbers_mean_the_same() {
        let root = Identity { user: Some(Uid::ROOT), group: Some(Gid::ROOT) };
        assert_eq!(identity("user = 'root'").unwrap(), root);
        assert_eq!(identity("user = 0").unwrap(), root);
        assert_eq!(identity("user = '0'\ngroup = 'root'").unwrap(), root);
        assert_eq!(identity("group = 'root'").unwrap(), Identity { user: None, ..root });
        assert_eq!(identity("").unwrap(), Identity { user: None, group: None });
        let other = Identity { user: Some(Uid::from_raw(65_532)), group: Some(Gid::from_raw(65_533)) };
        assert_eq!(identity("user = 65532\ngroup = 65533").unwrap(), other);
    }

    #[test]
    fn what_is_unknown_is_named_with_what_to_do() {
        let said = |process: &str| identity(process).unwrap_err().to_string();
        let user = said("user = 'no-such-user'");
        assert_eq!(user, "process.user: /etc/passwd has no user \"no-such-user\"; write one of its names, or a number");
        assert!(said("group = 'no-such-group'").contains("/etc/group has no group \"no-such-group\""));
        assert!(said("user = 4000000000").contains("state process.group, too"));
    }
}
