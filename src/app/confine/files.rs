//! Files and programs: what the process may still open, as the kernel enforces it (landlock(7)).
//!
//! Directories are allowed rather than files, because what is edited or rotated is replaced by a new file of the same
//! name. Where a directory is everybody's, as `/etc` is, the file is allowed by itself.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, make_bitflags,
};

use crate::app::process::program_file;
use crate::model::{Check, Config, Connect, HostAddress, RuntimeAddress};
use crate::net::accounts::{GROUP, PASSWD};

/// What may be opened, by the kind of use. Paths are as the file system has them, links followed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Allowed {
    /// Files, and directories with all that is beneath them.
    pub read: BTreeSet<PathBuf>,
    /// Programs, or directories of them.
    pub run: BTreeSet<PathBuf>,
    /// Directories where sockets may be made, renamed and removed.
    pub sockets: BTreeSet<PathBuf>,
    /// Ports to connect to; `None` is all of them.
    pub connect: Option<BTreeSet<u16>>,
}

/// Directories that hold what is no business of ours. What is needed there is allowed by itself.
const SHARED: [&str; 18] = [
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/sbin", "/srv", "/tmp", "/usr",
    "/var", "/var/lib", "/var/run", "/var/tmp",
];

/// What names are looked up with.
const RESOLVER: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Where the names of operators are from, who are told of with what they do.
const ACCOUNTS: [&str; 2] = [PASSWD, GROUP];

/// What an upgrade may reach through: programs are started with it as their input.
const NULL: &str = "/dev/null";

/// What the process reads of itself and of the machine: memory, descriptors, how many processors it may use. Not
/// `/proc/self` alone, because the kernel makes that directory anew when memory is short, and the rule would be lost.
const ITSELF: [&str; 2] = ["/proc", "/sys/fs/cgroup"];

/// Chance, where a static binary finds no getrandom: names are asked for under numbers that can't be guessed.
const CHANCE: [&str; 2] = ["/dev/random", "/dev/urandom"];

/// The domain name service (RFC 7766): a name server that has much to say is asked over TCP.
const DNS: u16 = 53;

impl Allowed {
    /// What a process needs that was started with this file.
    pub fn needed_by(config: &Config, file: &Path) -> Self {
        let mut allowed = Self { connect: ports(config), ..Self::default() };
        for file in config.files().into_iter().chain([file]) {
            allowed.read_beside(file);
        }
        for file in RESOLVER.iter().chain(&ACCOUNTS).map(Path::new) {
            allowed.read_beside(file);
        }
        if needs_names(config) && !rustix::process::geteuid().is_root() {
            // Who hands out addresses replaces resolv.conf. Root alone could read what is secret beside it.
            allowed.read.insert(PathBuf::from("/etc"));
        }
        allowed.read.extend(ITSELF.iter().chain(&CHANCE).map(PathBuf::from));
        if let Some(admin) = &config.admin
            && let Some(directory) = directory_of(&admin.socket)
        {
            allowed.sockets.insert(directory);
        }
        allowed.sockets.extend(runtime_files(config).chain(session_files(config)).filter_map(directory_of));
        allowed.run_ourselves();
        allowed
    }

    /// Whether a file can be opened for reading. It need not be there.
    pub fn reads(&self, file: &Path) -> bool {
        let real = real(file);
        self.read.iter().any(|allowed| real.starts_with(allowed))
    }

    /// Whether a socket of this name can be made, and removed.
    pub fn makes_socket(&self, path: &Path) -> bool {
        directory_of(path).is_some_and(|directory| self.sockets.contains(&directory))
    }

    /// Allows a file as it is written and as it is, each with its directory if that is not everybody's.
    fn read_beside(&mut self, file: &Path) {
        for file in [file.to_owned(), real(file)] {
            self.read.insert(directory_of(&file).unwrap_or_else(|| real(&file)));
        }
    }

    /// Allows this binary and what replaces it, and the libraries that it was started with.
    fn run_ourselves(&mut self) {
        let Ok(binary) = program_file() else { return };
        let own = directory_of(&binary).filter(|directory| holds_nothing_but(directory, &binary));
        self.run.insert(own.unwrap_or(binary));
        for library in libraries() {
            // The loader is run, the others are read; what updates them replaces them.
            if library.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-")) {
                self.run.insert(library.clone());
            }
            self.read.extend(library.parent().map(Path::to_owned));
        }
    }
}

/// The files of all unix sockets.
pub fn sockets(config: &Config) -> BTreeSet<PathBuf> {
    let admin = config.admin.iter().map(|admin| admin.socket.as_path());
    admin.chain(runtime_files(config)).chain(session_files(config)).map(Path::to_owned).collect()
}

/// The files of the runtime API's unix sockets.
pub fn runtime_files(config: &Config) -> impl Iterator<Item = &Path> {
    config.runtime.iter().filter_map(|socket| match &socket.listen {
        RuntimeAddress::Unix(path) => Some(path.as_path()),
        RuntimeAddress::Listen(_) => None,
    })
}

/// The files of the frontends' unix sockets.
pub fn session_files(config: &Config) -> impl Iterator<Item = &Path> {
    config.frontends.iter().flat_map(|frontend| &frontend.listen).filter_map(|listen| listen.address.path())
}

/// Ports of servers, of their checks and agents, of peers and of name servers, if no others are to be connected to.
pub fn ports(config: &Config) -> Option<BTreeSet<u16>> {
    (config.security.connect == Connect::Servers).then(|| {
        let servers = config.backends.iter().flat_map(|backend| &backend.servers);
        let own = servers.map(|server| server.address.port);
        let probed = config.checks().flat_map(Check::ports);
        let agents =
            config.backends.iter().flat_map(|backend| &backend.servers).filter_map(|server| server.agent.as_ref());
        let peers = config.peers.all.iter().map(|peer| peer.port);
        own.chain(probed).chain(agents.map(|agent| agent.port)).chain(peers).chain([DNS]).collect()
    })
}

fn needs_names(config: &Config) -> bool {
    let hosts = config.hosts.iter().map(|host| &host.address);
    let peers = config.peers.all.iter().map(|peer| &peer.host);
    hosts.chain(peers).any(|host| matches!(host, HostAddress::Name(_)))
}

/// The file with links followed, as far as it is there.
fn real(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| match (file.parent(), file.file_name()) {
        (Some(directory), Some(name)) => real(directory).join(name),
        _ => file.to_owned(),
    })
}

/// The directory that a file stands in, links followed, unless it is everybody's.
fn directory_of(file: &Path) -> Option<PathBuf> {
    let directory = real(file.parent()?);
    (!SHARED.iter().any(|shared| directory == Path::new(shared))).then_some(directory)
}

/// Whether a directory has no other program: then what is put there is a version of ours. So is what has our name and
/// more, as `evenkeel.dpkg-new` while a package is unpacked, or `evenkeel.old`.
fn holds_nothing_but(directory: &Path, binary: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    let name = binary.file_name().unwrap_or_default().as_encoded_bytes();
    let is_version = |other: &OsStr| {
        let more = other.as_encoded_bytes().strip_prefix(name);
        more.is_some_and(|more| more.is_empty() || more.starts_with(b"."))
    };
    entries.flatten().all(|entry| {
        let (is_file, runs) = fs::metadata(entry.path())
            .map_or((false, true), |data| (data.is_file(), data.permissions().mode() & 0o111 != 0));
        is_file && (!runs || is_version(&entry.file_name()))
    })
}

/// The loader and the libraries of a binary that is not static.
fn libraries() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    let binary = program_file().unwrap_or_default();
    let files: BTreeSet<_> = files.filter(|file| *file != binary).collect();
    files.into_iter().collect()
}

/// Has the kernel refuse everything else from now on; the version of its interface (ABI), or why it can't.
pub fn enforce(allowed: &Allowed) -> Result<i32, String> {
    match restrict(allowed).map_err(|error| error.to_string())? {
        LandlockStatus::Available { effective_abi, kernel_abi } => Ok(kernel_abi.unwrap_or(effective_abi as i32)),
        LandlockStatus::NotEnabled => Err("the kernel was started without it".to_owned()),
        LandlockStatus::NotImplemented => Err("the kernel has none".to_owned()),
    }
}

/// The version of the interface whose restrictions this file was written for; a later one has more of them, which
/// nobody has tried.
const KNOWN: ABI = ABI::V6;

fn restrict(allowed: &Allowed) -> Result<LandlockStatus, RulesetError> {
    const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    // Looked into by the process that an upgrade starts, which asks once more whether there is no other program.
    const RUN: BitFlags<AccessFs> = make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir});
    const SOCKETS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{MakeSock | RemoveFile});
    const USE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile});
    use landlock::path_beneath_rules as beneath;
    let ruleset = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.scope(scopes())?;
    let ruleset = match allowed.connect {
        Some(_) => ruleset.handle_access(AccessNet::ConnectTcp)?,
        None => ruleset,
    };
    let ports = allowed.connect.iter().flatten().map(|port| Ok(NetPort::new(*port, AccessNet::ConnectTcp)));
    let status = ruleset
        .create()?
        // What isn't there has no rule, and a file has what makes sense for one.
        .add_rules(beneath(&allowed.read, READ))?
        .add_rules(beneath(&allowed.run, RUN))?
        .add_rules(beneath(&allowed.sockets, SOCKETS))?
        .add_rules(beneath([NULL], USE))?
        .add_rules(ports.collect::<Vec<Result<_, RulesetError>>>())?
        .restrict_self()?;
    Ok(status.landlock)
}

/// Others' abstract sockets and signals to others, unless the service manager listens on such a socket.
fn scopes() -> BitFlags<Scope> {
    let abstract_manager =
        std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| path.as_encoded_bytes().starts_with(b"@"));
    if abstract_manager { Scope::Signal.into() } else { Scope::from_all(KNOWN) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const THREE: &str = "preset = 'k0s'\ncontrollers = ['10.10.0.2']\n";

    fn allowed(more: &str, file: &Path) -> Allowed {
        let config = config::parse(&format!("{THREE}{more}"), &file.display().to_string());
        Allowed::needed_by(&config.unwrap_or_else(|report| panic!("{report:?}")), file)
    }

    #[test]
    fn the_configurations_directory_is_read_and_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let (own, other) = (directory.path().join("own"), directory.path().join("other"));
        [&own, &other].iter().for_each(|directory| fs::create_dir(directory).unwrap());
        let file = own.join("evenkeel.toml");
        let allowed = allowed("", &file);
        // A file that is replaced later is a new one.
        assert!(allowed.reads(&file) && allowed.reads(&own.join("token")));
        assert!(!allowed.reads(&other.join("token")) && !allowed.reads(Path::new("/etc/shadow")));
        assert!(allowed.reads(Path::new("/etc/resolv.conf")) && allowed.reads(Path::new("/etc/hosts")));
    }

    /// As a mounted ConfigMap has it: links to a directory that changes.
    #[test]
    fn links_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (shown, kept) = (directory.path().join("shown"), directory.path().join("kept"));
        [&shown, &kept].iter().for_each(|directory| fs::create_dir(directory).unwrap());
        fs::write(kept.join("evenkeel.toml"), "").unwrap();
        std::os::unix::fs::symlink(kept.join("evenkeel.toml"), shown.join("evenkeel.toml")).unwrap();
        let allowed = allowed("", &shown.join("evenkeel.toml"));
        assert!(allowed.reads(&kept.join("evenkeel.toml")) && allowed.reads(&shown.join("next.toml")));
    }

    #[test]
    fn what_stands_among_others_is_allowed_by_itself() {
        let allowed = allowed("", Path::new("/etc/evenkeel.toml"));
        assert!(allowed.reads(Path::new("/etc/evenkeel.toml")));
        assert!(!allowed.reads(Path::new("/etc/shadow")));
        assert_eq!(directory_of(Path::new("/run/admin.sock")), None);
    }

    #[test]
    fn files_of_checks_are_read_with_their_directories() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        fs::write(&token, "secret").unwrap();
        let check = format!(
            "[[backend]]\nname = 'kubeAPI_backend'\ncheck = {{ type = 'kube-apiserver', verify = 'none', \
             token_file = '{}' }}",
            token.display()
        );
        let file = Path::new("/etc/evenkeel/evenkeel.toml");
        assert!(allowed(&check, file).reads(&directory.path().join("next-token")));
        assert!(!allowed("", file).reads(&token));
    }

    #[test]
    fn sockets_are_made_in_the_admin_sockets_own_directory() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("admin.sock");
        let allowed = allowed(&format!("[admin]\nsocket = '{}'", socket.display()), Path::new("/etc/evenkeel.toml"));
        assert!(allowed.makes_socket(&socket) && allowed.makes_socket(&directory.path().join(".4711")));
        assert!(!allowed.makes_socket(Path::new("/run/admin.sock")));
    }

    #[test]
    fn ports_are_those_of_servers_checks_and_names() {
        let file = Path::new("/etc/evenkeel.toml");
        assert_eq!(allowed("", file).connect, None);
        let check = "[[backend]]\nname = 'kubeAPI_backend'\ncheck = { type = 'tcp', port = 10257 }\n";
        let servers = allowed(&format!("{check}[security]\nconnect = 'servers'"), file);
        assert_eq!(servers.connect, Some(BTreeSet::from([53, 6443, 8132, 9443, 10257])));
    }

    #[test]
    fn a_directory_of_our_own_has_one_program() {
        let directory = tempfile::tempdir().unwrap();
        let program = |name: &str| {
            let path = directory.path().join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let ours = program("evenkeel");
        fs::write(directory.path().join("README"), "").unwrap();
        assert!(holds_nothing_but(directory.path(), &ours));
        program("evenkeel.dpkg-new");
        assert!(holds_nothing_but(directory.path(), &ours));
        let other = program("evenkeeld");
        assert!(!holds_nothing_but(directory.path(), &ours));
        fs::remove_file(other).unwrap();
        assert!(holds_nothing_but(directory.path(), &ours));
        fs::create_dir(directory.path().join("evenkeel.d")).unwrap();
        assert!(!holds_nothing_but(directory.path(), &ours));
    }
}
