//! Which backend a session goes to: that of the first route which fits it, or its frontend's.

use std::sync::Arc;

use super::inspect::Inspected;
use super::listener::Accepted;
use super::record::{Ended, Record};
use super::rules;
use super::trace::Step;
use crate::event::{Cause, Ending, Phase, Who};
use crate::model::condition;
use crate::net::reactor::Stream;
use crate::pool::Pool;

/// A session whose backend is known.
#[derive(Debug)]
pub struct Routed {
    pub client: Stream,
    pub record: Box<Record>,
    pub pool: Arc<Pool>,
}

pub fn route(Inspected { accepted, hello }: Inspected) -> Result<Routed, Ended> {
    let Accepted { client, mut record } = accepted;
    let hello = hello.as_ref().map_or(condition::Hello::No, |hello| hello.fact());
    let Some(pool) = way(&client, &record, hello) else {
        // As with HAProxy: there is no server where there is no backend.
        return Err(record.end(Ending::new(Who::Server, Phase::Connect, Cause::NoRoute)));
    };
    record.enter_backend(&pool);
    record.note_destination(&client);
    Ok(Routed { client, record, pool })
}

/// `None` if it is nobody's.
fn way(client: &Stream, record: &Record, hello: condition::Hello<'_>) -> Option<Arc<Pool>> {
    let frontend = &record.frontend;
    if frontend.spec.routes.is_empty() {
        return Some(Arc::clone(&frontend.pool));
    }
    rules::with_facts(record, client, hello, |facts| {
        let route = frontend.spec.routes.iter().find(|route| route.when.holds(facts));
        let other = route.and_then(|route| frontend.pool_of(&route.backend));
        if let Some(other) = other {
            record.trace(Step::Routed, &other.spec.name);
        }
        other.or_else(|| (!frontend.spec.closes_unrouted).then_some(&frontend.pool)).map(Arc::clone)
    })
}
