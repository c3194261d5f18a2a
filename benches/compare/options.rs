//! The command line of the four roles.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::axes::Axis;
use crate::proxies::Kind;

#[derive(Debug, Parser)]
#[command(name = "compare", max_term_width = 100)]
pub struct Options {
    #[command(subcommand)]
    pub role: Role,
}

#[derive(Debug, Subcommand)]
pub enum Role {
    /// Start proxies and measure them, side by side
    Bench(BenchOptions),
    /// The servers behind the proxies; the bench starts it
    Server {
        /// So many proxies have servers of their own
        #[arg(long)]
        places: u8,
    },
    /// The clients in front of the proxies; the bench starts it
    Load,
    /// Those who look at a proxy's pages; the bench starts it
    Readers,
}

#[derive(Debug, Args)]
pub struct BenchOptions {
    /// Short connections, requests and bulk down, against HAProxy's best tuning alone
    #[arg(long)]
    pub quick: bool,
    /// One axis; may be repeated
    #[arg(long, value_name = "NAME", value_enum)]
    pub axis: Vec<Axis>,
    /// How often each proxy has its turn on each axis [default: 20, or 7 with --quick]
    #[arg(long, value_name = "N")]
    pub pairs: Option<usize>,
    /// Only these proxies
    #[arg(long, value_name = "NAME,…", value_enum, value_delimiter = ',')]
    pub only: Vec<Kind>,
    /// Proxies, load and servers have their cores to themselves while they are measured: for a machine that is busy
    #[arg(long)]
    pub realtime: bool,
    /// The evenkeel to measure
    #[arg(long, value_name = "FILE")]
    pub evenkeel: PathBuf,
    /// Another evenkeel, measured in turn with it
    #[arg(long, value_name = "FILE")]
    pub before: Option<PathBuf>,
    /// A directory with Debian forky, for HAProxy 3.2
    #[arg(long, value_name = "DIR")]
    pub forky: PathBuf,
    /// A directory for configurations and sockets, with a short name
    #[arg(long, value_name = "DIR")]
    pub scratch: PathBuf,
    /// Where results, table and plots go: `benches` of the repository
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
}

impl BenchOptions {
    /// The axes to measure, in the table's order.
    pub fn axes(&self) -> Vec<Axis> {
        match (self.axis.is_empty(), self.quick) {
            (false, _) => self.axis.clone(),
            (true, true) => vec![Axis::Connections, Axis::Requests, Axis::Down],
            (true, false) => Axis::ALL.to_vec(),
        }
    }

    /// The proxies to measure, in the table's order.
    pub fn proxies(&self) -> Vec<Kind> {
        let wanted = |kind: Kind| match (self.only.is_empty(), self.quick) {
            _ if kind == Kind::Before => self.before.is_some(),
            (false, _) => self.only.contains(&kind),
            (true, true) => matches!(kind, Kind::Evenkeel | Kind::Haproxy32Splice),
            (true, false) => true,
        };
        Kind::ALL.into_iter().filter(|kind| wanted(*kind)).collect()
    }

    /// How often each proxy has its turn.
    pub fn pairs(&self) -> usize {
        self.pairs.unwrap_or(if self.quick { 7 } else { 20 }).max(1)
    }

    /// Whether everything is measured, so that the result may stand in the README.
    pub fn is_full(&self) -> bool {
        !self.quick && self.axis.is_empty() && self.only.is_empty() && self.before.is_none()
    }
}
