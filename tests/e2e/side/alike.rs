//! Makes alike what can't be the same twice: times, ephemeral ports, process ids.

/// Ports from here on are the kernel's choice (`net.ipv4.ip_local_port_range`); files and scripts name lower ones.
const EPHEMERAL: u16 = 32_768;

/// A line of the log: `<150>Nov 25 17:07:40 haproxy[6667]: …`.
pub fn log_line(line: &str) -> String {
    let line = line.trim_end_matches('\n');
    let (priority, rest) = match line.split_once('>') {
        Some((priority, rest)) if priority.starts_with('<') => (format!("{priority}>"), rest),
        _ => (String::new(), line),
    };
    let rest = if is_rfc3164_date(rest) { format!("DATE{}", &rest[RFC3164_DATE..]) } else { rfc5424(rest) };
    request(&text(&format!("{priority}{rest}")))
}

/// A line of a request: `… 0/0/0/0/1 200 5655 - - LR-- 1/1/0/0/0 0/0 "GET /;csv HTTP/1.0"`. Its five times are as other times;
/// and statistics are as long as the figures of the moment.
fn request(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
    let Some(at) = words.windows(2).position(|pair| pair == ["-", "-"]).filter(|at| *at >= 4) else {
        return line.to_owned();
    };
    if let Some(times) = some_times(&words[at - 3], 5) {
        words[at - 3] = times;
        let is_statistics = ["/<STATS>", "/<PROMEX>"].iter().any(|name| words[at - 4].ends_with(name));
        if is_statistics && words[at - 2] == "200" {
            words[at - 1] = "BYTES".to_owned();
        }
    }
    words.join(" ")
}

/// `1 2026-11-25T17:07:40.123456+00:00 host haproxy 6667 …` without its date and its process.
fn rfc5424(text: &str) -> String {
    match text.splitn(6, ' ').collect::<Vec<_>>().as_slice() {
        ["1", date, host, tag, _, rest] if date.contains('T') => format!("1 DATE {host} {tag} PID {rest}"),
        _ => text.to_owned(),
    }
}

/// The facility of a line, which stands for its receiver.
pub fn facility(line: &str) -> Option<u32> {
    let (priority, _) = line.strip_prefix('<')?.split_once('>')?;
    priority.parse::<u32>().ok().map(|priority| priority / 8)
}

const RFC3164_DATE: usize = "Nov 25 17:07:40".len();

fn is_rfc3164_date(text: &str) -> bool {
    let Some(date) = text.get(..RFC3164_DATE) else { return false };
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape[3..] == *" 00 00:00:00" || shape[3..] == *"  0 00:00:00"
}

/// Any text, word by word.
pub fn text(text: &str) -> String {
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    let (body, stop) = split_stop(word);
    let alike = tag(body)
        .or_else(|| date(body))
        .or_else(|| times(body))
        .or_else(|| address(body))
        .or_else(|| milliseconds(body))
        .unwrap_or_else(|| body.to_owned());
    format!("{alike}{stop}")
}

/// A word, and what ends the sentence behind it.
fn split_stop(word: &str) -> (&str, &str) {
    let body = word.trim_end_matches(['.', ',', ';']);
    (body, &word[body.len()..])
}

/// `haproxy[6667]:`
fn tag(word: &str) -> Option<String> {
    let (name, rest) = word.split_once('[')?;
    let id = rest.strip_suffix("]:")?;
    id.parse::<u32>().ok().map(|_| format!("{name}[PID]:"))
}

/// `[25/Nov/2026:17:07:55.179]`
fn date(word: &str) -> Option<String> {
    let inner = word.strip_prefix('[')?.strip_suffix(']')?;
    (inner.matches('/').count() == 2 && inner.matches(':').count() == 3).then(|| "[DATE]".to_owned())
}

/// `1/0/+203`
fn times(word: &str) -> Option<String> {
    some_times(word, 3)
}

/// What came about took some time, and what didn't is -1.
fn some_times(word: &str, count: usize) -> Option<String> {
    let parts: Vec<&str> = word.split('/').collect();
    let numbers = parts.iter().all(|part| part.trim_start_matches('+').parse::<i64>().is_ok());
    let alike = |part: &&str| match *part {
        "-1" => "-1",
        part if part.starts_with('+') => "+T",
        _ => "T",
    };
    (parts.len() == count && numbers).then(|| parts.iter().map(alike).collect::<Vec<_>>().join("/"))
}

/// `127.0.0.1:40330`
fn address(word: &str) -> Option<String> {
    let (host, port) = word.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (port >= EPHEMERAL && !host.is_empty()).then(|| format!("{host}:PORT"))
}

/// `12ms`
fn milliseconds(word: &str) -> Option<String> {
    word.strip_suffix("ms")?.parse::<u64>().ok().map(|_| "Tms".to_owned())
}

/// A PROXY header, whose port the client's kernel has chosen: the fifth word of the first version, and the two bytes
/// before the last two of the second for TCP over IPv4.
pub fn proxy_header(header: &str) -> String {
    let mut words: Vec<&str> = header.split(' ').collect();
    let at = match words.first() {
        Some(&"PROXY") => Some(4..5),
        Some(&"PROXYv2") if words.len() > 16 => Some(13..15),
        _ => None,
    };
    for word in at.into_iter().flatten() {
        if let Some(word) = words.get_mut(word) {
            *word = "PORT";
        }
    }
    words.join(" ")
}

/// Columns of the CSV that hold times, rates, or the process.
const OF_THE_MOMENT: [&str; 24] = [
    "need_conn_est",
    "check_code",
    "lastchg",
    "downtime",
    "pid",
    "rate",
    "rate_max",
    "check_duration",
    "req_rate",
    "req_rate_max",
    "lastsess",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "agent_duration",
    "conn_rate",
    "conn_rate_max",
    "qtime_max",
    "ctime_max",
    "rtime_max",
    "ttime_max",
    "srv_icur",
    "throttle",
];

/// The CSV cell by cell: `pxname/svname column=value`. What is of the moment is told from nothing only.
pub fn csv(text: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("# "));
    let Some(names) = lines.next() else { return vec![format!("no CSV: {}", self::text(text))] };
    let names: Vec<&str> = names.trim_start_matches("# ").split(',').take_while(|name| *name != "-").collect();
    let mut cells = vec![format!("columns {}", names.join(" "))];
    for row in lines.filter(|line| !line.is_empty()) {
        let values = fields(row);
        let of = format!("{}/{}", values.first().map_or("", |x| x), values.get(1).map_or("", |x| x));
        for (name, value) in names.iter().zip(&values).skip(2) {
            // While another check is under way.
            let value = value.strip_prefix("* ").unwrap_or(value);
            // Several threads of HAProxy may wake for one client, and each counts it before one of them has it.
            let is_of_the_moment =
                OF_THE_MOMENT.contains(name) || (*name == "smax" && values.get(1).is_some_and(|row| row == "FRONTEND"));
            let value = if is_of_the_moment && !value.is_empty() { "…" } else { value };
            cells.push(format!("{of} {name}={value}"));
        }
    }
    cells
}

/// A cell of the CSV.
pub fn cell(text: &str, row: &str, column: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("# "));
    let names = lines.next()?.trim_start_matches("# ").split(',');
    let number = names.into_iter().position(|name| name == column)?;
    let (proxy, member) = row.split_once('/')?;
    let values = lines.map(fields).find(|values| values.first().is_some_and(|p| p == proxy) && values[1] == member)?;
    values.get(number).cloned()
}

/// The fields of a row; those in quotation marks may hold commas.
fn fields(row: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in row.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().expect("one at least").push(other),
        }
    }
    fields
}

/// Columns of `show servers state` that are of the moment: since when, and whether a check is under way.
const STATES_OF_THE_MOMENT: [&str; 3] = ["srv_time_since_last_change", "srv_check_result", "srv_check_state"];

/// What `show servers state` says.
pub fn servers_state(text: &str) -> String {
    let mut of_the_moment = Vec::new();
    let line = |line: &str| {
        if let Some(names) = line.strip_prefix("# ") {
            of_the_moment = names.split(' ').map(|name| STATES_OF_THE_MOMENT.contains(&name)).collect();
            return line.to_owned();
        }
        let hidden = |place: usize| of_the_moment.get(place) == Some(&true);
        let words = line.split(' ').enumerate().map(|(place, word)| if hidden(place) { "…" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
