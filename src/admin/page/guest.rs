//! Whom a page is for, as far as it says so.

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admin) enum Guest {
    /// Somebody where nobody can log in: the configuration has no credential.
    Nobody,
    /// Somebody who may log in.
    Unknown,
    /// Somebody who may act: by this name, or at the admin socket.
    Operator(Option<String>),
}

impl Guest {
    pub(in crate::admin) fn acts(&self) -> bool {
        matches!(self, Self::Operator(_))
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Operator(name) => name.as_deref(),
            Self::Nobody | Self::Unknown => None,
        }
    }

    pub(super) fn may_log_in(&self) -> bool {
        *self == Self::Unknown
    }
}
