//! Rules, and routes: whom they are for, and what becomes of those.

use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::{Span, Stated};
use super::super::table::VerdictWord;
use super::names::Known;
use super::{Section, filled, needed, tables};
use crate::model::condition::{NamePattern, Term, Test};
use crate::model::{Condition, OnSilence, Route, Rule, RuleStage, RuleVerdict};

// ---- routes ----

/// A frontend's routes in file order; what is wrong with one is noted, and it is left out.
pub fn routes(frontend: &raw::Frontend, known: &Known<'_>, mistakes: &mut Mistakes) -> Vec<Route> {
    let routes = frontend.route.iter().flat_map(|routes| &routes.value.0);
    routes.filter_map(|stated| route(&stated.value, known, mistakes)).collect()
}

fn route(raw: &raw::Route, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Route> {
    let section = Section { thing: "route", name: None, at: raw.at, stated: &raw.stated, known };
    let backend = needed(&raw.backend, "backend", &section, mistakes);
    known.note_unknown(&raw.backend, mistakes);
    let when = whom(raw, known, mistakes);
    Some(Route { when, backend: backend? })
}

fn whom(raw: &raw::Route, known: &Known<'_>, mistakes: &mut Mistakes) -> Condition {
    let names =
        raw.sni.as_ref().map(|names| names.value.0.iter().map(|name| NamePattern::name(&name.value.0)).collect());
    let source = raw.source.as_ref().map(|of| of.value.0.iter().map(|network| network.value).collect());
    let tests: Vec<Test> = [names.map(Test::Sni), source.map(Test::Source)].into_iter().flatten().collect();
    if let Some(when) = &raw.when {
        let others = [("sni", raw.sni.is_some()), ("source", raw.source.is_some())];
        if let Some((other, _)) = others.into_iter().find(|(_, stated)| *stated) {
            mistakes.push(when.span(), Mistake::WhenAlone { other });
        }
        note_unknown(when, known, mistakes);
        return when.value.clone();
    }
    if tests.is_empty() && raw.refused.is_empty() {
        mistakes.push(Some(raw.at), Mistake::RouteForNobody);
    }
    Condition::all(tests)
}

/// Notes what a condition asks for and is not there.
fn note_unknown(when: &Stated<Condition>, known: &Known<'_>, mistakes: &mut Mistakes) {
    note_unknown_backends(when, known, mistakes);
    tables::note_uncounted(when, known, mistakes);
}

pub fn note_unknown_backends(when: &Stated<Condition>, known: &Known<'_>, mistakes: &mut Mistakes) {
    for test in when.value.tests() {
        if let Test::UsableServers { backend, .. } = test {
            known.note_unknown(&Some(Stated { value: backend.clone(), origin: when.origin }), mistakes);
        }
    }
}

// ---- rules ----

/// A frontend's rules in file order, and one more that its routes need.
pub fn rules(frontend: &raw::Frontend, routes: &[Route], known: &Known<'_>, mistakes: &mut Mistakes) -> Vec<Rule> {
    let stated = frontend.rule.iter().flat_map(|rules| &rules.value.0);
    let stated = stated.filter_map(|stated| rule(&stated.value, known, mistakes));
    let mut rules: Vec<Rule> = stated.collect();
    tables::note_unkept(frontend, known, mistakes);
    if filled(&frontend.on_silence) == OnSilence::Close && routes.iter().any(|route| route.when.reads()) {
        rules.push(until_begun());
    }
    rules
}

fn rule(raw: &raw::Rule, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Rule> {
    let section = Section { thing: "rule", name: None, at: raw.at, stated: &raw.stated, known };
    let stage = needed(&raw.stage, "stage", &section, mistakes);
    let verdict = needed(&raw.verdict, "verdict", &section, mistakes);
    let when = raw.when.as_ref();
    when.into_iter().for_each(|when| note_unknown(when, known, mistakes));
    let when = when.map_or_else(Condition::always, |when| when.value.clone());
    let verdict = verdict.and_then(|word| self::verdict(word, raw, &section, mistakes));
    let rule = Rule { stage: stage?, when, verdict: verdict? };
    note_misplaced(&rule, raw.at, mistakes);
    Some(rule)
}

fn verdict(word: VerdictWord, raw: &raw::Rule, section: &Section<'_>, mistakes: &mut Mistakes) -> Option<RuleVerdict> {
    if word != VerdictWord::Track {
        tables::note_of_track_alone(raw, mistakes);
    }
    Some(match word {
        VerdictWord::Accept => RuleVerdict::Accept,
        VerdictWord::Reject => RuleVerdict::Reject,
        VerdictWord::ExpectProxy => RuleVerdict::ExpectProxy,
        VerdictWord::Track => RuleVerdict::Track(tables::track(raw, section, section.known, mistakes)?),
    })
}

fn note_misplaced(rule: &Rule, at: Span, mistakes: &mut Mistakes) {
    let stage = match rule.stage {
        RuleStage::Connection => "connection",
        RuleStage::Session => "session",
        RuleStage::Content => "content",
    };
    if rule.verdict == RuleVerdict::ExpectProxy && rule.stage != RuleStage::Connection {
        mistakes.push(Some(at), Mistake::NotOfThisStage { stage, what: "expect a PROXY protocol header" });
    }
    if rule.stage != RuleStage::Content && rule.when.reads() {
        mistakes.push(Some(at), Mistake::NotOfThisStage { stage, what: "ask for what the client sends" });
    }
}

/// A client is let in once it is known whether it has begun TLS.
fn until_begun() -> Rule {
    const CLIENT_HELLO: u8 = 1;
    let either = |negated| vec![Term { negated, test: Test::HelloType(CLIENT_HELLO) }];
    let known = Condition { any: vec![either(false), either(true)] };
    Rule { stage: RuleStage::Content, when: known, verdict: RuleVerdict::Accept }
}
