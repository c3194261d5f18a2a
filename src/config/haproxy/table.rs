//! `stick-table` lines, rules that track, and what conditions ask of them (configuration manual, chapter 11).

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::mistake::Mistake;
use super::super::show::quoted;
use super::super::table::{LONGEST_PERIOD, StoredText, stored};
use super::super::text::Text;
use super::argument::{TIMES, time, time_of};
use super::cfg::{Kind, Proxy, Statement};
use super::compose::Composer;
use super::document::Section;
use super::words::Word;
use crate::model::condition::{Term, Test};
use crate::model::{Count, Counted, Counter, Table, TableName};

/// The table of a proxy as TOML: it has the proxy's name.
pub fn compose(proxy: &Proxy, composer: &mut Composer<'_>) -> Option<Section> {
    let mut lines = proxy.own("stick-table");
    let line = lines.next()?;
    if let Some(second) = lines.next() {
        let what = format!("`{}` has a table already", proxy.name.text);
        composer.wrong(second.at, what, "give the second one a `backend` section of its own, whose name it has then");
    }
    let mut section = Section::new("[[table]]", Some(line.at));
    section.text("name", &proxy.name.text, Some(proxy.name.span));
    let read = Read::of(line, composer)?;
    section.text("key", read.key?, Some(line.at));
    section.set("size", read.size?, Some(line.at));
    match read.expire.filter(|expire| !expire.is_zero()) {
        Some(expire) => section.wait("expire", expire, Some(line.at)),
        None => section.text("expire", "off", Some(line.at)),
    }
    if read.keeps {
        section.text("on_full", "keep", Some(line.at));
    }
    let store: Vec<_> = read.store.iter().map(|stored| quoted(&stored.text())).collect();
    section.set("store", format!("[{}]", store.join(", ")), Some(line.at));
    Some(section)
}

/// Whether a section is there for its table alone: nobody is led to it, and it has no servers. It is no backend then.
pub fn is_all(proxy: &Proxy, composer: &Composer<'_>) -> bool {
    proxy.kind == Kind::Backend
        && proxy.own("server").next().is_none()
        && proxy.own("stick-table").next().is_some()
        && !composer.ports.contains_key(&proxy.name.text)
}

/// What a line says.
#[derive(Default)]
struct Read {
    key: Option<&'static str>,
    size: Option<u64>,
    expire: Option<Duration>,
    keeps: bool,
    store: Vec<StoredText>,
}

impl Read {
    /// `None` if it can't be read, which is noted.
    fn of(line: &Statement, composer: &mut Composer<'_>) -> Option<Self> {
        let mut read = Self::default();
        let mut words = line.arguments.as_slice();
        while let [word, rest @ ..] = words {
            words = match (word.text.as_str(), rest) {
                ("nopurge", rest) => {
                    read.keeps = true;
                    rest
                }
                ("recv-only", rest) => {
                    note(word, "counters per source are not shared between hosts", composer);
                    rest
                }
                ("type", [value, rest @ ..]) => {
                    read.key = Some(key(value, composer)?);
                    rest
                }
                ("size", [value, rest @ ..]) => {
                    read.size = Some(size(value, composer)?);
                    rest
                }
                ("expire", [value, rest @ ..]) => {
                    read.expire = Some(time_of(value, composer.mistakes)?.0);
                    rest
                }
                // HAProxy takes it without anything behind it.
                ("store", []) => &[],
                ("store", [value, rest @ ..]) => {
                    read.store(value, composer)?;
                    rest
                }
                ("peers", [_, rest @ ..]) => {
                    note(word, "counters per source are not shared between hosts", composer);
                    rest
                }
                ("srvkey", [_, rest @ ..]) => {
                    note(word, "sessions follow the balance method", composer);
                    rest
                }
                ("brates-factor", [_, rest @ ..]) => {
                    note(word, "bytes of a source are not counted", composer);
                    rest
                }
                ("type" | "size" | "expire" | "peers" | "srvkey" | "brates-factor" | "write-to", []) => {
                    composer.wrong(word.span, format!("`{}` has no value", word.text), HOW);
                    return None;
                }
                ("write-to", _) => {
                    let hint = "remove it: each table counts what it is told to track";
                    composer.wrong(word.span, "`write-to` is not supported", hint);
                    return None;
                }
                (other, _) => {
                    composer.wrong(word.span, format!("`{other}` is nothing that a stick-table has"), HOW);
                    return None;
                }
            };
        }
        for (is_missing, what) in [(read.key.is_none(), "type"), (read.size.is_none(), "size")] {
            if is_missing {
                composer.wrong(line.at, format!("the stick-table has no {what}"), HOW);
                return None;
            }
        }
        Some(read)
    }

    /// Counts, with commas between them.
    fn store(&mut self, word: &Word, composer: &mut Composer<'_>) -> Option<()> {
        for text in word.text.split(',').filter(|text| !text.is_empty()) {
            let (name, period) = match text.split_once('(') {
                Some((name, rest)) => (name, Some(rest.trim_end_matches(')'))),
                None => (text, None),
            };
            match (Count::named(name), unkept(name)) {
                (Some(count), _) if self.store.iter().any(|stored| stored.0.count() == count) => {
                    note(&Word { text: text.to_owned(), span: word.span }, "it is stored already", composer);
                }
                (Some(count), _) => self.store.push(counted(count, period, word, composer)?),
                (None, Some(why)) => note(&Word { text: text.to_owned(), span: word.span }, why, composer),
                (None, None) => {
                    let what = format!("`{name}` is nothing that a stick-table stores");
                    composer.wrong(
                        word.span,
                        what,
                        "what is counted: conn_cnt, conn_rate(3s), conn_cur, sess_cnt, sess_rate(3s)",
                    );
                    return None;
                }
            }
        }
        Some(())
    }
}

const HOW: &str = "write `stick-table type ip size 100k expire 30s store conn_cur,conn_rate(3s)`";

/// Why what HAProxy stores and evenkeel does not changes nothing.
fn unkept(name: &str) -> Option<&'static str> {
    let why = match name.starts_with("bytes_") {
        true => "bytes of a source are not counted, and no rule asks for them",
        false => "nothing here sets it, and it would stay 0",
    };
    Count::OF_HAPROXY_ALONE.contains(&name).then_some(why)
}

fn note(word: &Word, why: &'static str, composer: &mut Composer<'_>) {
    composer.mistakes.push(Some(word.span), Mistake::DirectiveNoted { word: word.text.clone(), why });
}

fn key(word: &Word, composer: &mut Composer<'_>) -> Option<&'static str> {
    match word.text.as_str() {
        "ip" => Some("ip"),
        "ipv6" => Some("ipv6"),
        other => {
            let what = format!("`type {other}` is not supported: only addresses are counted");
            composer.wrong(word.span, what, "write `type ip` or `type ipv6`");
            None
        }
    }
}

/// Entries; k and m stand for 1024 and its square.
fn size(word: &Word, composer: &mut Composer<'_>) -> Option<u64> {
    let digits = word.text.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.text.len());
    let (number, unit) = word.text.split_at(digits);
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        _ => 0,
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    let size = size.filter(|size| (1..=u64::from(Table::MOST)).contains(size));
    if size.is_none() {
        let hint = format!(
            "write a number from 1 to {}, with k or m behind it for 1024 and 1048576 times as many",
            Table::MOST
        );
        composer.wrong(word.span, format!("`{}` is no size of a table", word.text), hint);
    }
    size
}

fn counted(count: Count, period: Option<&str>, word: &Word, composer: &mut Composer<'_>) -> Option<StoredText> {
    let name = count.name();
    let period = match period.map(time) {
        None => None,
        Some(Ok(period)) if !period.is_zero() && period <= LONGEST_PERIOD => Some(period),
        Some(Ok(_)) => {
            composer.wrong(word.span, format!("`{name}` has a period that is none"), "write 1ms to 24d");
            return None;
        }
        Some(Err(error)) => {
            composer.wrong(word.span, error, TIMES);
            return None;
        }
    };
    let kept = stored(count, period).map(StoredText);
    if kept.is_none() {
        let what = if period.is_some() { "has no period" } else { "has no period behind it" };
        let hint = if period.is_some() { format!("write `{name}`") } else { format!("write `{name}(3s)`") };
        composer.wrong(word.span, format!("`{name}` {what}"), hint);
    }
    kept
}

// ---- rules that track ----

/// Of the words of a rule, `track-scN src [table T]`: what it tracks, and how many words that takes. `None` if it says
/// something else.
pub fn track<'a>(proxy: &'a Proxy, words: &[&'a str]) -> Option<(Counter, &'a str, usize)> {
    let [verb, "src", rest @ ..] = words else { return None };
    let counter = verb.strip_prefix("track-sc")?.parse().ok().and_then(Counter::new)?;
    match rest {
        ["table", table, ..] => Some((counter, table, 4)),
        _ => Some((counter, &proxy.name.text, 2)),
    }
}

// ---- what conditions ask ----

/// A condition on a count, if the word is one that asks for one: `src_conn_cur`, `sc0_conn_rate`, `sc_conn_cnt`.
pub fn asked(
    proxy: &Proxy,
    fetch: &str,
    argument: Option<&str>,
    numbers: impl FnOnce() -> Result<Vec<(u32, u32)>, Refusal>,
) -> Option<Result<Term, Refusal>> {
    let (of, count) = fetch.split_once('_').and_then(|(of, name)| Some((of, Count::named(name)?)))?;
    let of = match of {
        "src" => source(proxy, argument),
        "sc" => numbered(argument),
        of => tracked(of.strip_prefix("sc")?, argument),
    };
    let test = of.and_then(|of| {
        let numbers = numbers()?.into_iter().map(|(low, high)| RangeInclusive::new(low, high)).collect();
        Ok(Test::Count { of, count, numbers }.into())
    });
    Some(test)
}

pub type Refusal = (String, String);

fn source(proxy: &Proxy, argument: Option<&str>) -> Result<Counted, Refusal> {
    let own = proxy.name.text.as_str();
    named(argument.filter(|argument| !argument.is_empty()).unwrap_or(own)).map(Counted::Source)
}

/// `sc_conn_cur(0)`, `sc_conn_cur(0,TABLE)`.
fn numbered(argument: Option<&str>) -> Result<Counted, Refusal> {
    let argument = argument.unwrap_or("");
    let (number, table) = argument.split_once(',').map_or((argument, None), |(number, table)| (number, Some(table)));
    tracked(number, table)
}

fn tracked(number: &str, table: Option<&str>) -> Result<Counted, Refusal> {
    let counter =
        number.trim().parse().ok().and_then(Counter::new).ok_or_else(|| {
            (format!("`{number}` is no counter of a session"), "there are sc0, sc1 and sc2".to_owned())
        })?;
    let table = table.filter(|table| !table.is_empty()).map(named).transpose()?;
    Ok(Counted::Tracked { counter, table })
}

fn named(table: &str) -> Result<TableName, Refusal> {
    let name = TableName::new(table.trim());
    name.map_err(|_| (format!("`{table}` is no name of a table"), "a table has its section's name".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Choice, Severity};
    use crate::model::{Config, Frontend, OnTableFull, RuleVerdict, Stored, TableKey, Track};

    fn file(lines: &str) -> String {
        format!("frontend f\n bind :1\n default_backend b\n{lines}\nbackend b\n server s 10.0.0.1:1\n")
    }

    fn loaded(lines: &str) -> Config {
        match config::parse_haproxy(&file(lines), "haproxy.cfg", Choice::default()) {
            Ok((config, _)) => config,
            Err(report) => panic!("{}", report.render(false)),
        }
    }

    fn refused(lines: &str) -> String {
        let report = config::parse_haproxy(&file(lines), "haproxy.cfg", Choice::default()).expect_err("it is refused");
        report.to_string()
    }

    fn tests(frontend: &Frontend) -> Vec<&Test> {
        frontend.rules.iter().flat_map(|rule| rule.when.tests()).collect()
    }

    /// What guides write that protect an API server.
    #[test]
    fn a_table_with_a_rule_that_tracks_and_one_that_asks() {
        let config = loaded(
            " stick-table type ip size 100k expire 30s store conn_cur,conn_rate(3s)\n\
             tcp-request connection track-sc0 src\n\
             tcp-request connection reject if { sc0_conn_cur gt 20 } || { src_conn_rate ge 10 }",
        );
        let name = TableName::new("f").unwrap();
        let period = Duration::from_secs(3);
        let expected = Table {
            name: name.clone(),
            key: TableKey::Ip,
            size: 102_400,
            expire: Some(Duration::from_secs(30)),
            on_full: OnTableFull::Forget,
            store: vec![Stored::ConnRate(period), Stored::ConnCur],
        };
        assert_eq!(config.tables, [expected]);
        let rules = &config.frontends[0].rules;
        let track = Track { counter: Counter::default(), table: name.clone() };
        assert_eq!((&rules[0].verdict, &rules[1].verdict), (&RuleVerdict::Track(track), &RuleVerdict::Reject));
        let asked = |of, count, low| Test::Count { of, count, numbers: vec![low..=u32::MAX] };
        let tracked = Counted::Tracked { counter: Counter::default(), table: None };
        let expected =
            [Test::Always, asked(tracked, Count::ConnCur, 21), asked(Counted::Source(name), Count::ConnRate, 10)];
        assert_eq!(tests(&config.frontends[0]), expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_table_of_a_backend_is_no_backend_and_is_asked_by_its_name() {
        let config = loaded(
            " tcp-request session track-sc1 src table t if { src 10.0.0.0/8 }\n\
             tcp-request content reject if { sc1_conn_cnt(t) 5:9 12 } { sc_sess_cnt(1,t) lt 3 } { src_sess_rate(t) eq 0 }\n\
             backend t\n stick-table type ipv6 size 1m nopurge store conn_cnt store sess_cnt,sess_rate(1m)",
        );
        assert_eq!(config.backends.len(), 1);
        let table = &config.tables[0];
        assert_eq!(
            (table.key, table.size, table.expire, table.on_full),
            (TableKey::Ipv6, 1 << 20, None, OnTableFull::Keep)
        );
        let asked = tests(&config.frontends[0]).into_iter().filter_map(|test| match test {
            Test::Count { of, count, numbers } => Some((of.clone(), *count, numbers.clone())),
            _ => None,
        });
        let (name, counter) = (TableName::new("t").unwrap(), Counter::new(1).unwrap());
        let tracked = || Counted::Tracked { counter, table: Some(name.clone()) };
        let expected = [
            (tracked(), Count::ConnCnt, vec![5..=9, 12..=12]),
            (tracked(), Count::SessCnt, vec![0..=2]),
            (Counted::Source(name.clone()), Count::SessRate, vec![0..=0]),
        ];
        assert_eq!(asked.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_not_kept_is_noted() {
        let text =
            file(" stick-table type ip size 1k peers p store gpc0,http_req_rate(10s),conn_cur,bytes_out_cnt,conn_cur");
        let (config, report) = config::parse_haproxy(&text, "haproxy.cfg", Choice::default()).unwrap();
        assert_eq!(config.tables[0].store, [Stored::ConnCur]);
        let notes = report.entries().iter().filter(|entry| entry.severity == Severity::Note);
        let notes: Vec<&str> = notes.map(|entry| entry.message.as_str()).collect();
        assert_eq!(notes.len(), report.entries().len(), "nothing is wrong");
        let notes = notes.join("\n");
        for word in [
            "`gpc0`",
            "`http_req_rate(10s)`",
            "`peers`",
            "`bytes_out_cnt`",
            "`conn_cur` is not needed: it is stored already",
        ] {
            assert!(notes.contains(word), "{word}: {notes}");
        }
    }

    #[test]
    fn what_can_not_be_honoured_is_told_in_its_place() {
        let table = |rest: &str| refused(&format!(" stick-table {rest}"));
        assert!(table("size 1k").contains("haproxy.cfg:4:2: error: the stick-table has no type"));
        assert!(table("type ip").contains("the stick-table has no size"));
        assert!(table("type string len 20 size 1k").contains("`type string` is not supported"));
        assert!(table("type ip size 1.5k").contains("haproxy.cfg:4:27: error: `1.5k` is no size of a table"));
        assert!(table("type ip size 0").contains("`0` is no size") && table("type ip size 20m").contains("is no size"));
        assert!(table("type ip size 1k store conn_rate").contains("`conn_rate` has no period behind it"));
        assert!(table("type ip size 1k store conn_cur(3s)").contains("`conn_cur` has no period"));
        assert!(table("type ip size 1k store conn_rate(3x)").contains("`3x` is not a time"));
        assert!(table("type ip size 1k store nope").contains("`nope` is nothing that a stick-table stores"));
        assert!(
            table("type ip size 1k store conn_cur, conn_cnt").contains("`conn_cnt` is nothing that a stick-table has")
        );
        assert!(table("type ip size").contains("`size` has no value"));
        assert!(table("type ip size 1k\n stick-table type ip size 2k").contains("`f` has a table already"));
        let rule = |rest: &str| refused(&format!(" stick-table type ip size 1k store conn_cur\n {rest}"));
        let track = "tcp-request connection track-sc0";
        assert!(rule(&format!("{track} src table t")).contains(":5:2: error: there is no table `t`"));
        assert!(rule(&format!("{track} dst")).contains("`tcp-request connection track-sc0` is not supported"));
        assert!(rule("tcp-request connection track-sc3 src").contains("is not supported"));
        assert!(rule(&format!("{track} src foo")).contains("`foo` stands where `if` or `unless` should"));
        let ask = |what: &str| rule(&format!("tcp-request connection reject if {{ {what} }}"));
        assert!(ask("src_conn_rate gt 1").contains("table `f` does not store `conn_rate`"));
        assert!(ask("src_conn_cur(b) gt 1").contains("there is no table `b`"));
        assert!(ask("sc3_conn_cur gt 1").contains("`3` is no counter of a session"));
        assert!(ask("sc0_get_gpc0 gt 1").contains("`sc0_get_gpc0` can't be asked for"));
        let unkept = rule(&format!("{track} src\n tcp-request connection reject if {{ sc0_conn_cnt gt 1 }}"));
        assert!(unkept.contains("table `f` does not store `conn_cnt`"), "{unkept}");
    }
}
