//! What evenkeel writes for HAProxy is held against HAProxy 3.2 itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use evenkeel::config;

use crate::harness::haproxy::{ROOT, haproxy};
use crate::harness::program::output;

/// TOML that has a word for everything that HAProxy has one for, too.
const RICH: &str = include_str!("../config/rich.toml");

/// A directory that HAProxy sees, which ends with the test.
fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::Builder::new().prefix("export-").tempdir_in(Path::new(ROOT).join("tmp")).unwrap();
    let inside = Path::new("/tmp").join(directory.path().file_name().unwrap());
    (directory, inside)
}

/// What HAProxy says of what is written of a configuration, which must be nothing.
fn is_taken(name: &str, toml: &str) {
    let (directory, inside) = directory();
    let file = directory.path().join("evenkeel.toml");
    fs::write(&file, toml).unwrap();
    let (text, _) = config::export(&file).unwrap_or_else(|report| panic!("{report}"));
    fs::write(directory.path().join("haproxy.cfg"), &text).unwrap();
    let mut check = haproxy(&Command::new("chroot"));
    check.arg("-c").arg("-f").arg(inside.join("haproxy.cfg"));
    let said = output(&mut check);
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && !words.contains("[ALERT]"), "{name}: {words}\n{text}");
    assert!(!words.contains("[WARNING]"), "{name}: {words}\n{text}");
}

#[test]
#[ignore = "needs HAProxy 3.2 and root: tests/run runs it"]
fn haproxy_takes_what_is_written_for_it() {
    for file in ["config/evenkeel.toml", "config/minimal.toml", "config/reference.toml"] {
        is_taken(file, &fs::read_to_string(file).unwrap());
    }
    for preset in ["k0s", "kubeadm", "rke2", "k3s"] {
        is_taken(preset, &format!("preset = '{preset}'\ncontrollers = ['10.10.0.2', 'fd00::2']\n"));
    }
    is_taken("rich.toml", RICH);
}
