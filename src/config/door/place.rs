//! Where clients come in, and which keys of an entry belong there.

use std::path::Path;

use super::super::mistake::{Mistake, Mistakes};
use super::super::read::Stated;
use super::super::runtime::unix_path;
use super::super::text::{SocketPath, Text};
use super::Door;
use crate::model::{ListenAddress, SocketFile, UnixPath};

/// An address to listen on, a unix socket, or a socket that was opened for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorAddress(pub ListenAddress);

impl Text for DoorAddress {
    const WANTED: &'static str = ListenAddress::WANTED;

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let Some(path) = unix_path(text) else { return ListenAddress::parse(text, key).map(Self) };
        let SocketPath(path) = SocketPath::parse(path, key)?;
        Ok(Self(ListenAddress::Unix(UnixPath::new(&path).expect("`SocketPath` takes no other"))))
    }

    fn text(&self) -> String {
        self.0.to_string()
    }

    fn instead_of(number: &str) -> String {
        ListenAddress::instead_of(number)
    }
}

/// Permission bits of a file of which nothing is said.
const MODE: u32 = 0o660;

impl Door {
    /// The path of its socket's file, if it has one.
    fn path(&self) -> Option<&Path> {
        self.address.as_ref()?.value.0.path()
    }

    /// Whose that file is, if it has one.
    pub(super) fn file(&self) -> Option<SocketFile> {
        self.path()?;
        Some(SocketFile {
            mode: self.mode.as_ref().map_or(MODE, |mode| mode.value.0),
            user: self.user.as_ref().map(|user| user.value.0.clone()),
            group: self.group.as_ref().map(|group| group.value.0.clone()),
        })
    }

    /// Notes keys of a file where there is none, and those of an address at a file.
    pub(super) fn note_misplaced(&self, mistakes: &mut Mistakes) {
        if self.address.is_none() {
            return;
        }
        let of_file = [
            ("mode", self.mode.as_ref().map(Stated::span)),
            ("user", self.user.as_ref().map(Stated::span)),
            ("group", self.group.as_ref().map(Stated::span)),
        ];
        let of_address = [
            ("interface", self.interface.as_ref().map(Stated::span)),
            ("user_timeout", self.user_timeout.as_ref().map(Stated::span)),
            ("transparent", self.transparent.as_ref().map(Stated::span)),
        ];
        let is_unix = self.path().is_some();
        let wrong = if is_unix { of_address } else { of_file };
        for (key, place) in wrong {
            if let Some(span) = place {
                mistakes.push(span, Mistake::NotOfThisListener { key, is_unix });
            }
        }
    }
}
