//! nginx with its stream module: no active checks, which it hasn't got, but the same balancing and records.

use std::fmt::Write;
use std::process::Command;

use anyhow::Result;

use super::records::Records;
use super::{Kind, Plan, Programs, Setting};
use crate::wire;

pub(super) const PROGRAM: &str = "/usr/sbin/nginx";

pub(super) fn plan(kind: Kind, setting: Setting, programs: &Programs) -> Result<Plan> {
    let name = kind.name();
    let file = programs.scratch.join(format!("{name}.conf"));
    let socket = programs.scratch.join(format!("{name}.sock"));
    let errors = programs.scratch.join(format!("{name}.err"));
    let pid = programs.scratch.join(format!("{name}.pid"));
    let configuration = format!(
        "daemon off;\nuser root;\npid {};\nerror_log {} error;\nload_module /usr/lib/nginx/modules/ngx_stream_module.so;\n{}",
        pid.display(),
        errors.display(),
        configuration(kind, setting, &socket.display().to_string())
    );
    std::fs::write(&file, &configuration)?;
    let records = Records::from_socket(&socket)?;
    let mut command = Command::new(PROGRAM);
    command.arg("-p").arg(programs.scratch.clone()).arg("-c").arg(&file);
    // Before it has read its file it wants to write elsewhere.
    command.arg("-e").arg(&errors);
    Ok(Plan { command, configuration, records })
}

fn configuration(kind: Kind, setting: Setting, log: &str) -> String {
    let place = kind.place();
    let mut text = format!(
        "worker_processes {};\nworker_rlimit_nofile 20000;\nevents {{ worker_connections 19900; }}\nstream {{\n    \
         log_format session '$remote_addr:$remote_port $server_port $upstream_addr $session_time $bytes_received \
         $bytes_sent $status';\n    access_log syslog:server=unix:{log},nohostname session;\n    \
         proxy_connect_timeout 10s;\n    proxy_timeout 86400s;\n    proxy_half_close on;\n",
        setting.threads
    );
    if kind == Kind::NginxBuffer {
        text.push_str("    proxy_buffer_size 256k;\n");
    }
    for port in wire::PORTS {
        let servers = (0..wire::SERVERS).fold(String::new(), |list, number| {
            format!("{list} server {}:{port} max_fails=0;", wire::server(place, number))
        });
        let address = wire::frontend(place);
        let _ = writeln!(text, "    upstream servers_{port} {{ least_conn;{servers} }}");
        let _ = writeln!(text, "    server {{ listen {address}:{port} backlog=4096; proxy_pass servers_{port}; }}");
    }
    text.push_str("}\n");
    text
}
