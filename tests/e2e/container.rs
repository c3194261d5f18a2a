//! The image: built from the Containerfile, and run as its users run it, by podman.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::http;
use crate::harness::namespace::Host;
use crate::harness::peers::{Peer, Server, connect};
use crate::harness::program::{Program, output, run};
use crate::harness::wait::until;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const IMAGE: &str = "localhost/evenkeel:test";

/// Most bytes of the image.
const LARGEST: u64 = 12_000_000;

/// All of podman's, in a directory that goes away with the test, and a network for one container.
struct Podman {
    directory: TempDir,
    host: Host,
}

impl Podman {
    /// With the image built. Its first stage, which compiles, is replaced by what it makes: the static binary, as tests/run
    /// has built it with the same options.
    fn with_image() -> Self {
        let podman = Self { directory: tempfile::tempdir().unwrap(), host: Host::new("container") };
        let binary = format!("{REPOSITORY}/target/{}-unknown-linux-gnu/release/evenkeel", std::env::consts::ARCH);
        assert!(Path::new(&binary).exists(), "no static binary in {binary}: tests/run e2e builds it");
        let stage = podman.fresh("stage/out");
        podman.fresh("stage/out/run/evenkeel");
        run(Command::new("strip").arg("-o").arg(stage.join("evenkeel")).arg(binary));
        let mut build = podman.command("build");
        build.args(["--pull=never", "--network=none", "--format=docker", "--target=runtime", "--tag", IMAGE]);
        build.arg(format!("--build-context=build={}", stage.parent().unwrap().display()));
        run(build.arg(format!("--file={REPOSITORY}/Containerfile")).arg(podman.fresh("context")));
        podman
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let directory = self.directory.path().join(name);
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(self.directory.path().join("root"));
        podman.arg("--runroot").arg(self.directory.path().join("run"));
        podman.args(["--cgroup-manager=cgroupfs", "--runtime=runc", subcommand]);
        // Checks of health are run by systemd's timers, or else when they are asked for.
        podman.env("DISABLE_HC_SYSTEMD", "true");
        podman
    }

    /// A field of what podman knows of the image.
    fn image(&self, field: &str) -> String {
        let format = format!("--format={{{{{field}}}}}");
        run(self.command("image").args(["inspect", &format, IMAGE])).trim().to_owned()
    }

    /// Runs the image with this configuration, and without any right that isn't given here.
    fn run(&self, configuration: &str, rights: &[&str]) -> Container<'_> {
        self.run_as(configuration, rights, &[])
    }

    /// As [`Podman::run`], with a command line in the place of the image's.
    fn run_as(&self, configuration: &str, rights: &[&str], arguments: &[String]) -> Container<'_> {
        fs::write(self.mounted().join("evenkeel.toml"), configuration).unwrap();
        let mut run = self.command("run");
        run.args(["--name=evenkeel", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]);
        // Where tests run, the limits of a container's defaults can't be reached.
        run.args(["--ulimit=nofile=16384:16384", "--ulimit=nproc=8192:8192", "--log-driver=none"]);
        run.arg(format!("--network=ns:/run/netns/{}", self.host.name()));
        run.arg(format!("--volume={}:/etc/evenkeel:ro", self.mounted().display()));
        Container { program: Program::start(run.args(rights).arg(IMAGE).args(arguments)), podman: self }
    }

    /// The directory of the configuration, which the container sees as /etc/evenkeel.
    fn mounted(&self) -> PathBuf {
        self.fresh("etc")
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        output(self.command("rm").args(["--all", "--force", "--time=0"]));
        // The groups that podman puts all containers into stay, empty; those that are in use can't be removed.
        let trees = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|tree| tree.path());
        for tree in trees.chain([PathBuf::from("/sys/fs/cgroup")]) {
            let _ = fs::remove_dir(tree.join("libpod_parent/conmon"));
            let _ = fs::remove_dir(tree.join("libpod_parent"));
        }
    }
}

/// A container that runs, as podman in the foreground.
struct Container<'a> {
    program: Program,
    podman: &'a Podman,
}

impl Container<'_> {
    /// A field of what podman knows of it.
    fn inspect(&self, field: &str) -> String {
        let format = format!("--format={{{{{field}}}}}");
        run(self.podman.command("inspect").args([&format, "evenkeel"])).trim().to_owned()
    }

    /// What the kernel says of its process.
    fn status(&self) -> String {
        fs::read_to_string(format!("/proc/{}/status", self.inspect(".State.Pid"))).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.inspect(".State.Pid").parse().ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(pid, signal).unwrap();
    }

    /// Runs the image's check of health; its exit code, and what podman makes of it.
    fn health(&self) -> (Option<i32>, String) {
        let check = output(self.podman.command("healthcheck").args(["run", "evenkeel"]));
        (check.status.code(), self.inspect(".State.Health.Status"))
    }

    /// The set of its capabilities, one bit each.
    fn capabilities(&self, set: &str) -> u64 {
        let status = self.status();
        let line = status.lines().find_map(|line| line.strip_prefix(set)).expect("a set of capabilities");
        u64::from_str_radix(line.trim(), 16).unwrap()
    }
}

fn configuration(listen: &str, server: SocketAddr) -> String {
    format!(
        "[stats]\nlisten = \":9000\"\n[[frontend]]\nname = \"api\"\nlisten = \"{listen}\"\nbackend = \"servers\"\n\
         [[backend]]\nname = \"servers\"\ncheck = \"off\"\nservers = [\"{server}\"]\n"
    )
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_image_is_small_and_says_how_it_is_run() {
    let podman = Podman::with_image();
    let size: u64 = podman.image(".Size").parse().unwrap();
    assert!(size <= LARGEST, "{size} bytes");
    assert_eq!(podman.image(".Config.User"), "65532:65532");
    assert_eq!(podman.image(".Config.StopSignal"), "SIGTERM");
    let exposed = podman.image(".Config.ExposedPorts");
    assert!(["6443", "8132", "9443", "9000"].iter().all(|port| exposed.contains(port)), "{exposed}");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn it_serves_without_rights_on_a_root_that_it_cannot_write_and_ends_in_order() {
    let podman = Podman::with_image();
    let server = podman.host.on(|| Server::echo_on(at(7000)));
    let mut container = podman.run(&configuration(":6443", server.address()), &[]);
    container.program.wait_for("serving");
    let mut client = podman.host.on(|| connect(at(6443)));
    client.say("through the container");
    client.hears("through the container");
    assert_eq!(podman.host.on(|| http::get(at(9000), "/livez").expect("it answers").status), 200);
    let status = container.status();
    assert!(status.contains("Uid:\t65532\t65532\t65532\t65532") && status.contains("NoNewPrivs:\t1"), "{status}");
    for set in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:", "CapInh:"] {
        assert_eq!(container.capabilities(set), 0, "{set}");
    }
    let stopped = thread::scope(|scope| {
        let stop = scope.spawn(|| run(podman.command("stop").args(["--time=30", "evenkeel"])));
        client.sees_fin();
        stop.join().is_ok()
    });
    assert!(stopped);
    assert_eq!(container.program.ended().code(), Some(0));
    assert!(container.program.printed().iter().any(|line| line.contains("stopped")), "its own last word");
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_port_below_1024_needs_one_capability_and_gets_no_other() {
    let podman = Podman::with_image();
    let server = podman.host.on(|| Server::echo_on(at(7000)));
    let configuration = configuration(":443", server.address());
    {
        let mut without = podman.run(&configuration, &["--rm"]);
        assert_eq!(without.program.ended().code(), Some(1));
        without.program.wait_for("ports below 1024 need CAP_NET_BIND_SERVICE");
    }
    let container = podman.run(&configuration, &["--cap-add=NET_BIND_SERVICE"]);
    container.program.wait_for("serving");
    let mut client = podman.host.on(|| connect(at(443)));
    client.say("below 1024");
    client.hears("below 1024");
    assert_eq!(container.capabilities("CapEff:"), 1 << 10);
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn servers_have_names_in_an_image_that_holds_nothing() {
    let podman = Podman::with_image();
    let address = IpAddr::from([127, 0, 0, 1]);
    let server = podman.host.on(|| Server::echo_on((address, 7000).into()));
    let named = configuration(":6443", server.address()).replace("127.0.0.1:7000", "controller.test:7000");
    let container = podman.run(&named, &[&format!("--add-host=controller.test:{address}")]);
    container.program.wait_for("serving");
    until("a client is served", || {
        podman.host.on(|| {
            let mut client = connect(at(6443));
            client.sends_fin();
            let mut answer = Vec::new();
            std::io::Read::read_to_end(&mut client, &mut answer).ok()
        })
    });
}

#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_refused_configuration_ends_it_with_the_place_of_the_mistake() {
    let podman = Podman::with_image();
    let mut container = podman.run("[[frontend]]\nnam = \"api\"\n", &[]);
    assert_eq!(container.program.ended().code(), Some(2));
    container.program.wait_for("/etc/evenkeel/evenkeel.toml:2:1");
}

/// The command line of the static pod, on a file that is replaced while it runs.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn the_static_pod_follows_its_mounted_file() {
    let manifest = include_str!("../../docs/static-pod.yaml");
    let arguments = manifest.lines().find_map(|line| line.trim().strip_prefix("args: ")).expect("a command line");
    let arguments: Vec<String> = serde_json::from_str(arguments).unwrap();
    let podman = Podman::with_image();
    let servers =
        podman.host.on(|| [("one", 7001), ("other", 7002)].map(|(name, port)| Server::named_on(name, at(port))));
    let container = podman.run_as(&configuration(":6443", servers[0].address()), &[], &arguments);
    container.program.wait_for("serving");
    let mut staying = podman.host.on(|| connect(at(6443)));
    staying.hears("one");
    let fresh = podman.mounted().join("fresh");
    fs::write(&fresh, configuration(":6443", servers[1].address())).unwrap();
    fs::rename(&fresh, podman.mounted().join("evenkeel.toml")).unwrap();
    container.program.wait_for(" reloaded");
    podman.host.on(|| connect(at(6443))).hears("other");
    staying.say("still here");
    staying.hears("still here");
}

/// As a kubelet mounts a ConfigMap: what is replaced is a link to a directory.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn a_mounted_configmap_that_is_swapped_is_seen() {
    let podman = Podman::with_image();
    let servers =
        podman.host.on(|| [("one", 7001), ("other", 7002)].map(|(name, port)| Server::named_on(name, at(port))));
    let mounted = podman.mounted();
    fs::create_dir(mounted.join("..one")).unwrap();
    symlink("..one", mounted.join("..data")).unwrap();
    fs::write(mounted.join("..one/evenkeel.toml"), "").unwrap();
    symlink("..data/evenkeel.toml", mounted.join("evenkeel.toml")).unwrap();
    let arguments = ["run", "--watch", "--config", "/etc/evenkeel/evenkeel.toml"].map(str::to_owned);
    let container = podman.run_as(&configuration(":6443", servers[0].address()), &[], &arguments);
    container.program.wait_for("serving");
    podman.host.on(|| connect(at(6443))).hears("one");
    fs::create_dir(mounted.join("..other")).unwrap();
    fs::write(mounted.join("..other/evenkeel.toml"), configuration(":6443", servers[1].address())).unwrap();
    symlink("..other", mounted.join("..data_tmp")).unwrap();
    fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
    fs::remove_dir_all(mounted.join("..one")).unwrap();
    container.program.wait_for(" reloaded");
    podman.host.on(|| connect(at(6443))).hears("other");
}

/// By the admin socket where there is one, and by the stats page where not. Mutation seen to fail: no HEALTHCHECK.
#[test]
#[ignore = "needs Debian packages and root: tests/run runs it"]
fn it_is_healthy_while_it_serves_and_not_while_it_is_stopped() {
    let podman = Podman::with_image();
    let healthy = (Some(0), "healthy".to_owned());
    for admin in ["", "[admin]\nsocket = \"/run/evenkeel/admin.sock\"\n"] {
        let server = podman.host.on(|| Server::echo_on(at(7000)));
        let container = podman.run(&format!("{}{admin}", configuration(":6443", server.address())), &["--rm"]);
        container.program.wait_for("serving");
        assert_eq!(container.health(), healthy, "{admin}");
        if !admin.is_empty() {
            let status = run(podman.command("exec").args(["evenkeel", "/evenkeel", "status"]));
            assert!(status.contains("api") && status.contains("servers"), "{status}");
        }
        container.signal(Signal::STOP);
        // The image's number of tries, each with the command's own patience.
        let tries = [(); 3].map(|()| container.health());
        assert!(tries.iter().all(|(code, _)| *code == Some(1)), "{tries:?}");
        assert_eq!(tries[2].1, "unhealthy");
        container.signal(Signal::CONT);
        assert_eq!(container.health(), healthy, "{admin}");
    }
}

/// Every file that the sources include, and every directory that cargo asks for, is there when the image's first stage
/// compiles.
#[test]
fn the_first_stage_has_all_that_the_sources_include() {
    let read = |file: &str| fs::read_to_string(Path::new(REPOSITORY).join(file)).unwrap();
    let (containerfile, ignored) = (read("Containerfile"), read(".containerignore"));
    let copied: Vec<&str> =
        containerfile.lines().filter_map(|line| line.strip_prefix("COPY ")?.split(' ').next()).collect();
    let admitted: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut included = vec!["src".to_owned(), "tests".to_owned(), "benches".to_owned(), "templates".to_owned()];
    for file in sources(&Path::new(REPOSITORY).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        // What is only for tests stands at the end of a file.
        let text = text.split("#[cfg(test)]").next().unwrap();
        for path in text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let whole = file.parent().unwrap().join(path).canonicalize().unwrap();
            let whole = whole.strip_prefix(REPOSITORY).expect("it is in the repository");
            included.push(whole.components().next().unwrap().as_os_str().to_string_lossy().into_owned());
        }
    }
    assert!(included.len() > 4, "some are found");
    for directory in included {
        assert!(copied.contains(&directory.as_str()), "{directory} is not copied by the Containerfile");
        assert!(admitted.contains(&directory.as_str()), "{directory} is kept out by .containerignore");
    }
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.into_iter().chain(directories.iter().flat_map(|directory| sources(directory))).collect()
}
