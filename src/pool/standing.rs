//! Where a server stands, and the one function that says what becomes of new sessions there.

mod forced;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::counters::Counters;
use super::expiry::Expiry;
use super::health::{Health, Turn};
use super::server::Server;
use super::word::AgentStanding;
use crate::clock;
use crate::event::{
    AdminState, Certificate, CheckSnapshot, CheckStatus, DownCause, Evidence, ForcedOver, Kept, NeverUp, Orders,
    ProbeTotals, Readiness, ServerChange, ServerSnapshot, ServerState, Verdict, VerdictSource,
};
use crate::model::{self, JudgedBy, Weight};

/// Where a server stands: what operator and verdicts made of it. Part of the pool's locked state.
#[derive(Debug)]
pub struct Standing {
    /// What holds of both: the operator's word, or else the file's.
    pub admin: AdminState,
    pub weight: Weight,
    /// What of them is the operator's word.
    pub orders: Orders,
    /// `None` if it is not checked.
    pub(super) health: Option<Health>,
    /// `None` if it has no agent.
    pub(super) agent: Option<AgentStanding>,
    /// What the server is that it tracks.
    pub(super) followed: Option<ServerState>,
    /// Whether it takes new work, by its own word: counted as health is, so that one odd answer is not enough.
    willing: Option<Health>,
    cause: DownCause,
    judged_by: JudgedBy,
    /// A probe has failed since the last success, and it isn't down.
    suspect: bool,
    /// Since it is down its kernel has taken a connection that its process left unanswered, and none was refused.
    hung: bool,
    /// When rise and fall took it down; while it is up, when they last did.
    down_at: Option<Instant>,
    /// Whether a probe has ever passed.
    ever_passed: bool,
    /// Whether it was said that none has.
    never_up_told: bool,
    /// Its certificate is from another authority than the others'.
    pub stranger: bool,
    /// Why it is in use though it is down.
    keep: Option<Kept>,
    state: ServerState,
    since: (SystemTime, Instant),
    /// Finished times of being down.
    downtime: Duration,
    last: Option<Evidence>,
    /// What its last probes saw, the oldest first, without certificates: at most [`Standing::PROBES_KEPT`].
    probes: VecDeque<Evidence>,
    probe_totals: ProbeTotals,
    /// What real traffic has shown since.
    passive: Option<Evidence>,
    certificate: Option<Certificate>,
    /// What has been told of that certificate's end.
    expiry: Expiry,
    /// An operator wants no probes of it.
    unprobed: bool,
    /// Its health is what an operator said over this, and nobody else has said anything since.
    forced: Option<ForcedOver>,
}

/// The last result that was told of a server's check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reported {
    pub status: Option<CheckStatus>,
    pub counter: Option<u16>,
}

/// All that bears on a server's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inputs {
    pub admin: AdminState,
    /// By rise and fall; `None` if it is not checked.
    pub up: Option<bool>,
    /// Whether it says, by rise and fall, that it takes new work.
    pub willing: bool,
    /// Why it is down, if it is.
    pub cause: DownCause,
    /// Why it is in use though it is down, if it is.
    pub keep: Option<Kept>,
    /// Its certificate is from another authority than the others'.
    pub stranger: bool,
}

/// What becomes of new sessions: the operator's word lies on top of the server's own, and that on top of health.
pub fn effective(inputs: Inputs) -> ServerState {
    let down = inputs.up == Some(false);
    match (inputs.admin, inputs.keep) {
        (AdminState::Maint, _) => ServerState::Maint,
        (_, None) if down => ServerState::Down(inputs.cause),
        (AdminState::Drain, _) => ServerState::Drain,
        // It gets nothing, whatever else it says: it may be somebody else's.
        (AdminState::Ready, _) if inputs.stranger => ServerState::Stranger,
        (AdminState::Ready, Some(kept)) if down => ServerState::Kept(kept),
        (AdminState::Ready, _) if !inputs.willing => ServerState::Draining,
        (AdminState::Ready, _) => ServerState::Ready,
    }
}

impl Standing {
    /// Probes whose evidence is kept.
    pub const PROBES_KEPT: usize = 20;

    /// A checked server starts up, but one failure from down.
    pub fn starting(spec: &model::Server, judged_by: JudgedBy) -> Self {
        let admin = if spec.disabled { AdminState::Maint } else { AdminState::Ready };
        let health = spec.check.as_ref().map(|check| Health::starting_in(spec.init_state, check.rise, check.fall));
        let down_at = health.as_ref().filter(|health| !health.is_up()).map(|_| Instant::now());
        let mut standing = Self {
            admin,
            weight: spec.weight,
            orders: Orders::default(),
            willing: willingness(spec, judged_by),
            health,
            agent: spec.agent.as_ref().map(|_| AgentStanding::starting()),
            followed: None,
            cause: DownCause::Unreachable,
            judged_by,
            suspect: false,
            hung: false,
            down_at,
            ever_passed: false,
            never_up_told: false,
            stranger: false,
            keep: None,
            state: ServerState::Ready,
            since: (clock::wall(), Instant::now()),
            downtime: Duration::ZERO,
            last: None,
            probes: VecDeque::new(),
            probe_totals: ProbeTotals::default(),
            passive: None,
            certificate: None,
            expiry: Expiry::default(),
            unprobed: false,
            forced: None,
        };
        standing.state = effective(standing.inputs());
        standing
    }

    /// Goes on by a new configuration; `anew` has its check begin anew, on the side on which it was.
    pub fn renew(&mut self, spec: &model::Server, anew: bool, judged_by: JudgedBy) {
        self.judged_by = judged_by;
        self.suspect &= judged_by.weighs();
        if spec.agent.is_none() {
            self.agent = None;
        } else if self.agent.is_none() {
            self.agent = Some(AgentStanding::starting());
        }
        self.followed = self.followed.filter(|_| spec.track.is_some());
        if anew {
            let up = self.health.as_ref().is_none_or(Health::is_up);
            self.health = spec.check.as_ref().map(|check| Health::resuming(check.rise, check.fall, up));
            self.willing = willingness(spec, judged_by);
            (self.suspect, self.hung, self.unprobed, self.forced) = (false, false, false, None);
            (self.last, self.passive, self.certificate) = (None, None, None);
        }
    }

    /// Goes on from a health counter of the same rise and fall; `down` is why it was down, and since when, if it was.
    pub(super) fn go_on_from(&mut self, counter: u16, down: Option<(DownCause, Instant)>) {
        let Some(health) = self.health.as_mut() else { return };
        health.go_on_from(counter);
        if let Some((cause, since)) = down {
            (self.cause, self.down_at) = (cause, Some(since));
        }
        self.ever_passed |= down.is_none();
    }

    /// Has its state be what it is since then, without that being a change.
    pub(super) fn stand_since(&mut self, since: (SystemTime, Instant), downtime: Duration) {
        self.state = self.due();
        self.since = since;
        self.downtime = downtime;
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            admin: self.admin_of_both(),
            up: self.up(),
            willing: self.willing.as_ref().is_none_or(Health::is_up) && self.followed != Some(ServerState::Draining),
            cause: match self.followed {
                Some(ServerState::Down(cause)) => cause,
                _ => self.cause,
            },
            keep: self.keep,
            stranger: self.stranger || self.followed == Some(ServerState::Stranger),
        }
    }

    /// Whether it is up by all that says so: its probes, its agent, the server that it tracks. `None` if nothing does.
    fn up(&self) -> Option<bool> {
        let by_probes = self.health.as_ref().map(Health::is_up);
        let by_agent = self.agent.as_ref().map(AgentStanding::is_up);
        let by_other = self.followed.map(|state| !matches!(state, ServerState::Down(_)));
        [by_probes, by_agent, by_other].into_iter().flatten().reduce(|one, other| one && other)
    }

    pub fn state(&self) -> ServerState {
        self.state
    }

    /// The state that the next [`Standing::settle`] will find.
    pub fn due(&self) -> ServerState {
        effective(self.inputs())
    }

    /// How long it has been in this state.
    pub fn age(&self) -> Duration {
        self.since.1.elapsed()
    }

    pub fn is_suspect(&self) -> bool {
        self.suspect
    }

    pub fn is_hung(&self) -> bool {
        self.hung
    }

    /// Whether the next results of its probes may change its health.
    pub fn in_transition(&self) -> bool {
        self.health.as_ref().is_some_and(Health::in_transition)
    }

    /// Why rise and fall have it down, and since when, if they do.
    pub fn down(&self) -> Option<(DownCause, Instant)> {
        let down = self.health.as_ref().is_some_and(|health| !health.is_up());
        Some((self.cause, self.down_at.filter(|_| down)?))
    }

    /// Whether no probe has ever passed.
    pub fn has_never_passed(&self) -> bool {
        !self.ever_passed
    }

    /// Whether it is time to say that it has never been up; said once.
    pub fn never_up_is_due(&mut self) -> bool {
        let long = self.down().is_some_and(|(_, since)| since.elapsed() >= NeverUp::AFTER);
        let due = long && self.admin == AdminState::Ready && !self.ever_passed && !self.never_up_told;
        self.never_up_told |= due;
        due
    }

    pub fn keep(&mut self, keep: Option<Kept>) {
        self.keep = keep;
    }

    /// The last certificate that it showed.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// What decided its state: what the last probe saw, or what real traffic has shown since.
    pub fn evidence(&self) -> Option<&Evidence> {
        let of_agent = self.agent.as_ref().and_then(AgentStanding::blame);
        of_agent.or(self.passive.as_ref()).or(self.last.as_ref())
    }

    /// On what it came from `from` to its present state: what decided it, and what was seen before. Nothing, if an
    /// operator did.
    pub fn grounds(&self, from: ServerState) -> (Option<Evidence>, Vec<Evidence>) {
        let lifted = from.is_ordered() && !matches!(self.state, ServerState::Down(_));
        match self.state.is_ordered() || lifted || self.forced.is_some() {
            true => (None, Vec::new()),
            false => (self.evidence().cloned(), self.last_probes(ServerChange::RECENT)),
        }
    }

    /// The certificate that it shows and how long that is good for, if it is time to tell of it.
    pub fn expiry_due(&mut self, now: SystemTime) -> Option<(Option<Duration>, &Certificate)> {
        let certificate = self.certificate.as_ref()?;
        let due = self.expiry.look(certificate.not_after, now)?;
        Some((due.left, certificate))
    }

    /// What its last probe saw, or what real traffic put in its place.
    pub(super) fn told(&self) -> Option<&Evidence> {
        self.last.as_ref()
    }

    /// What its last probes saw, so many at most, the oldest first.
    pub(super) fn last_probes(&self, most: usize) -> Vec<Evidence> {
        self.probes.iter().skip(self.probes.len().saturating_sub(most)).cloned().collect()
    }

    fn remember(&mut self, state: Readiness, evidence: &Evidence) {
        self.probe_totals.ended += 1;
        self.probe_totals.failed += u64::from(matches!(state, Readiness::Down(_)));
        self.probe_totals.time += evidence.duration;
        if self.probes.len() == Self::PROBES_KEPT {
            self.probes.pop_front();
        }
        self.probes.push_back(Evidence { certificate: None, ..evidence.clone() });
    }

    /// Until the next probe is due, from the start of the last.
    pub fn probe_interval(&self, check: &model::Check) -> Duration {
        let unsettled = self.willing.as_ref().filter(|willing| willing.in_transition());
        unsettled.or(self.health.as_ref()).map_or(check.interval, |health| health.interval(check))
    }

    /// Counts a verdict; says whether health changed sides.
    pub fn apply(&mut self, verdict: Verdict, counters: &Counters) -> Option<Turn> {
        let Verdict { state, evidence, source } = verdict;
        if self.unprobed {
            // Of a probe that was under way.
            return None;
        }
        self.forced = None;
        if evidence.certificate.is_some() {
            self.certificate.clone_from(&evidence.certificate);
        }
        self.passive = None;
        match source {
            VerdictSource::Probe => {
                self.remember(state, &evidence);
                self.last = Some(evidence);
            }
            VerdictSource::Passive => self.passive = Some(evidence),
            VerdictSource::Operator => {}
        }
        let health = self.health.as_mut()?;
        let was_up = health.is_up();
        let turn = match state {
            Readiness::Down(cause) if source == VerdictSource::Passive => {
                self.cause = cause;
                health.fail()
            }
            // An error of our own says nothing of the server.
            Readiness::Down(DownCause::Local) if self.judged_by.weighs() => return None,
            Readiness::Down(cause) => {
                if was_up {
                    super::counters::count(&counters.check_failures);
                }
                self.cause = cause;
                health.apply(false)
            }
            // For HAProxy only a server that is up can come to take no new work.
            Readiness::Draining if !was_up && !self.judged_by.weighs() => {
                self.cause = DownCause::Unexpected;
                health.apply(false)
            }
            Readiness::Ready | Readiness::Draining => {
                self.ever_passed = true;
                health.apply(true)
            }
        };
        self.note_course(state, was_up);
        if let Some(willing) = self.willing.as_mut() {
            match state {
                Readiness::Draining => drop(willing.apply(false)),
                Readiness::Ready => drop(willing.apply(true)),
                Readiness::Down(_) => {}
            }
        }
        if turn == Some(Turn::Down) {
            super::counters::count(&counters.downs);
        }
        turn
    }

    /// Begins anew as it did at first, which is how HAProxy has a server leave maintenance.
    pub(super) fn begin_anew(&mut self, spec: &model::Server) {
        let Some(check) = &spec.check else { return };
        let health = Health::starting_in(spec.init_state, check.rise, check.fall);
        self.down_at = if health.is_up() { None } else { Some(Instant::now()) };
        self.health = Some(health);
        self.willing = willingness(spec, self.judged_by);
    }

    /// What the last probe said and where that left the counter: what a report of another one is held against.
    pub(super) fn reported(&self) -> Reported {
        Reported {
            status: self.last.as_ref().map(|last| last.status),
            counter: self.health.as_ref().map(Health::counter),
        }
    }

    /// Takes the word of real traffic on it, which its health has been lowered for.
    pub(super) fn take_blame(&mut self, cause: DownCause, evidence: Evidence, turn: Option<Turn>, counters: &Counters) {
        self.last = Some(evidence);
        if turn == Some(Turn::Down) {
            (self.cause, self.down_at) = (cause, Some(Instant::now()));
            super::counters::count(&counters.downs);
        }
    }

    /// Notes what a verdict means beside its count.
    fn note_course(&mut self, state: Readiness, was_up: bool) {
        let up = self.health.as_ref().is_some_and(Health::is_up);
        self.suspect = self.judged_by.weighs() && up && matches!(state, Readiness::Down(_));
        if was_up && !up {
            self.down_at = Some(Instant::now());
        }
        self.hung = match state {
            _ if up => false,
            Readiness::Down(DownCause::TimedOut) => true,
            Readiness::Down(DownCause::Refused) => false,
            _ => self.hung,
        };
    }

    /// Works out the state anew; the old one if it is another kind of state now.
    pub fn settle(&mut self) -> Option<ServerState> {
        let (old, new) = (self.state, self.due());
        self.state = new;
        if std::mem::discriminant(&old) == std::mem::discriminant(&new) {
            return None;
        }
        let (_, since) = self.since;
        if matches!(old, ServerState::Down(_)) {
            self.downtime += since.elapsed();
        }
        self.since = (clock::wall(), Instant::now());
        Some(old)
    }

    pub fn snapshot(&self, server: &Server, replaced_sessions: u32) -> ServerSnapshot {
        let spec = server.spec();
        let running = matches!(self.state, ServerState::Down(_)).then(|| self.since.1.elapsed());
        ServerSnapshot {
            id: spec.id,
            name: server.name.clone(),
            address: server.endpoint.clone(),
            host: server.endpoint.host.clone(),
            weight: self.weight,
            backup: spec.backup,
            max_sessions: spec.max_sessions,
            state: self.state,
            suspect: self.suspect,
            admin: self.admin,
            orders: self.orders,
            since: self.since.0,
            check: spec.check.as_ref().zip(self.health.as_ref()).filter(|_| !self.unprobed).map(|(check, health)| {
                CheckSnapshot {
                    kind: check.probe.kind(),
                    rise: check.rise,
                    fall: check.fall,
                    health: health.counter(),
                    running: server.is_probed(),
                    last: self.last.clone(),
                    certificate: self.certificate.clone(),
                    probes: self.probe_totals,
                }
            }),
            downtime: self.downtime + running.unwrap_or_default(),
            replaced_sessions,
            counts: server.counters.counts(),
            agent: self
                .agent
                .as_ref()
                .filter(|agent| agent.is_asked())
                .map(|agent| agent.snapshot(server.is_agent_asked())),
            tracked: spec.track.clone(),
            throttle: None,
            effective_weight: self.weight.value().into(),
            failed_rows: None,
            max_queue: spec.max_queue,
            drain: server.drain(),
        }
    }
}

/// The counter of a server's own word on whether it takes new work. HAProxy believes each.
fn willingness(spec: &model::Server, judged_by: JudgedBy) -> Option<Health> {
    let check = spec.check.as_ref()?;
    Some(if judged_by.weighs() { Health::starting(check.rise, check.fall) } else { Health::starting(1, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Inputs = Inputs {
        admin: AdminState::Ready,
        up: Some(true),
        willing: true,
        cause: DownCause::Refused,
        keep: None,
        stranger: false,
    };

    #[test]
    fn maintenance_lies_on_top_of_everything() {
        let inputs = Inputs { admin: AdminState::Maint, up: Some(false), willing: false, ..WELL };
        assert_eq!(effective(inputs), ServerState::Maint);
    }

    #[test]
    fn a_server_in_drain_that_is_down_is_down() {
        let drain = Inputs { admin: AdminState::Drain, ..WELL };
        assert_eq!(effective(drain), ServerState::Drain);
        assert_eq!(effective(Inputs { up: Some(false), ..drain }), ServerState::Down(DownCause::Refused));
    }

    #[test]
    fn who_takes_no_new_work_drains_while_it_lives() {
        let unwilling = Inputs { willing: false, ..WELL };
        assert_eq!(effective(unwilling), ServerState::Draining);
        assert_eq!(effective(Inputs { up: None, ..unwilling }), ServerState::Draining);
        assert_eq!(effective(Inputs { up: Some(false), ..unwilling }), ServerState::Down(DownCause::Refused));
    }

    #[test]
    fn a_server_that_is_kept_is_in_use_though_it_is_down_unless_the_operator_took_it_out() {
        let slow = Inputs { up: Some(false), keep: Some(Kept::Slow), ..WELL };
        assert_eq!(effective(slow), ServerState::Kept(Kept::Slow));
        assert_eq!(effective(Inputs { up: Some(true), ..slow }), ServerState::Ready);
        assert_eq!(effective(Inputs { admin: AdminState::Drain, ..slow }), ServerState::Drain);
        assert_eq!(effective(Inputs { admin: AdminState::Maint, ..slow }), ServerState::Maint);
    }

    #[test]
    fn a_stranger_gets_nothing_whatever_it_says() {
        let stranger = Inputs { stranger: true, ..WELL };
        assert_eq!(effective(stranger), ServerState::Stranger);
        assert_eq!(effective(Inputs { willing: false, ..stranger }), ServerState::Stranger);
        let slow = Inputs { up: Some(false), keep: Some(Kept::Slow), ..stranger };
        assert_eq!(effective(slow), ServerState::Stranger);
        assert_eq!(effective(Inputs { up: Some(false), ..stranger }), ServerState::Down(DownCause::Refused));
    }

    #[test]
    fn without_a_check_a_server_is_ready() {
        assert_eq!(effective(Inputs { up: None, ..WELL }), ServerState::Ready);
    }
}
