//! `evenkeel import`: a haproxy.cfg as TOML.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Policy, print_all, refuse, tell};
use crate::config::{self, Choice, Input};
use crate::model::Dialect;

#[derive(Debug, Args)]
pub struct Options {
    /// The haproxy.cfg; several are read as one, and of a directory those files that end in .cfg
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Whose way counts where the file says nothing
    #[arg(long, value_name = "WHOSE", default_value = "haproxy")]
    policy: Policy,
    /// Leave out what can't be honoured, and say so
    #[arg(long)]
    lenient: bool,
}

pub fn run(options: &Options) -> Exit {
    let choice = Choice { policy: options.policy.into(), lenient: options.lenient };
    let input = Input { paths: options.files.clone(), dialect: Some(Dialect::Haproxy), choice, ..Input::default() };
    match config::import(&input) {
        Ok((text, warnings)) => {
            tell(&warnings);
            print_all(text.as_bytes())
        }
        Err(report) => refuse(&report),
    }
}
