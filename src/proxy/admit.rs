//! Whether a client may come in: by rules, by its network, and by what its address has and does already.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::frontend::Frontend;
use super::greet::Greeted;
use super::listener::Accepted;
use super::record::{Ended, Record};
use super::rules::{self, Answer};
use super::sources::{Sources, Telling, Visit};
use crate::event::{Cause, Ending, Phase, Who};
use crate::model::RuleStage;
use crate::model::condition::Hello;
use crate::net;
use crate::pool::counters;

/// A client that may come in.
#[derive(Debug)]
pub struct Admitted(pub Accepted);

pub fn admit(Greeted(mut accepted): Greeted) -> Result<Admitted, Ended> {
    if is_rejected(&accepted) {
        return Err(reject(accepted));
    }
    accepted.record.begin_session();
    let Some(sources) = accepted.record.frontend.sources.clone() else { return Ok(Admitted(accepted)) };
    let visit = match accepted.record.client().ip() {
        Some(source) => sources.visit(source, Instant::now()),
        None => sources.visit_of_nobody(),
    };
    match visit {
        Ok(visit) => {
            accepted.record.visit = visit;
            Ok(Admitted(accepted))
        }
        Err(cause) => Err(refuse(accepted, &sources, cause)),
    }
}

fn is_rejected(Accepted { client, record }: &Accepted) -> bool {
    rules::ask(record, client, RuleStage::Session, Hello::No) == Answer::Reject
}

/// Such a client has no line, as with HAProxy.
fn reject(Accepted { mut record, .. }: Accepted) -> Ended {
    let counters = &record.frontend.counters;
    [&counters.denied, &counters.denied_sessions, &counters.embryonic].into_iter().for_each(counters::count);
    record.visit = Visit::Untold;
    record.end(Ending::new(Who::Limit, Phase::Request, Cause::RuleDenied))
}

fn refuse(Accepted { client, mut record }: Accepted, sources: &Arc<Sources>, cause: Cause) -> Ended {
    net::options::reset_on_close(&client);
    counters::count(&record.frontend.counters.denied);
    tell(&mut record, sources);
    record.end(Ending::new(Who::Limit, Phase::Request, cause))
}

/// Gives a refused client its line, or sees to it that it is counted in one.
fn tell(record: &mut Record, sources: &Arc<Sources>) {
    let telling = sources.telling(Instant::now());
    if telling != Telling::Line {
        record.visit = Visit::Untold;
    }
    if telling == Telling::FirstUntold {
        spawn_local(count_untold(Arc::clone(&record.frontend), Arc::clone(sources)));
    }
}

async fn count_untold(frontend: Arc<Frontend>, sources: Arc<Sources>) {
    sleep(Duration::from_secs(1)).await;
    let clients = sources.untold();
    tracing::warn!(frontend = %frontend.spec.name, clients, "more were refused by their source than have a line each");
}
