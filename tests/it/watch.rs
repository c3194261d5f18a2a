//! `run --watch`: other content of the file is a reload.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::app::{BINARY, Config};
use crate::harness::peers::{Manual, Peer, Server, connect};
use crate::harness::program::Program;

/// A ConfigMap as a kubelet mounts it: the file is a link through `..data`, which it swaps as a whole.
struct Volume(TempDir);

impl Volume {
    fn with(config: &Config) -> Self {
        let volume = Self(tempfile::tempdir().unwrap());
        volume.swap("..1", &config.text());
        symlink("..data/evenkeel.toml", volume.0.path().join("evenkeel.toml")).unwrap();
        volume
    }

    fn swap(&self, time: &str, text: &str) {
        let at = |name: &str| self.0.path().join(name);
        fs::create_dir(at(time)).unwrap();
        fs::write(at(time).join("evenkeel.toml"), text).unwrap();
        symlink(time, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    }

    fn launch(&self, more: &[&str]) -> Program {
        let program =
            Program::start(Command::new(BINARY).arg("run").args(more).arg(self.0.path().join("evenkeel.toml")));
        program.wait_for("serving");
        program
    }
}

fn to(server: SocketAddr, like: &Config) -> Config {
    let text = Config::to(&[server]).listen(&like.front().to_string(), like.front());
    text.on_stats(like.stats())
}

#[test]
fn the_swap_of_a_config_map_is_a_reload_and_a_bad_one_changes_nothing() {
    let (old, new) = (Server::echo(), Manual::listen());
    let config = Config::to(&[old.address()]);
    let volume = Volume::with(&config);
    let app = volume.launch(&["--watch"]);
    let mut staying = connect(config.front());
    staying.say("before");
    staying.hears("before");
    volume.swap("..2", &to(new.address(), &config).text());
    let from = reloaded(&app, 0, "reloaded");
    let client = connect(config.front());
    let _served = new.accept();
    staying.say("after");
    staying.hears("after");
    volume.swap("..3", "[[frontend]]\nnam = \"front\"\n");
    reloaded(&app, from, "not reloaded");
    let _more = connect(config.front());
    let _served = new.accept();
    drop(client);
}

/// Waits for this outcome of a change of the file; gives the number of the line behind it.
fn reloaded(app: &Program, from: usize, outcome: &str) -> usize {
    let is = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == outcome && line["by"] == "a change of the file").then_some(())
    };
    app.find(outcome, from, is).0
}

#[test]
fn without_being_asked_nothing_is_watched() {
    let (old, new) = (Server::echo(), Manual::listen());
    let config = Config::to(&[old.address()]);
    let volume = Volume::with(&config);
    let app = volume.launch(&[]);
    volume.swap("..2", &to(new.address(), &config).text());
    // Asked by a signal it does reload, and that is the only reload there was.
    app.signal(rustix::process::Signal::HUP);
    app.wait_for("reloaded");
    let reloads: Vec<_> = app.printed().into_iter().filter(|line| line.contains("reloaded")).collect();
    assert!(reloads.len() == 1 && reloads[0].contains("SIGHUP"), "{reloads:?}");
}
