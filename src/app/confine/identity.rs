//! Who the process is to become: names to numbers.
//!
//! A name that only a directory service knows is unknown here ([`accounts`]): its number does as well.

use std::io;

use rustix::process::{Gid, Uid, geteuid};

use crate::model::{Account, Process};
use crate::net::accounts::{self, GROUP, PASSWD};

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
        let users_group = user.and_then(|(_, group)| group);
        Ok(Self { user: user.map(|(id, _)| Uid::from_raw(id)), group: group.or(users_group).map(Gid::from_raw) })
    }
}

/// The number of a user, and that of its group unless another one is stated.
fn look_up_user(user: &Account, group_is_stated: bool) -> Result<(u32, Option<u32>), IdentityError> {
    let unreadable = |source| unreadable("user", PASSWD, user, source);
    let found = match user {
        Account::Id(id) if group_is_stated => return Ok((*id, None)),
        Account::Id(id) => accounts::user_of_id(*id).map_err(unreadable)?.ok_or(IdentityError::NoGroup { id: *id }),
        Account::Name(name) => accounts::user(name).map_err(unreadable)?.ok_or_else(|| unknown("user", PASSWD, name)),
    };
    found.map(|user| (user.id, Some(user.group)))
}

fn look_up_group(group: &Account) -> Result<u32, IdentityError> {
    match group {
        Account::Id(id) => Ok(*id),
        Account::Name(name) => accounts::group_id(name)
            .map_err(|source| unreadable("group", GROUP, group, source))?
            .ok_or_else(|| unknown("group", GROUP, name)),
    }
}

fn unreadable(key: &'static str, file: &'static str, account: &Account, source: io::Error) -> IdentityError {
    IdentityError::Unreadable { key, file, name: account.to_string(), source }
}

fn unknown(key: &'static str, file: &'static str, name: &str) -> IdentityError {
    IdentityError::Unknown { key, file, name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn identity(process: &str) -> Result<Identity, IdentityError> {
        let text = format!("preset = 'k0s'\ncontrollers = ['10.10.0.2']\n[process]\n{process}");
        Identity::of(&config::parse(&text, "evenkeel.toml").unwrap().process)
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
