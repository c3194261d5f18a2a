//! What was given up, as a plain value: told at the start, and held against what a reload would need.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::files::{self, Allowed};
use super::layers::Layers;
use super::privileges::Privileges;
use crate::model::{Config, Frontend, ListenAddress, Process, RuntimeAddress, Security};

/// What was given up at the start. Nothing of it comes back while the process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub privileges: Privileges,
    /// The version of the kernel's interface (Landlock ABI), and what may be opened.
    pub files: Part<(i32, Allowed)>,
    pub calls: Part<()>,
    /// What need not be applied again by a process that this one starts.
    pub layers: Layers,
    pub low_ports: LowPorts,
    /// Unix sockets that were made before: they stay, wherever they are.
    pub sockets: BTreeSet<PathBuf>,
    /// As the configuration had it.
    pub process: Process,
    pub security: Security,
    /// Files that can't be read any more, each with why.
    pub lost: Vec<String>,
}

/// A part of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<T> {
    /// Not wanted.
    Off,
    On(T),
    /// Wanted, and why it can't be had.
    Missing(String),
}

impl<T> From<Result<T, String>> for Part<T> {
    fn from(result: Result<T, String>) -> Self {
        match result {
            Ok(on) => Self::On(on),
            Err(reason) => Self::Missing(reason),
        }
    }
}

/// Ports that not everyone may bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowPorts {
    /// The first one that everyone may.
    pub below: u16,
    /// Those addresses that were bound at the start.
    pub bound: BTreeSet<ListenAddress>,
}

impl LowPorts {
    /// Those of a configuration.
    pub fn of(config: &Config, below: u16) -> Self {
        let stats = config.stats.iter().flat_map(|stats| &stats.listen);
        let runtime = config.runtime.iter().filter_map(|socket| match &socket.listen {
            RuntimeAddress::Listen(address) => Some(*address),
            RuntimeAddress::Unix(_) => None,
        });
        let frontends = config.frontends.iter().flat_map(Frontend::addresses);
        let listen = frontends.chain(stats.copied()).chain(runtime);
        // A socket that was given to us needs no right of ours.
        let is_low = |address: &ListenAddress| address.port().is_some_and(|port| port < below);
        Self { below, bound: listen.filter(is_low).collect() }
    }
}

impl Applied {
    /// Whether this configuration can be served without anything that was given up; otherwise each reason, in words.
    pub fn permits(&self, config: &Config) -> Result<(), Vec<String>> {
        let mut reasons = self.changed_keys(config);
        reasons.extend(self.missing_ports(config));
        if let Part::On((_, allowed)) = &self.files {
            reasons.extend(missing_files(allowed, &self.sockets, config));
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// Whether a file can be read, as a reload does before it has a configuration to ask about.
    pub fn reads(&self, file: &Path) -> Result<(), String> {
        let name = file.display();
        match (&self.process.chroot, &self.files) {
            (Some(root), _) if !file.exists() => {
                Err(format!("{name} is not in {} (process.chroot), all that the process sees", root.display()))
            }
            (_, Part::On((_, allowed))) if !allowed.reads(file) => Err(format!(
                "{name} is in no directory that the sandbox allows; move it beside the configuration, or restart"
            )),
            _ => Ok(()),
        }
    }

    /// Whether another version of the program can be started in place of this one.
    pub fn upgrades(&self) -> Result<(), String> {
        match &self.process.chroot {
            Some(root) => Err(format!(
                "the process sees {} alone (process.chroot), where there is no program to start; restart it instead",
                root.display()
            )),
            None => Ok(()),
        }
    }

    /// What holds, for the log: `landlock ABI 7, seccomp, no_new_privs`.
    pub fn sandbox(&self) -> String {
        let files = match &self.files {
            Part::On((version, _)) => Some(format!("landlock ABI {version}")),
            _ => None,
        };
        let calls = matches!(self.calls, Part::On(())).then(|| "seccomp".to_owned());
        let no_new_privs = self.privileges.no_new_privs.then(|| "no_new_privs".to_owned());
        let parts: Vec<String> = [files, calls, no_new_privs].into_iter().flatten().collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }

    /// The capabilities that are left, for the log: `none`, or their names.
    pub fn capabilities(&self) -> String {
        names(self.privileges.capabilities)
    }

    /// What was wanted and couldn't be had, for the log; `None` if there is nothing.
    pub fn missing(&self) -> Option<String> {
        let mut missing = Vec::new();
        if let Part::Missing(reason) = &self.files {
            missing.push(format!("landlock: {reason}"));
        }
        if let Part::Missing(reason) = &self.calls {
            missing.push(format!("seccomp: {reason}"));
        }
        if !self.privileges.no_new_privs {
            missing.push("no_new_privs: the kernel has none".to_owned());
        }
        if !self.privileges.unwanted.is_empty() {
            missing.push(format!("capabilities that could not be given up: {}", names(self.privileges.unwanted)));
        }
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    /// Keys that are looked at once, at the start.
    fn changed_keys(&self, config: &Config) -> Vec<String> {
        let (was, is) = (&self.process, &config.process);
        let keys = [
            ("process.user", was.user != is.user),
            ("process.group", was.group != is.group),
            ("process.chroot", was.chroot != is.chroot),
            ("process.keep_bind", was.keep_bind != is.keep_bind),
            ("security.sandbox", self.security.sandbox != config.security.sandbox),
            ("security.connect", self.security.connect != config.security.connect),
        ];
        let changed = keys.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(key, _)| format!("{key} is settled at the start; restart to change it")).collect()
    }

    fn missing_ports(&self, config: &Config) -> Vec<String> {
        if !self.privileges.capabilities.is_empty() {
            return Vec::new();
        }
        let wanted = LowPorts::of(config, self.low_ports.below).bound;
        let new = wanted.difference(&self.low_ports.bound);
        let reason = |address: &ListenAddress| {
            format!(
                "listening on {address} needs the right to bind ports below {}, which was given up at the start; set \
                 process.keep_bind = true and restart",
                self.low_ports.below
            )
        };
        new.map(reason).collect()
    }
}

fn missing_files(allowed: &Allowed, made: &BTreeSet<PathBuf>, config: &Config) -> Vec<String> {
    let lacks = |socket: &Path| !made.contains(socket) && !allowed.makes_socket(socket);
    let mut reasons: Vec<String> = config
        .files()
        .into_iter()
        .filter(|file| !allowed.reads(file))
        .map(|file| format!("{} is in no directory that the sandbox allows; restart to use it", file.display()))
        .collect();
    if let Some(admin) = &config.admin
        && lacks(&admin.socket)
    {
        let socket = admin.socket.display();
        reasons
            .push(format!("the admin socket {socket} is in no directory that the sandbox allows; restart to move it"));
    }
    for file in files::runtime_files(config).filter(|file| lacks(file)) {
        let file = file.display();
        reasons
            .push(format!("the runtime socket {file} is in no directory that the sandbox allows; restart to move it"));
    }
    for file in files::session_files(config).filter(|file| lacks(file)) {
        let file = file.display();
        reasons.push(format!(
            "the unix socket {file} is in no directory that the sandbox allows; restart to listen there"
        ));
    }
    if let (Some(allowed), Some(wanted)) = (&allowed.connect, files::ports(config)) {
        let new = wanted.difference(allowed);
        reasons.extend(new.map(|port| {
            format!("port {port} is not among those that security.connect = \"servers\" found at the start; restart to use it")
        }));
    }
    reasons
}

fn names(capabilities: rustix::thread::CapabilitySet) -> String {
    let names: Vec<String> = capabilities.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Gid, Uid};
    use rustix::thread::CapabilitySet;

    use super::*;
    use crate::config;

    fn config(more: &str) -> Config {
        let text = format!("preset = 'k0s'\ncontrollers = ['10.10.0.2']\n{more}");
        config::parse(&text, "/etc/evenkeel/evenkeel.toml").unwrap_or_else(|report| panic!("{report:?}"))
    }

    /// A process that was started with this configuration, on a kernel that can do everything.
    fn applied(more: &str) -> Applied {
        let config = config(more);
        let low_ports = LowPorts::of(&config, 1024);
        let capabilities = match config.process.keep_bind || !low_ports.bound.is_empty() {
            true => CapabilitySet::NET_BIND_SERVICE,
            false => CapabilitySet::empty(),
        };
        Applied {
            privileges: Privileges {
                user: Uid::from_raw(101),
                group: Gid::from_raw(104),
                capabilities,
                unwanted: CapabilitySet::empty(),
                no_new_privs: true,
            },
            files: Part::On((7, Allowed::needed_by(&config, Path::new("/etc/evenkeel/evenkeel.toml")))),
            calls: Part::On(()),
            layers: Layers::default(),
            low_ports,
            sockets: files::sockets(&config),
            process: config.process,
            security: config.security,
            lost: Vec::new(),
        }
    }

    /// The one reason why a process that was started with `was` does not take `is` on.
    fn reason(was: &str, is: &str) -> String {
        let reasons = applied(was).permits(&config(is)).unwrap_err();
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        reasons.into_iter().next().unwrap()
    }

    const LISTEN_443: &str = "[[frontend]]\nname = 'tls'\nlisten = ':443'\nbackend = 'kubeAPI_backend'\n";

    #[test]
    fn what_needs_no_more_is_permitted() {
        let more = "[[frontend]]\nname = 'kubeAPI'\nlisten = ':7443'\n[[backend]]\nname = 'other'\n\
                    servers = ['controller.example:6443']\n[limits]\nmax_sessions = 5\n";
        assert_eq!(applied("").permits(&config(more)), Ok(()));
        assert_eq!(applied(LISTEN_443).permits(&config(LISTEN_443)), Ok(()));
        assert_eq!(applied(LISTEN_443).permits(&config("")), Ok(()));
    }

    #[test]
    fn a_low_port_needs_the_right_to_bind_it() {
        let said = reason("", LISTEN_443);
        assert!(said.contains(":443") && said.contains("process.keep_bind = true"), "{said}");
        let keep = "[process]\nkeep_bind = true\n";
        assert_eq!(applied(keep).permits(&config(&format!("{LISTEN_443}{keep}"))), Ok(()));
        // One that is bound stays bound, whatever rights there are.
        let mut activated = applied(LISTEN_443);
        activated.privileges.capabilities = CapabilitySet::empty();
        assert_eq!(activated.permits(&config(LISTEN_443)), Ok(()));
        // In a container every port may be bound by everyone.
        let mut open = applied("");
        open.low_ports.below = 0;
        assert_eq!(open.permits(&config(LISTEN_443)), Ok(()));
    }

    #[test]
    fn what_is_settled_at_the_start_can_not_change() {
        for (key, section) in [
            ("process.user", "[process]\nuser = 'haproxy'"),
            ("process.group", "[process]\ngroup = 5"),
            ("process.chroot", "[process]\nchroot = '/var/empty'"),
            ("process.keep_bind", "[process]\nkeep_bind = true"),
            ("security.sandbox", "[security]\nsandbox = false"),
            ("security.connect", "[security]\nconnect = 'servers'"),
        ] {
            let said = reason("", section);
            assert!(said.starts_with(key) && said.contains("restart"), "{said}");
        }
    }

    #[test]
    fn an_admin_socket_stays_in_its_directory() {
        let at = |socket: &str| format!("[admin]\nsocket = '{socket}'");
        let was = at("/run/evenkeel/admin.sock");
        assert_eq!(applied(&was).permits(&config(&at("/run/evenkeel/other.sock"))), Ok(()));
        // Where it is among others', nothing can be made, and it is there already.
        let shared = at("/run/admin.sock");
        assert_eq!(applied(&shared).permits(&config(&shared)), Ok(()));
        assert!(reason(&was, &at("/run/elsewhere/admin.sock")).contains("/run/elsewhere/admin.sock"));
        // Without the sandbox it may go anywhere.
        let mut free = applied(&was);
        free.files = Part::Missing("the kernel has none".to_owned());
        assert_eq!(free.permits(&config(&at("/run/elsewhere/admin.sock"))), Ok(()));
    }

    #[test]
    fn files_come_from_allowed_directories() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "secret").unwrap();
        let check = format!(
            "[[backend]]\nname = 'kubeAPI_backend'\ncheck = {{ type = 'kube-apiserver', verify = 'none', \
             token_file = '{}' }}",
            token.display()
        );
        assert!(reason("", &check).contains(&token.display().to_string()));
        assert_eq!(applied(&check).permits(&config(&check)), Ok(()));
        assert_eq!(applied("").reads(Path::new("/etc/evenkeel/ca.crt")), Ok(()));
        assert!(applied("").reads(&token).unwrap_err().contains("move it beside the configuration"));
    }

    #[test]
    fn ports_to_connect_to_are_fixed_where_that_was_asked_for() {
        let servers = "[security]\nconnect = 'servers'\n";
        let more = "[[backend]]\nname = 'other'\nservers = ['10.10.0.9:7443']\n";
        assert!(reason(servers, &format!("{more}{servers}")).starts_with("port 7443"));
        assert_eq!(applied("").permits(&config(more)), Ok(()));
    }

    #[test]
    fn a_new_root_has_no_program_and_not_every_file() {
        let chroot = applied("[process]\nchroot = '/var/empty'");
        assert!(chroot.upgrades().unwrap_err().contains("/var/empty"));
        assert!(chroot.reads(Path::new("/no-such/evenkeel.toml")).unwrap_err().contains("process.chroot"));
        assert_eq!(applied("").upgrades(), Ok(()));
    }

    #[test]
    fn what_is_on_and_what_is_not_is_said() {
        let mut applied = applied(LISTEN_443);
        assert_eq!(applied.sandbox(), "landlock ABI 7, seccomp, no_new_privs");
        assert_eq!((applied.capabilities().as_str(), applied.missing()), ("net_bind_service", None));
        applied.files = Part::Missing("the kernel has none".to_owned());
        applied.calls = Part::Off;
        applied.privileges.unwanted = CapabilitySet::SYS_ADMIN;
        assert_eq!(applied.sandbox(), "no_new_privs");
        let missing = applied.missing().unwrap();
        assert_eq!(missing, "landlock: the kernel has none; capabilities that could not be given up: sys_admin");
    }
}
