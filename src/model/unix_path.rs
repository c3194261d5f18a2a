//! Where a unix socket has its file.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Account;

/// An absolute path of 1 to [`UnixPath::MAX`] bytes, none of them 0 (unix(7)).
///
/// It holds its bytes in itself, so that an address to listen on can be copied whatever it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixPath {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl UnixPath {
    /// Most bytes of a path: Linux has room for one more, which ends it.
    pub const MAX: usize = 107;

    /// `None` if no socket can have it, or if where it leads depends on where the process was started.
    pub fn new(path: &Path) -> Option<Self> {
        let text = path.as_os_str().as_bytes();
        if !path.is_absolute() || text.len() > Self::MAX || text.contains(&0) {
            return None;
        }
        let mut bytes = [0; Self::MAX];
        bytes[..text.len()].copy_from_slice(text);
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.bytes[..usize::from(self.length)]))
    }
}

impl fmt::Debug for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_path(), f)
    }
}

/// Whose a unix socket's file is, and who may connect there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    /// Permission bits; to connect takes the right to write.
    pub mode: u32,
    /// `None` leaves it to whoever the process runs as.
    pub user: Option<Account>,
    pub group: Option<Account>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_was_given() {
        let longest = format!("/{}", "x".repeat(UnixPath::MAX - 1));
        for text in ["/run/evenkeel/api.sock", "/a", &longest] {
            assert_eq!(UnixPath::new(Path::new(text)).expect("a path").as_path(), Path::new(text));
        }
    }

    #[test]
    fn what_no_socket_can_have_is_no_path() {
        let too_long = format!("/{}", "x".repeat(UnixPath::MAX));
        for text in ["", "run/api.sock", "/a\0b", &too_long] {
            assert_eq!(UnixPath::new(Path::new(text)), None, "{text:?}");
        }
    }
}
