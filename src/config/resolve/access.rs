//! Who may act over the stats listener: a token, a user with a password, or both.

use std::path::Path;

use super::super::credential;
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::Stated;
use super::super::text::FilePath;
use crate::model::{StatsAccess, TokenFile, User};

/// Relative paths start from `directory`. What is wrong is noted, and left out.
pub fn access(raw: &raw::Stats, directory: &Path, mistakes: &mut Mistakes) -> StatsAccess {
    let token = raw.token_file.as_ref().and_then(|file| token(file, directory, mistakes));
    StatsAccess { token, user: user(raw, mistakes) }
}

fn token(file: &Stated<FilePath>, directory: &Path, mistakes: &mut Mistakes) -> Option<TokenFile> {
    let path = directory.join(&file.value.0);
    match credential::token(&path) {
        Ok(token) => Some(token),
        Err(reason) => {
            mistakes.push(file.span(), Mistake::TokenFile { path: path.display().to_string(), reason });
            None
        }
    }
}

fn user(raw: &raw::Stats, mistakes: &mut Mistakes) -> Option<User> {
    let refused = |key| raw.refused.contains(&key);
    match (&raw.user, &raw.password_hash) {
        (Some(name), Some(hash)) => Some(User { name: name.value.0.clone(), password: hash.value.clone() }),
        (Some(user), None) if !refused("password_hash") => {
            mistakes.push(user.span(), Mistake::HalfLogin { stated: "user", missing: "password_hash" });
            None
        }
        (None, Some(hash)) if !refused("user") => {
            mistakes.push(hash.span(), Mistake::HalfLogin { stated: "password_hash", missing: "user" });
            None
        }
        _ => None,
    }
}
