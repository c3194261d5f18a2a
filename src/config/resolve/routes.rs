//! Routes: whom they are for, and where they lead.

use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::names::Known;
use super::{Section, needed};
use crate::model::condition::{NamePattern, Term, Test};
use crate::model::{Condition, Route, Rule, RuleStage, RuleVerdict};

/// A frontend's routes in file order; what is wrong with one is noted, and it is left out.
pub fn routes(frontend: &raw::Frontend, known: &Known<'_>, mistakes: &mut Mistakes) -> Vec<Route> {
    let routes = frontend.route.iter().flat_map(|routes| &routes.value.0);
    routes.filter_map(|stated| route(&stated.value, known, mistakes)).collect()
}

fn route(raw: &raw::Route, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Route> {
    let section = Section { thing: "route", name: None, at: raw.at, stated: &raw.stated, known };
    let backend = needed(&raw.backend, "backend", &section, mistakes);
    known.note_unknown(&raw.backend, mistakes);
    let names =
        raw.sni.as_ref().map(|names| names.value.0.iter().map(|name| NamePattern::name(&name.value.0)).collect());
    let source = raw.source.as_ref().map(|of| of.value.0.iter().map(|network| network.value).collect());
    let tests: Vec<Test> = [names.map(Test::Sni), source.map(Test::Source)].into_iter().flatten().collect();
    if tests.is_empty() && raw.refused.is_empty() {
        mistakes.push(Some(raw.at), Mistake::RouteForNobody);
    }
    Some(Route { when: Condition::all(tests), backend: backend? })
}

/// What makes sessions wait for what the routes ask of them: a client is let in once it is known whether it begins TLS.
pub fn rules(routes: &[Route]) -> Vec<Rule> {
    const CLIENT_HELLO: u8 = 1;
    if !routes.iter().any(|route| route.when.reads()) {
        return Vec::new();
    }
    let either = |negated| vec![Term { negated, test: Test::HelloType(CLIENT_HELLO) }];
    let known = Condition { any: vec![either(false), either(true)] };
    vec![Rule { stage: RuleStage::Content, when: known, verdict: RuleVerdict::Accept }]
}
