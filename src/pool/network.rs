//! What is known of the network: when each host was last heard of, and whether this one is cut off from all of them.
//!
//! Silence says that a server is dead only while somebody else is heard: otherwise it may be our own cable. Whoever
//! hears a host (a probe, a dial) notes it here, refusals included, since they prove the network as well.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::history::History;
use super::row::Row;
use crate::clock;
use crate::event::IsolationChange;
use crate::model::{Backend, Host, HostAddress};

/// All hosts behind us, and whether we are cut off from them.
#[derive(Debug)]
pub struct Network {
    epoch: Instant,
    known: RwLock<Known>,
    isolated: AtomicBool,
    returning: AtomicBool,
    isolation: Mutex<Isolation>,
}

/// What a configuration says of the network.
#[derive(Debug)]
struct Known {
    hosts: Arc<[Arc<HostLink>]>,
    /// For how long all that count must be silent.
    window: Duration,
}

/// One machine, as the way to it is known.
#[derive(Debug)]
pub struct HostLink {
    pub address: HostAddress,
    /// Whether it stands in a backend with other hosts, so that its silence can be held against theirs.
    counts: AtomicBool,
    epoch: Instant,
    /// Milliseconds since the epoch, and one more; 0 is never.
    heard: AtomicU64,
    /// The last time that we had no way to it.
    unroutable: AtomicU64,
    /// Resets of sessions, and when they last made a row.
    resets: Mutex<Row>,
    reset: AtomicU64,
    history: History,
    /// Wakes its monitor: some of its servers are to be probed now.
    pub probe: Notify,
    /// All of them are.
    asked: AtomicBool,
}

/// For how long sessions are asked for the resets of others: each looks several times in it.
const RESETS: Duration = Duration::from_secs(1);

/// How long after isolation nobody is blamed for silence yet.
const RETURN: Duration = Duration::from_secs(3);

/// How many hosts are asked in place of all: in a burst, each late probe among a thousand must not make a thousand more.
const FEW: usize = 2;

/// Longest isolation: after it the servers count as down, whatever the reason.
const LONGEST: Duration = Duration::from_secs(60);

impl Network {
    /// The network of these hosts, whose servers stand in these backends; nobody has been heard yet.
    pub fn new(hosts: &[Host], backends: &[Backend]) -> Arc<Self> {
        let epoch = Instant::now();
        Arc::new(Self {
            epoch,
            known: RwLock::new(Known::of(hosts, backends, &[], epoch)),
            isolated: AtomicBool::new(false),
            returning: AtomicBool::new(false),
            isolation: Mutex::default(),
        })
    }

    /// Takes the hosts of a new configuration. What is known of those that stay is kept.
    pub fn renew(&self, hosts: &[Host], backends: &[Backend]) {
        let renewed = Known::of(hosts, backends, &self.hosts(), self.epoch);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    fn hosts(&self) -> Arc<[Arc<HostLink>]> {
        Arc::clone(&self.known().hosts)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host of this address.
    pub fn host(&self, address: &HostAddress) -> Option<Arc<HostLink>> {
        self.known().hosts.iter().find(|host| host.address == *address).cloned()
    }

    /// Whether another host than this one has been heard since; true as well where there is no other to be heard.
    pub fn is_heard_since(&self, since: Instant, but: &HostAddress) -> bool {
        self.is_any_other(but, |host| host.heard().is_some_and(|heard| heard >= since))
    }

    /// Whether another host was heard between these times ago, the longer one first: long enough after a host was asked,
    /// and long enough before now for it to have answered as well. True as well where there is no other.
    pub fn is_proven_between(&self, longest: Duration, shortest: Duration, but: &HostAddress) -> bool {
        self.is_any_other(but, |host| host.history.heard_between(Instant::now(), longest, shortest))
    }

    fn is_any_other(&self, but: &HostAddress, is: impl Fn(&HostLink) -> bool) -> bool {
        let known = self.known();
        let mut others = known.hosts.iter().filter(|host| host.address != *but).peekable();
        others.peek().is_none() || others.any(|host| is(host))
    }

    /// When any host was last heard.
    pub fn last_heard(&self) -> Option<Instant> {
        self.known().hosts.iter().filter_map(|host| host.heard()).max()
    }

    pub fn is_isolated(&self) -> bool {
        self.isolated.load(Relaxed)
    }

    /// Whether we were isolated until a moment ago: some hosts may be heard again before others.
    pub fn is_returning(&self) -> bool {
        self.returning.load(Relaxed)
    }

    /// From one look to the next.
    pub const LOOK: Duration = Duration::from_millis(100);

    /// Works out anew whether we are cut off; what that changed. To be called once every [`Network::LOOK`].
    pub fn look(&self, now: Instant) -> Option<IsolationChange> {
        let (all, window) = (self.hosts(), self.known().window);
        for host in &*all {
            host.heard().into_iter().for_each(|heard| host.history.note(heard));
        }
        let hosts: Vec<_> = all.iter().filter(|host| host.counts.load(Relaxed)).map(|host| host.seen()).collect();
        let mut isolation = self.isolation.lock().unwrap_or_else(PoisonError::into_inner);
        let before = isolation.is_isolated();
        isolation.look(now, self.epoch, window, &hosts);
        let isolated = isolation.is_isolated();
        self.isolated.store(isolated, Relaxed);
        self.returning.store(matches!(isolation.state, State::Returning { .. }), Relaxed);
        (before != isolated).then(|| IsolationChange { isolated: isolation.reason(), at: clock::wall() })
    }

    /// Has a few other hosts than this one probed now: whether somebody else is heard decides what its silence means.
    /// Those that were heard last are the likeliest to be, and one that is heard is enough.
    pub fn ask_others(&self, but: &HostAddress) {
        let hosts = self.hosts();
        let may_be_asked = |host: &&Arc<HostLink>| host.address != *but && host.counts.load(Relaxed);
        let mut others: Vec<_> = hosts.iter().filter(may_be_asked).collect();
        others.sort_by_key(|host| std::cmp::Reverse(host.heard()));
        others.iter().take(FEW).for_each(|host| host.ask());
    }
}

impl Known {
    /// Those of `old` are kept that are among the hosts.
    fn of(hosts: &[Host], backends: &[Backend], old: &[Arc<HostLink>], epoch: Instant) -> Self {
        let hosts = hosts.iter().map(|host| {
            let known = old.iter().find(|known| known.address == host.address).cloned();
            let link = known.unwrap_or_else(|| HostLink::new(&host.address, epoch));
            link.counts.store(stands_beside_another(&host.address, backends), Relaxed);
            link
        });
        let hosts = hosts.collect();
        let checks = backends.iter().flat_map(|backend| &backend.servers).filter_map(|server| server.check.as_ref());
        let window = checks.map(|check| check.interval * u32::from(check.fall)).max().unwrap_or(Duration::from_secs(6));
        Self { hosts, window }
    }
}

/// Whether it stands in a backend with other hosts.
fn stands_beside_another(address: &HostAddress, backends: &[Backend]) -> bool {
    backends.iter().any(|backend| {
        let others = backend.servers.iter().any(|server| server.address.host != *address);
        others && backend.servers.iter().any(|server| server.address.host == *address)
    })
}

impl HostLink {
    fn new(address: &HostAddress, epoch: Instant) -> Arc<Self> {
        Arc::new(Self {
            address: address.clone(),
            counts: AtomicBool::new(false),
            epoch,
            heard: AtomicU64::new(0),
            unroutable: AtomicU64::new(0),
            resets: Mutex::default(),
            reset: AtomicU64::new(0),
            history: History::new(Network::LOOK),
            probe: Notify::new(),
            asked: AtomicBool::new(false),
        })
    }

    /// Notes that it has answered, if only with a refusal.
    pub fn note_heard(&self) {
        self.heard.store(self.moment(), Relaxed);
    }

    /// Notes that there is no way to it.
    pub fn note_unroutable(&self) {
        self.unroutable.store(self.moment(), Relaxed);
    }

    /// Notes that a server on it has reset a session.
    pub fn note_reset(&self) {
        if self.resets.lock().unwrap_or_else(PoisonError::into_inner).note(Instant::now()) {
            self.reset.store(self.moment(), Relaxed);
        }
    }

    /// Whether its servers have reset one session after another a moment ago. A machine that has crashed and is back by the
    /// time of the next probe does nothing else that would be noticed, and its other sessions are as dead.
    pub fn resets(&self) -> bool {
        self.at(&self.reset).is_some_and(|at| at.elapsed() < RESETS)
    }

    /// Has all its servers probed now.
    pub fn ask(&self) {
        self.asked.store(true, Relaxed);
        self.probe.notify_one();
    }

    /// Whether all its servers are to be probed now; said once.
    pub fn is_asked(&self) -> bool {
        self.asked.swap(false, Relaxed)
    }

    /// When it was last heard.
    pub fn heard(&self) -> Option<Instant> {
        self.at(&self.heard)
    }

    fn seen(&self) -> Seen {
        Seen { heard: self.heard(), unroutable: self.at(&self.unroutable) }
    }

    /// When something happened, by the [`HostLink::moment`] that was noted of it; `None` if it never did.
    pub(super) fn at(&self, moment: &AtomicU64) -> Option<Instant> {
        let moment = moment.load(Relaxed).checked_sub(1)?;
        Some(self.epoch + Duration::from_millis(moment))
    }

    /// Now, for an atomic in which 0 is never.
    pub(super) fn moment(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).map_or(u64::MAX, |elapsed| elapsed + 1)
    }
}

/// What is known of one host's answers.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    heard: Option<Instant>,
    unroutable: Option<Instant>,
}

/// Whether we are cut off: pure, with time as an argument.
#[derive(Debug, Default)]
struct Isolation {
    state: State,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Connected,
    Isolated {
        since: Instant,
        why: Why,
    },
    /// Somebody was heard again; the ways to others may take a moment longer, as when their addresses are looked up.
    Returning {
        since: Instant,
    },
    /// It has lasted too long to be believed, and nobody has been heard yet.
    Spent,
}

#[derive(Debug, Clone, Copy)]
enum Why {
    NoWay,
    Silence,
}

impl Isolation {
    fn is_isolated(&self) -> bool {
        matches!(self.state, State::Isolated { .. })
    }

    fn reason(&self) -> Option<String> {
        match self.state {
            State::Isolated { why: Why::NoWay, .. } => Some("this host has no way to its network".to_owned()),
            State::Isolated { why: Why::Silence, .. } => Some("no host behind us answers".to_owned()),
            State::Connected | State::Returning { .. } | State::Spent => None,
        }
    }

    /// `hosts` are those whose silence counts, `window` is for how long all must have been silent.
    fn look(&mut self, now: Instant, begun: Instant, window: Duration, hosts: &[Seen]) {
        let last = hosts.iter().filter_map(|host| host.heard).max();
        self.state = match self.state {
            State::Isolated { since, .. } if last.is_some_and(|last| last > since) => State::Returning { since: now },
            State::Isolated { since, .. } if now - since >= LONGEST => State::Spent,
            State::Returning { since } if now - since >= RETURN => State::Connected,
            State::Spent if last.is_some_and(|last| now - last < window) => State::Connected,
            State::Connected => match cut_off(now, begun, window, hosts, last) {
                Some(why) => State::Isolated { since: now, why },
                None => State::Connected,
            },
            other => other,
        };
    }
}

fn cut_off(now: Instant, begun: Instant, window: Duration, hosts: &[Seen], last: Option<Instant>) -> Option<Why> {
    if hosts.is_empty() {
        return None;
    }
    let unheard_since = |moment: Instant| last.is_none_or(|last| last < moment);
    if hosts.iter().filter_map(|host| host.unroutable).max().is_some_and(unheard_since) {
        return Some(Why::NoWay);
    }
    // Before anybody could have answered, silence says nothing; and whoever has never been heard was never lost.
    let silent = last.is_some_and(|last| now - last.max(begun) >= window);
    silent.then_some(Why::Silence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(6);

    /// A look so many seconds after the start, at hosts that were heard, or had no way to them, at these.
    fn look(isolation: &mut Isolation, begun: Instant, now: u64, heard: &[u64], unroutable: &[u64]) -> bool {
        let at = |seconds: &u64| begun + Duration::from_secs(*seconds);
        let heard = heard.iter().map(|seconds| Seen { heard: Some(at(seconds)), unroutable: None });
        let unroutable = unroutable.iter().map(|seconds| Seen { heard: None, unroutable: Some(at(seconds)) });
        let hosts: Vec<_> = heard.chain(unroutable).collect();
        isolation.look(at(&now), begun, WINDOW, &hosts);
        isolation.is_isolated()
    }

    // Seen to fail with a window that any one host fulfils, with an end that needs no answer, without LONGEST, and with
    // Spent left after silence alone.

    #[test]
    fn we_are_isolated_when_no_host_has_answered_for_the_window() {
        let (mut isolation, begun) = (Isolation::default(), Instant::now());
        assert!(!look(&mut isolation, begun, 15, &[10, 3], &[]));
        assert!(look(&mut isolation, begun, 16, &[10, 3], &[]));
        assert!(!look(&mut isolation, begun, 17, &[10, 17], &[]), "one that answers ends it");
    }

    // Seen to fail with a RETURN of 2 s and of 4 s.
    #[test]
    fn after_isolation_nobody_is_blamed_for_three_seconds() {
        let (mut isolation, begun) = (Isolation::default(), Instant::now());
        assert!(look(&mut isolation, begun, 16, &[10, 3], &[]));
        assert!(!look(&mut isolation, begun, 18, &[17, 3], &[]));
        for (now, returning) in [(20, true), (21, false)] {
            look(&mut isolation, begun, now, &[20, 3], &[]);
            assert_eq!(matches!(isolation.state, State::Returning { .. }), returning, "{now}");
        }
    }

    #[test]
    fn we_are_isolated_at_once_without_a_way_to_the_network() {
        let (mut isolation, begun) = (Isolation::default(), Instant::now());
        assert!(!look(&mut isolation, begun, 20, &[20], &[19]), "one that was heard later has a way");
        assert!(look(&mut isolation, begun, 21, &[20], &[21]));
        assert!(!look(&mut isolation, begun, 23, &[22], &[21]));
    }

    #[test]
    fn isolation_ends_by_itself_and_does_not_begin_again_before_somebody_answers() {
        let (mut isolation, begun) = (Isolation::default(), Instant::now());
        assert!(look(&mut isolation, begun, 16, &[10], &[]));
        assert!(look(&mut isolation, begun, 75, &[10], &[]));
        assert!(!look(&mut isolation, begun, 76, &[10], &[]));
        assert!(!look(&mut isolation, begun, 100, &[10], &[]));
        assert!(!look(&mut isolation, begun, 101, &[100], &[]));
        assert!(look(&mut isolation, begun, 106, &[100], &[]));
    }

    #[test]
    fn whoever_was_never_heard_was_never_lost_and_a_lone_host_has_nobody_to_be_held_against() {
        let (mut isolation, begun) = (Isolation::default(), Instant::now());
        assert!(!look(&mut isolation, begun, 1000, &[], &[]));
        let nobody = [Seen::default(), Seen::default()];
        isolation.look(begun + Duration::from_secs(1000), begun, WINDOW, &nobody);
        assert!(!isolation.is_isolated());
    }

    fn network(servers: &str) -> Arc<Network> {
        let text = format!(
            "[[frontend]]\nname = 'f'\nlisten = ':6443'\nbackend = 'b'\n\
             [[backend]]\nname = 'b'\ncheck = {{ type = 'tcp', interval = '2s', fall = 3 }}\nservers = [{servers}]"
        );
        let config = crate::config::parse(&text, "test.toml").unwrap();
        Network::new(&config.hosts, &config.backends)
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_is_silent_for_fall_intervals() {
        let network = network("'192.0.2.1:6443', '192.0.2.2:6443'");
        network.hosts()[0].note_heard();
        for (seconds, isolated) in [(5, false), (1, true)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            network.look(Instant::now());
            assert_eq!(network.is_isolated(), isolated);
        }
        network.hosts()[1].note_heard();
        tokio::time::advance(Network::LOOK).await;
        network.hosts()[1].note_heard();
        let change = network.look(Instant::now()).expect("it is over");
        assert_eq!(change.isolated, None);
    }

    // Seen to fail with all others asked, and with the order turned round.
    #[tokio::test(start_paused = true)]
    async fn of_the_other_hosts_the_two_that_were_heard_last_are_asked() {
        let network = network("'192.0.2.1:6443', '192.0.2.2:6443', '192.0.2.3:6443', '192.0.2.4:6443'");
        for place in [2, 1, 0, 3] {
            tokio::time::advance(Duration::from_secs(1)).await;
            network.hosts()[place].note_heard();
        }
        network.ask_others(&network.hosts()[3].address);
        let asked: Vec<_> = network.hosts().iter().map(|host| host.is_asked()).collect();
        assert_eq!(asked, [true, true, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_a_hosts_own_only_if_another_was_heard_meanwhile() {
        let network = network("'192.0.2.1:6443', '192.0.2.2:6443'");
        let [first, second] = [0, 1].map(|place| Arc::clone(&network.hosts()[place]));
        let seconds = Duration::from_secs;
        second.note_heard();
        for _ in 0..20 {
            tokio::time::advance(Network::LOOK).await;
            network.look(Instant::now());
        }
        assert!(network.is_proven_between(seconds(3), seconds(1), &first.address));
        assert!(!network.is_proven_between(seconds(1), Duration::ZERO, &first.address), "that was before");
        assert!(!network.is_proven_between(seconds(3), seconds(1), &second.address), "of itself it proves nothing");
        let lone = self::network("'192.0.2.1:6443'");
        assert!(
            lone.is_proven_between(seconds(3), seconds(1), &lone.hosts()[0].address),
            "there is nobody to be heard"
        );
    }
}
