//! HAProxy 3.2, with the Debian around it that it needs: tests/run unpacks it.

use std::path::Path;
use std::process::Command;

use super::program::output;

/// Where that Debian is; HAProxy sees nothing else.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/compare/forky");

const PROGRAM: &str = "/usr/sbin/haproxy";

/// It, run by this `chroot`.
pub fn haproxy(chroot: &Command) -> Command {
    assert!(Path::new(ROOT).join(&PROGRAM[1..]).exists(), "no HAProxy 3.2 in {ROOT}: tests/run unpacks it");
    let mut command = Command::new(chroot.get_program());
    command.args(chroot.get_args()).arg(ROOT).arg(PROGRAM);
    command
}

/// What it says its version is.
pub fn version() -> String {
    first_line(haproxy(&Command::new("chroot")).arg("-v"))
}

/// The first line of what a program prints.
pub fn first_line(command: &mut Command) -> String {
    let text = String::from_utf8_lossy(&output(command).stdout).into_owned();
    text.lines().next().unwrap_or("it says nothing").to_owned()
}
