//! `evenkeel drain`: no new sessions for a server, and, if wanted, an end to those it has.
//!
//! `--wait` returns once nobody is left, so that a script can go on with stopping the controller.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::client::{Client, Unanswered};
use super::document::{Change, Changed, Status};
use super::figures::span;
use super::screen::{Screen, put};
use super::server::Target;
use super::set::change;
use super::socket::SocketOption;
use super::{Exit, complete, duration, several, tell_line};

/// From one count of those who are left to the next.
const EVERY: Duration = Duration::from_millis(250);

/// Where no terminal shows a bar, a line at most as often as this.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How long the process may be away, as for a restart, before waiting for it is given up.
const AWAY: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel drain k0s-1               its sessions stay until they end by themselves
  evenkeel drain k0s-1 --over 60s    they are closed within a minute, idle ones first
  evenkeel drain k0s-1 --over 60s --wait && ssh k0s-1 k0s stop
  evenkeel ready k0s-1               takes it back in

With --wait, the exit code is 0 once nobody is left, and 1 if that can't be told or
the waiting was interrupted. Ctrl-C ends the waiting; the server stays in drain.")]
pub(super) struct Options {
    /// backend/server, or a server's name in all backends
    #[arg(add = ArgValueCandidates::new(complete::servers))]
    server: Target,
    /// Close its sessions evenly over this time, idle ones first
    #[arg(long, value_name = "TIME", value_parser = duration)]
    over: Option<Duration>,
    /// Return when none of its sessions is left
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    socket: SocketOption,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket);
    // Before the change: an interrupt from here on finds somebody who knows what to say.
    let interrupts = options.wait.then(Interrupts::listen).transpose()?;
    let wanted = match options.over {
        Some(over) => json!({ "state": "drain", "over_seconds": over.as_secs_f64() }),
        None => json!({ "state": "drain" }),
    };
    let Changed { text, changed } = change(&client, &options.server, "state", &wanted).await?;
    put(&format!("{text}\n"))?;
    match interrupts {
        Some(interrupts) => Waiting::new(client, options, changed).until_done(interrupts).await,
        None => Ok(Exit::Done),
    }
}

async fn status(client: &Client) -> Result<Status, Unanswered> {
    client.look("/api/v1/status").await
}

/// What ends the waiting from outside: Ctrl-C, or a script's `timeout`.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("can't listen for Ctrl-C");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

struct Waiting {
    client: Client,
    target: Target,
    over: Option<Duration>,
    servers: Vec<Change>,
    screen: Screen,
    begun: Instant,
    /// Sessions at the beginning, which a bar is full of.
    first: Option<u32>,
    /// What the last line said, and when.
    said: Option<(u32, Instant)>,
}

impl Waiting {
    fn new(client: Client, options: &Options, servers: Vec<Change>) -> Self {
        Self {
            client,
            target: options.server.clone(),
            over: options.over,
            servers,
            screen: Screen::of_stdout(),
            begun: Instant::now(),
            first: None,
            said: None,
        }
    }

    async fn until_done(mut self, mut interrupts: Interrupts) -> anyhow::Result<Exit> {
        let ended = tokio::select! {
            ended = self.wait() => Some(ended),
            () = interrupts.next() => None,
        };
        self.clear_bar()?;
        match ended {
            Some(Ok(())) => {
                put(&format!(
                    "nobody is left on {} after {}\n",
                    self.target,
                    span(self.begun.elapsed().as_secs_f64())
                ))?;
                Ok(Exit::Done)
            }
            Some(Err(error)) => Err(error),
            None => {
                tell_line(&self.farewell());
                Ok(Exit::Failed)
            }
        }
    }

    async fn wait(&mut self) -> anyhow::Result<()> {
        let mut heard = Instant::now();
        loop {
            match status(&self.client).await {
                Ok(status) => {
                    heard = Instant::now();
                    let left = self.left(&status)?;
                    self.show(left)?;
                    if left == 0 {
                        return Ok(());
                    }
                }
                Err(error) if error.may_pass() && heard.elapsed() < AWAY => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Sessions that the servers still have, of processes that an upgrade has replaced as well.
    fn left(&self, status: &Status) -> anyhow::Result<u32> {
        self.servers.iter().try_fold(0, |sum, Change { backend, server }| {
            let Some(known) = status.server(backend, server) else {
                bail!("{backend}/{server} is no longer there: it was removed while it was drained");
            };
            // Maintenance takes no new sessions either.
            if known.admin_state == "ready" {
                bail!("{backend}/{server} is in use again: somebody has set it to ready");
            }
            Ok(sum + known.counts.sessions + known.replaced_sessions)
        })
    }

    fn show(&mut self, left: u32) -> anyhow::Result<()> {
        let first = *self.first.get_or_insert(left);
        if self.screen.is_terminal() {
            put(&format!("\r\x1b[K{}", self.bar(left, first.max(left))))?;
        } else if left > 0 && self.is_news(left) {
            put(&format!("{} left on {}\n", several(left as usize, "session"), self.target))?;
            self.said = Some((left, Instant::now()));
        }
        Ok(())
    }

    fn is_news(&self, left: u32) -> bool {
        self.said.is_none_or(|(said, at)| said != left && at.elapsed() >= LINE_EVERY)
    }

    fn bar(&self, left: u32, first: u32) -> String {
        const CELLS: u32 = 30;
        // Full once nobody is left, and not a moment sooner.
        let done = (first - left).checked_mul(CELLS).and_then(|done| done.checked_div(first)).unwrap_or(0);
        let elapsed = span(self.begun.elapsed().as_secs().max(1) as f64);
        let time = match self.over {
            Some(over) => format!("{elapsed} of {}", span(over.as_secs_f64())),
            None => elapsed,
        };
        let bar = "█".repeat(done as usize) + &"░".repeat((CELLS - done) as usize);
        format!("{bar}  {left} of {} left, {time}", several(first as usize, "session"))
    }

    fn clear_bar(&self) -> anyhow::Result<()> {
        match self.screen.is_terminal() {
            true => Ok(put("\r\x1b[K")?),
            false => Ok(()),
        }
    }

    fn farewell(&self) -> String {
        let closing = match self.over {
            Some(_) => "its sessions go on being closed",
            None => "its sessions stay until they end",
        };
        format!(
            "no longer waiting: {} stays in drain, {closing}\nhint: `evenkeel ready {}` takes it back in",
            self.target, self.target
        )
    }
}
