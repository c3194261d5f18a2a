//! Other load balancers in front of the same servers: each is asked now and then what it thinks of them, and its last
//! answer is kept.
//!
//! It all runs on the control thread, one connection at a time for each peer, and what a peer says is bounded and read
//! elsewhere: a peer that is slow, gone or hostile costs nobody anything.

mod ask;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{MissedTickBehavior, interval};

use self::ask::Question;
use crate::clock;
use crate::event::{PeerAnswer, PeerSnapshot, Silence};
use crate::model::{Peer, Peers};

/// How often each is asked.
const INTERVAL: Duration = Duration::from_secs(5);

/// What all have said, in the order of the configuration.
#[derive(Debug, Default)]
pub struct Heard(Mutex<Vec<PeerSnapshot>>);

/// Those who are asked.
#[derive(Debug)]
pub struct Asking {
    heard: Arc<Heard>,
    peers: Peers,
    tasks: Vec<AbortHandle>,
}

impl Asking {
    pub fn new(heard: &Arc<Heard>) -> Self {
        Self { heard: Arc::clone(heard), peers: Peers::default(), tasks: Vec::new() }
    }

    /// Asks these from now on, and nobody else. What those have said who stay is kept.
    pub fn renew(&mut self, peers: &Peers) {
        if self.peers == *peers {
            return;
        }
        self.stop();
        self.heard.expect(&peers.all);
        let task = |peer: &Peer| {
            let question = Question::new(peer, peers.authorities.as_ref());
            spawn_local(ask_on(question, peer.to_string(), Arc::clone(&self.heard))).abort_handle()
        };
        self.tasks = peers.all.iter().map(task).collect();
        self.peers = peers.clone();
    }

    fn stop(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Never ends by itself.
async fn ask_on(question: Question, url: String, heard: Arc<Heard>) {
    let mut turn = interval(INTERVAL);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        let answer = question.ask().await;
        heard.note(&url, answer);
    }
}

impl Heard {
    /// As it is now.
    pub fn all(&self) -> Vec<PeerSnapshot> {
        self.lock().clone()
    }

    /// Keeps what these have said, and forgets the others.
    fn expect(&self, peers: &[Peer]) {
        let mut all = self.lock();
        let mut known = std::mem::take(&mut *all);
        all.extend(peers.iter().map(|peer| {
            let url = peer.to_string();
            let place = known.iter().position(|known| known.url == url);
            place.map_or(PeerSnapshot { url, heard: None, silence: None }, |place| known.swap_remove(place))
        }));
    }

    /// Notes what has come of a question, and tells of it if that is another thing than before.
    fn note(&self, url: &str, answer: Result<PeerAnswer, String>) {
        let mut all = self.lock();
        let Some(peer) = all.iter_mut().find(|peer| peer.url == url) else { return };
        match answer {
            Ok(answer) => {
                if peer.silence.take().is_some() || peer.heard.is_none() {
                    tracing::info!(peer = url, node = answer.node, version = answer.version, "a peer answers");
                }
                peer.heard = Some((answer, clock::wall()));
            }
            Err(reason) => match &mut peer.silence {
                Some(silence) => silence.reason = reason,
                None => {
                    tracing::warn!(peer = url, reason, "a peer does not answer");
                    let since = peer.heard.as_ref().map_or_else(clock::wall, |(_, at)| *at);
                    peer.silence = Some(Silence { since, reason });
                }
            },
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<PeerSnapshot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> Peer {
        Peer { tls: false, host: crate::model::HostAddress::Ip([127, 0, 0, 1].into()), port }
    }

    fn answer() -> PeerAnswer {
        PeerAnswer { node: "lb2".into(), version: "1".into(), pid: 7, started: String::new(), servers: Vec::new() }
    }

    // Seen to fail with a silence that begins when it is noticed.
    #[test]
    fn the_last_answer_stays_while_a_peer_is_silent_and_over_a_reload() {
        let (heard, url) = (Heard::default(), "http://127.0.0.1:9000");
        heard.expect(&[peer(9000), peer(9001)]);
        heard.note(url, Ok(answer()));
        let at = heard.all()[0].heard.as_ref().unwrap().1;
        heard.note(url, Err("connection refused".into()));
        heard.note(url, Err("no answer".into()));
        let silence = Silence { since: at, reason: "no answer".into() };
        assert_eq!(heard.all()[0].silence, Some(silence), "since it was last heard");
        heard.expect(&[peer(9002), peer(9000)]);
        let all = heard.all();
        assert_eq!((all.len(), all[0].heard.is_none(), all[1].heard.as_ref().map(|(_, at)| *at)), (2, true, Some(at)));
        heard.note(url, Ok(answer()));
        assert_eq!(heard.all()[1].silence, None);
        heard.note("http://127.0.0.1:9001", Ok(answer()));
        assert_eq!(heard.all().len(), 2, "nobody asks there any more");
    }
}
