//! The argument SERVER: `backend/server`, or a server's name alone, which means it in all backends.

use std::fmt;
use std::str::FromStr;

use crate::model::{BackendName, NameError, ServerName};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// `None` for every backend that has a server of this name.
    pub(super) backend: Option<BackendName>,
    pub(super) server: ServerName,
}

impl Target {
    /// Its part of an action's path.
    pub(super) fn path(&self) -> String {
        let backend = self.backend.as_ref().map_or("*", BackendName::as_str);
        format!("/api/v1/servers/{backend}/{}", self.server)
    }
}

impl FromStr for Target {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((backend, server)) => {
                Ok(Self { backend: Some(BackendName::new(backend)?), server: ServerName::new(server)? })
            }
            None => Ok(Self { backend: None, server: ServerName::new(text)? }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.backend {
            Some(backend) => write!(f, "{backend}/{}", self.server),
            None => write!(f, "{}", self.server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_means_every_backend() {
        let path = |text: &str| text.parse::<Target>().map(|target| target.path());
        assert_eq!(path("api/k0s-1").as_deref(), Ok("/api/v1/servers/api/k0s-1"));
        assert_eq!(path("fd00::2").as_deref(), Ok("/api/v1/servers/*/fd00::2"));
        assert_eq!(path("a/b/c"), Err(NameError::Character('/')));
        assert_eq!(path("/a"), Err(NameError::Empty));
        assert_eq!(path("*"), Err(NameError::Character('*')));
    }
}
