//! A small Debian for each load balancer: its program, the libraries that it needs, its user, and room for its files.
//!
//! So a file may name `/etc/haproxy`, `/run/haproxy/admin.sock`, `/dev/log` and the user `haproxy` whatever this host has.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::namespace::Host;
use crate::harness::program::{command, run};

pub struct Root {
    directory: TempDir,
    /// Where its program is, for itself.
    program: PathBuf,
}

/// Who HAProxy runs as, as Debian has it.
const PASSWD: &str =
    "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nhaproxy:x:101:101::/var/lib/haproxy:/bin/sh\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\nhaproxy:x:101:\n";

const DIRECTORIES: [&str; 8] =
    ["dev", "proc", "tmp", "etc/haproxy", "run/haproxy", "usr/sbin", "var/lib/haproxy/dev", "var/log"];

/// Devices: their names, and their numbers in the kernel.
const DEVICES: [(&str, &str); 3] = [("null", "c 1 3"), ("urandom", "c 1 9"), ("random", "c 1 8")];

impl Root {
    /// With this program of another root.
    pub fn with(program: &Path, of: &Path) -> Self {
        // Beside the program, so that it can be linked instead of copied.
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let name = program.file_name().expect("a program has a name");
        let root = Self { program: Path::new("/usr/sbin").join(name), directory };
        DIRECTORIES.iter().for_each(|name| fs::create_dir_all(root.path(name)).unwrap());
        symlink("../run", root.path("var/run")).unwrap();
        fs::write(root.path("etc/passwd"), PASSWD).unwrap();
        fs::write(root.path("etc/group"), GROUP).unwrap();
        for (name, number) in DEVICES {
            run(&mut command(&format!("mknod -m 666 {} {number}", root.path(&format!("dev/{name}")).display())));
        }
        root.bring(&inside(of, program), &root.program);
        libraries(program, of).iter().for_each(|library| root.bring(&inside(of, library), library));
        root
    }

    /// Where a path of its own is for everybody else.
    pub fn path(&self, own: &str) -> PathBuf {
        inside(self.directory.path(), Path::new(own))
    }

    /// Its program, on a host. What is mounted there is gone with the program, as `ip netns exec` has it.
    pub fn command(&self, host: &Host) -> Command {
        let mut command = host.command("sh");
        command.args(["-c", r#"mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#]);
        command.arg(self.directory.path()).arg(&self.program);
        command
    }

    fn bring(&self, file: &Path, to: &Path) {
        let to = inside(self.directory.path(), to);
        fs::create_dir_all(to.parent().expect("below the root")).unwrap();
        let file = file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if fs::hard_link(&file, &to).is_err() {
            fs::copy(&file, &to).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}

fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// What the program is linked to, and what links it.
fn libraries(program: &Path, of: &Path) -> Vec<PathBuf> {
    let mut ldd = if of == Path::new("/") { command("ldd") } else { command(&format!("chroot {} ldd", of.display())) };
    let lines = run(ldd.arg(program));
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    lines.lines().filter_map(path).collect()
}
