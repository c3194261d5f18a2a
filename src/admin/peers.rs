//! Two load balancers, side by side: where their opinions of the same servers differ, and what that means.

mod read;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

pub use self::read::{bounded, read_answer};
use super::figures::{rfc3339, span, words};
use super::headline::{Tone, listed};
use crate::event::{BackendSnapshot, PeerAnswer, PeerServer, PeerSnapshot, ServerSnapshot, Snapshot};

/// How long both must have been of their opinion before a sentence is made of it: they probe at different moments, and
/// we ask every five seconds.
const SETTLED: Duration = Duration::from_secs(10);

/// How long a peer may be silent before that is a sentence, and what it said before is one no more.
const SILENT: Duration = Duration::from_secs(10);
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Sentences at most; the table has the rest.
const MOST_DIFFERENCES: usize = 16;

/// Ours and the peers' opinions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// What this process is called in sentences.
    pub us: String,
    /// In the order of the configuration; the process itself, if it stands there, is left out.
    pub peers: Vec<PeerView>,
    /// Every server that we have, in the order of the configuration.
    pub servers: Vec<Compared>,
    /// What should be known, a sentence each; empty where all agree.
    pub differences: Vec<String>,
}

/// A peer, for the head of its column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PeerView {
    pub url: String,
    /// What it is called in sentences: its node's name, or its URL.
    pub name: String,
    pub version: Option<String>,
    /// When it last answered.
    pub heard: Option<SystemTime>,
    /// Why it doesn't answer, in words.
    pub silence: Option<String>,
}

/// One server, and what each thinks of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compared {
    pub backend: String,
    pub server: String,
    /// Address and port.
    pub address: String,
    pub ours: Opinion,
    /// In the order of the peers; `None` of those who don't know it, or have not answered yet.
    pub theirs: Vec<Option<Opinion>>,
}

impl Compared {
    pub fn differs(&self) -> bool {
        self.theirs.iter().flatten().any(|theirs| theirs.word != self.ours.word)
    }
}

/// A state, with its word and its colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opinion {
    pub word: String,
    pub tone: Tone,
    /// Whether it has been held long enough to be more than a moment's.
    settled: bool,
}

/// Holds them against each other; `None` if there is nobody to compare with.
pub(super) fn compare(snapshot: &Snapshot) -> Option<Comparison> {
    let others: Vec<&PeerSnapshot> = snapshot.peers.iter().filter(|peer| !is_ourselves(peer, snapshot)).collect();
    if others.is_empty() {
        return None;
    }
    let us = snapshot.process.node.clone();
    let peers: Vec<PeerView> = others.iter().map(|peer| view(peer, &others, snapshot)).collect();
    let known: Vec<Known<'_>> = others.iter().map(|peer| Known::of(peer, snapshot.at)).collect();
    let servers: Vec<Compared> =
        (snapshot.backends.iter()).flat_map(|backend| compared(backend, &known, snapshot.at)).collect();
    let mut differences: Vec<String> =
        peers.iter().zip(&others).filter_map(|(view, peer)| silent(view, peer, snapshot.at)).collect();
    for (place, peer) in peers.iter().enumerate() {
        differences.extend(differing(&servers, place, &us, &peer.name));
    }
    let more = differences.len().saturating_sub(MOST_DIFFERENCES);
    differences.truncate(MOST_DIFFERENCES);
    if more > 0 {
        differences.push(format!("And {} more.", words(more)));
    }
    Some(Comparison { us, peers, servers, differences })
}

/// Both load balancers may have the same file, which names both.
fn is_ourselves(peer: &PeerSnapshot, snapshot: &Snapshot) -> bool {
    let process = &snapshot.process;
    peer.heard.as_ref().is_some_and(|(answer, _)| {
        let started = rfc3339(process.started);
        answer.node == process.node && answer.pid == process.pid && answer.started == started
    })
}

fn view(peer: &PeerSnapshot, all: &[&PeerSnapshot], snapshot: &Snapshot) -> PeerView {
    let answer = peer.heard.as_ref().map(|(answer, _)| answer);
    let node = |answer: Option<&PeerAnswer>| answer.map(|answer| answer.node.clone());
    let is_unique = |name: &String| {
        let same =
            all.iter().filter(|other| node(other.heard.as_ref().map(|(answer, _)| answer)).as_ref() == Some(name));
        !name.is_empty() && *name != snapshot.process.node && same.count() == 1
    };
    PeerView {
        url: peer.url.clone(),
        name: node(answer).filter(is_unique).unwrap_or_else(|| peer.url.clone()),
        version: answer.map(|answer| answer.version.clone()),
        heard: peer.heard.as_ref().map(|(_, at)| *at),
        silence: peer.silence.as_ref().map(|silence| silence.reason.clone()),
    }
}

/// "lb2 (http://10.10.4.11:9000) has not answered for 40 s: connection refused."
fn silent(view: &PeerView, peer: &PeerSnapshot, now: SystemTime) -> Option<String> {
    let silence = peer.silence.as_ref()?;
    let lasts = now.duration_since(silence.since).unwrap_or_default();
    let who = match view.name == view.url {
        true => view.url.clone(),
        false => format!("{} ({})", view.name, view.url),
    };
    (lasts >= SILENT).then(|| format!("{who} has not answered for {}: {}.", span(lasts), silence.reason))
}

/// What a peer says of each server, to be found by backend and address, by address alone, or by names.
struct Known<'a> {
    by_backend: BTreeMap<(&'a str, &'a str), &'a PeerServer>,
    by_address: BTreeMap<&'a str, &'a PeerServer>,
    by_names: BTreeMap<(&'a str, &'a str), &'a PeerServer>,
    /// How long ago it was said.
    age: Duration,
}

impl<'a> Known<'a> {
    fn of(peer: &'a PeerSnapshot, now: SystemTime) -> Self {
        let heard = peer.heard.as_ref();
        let age = heard.map_or(Duration::MAX, |(_, at)| now.duration_since(*at).unwrap_or_default());
        let servers = || heard.into_iter().flat_map(|(answer, _)| &answer.servers);
        Self {
            by_backend: servers().map(|server| ((server.backend.as_str(), server.address.as_str()), server)).collect(),
            by_address: servers().map(|server| (server.address.as_str(), server)).collect(),
            by_names: servers().map(|server| ((server.backend.as_str(), server.name.as_str()), server)).collect(),
            age,
        }
    }

    fn opinion(&self, backend: &BackendSnapshot, server: &ServerSnapshot, address: &str) -> Option<Opinion> {
        if self.age >= FORGOTTEN {
            return None;
        }
        let (backend, name) = (backend.name.as_str(), server.name.as_str());
        let found = self.by_backend.get(&(backend, address)).or_else(|| self.by_address.get(address));
        let found = found.or_else(|| self.by_names.get(&(backend, name)))?;
        let settled = found.held.saturating_add(self.age) >= SETTLED;
        Some(Opinion { word: found.state.clone(), tone: tone(&found.state), settled })
    }
}

fn compared(backend: &BackendSnapshot, known: &[Known<'_>], now: SystemTime) -> Vec<Compared> {
    let one = |server: &ServerSnapshot| {
        let (word, address) = (server.state.word(), server.address.to_string());
        let settled = now.duration_since(server.since).unwrap_or_default() >= SETTLED;
        Compared {
            backend: backend.name.to_string(),
            server: server.name.to_string(),
            ours: Opinion { word: word.to_owned(), tone: tone(word), settled },
            theirs: known.iter().map(|peer| peer.opinion(backend, server, &address)).collect(),
            address,
        }
    };
    backend.servers.iter().map(one).collect()
}

/// By the word, because a peer says no more. One that we don't know, of a later version perhaps, is nothing to judge.
fn tone(word: &str) -> Tone {
    match word {
        "ready" => Tone::Good,
        "down" | "wrong cluster" => Tone::Bad,
        "draining" => Tone::Warning,
        _ if word.starts_with("ready") => Tone::Warning,
        _ => Tone::Notice,
    }
}

/// Where one peer is of another opinion than we are: a sentence for each server, whatever number of its ports it is about.
fn differing(servers: &[Compared], place: usize, us: &str, peer: &str) -> Vec<String> {
    let mut found: BTreeMap<Difference<'_>, Vec<&str>> = BTreeMap::new();
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for compared in servers {
        *all.entry(&compared.server).or_default() += 1;
        let Some(theirs) = &compared.theirs[place] else { continue };
        let ours = &compared.ours;
        if theirs.word != ours.word && theirs.settled && ours.settled {
            let difference = Difference { server: &compared.server, ours: &ours.word, theirs: &theirs.word };
            found.entry(difference).or_default().push(&compared.backend);
        }
    }
    let told = |(difference, backends): (Difference<'_>, Vec<&str>)| {
        let everywhere = all.get(difference.server) == Some(&backends.len());
        let place = if everywhere { String::new() } else { format!(" in {}", listed(&backends)) };
        difference.text(us, peer, &place)
    };
    found.into_iter().map(told).collect()
}

/// What two think of one server.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Difference<'a> {
    server: &'a str,
    ours: &'a str,
    theirs: &'a str,
}

impl Difference<'_> {
    /// "lb1 sees vie down, lb2 ready: look at the network between lb1 and vie."
    fn text(&self, us: &str, peer: &str, place: &str) -> String {
        let Self { server, ours, theirs } = self;
        format!("{us} sees {server} {ours}{place}, {peer} {theirs}: {}.", self.advice(us, peer))
    }

    fn advice(&self, us: &str, peer: &str) -> String {
        let Self { server, ours, theirs } = self;
        let is_ordered = |word: &str| matches!(word, "drain" | "maint");
        match (*ours, *theirs) {
            (ours, theirs) if is_ordered(ours) && is_ordered(theirs) => {
                "operators have ordered different things".into()
            }
            (ours, _) if is_ordered(ours) => format!("an operator has ordered it on {us} alone"),
            (_, theirs) if is_ordered(theirs) => format!("an operator has ordered it on {peer} alone"),
            ("wrong cluster", _) | (_, "wrong cluster") => {
                format!("look whose certificate each is shown at {server}'s address")
            }
            ("down", _) => format!("look at the network between {us} and {server}"),
            (_, "down") => format!("look at the network between {peer} and {server}"),
            _ => "the checks of the two may differ".into(),
        }
    }
}

#[cfg(test)]
mod tests;
