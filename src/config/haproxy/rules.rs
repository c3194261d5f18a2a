//! `tcp-request` and `use_backend` lines (configuration manual, section 4.2): whom a frontend lets in, and where to.

use super::super::when;
use super::acl;
use super::cfg::{Kind, Proxy, Statement};
use super::compose::Composer;
use super::document::Section;
use super::table;

/// As TOML: the rules, then the routes.
pub fn compose(proxy: &Proxy, composer: &mut Composer<'_>) -> Vec<Section> {
    let mut sections = Vec::new();
    for (keyword, stage) in STAGES {
        sections.extend(proxy.every(keyword).filter_map(|statement| rule(proxy, statement, stage, composer)));
    }
    sections.extend(proxy.own("use_backend").filter_map(|statement| route(proxy, statement, composer)));
    sections
}

/// The keyword of each stage.
const STAGES: [(&str, &str); 3] =
    [("tcp-request connection", "connection"), ("tcp-request session", "session"), ("tcp-request content", "content")];

/// Keys of the frontend itself that its rules and routes need.
pub fn waits(proxy: &Proxy, section: &mut Section, composer: &mut Composer<'_>) {
    let asks = STAGES.iter().any(|(keyword, _)| proxy.every(keyword).next().is_some());
    let asks = asks || proxy.own("use_backend").next().is_some();
    if asks {
        // A client that says nothing is judged by that.
        section.text("on_silence", "judge", None);
    }
    match proxy.last("tcp-request inspect-delay").and_then(|statement| composer.wait(statement)) {
        Some((delay, at)) if !delay.is_zero() => section.wait("timeouts.inspect", delay.min(super::HOUR), Some(at)),
        _ if asks => section.text("timeouts.inspect", "off", None),
        _ => {}
    }
    let handshake = composer.time(proxy, "timeout client-hs").or_else(|| composer.time(proxy, "timeout client"));
    if let Some((time, at)) = handshake.filter(|_| proxy.last("timeout client-hs").is_some() || wants_headers(proxy)) {
        section.wait("timeouts.handshake", time.clamp(super::MOMENT, super::HOUR), Some(at));
    }
}

/// Whether PROXY protocol headers are read at all.
fn wants_headers(proxy: &Proxy) -> bool {
    let says = |statement: &Statement, word: &str| statement.arguments.iter().any(|own| own.text == word);
    proxy.own("bind").any(|bind| says(bind, "accept-proxy"))
        || proxy.every("tcp-request connection").any(|rule| says(rule, "expect-proxy"))
}

fn rule(proxy: &Proxy, line: &Statement, stage: &str, composer: &mut Composer<'_>) -> Option<Section> {
    let words: Vec<&str> = line.arguments.iter().map(|word| word.text.as_str()).collect();
    let track = table::track(proxy, &words);
    let (verdict, length) = match (words.as_slice(), stage) {
        (["accept", ..], _) => ("accept", 1),
        (["reject", ..], _) => ("reject", 1),
        (["expect-proxy", "layer4", ..], "connection") => ("expect_proxy", 2),
        _ if track.is_some() => ("track", track.map_or(0, |(_, _, length)| length)),
        _ => {
            let what = format!("`{} {}` is not supported", line.written, words.first().unwrap_or(&""));
            let hint = "what is: accept and reject, `track-sc0 src` to `track-sc2 src`, and `expect-proxy layer4` of a connection";
            composer.wrong(line.at, what, hint);
            return None;
        }
    };
    let condition = acl::condition(proxy, &line.arguments[length..], line.at, composer.mistakes)?;
    let mut section = Section::new("[[frontend.rule]]", Some(line.at));
    section.text("stage", stage, Some(line.head));
    section.text("when", &when::write(&condition), Some(line.at));
    section.text("verdict", verdict, Some(line.arguments[0].span));
    if let Some((counter, table, _)) = track {
        section.text("table", table, Some(line.at));
        section.set("counter", counter, Some(line.arguments[0].span));
    }
    Some(section)
}

fn route(proxy: &Proxy, line: &Statement, composer: &mut Composer<'_>) -> Option<Section> {
    let Some((name, words)) = line.arguments.split_first() else {
        composer.wrong(line.at, "`use_backend` names no backend", "write `use_backend NAME if CONDITION`");
        return None;
    };
    if name.text.contains('%') {
        composer.wrong(name.span, "a backend's name is not made of variables", "write a line for each backend");
        return None;
    }
    if proxy.kind == Kind::Listen && name.text == proxy.name.text {
        let what = format!("listen {} leads to itself", name.text);
        composer.wrong(name.span, what, "name another backend: its own servers have what is left over");
        return None;
    }
    let condition = acl::condition(proxy, words, line.at, composer.mistakes)?;
    let mut section = Section::new("[[frontend.route]]", Some(line.at));
    section.text("when", &when::write(&condition), Some(line.at));
    section.text("backend", &name.text, Some(name.span));
    Some(section)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{self, Choice};
    use crate::model::{AcceptProxy, Config, Frontend, OnSilence, RuleStage, RuleVerdict};

    /// What a frontend with these lines comes to, of a file that has two backends.
    fn frontend(lines: &str) -> Frontend {
        loaded(lines).frontends.remove(0)
    }

    fn loaded(lines: &str) -> Config {
        match config::parse_haproxy(&file(lines), "haproxy.cfg", Choice::default()) {
            Ok((config, _)) => config,
            Err(report) => panic!("{}", report.render(false)),
        }
    }

    fn file(lines: &str) -> String {
        format!(
            "frontend f\n timeout client 7s\n default_backend b\n{lines}\n\
             backend b\n server s 10.0.0.1:1\nbackend c\n server s 10.0.0.2:1\n"
        )
    }

    fn refused(lines: &str) -> String {
        let report = config::parse_haproxy(&file(lines), "haproxy.cfg", Choice::default()).expect_err("it is refused");
        report.to_string()
    }

    #[test]
    fn rules_and_routes_are_asked_in_their_order_and_silence_is_judged() {
        let frontend = frontend(
            " bind :1\n acl hello req.ssl_hello_type 1\n tcp-request inspect-delay 5s\n\
             tcp-request connection reject if { src 192.0.2.0/24 }\n\
             tcp-request session accept\n\
             tcp-request content accept if hello\n tcp-request content reject\n\
             use_backend c if { req.ssl_sni -i c.example }",
        );
        let rules: Vec<_> =
            frontend.rules.iter().map(|rule| (rule.stage, rule.verdict.clone(), rule.when.reads())).collect();
        let expected = [
            (RuleStage::Connection, RuleVerdict::Reject, false),
            (RuleStage::Session, RuleVerdict::Accept, false),
            (RuleStage::Content, RuleVerdict::Accept, true),
            (RuleStage::Content, RuleVerdict::Reject, false),
        ];
        assert_eq!(rules, expected);
        assert_eq!((frontend.routes.len(), frontend.routes[0].backend.as_str()), (1, "c"));
        assert_eq!((frontend.inspect_delay, frontend.on_silence), (Some(Duration::from_secs(5)), OnSilence::Judge));
    }

    #[test]
    fn without_a_delay_nobody_waits() {
        let frontend = frontend(" bind :1\n use_backend c if { req.ssl_sni -m found }");
        assert_eq!((frontend.inspect_delay, frontend.on_silence), (None, OnSilence::Judge));
        assert!(frontend.rules.is_empty());
    }

    #[test]
    fn without_a_default_backend_whom_nothing_fits_is_closed() {
        let text = file(" bind :1\n use_backend c if { src 10.0.0.0/8 }").replace(" default_backend b\n", "");
        let (config, _) = config::parse_haproxy(&text, "haproxy.cfg", Choice::default()).unwrap();
        let frontend = &config.frontends[0];
        assert!(frontend.closes_unrouted && frontend.backend.as_str() == "c" && frontend.routes.len() == 1);
    }

    #[test]
    fn a_bind_line_says_what_holds_at_its_addresses() {
        let door = " bind :1,:2 accept-proxy name x maxconn 5 backlog 6 interface lo tcp-ut 3s transparent\n bind :3 maxconn 0";
        let frontend = frontend(door);
        let [first, second, third] = frontend.listen.as_slice() else { panic!("three") };
        for listen in [first, second] {
            assert_eq!((&listen.accept_proxy, listen.name.as_deref()), (&AcceptProxy::Everybody, Some("x")));
            assert_eq!((listen.max_sessions, listen.backlog, listen.transparent), (Some(5), Some(6), true));
            assert_eq!((listen.interface.as_deref(), listen.user_timeout), (Some("lo"), Some(Duration::from_secs(3))));
        }
        assert_eq!((&third.accept_proxy, third.max_sessions), (&AcceptProxy::Nobody, None));
        assert_eq!(frontend.handshake_timeout, Duration::from_secs(7), "the client's, unless it says its own");
    }

    #[test]
    fn a_header_may_be_wanted_from_some_in_a_time_of_its_own() {
        let lines = " bind :1\n timeout client-hs 2s\n tcp-request connection expect-proxy layer4 if { src 10.0.0.1 }";
        let frontend = frontend(lines);
        assert_eq!(frontend.rules[0].verdict, RuleVerdict::ExpectProxy);
        assert_eq!(frontend.handshake_timeout, Duration::from_secs(2));
    }

    #[test]
    fn what_can_not_be_done_is_refused_in_its_place() {
        let line = |line: &str| refused(&format!(" bind :1\n{line}"));
        assert!(
            line(" tcp-request content set-src hdr(x)").contains(":5:2: error: `tcp-request content set-src` is not")
        );
        assert!(line(" use_backend d if TRUE").contains("there is no backend `d`"));
        assert!(
            line(" use_backend %[req.ssl_sni]").contains(":5:14: error: a backend's name is not made of variables")
        );
        assert!(line(" tcp-request session expect-proxy layer4").contains("is not supported"));
        assert!(
            line(" tcp-request connection reject if { req.ssl_sni x }").contains("can't ask for what the client sends")
        );
        assert!(line(" tcp-request content reject if { nbsrv(d) lt 1 }").contains("there is no backend `d`"));
    }
}
