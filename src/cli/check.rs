//! `evenkeel check`: everything that is wrong with a configuration, and nothing is changed.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigFile, Exit, print_all, refuse, several, tell};
use crate::config::{self, Compared, Examined};
use crate::model::Config;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// Hold the servers against the controllers in this file of k0sctl's or cfctl's
    #[arg(long, value_name = "FILE")]
    cluster: Option<PathBuf>,
}

pub fn run(options: &Options) -> Exit {
    let input = options.file.input();
    match config::examine(&input, options.cluster.as_deref()) {
        Ok(Examined { config, report, cluster }) => {
            tell(&report);
            let findings = report.findings() + cluster.as_ref().map_or(0, |cluster| cluster.report.findings());
            let mut text = format!("{}: fine. {}\n", input.path().display(), contents(&config));
            if let Some(cluster) = &cluster {
                tell(&cluster.report);
                text.push_str(&compared(cluster));
            }
            if findings > 0 {
                text.push_str(&format!("{}: docs/findings.md has more on each\n", several(findings, "finding")));
            }
            print_all(text.as_bytes())
        }
        Err(report) => refuse(&report),
    }
}

fn contents(config: &Config) -> String {
    let servers: usize = config.backends.iter().map(|backend| backend.servers.len()).sum();
    format!(
        "{}, {}, {} on {}",
        several(config.frontends.len(), "frontend"),
        several(config.backends.len(), "backend"),
        several(servers, "server"),
        several(config.hosts.len(), "host"),
    )
}

fn compared(cluster: &Compared) -> String {
    let names = match cluster.named {
        0 => String::new(),
        named => format!("; {} with a host name could not be compared", several(named, "server")),
    };
    format!("{}: {}{names}\n", cluster.name, several(cluster.controllers, "controller"))
}
