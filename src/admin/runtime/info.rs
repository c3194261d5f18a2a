//! `show info`: figures of the process under HAProxy's names, in its three forms.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::command::Asked;
use crate::admin::haproxy::tags::{Field, Tags};
use crate::event::{ProcessPhase, Snapshot};
use crate::model::{HAPROXY_RELEASED, HAPROXY_VERSION};

/// `show info`; words behind it say in which form.
pub fn show(asked: &Asked<'_>) -> String {
    let has = |word: &str| asked.words_from(2).iter().any(|given| given == word);
    // The last word on the form counts.
    let form = asked.words_from(2).iter().rev().find(|word| *word == "typed" || *word == "json");
    let figures = Figures::of(&(asked.views.snapshot)(), has("float"));
    match form.map(String::as_str) {
        Some("json") => figures.json(),
        form => figures.lines(form.is_some(), has("desc")),
    }
}

/// One figure.
struct Figure {
    /// Its number in HAProxy's list.
    place: u8,
    name: &'static str,
    /// Where it is from, of what kind it is, and what it is about: HAProxy's letters.
    tags: &'static str,
    value: Value,
    meaning: &'static str,
}

enum Value {
    Text(String),
    Small(u64),
    Large(u64),
    Float(f64),
}

struct Figures(Vec<Figure>);

impl Figures {
    /// What there is to say; what has no meaning here is 0.
    fn of(snapshot: &Snapshot, exact: bool) -> Self {
        use Value::{Large, Small, Text};
        let (process, counts) = (&snapshot.process, &snapshot.process.counts);
        let version = || Text(HAPROXY_VERSION.to_owned());
        let seconds = |time: Duration| if exact { Value::Float(time.as_secs_f64()) } else { Small(time.as_secs()) };
        let megabytes = process.resident_memory >> 20;
        let listeners = snapshot.frontends.iter().map(|frontend| frontend.listen.len()).sum::<usize>() as u64;
        let started = process.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (open, rate) = (u64::from(process.sessions), u64::from(counts.rate));
        let most = u64::from(counts.rate_max);
        let mut figures = Self(Vec::with_capacity(80));
        let mut is = |place, name, tags, value, meaning| figures.0.push(Figure { place, name, tags, value, meaning });
        // Those who ask look for this name, and read the version as HAProxy's.
        is(0, "Name", "POS", Text("HAProxy".to_owned()), "Whose language this is");
        is(1, "Version", "POS", version(), "The HAProxy that is spoken, and what runs");
        is(2, "Release_date", "POS", Text(HAPROXY_RELEASED.to_owned()), "Date of that HAProxy");
        is(3, "Nbthread", "CGS", Small(process.workers.into()), "Threads that carry sessions");
        is(4, "Nbproc", "CGS", Small(1), "Always 1");
        is(5, "Process_num", "KGP", Small(1), "Always 1");
        is(6, "Pid", "SGP", Small(process.pid.into()), "This process's number");
        is(7, "Uptime", "MDP", Text(uptime(process.uptime)), "Since the start: days, hours, minutes, seconds");
        is(8, "Uptime_sec", "MDP", seconds(process.uptime), "Since the start in seconds");
        is(9, "Memmax_MB", "CLP", Small(0), "Limit of memory in MB: none");
        is(10, "PoolAlloc_MB", "MGP", Small(megabytes), "Memory of the process in MB");
        is(11, "PoolUsed_MB", "MGP", Small(megabytes), "Memory of the process in MB");
        is(12, "PoolFailed", "MCP", Small(0), "Allocations that failed");
        is(13, "Ulimit-n", "CLP", Small(process.max_descriptors), "Limit of file descriptors");
        is(14, "Maxsock", "CLP", Small(process.max_descriptors), "Limit of sockets");
        is(15, "Maxconn", "CLP", Small(process.max_sessions.into()), "Limit of sessions");
        is(16, "Hard_maxconn", "CLP", Small(process.max_sessions.into()), "Limit of sessions");
        is(17, "CurrConns", "MGP", Small(open), "Sessions that are open");
        is(18, "CumConns", "MCP", Small(counts.sessions_total), "Sessions since the start");
        is(19, "CumReq", "MCP", Small(counts.sessions_total), "Sessions since the start");
        is(20, "MaxSslConns", "MMP", Small(0), "TLS is passed through");
        is(21, "CurrSslConns", "MGP", Small(0), "TLS is passed through");
        is(22, "CumSslConns", "MCP", Small(0), "TLS is passed through");
        is(23, "Maxpipes", "CLP", Small(0), "Pipes are not counted");
        is(24, "PipesUsed", "MGP", Small(0), "Pipes are not counted");
        is(25, "PipesFree", "MGP", Small(0), "Pipes are not counted");
        is(26, "ConnRate", "MRP", Small(rate), "New sessions in the last second");
        is(27, "ConnRateLimit", "CLP", Small(0), "Limit of new sessions in a second: none");
        is(28, "MaxConnRate", "MMP", Small(most), "Most new sessions in a second");
        is(29, "SessRate", "MRP", Small(rate), "New sessions in the last second");
        is(30, "SessRateLimit", "CLP", Small(0), "Limit of new sessions in a second: none");
        is(31, "MaxSessRate", "MRP", Small(most), "Most new sessions in a second");
        is(32, "SslRate", "MRP", Small(0), "TLS is passed through");
        is(33, "SslRateLimit", "CLP", Small(0), "TLS is passed through");
        is(34, "MaxSslRate", "MMP", Small(0), "TLS is passed through");
        is(35, "SslFrontendKeyRate", "MGP", Small(0), "TLS is passed through");
        is(36, "SslFrontendMaxKeyRate", "MMP", Small(0), "TLS is passed through");
        is(37, "SslFrontendSessionReuse_pct", "MGP", Small(0), "TLS is passed through");
        is(38, "SslBackendKeyRate", "MRP", Small(0), "TLS is passed through");
        is(39, "SslBackendMaxKeyRate", "MMP", Small(0), "TLS is passed through");
        is(40, "SslCacheLookups", "MCP", Small(0), "TLS is passed through");
        is(41, "SslCacheMisses", "MCP", Small(0), "TLS is passed through");
        is(42, "CompressBpsIn", "MRP", Small(0), "Nothing is compressed");
        is(43, "CompressBpsOut", "MRP", Small(0), "Nothing is compressed");
        is(44, "CompressBpsRateLim", "CLP", Small(0), "Nothing is compressed");
        is(47, "Tasks", "MGP", Small(open), "Sessions that are open");
        is(48, "Run_queue", "MGP", Small(0), "Not counted");
        is(
            49,
            "Idle_pct",
            "MaP",
            Small(process.idle_percent().into()),
            "Part of the workers' time that was idle since the start",
        );
        is(50, "node", "COS", Text(process.node.clone()), "The host's name");
        let stopping = u64::from(process.phase != ProcessPhase::Serving);
        is(52, "Stopping", "MGP", Small(stopping), "1 while the process stops");
        is(53, "Jobs", "MGP", Small(open + listeners), "Sessions and listeners");
        is(54, "Unstoppable Jobs", "MGP", Small(0), "What a stop does not end");
        is(55, "Listeners", "MGP", Small(listeners), "Listeners of frontends");
        is(56, "ActivePeers", "MGP", Small(0), "There are no peers");
        is(57, "ConnectedPeers", "MGP", Small(0), "There are no peers");
        is(58, "DroppedLogs", "MGP", Small(process.dropped_logs), "Log lines that were dropped");
        is(59, "BusyPolling", "MGP", Small(0), "Whether workers poll without waiting");
        is(60, "FailedResolutions", "MGP", Small(0), "Not counted");
        is(61, "TotalBytesOut", "MGP", Large(counts.bytes_out), "Bytes sent to clients");
        is(62, "TotalSplicedBytesOut", "MGP", Large(0), "Not counted");
        is(63, "BytesOutRate", "MRP", Large(0), "Not counted");
        is(64, "DebugCommandsIssued", "MGP", Small(0), "There are no such commands");
        is(65, "CumRecvLogs", "MCP", Small(0), "No logs are received");
        is(66, "Build info", "POS", version(), "The HAProxy that is spoken, and what runs");
        is(67, "Memmax_bytes", "CLP", Small(0), "Limit of memory: none");
        is(68, "PoolAlloc_bytes", "MGP", Large(process.resident_memory), "Memory of the process");
        is(69, "PoolUsed_bytes", "MGP", Large(process.resident_memory), "Memory of the process");
        is(70, "Start_time_sec", "MDP", seconds(started), "When the process was started");
        is(71, "Tainted", "SGP", Text("0".to_owned()), "Always 0");
        is(72, "TotalWarnings", "MCP", Small(0), "Not counted");
        is(73, "MaxconnReached", "MCP", Small(process.limit_reached), "Times that the limit of sessions was reached");
        is(74, "BootTime_ms", "MDP", Small(0), "Not measured");
        is(75, "Niced_tasks", "MGP", Small(0), "Always 0");
        is(76, "CurrStreams", "MGP", Large(open), "Sessions that are open");
        is(77, "CumStreams", "MGP", Large(counts.sessions_total), "Sessions since the start");
        is(78, "BlockedTrafficWarnings", "MGP", Small(0), "Not counted");
        figures
    }

    /// A line for each, alone or with its number and tags.
    fn lines(&self, typed: bool, described: bool) -> String {
        let line = |figure: &Figure| {
            let Figure { place, name, tags, value, meaning } = figure;
            let (kind, value) = (value.kind(), value.text());
            let line = match typed {
                true => format!("{place}.{name}.1:{tags}:{kind}:{value}"),
                false => format!("{name}: {value}"),
            };
            if described { format!("{line}:\"{meaning}\"\n") } else { line + "\n" }
        };
        self.0.iter().map(line).collect()
    }

    fn json(&self) -> String {
        let items: Vec<Item<'_>> = self.0.iter().map(Item::of).collect();
        serde_json::to_string(&items).expect("structs of strings and numbers have a form") + "\n"
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "str",
            Self::Small(_) => "u32",
            Self::Large(_) => "u64",
            Self::Float(_) => "flt",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Small(number) | Self::Large(number) => number.to_string(),
            Self::Float(number) => format!("{number:.6}"),
        }
    }
}

/// As HAProxy writes it: `2d 3h04m05s`.
fn uptime(time: Duration) -> String {
    let up = time.as_secs();
    format!("{}d {}h{:02}m{:02}s", up / 86_400, up / 3_600 % 24, up / 60 % 60, up % 60)
}

// ---- JSON ----

#[derive(Serialize)]
struct Item<'a> {
    field: Field,
    #[serde(rename = "processNum")]
    process: u8,
    tags: Tags,
    value: Typed<'a>,
}

#[derive(Serialize)]
struct Typed<'a> {
    r#type: &'static str,
    value: Plain<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Plain<'a> {
    Text(&'a str),
    Number(u64),
    Float(f64),
}

impl<'a> Item<'a> {
    fn of(figure: &'a Figure) -> Self {
        let Figure { place, name, tags, value, .. } = figure;
        let plain = match value {
            Value::Text(text) => Plain::Text(text),
            Value::Small(number) | Value::Large(number) => Plain::Number(*number),
            Value::Float(number) => Plain::Float(*number),
        };
        Self {
            field: Field { pos: usize::from(*place), name },
            process: 1,
            tags: Tags::of(tags),
            value: Typed { r#type: value.kind(), value: plain },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture;

    #[test]
    fn figures_have_haproxys_names_and_forms() {
        let figures = Figures::of(&fixture::cluster(), false);
        let plain = figures.lines(false, false);
        assert!(
            plain.starts_with("Name: HAProxy\nVersion: 3.2.0-evenkeel") && plain.contains("\nUptime: 3d 4h04m03s\n"),
            "{plain}"
        );
        let typed = figures.lines(true, true);
        assert!(typed.contains("\n17.CurrConns.1:MGP:u32:"), "{typed}");
        assert!(typed.contains("\n8.Uptime_sec.1:MDP:u32:273843:\"Since the start in seconds\"\n"), "{typed}");
        let exact = Figures::of(&fixture::cluster(), true).lines(true, false);
        assert!(exact.contains("\n8.Uptime_sec.1:MDP:flt:273843.000000\n"), "{exact}");
    }

    #[test]
    fn every_tag_has_a_word_and_numbers_go_up() {
        let figures = Figures::of(&fixture::cluster(), false);
        assert!(figures.0.is_sorted_by_key(|figure| figure.place));
        let items: serde_json::Value = serde_json::from_str(&figures.json()).unwrap();
        for item in items.as_array().unwrap() {
            for (_, word) in item["tags"].as_object().unwrap() {
                assert_ne!(word, "", "{item}");
            }
        }
        assert_eq!(items[6]["value"]["type"], "u32");
    }
}
