//! What a check asks and expects: `option httpchk` with `http-check`, `option tcp-check` with `tcp-check`.

use super::super::read::Span;
use super::compose::Composer;
use super::document::Section;
use super::file::{Proxy, Statement};
use super::words::Word;

/// The type of a check that asks over HTTP, and its keys (configuration manual, section 4.2, `option httpchk` and
/// `http-check`).
pub fn http(proxy: &Proxy, chk: &Statement, over_tls: bool, section: &mut Section, composer: &mut Composer<'_>) {
    section.text("check.type", if over_tls { "http-over-tls" } else { "http" }, Some(chk.at));
    let mut request = Request::of_option(chk);
    for send in proxy.every("http-check send") {
        request.read(send, composer);
    }
    request.compose(chk.at, section);
    if let Some(drains) = proxy.last("http-check disable-on-404") {
        section.set("check.draining_on_404", true, Some(drains.at));
    }
    let expects: Vec<_> = proxy.every("http-check expect").collect();
    let texts: Vec<_> = expects.iter().filter_map(|statement| expectation(statement, composer)).collect();
    if let Some(first) = expects.first() {
        section.set("check.expect", list(&texts), Some(first.at));
    }
    if let Some(connect) = proxy.last("http-check connect").filter(|connect| !connect.arguments.is_empty()) {
        composer.wrong(
            connect.at,
            "`http-check connect` with parameters is not supported",
            "write them on the `server` line: port, check-ssl, check-sni, check-alpn",
        );
    }
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
        [kind, pattern, ..] if kind.text == "status" => Some(format!("{not}status {}", pattern.text)),
        [kind, pattern, ..] if kind.text == "rstatus" => Some(format!("{not}status ~ {}", pattern.text)),
        [kind, pattern, ..] if kind.text == "string" => Some(format!("{not}body {}", pattern.text)),
        [kind, pattern, ..] if kind.text == "rstring" => Some(format!("{not}body ~ {}", pattern.text)),
        _ => {
            unsupported(statement, words, "write status, rstatus, string or rstring, with or without a `!`", composer);
            None
        }
    }
}

/// The type of a check that has a conversation, and its steps (section 4.2, `tcp-check`). `None` if there are none: then
/// `option tcp-check` connects, as a check without it does.
pub fn script(proxy: &Proxy, over_tls: bool, section: &mut Section, composer: &mut Composer<'_>) -> Option<bool> {
    let rules: Vec<&Statement> = proxy.all().filter(|rule| RULES.contains(&rule.keyword.words)).collect();
    let first = rules.first()?;
    let mut steps: Vec<String> = rules.iter().filter_map(|rule| step(rule, over_tls, composer)).collect();
    if over_tls && first.keyword.words != "tcp-check connect" {
        steps.insert(0, "connect tls".to_owned());
    }
    section.text("check.type", "script", Some(first.at));
    section.set("check.steps", list(&steps), Some(first.at));
    Some(steps.iter().any(|step| step.starts_with("connect") && step.ends_with("tls")))
}

const RULES: [&str; 4] = ["tcp-check connect", "tcp-check send", "tcp-check send-binary", "tcp-check expect"];

fn step(rule: &Statement, over_tls: bool, composer: &mut Composer<'_>) -> Option<String> {
    let words = without_comment(&rule.arguments);
    match (rule.keyword.words, words) {
        ("tcp-check connect", words) => connect(rule, words, over_tls, composer),
        ("tcp-check send", [data, ..]) => Some(format!("send {}", data.text)),
        ("tcp-check send-binary", [data, ..]) => Some(format!("send-hex {}", data.text)),
        ("tcp-check expect", words) => {
            let (not, words) = negation(words);
            match words {
                [kind, data, ..] if kind.text == "string" => Some(format!("{not}expect {}", data.text)),
                [kind, data, ..] if kind.text == "rstring" => Some(format!("{not}expect ~ {}", data.text)),
                [kind, data, ..] if kind.text == "binary" => Some(format!("{not}expect-hex {}", data.text)),
                _ => {
                    unsupported(rule, words, "write string, rstring or binary, with or without a `!`", composer);
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

/// `tcp-check connect [default] [port PORT] [ssl]`; a bare one is as the `server` line has it.
fn connect(rule: &Statement, mut words: &[Word], over_tls: bool, composer: &mut Composer<'_>) -> Option<String> {
    let (mut port, mut tls) = (String::new(), over_tls && words.is_empty());
    while let [word, rest @ ..] = words {
        words = match (word.text.as_str(), rest) {
            ("default", rest) => {
                tls = over_tls;
                rest
            }
            ("ssl", rest) => {
                tls = true;
                rest
            }
            ("port", [number, rest @ ..]) => {
                port = format!(" {}", number.text);
                rest
            }
            ("linger", rest) => rest,
            _ => {
                unsupported(
                    rule,
                    words,
                    "write port and ssl; what else there is stands on the `server` line",
                    composer,
                );
                return None;
            }
        };
    }
    Some(format!("connect{port}{}", if tls { " tls" } else { "" }))
}

/// A comment is for whoever reads the file.
fn without_comment(words: &[Word]) -> &[Word] {
    match words {
        [comment, _, rest @ ..] if comment.text == "comment" => rest,
        words => words,
    }
}

fn negation(words: &[Word]) -> (&'static str, &[Word]) {
    match words {
        [not, rest @ ..] if not.text == "!" => ("! ", rest),
        words => ("", words),
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
