//! HAProxy as the cluster guide's file has it: the same limits, timeouts, checks and one record for each session.

use std::fmt::Write;
use std::process::Command;

use anyhow::Result;

use super::records::Records;
use super::{Kind, Plan, Programs, Setting};
use crate::wire;

pub(super) const PROGRAM: &str = "/usr/sbin/haproxy";

/// Frontends in the order of their ports.
const NAMES: [&str; 3] = ["kubeAPI", "konnectivity", "controllerJoinAPI"];

/// Servers in the order of their numbers.
const SERVERS: [&str; 3] = ["k0s-ch-sion-1", "k0s-at-vie-1", "k0s-de-fra-1"];

pub(super) fn plan(kind: Kind, setting: Setting, programs: &Programs) -> Result<Plan> {
    let name = kind.name();
    let (mut command, outside, inside) = if kind == Kind::Haproxy26 {
        (Command::new(PROGRAM), programs.scratch.clone(), programs.scratch.clone())
    } else {
        // It runs with the forky beside this system as its root; what it needs to see is put there.
        let mut command = Command::new("chroot");
        command.arg(&programs.forky).arg(PROGRAM);
        (command, programs.forky.join("run"), "/run".into())
    };
    let (file, socket) = (format!("compare-{name}.cfg"), format!("compare-{name}.sock"));
    let configuration = configuration(kind, setting, &inside.join(&socket).display().to_string());
    std::fs::write(outside.join(&file), &configuration)?;
    let records = Records::from_socket(&outside.join(&socket))?;
    command.args(["-db", "-f"]).arg(inside.join(&file));
    Ok(Plan { command, configuration, records })
}

fn configuration(kind: Kind, setting: Setting, log: &str) -> String {
    let place = kind.place();
    let (process, frontend) = setting.sessions;
    let mut text = format!(
        "global\n    log {log} local2\n    maxconn {process}\n    nbthread {}\n{}\
         defaults\n    mode tcp\n    log global\n    option tcplog\n    option dontlognull\n    timeout connect 10s\n    \
         timeout client 86400s\n    timeout server 86400s\n    timeout tunnel 86400s\n    maxconn {frontend}\n{}",
        setting.threads,
        match kind {
            // It keeps two descriptors for each pipe, and a pipe for every fourth session unless told otherwise; idle
            // sessions have none.
            Kind::Haproxy32Splice if setting.is_crowded() => "    tune.pipesize 1048576\n    maxpipes 200\n",
            Kind::Haproxy32Splice => "    tune.pipesize 1048576\n",
            Kind::Haproxy32Buffer => "    tune.bufsize 262144\n",
            _ => "",
        },
        if kind == Kind::Haproxy32Splice { "    option splice-auto\n" } else { "" },
    );
    let address = wire::frontend(place);
    for (name, port) in NAMES.iter().zip(wire::PORTS) {
        let _ = writeln!(text, "frontend {name}\n    bind {address}:{port}\n    default_backend {name}_backend");
        let _ = writeln!(text, "backend {name}_backend\n    balance leastconn");
        for (number, server) in (0..wire::SERVERS).zip(SERVERS) {
            let (address, check) = (wire::server(place, number), wire::CHECK_PORT);
            let _ = writeln!(text, "    server {server} {address}:{port} check check-ssl verify none port {check}");
        }
    }
    let _ = writeln!(text, "listen stats\n    bind {address}:9000\n    mode http\n    stats enable\n    stats uri /");
    text
}
