//! The way of tests to see what is refused: what someone would try who had taken the process over. The environment names
//! an address that somebody listens on, and is told each attempt before rights are given up and after. A release has no
//! such thing.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};
use rustix::process::{getppid, test_kill_process};

use crate::net::sys;

/// What each attempt came to: before and after.
pub type Outcomes = Vec<(&'static str, String, String)>;

/// Attempts that are under way.
pub struct Attempts {
    address: SocketAddr,
    directory: std::path::PathBuf,
    before: Vec<(&'static str, String)>,
}

/// Begins them if the environment says so. `file` is the configuration's.
pub fn begin(file: &Path) -> Option<Attempts> {
    let address = std::env::var("EVENKEEL_ATTEMPTS").ok()?.parse().ok()?;
    let directory = file.parent()?.to_owned();
    let before = all(address, &directory);
    Some(Attempts { address, directory, before })
}

impl Attempts {
    /// Tries everything once more.
    pub fn end(self) -> Outcomes {
        let after = all(self.address, &self.directory);
        self.before.into_iter().zip(after).map(|((name, before), (_, after))| (name, before, after)).collect()
    }
}

fn all(address: SocketAddr, directory: &Path) -> Vec<(&'static str, String)> {
    let parent = getppid().expect("a test started this process");
    let other = parent.as_raw_pid();
    let ours = std::env::current_exe().unwrap_or_default();
    let mut attempts = vec![
        ("read the configuration", fs::read_dir(directory).map(drop)),
        ("run itself", run(&ours, "--version")),
        ("read /etc/shadow", fs::read("/etc/shadow").map(drop)),
        ("list /", fs::read_dir("/").map(drop)),
        ("write into /tmp", write(Path::new("/tmp"))),
        ("write into /etc", write(Path::new("/etc"))),
        ("write beside the configuration", write(directory)),
        ("make a file set-user-ID", set_user_id(&directory.join("evenkeel.toml"))),
        ("run a shell", run(Path::new("/bin/sh"), "--version")),
        ("read another process's environment", fs::read(format!("/proc/{other}/environ")).map(drop)),
        ("signal another process", test_kill_process(parent).map_err(io::Error::from)),
        ("connect", TcpStream::connect_timeout(&address, Duration::from_secs(5)).map(drop)),
        ("connect to an abstract socket", abstract_socket(address)),
        ("open a socket of another family", other_family()),
    ];
    attempts.extend(sys::hostile_calls(other));
    attempts.into_iter().map(|(name, result)| (name, outcome(result))).collect()
}

fn write(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!("evenkeel-attempt-{}", std::process::id()));
    fs::write(&path, "")?;
    fs::remove_file(path)
}

fn set_user_id(file: &Path) -> io::Result<()> {
    fs::set_permissions(file, Permissions::from_mode(0o4755))?;
    fs::set_permissions(file, Permissions::from_mode(0o644))
}

fn run(program: &Path, argument: &str) -> io::Result<()> {
    Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(drop)
}

/// The test listens under the name of its address.
fn abstract_socket(address: SocketAddr) -> io::Result<()> {
    let name = std::os::unix::net::SocketAddr::from_abstract_name(address.to_string())?;
    UnixStream::connect_addr(&name).map(drop)
}

fn other_family() -> io::Result<()> {
    rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    Ok(())
}

/// "refused" is what a lack of permission is; another error means that it was let through.
fn outcome(result: io::Result<()>) -> String {
    match result {
        Ok(()) => "done".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => "refused".to_owned(),
        Err(error) => error.to_string(),
    }
}
