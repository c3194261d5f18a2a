//! What is told of a server's probes beside what becomes of the server, where the backend wants each change told.

use super::Pool;
use super::member::Member;
use super::standing::Reported;
use crate::clock;
use crate::event::{Change, CheckReport, CheckStatus, Outcome};

impl Pool {
    /// What is to be told of a result, if it is another one than before or has moved the counter.
    pub(super) fn report(&self, member: &Member, before: Reported) -> Option<CheckReport> {
        if !self.spec.log_health_checks || member.standing.reported() == before {
            return None;
        }
        let (evidence, health) = (member.standing.told()?.clone(), member.standing.health.as_ref()?);
        let (count, of) = health.progress();
        Some(CheckReport {
            backend: self.spec.name.clone(),
            server: member.server.name.clone(),
            backup: member.backup,
            agent: false,
            outcome: outcome(evidence.status),
            evidence,
            count,
            of,
            up: health.is_up(),
            drained: member.standing.weight.value() == 0,
            at: clock::wall(),
        })
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
