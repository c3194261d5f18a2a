//! What a row of failed dials does to a server's health where the configuration says it: HAProxy's `observe layer4`.

use std::sync::Arc;

use super::counters::{self, Counters};
use super::health::Turn;
use super::server::Server;
use super::standing::Standing;
use super::{Leased, Pool};
use crate::clock;
use crate::event::{CheckStatus, DownCause, Evidence};
use crate::model::{OnErrors, Watchfulness};

impl Leased {
    /// Notes that a dial of its server has failed, whatever the reason, if the server is watched for that.
    pub(super) fn note_failure(&self, cause: DownCause) {
        if let Some(watch) = self.server.spec().observe {
            self.pool.note_failed_dial(&self.server, watch, cause);
        }
    }
}

impl Pool {
    fn note_failed_dial(self: &Arc<Self>, server: &Arc<Server>, watch: Watchfulness, cause: DownCause) {
        let mut state = self.lock();
        let Some(member) = state.member(server) else { return };
        member.failed_dials += 1;
        if member.failed_dials < watch.errors {
            return;
        }
        let errors = std::mem::take(&mut member.failed_dials);
        member.failed_rows += 1;
        let before = member.standing.reported();
        member.standing.suffer(watch.then, in_a_row(errors), cause, &server.counters);
        let report = self.report(member, before);
        self.tell_report(report);
        self.settle(state);
        server.want_probe_soon();
    }
}

impl Standing {
    /// Takes so many failed dials as the configuration wants it.
    fn suffer(&mut self, then: OnErrors, evidence: Evidence, cause: DownCause, counters: &Counters) -> Option<Turn> {
        let health = self.health.as_mut().filter(|_| then != OnErrors::ProbeSoon)?;
        let was_up = health.is_up();
        match then {
            OnErrors::ProbeSoon | OnErrors::FailProbe => {}
            OnErrors::AlmostDown => health.lower_to_last(1),
            OnErrors::Down => health.lower_to_last(0),
        }
        let turn = health.apply(false);
        if was_up {
            counters::count(&counters.check_failures);
        }
        self.take_blame(cause, evidence, turn, counters);
        turn
    }
}

fn in_a_row(errors: u32) -> Evidence {
    Evidence {
        detail: format!("{errors} dials in a row have failed"),
        info: format!("Detected {errors} consecutive errors, last one was: L4 unsuccessful connection"),
        ..Evidence::of(CheckStatus::Hana, clock::wall())
    }
}
