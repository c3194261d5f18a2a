//! Where the runtime API is spoken: each place once, and none of them the admin socket's.

use std::collections::HashMap;
use std::path::PathBuf;

use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::{Span, Stated};
use super::{Known, Section, filled, needed};
use crate::model::{RuntimeAddress, RuntimeSocket};

/// The sockets, without those that are wrong.
pub fn resolve(
    raw: &[raw::Runtime],
    admin: &raw::Admin,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
) -> Vec<RuntimeSocket> {
    note_too_many(raw, mistakes);
    note_shared_files(raw, admin, mistakes);
    raw.iter().filter_map(|raw| socket(raw, known, mistakes)).collect()
}

fn socket(raw: &raw::Runtime, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<RuntimeSocket> {
    let section = Section { thing: "runtime socket", name: None, at: raw.at, stated: &raw.stated, known };
    Some(RuntimeSocket {
        listen: needed(&raw.listen, "listen", &section, mistakes)?.0,
        level: filled(&raw.level),
        mode: filled(&raw.mode).0,
        user: raw.user.as_ref().map(|user| user.value.0.clone()),
        group: raw.group.as_ref().map(|group| group.value.0.clone()),
        timeout: filled(&raw.timeout).0,
    })
}

fn note_too_many(raw: &[raw::Runtime], mistakes: &mut Mistakes) {
    if let Some(surplus) = raw.get(RuntimeSocket::MOST) {
        let mistake = Mistake::OutOfRange {
            key: "runtime".to_owned(),
            found: format!("a list of {}", raw.len()),
            low: "0".to_owned(),
            high: RuntimeSocket::MOST.to_string(),
            or_off: false,
        };
        mistakes.push(Some(surplus.at), mistake);
    }
}

/// Notes each unix socket whose file another one has. Addresses are looked at with those of all listeners.
fn note_shared_files(raw: &[raw::Runtime], admin: &raw::Admin, mistakes: &mut Mistakes) {
    const ADMIN: &str = "the admin socket";
    const RUNTIME: &str = "the runtime API";
    let mut files: HashMap<PathBuf, (&str, Option<Span>)> = HashMap::new();
    if let Some(path) = admin.socket.as_ref().and_then(|socket| socket.value.on()) {
        files.insert(path.0.clone(), (ADMIN, admin.socket.as_ref().and_then(Stated::span)));
    }
    for listen in raw.iter().filter_map(|raw| raw.listen.as_ref()) {
        let RuntimeAddress::Unix(path) = &listen.value.0 else { continue };
        let Some((owner, at)) = files.insert(path.clone(), (RUNTIME, listen.span())) else { continue };
        let mistake = Mistake::ListenersCollide {
            first: path.display().to_string(),
            first_owner: owner.to_owned(),
            second: path.display().to_string(),
            owner: RUNTIME.to_owned(),
        };
        mistakes.push_pair(listen.span(), at, "first here", mistake);
    }
}
