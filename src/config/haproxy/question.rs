//! What a check asks and expects: `option httpchk` with `http-check`, `option tcp-check` with `tcp-check`.

use super::super::read::Span;
use super::cfg::{Proxy, Statement};
use super::check::KINDS;
use super::compose::Composer;
use super::document::Section;
use super::words::Word;

/// The type of a check that asks over HTTP, and its keys (configuration manual, section 4.2, `option httpchk` and
/// `http-check`). Whether it speaks TLS.
pub fn http(
    proxy: &Proxy,
    chk: &Statement,
    over_tls: bool,
    section: &mut Section,
    composer: &mut Composer<'_>,
) -> bool {
    let ways: Vec<&Statement> = proxy.every("http-check connect").collect();
    if let [_, second, ..] = ways.as_slice() {
        composer.wrong(second.at, "a check over HTTP connects once", "leave out all `http-check connect` but one");
    }
    let way = ways.first().and_then(|rule| Way::read(rule, without_comment(&rule.arguments), over_tls, composer));
    let over_tls = way.map_or(over_tls, |way| way.tls);
    section.text("check.type", if over_tls { "http-over-tls" } else { "http" }, Some(chk.at));
    let mut request = Request::of_option(chk);
    for send in proxy.every("http-check send") {
        request.read(send, composer);
    }
    request.compose(chk.at, section);
    if let Some(drains) = proxy.last("http-check disable-on-404") {
        section.set("check.not_found_drains", true, Some(drains.at));
    }
    let expects: Vec<_> = proxy.every("http-check expect").collect();
    let texts: Vec<_> = expects.iter().filter_map(|statement| expectation(statement, composer)).collect();
    if let Some(first) = expects.first() {
        section.set("check.expect", list(&texts), Some(first.at));
    }
    over_tls
}

/// The port that `http-check connect` names for a check over HTTP.
pub fn port(proxy: &Proxy) -> Option<&Word> {
    proxy.last_of(&KINDS).filter(|kind| kind.keyword.words == "option httpchk")?;
    let words = &proxy.last("http-check connect")?.arguments;
    words.iter().skip_while(|word| word.text != "port").nth(1)
}

/// The request, as the last word on each of its parts has it.
#[derive(Default)]
struct Request {
    method: Option<String>,
    target: Option<String>,
    version: Option<String>,
    headers: Vec<String>,
    body: Option<String>,
}

impl Request {
    /// `option httpchk [METHOD] [URI] [VERSION]`; an old way of saying fields is to put them behind the version.
    fn of_option(statement: &Statement) -> Self {
        let texts: Vec<String> = statement.arguments.iter().map(|word| word.text.clone()).collect();
        let (method, target, version) = match texts.as_slice() {
            [] => (None, None, None),
            [target] => (None, Some(target.clone()), None),
            [method, target] => (Some(method.clone()), Some(target.clone()), None),
            [method, target, rest @ ..] => (Some(method.clone()), Some(target.clone()), Some(rest.join(" "))),
        };
        let mut lines = version.as_deref().unwrap_or_default().split("\r\n");
        let version = lines.next().filter(|version| !version.is_empty()).map(str::to_owned);
        let headers = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Self { method, target, version, headers, body: None }
    }

    /// `http-check send [meth METHOD] [uri URI] [ver VERSION] [hdr NAME VALUE]* [body TEXT]`.
    fn read(&mut self, statement: &Statement, composer: &mut Composer<'_>) {
        let mut words = statement.arguments.as_slice();
        loop {
            words = match words {
                [] => return,
                [name, value, rest @ ..] if name.text == "meth" => {
                    self.method = Some(value.text.clone());
                    rest
                }
                [name, value, rest @ ..] if name.text == "uri" => {
                    self.target = Some(value.text.clone());
                    rest
                }
                [name, value, rest @ ..] if name.text == "ver" => {
                    self.version = Some(value.text.clone());
                    rest
                }
                [name, value, rest @ ..] if name.text == "body" => {
                    self.body = Some(value.text.clone());
                    rest
                }
                [name, field, value, rest @ ..] if name.text == "hdr" => {
                    self.headers.push(format!("{}: {}", field.text, value.text));
                    rest
                }
                [name, rest @ ..] if name.text == "comment" => rest.get(1..).unwrap_or_default(),
                [other, ..] => {
                    let what = format!("`http-check send {}` is not supported", other.text);
                    return composer.wrong(other.span, what, "write meth, uri, ver, hdr NAME VALUE or body TEXT");
                }
            };
        }
    }

    fn compose(&self, at: Span, section: &mut Section) {
        let mut text = |key: &str, value: &Option<String>| {
            if let Some(value) = value {
                section.set(format!("check.{key}"), escaped(value), Some(at));
            }
        };
        text("method", &self.method);
        text("path", &self.target);
        text("http_version", &self.version.as_deref().map(|version| version.trim_start_matches("HTTP/").to_owned()));
        text("body", &self.body);
        if !self.headers.is_empty() {
            section.set("check.headers", list(&self.headers), Some(at));
        }
    }
}

/// `http-check expect [!] status|rstatus|string|rstring PATTERN`, as a text of the key `expect`.
fn expectation(statement: &Statement, composer: &mut Composer<'_>) -> Option<String> {
    let (not, words) = negation(without_comment(&statement.arguments));
    match words {
        [kind, pattern] if kind.text == "status" => Some(format!("{not}status {}", pattern.text)),
        [kind, pattern] if kind.text == "rstatus" => Some(format!("{not}status ~ {}", pattern.text)),
        [kind, pattern] if kind.text == "string" => Some(format!("{not}body {}", pattern.text)),
        [kind, pattern] if kind.text == "rstring" => Some(format!("{not}body ~ {}", pattern.text)),
        _ => {
            unexpected(statement, words, "write status, rstatus, string or rstring, with or without a `!`", composer);
            None
        }
    }
}

/// The type of a check that has a conversation, and its steps (section 4.2, `tcp-check`). Without any it connects, and says
/// of a failure that this was the first step; `None` if that is over TLS, where it is as a check without `option tcp-check`.
pub fn script(proxy: &Proxy, over_tls: bool, section: &mut Section, composer: &mut Composer<'_>) -> Option<bool> {
    let rules: Vec<&Statement> = proxy.all().filter(|rule| RULES.contains(&rule.keyword.words)).collect();
    let Some(first) = rules.first() else {
        let at = proxy.last("option tcp-check").map(|statement| statement.at).filter(|_| !over_tls)?;
        section.text("check.type", "script", Some(at));
        section.set("check.steps", "[]", Some(at));
        return Some(false);
    };
    let mut steps: Vec<String> = rules.iter().filter_map(|rule| step(rule, over_tls, composer)).collect();
    let begins = rules.iter().find(|rule| rule.keyword.words != "tcp-check comment");
    if over_tls && begins.is_none_or(|rule| rule.keyword.words != "tcp-check connect") {
        steps.insert(0, "connect tls".to_owned());
    }
    section.text("check.type", "script", Some(first.at));
    section.set("check.steps", list(&steps), Some(first.at));
    Some(steps.iter().any(|step| step.starts_with("connect") && step.ends_with("tls")))
}

const RULES: [&str; 5] =
    ["tcp-check connect", "tcp-check send", "tcp-check send-binary", "tcp-check expect", "tcp-check comment"];

fn step(rule: &Statement, over_tls: bool, composer: &mut Composer<'_>) -> Option<String> {
    if let ("tcp-check comment", [text]) = (rule.keyword.words, &rule.arguments[..]) {
        return Some(format!("comment {}", text.text));
    }
    let words = without_comment(&rule.arguments);
    match (rule.keyword.words, words) {
        ("tcp-check connect", words) => Way::read(rule, words, over_tls, composer).map(|way| way.step()),
        ("tcp-check send", [data]) => Some(format!("send {}", data.text)),
        ("tcp-check send-binary", [data]) => Some(format!("send-hex {}", data.text)),
        ("tcp-check expect", words) => {
            let (not, words) = negation(words);
            match words {
                [kind, data] if kind.text == "string" => Some(format!("{not}expect {}", data.text)),
                [kind, data] if kind.text == "rstring" => Some(format!("{not}expect ~ {}", data.text)),
                [kind, data] if kind.text == "binary" => Some(format!("{not}expect-hex {}", data.text)),
                _ => {
                    unexpected(rule, words, "write string, rstring or binary, with or without a `!`", composer);
                    None
                }
            }
        }
        _ => {
            unsupported(rule, words, "write what is to be sent behind it", composer);
            None
        }
    }
}

/// Where a check connects to, and in which way.
struct Way<'a> {
    port: Option<&'a Word>,
    tls: bool,
}

impl<'a> Way<'a> {
    /// `connect [default] [port PORT] [ssl]`; a bare one is as the `server` line has it.
    fn read(rule: &Statement, mut words: &'a [Word], over_tls: bool, composer: &mut Composer<'_>) -> Option<Self> {
        let mut way = Self { port: None, tls: over_tls && words.is_empty() };
        while let [word, rest @ ..] = words {
            words = match (word.text.as_str(), rest) {
                ("default", rest) => {
                    way.tls = over_tls;
                    rest
                }
                ("ssl", rest) => {
                    way.tls = true;
                    rest
                }
                ("port", [number, rest @ ..]) => {
                    way.port = Some(number);
                    rest
                }
                ("linger", rest) => rest,
                _ => {
                    let hint = "write port and ssl; what else there is stands on the `server` line";
                    unsupported(rule, words, hint, composer);
                    return None;
                }
            };
        }
        Some(way)
    }

    /// As a step of a conversation.
    fn step(&self) -> String {
        let port = self.port.map(|port| format!(" {}", port.text)).unwrap_or_default();
        format!("connect{port}{}", if self.tls { " tls" } else { "" })
    }
}

/// A comment is for whoever reads the file.
fn without_comment(words: &[Word]) -> &[Word] {
    match words {
        [comment, _, rest @ ..] | [rest @ .., comment, _] if comment.text == "comment" => rest,
        words => words,
    }
}

fn negation(words: &[Word]) -> (&'static str, &[Word]) {
    match words {
        [not, rest @ ..] if not.text == "!" => ("! ", rest),
        words => ("", words),
    }
}

/// An expectation of another kind, or one with more words than it takes.
fn unexpected(statement: &Statement, words: &[Word], hint: &str, composer: &mut Composer<'_>) {
    match words {
        [_, _, rest @ ..] if !rest.is_empty() => {
            unsupported(statement, rest, "leave it out: an answer is as expected, or it is not", composer);
        }
        _ => unsupported(statement, words, hint, composer),
    }
}

fn unsupported(statement: &Statement, words: &[Word], hint: &str, composer: &mut Composer<'_>) {
    let keyword = statement.keyword.words;
    let (what, at) = match words.first() {
        Some(word) => (format!("`{keyword} {}` is not supported", word.text), word.span),
        None => (format!("`{keyword}` says nothing"), statement.at),
    };
    composer.wrong(at, what, hint);
}

fn list(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| escaped(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A TOML string on one line, whatever is in it.
pub fn escaped(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, haproxy::Choice};
    use crate::model::{ExpectForm, HttpProbe, HttpVersion, Pattern, Probe, Step};

    /// What the first server's check of a file with these lines asks.
    fn probe(lines: &str, words: &str) -> Probe {
        let text = format!("listen b\n bind :1\n{lines}\n server s 10.0.0.1:1 check {words}\n");
        let loaded = config::parse_haproxy(&text, "haproxy.cfg", Choice::default());
        let config = loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).0;
        config.backends[0].servers[0].check.as_ref().unwrap().probe.clone()
    }

    fn request(lines: &str) -> HttpProbe {
        match probe(lines, "") {
            Probe::Http(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn refusals(lines: &str) -> String {
        let text = format!("listen b\n bind :1\n{lines}\n server s 10.0.0.1:1 check\n");
        config::parse_haproxy(&text, "haproxy.cfg", Choice::default()).unwrap_err().to_string()
    }

    #[test]
    fn httpchk_is_a_request_in_its_old_form_and_in_its_new_one() {
        assert_eq!(request("option httpchk"), HttpProbe::default());
        assert_eq!(request("option httpchk /x").target, "/x");
        let old = request("option httpchk GET /x HTTP/1.1\\r\\nHost:\\ a.b");
        assert_eq!((old.method.as_str(), old.target.as_str(), old.version), ("GET", "/x", HttpVersion::Http11));
        assert_eq!(old.headers, [("Host".to_owned(), "a.b".to_owned())]);
        let new =
            request("option httpchk\n http-check send meth POST uri /y ver HTTP/1.1 hdr Host a.b hdr X-Y z body hi");
        assert_eq!((new.method.as_str(), new.target.as_str(), new.body.as_str()), ("POST", "/y", "hi"));
        assert_eq!(new.headers.len(), 2);
        assert!(matches!(
            probe("option httpchk", "check-ssl verify none"),
            Probe::Http(HttpProbe { tls: Some(_), .. })
        ));
        assert!(refusals("option httpchk\n http-check send hdr").contains("`http-check send hdr` is not supported"));
    }

    #[test]
    fn an_answer_is_expected_as_http_check_says() {
        let expects = |rule: &str| request(&format!("option httpchk\n http-check expect {rule}")).expect.remove(0);
        assert!(expects("status 200-204,301").holds(301, b"") && !expects("status 200").holds(302, b""));
        assert!(expects("! status 500").holds(404, b"") && expects("rstatus ^4").holds(404, b""));
        assert!(expects("string all\\ is\\ well").holds(500, b"so all is well"));
        assert!(!expects("comment \"a remark\" ! rstring ^down").holds(200, b"down"));
        assert!(!expects("rstring ^down comment \"a remark\"").holds(200, b"up"));
        assert!(refusals("option httpchk\n http-check expect hdr name x").contains("is not supported"));
        assert!(
            refusals("option httpchk\n http-check expect status 200 min-recv 3")
                .contains("`http-check expect min-recv` is not supported")
        );
        assert!(request("option httpchk\n http-check disable-on-404").drains_on_404);
    }

    #[test]
    fn http_check_connect_says_where_and_whether_over_tls() {
        let check = |rule: &str, words: &str| {
            let rules = format!("option httpchk\n http-check connect {rule}");
            let text = format!("listen b\n bind :1\n{rules}\n server s 10.0.0.1:1 check verify none {words}\n");
            let loaded = config::parse_haproxy(&text, "haproxy.cfg", Choice::default());
            let config = loaded.unwrap_or_else(|report| panic!("{}", report.render(false))).0;
            let check = config.backends[0].servers[0].check.clone().unwrap();
            (check.port, matches!(check.probe, Probe::Http(HttpProbe { tls: Some(_), .. })))
        };
        assert_eq!(check("", "check-ssl port 7"), (Some(7), true));
        assert_eq!(check("port 9", "check-ssl port 7"), (Some(9), false), "it says all itself");
        assert_eq!(check("default port 9", "check-ssl"), (Some(9), true));
        assert_eq!(check("ssl", ""), (None, true));
        assert!(refusals("option httpchk\n http-check connect sni x").contains("is not supported"));
        let twice = refusals("option httpchk\n http-check connect\n http-check connect port 9");
        assert!(twice.contains("connects once"), "{twice}");
    }

    #[test]
    fn tcp_check_is_a_conversation_or_a_connection() {
        assert_eq!(probe("option tcp-check", ""), Probe::Script { steps: Vec::new(), tls: None });
        let rules = "option tcp-check\n tcp-check connect port 6380\n tcp-check send PING\\r\\n\n tcp-check expect string +PONG\n \
                     tcp-check send-binary 0d0a\n tcp-check expect ! rstring ^-ERR";
        let Probe::Script { steps, tls: None } = probe(rules, "") else { panic!() };
        assert_eq!(steps[..2], [Step::Connect { port: Some(6380), tls: false }, Step::Send(b"PING\r\n".to_vec())]);
        let pong = Step::Expect { negated: false, pattern: Pattern::Text(b"+PONG".to_vec()), form: ExpectForm::String };
        assert_eq!(steps[2..4], [pong, Step::Send(vec![13, 10])]);
        assert!(matches!(steps[4], Step::Expect { negated: true, form: ExpectForm::Regex, .. }));
        let over_tls = probe("option tcp-check\n tcp-check expect string hi", "check-ssl verify none");
        let Probe::Script { steps, tls: Some(_) } = over_tls else { panic!() };
        assert_eq!(steps[0], Step::Connect { port: None, tls: true });
        assert!(refusals("option tcp-check\n tcp-check connect send-proxy").contains("is not supported"));
    }

    #[test]
    fn any_text_is_a_string_of_toml_on_one_line() {
        let text = "a\"b\\c\r\n\t\u{1}ä";
        let toml: toml::Table = format!("x = {}", escaped(text)).parse().unwrap();
        assert_eq!(toml["x"].as_str(), Some(text));
        assert!(!escaped(text).contains('\n'));
    }
}
