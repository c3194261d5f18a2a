//! The page's first sentence: what a person who opens it wants to know, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::figures::{count, days_until, moment, span, words};
use super::shared::shared_source;
use crate::event::{
    AdminState, BackendSnapshot, Certificate, Predecessor, ProcessPhase, Remark, ServerSnapshot, ServerState, Snapshot,
    host,
};
use crate::model::HostAddress;

/// From how many days before its end on a certificate is mentioned.
pub(super) const CERTIFICATE_DAYS: i64 = 14;

/// From how many hundredths of a limit on it is mentioned.
const NEAR_LIMIT: u64 = 80;

/// Sentences beneath the first; what is beyond them is in the tables.
const MOST_NOTES: usize = 6;

/// The state of the whole in a sentence, and what else should be known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Headline {
    pub(super) tone: Tone,
    pub(super) text: String,
    pub(super) notes: Vec<String>,
}

/// How bad it is; each has its colour on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    Good,
    /// As somebody wants it, or soon over.
    Notice,
    Warning,
    Bad,
}

impl Tone {
    /// Its class in the stylesheet and the name of its icon.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// The worst finding is the headline, the others are its notes, worst first.
pub(super) fn headline(snapshot: &Snapshot) -> Headline {
    let controllers = controllers(snapshot);
    let mut findings = Vec::new();
    findings.extend(phase(snapshot));
    findings.extend(shadow(snapshot));
    findings.extend(isolation(snapshot));
    findings.extend(without_server(snapshot));
    findings.extend(snapshot.backends.iter().filter_map(on_backups));
    findings.extend(limits(snapshot));
    findings.extend(snapshot.backends.iter().filter_map(on_shared_address));
    findings.extend(troubles(&controllers, snapshot));
    findings.extend(remarks(&controllers));
    findings.extend(certificates(&controllers, snapshot.at));
    findings.extend(predecessors(snapshot));
    findings.extend(refused_reload(snapshot));
    // Stable: of two that are equally bad, the one named first above leads.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.tone));
    if findings.iter().all(|finding| finding.aside) {
        findings.insert(0, serving(&controllers));
    }
    let worst = findings.iter().map(|finding| finding.tone).max().unwrap_or(Tone::Good);
    let left_out = findings.len().saturating_sub(1 + MOST_NOTES);
    let mut sentences = findings.into_iter().map(|finding| finding.text);
    let text = sentences.next().unwrap_or_default();
    let mut notes: Vec<_> = sentences.take(MOST_NOTES).collect();
    if left_out > 0 {
        notes.push(format!("And {} more.", words(left_out)));
    }
    Headline { tone: worst, text, notes }
}

struct Finding {
    tone: Tone,
    text: String,
    /// Does not speak about who serves.
    aside: bool,
}

impl Finding {
    fn new(tone: Tone, text: String) -> Self {
        Self { tone, text, aside: false }
    }
}

fn phase(snapshot: &Snapshot) -> Option<Finding> {
    let left = match snapshot.process.sessions {
        0 => "no session is left".to_owned(),
        1 => "one session is left".to_owned(),
        n => format!("{} sessions are left", count(n.into())),
    };
    match snapshot.process.phase {
        ProcessPhase::Serving => None,
        ProcessPhase::Preempt => {
            Some("The process was told to stop. It still accepts, so that clients move first.".into())
        }
        ProcessPhase::Stopping => Some(format!("The process is stopping: {left}.")),
        ProcessPhase::Replaced => Some(format!("A newer process has taken over: {left} here.")),
    }
    .map(|text| Finding::new(Tone::Warning, text))
}

/// Said first of all that is not wrong: whoever reads on should know that these are no clients' sessions.
fn shadow(snapshot: &Snapshot) -> Option<Finding> {
    const TEXT: &str = "This process is a shadow (run --shadow): it probes and reports, and takes no client.";
    let takes_nobody = snapshot.frontends.iter().all(|frontend| frontend.listen.is_empty());
    takes_nobody.then(|| Finding { aside: true, ..Finding::new(Tone::Notice, TEXT.to_owned()) })
}

fn predecessors(snapshot: &Snapshot) -> Vec<Finding> {
    let still = |old: &Predecessor| match old.sessions {
        0 => "has no session any more, and waits for older ones or is about to end".to_owned(),
        1 => "still has one session".to_owned(),
        sessions => format!("still has {} sessions", count(sessions.into())),
    };
    let text = |old: &Predecessor| {
        let replaced = since(old.replaced, snapshot.at);
        format!("The process {} (version {}), replaced since {replaced}, {}.", old.pid, old.version, still(old))
    };
    let told = |old| Finding { aside: true, ..Finding::new(Tone::Warning, text(old)) };
    snapshot.process.predecessors.iter().map(told).collect()
}

/// Said until a later reload succeeds: whoever changed the file may not know.
fn refused_reload(snapshot: &Snapshot) -> Option<Finding> {
    let refused = snapshot.process.config.refused.as_ref()?;
    let (reason, at) = (&refused.reason, since(refused.at, snapshot.at));
    let text = format!("A reload was refused, and the configuration before is in force, since {at}: {reason}");
    Some(Finding { aside: true, ..Finding::new(Tone::Warning, text) })
}

fn isolation(snapshot: &Snapshot) -> Option<Finding> {
    let text = "No host behind this one can be reached: its own network may be down. Nothing is closed for it.";
    snapshot.process.isolated.then(|| Finding::new(Tone::Bad, text.to_owned()))
}

fn without_server(snapshot: &Snapshot) -> Vec<Finding> {
    let (backends, now) = (&snapshot.backends, snapshot.at);
    let latest = backends.iter().map(|backend| backend.since).max();
    if let (Some(latest), true) = (latest, backends.iter().all(|backend| !backend.up && backend.ever_up)) {
        return vec![Finding::new(Tone::Bad, format!("No controller serves since {}.", since(latest, now)))];
    }
    let text = |backend: &BackendSnapshot| match backend.ever_up {
        true => format!("{} has had no usable server since {}.", backend.name, since(backend.since, now)),
        false => format!("{} has not had a usable server yet.", backend.name),
    };
    backends.iter().filter(|backend| !backend.up).map(|backend| Finding::new(Tone::Bad, text(backend))).collect()
}

fn on_backups(backend: &BackendSnapshot) -> Option<Finding> {
    let has_primaries = backend.servers.iter().any(|server| !server.backup);
    let on_backups = has_primaries && backend.active == 0 && backend.backup > 0;
    let text = format!("{} runs on {}.", backend.name, if backend.backup == 1 { "its backup" } else { "its backups" });
    on_backups.then_some(Finding { tone: Tone::Warning, text, aside: true })
}

fn on_shared_address(backend: &BackendSnapshot) -> Option<Finding> {
    shared_source(backend).map(|text| Finding { tone: Tone::Notice, text, aside: true })
}

/// Of each limit that is reached, or nearly.
fn limits(snapshot: &Snapshot) -> Vec<Finding> {
    let process = &snapshot.process;
    let whole = (process.sessions >= process.max_sessions, process.sessions, process.max_sessions);
    let mut all = vec![("The process".to_owned(), whole)];
    for frontend in &snapshot.frontends {
        // Without one of its own it has the process's, which has been said.
        let limit = frontend.max_sessions.or(frontend.full.then_some(process.max_sessions));
        let sessions = frontend.counts.sessions;
        all.extend(limit.map(|limit| (frontend.name.to_string(), (frontend.full, sessions, limit))));
    }
    all.into_iter().filter_map(|(who, (full, sessions, limit))| limit_of(&who, full, sessions, limit)).collect()
}

fn limit_of(who: &str, full: bool, sessions: u32, limit: u32) -> Option<Finding> {
    let of = count(limit.into());
    let percent = u64::from(sessions) * 100 / u64::from(limit.max(1));
    let (tone, text) = match full {
        true => (Tone::Warning, format!("{who} is at its limit of {of} sessions: new clients wait.")),
        false if percent >= NEAR_LIMIT => {
            (Tone::Notice, format!("{who} has {} of {of} sessions ({percent} %).", count(sessions.into())))
        }
        false => return None,
    };
    Some(Finding { tone, text, aside: true })
}

/// A machine and its servers in all backends.
pub(super) struct Controller<'a> {
    pub(super) name: String,
    pub(super) servers: Vec<(&'a BackendSnapshot, &'a ServerSnapshot)>,
}

/// In order of first appearance. A name is that of its servers, or the address if they differ. A machine that has
/// several servers of one backend is as many controllers as their names.
pub(super) fn controllers(snapshot: &Snapshot) -> Vec<Controller<'_>> {
    let crowded = crowded(snapshot);
    let mut places = BTreeMap::new();
    let mut all: Vec<Controller<'_>> = Vec::new();
    for backend in &snapshot.backends {
        for server in &backend.servers {
            let apart = crowded.contains(&server.host).then_some(&server.name);
            let place = *places.entry((&server.host, apart)).or_insert(all.len());
            if place == all.len() {
                all.push(Controller { name: server.name.to_string(), servers: Vec::new() });
            }
            let controller = &mut all[place];
            if controller.name != server.name.as_str() {
                controller.name = server.host.to_string();
            }
            controller.servers.push((backend, server));
        }
    }
    all
}

/// Machines with several servers of one backend.
fn crowded(snapshot: &Snapshot) -> BTreeSet<&HostAddress> {
    let mut crowded = BTreeSet::new();
    for backend in &snapshot.backends {
        let mut seen = BTreeSet::new();
        crowded.extend(backend.servers.iter().map(|server| &server.host).filter(|host| !seen.insert(*host)));
    }
    crowded
}

impl Controller<'_> {
    /// The worst that holds at any of its servers.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.servers.iter().filter_map(|(_, server)| Trouble::of(server)).max()
    }

    fn is_checked(&self) -> bool {
        self.servers.iter().any(|(_, server)| server.check.is_some())
    }

    /// Whether a check is configured that has no result yet.
    fn is_awaited(&self) -> bool {
        self.servers.iter().any(|(_, server)| server.check.as_ref().is_some_and(|check| check.last.is_none()))
    }
}

/// Why a server does not take sessions in the ordinary way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Maint,
    Drain,
    Draining,
    Kept,
    Down,
    Stranger,
}

impl Trouble {
    pub(super) fn of(server: &ServerSnapshot) -> Option<Self> {
        match (server.state, server.admin) {
            (ServerState::Maint, _) => Some(Self::Maint),
            (ServerState::Drain, _) => Some(Self::Drain),
            // An operator's word stands above what the server says of itself.
            (_, AdminState::Maint) => Some(Self::Maint),
            (_, AdminState::Drain) => Some(Self::Drain),
            (ServerState::Draining, _) => Some(Self::Draining),
            (ServerState::Kept(_), _) => Some(Self::Kept),
            (ServerState::Down(_), _) => Some(Self::Down),
            (ServerState::Stranger, _) => Some(Self::Stranger),
            (ServerState::Ready, _) => None,
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Self::Maint | Self::Drain => Tone::Notice,
            Self::Draining | Self::Kept | Self::Down => Tone::Warning,
            Self::Stranger => Tone::Bad,
        }
    }

    /// The same where nothing else is said of it.
    pub(super) fn short(self) -> &'static str {
        match self {
            Self::Stranger => "of another cluster",
            other => other.words(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Maint => "in maintenance",
            Self::Drain => "drained by the operator",
            Self::Draining => "draining",
            Self::Kept => "failing its checks and in use",
            Self::Down => "down",
            Self::Stranger => "of another cluster, by its certificate,",
        }
    }
}

fn troubles(controllers: &[Controller<'_>], snapshot: &Snapshot) -> Vec<Finding> {
    let troubled: Vec<_> = controllers.iter().filter_map(|c| Some((c, c.trouble()?))).collect();
    let mut findings: Vec<_> = (troubled.iter())
        .map(|(controller, trouble)| Finding::new(trouble.tone(), trouble_text(controller, *trouble, snapshot.at)))
        .collect();
    let rest = controllers.len() - troubled.len();
    // Where a backend has nobody, some of the others, such as one of weight 0, do not serve it.
    let all_up = snapshot.backends.iter().all(|backend| backend.up);
    if let ([finding], Some(rest), true) = (&mut findings[..], the_others_serve(rest), all_up) {
        finding.text.push_str(rest);
    }
    let worst = troubled.iter().map(|(_, trouble)| *trouble).max();
    if let (Some(worst), 2..) = (worst, troubled.len()) {
        let all = words(controllers.len());
        let text = match rest {
            0 if snapshot.backends.iter().any(|backend| backend.up) => "No controller serves every backend.".to_owned(),
            // The backends without a server have said it.
            0 => return findings,
            _ => format!("{} of {all} controllers {}.", capital(&words(rest)), verb(rest)),
        };
        findings.insert(0, Finding::new(worst.tone(), text));
    }
    findings
}

/// "k0s-at-vie-1 is down in kubeAPI_backend since 03:12:07 UTC (8 min): connection refused."
fn trouble_text(controller: &Controller<'_>, trouble: Trouble, now: SystemTime) -> String {
    let hit: Vec<_> = controller.servers.iter().filter(|(_, server)| Trouble::of(server) == Some(trouble)).collect();
    let place = match hit.len() == controller.servers.len() {
        true => String::new(),
        false => {
            let names: Vec<_> = hit.iter().map(|(backend, _)| backend.name.as_str()).collect();
            format!(" in {}", listed(&names))
        }
    };
    let from = hit.iter().map(|(_, server)| server.since).min().unwrap_or(now);
    let detail = match trouble {
        Trouble::Maint | Trouble::Drain => None,
        Trouble::Stranger => hit.iter().find_map(|(_, server)| issuer(server)),
        Trouble::Draining | Trouble::Kept | Trouble::Down => hit.iter().find_map(|(_, server)| evidence(server)),
    };
    let why = detail.map_or_else(String::new, |detail| format!(": {detail}"));
    let together = match trouble {
        Trouble::Down => host::reading(controller.servers.iter().map(|(_, server)| *server)),
        Trouble::Maint | Trouble::Drain | Trouble::Draining | Trouble::Kept | Trouble::Stranger => None,
    };
    let together = together.map_or_else(String::new, |reading| format!(" {}.", capital(&reading)));
    format!("{} is {}{place} since {}{why}.{together}", controller.name, trouble.words(), since(from, now))
}

/// One sentence for all that are alive and don't say whether they are ready, for the same reason.
fn remarks(controllers: &[Controller<'_>]) -> Vec<Finding> {
    let mut remarked: BTreeMap<Remark, Vec<&str>> = BTreeMap::new();
    for controller in controllers {
        let remarks: BTreeSet<_> = controller.servers.iter().filter_map(|(_, server)| remark(server)).collect();
        for remark in remarks {
            remarked.entry(remark).or_default().push(&controller.name);
        }
    }
    // As good as it gets with this configuration: no reason for another colour.
    let finding = |(remark, names): (Remark, Vec<&str>)| {
        let text = format!("{}: {}. {}", listed(&names), remark.words(), remark.advice());
        Finding { tone: Tone::Good, text, aside: true }
    };
    remarked.into_iter().map(finding).collect()
}

/// What the last check of a server that is up remarked.
pub(super) fn remark(server: &ServerSnapshot) -> Option<Remark> {
    server.check.as_ref()?.last.as_ref()?.remark
}

fn issuer(server: &ServerSnapshot) -> Option<String> {
    let certificate = server.check.as_ref()?.certificate.as_ref()?;
    Some(format!("it is issued by {}, unlike the others'", certificate.issuer))
}

/// What the last check saw, or the cause without it.
pub(super) fn evidence(server: &ServerSnapshot) -> Option<String> {
    let last = server.check.as_ref().and_then(|check| check.last.as_ref());
    let seen = last.filter(|last| !last.status.is_passed() && !last.detail.is_empty());
    match (seen, server.state) {
        (Some(last), _) => Some(last.detail.clone()),
        (None, ServerState::Down(cause)) => Some(cause.words().to_owned()),
        (None, _) => None,
    }
}

fn the_others_serve(others: usize) -> Option<&'static str> {
    match others {
        0 => None,
        1 => Some(" The other one serves."),
        2 => Some(" The other two serve."),
        _ => Some(" All others serve."),
    }
}

/// One sentence for all that end within the same day.
fn certificates(controllers: &[Controller<'_>], now: SystemTime) -> Vec<Finding> {
    let mut ends: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for controller in controllers {
        let seen = controller.servers.iter().filter_map(|(_, server)| certificate(server));
        let days = seen.map(|certificate| days_until(certificate.not_after, now)).min();
        if let Some(days) = days.filter(|days| *days <= CERTIFICATE_DAYS) {
            // All that are past are spoken of together.
            ends.entry(days.max(-1)).or_default().push(&controller.name);
        }
    }
    let finding = |(days, names): (i64, Vec<&str>)| {
        let one = names.len() == 1;
        let tone = if days < 1 { Tone::Warning } else { Tone::Notice };
        let whose = format!("{} of {}", if one { "A certificate" } else { "Certificates" }, listed(&names));
        let text = match days {
            ..0 => format!("{whose} {} expired.", if one { "has" } else { "have" }),
            _ => format!("{whose} {} {}.", if one { "expires" } else { "expire" }, within(days)),
        };
        Finding { tone, text, aside: true }
    };
    ends.into_iter().map(finding).collect()
}

fn within(days: i64) -> String {
    match days {
        0 => "within a day".to_owned(),
        1 => "in one day".to_owned(),
        _ => format!("in {days} days"),
    }
}

/// The last certificate seen.
pub(super) fn certificate(server: &ServerSnapshot) -> Option<&Certificate> {
    server.check.as_ref()?.certificate.as_ref()
}

/// The sentence for when nothing is wrong with a controller.
fn serving(controllers: &[Controller<'_>]) -> Finding {
    let all = controllers.len();
    let awaited = controllers.iter().filter(|controller| controller.is_awaited()).count();
    let who = match all {
        0 => return Finding::new(Tone::Notice, "No servers are configured.".into()),
        1 => "The controller".to_owned(),
        2 => "Both controllers".to_owned(),
        n => format!("All {} controllers", words(n)),
    };
    if awaited > 0 {
        let not_yet = if awaited == all {
            "no check has ended yet".to_owned()
        } else {
            format!("the first check of {} has not ended yet", words(awaited))
        };
        return Finding::new(Tone::Notice, format!("{who} {} used: {not_yet}.", if all == 1 { "is" } else { "are" }));
    }
    let unchecked = match controllers.iter().any(Controller::is_checked) {
        true => "",
        false => ", as far as is known: nothing is checked",
    };
    Finding::new(Tone::Good, format!("{who} {}{unchecked}.", verb(all)))
}

fn verb(n: usize) -> &'static str {
    if n == 1 { "serves" } else { "serve" }
}

/// `03:12:07 UTC (8 min)`.
fn since(at: SystemTime, now: SystemTime) -> String {
    let ago = now.duration_since(at).unwrap_or(Duration::ZERO);
    format!("{} UTC ({})", moment(at, now), span(ago))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests;
