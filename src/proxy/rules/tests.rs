use std::cell::Cell;

use super::*;
use crate::config;
use crate::model::condition::Test;
use crate::model::{Condition, Counter, Network, Rule, TableName};
use crate::proxy::frontend::Process;

const STAGE: RuleStage = RuleStage::Content;

fn rule(stage: RuleStage, test: Test, verdict: RuleVerdict) -> Rule {
    Rule { stage, when: Condition::all([test]), verdict }
}

/// What these rules say of a client whose bytes say this.
fn answer(rules: Vec<Rule>, hello: Hello<'_>) -> Answer {
    let (counted, track) = (|_: &Counted, _| None, |_: &Track| {});
    answer_counting(rules, hello, &counted, track)
}

/// The same of one who is counted.
fn answer_counting(
    rules: Vec<Rule>,
    hello: Hello<'_>,
    counted: &dyn Fn(&Counted, Count) -> Option<u32>,
    track: impl Fn(&Track),
) -> Answer {
    let text =
        "[[frontend]]\nname = 'f'\nlisten = ':1'\nbackend = 'b'\n[[backend]]\nname = 'b'\nservers = ['192.0.2.1:1']";
    let config = config::parse(text, "rules.toml").unwrap();
    let process = Process::new(&config, 1, std::sync::Arc::new(|_| {}));
    let pool = crate::pool::Pool::alone(config.backends[0].clone(), std::sync::Arc::new(|_| {}));
    let frontend = Frontend::new(crate::model::Frontend { rules, ..config.frontends[0].clone() }, pool, process);
    let facts = Facts {
        source: "10.0.0.1:1".parse().unwrap(),
        destination: "10.0.0.2:2".parse().unwrap(),
        hello,
        usable: &|_| 0,
        counted,
    };
    super::answer(&frontend, STAGE, &facts, track)
}

const HELLO: Hello<'_> = Hello::Of { kind: 1, name: None };

fn is_hello() -> Test {
    Test::HelloType(1)
}

fn elsewhere() -> Test {
    Test::Source(vec![Network::of("192.0.2.0".parse().unwrap(), 24).unwrap()])
}

// Seen to fail with rules of all stages.
#[test]
fn the_first_rule_that_holds_decides() {
    let accept_hello = || rule(STAGE, is_hello(), RuleVerdict::Accept);
    let reject = || rule(STAGE, Test::Always, RuleVerdict::Reject);
    assert_eq!(answer(vec![], Hello::Awaited), Answer::Accept);
    assert_eq!(answer(vec![accept_hello(), reject()], HELLO), Answer::Accept);
    assert_eq!(answer(vec![accept_hello(), reject()], Hello::No), Answer::Reject);
    assert_eq!(answer(vec![rule(STAGE, elsewhere(), RuleVerdict::Reject)], HELLO), Answer::Accept);
    assert_eq!(answer(vec![rule(RuleStage::Session, Test::Always, RuleVerdict::Reject)], HELLO), Answer::Accept);
}

#[test]
fn a_rule_that_can_not_be_answered_yet_holds_up_those_behind_it_and_no_others() {
    let asks = || rule(STAGE, is_hello(), RuleVerdict::Accept);
    let reject = || rule(STAGE, Test::Always, RuleVerdict::Reject);
    assert_eq!(answer(vec![asks(), reject()], Hello::Awaited), Answer::NotYet);
    assert_eq!(answer(vec![reject(), asks()], Hello::Awaited), Answer::Reject);
    assert_eq!(answer(vec![rule(STAGE, Test::Always, RuleVerdict::Accept), asks()], Hello::Awaited), Answer::Accept);
}

#[test]
fn a_header_that_is_wanted_leaves_the_next_rules_to_decide() {
    let greet = || rule(STAGE, Test::Always, RuleVerdict::ExpectProxy);
    assert_eq!(answer(vec![greet()], HELLO), Answer::Greet);
    assert_eq!(answer(vec![greet(), rule(STAGE, Test::Always, RuleVerdict::Reject)], HELLO), Answer::Reject);
    assert_eq!(answer(vec![rule(STAGE, Test::Always, RuleVerdict::Accept), greet()], HELLO), Answer::Accept);
}

// Seen to fail with a rule that is asked before what stands above it has been tracked.
#[test]
fn what_is_tracked_counts_for_the_rules_below_and_ends_none_of_them() {
    let (connections, counter, table) = (Cell::new(2), Counter::default(), TableName::new("t").unwrap());
    let track = || rule(STAGE, Test::Always, RuleVerdict::Track(Track { counter, table: table.clone() }));
    let of = || Counted::Tracked { counter, table: None };
    let reject = || {
        let more_than_two = Test::Count { of: of(), count: Count::ConnCur, numbers: vec![3..=u32::MAX] };
        rule(STAGE, more_than_two, RuleVerdict::Reject)
    };
    let ask = |rules| {
        connections.set(2);
        let counted = |asked: &Counted, _| (*asked == of()).then(|| connections.get());
        answer_counting(rules, HELLO, &counted, |_| connections.set(connections.get() + 1))
    };
    assert_eq!(ask(vec![track(), reject()]), Answer::Reject);
    assert_eq!(ask(vec![reject(), track()]), Answer::Accept);
    assert_eq!(connections.get(), 3);
    let elsewhere = Rule { when: Condition::all([elsewhere()]), ..track() };
    assert_eq!(ask(vec![elsewhere, reject()]), Answer::Accept, "one who is not meant is not tracked");
}
