//! Where the running process is found: its admin socket, and what to say when nobody answers there.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::net::UnixStream;

/// Where it is unless told otherwise.
pub(super) const DEFAULT: &str = "/run/evenkeel/admin.sock";

/// Where it is if `--socket` doesn't say.
const VARIABLE: &str = "EVENKEEL_SOCKET";

/// A process that lives takes a connection at once: the kernel does it, unless its accept queue is full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default, Args)]
pub(super) struct SocketOption {
    /// The running process's admin socket [env: EVENKEEL_SOCKET] [default: /run/evenkeel/admin.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl SocketOption {
    /// The one that a command line names, before it has been parsed.
    pub(super) fn named(socket: Option<OsString>) -> Self {
        Self { socket: socket.map(PathBuf::from) }
    }

    /// The same, where a configuration says what is used if neither command line nor environment do.
    pub(super) fn or(&self, configured: Option<&Path>) -> Self {
        let variable = env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self { socket: self.socket.clone().or(variable).or(configured.map(Path::to_path_buf)) }
    }

    /// Nobody says where it is, and where it is unless told otherwise there is none.
    pub(super) fn is_nowhere(&self) -> bool {
        let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        self.or(None).socket.is_none() && fs::symlink_metadata(DEFAULT).is_err_and(is_missing)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.or(None).socket.unwrap_or_else(|| DEFAULT.into())
    }
}

/// A connection to the process behind the socket.
pub(super) async fn connect(path: &Path) -> Result<UnixStream, NoProcess> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await;
    let connected = connected.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
    connected.map_err(|error| NoProcess::found(path, &error))
}

/// Nobody answers at a socket's path: why, as far as the file system tells, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("no evenkeel answers at {path}: {reason}\nhint: {advice}")]
pub(super) struct NoProcess {
    path: String,
    reason: String,
    advice: String,
}

impl NoProcess {
    fn found(path: &Path, error: &io::Error) -> Self {
        let (reason, advice) = match error.kind() {
            io::ErrorKind::NotFound => missing(path),
            io::ErrorKind::PermissionDenied => forbidden(path),
            io::ErrorKind::ConnectionRefused => deserted(path),
            io::ErrorKind::TimedOut => (
                format!("it took no connection within {} s", CONNECT_TIMEOUT.as_secs()),
                "the process is stopped or hangs: look at its log".into(),
            ),
            _ => (error.to_string(), format!("say where its admin socket is: --socket PATH or {VARIABLE}")),
        };
        Self { path: path.display().to_string(), reason, advice }
    }
}

fn missing(path: &Path) -> (String, String) {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists());
    let reason = match parent {
        Some(parent) => format!("there is no directory {}", parent.display()),
        None => "there is no such file".to_owned(),
    };
    let advice = format!(
        "start evenkeel with `socket = \"{}\"` in the [admin] section of its configuration, or say where its socket is: \
         --socket PATH or {VARIABLE}",
        path.display()
    );
    (reason, advice)
}

/// The file is there, but nothing accepts on it.
fn deserted(path: &Path) -> (String, String) {
    if fs::metadata(path).is_ok_and(|file| !file.file_type().is_socket()) {
        let advice = format!("say where its admin socket is: --socket PATH or {VARIABLE}");
        return ("what is there is not a socket".into(), advice);
    }
    let reason = "the socket is there, but the process that made it has ended";
    (reason.into(), "start evenkeel, which replaces what was left behind".into())
}

fn forbidden(path: &Path) -> (String, String) {
    let shut = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).find(|above| {
        // What is in a directory that may be entered can at least be looked at.
        fs::metadata(above).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    });
    let Ok(file) = fs::metadata(path) else {
        let within = shut.or(path.parent()).unwrap_or(path);
        return (format!("permission denied within {}", within.display()), "use sudo".into());
    };
    let owner = name_of(file.uid(), "/etc/passwd");
    let group = name_of(file.gid(), "/etc/group");
    let mode = file.permissions().mode() & 0o777;
    let reason = format!("permission denied: the socket belongs to {owner}:{group}, mode {mode:04o}");
    let advice = match mode & 0o020 {
        0 => format!("use sudo, or set `mode = \"0660\"` in [admin] to let the group {group} in"),
        _ => format!("use sudo, or join the group: `usermod -aG {group} USER`, then log in again"),
    };
    (reason, advice)
}

/// The name that a file such as /etc/group has for a number; the number itself without one.
fn name_of(id: u32, file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    named(id, &text).map_or_else(|| id.to_string(), str::to_owned)
}

/// Reads group(5) and passwd(5) alike: the name comes first, the number third.
fn named(id: u32, text: &str) -> Option<&str> {
    let id = id.to_string();
    text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find_map(|fields| match fields[..] {
        [name, _, number, ..] if number == id => Some(name),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_first_in_its_line() {
        let text = "root:x:0:\n# a comment\nevenkeel:x:61001:ops,42\n";
        assert_eq!((named(61_001, text), named(0, text), named(42, text)), (Some("evenkeel"), Some("root"), None));
    }

    #[tokio::test]
    async fn what_stands_at_the_path_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "").unwrap();
        drop(std::os::unix::net::UnixListener::bind(at("left.sock")).unwrap());
        for (path, reason) in [
            (at("none.sock"), "there is no such file"),
            (at("none/admin.sock"), "there is no directory"),
            (at("file"), "what is there is not a socket"),
            (at("left.sock"), "the process that made it has ended"),
            (at(&"x".repeat(200)), "path must be shorter"),
        ] {
            let error = connect(&path).await.unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("\nhint: "), "{reason}: {error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
