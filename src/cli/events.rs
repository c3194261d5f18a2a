//! `evenkeel events`: what has happened, with the evidence, and what happens next.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::client::Client;
use super::figures::{moment, time};
use super::screen::{Screen, Tone, put};
use super::socket::SocketOption;
use super::{Exit, duration};
use crate::clock;

/// Events that are asked for at a time; more are asked for again.
const PAGE: u32 = 1000;

/// How long the process may wait for something new before it answers, and how much longer the answer may take.
const WAIT: Duration = Duration::from_secs(25);
const ALLOWANCE: Duration = Duration::from_secs(10);

/// From one try to the next while the process is away.
const AWAY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel events --since 1h
  evenkeel events --follow
  evenkeel events --json | jq 'select(.kind == \"server\")'")]
pub(super) struct Options {
    /// Go on with what happens, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// From then on: so long ago, such as 10m, or a time such as 2026-11-22T03:12:07Z
    #[arg(long, value_name = "AGO|TIME", value_parser = since)]
    since: Option<OffsetDateTime>,
    /// One event a line, as /api/v1/events has it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: SocketOption,
}

fn since(text: &str) -> Result<OffsetDateTime, String> {
    if let Some(at) = time(text) {
        return Ok(at);
    }
    let ago = duration(text).map_err(|_| "expected a time such as 10m or 2026-11-22T03:12:07Z".to_owned())?;
    Ok(OffsetDateTime::from(clock::wall()) - ago)
}

/// `GET /api/v1/events`.
#[derive(Debug, Deserialize)]
struct Page {
    /// Number of the last event that there is.
    last: u64,
    /// As they came, for those who want them so.
    events: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Event {
    seq: u64,
    at: String,
    kind: String,
    level: String,
    text: String,
    by: Option<String>,
    #[serde(default)]
    evidence: Vec<Evidence>,
}

#[derive(Debug, Deserialize)]
struct Evidence {
    status: String,
    detail: String,
    at: String,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket);
    let screen = Screen::of_stdout();
    let mut seen = 0;
    loop {
        let page: Page = client.look(&format!("/api/v1/events?after={seen}&limit={PAGE}")).await?;
        let before = seen;
        seen = tell(&page, seen, options, screen)?;
        if seen >= page.last || seen == before {
            break;
        }
    }
    if !options.follow {
        return Ok(Exit::Done);
    }
    follow(&client.patient(WAIT + ALLOWANCE), seen, options, screen).await
}

async fn follow(client: &Client, mut seen: u64, options: &Options, screen: Screen) -> anyhow::Result<Exit> {
    let mut away = false;
    loop {
        let path = format!("/api/v1/events?after={seen}&limit={PAGE}&wait={}", WAIT.as_secs());
        match client.look::<Page>(&path).await {
            Ok(page) => {
                away = false;
                // A process that was started anew counts from the beginning.
                seen = if page.last < seen { 0 } else { tell(&page, seen, options, screen)? };
            }
            Err(error) if error.may_pass() => {
                if !away {
                    super::tell_line(&format!("waiting for the process: {error}"));
                }
                away = true;
                tokio::time::sleep(AWAY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints the events of a page; the number of the last one that is known then.
fn tell(page: &Page, mut seen: u64, options: &Options, screen: Screen) -> anyhow::Result<u64> {
    let mut text = String::new();
    for raw in &page.events {
        let event = Event::deserialize(raw)?;
        seen = seen.max(event.seq);
        if options.since.is_some_and(|since| time(&event.at).is_some_and(|at| at < since)) {
            continue;
        }
        text += &if options.json { format!("{raw}\n") } else { render(&event, screen) };
    }
    put(&text)?;
    Ok(seen)
}

/// An event in a line, and what it rests upon below it.
fn render(event: &Event, screen: Screen) -> String {
    let tone = match event.level.as_str() {
        "error" => Tone::Bad,
        "warn" => Tone::Warning,
        _ => Tone::Quiet,
    };
    let level = screen.paint(tone, &format!("{:<5}", event.level));
    let by = event.by.as_ref().map(|by| format!(" (by {by})")).unwrap_or_default();
    let mut text = format!("{}  {level}  {:<11}  {}{by}\n", moment(&event.at), event.kind, event.text);
    for evidence in &event.evidence {
        let line = format!("{:>27}{}  {} {}", "", moment(&evidence.at), evidence.status, evidence.detail);
        text += &format!("{}\n", screen.paint(Tone::Quiet, &line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_time_or_how_long_ago_it_was() {
        let at = since("2026-11-22T03:12:07Z").unwrap();
        assert_eq!(at.unix_timestamp(), 1_795_317_127);
        let begin = since("1h").unwrap();
        let hour = OffsetDateTime::from(clock::wall()) - begin;
        assert!((3_600..3_700).contains(&hour.whole_seconds()), "{hour}");
        assert!(since("yesterday").unwrap_err().contains("2026-11-22T03:12:07Z"));
    }
}
