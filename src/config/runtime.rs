//! Where the runtime API is spoken, as a file writes it.

use super::mistake::Mistake;
use super::text::{SocketPath, Text};
use super::value;
use crate::model::{ListenAddress, RuntimeAddress};

/// A unix socket, a TCP address, or a socket that was opened for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeListen(pub RuntimeAddress);

/// What a unix socket's path is written behind, here and in a haproxy.cfg.
const UNIX: [&str; 2] = ["unix:", "unix@"];

/// The path of a unix socket as it is written; `None` for what is none.
pub fn unix_path(text: &str) -> Option<&str> {
    UNIX.iter().find_map(|prefix| text.strip_prefix(prefix)).or_else(|| text.starts_with('/').then_some(text))
}

impl Text for RuntimeListen {
    const WANTED: &'static str = "\"unix:\" and a path, or an address such as \"127.0.0.1:9999\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        match unix_path(text) {
            Some(path) => SocketPath::parse(path, key).map(|path| Self(RuntimeAddress::Unix(path.0))),
            None => {
                let address =
                    value::listen(text).map_err(|error| Mistake::BadAddress { text: text.to_owned(), error })?;
                Ok(Self(RuntimeAddress::Listen(address)))
            }
        }
    }

    fn text(&self) -> String {
        self.0.to_string()
    }

    fn instead_of(number: &str) -> String {
        <ListenAddress as Text>::instead_of(number)
    }
}
