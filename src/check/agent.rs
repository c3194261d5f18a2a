//! Asks the agents of servers, and hands their words to the pools.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::clock;
use crate::event::{AdminState, CheckStatus, Evidence};
use crate::model::{Agent, HostAddress};
use crate::net::{self, DialError};
use crate::pool::Pool;
use crate::pool::server::Server;
use crate::pool::word::{Share, Word};

/// Longest line of an agent, in bytes.
const LINE: usize = 1024;

/// Asks one agent again and again, for as long as it is polled.
pub(super) async fn ask_for_ever(pool: Arc<Pool>, server: Arc<Server>, agent: Agent) {
    let mut turn = interval(agent.interval);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        if !pool.asks_agent_of(&server) {
            continue;
        }
        let Some(address) = address(&server, &agent).await else { continue };
        server.set_agent_asked(true);
        let word = ask(address, &agent).await;
        server.set_agent_asked(false);
        pool.apply_word(&server, word);
    }
}

async fn address(server: &Server, agent: &Agent) -> Option<SocketAddr> {
    let ip = match &agent.host {
        None => server.address()?.ip(),
        Some(HostAddress::Ip(ip)) => *ip,
        Some(HostAddress::Name(name)) => net::resolve::resolve(name, None, agent.interval).await.ok()?,
    };
    Some(SocketAddr::new(ip, agent.port))
}

/// One question. An agent that can't be asked says nothing of the server.
async fn ask(address: SocketAddr, agent: &Agent) -> Word {
    let begun = Instant::now();
    let deadline = begun + agent.interval;
    let silent = |status, info: &str| Word {
        up: None,
        admin: None,
        weight: None,
        evidence: Evidence {
            detail: format!("the agent: {}", status_words(status)),
            info: info.to_owned(),
            duration: begun.elapsed(),
            ..Evidence::of(status, clock::wall())
        },
    };
    let stream = match timeout_at(deadline, net::dial(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(DialError::Refused)) => return silent(CheckStatus::L4Con, "Connection refused"),
        Ok(Err(_)) => return silent(CheckStatus::L4Con, ""),
        Err(_) => return silent(CheckStatus::L4Tout, ""),
    };
    match timeout_at(deadline, line(stream, &agent.send)).await {
        Ok(Ok(line)) => read(&line, begun.elapsed()),
        Ok(Err(_)) => silent(CheckStatus::SockErr, ""),
        Err(_) => silent(CheckStatus::L7Tout, ""),
    }
}

fn status_words(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::L4Con => "no connection",
        CheckStatus::L4Tout | CheckStatus::L7Tout => "no answer",
        _ => "the connection broke",
    }
}

/// What the agent says until its line ends, or it does.
async fn line(mut stream: TcpStream, send: &[u8]) -> std::io::Result<String> {
    stream.write_all(send).await?;
    let (mut heard, mut piece) = (Vec::new(), [0; 256]);
    while heard.len() < LINE && !heard.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        match stream.read(&mut piece).await? {
            0 => break,
            count => heard.extend_from_slice(&piece[..count]),
        }
    }
    let line = heard.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// A line's words, of each kind the last one; what stands behind a `#` describes them.
fn read(line: &str, took: Duration) -> Word {
    let (words, description) = line.split_once('#').unwrap_or((line, ""));
    let (mut health, mut admin, mut weight, mut odd) = (None, None, None, None);
    for word in words.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "up" => health = Some((true, word)),
            "down" | "stopped" | "fail" | "failed" => health = Some((false, word)),
            "ready" => admin = Some(AdminState::Ready),
            "drain" => admin = Some(AdminState::Drain),
            "maint" => admin = Some(AdminState::Maint),
            other => match share(other) {
                Some(share) => weight = Some(share),
                None => odd = odd.or(Some(word)),
            },
        }
    }
    let (status, info) = told(health, description.trim(), odd);
    let detail = if info.is_empty() { "the agent says nothing new".to_owned() } else { info.clone() };
    let evidence = Evidence { detail, info, duration: took, code: Some(0), ..Evidence::of(status, clock::wall()) };
    Word { up: health.map(|(up, _)| up), admin, weight, evidence }
}

/// `50%`, or `weight:20`.
fn share(word: &str) -> Option<Share> {
    match (word.strip_suffix('%'), word.strip_prefix("weight:")) {
        (Some(percent), None) => percent.parse().ok().map(Share::Percent),
        (None, Some(weight)) => weight.parse().ok().map(Share::Weight),
        (Some(_), Some(rest)) => rest.strip_suffix('%')?.parse().ok().map(Share::Percent),
        (None, None) => None,
    }
}

/// HAProxy's words for it.
fn told(health: Option<(bool, &str)>, description: &str, odd: Option<&str>) -> (CheckStatus, String) {
    let behind = |text: &str| if text.is_empty() { String::new() } else { format!(" ({text})") };
    match (health, odd) {
        (Some((false, word)), _) => (CheckStatus::L7Sts, format!("via agent : {word}{}", behind(description))),
        (Some((true, word)), odd) => {
            (CheckStatus::L7Ok, format!("via agent : {word}{}", behind(odd.unwrap_or(description))))
        }
        (None, Some(odd)) => (CheckStatus::L7Ok, format!("agent reports an error : {odd}")),
        (None, None) => (CheckStatus::L7Ok, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(line: &str) -> (Option<bool>, Option<AdminState>, Option<Share>, String) {
        let Word { up, admin, weight, evidence } = read(line, Duration::ZERO);
        (up, admin, weight, evidence.info)
    }

    // Seen to fail with the first word of a kind kept.
    #[test]
    fn a_line_is_read_word_by_word() {
        let told = |text: &str| text.to_owned();
        assert_eq!(word("up"), (Some(true), None, None, told("via agent : up")));
        assert_eq!(word("down #disk full"), (Some(false), None, None, told("via agent : down (disk full)")));
        assert_eq!(word("stopped"), (Some(false), None, None, told("via agent : stopped")));
        assert_eq!(word("75%"), (None, None, Some(Share::Percent(75)), String::new()));
        assert_eq!(word("weight:20"), (None, None, Some(Share::Weight(20)), String::new()));
        assert_eq!(word("drain"), (None, Some(AdminState::Drain), None, String::new()));
        let all = (Some(true), Some(AdminState::Ready), Some(Share::Percent(50)), told("via agent : UP"));
        assert_eq!(word("maint ready, 10% 50%\tdown UP"), all);
        assert_eq!(word("hello up"), (Some(true), None, None, told("via agent : up (hello)")));
        assert_eq!(word("hello"), (None, None, None, told("agent reports an error : hello")));
        assert_eq!(word(""), (None, None, None, String::new()));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in ".{0,80}") {
            let _ = word(&line);
        }
    }
}
