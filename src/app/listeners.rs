//! Where listening sockets come from: they are bound, or were opened for us by whoever started the process.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::geteuid;
use socket2::Socket;

use super::confine::Identity;
use crate::model::{self, Group, ListenAddress};
use crate::net::{self, BindError, BindOptions, Bound, sys};

/// Gives a listening socket for an address, a given one before a new one.
#[derive(Debug, Default)]
pub struct ListenerSource {
    given: Vec<Given>,
    /// The admin socket of the process that this one replaces, and its file.
    admin: Option<(PathBuf, UnixListener)>,
}

/// A socket that listens already.
#[derive(Debug)]
struct Given {
    name: String,
    from: Origin,
    address: SocketAddr,
    socket: Socket,
}

/// Who opened a socket that we did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The service manager (socket activation).
    Inherited,
    /// A process of ours that this one replaces.
    HandedOver,
}

impl ListenerSource {
    /// Binds everything itself.
    pub fn bind() -> Self {
        Self::default()
    }

    /// Uses the sockets that the service manager opened (`sd_listen_fds(3)`), and binds the rest.
    pub fn inherited() -> Self {
        let mut source = Self::default();
        for sys::Inherited { name, descriptor } in sys::inherited_descriptors() {
            source.give(name, Origin::Inherited, Socket::from(descriptor));
        }
        source
    }

    /// Adds a socket that listens already; one that is not of TCP is left alone.
    pub fn give(&mut self, name: String, from: Origin, socket: Socket) {
        if let Some(address) = socket.local_addr().ok().and_then(|address| address.as_socket()) {
            self.given.push(Given { name, from, address, socket });
        }
    }

    /// Adds an admin socket that listens already, and whose file is there.
    pub fn give_admin(&mut self, file: PathBuf, socket: UnixListener) {
        self.admin = Some((file, socket));
    }

    /// The admin socket, the given one if it is at this place; one at another place is closed for good.
    pub fn admin(&mut self, spec: Option<&model::Admin>) -> Result<Option<AdminSocket>, AdminSocketError> {
        match (self.admin.take(), spec) {
            (Some((file, socket)), Some(spec)) if file == spec.socket => AdminSocket::adopt(socket, spec).map(Some),
            (given, spec) => {
                if let Some((file, _)) = given {
                    let _ = fs::remove_file(file);
                }
                spec.map(AdminSocket::bind).transpose()
            }
        }
    }

    /// A listening socket for this address.
    pub fn listen(&mut self, address: ListenAddress, options: BindOptions) -> Result<Bound, BindError> {
        let fits = |given: &Given| is_at(&given.socket, given.address, address);
        let Some(place) = self.given.iter().position(fits) else { return net::bind(address, options) };
        let given = self.given.swap_remove(place);
        net::adopt(given.socket, address, options)
    }

    /// The names of sockets that no listen address fitted.
    pub fn left_over(self) -> Vec<String> {
        let name = |Given { name, from, address, .. }: Given| match from {
            Origin::Inherited => format!("{address} {name}").trim_end().to_owned(),
            Origin::HandedOver => format!("{address} (handed over)"),
        };
        self.given.into_iter().map(name).collect()
    }
}

fn is_at(socket: &Socket, local: SocketAddr, wanted: ListenAddress) -> bool {
    match wanted {
        ListenAddress::Tcp(address) => local == address,
        ListenAddress::DualStack { port } => {
            local == SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)) && !socket.only_v6().unwrap_or(true)
        }
    }
}

/// The admin socket, whose file is removed with it.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    owns_file: bool,
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
    #[error("can't open the admin socket {path}: {source}")]
    Failed { path: PathBuf, source: io::Error },
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
            Err(_) => {}
        }
        Self::replace(spec)
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
        Ok(Self { listener, path, owns_file: true })
    }

    /// Takes over one that listens already.
    fn adopt(listener: UnixListener, spec: &model::Admin) -> Result<Self, AdminSocketError> {
        let path = spec.socket.clone();
        let adopted = listener.set_nonblocking(true);
        let adopted = adopted.and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(spec.mode)));
        match adopted {
            Ok(()) => Ok(Self { listener, path, owns_file: true }),
            Err(source) => Err(AdminSocketError::Failed { path, source }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file to another socket that has taken its place.
    pub fn leave_file(&mut self) {
        self.owns_file = false;
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
fn give(file: &Path, group: &Group, path: &Path) -> Result<(), AdminSocketError> {
    let wrong = |source| AdminSocketError::Group { path: path.to_owned(), group: group.to_string(), source };
    let id = match group {
        Group::Id(id) => Some(*id),
        Group::Name(name) => net::accounts::group_id(name).map_err(wrong)?,
    };
    let Some(id) = id else {
        return Err(AdminSocketError::NoSuchGroup { path: path.to_owned(), group: group.to_string() });
    };
    chown(file, None, Some(id)).map_err(wrong)
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if self.owns_file {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: BindOptions = BindOptions { freebind: false, backlog: 16, keepalive: None };

    #[test]
    fn a_given_socket_is_used_and_another_is_told_of() {
        let open = |address: &str| Socket::from(std::net::TcpListener::bind(address).unwrap());
        let (wanted, other) = (open("127.0.0.1:0"), open("127.0.0.1:0"));
        let address = wanted.local_addr().unwrap().as_socket().unwrap();
        let mut source = ListenerSource::bind();
        source.give("api".into(), Origin::Inherited, wanted);
        source.give("other".into(), Origin::Inherited, other);
        let bound = source.listen(ListenAddress::Tcp(address), OPTIONS).unwrap();
        assert_eq!(bound.local_address().unwrap(), address);
        let left = source.left_over();
        assert!(left.len() == 1 && left[0].ends_with("other"), "{left:?}");
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenAddress::Tcp(taken.local_addr().unwrap());
        let error = ListenerSource::bind().listen(address, OPTIONS).unwrap_err();
        assert!(error.to_string().contains(&format!("{address}: the port is taken")), "{error}");
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
