//! Load, servers and readers as the bench sees them: processes of their own, which answer each line with a line.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddrV4;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::load::{Answer, Group, Order, Seen, Until};
use crate::machine::{self, LOAD_CORES};
use crate::readers::{self, Watched};

struct Companion {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Companion {
    /// Starts this program in another role, on the load's core, and waits until it is ready.
    fn start(arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new("taskset")
            .args(["-c", LOAD_CORES])
            .arg(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("taskset")?;
        let input = process.stdin.take().context("it was asked for")?;
        let output = BufReader::new(process.stdout.take().context("it was asked for")?);
        let mut companion = Self { process, input, output };
        let said = companion.read()?;
        ensure!(said == "ready", "{arguments:?} said {said:?}");
        Ok(companion)
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.input, "{line}")?;
        self.read()
    }

    fn read(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "a companion has left");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        machine::end(&mut self.process);
    }
}

/// The process behind the proxies.
pub struct Servers(Companion);

impl Servers {
    pub fn start(places: u8) -> Result<Self> {
        Companion::start(&["server", "--places", &places.to_string()]).map(Self)
    }

    pub fn pid(&self) -> u32 {
        self.0.process.id()
    }

    /// How many bodies that it looked at were right, and what else came in that should not have.
    pub fn verified(&mut self) -> Result<(u64, u64)> {
        let line = self.0.ask("verified")?;
        let (right, wrong) = line.split_once(' ').context("two numbers")?;
        Ok((right.parse()?, wrong.parse()?))
    }
}

/// The process in front of the proxies.
pub struct Load(Companion);

impl Load {
    pub fn start() -> Result<Self> {
        Companion::start(&["load"]).map(Self)
    }

    pub fn pid(&self) -> u32 {
        self.0.process.id()
    }

    pub fn open(&mut self, group: Group) -> Result<()> {
        self.order(&Order::Open(group)).map(drop)
    }

    /// What each group saw, in the order of their opening.
    pub fn run(&mut self, until: Until) -> Result<Vec<Seen>> {
        self.order(&Order::Run(until))
    }

    pub fn close(&mut self) -> Result<()> {
        self.order(&Order::Close).map(drop)
    }

    fn order(&mut self, order: &Order) -> Result<Vec<Seen>> {
        let answer = self.0.ask(&serde_json::to_string(order)?)?;
        match serde_json::from_str(&answer)? {
            Answer::Done(seen) => Ok(seen),
            Answer::Failed(why) => bail!("the load: {why}"),
        }
    }
}

/// The process that watches.
pub struct Readers(Companion);

impl Readers {
    pub fn start() -> Result<Self> {
        Companion::start(&["readers"]).map(Self)
    }

    /// Opens so many pages of a stats listener, and waits until each has had an update.
    pub fn open(&mut self, stats: SocketAddrV4, pages: usize) -> Result<()> {
        self.order(readers::Order::Open { stats, pages }).map(drop)
    }

    /// Leaves; what was seen since all pages were open.
    pub fn close(&mut self) -> Result<Watched> {
        self.order(readers::Order::Close)
    }

    fn order(&mut self, order: readers::Order) -> Result<Watched> {
        let answer = self.0.ask(&serde_json::to_string(&order)?)?;
        match serde_json::from_str(&answer)? {
            readers::Answer::Done(watched) => Ok(watched),
            readers::Answer::Failed(why) => bail!("the readers: {why}"),
        }
    }
}
