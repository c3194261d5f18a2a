//! `evenkeel export`: a configuration in another program's language, for the way back.

use clap::Args;

use super::{ConfigFile, Exit, print_all, refuse, tell};
use crate::config;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    file: ConfigFile,
    /// As a haproxy.cfg, which HAProxy 3.2 takes; what it has no words for stands there in comments
    #[arg(long, required = true)]
    haproxy: bool,
}

pub fn run(options: &Options) -> Exit {
    match config::export(options.file.input()) {
        Ok((text, warnings)) => {
            tell(&warnings);
            print_all(text.as_bytes())
        }
        Err(report) => refuse(&report),
    }
}
