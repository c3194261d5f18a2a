//! A Debian with systemd as its first process: root directory, processes, network and time of starting are its own.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::app::BINARY;
use crate::harness::namespace::inside;
use crate::harness::program::{Program, command, output, run};
use crate::harness::wait::{PATIENCE, until};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The releases of Debian that it is tried on: systemd 252 and 257 differ.
pub const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// A machine that runs, with evenkeel and its units installed. It ends with the test, and so does all that was changed in
/// it.
pub struct Machine {
    program: Program,
    /// Its first process, as this host numbers it.
    leader: u32,
    /// What it has as /usr/lib/evenkeel. On a disk, because all else that is written is kept in memory.
    programs: TempDir,
}

impl Machine {
    /// Boots it, with this configuration in place, and nothing started.
    pub fn boot(release: &str, configuration: &str) -> Self {
        static BOOTED: AtomicUsize = AtomicUsize::new(0);
        let root = format!("{REPOSITORY}/target/debian/{release}");
        assert!(Path::new(&root).join("usr").exists(), "no Debian in {root}: tests/run e2e unpacks it");
        let number = BOOTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("evenkeel-{}-{number}", std::process::id());
        let programs = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::set_permissions(programs.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut boot = command(&format!("unshare --mount {REPOSITORY}/tests/e2e/systemd/boot {root} {name}"));
        let program = Program::start(boot.arg(format!("--bind={}:/usr/lib/evenkeel", programs.path().display())));
        let leader = until("the machine's first process", || leader(program.pid()));
        let machine = Self { program, leader, programs };
        until("the machine is up", || {
            let state = output(machine.enter("systemctl").args(["is-system-running", "--wait"]));
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            assert_ne!(state, "degraded", "{}", machine.run("systemctl", "--failed"));
            (state == "running").then_some(())
        });
        run(&mut command(&format!("nsenter --target {leader} --net ip link set lo up")));
        machine.install(configuration);
        machine
    }

    fn install(&self, configuration: &str) {
        self.replace_program(Path::new(BINARY));
        symlink("../lib/evenkeel/evenkeel", self.root().join("usr/bin/evenkeel")).unwrap();
        for unit in ["evenkeel.service", "evenkeel.socket"] {
            let shipped = fs::read_to_string(format!("{REPOSITORY}/systemd/{unit}")).unwrap();
            self.write(&format!("etc/systemd/system/{unit}"), &shipped);
        }
        self.configure(configuration);
        self.systemctl("daemon-reload");
    }

    /// Puts a copy of this program where evenkeel is installed, as a package does: under another name first.
    pub fn replace_program(&self, program: &Path) {
        let fresh = self.programs.path().join("evenkeel.dpkg-new");
        fs::copy(program, &fresh).unwrap();
        fs::rename(fresh, self.programs.path().join("evenkeel")).unwrap();
    }

    pub fn configure(&self, configuration: &str) {
        self.write("etc/evenkeel/evenkeel.toml", configuration);
    }

    /// Adds to the service's unit what stands below `[Service]`.
    pub fn drop_in(&self, lines: &str) {
        self.write("etc/systemd/system/evenkeel.service.d/test.conf", &format!("[Service]\n{lines}\n"));
        self.systemctl("daemon-reload");
    }

    /// Writes a file; the path begins at the machine's root.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Its root directory, as this host sees it.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader))
    }

    fn enter(&self, program: &str) -> Command {
        let mut command = command(&format!("nsenter --target {} --all", self.leader));
        command.arg(program);
        command
    }

    /// What a program of the machine prints; it must not fail.
    pub fn run(&self, program: &str, arguments: &str) -> String {
        run(self.enter(program).args(arguments.split_whitespace()))
    }

    /// What a script prints; it must not fail.
    pub fn shell(&self, script: &str) -> String {
        run(self.enter("sh").args(["-e", "-c", script]))
    }

    pub fn systemctl(&self, arguments: &str) -> String {
        self.run("systemctl", arguments)
    }

    /// `systemctl …`, however it ends.
    pub fn try_systemctl(&self, arguments: &str) -> Output {
        output(self.enter("systemctl").args(arguments.split_whitespace()))
    }

    /// A property of the service.
    pub fn property(&self, name: &str) -> String {
        self.systemctl(&format!("show --value --property {name} evenkeel.service")).trim().to_owned()
    }

    /// The lines of the service's journal.
    pub fn journal(&self) -> Vec<Value> {
        let lines = self.run("journalctl", "--unit evenkeel --output json --no-pager");
        lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}"))).collect()
    }

    /// Waits for a line of the journal whose message contains this.
    pub fn logs(&self, text: &str) -> String {
        let found = || self.messages().into_iter().find(|message| message.contains(text));
        until(&format!("{text:?} in the journal"), found)
    }

    pub fn messages(&self) -> Vec<String> {
        self.journal().iter().filter_map(|line| Some(line["MESSAGE"].as_str()?.to_owned())).collect()
    }

    /// Its sockets that listen, each as its port and its inode.
    pub fn listening(&self) -> BTreeSet<(u16, u64)> {
        let tables =
            ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{}/net/{table}", self.leader)).unwrap());
        let sockets = tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let port = u16::from_str_radix(fields[1].rsplit(':').next()?, 16).ok()?;
            // TCP_LISTEN, as the kernel numbers states.
            (fields[3] == "0A").then_some((port, fields[9].parse().ok()?))
        });
        sockets.collect()
    }

    /// The file that stands for its network namespace.
    pub fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.leader))
    }

    /// Does something on the machine's network.
    pub fn on<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        inside(&self.network(), act)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.program.signal(Signal::TERM);
        // A service that does not end has its half minute, and what is left then its cgroups cleared away.
        let deadline = Instant::now() + 2 * PATIENCE;
        while self.program.runs() && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(15));
        }
    }
}

/// The first process of the machine that this one boots: the only one of its namespace's number 1 below it.
fn leader(boot: u32) -> Option<u32> {
    let mut candidates = vec![boot];
    while let Some(process) = candidates.pop() {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        let is_first = numbers.split_whitespace().skip(1).last() == Some("1");
        // Before it is systemd, it is still nspawn and has not got its place yet.
        if is_first && status.starts_with("Name:\tsystemd\n") {
            return Some(process);
        }
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
        candidates.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    None
}
