//! `evenkeel run --shadow`: beside the load balancer that serves, watching what it watches, and carrying nothing.

use std::os::unix::net::UnixStream;

use clap::Args;

use crate::config::{self, Input, Shadow};
use crate::model::ListenAddress;

/// Where a shadow is watched unless told otherwise: beside the usual 9000, which is somebody else's.
const STATS: &str = "127.0.0.1:9001";

#[derive(Debug, Args)]
pub struct Options {
    /// Probe and report, and take no client: beside the load balancer that serves
    #[arg(long)]
    shadow: bool,
    /// Where a shadow has its stats page
    #[arg(long, value_name = "ADDRESS", default_value = STATS, value_parser = address, requires = "shadow")]
    stats: ListenAddress,
}

impl Options {
    /// The same configuration for a shadow, if it is to be one.
    pub fn over(&self, mut input: Input) -> Input {
        if self.shadow {
            let admin = admin_is_free(&input);
            input.overrides.shadow = Some(Shadow { stats: self.stats, admin });
        }
        input
    }
}

/// Whether nobody answers at the admin socket of a configuration. What can't be read is told by who reads it next.
fn admin_is_free(input: &Input) -> bool {
    let admin = config::open(input).ok().and_then(|loaded| loaded.config.admin);
    admin.is_none_or(|admin| UnixStream::connect(admin.socket).is_err())
}

fn address(text: &str) -> Result<ListenAddress, String> {
    config::listen(text).map_err(|error| error.to_string())
}
