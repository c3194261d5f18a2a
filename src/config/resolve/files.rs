//! The files of unix sockets: each has its own, whatever it is for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::expand::Expanded;
use super::super::mistake::{Mistake, Mistakes};
use super::super::read::{Span, Stated};
use crate::model::RuntimeAddress;

/// A socket's file as it stands in the text.
struct File {
    path: PathBuf,
    at: Option<Span>,
    owner: String,
}

/// Notes each unix socket whose file one before it has. Two of frontends are looked at with all listeners.
pub fn note_shared(expanded: &Expanded, mistakes: &mut Mistakes) {
    let mut taken: HashMap<PathBuf, File> = HashMap::new();
    for file in of_frontends(expanded) {
        taken.entry(file.path.clone()).or_insert(file);
    }
    for file in of_admin(expanded).into_iter().chain(of_runtime(expanded)) {
        let path = file.path.display().to_string();
        let (at, owner) = (file.at, file.owner.clone());
        let Some(first) = taken.insert(file.path.clone(), file) else { continue };
        let mistake = Mistake::ListenersCollide { first: path.clone(), first_owner: first.owner, second: path, owner };
        mistakes.push_pair(at, first.at, "first here", mistake);
    }
}

fn of_frontends(expanded: &Expanded) -> Vec<File> {
    let mut files = Vec::new();
    for frontend in expanded.frontends() {
        let owner = super::named("frontend", &super::text(&frontend.name));
        let doors = frontend.listen.iter().flat_map(|listen| &listen.value.0);
        for address in doors.filter_map(|door| door.value.address()) {
            if let Some(path) = address.value.0.path() {
                files.push(File { path: path.to_owned(), at: address.span(), owner: owner.clone() });
            }
        }
    }
    files
}

fn of_admin(expanded: &Expanded) -> Option<File> {
    let socket = expanded.admin.socket.as_ref()?;
    let path = socket.value.on()?.0.clone();
    Some(File { path, at: Stated::span(socket), owner: "the admin socket".to_owned() })
}

fn of_runtime(expanded: &Expanded) -> impl Iterator<Item = File> {
    let listen = expanded.runtime.iter().filter_map(|socket| socket.listen.as_ref());
    listen.filter_map(|listen| match &listen.value.0 {
        RuntimeAddress::Unix(path) => Some(file_of_runtime(path, listen.span())),
        RuntimeAddress::Listen(_) => None,
    })
}

fn file_of_runtime(path: &Path, at: Option<Span>) -> File {
    File { path: path.to_owned(), at, owner: "the runtime API".to_owned() }
}
