//! Where the runtime API is spoken.

use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::{Known, Section, filled, needed};
use crate::model::RuntimeSocket;

/// The sockets, without those that are wrong.
pub fn resolve(raw: &[raw::Runtime], known: &Known<'_>, mistakes: &mut Mistakes) -> Vec<RuntimeSocket> {
    note_too_many(raw, mistakes);
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
