//! One fault that met one load balancer: what was seen, and what may be asked of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::records::{Dial, Kind, Records, Session, Way};
use crate::rows::Setup;
use crate::site::controller;

/// What a row asks, what was seen, and whether that will do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bar {
    pub asks: String,
    pub seen: String,
    pub held: bool,
}

impl Bar {
    pub fn new(asks: impl Into<String>, seen: impl Into<String>, held: bool) -> Self {
        Self { asks: asks.into(), seen: seen.into(), held }
    }

    fn none(asks: impl Into<String>, count: usize, which: &str) -> Self {
        Self::new(asks, format!("{count}{which}"), count == 0)
    }
}

/// How the fault went.
pub struct Course {
    /// It was complete.
    pub fault: Moment,
    /// It was over, where it ends before the row does.
    pub cured: Option<Moment>,
    /// When it happened again, where it does.
    pub again: Vec<Moment>,
    /// What shows that it was the fault that the row is about.
    pub proofs: Vec<Bar>,
}

impl Course {
    /// A fault that is complete now and stays.
    pub fn now() -> Self {
        Self::from(Moment::now())
    }

    pub fn from(fault: Moment) -> Self {
        Self { fault, cured: None, again: Vec::new(), proofs: Vec::new() }
    }

    /// The fault is over now.
    pub fn cured(self) -> Self {
        Self { cured: Some(Moment::now()), ..self }
    }

    pub fn proof(mut self, bar: Bar) -> Self {
        self.proofs.push(bar);
        self
    }
}

/// All that was seen of one fault.
pub struct Run<'a> {
    pub setup: &'a Setup,
    pub course: Course,
    pub end: Moment,
    pub records: Records,
    /// `ss` of the load balancer before the fault and at the end.
    pub sockets: [String; 2],
    /// What the load balancer said.
    pub log: Vec<String>,
}

impl Run<'_> {
    /// When something was, after the fault.
    pub fn at(&self, moment: Moment) -> Duration {
        moment.since(self.course.fault)
    }

    /// New connections whose dial began so long after the fault, until it was over.
    pub fn dials(&self, way: Way, after: Duration) -> impl Iterator<Item = &Dial> {
        let (from, until) = (self.course.fault.plus(after), self.course.cured.unwrap_or(self.end));
        self.records.dials.iter().filter(move |dial| dial.way == way && dial.began >= from && dial.began < until)
    }

    /// The quantile of the time that new connections took, those that failed among them.
    pub fn latency(&self, way: Way, after: Duration, quantile: f64) -> Duration {
        quantile_of(self.dials(way, after).map(|dial| dial.ended.since(dial.began)).collect(), quantile)
    }

    /// Whether a session was at a server that was hurt, when it was.
    fn is_victim(&self, session: &Session) -> bool {
        let hurt = self.setup.whole_host || session.kind != Kind::Etcd;
        hurt && self.setup.victims.contains(&session.server) && self.was_open(session)
    }

    fn was_open(&self, session: &Session) -> bool {
        let fault = self.course.fault;
        // Faults that take their time to be complete end sessions a little before that.
        let ended_before = session.ended.is_some_and(|(ended, _)| ended.plus(Duration::from_millis(300)) < fault);
        session.began < fault && !ended_before
    }

    pub fn victims(&self) -> impl Iterator<Item = &Session> {
        self.records.sessions.iter().filter(|session| self.is_victim(session))
    }

    /// Sessions at servers that nothing was done to.
    pub fn others(&self) -> impl Iterator<Item = &Session> {
        self.records.sessions.iter().filter(|session| self.was_open(session) && !self.is_victim(session))
    }

    /// Time from the fault to the end of the last of the victims' sessions, if all have ended.
    pub fn last_end(&self) -> Option<Duration> {
        let ends: Option<Vec<_>> = self.victims().map(|session| Some(self.at(session.ended?.0))).collect();
        ends?.into_iter().max()
    }

    /// Sockets of the load balancer towards hurt servers, by state.
    pub fn states(&self, when: usize) -> BTreeMap<String, usize> {
        let addresses = self.setup.victims.iter().map(|number| {
            let address = controller(*number).map(|part| part.to_string()).join(".");
            if self.setup.whole_host { format!("{address}:") } else { format!("{address}:6443") }
        });
        let addresses: Vec<_> = addresses.collect();
        let mut states = BTreeMap::new();
        for line in self.sockets[when].lines().filter(|line| !line.starts_with(char::is_whitespace)) {
            let peer = line.split_whitespace().nth(4).unwrap_or_default().replace(['[', ']'], "");
            let peer = peer.trim_start_matches("::ffff:");
            if addresses.iter().any(|address| peer.starts_with(address)) {
                let state = line.split_whitespace().next().unwrap_or_default();
                *states.entry(state.to_owned()).or_default() += 1;
            }
        }
        states
    }

    /// The longest wait for an answer of a busy session, of requests that were open at the fault or sent after it; one
    /// that never had an answer waits to the end. etcd's answers may wait for an election, which says nothing about us.
    pub fn slowest(&self) -> Duration {
        let busy = self.records.sessions.iter().filter(|session| session.kind == Kind::Busy);
        let waits = busy.flat_map(|session| {
            let answered = session.slowest.map(|(waited, sent)| (Duration::from_micros(waited), sent));
            let answered = answered.filter(|(waited, sent)| sent.plus(*waited) >= self.course.fault);
            let asked = session.asked.map(|asked| self.end.since(asked));
            [answered.map(|(waited, _)| waited), asked]
        });
        waits.flatten().max().unwrap_or_default()
    }

    // ---- what rows ask ----

    /// No new connection failed that began so long after the fault.
    pub fn none_fails(&self, after: Duration) -> Bar {
        let all = self.dials(Way::Balanced, after).count();
        let failed = self.dials(Way::Balanced, after).filter(|dial| dial.failed.is_some()).count();
        let asks = match after {
            Duration::ZERO => "new connections: none fails".to_owned(),
            after => format!("new connections from {} on: none fails", seconds(after)),
        };
        Bar { asks, seen: format!("{failed} of {all}"), held: failed == 0 && all > 0 }
    }

    /// No new connection failed, but for those that were on their way to a server when it was hurt again.
    pub fn none_fails_but_in_flight(&self, flight: Duration) -> Bar {
        let failed: Vec<_> = self.dials(Way::Balanced, Duration::ZERO).filter(|dial| dial.failed.is_some()).collect();
        let caught = |dial: &Dial| {
            self.course
                .again
                .iter()
                .any(|fall| dial.began < *fall && fall.since(dial.began) < flight && dial.ended > *fall)
        };
        let in_flight = failed.iter().filter(|dial| caught(dial)).count();
        let all = self.dials(Way::Balanced, Duration::ZERO).count();
        let asks = format!(
            "new connections: none fails that didn't begin in the {} before a further fall",
            milliseconds(flight)
        );
        let seen = format!("{} of {all}, and {in_flight} of those", failed.len() - in_flight);
        Bar::new(asks, seen, failed.len() == in_flight && all > 0)
    }

    /// New connections are nearly as quick as those made directly.
    pub fn as_quick_as_direct(&self, within: Duration) -> Bar {
        let [balanced, direct] = [Way::Balanced, Way::Direct].map(|way| self.latency(way, Duration::ZERO, 0.995));
        let asks = format!("new connections: 99.5 % within {} ms of direct ones", within.as_millis());
        let seen = format!("{} against {}", milliseconds(balanced), milliseconds(direct));
        Bar::new(asks, seen, balanced <= direct + within)
    }

    /// Every session of the hurt servers has ended by then.
    pub fn all_closed_within(&self, limit: Duration) -> Bar {
        let count = self.victims().count();
        let late = self.victims().filter(|session| session.ended.is_none_or(|(at, _)| self.at(at) > limit)).count();
        let last = self.last_end().map_or("never".to_owned(), seconds);
        let seen = format!("{late} of {count} later, the last after {last}");
        Bar::new(format!("sessions there: all closed within {}", seconds(limit)), seen, late == 0 && count > 0)
    }

    /// No session of the hurt servers that is of this kind has ended before then.
    pub fn none_closed(&self, what: &str, until: Duration, counts: impl Fn(&Session) -> bool) -> Bar {
        let all = self.victims().filter(|session| counts(session)).count();
        let ended = |session: &&Session| session.ended.is_some_and(|(at, _)| self.at(at) < until);
        let closed = self.victims().filter(|session| counts(session)).filter(ended).count();
        let asks = format!("{what}: none closed in {}", seconds(until));
        Bar { asks, seen: format!("{closed} of {all}"), held: closed == 0 && all > 0 }
    }

    /// No busy session waits longer for an answer, or for the end that tells it that there is none.
    pub fn none_hangs(&self, limit: Duration) -> Bar {
        let asks = format!("busy sessions: none waits longer than {}", seconds(limit));
        Bar::new(asks, seconds(self.slowest()), self.slowest() <= limit)
    }

    /// Whoever is at a healthy server stays there.
    pub fn others_stay(&self) -> Bar {
        let closed = self.others().filter(|session| session.ended.is_some()).count();
        Bar::none("sessions elsewhere: none closed", closed, &format!(" of {}", self.others().count()))
    }

    /// Every write that was open at the fault, or sent after it, has an answer.
    pub fn no_write_is_lost(&self) -> Bar {
        let lost = self.records.lost.iter().filter(|lost| lost.ended >= self.course.fault);
        Bar::none("writes of unknown outcome: none", lost.count(), "")
    }

    /// The load balancer has no connection to hurt servers left, but for so many that its probes may have open.
    pub fn nothing_left(&self, probes: usize) -> Bar {
        let states = self.states(1);
        let open = ["ESTAB", "CLOSE-WAIT", "FIN-WAIT-2"].map(|state| states.get(state).copied().unwrap_or(0));
        let left: usize = open.iter().sum();
        Bar::new("at the end, the load balancer's kernel has no session there", describe(&states), left <= probes)
    }
}

/// Sockets by state, in words.
pub fn describe(states: &BTreeMap<String, usize>) -> String {
    let words: Vec<_> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn quantile_of(mut times: Vec<Duration>, quantile: f64) -> Duration {
    times.sort_unstable();
    let place = (times.len() as f64 * quantile).ceil() as usize;
    times.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
