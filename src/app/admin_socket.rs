//! The admin socket's place in the file system: who finds it there, who may use it, and who takes the file away.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::geteuid;

use super::confine::Identity;
use crate::model::{self, Account};
use crate::net;

/// The admin socket, whose file is removed with it.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of its file, which alone it takes away; `None` if it is another socket's by now.
    file: Option<(u64, u64)>,
}

/// An admin socket that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AdminSocketError {
    #[error("can't open the admin socket {path}: another process listens there")]
    InUse { path: PathBuf },
    #[error("can't open the admin socket {path}: something that is not a socket has this name")]
    NotASocket { path: PathBuf },
    #[error("can't open the admin socket {path}: this host has no group {group} (/etc/group)")]
    NoSuchGroup { path: PathBuf, group: String },
    #[error("can't give the admin socket {path} to group {group}: {source}; be root, or a member of it")]
    Group { path: PathBuf, group: String, source: io::Error },
    #[error(
        "can't open the admin socket {path}: there is no directory {directory} and it can't be made: {source}; make it, or \
         name another place in [admin] socket"
    )]
    NoDirectory { path: PathBuf, directory: PathBuf, source: io::Error },
    #[error("can't open the admin socket {path}: {source}")]
    Failed { path: PathBuf, source: io::Error },
}

/// Makes the directory that a file is to be in, if only that is missing: /run begins empty.
fn make_directory(path: &Path) -> Result<(), AdminSocketError> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty() && !directory.exists())
    else {
        return Ok(());
    };
    fs::create_dir(directory).map_err(|source| {
        let (path, directory) = (path.to_owned(), directory.to_owned());
        AdminSocketError::NoDirectory { path, directory, source }
    })
}

impl AdminSocket {
    /// Opens it; a file that a dead process left behind is replaced, a living one's is not.
    pub fn bind(spec: &model::Admin) -> Result<Self, AdminSocketError> {
        let path = spec.socket.clone();
        let failed = |source| AdminSocketError::Failed { path: spec.socket.clone(), source };
        match fs::symlink_metadata(&path) {
            Ok(file) if !file.file_type().is_socket() => return Err(AdminSocketError::NotASocket { path }),
            Ok(_) if UnixStream::connect(&path).is_ok() => return Err(AdminSocketError::InUse { path }),
            Ok(_) => fs::remove_file(&path).map_err(failed)?,
            Err(_) => make_directory(&path)?,
        }
        Self::replace(spec)
    }

    /// Opens it in the place of a socket, though a living process listens there: that one is to end.
    pub fn supersede(spec: &model::Admin) -> Result<Self, AdminSocketError> {
        match fs::symlink_metadata(&spec.socket) {
            Ok(file) if file.file_type().is_socket() => Self::replace(spec),
            _ => Self::bind(spec),
        }
    }

    /// Opens it in the place of whatever has its name.
    pub fn replace(spec: &model::Admin) -> Result<Self, AdminSocketError> {
        let path = spec.socket.clone();
        let failed = |source| AdminSocketError::Failed { path: spec.socket.clone(), source };
        // Opened under another name and renamed, so that nobody ever meets it with other permissions.
        let fresh = path.with_file_name(format!(".{}", std::process::id()));
        let _ = fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(failed)?;
        if let Some(group) = &spec.group {
            give(&fresh, group, &path)?;
        }
        fs::set_permissions(&fresh, fs::Permissions::from_mode(spec.mode)).map_err(failed)?;
        fs::rename(&fresh, &path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, file: identity(&path), path })
    }

    /// Takes over one that listens already.
    pub fn adopt(listener: UnixListener, spec: &model::Admin) -> Result<Self, AdminSocketError> {
        let path = spec.socket.clone();
        let adopted = listener.set_nonblocking(true);
        let adopted = adopted.and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(spec.mode)));
        match adopted {
            Ok(()) => Ok(Self { listener, file: identity(&path), path }),
            Err(source) => Err(AdminSocketError::Failed { path, source }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file to another socket that has taken its place.
    pub fn leave_file(&mut self) {
        self.file = None;
    }

    /// Makes it belong to the one that the process is about to become, if that is somebody else.
    pub fn give_to(&self, identity: Identity) -> Result<(), AdminSocketError> {
        let Identity { user, group } = identity;
        if !geteuid().is_root() || (user.is_none() && group.is_none()) {
            return Ok(());
        }
        let given = rustix::fs::chown(&self.path, user, group);
        given.map_err(|errno| AdminSocketError::Failed { path: self.path.clone(), source: errno.into() })
    }

    /// Its path, if the process can't remove it any more.
    pub fn stays_behind(&self) -> Option<&Path> {
        let directory = self.path.parent()?;
        access(directory, Access::WRITE_OK | Access::EXEC_OK).is_err().then_some(&self.path)
    }

    /// One more descriptor of it, for a runtime.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl AsFd for AdminSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Gives the socket's file to a group; `path` is what the socket will be called.
fn give(file: &Path, group: &Account, path: &Path) -> Result<(), AdminSocketError> {
    let wrong = |source| AdminSocketError::Group { path: path.to_owned(), group: group.to_string(), source };
    let id = match group {
        Account::Id(id) => Some(*id),
        Account::Name(name) => net::accounts::group_id(name).map_err(wrong)?,
    };
    let Some(id) = id else {
        return Err(AdminSocketError::NoSuchGroup { path: path.to_owned(), group: group.to_string() });
    };
    chown(file, None, Some(id)).map_err(wrong)
}

/// What tells a file from another one of the same name.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if self.file.is_some() && self.file == identity(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail without the directory.
    #[test]
    fn the_admin_sockets_directory_is_made_and_no_more_than_that() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| {
            AdminSocket::bind(&model::Admin { socket: directory.path().join(path), mode: 0o660, group: None })
        };
        assert!(at("run/admin.sock").is_ok());
        let error = at("no/run/admin.sock").unwrap_err().to_string();
        assert!(error.contains("there is no directory") && error.contains("no/run and it can't be made"), "{error}");
    }

    // Seen to fail when it takes away whatever has its name.
    #[test]
    fn an_admin_socket_that_was_superseded_leaves_the_file_to_the_other_one() {
        let directory = tempfile::tempdir().unwrap();
        let spec = model::Admin { socket: directory.path().join("admin.sock"), mode: 0o600, group: None };
        let old = AdminSocket::supersede(&spec).unwrap();
        let new = AdminSocket::supersede(&spec).unwrap();
        drop(old);
        assert!(UnixStream::connect(&spec.socket).is_ok());
        drop(new);
        assert!(!spec.socket.exists());
    }

    #[test]
    fn the_admin_socket_replaces_what_a_dead_process_left_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let spec = model::Admin { socket: directory.path().join("admin.sock"), mode: 0o600, group: None };
        drop(UnixListener::bind(&spec.socket).unwrap());
        let alive = AdminSocket::bind(&spec).unwrap();
        assert_eq!(fs::metadata(&spec.socket).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(AdminSocket::bind(&spec), Err(AdminSocketError::InUse { .. })));
        drop(alive);
        assert!(!spec.socket.exists());
        fs::write(&spec.socket, "precious").unwrap();
        assert!(matches!(AdminSocket::bind(&spec), Err(AdminSocketError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&spec.socket).unwrap(), "precious");
    }
}
