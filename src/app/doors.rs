//! The sockets of frontends before anybody is served there, and the files that some of them have.

use super::StartError;
use super::listeners::ListenerSource;
use super::unix_socket::{Place, UnixSocket};
use crate::model::{Frontend, Listen, ListenAddress};
use crate::net::{self, BindOptions};

/// A socket that listens, and that nobody accepts on yet.
#[derive(Debug)]
pub struct OpenDoor {
    pub bound: net::Bound,
    /// What keeps its file, if it has one.
    pub file: Option<UnixSocket>,
}

impl OpenDoor {
    /// Opens one of a frontend's.
    pub fn open(listen: &Listen, frontend: &Frontend, source: &mut ListenerSource) -> Result<Self, StartError> {
        let options = BindOptions::of(frontend, listen);
        let (ListenAddress::Unix(path), Some(place)) = (listen.address, place(listen)) else {
            return Ok(Self { bound: source.listen(listen.address, &options)?, file: None });
        };
        let file = source.file_of_sessions(listen.address, place)?;
        let listener = file.listener().map_err(|error| net::BindError::new(listen.address, error))?;
        let bound = net::Bound::on_file(listener, path, options.backlog)?;
        Ok(Self { bound, file: Some(file) })
    }
}

/// Where a listener's file is to be, and whose; `None` for one without a file.
pub fn place(listen: &Listen) -> Option<Place> {
    Some(Place::of_sessions(listen.address.path()?, listen.file.as_ref()?))
}
