//! Names of frontends, backends and servers.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    Empty,
    /// Longer than [`NAME_MAX`].
    TooLong,
    /// A character other than letters, digits and `-_.:`.
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name must not be empty"),
            Self::TooLong => write!(f, "a name has at most {NAME_MAX} characters"),
            Self::Character(c) => write!(f, "{c:?} can't stand in a name; letters, digits and `-_.:` can"),
        }
    }
}

impl std::error::Error for NameError {}

/// Longest name in bytes.
pub const NAME_MAX: usize = 128;

/// HAProxy's rule for the names of proxies and servers (configuration manual, section 4.1).
fn check_name(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong);
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-_.:".contains(*c))) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Accepts 1 to [`NAME_MAX`] letters, digits and `-_.:`.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check_name(text)?;
                Ok(Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A frontend's name.
    FrontendName
);
name!(
    /// A backend's name.
    BackendName
);
name!(
    /// A server's name, unique in its backend.
    ServerName
);
name!(
    /// A table's name.
    TableName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_haproxys_rule() {
        assert!(BackendName::new("kubeAPI_backend-1.a:b").is_ok());
        assert_eq!(ServerName::new(""), Err(NameError::Empty));
        assert_eq!(ServerName::new("a b"), Err(NameError::Character(' ')));
        assert_eq!(ServerName::new("<script>"), Err(NameError::Character('<')));
        assert_eq!(FrontendName::new(&"x".repeat(NAME_MAX + 1)), Err(NameError::TooLong));
    }
}
