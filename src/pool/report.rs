//! What is told of a server's probes beside what becomes of the server, where the backend wants each change told.

use super::Pool;
use super::health::Health;
use super::member::Member;
use super::standing::Reported;
use crate::clock;
use crate::event::{Change, CheckReport, CheckStatus, Evidence, Outcome};

impl Pool {
    /// What is to be told of a result, if it is another one than before or has moved the counter.
    pub(super) fn report(&self, member: &Member, before: Reported) -> Option<CheckReport> {
        if !self.spec.log_health_checks || member.standing.reported() == before {
            return None;
        }
        let told = member.standing.told()?;
        Some(self.report_of(member, told, member.standing.health.as_ref()?, false))
    }

    /// The same of its agent's word.
    pub(super) fn report_of_agent(&self, member: &Member, before: Reported) -> Option<CheckReport> {
        if !self.spec.log_health_checks || member.standing.reported_of_agent() == before {
            return None;
        }
        let (told, health) = member.standing.told_by_agent()?;
        Some(self.report_of(member, told, health, true))
    }

    fn report_of(&self, member: &Member, evidence: &Evidence, health: &Health, agent: bool) -> CheckReport {
        let (count, of) = health.progress();
        CheckReport {
            backend: self.spec.name.clone(),
            server: member.server.name.clone(),
            backup: member.backup,
            agent,
            outcome: outcome(evidence.status),
            evidence: evidence.clone(),
            count,
            of,
            up: health.is_up(),
            drained: member.standing.weight.value() == 0,
            at: clock::wall(),
        }
    }

    pub(super) fn tell_report(&self, report: Option<CheckReport>) {
        if let Some(report) = report {
            (self.observe)(&Change::Check(report));
        }
    }
}

fn outcome(status: CheckStatus) -> Outcome {
    match status {
        CheckStatus::L7Okc => Outcome::Conditional,
        status if status.is_passed() => Outcome::Passed,
        _ => Outcome::Failed,
    }
}
