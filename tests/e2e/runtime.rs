//! The runtime API: what HAProxy 3.2 itself answers, which `tests/it` holds evenkeel against, and the clients that people
//! have.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::haproxy::{ROOT, haproxy};
use crate::harness::program::Program;
use crate::harness::runtime::{GOLDEN, Runtime, Scene};
use crate::harness::wait::until;

/// Writes them anew: `cargo test --test e2e -- --ignored --exact runtime::haproxys_answers_are_written_down`.
#[test]
#[ignore = "needs root and HAProxy 3.2: tests/run --full unpacks it"]
fn haproxys_answers_are_written_down() {
    let scene = Scene::set();
    let directory = tempfile::tempdir_in(Path::new(ROOT).join("tmp")).unwrap();
    let seen = Path::new("/").join(directory.path().strip_prefix(ROOT).unwrap());
    fs::write(directory.path().join("haproxy.cfg"), scene.config(&seen)).unwrap();
    let file = seen.join("haproxy.cfg");
    let _haproxy = Program::start(haproxy(&Command::new("chroot")).arg("-db").arg("-f").arg(file));
    let socket = directory.path().join("admin.sock");
    until("HAProxy's socket", || socket.exists().then_some(()));
    scene.settle(&Runtime::at(&socket));
    fs::write(GOLDEN, scene.play(directory.path())).unwrap();
}
