//! A frontend's rules and routes, asked about one session.

use super::frontend::Frontend;
use super::record::Record;
use crate::model::condition::{Facts, Hello};
use crate::model::{BackendName, Count, Counted, RuleStage, RuleVerdict, Track};
use crate::net::reactor::Stream;

/// What the rules of one stage come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing speaks against the client.
    Accept,
    /// As [`Answer::Accept`], and a PROXY protocol header is wanted from it.
    Greet,
    Reject,
    /// That depends on what the client has not said yet.
    NotYet,
}

/// Asks the rules of a stage about a session.
pub fn ask(record: &Record, client: &Stream, stage: RuleStage, hello: Hello<'_>) -> Answer {
    let frontend = &record.frontend;
    match has_any(frontend, stage) {
        true => with_facts(record, client, hello, |facts| answer(frontend, stage, facts, |it| record.track(it))),
        false => Answer::Accept,
    }
}

/// Asks them one after another, until one decides. What is tracked on the way counts for the next one.
fn answer(frontend: &Frontend, stage: RuleStage, facts: &Facts<'_>, track: impl Fn(&Track)) -> Answer {
    let mut answer = Answer::Accept;
    for rule in frontend.spec.rules.iter().filter(|rule| rule.stage == stage) {
        match (rule.when.judge(facts), &rule.verdict) {
            (None, _) => return Answer::NotYet,
            (Some(false), _) => {}
            (Some(true), RuleVerdict::Accept) => break,
            (Some(true), RuleVerdict::Reject) => return Answer::Reject,
            (Some(true), RuleVerdict::ExpectProxy) => answer = Answer::Greet,
            (Some(true), RuleVerdict::Track(what)) => track(what),
        }
    }
    answer
}

/// Whether a stage has any rules.
pub fn has_any(frontend: &Frontend, stage: RuleStage) -> bool {
    frontend.spec.rules.iter().any(|rule| rule.stage == stage)
}

/// Judges by what is known of a session.
pub fn with_facts<T>(record: &Record, client: &Stream, hello: Hello<'_>, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
    let usable = |backend: &BackendName| record.frontend.pool_of(backend).map_or(0, |pool| pool.usable_servers());
    let counted = |of: &Counted, count: Count| record.counted(of, count);
    let (source, destination) = (record.client(), record.destination(client));
    judge(&Facts { source, destination, hello, usable: &usable, counted: &counted })
}

#[cfg(test)]
mod tests;
