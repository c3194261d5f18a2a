//! The place of a socket in the file system: who finds it there, who may use it, and who takes the file away. The admin
//! socket has one, and so has each unix socket of the runtime API and of a frontend.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::geteuid;

use super::confine::Identity;
use crate::model::{self, Account};
use crate::net;

/// A listening unix socket, whose file is removed with it.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    place: Place,
    /// Device and number of its file, which alone it takes away; `None` if the name is left to another one.
    file: Option<(u64, u64)>,
}

/// Where one is to be, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub whose: Whose,
    pub path: PathBuf,
    pub mode: u32,
    /// Without these it belongs to whoever the process runs as.
    pub user: Option<Account>,
    pub group: Option<Account>,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Admin,
    Runtime,
    Sessions,
}

impl Whose {
    /// The key that says where it is.
    fn key(self) -> &'static str {
        match self {
            Self::Admin => "[admin] socket",
            Self::Runtime => "[[runtime]] listen",
            Self::Sessions => "`listen` of the [[frontend]]",
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin socket",
            Self::Runtime => "runtime socket",
            Self::Sessions => "unix socket",
        })
    }
}

impl Place {
    pub fn of_admin(spec: &model::Admin) -> Self {
        let model::Admin { socket, mode, group } = spec.clone();
        Self { whose: Whose::Admin, path: socket, mode, user: None, group }
    }

    /// Of a runtime socket whose file has this path.
    pub fn of_runtime(spec: &model::RuntimeSocket, path: &Path) -> Self {
        let model::RuntimeSocket { mode, user, group, .. } = spec.clone();
        Self { whose: Whose::Runtime, path: path.to_owned(), mode, user, group }
    }

    /// Of a frontend's socket with this file.
    pub fn of_sessions(path: &Path, file: &model::SocketFile) -> Self {
        let model::SocketFile { mode, user, group } = file.clone();
        Self { whose: Whose::Sessions, path: path.to_owned(), mode, user, group }
    }

    fn failed(&self, source: io::Error) -> UnixSocketError {
        UnixSocketError::Failed { whose: self.whose, path: self.path.clone(), source }
    }
}

/// A unix socket that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    #[error("can't open the {whose} {path}: another process listens there")]
    InUse { whose: Whose, path: PathBuf },
    #[error("can't open the {whose} {path}: something that is not a socket has this name")]
    NotASocket { whose: Whose, path: PathBuf },
    #[error("can't open the {whose} {path}: this host has no {kind} {name} ({file})")]
    NoSuchAccount { whose: Whose, path: PathBuf, kind: &'static str, name: String, file: &'static str },
    #[error("can't give the {whose} {path} to group {group}: {source}; be root, or a member of it")]
    Group { whose: Whose, path: PathBuf, group: String, source: io::Error },
    #[error("can't give the {whose} {path} to user {user}: {source}; be root")]
    User { whose: Whose, path: PathBuf, user: String, source: io::Error },
    #[error(
        "can't open the {whose} {path}: there is no directory {directory} and it can't be made: {source}; make it, or \
         name another place in {}",
        whose.key()
    )]
    NoDirectory { whose: Whose, path: PathBuf, directory: PathBuf, source: io::Error },
    #[error("can't open the {whose} {path}: {source}")]
    Failed { whose: Whose, path: PathBuf, source: io::Error },
}

/// Makes the directory that a file is to be in, if only that is missing: /run begins empty.
fn make_directory(place: &Place) -> Result<(), UnixSocketError> {
    let Some(directory) = place.path.parent().filter(|it| !it.as_os_str().is_empty() && !it.exists()) else {
        return Ok(());
    };
    fs::create_dir(directory).map_err(|source| {
        let (whose, path, directory) = (place.whose, place.path.clone(), directory.to_owned());
        UnixSocketError::NoDirectory { whose, path, directory, source }
    })
}

impl UnixSocket {
    /// Opens it; a file that a dead process left behind is replaced, a living one's is not.
    pub fn bind(place: Place) -> Result<Self, UnixSocketError> {
        let (whose, path) = (place.whose, place.path.clone());
        match fs::symlink_metadata(&path) {
            Ok(file) if !file.file_type().is_socket() => return Err(UnixSocketError::NotASocket { whose, path }),
            Ok(_) if net::is_listening(&path) => return Err(UnixSocketError::InUse { whose, path }),
            Ok(_) => fs::remove_file(&path).map_err(|error| place.failed(error))?,
            Err(_) => make_directory(&place)?,
        }
        Self::replace(place)
    }

    /// Opens it in the place of a socket, though a living process listens there: that one is to end.
    pub fn supersede(place: Place) -> Result<Self, UnixSocketError> {
        match fs::symlink_metadata(&place.path) {
            Ok(file) if file.file_type().is_socket() => Self::replace(place),
            _ => Self::bind(place),
        }
    }

    /// Opens it in the place of whatever has its name.
    pub fn replace(place: Place) -> Result<Self, UnixSocketError> {
        // Opened under another name and renamed, so that nobody ever meets it with other permissions.
        let fresh = place.path.with_file_name(format!(".{}", std::process::id()));
        let _ = fs::remove_file(&fresh);
        let failed = |source| place.failed(source);
        let listener = UnixListener::bind(&fresh).map_err(failed)?;
        give(&fresh, &place)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(place.mode)).map_err(failed)?;
        fs::rename(&fresh, &place.path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, file: identity(&place.path), place })
    }

    /// Takes over one that listens already.
    pub fn adopt(listener: UnixListener, place: Place) -> Result<Self, UnixSocketError> {
        let adopted = listener.set_nonblocking(true);
        let adopted = adopted.and_then(|()| fs::set_permissions(&place.path, fs::Permissions::from_mode(place.mode)));
        match adopted {
            Ok(()) => Ok(Self { listener, file: identity(&place.path), place }),
            Err(source) => Err(place.failed(source)),
        }
    }

    /// Has its file be as another configuration wants it, which has it in the same place.
    pub fn renew(&mut self, place: Place) -> Result<(), UnixSocketError> {
        if self.place == place {
            return Ok(());
        }
        give(&place.path, &place)?;
        let permissions = fs::Permissions::from_mode(place.mode);
        fs::set_permissions(&place.path, permissions).map_err(|source| place.failed(source))?;
        self.place = place;
        Ok(())
    }

    /// Where it is, and whose.
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Leaves the file to another socket that has taken its place.
    pub fn leave_file(&mut self) {
        self.file = None;
    }

    /// Makes it belong to the one that the process is about to become, if that is somebody else. Whoever was named for
    /// it keeps it.
    pub fn give_to(&self, identity: Identity) -> Result<(), UnixSocketError> {
        let user = identity.user.filter(|_| self.place.user.is_none());
        let group = identity.group.filter(|_| self.place.group.is_none());
        if !geteuid().is_root() || (user.is_none() && group.is_none()) {
            return Ok(());
        }
        let given = rustix::fs::chown(&self.place.path, user, group);
        given.map_err(|errno| self.place.failed(errno.into()))
    }

    /// Its path, if the process can't remove it any more.
    pub fn stays_behind(&self) -> Option<&Path> {
        let directory = self.place.path.parent()?;
        access(directory, Access::WRITE_OK | Access::EXEC_OK).is_err().then_some(&self.place.path)
    }

    /// One more descriptor of it, for a runtime.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// Gives a socket's file to whom its place names.
fn give(file: &Path, place: &Place) -> Result<(), UnixSocketError> {
    let (whose, path) = (place.whose, || place.path.clone());
    if let Some(group) = &place.group {
        let wrong = |source| UnixSocketError::Group { whose, path: path(), group: group.to_string(), source };
        let id = id_of(group, net::accounts::group_id).map_err(wrong)?;
        let id = id.ok_or_else(|| unknown(place, "group", group, net::accounts::GROUP))?;
        chown(file, None, Some(id)).map_err(wrong)?;
    }
    if let Some(user) = &place.user {
        let wrong = |source| UnixSocketError::User { whose, path: path(), user: user.to_string(), source };
        let id = id_of(user, |name| Ok(net::accounts::user(name)?.map(|user| user.id))).map_err(wrong)?;
        let id = id.ok_or_else(|| unknown(place, "user", user, net::accounts::PASSWD))?;
        chown(file, Some(id), None).map_err(wrong)?;
    }
    Ok(())
}

fn id_of(account: &Account, look_up: impl FnOnce(&str) -> io::Result<Option<u32>>) -> io::Result<Option<u32>> {
    match account {
        Account::Id(id) => Ok(Some(*id)),
        Account::Name(name) => look_up(name),
    }
}

fn unknown(place: &Place, kind: &'static str, account: &Account, file: &'static str) -> UnixSocketError {
    let Place { whose, path, .. } = place.clone();
    UnixSocketError::NoSuchAccount { whose, path, kind, name: account.to_string(), file }
}

/// What tells a file from another one of the same name.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if self.file.is_some() && self.file == identity(&self.place.path) {
            let _ = fs::remove_file(&self.place.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn place(path: PathBuf, mode: u32) -> Place {
        Place::of_admin(&model::Admin { socket: path, mode, group: None })
    }

    // Seen to fail without the directory.
    #[test]
    fn a_sockets_directory_is_made_and_no_more_than_that() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| UnixSocket::bind(place(directory.path().join(path), 0o660));
        assert!(at("run/admin.sock").is_ok());
        let error = at("no/run/admin.sock").unwrap_err().to_string();
        assert!(error.contains("there is no directory") && error.contains("no/run and it can't be made"), "{error}");
        assert!(error.contains("can't open the admin socket") && error.ends_with("in [admin] socket"), "{error}");
    }

    // Seen to fail when it takes away whatever has its name.
    #[test]
    fn a_socket_that_was_superseded_leaves_the_file_to_the_other_one() {
        let directory = tempfile::tempdir().unwrap();
        let place = place(directory.path().join("admin.sock"), 0o600);
        let old = UnixSocket::supersede(place.clone()).unwrap();
        let new = UnixSocket::supersede(place.clone()).unwrap();
        drop(old);
        assert!(UnixStream::connect(&place.path).is_ok());
        drop(new);
        assert!(!place.path.exists());
    }

    #[test]
    fn a_socket_replaces_what_a_dead_process_left_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let place = place(path.clone(), 0o600);
        drop(UnixListener::bind(&path).unwrap());
        let alive = UnixSocket::bind(place.clone()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(UnixSocket::bind(place.clone()), Err(UnixSocketError::InUse { .. })));
        drop(alive);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(UnixSocket::bind(place), Err(UnixSocketError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
