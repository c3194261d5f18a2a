//! `acl` lines and the conditions behind `if` and `unless` (configuration manual, chapter 7), as far as they ask for what
//! is known of a session that is passed on as bytes.

use super::super::mistake::Mistakes;
use super::super::read::Span;
use super::super::value;
use super::super::when;
use super::cfg::Proxy;
use super::file::bad_line;
use super::table::{self, Refusal};
use super::words::Word;
use crate::model::condition::{Compare, NamePart, NamePattern, Term, Test};
use crate::model::{BackendName, Condition, Network};

/// Lists of terms that one condition comes to at most.
const MOST: usize = 256;

/// The condition of a line, of whose words these stand behind its own: `if …`, `unless …`, or nothing. `None` if it
/// can't be asked, which is noted.
pub fn condition(proxy: &Proxy, words: &[Word], at: Span, mistakes: &mut Mistakes) -> Option<Condition> {
    let read = || -> Result<Condition, Refusal> {
        let Some((first, words)) = words.split_first() else { return Ok(Condition::always()) };
        match first.text.as_str() {
            "if" => any(proxy, words),
            "unless" => any(proxy, words).and_then(|condition| opposite(&condition)),
            other => Err((format!("`{other}` stands where `if` or `unless` should"), "write `if CONDITION`".into())),
        }
    };
    read().map_err(|(what, hint)| mistakes.push(Some(at), bad_line(what, hint))).ok()
}

/// Lists of terms, between `or` or `||`.
fn any(proxy: &Proxy, words: &[Word]) -> Result<Condition, Refusal> {
    let mut any = Vec::new();
    for list in words.split(|word| matches!(word.text.as_str(), "or" | "||")) {
        any.extend(all(proxy, list)?);
    }
    Ok(Condition { any })
}

/// One list of terms. A name stands for several `acl` lines, of which any may hold: so one list may become many.
fn all(proxy: &Proxy, words: &[Word]) -> Result<Vec<Vec<Term>>, Refusal> {
    if words.is_empty() {
        return Err(("a condition is missing".into(), "write `if NAME` or `if { src 10.0.0.0/8 }`".into()));
    }
    let mut lists = vec![Vec::new()];
    let mut rest = words;
    while let Some((first, tail)) = rest.split_first() {
        let stripped = first.text.trim_start_matches('!');
        let negated = (first.text.len() - stripped.len()) % 2 == 1;
        if stripped.is_empty() {
            let Some((next, _)) = tail.split_first() else { return Err(nothing_behind("!")) };
            let next = Word { text: format!("{}{}", first.text, next.text), span: next.span };
            let joined: Vec<Word> = std::iter::once(next).chain(tail[1..].iter().cloned()).collect();
            return times(lists, all(proxy, &joined)?);
        }
        let (tests, after) = match stripped {
            "{" => {
                let end = tail.iter().position(|word| word.text == "}").ok_or_else(|| nothing_behind("{"))?;
                (vec![test(proxy, &tail[..end])?], &tail[end + 1..])
            }
            name => (named(proxy, name)?, tail),
        };
        let alternatives = match negated {
            false => tests.into_iter().map(|term| vec![term]).collect(),
            // None of them may hold.
            true => vec![tests.into_iter().map(|term| Term { negated: !term.negated, ..term }).collect()],
        };
        lists = times(lists, alternatives)?;
        rest = after;
    }
    Ok(lists)
}

fn nothing_behind(word: &str) -> Refusal {
    (format!("nothing that belongs to it stands behind `{word}`"), "write `if NAME` or `if { src 10.0.0.0/8 }`".into())
}

/// Each of the ones with each of the others.
fn times(lists: Vec<Vec<Term>>, others: Vec<Vec<Term>>) -> Result<Vec<Vec<Term>>, Refusal> {
    if lists.len() * others.len() > MOST {
        return Err((format!("the condition has more than {MOST} cases"), "write several lines instead".into()));
    }
    let each = |list: &Vec<Term>| others.iter().map(|other| [list.as_slice(), other].concat()).collect::<Vec<_>>();
    Ok(lists.iter().flat_map(each).collect())
}

/// The condition that holds when this one does not.
fn opposite(condition: &Condition) -> Result<Condition, Refusal> {
    let mut lists = vec![Vec::new()];
    for list in &condition.any {
        let opposites = list.iter().map(|term| vec![Term { negated: !term.negated, ..term.clone() }]).collect();
        lists = times(lists, opposites)?;
    }
    Ok(Condition { any: lists })
}

/// The `acl` lines of a name, those of HAProxy itself among them (section 7.4).
fn named(proxy: &Proxy, name: &str) -> Result<Vec<Term>, Refusal> {
    let mut tests = Vec::new();
    for line in proxy.every("acl") {
        let Some((own, words)) = line.arguments.split_first() else { continue };
        if own.text == name {
            tests.push(test(proxy, words)?);
        }
    }
    let local = [("127.0.0.0", 8), ("::1", 128)];
    match name {
        _ if !tests.is_empty() => Ok(tests),
        "TRUE" => Ok(vec![Test::Always.into()]),
        "FALSE" => Ok(vec![Test::Never.into()]),
        "LOCALHOST" => {
            let network = |(address, prefix): (&str, u8)| Network::of(address.parse().ok()?, prefix);
            Ok(vec![Test::Source(local.into_iter().filter_map(network).collect()).into()])
        }
        "WAIT_END" => {
            let hint = "leave it out: rules that ask for nothing which is still to come need not wait";
            Err(("`WAIT_END` is not supported".into(), hint.into()))
        }
        _ => Err((format!("there is no acl `{name}`"), format!("add `acl {name} …` above"))),
    }
}

/// One test: what is asked for, flags, patterns.
fn test(proxy: &Proxy, words: &[Word]) -> Result<Term, Refusal> {
    let Some((first, rest)) = words.split_first() else { return Err(nothing_behind("{")) };
    let (fetch, argument) = match first.text.split_once('(') {
        Some((fetch, rest)) => (fetch, rest.strip_suffix(')')),
        None => (first.text.as_str(), None),
    };
    let flags = Flags::read(rest)?;
    if let Some(count) = table::asked(proxy, fetch, argument, || flags.numbers()) {
        return count;
    }
    match fetch {
        "always_true" => Ok(Test::Always.into()),
        "always_false" => Ok(Test::Never.into()),
        "src" => flags.networks().map(|networks| Test::Source(networks).into()),
        "dst" => flags.networks().map(|networks| Test::Destination(networks).into()),
        "dst_port" => flags.ports().map(|ports| Test::DestinationPort(ports).into()),
        "req.ssl_sni" | "req_ssl_sni" => flags.names().map(|names| Test::Sni(names).into()),
        "req.ssl_hello_type" | "req_ssl_hello_type" => match flags.numbers()?.as_slice() {
            [(low, high)] if low == high && *low <= 255 => Ok(Test::HelloType(*low as u8).into()),
            _ => Err(("a hello has one type".into(), "write `req.ssl_hello_type 1`".into())),
        },
        "nbsrv" => usable(argument, &flags),
        other => Err((
            format!("`{other}` can't be asked for"),
            "what can be: src, dst, dst_port, req.ssl_sni, req.ssl_hello_type, nbsrv(BACKEND), always_true, and of a \
             stick-table src_conn_cur, sc0_conn_cur and the like"
                .into(),
        )),
    }
}

fn usable(argument: Option<&str>, flags: &Flags<'_>) -> Result<Term, Refusal> {
    let named = argument.filter(|name| !name.is_empty() && !name.contains('/'));
    let backend = named.and_then(|name| BackendName::new(name).ok());
    let hint = || "write `nbsrv(BACKEND) lt 1`".to_owned();
    let Some(backend) = backend else { return Err(("`nbsrv` names no backend".into(), hint())) };
    let is = |compare, number, negated| Term {
        negated,
        test: Test::UsableServers { backend: backend.clone(), compare, number },
    };
    match flags.numbers()?.as_slice() {
        [(0, high)] => Ok(is(Compare::AtMost, *high, false)),
        [(low, u32::MAX)] => Ok(is(Compare::AtLeast, *low, false)),
        [(low, high)] if low == high => Ok(is(Compare::Equal, *low, false)),
        _ => Err(("a number of servers is compared with one number".into(), hint())),
    }
}

/// What stands behind a fetch: flags, then patterns (section 7.1.1).
#[derive(Default)]
struct Flags<'a> {
    ignore_case: bool,
    how: Option<&'a str>,
    patterns: &'a [Word],
}

impl<'a> Flags<'a> {
    fn read(words: &'a [Word]) -> Result<Self, Refusal> {
        let mut flags = Flags { patterns: words, ..Flags::default() };
        while let Some((first, rest)) = flags.patterns.split_first() {
            match first.text.as_str() {
                "-i" => flags.ignore_case = true,
                "-n" => {}
                "-m" => {
                    let Some((how, _)) = rest.split_first() else { return Err(nothing_behind("-m")) };
                    flags.how = Some(&how.text);
                    flags.patterns = &rest[1..];
                    continue;
                }
                "--" => {
                    flags.patterns = rest;
                    break;
                }
                "-f" | "-F" => {
                    let hint = "write the patterns on the line itself, or on several `acl` lines of one name";
                    return Err(("patterns are not read from files".into(), hint.into()));
                }
                flag if flag.starts_with('-') && flag.len() == 2 => {
                    return Err((format!("the flag `{flag}` is not supported"), "use -i and -m".into()));
                }
                _ => break,
            }
            flags.patterns = rest;
        }
        Ok(flags)
    }

    fn each<T>(&self, kind: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Refusal> {
        if self.patterns.is_empty() {
            return Err((format!("{kind} is missing"), "name at least one".into()));
        }
        let one = |word: &Word| {
            read(&word.text).ok_or_else(|| (format!("`{}` is not {kind}", word.text), "correct it".to_owned()))
        };
        self.patterns.iter().map(one).collect()
    }

    /// HAProxy takes the network that an address belongs to, and netmasks.
    fn networks(&self) -> Result<Vec<Network>, Refusal> {
        if let Some(how) = self.how.filter(|how| *how != "ip") {
            return Err((format!("addresses can't be matched by `-m {how}`"), "leave it out".into()));
        }
        self.each("a network", |text| {
            let (address, length) =
                text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
            let address = value::network(address).ok()?.address();
            let whole = if address.is_ipv4() { 32 } else { 128 };
            let prefix = match length {
                None => whole,
                Some(length) => length.parse().ok().or_else(|| value::netmask(length))?,
            };
            Network::of(address, prefix)
        })
    }

    /// Numbers as ranges; `lt 3`, `1:5`, `7`.
    fn numbers(&self) -> Result<Vec<(u32, u32)>, Refusal> {
        let (operator, patterns) = match self.patterns.split_first() {
            Some((word, rest)) if matches!(word.text.as_str(), "eq" | "ge" | "gt" | "le" | "lt") => (&*word.text, rest),
            _ => ("eq", self.patterns),
        };
        let numbers = Flags { patterns, ..Flags::default() };
        numbers.each("a number", |text| {
            let (low, high) = text.split_once(':').unwrap_or((text, text));
            let bound = |text: &str, otherwise| if text.is_empty() { Some(otherwise) } else { text.parse().ok() };
            let (low, high): (u32, u32) = (bound(low, 0)?, bound(high, u32::MAX)?);
            match operator {
                "eq" => (low <= high).then_some((low, high)),
                "ge" => Some((low, u32::MAX)),
                "gt" => Some((low.checked_add(1)?, u32::MAX)),
                "le" => Some((0, high)),
                _ => Some((0, high.checked_sub(1)?)),
            }
        })
    }

    fn ports(&self) -> Result<Vec<std::ops::RangeInclusive<u16>>, Refusal> {
        let port = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        Ok(self.numbers()?.into_iter().map(|(low, high)| port(low)..=port(high)).collect())
    }

    fn names(&self) -> Result<Vec<NamePattern>, Refusal> {
        let part = match self.how.unwrap_or("str") {
            "str" => NamePart::Whole,
            "beg" => NamePart::Beginning,
            "end" => NamePart::End,
            "sub" => NamePart::Anywhere,
            "found" => {
                return Ok(vec![NamePattern { text: String::new(), part: NamePart::Anywhere, ignore_case: true }]);
            }
            how => {
                return Err((
                    format!("names can't be matched by `-m {how}`"),
                    "use str, beg, end, sub or found".into(),
                ));
            }
        };
        self.each("a name", |text| {
            // As conditions are written: what would read as something else there can't be said.
            let plain = when::pattern(text, self.ignore_case).filter(|pattern| pattern.part == NamePart::Whole)?;
            Some(NamePattern { part, ..plain })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::super::words::Variables;
    use super::*;
    use crate::config::source::Source;

    /// The condition behind `use_backend x` in a frontend with these lines, as a file of ours says it; or why not.
    fn asked(lines: &str) -> Result<String, String> {
        let mut mistakes = Mistakes::default();
        let text = format!("frontend f\n{lines}");
        let cfg = file::read(&Source::in_memory(&text, "a.cfg"), &mut Variables::default(), false, &mut mistakes);
        let line = cfg.proxies[0].own("use_backend").next().expect("it stands there");
        match condition(&cfg.proxies[0], &line.arguments[1..], line.at, &mut mistakes) {
            Some(condition) => Ok(when::write(&condition)),
            None => Err(mistakes.in_order()[0].mistake.to_string()),
        }
    }

    fn of(condition: &str) -> Result<String, String> {
        asked(&format!("use_backend x {condition}"))
    }

    fn is(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    #[test]
    fn what_is_asked_for_in_braces_is_read() {
        assert_eq!(of(""), is("always"));
        assert_eq!(of("if { src 10.0.0.0/8 192.168.1.7/24 fd00::1 }"), is("source 10.0.0.0/8 192.168.1.0/24 fd00::1"));
        assert_eq!(of("if { src 10.0.0.0/255.0.0.0 }"), is("source 10.0.0.0/8"));
        assert_eq!(of("if { req.ssl_sni -i a.b } { dst_port 443 8000:8010 }"), is("sni a.b and port 443 8000-8010"));
        assert_eq!(of("if { req_ssl_sni -m end .a.b }"), is("sni_exactly *.a.b"));
        assert_eq!(of("if { req.ssl_sni -m found }"), is("sni *"));
        assert_eq!(
            of("if !{ req.ssl_hello_type 1 } || { nbsrv(b) lt 1 }"),
            is("not hello_type 1 or usable_servers b <= 0")
        );
        assert_eq!(
            of("unless { nbsrv(b) ge 2 } or { dst_port gt 1023 }"),
            is("not usable_servers b >= 2 and not port 1024-65535")
        );
    }

    // Seen to fail with a negated name of which one line need not hold.
    #[test]
    fn a_name_is_any_of_its_lines() {
        let lines = "acl a src 10.0.0.0/8\nacl a src 172.16.0.0/12\nacl b always_true\n";
        let of = |condition: &str| asked(&format!("{lines}use_backend x {condition}"));
        assert_eq!(of("if a b"), is("source 10.0.0.0/8 and always or source 172.16.0.0/12 and always"));
        assert_eq!(of("if ! a"), is("not source 10.0.0.0/8 and not source 172.16.0.0/12"));
        assert_eq!(of("unless !a"), is("source 10.0.0.0/8 or source 172.16.0.0/12"));
        assert_eq!(of("if LOCALHOST !FALSE"), is("source 127.0.0.0/8 ::1 and not never"));
    }

    #[test]
    fn what_can_not_be_asked_says_why() {
        let why = |condition: &str| of(condition).unwrap_err();
        assert_eq!(why("if c"), "there is no acl `c`");
        assert_eq!(why("if { path /x }"), "`path` can't be asked for");
        assert_eq!(why("if { req.ssl_sni -m reg ^a }"), "names can't be matched by `-m reg`");
        assert_eq!(why("if { src -f /etc/nets }"), "patterns are not read from files");
        assert_eq!(why("if { src 10.0.0.0/99 }"), "`10.0.0.0/99` is not a network");
        assert_eq!(why("if { nbsrv lt 1 }"), "`nbsrv` names no backend");
        assert_eq!(why("when a"), "`when` stands where `if` or `unless` should");
        assert!(why("if { src 10.0.0.1").contains("stands behind `{`") && why("if").contains("missing"));
    }
}
