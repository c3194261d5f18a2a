//! `evenkeel debug`: one source's sessions are logged step by step for a while, and shown here as they come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::client::{Client, escaped};
use super::document::{Done, Session, Sessions};
use super::figures::{bytes, span};
use super::screen::{Screen, Tone, put};
use super::socket::SocketOption;
use super::{Exit, duration};

/// From one look at the source's sessions to the next. What is shorter is in the log alone.
const EVERY: Duration = Duration::from_millis(250);

/// Sessions that are looked at: more of one source are nothing that one can read along.
const MOST: usize = 1000;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel debug 10.20.0.9
  evenkeel debug 10.20.0.0/24 --for 5m

The process logs each step of these sessions, marked `debug`: accepted, leased to a server,
connected, first bytes, half-closed, ended. Shown here are the sessions that are open for a
quarter of a second or longer. Ctrl-C ends the showing; the log goes on for the time given.")]
pub(super) struct Options {
    /// Address or network of the clients
    #[arg(value_name = "ADDRESS|NETWORK")]
    source: String,
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = duration)]
    time: Duration,
    #[command(flatten)]
    socket: SocketOption,
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let client = Client::new(&options.socket);
    let screen = Screen::of_stdout();
    let wanted = json!({ "source": options.source, "seconds": options.time.as_secs_f64() });
    let done: Done = client.act(Method::POST, "/api/v1/debug", &wanted).await?;
    put(&format!("{}\n", done.text))?;
    let path = format!("/api/v1/sessions?source={}&sort=age&limit={MOST}", escaped(&options.source));
    let until = Instant::now() + options.time;
    let mut turn = interval(EVERY);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = BTreeMap::new();
    while Instant::now() < until {
        turn.tick().await;
        let sessions: Sessions = client.look(&path).await?;
        put(&news(&mut known, sessions.sessions, screen))?;
    }
    Ok(Exit::Done)
}

/// A line for each session that has come, changed or gone since the last look.
fn news(known: &mut BTreeMap<String, Session>, now: Vec<Session>, screen: Screen) -> String {
    let mut text = String::new();
    let mut gone = std::mem::take(known);
    for session in now {
        let before = gone.remove(&session.id);
        if before.is_none_or(|before| before.state != session.state || before.server != session.server) {
            text += &line(&session, &session.state, screen.paint(tone(&session), &format!("{:<10}", session.state)));
        }
        known.insert(session.id.clone(), session);
    }
    for session in gone.values() {
        text += &line(session, "ended", screen.paint(Tone::Quiet, &format!("{:<10}", "ended")));
    }
    text
}

fn tone(session: &Session) -> Tone {
    if session.state == "open" { Tone::Good } else { Tone::Warning }
}

fn line(session: &Session, what: &str, painted: String) -> String {
    let way = match (&session.backend, &session.server) {
        (Some(backend), Some(server)) => format!("{} to {backend}/{server}", session.frontend),
        _ => session.frontend.clone(),
    };
    let figures = match what {
        "connecting" => String::new(),
        _ => format!(", {} in, {} out", bytes(session.bytes_in), bytes(session.bytes_out)),
    };
    let age = span(session.age_seconds);
    format!("{:<10} {painted} {} through {way}, {age} old{figures}\n", session.id, session.client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(state: &str) -> Session {
        Session {
            id: "0-3-7".into(),
            frontend: "api".into(),
            backend: Some("b".into()),
            server: (state != "connecting").then(|| "a".into()),
            client: "10.0.0.9:5".into(),
            source: None,
            age_seconds: 2.0,
            idle_seconds: 0.0,
            bytes_in: 1,
            bytes_out: 2048,
            state: state.into(),
        }
    }

    // Seen to fail with a session that is told at each look.
    #[test]
    fn a_session_is_told_when_it_comes_changes_and_goes() {
        let mut known = BTreeMap::new();
        let mut look = |sessions| news(&mut known, sessions, Screen::PIPE);
        assert_eq!(look(vec![session("connecting")]), "0-3-7      connecting 10.0.0.9:5 through api, 2.0s old\n");
        assert_eq!(
            look(vec![session("open")]),
            "0-3-7      open       10.0.0.9:5 through api to b/a, 2.0s old, 1 B in, 2.0 KiB out\n"
        );
        assert_eq!(look(vec![session("open")]), "");
        assert!(look(vec![]).contains(" ended "));
        assert_eq!(look(vec![]), "");
    }
}
