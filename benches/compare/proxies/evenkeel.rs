//! evenkeel runs the shipped configuration, with nothing changed but what the namespace asks for.

use std::process::Command;

use anyhow::{Result, ensure};

use super::records::Records;
use super::{Kind, Plan, Programs, Setting, path_text};
use crate::machine;
use crate::wire;

const SHIPPED: &str = include_str!("../../../config/evenkeel.toml");

pub(super) fn plan(kind: Kind, setting: Setting, programs: &Programs) -> Result<Plan> {
    let file = programs.scratch.join(format!("{}.toml", kind.name()));
    // Two of them run beside each other.
    let socket = programs.scratch.join(format!("{}.sock", kind.name()));
    std::fs::write(&file, configuration(kind.place(), setting, path_text(&socket)?)?)?;
    let program = programs.evenkeel(kind)?;
    let shown = machine::said(program, &["show", path_text(&file)?])?;
    let mut command = Command::new(program);
    command.arg("run").arg(&file);
    Ok(Plan { command, configuration: shown, records: Records::from_output() })
}

/// Addresses are those of the proxy's place; checks go to the port where the servers speak TLS.
fn configuration(place: u8, setting: Setting, admin: &str) -> Result<String> {
    let mut text = SHIPPED.to_owned();
    let mut change = |from: &str, to: &str| {
        ensure!(text.contains(from), "config/evenkeel.toml has no {from}");
        text = text.replace(from, to);
        Ok(())
    };
    let (process, frontend) = setting.sessions;
    change("max_sessions = 4000", &format!("max_sessions = {process}"))?;
    change("max_sessions = 3000", &format!("max_sessions = {frontend}"))?;
    change("/run/evenkeel/admin.sock", admin)?;
    change("verify = \"none\"", &format!("verify = \"none\", port = {}", wire::CHECK_PORT))?;
    for port in wire::PORTS.into_iter().chain([wire::STATS_PORT]) {
        change(&format!("listen = \":{port}\""), &format!("listen = \"{}:{port}\"", wire::frontend(place)))?;
    }
    for number in 0..wire::SERVERS {
        change(&format!("10.10.{number}.2:"), &format!("{}:", wire::server(place, number)))?;
    }
    Ok(format!("{text}\n[process]\nworkers = {}\n", setting.threads))
}
