//! Checks: what a backend's servers are asked, and by which schedule.

use std::time::Duration;

use super::writer::{Writer, time, word};
use crate::model::{
    Backend, Check, Expectation, Expected, HttpProbe, Pattern, Probe, ProbeTime, ProxyVersion, Server, Step, TlsProbe,
    Verify,
};

/// How a server is asked, which HAProxy knows for a whole backend.
fn asked(backend: &Backend) -> Option<&Check> {
    backend.servers.iter().find_map(|server| server.check.as_ref())
}

/// `timeout check`, where it isn't the interval.
pub fn timeout(backend: &Backend) -> Option<Duration> {
    let check = asked(backend)?;
    (check.time != ProbeTime::Interval).then_some(check.timeout)
}

/// The backend's options and rules.
pub fn options(backend: &Backend, out: &mut Writer) {
    let Some(check) = asked(backend) else { return };
    for line in lines(&check.probe) {
        out.line(line);
    }
}

/// What HAProxy can't ask of a server.
pub fn beyond(server: &Server, backend: &Backend, out: &mut Writer) {
    let (Some(check), Some(first)) = (&server.check, asked(backend)) else { return };
    if lines(&check.probe) != lines(&first.probe) {
        out.cannot(format!("server {} has a check of type `{}` of its own", server.name, check.probe.kind()));
    }
    // Said once.
    if !std::ptr::eq(check, first) {
        return;
    }
    match &check.probe {
        Probe::KubeApiserver(_) => {
            out.cannot("the check knows what a kube-apiserver's answer means, as `draining` at 500");
        }
        Probe::Konnectivity(_) => out.cannot("the check begins HTTP/2 and ends it; this one ends with the handshake"),
        Probe::Https(probe) if !probe.draining.is_empty() && probe.draining != [404] => {
            out.cannot("statuses that mean `draining`");
        }
        _ => {}
    }
    let shows_credential = matches!(&check.probe, Probe::KubeApiserver(probe) if probe.credential.is_some());
    if shows_credential {
        out.cannot("the check shows a credential; HAProxy takes a certificate with its key in one file (`crt`)");
    }
}

fn lines(probe: &Probe) -> Vec<String> {
    match probe {
        Probe::Tcp | Probe::Tls(_) | Probe::Konnectivity(_) => Vec::new(),
        Probe::Https(probe) => {
            let mut lines = get(&probe.path, &statuses(&probe.accept));
            lines.extend((probe.draining == [404]).then(|| "http-check disable-on-404".to_owned()));
            lines
        }
        Probe::KubeApiserver(_) => get("/readyz", "200,401,403"),
        Probe::K0sJoin(_) => get("/", "200-499"),
        Probe::Http(probe) => http(probe),
        Probe::Script { steps, .. } => script(steps),
    }
}

fn get(path: &str, statuses: &str) -> Vec<String> {
    vec![format!("option httpchk GET {}", word(path)), format!("http-check expect status {statuses}")]
}

fn statuses(statuses: &[u16]) -> String {
    statuses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn http(probe: &HttpProbe) -> Vec<String> {
    let (method, target) = (word(&probe.method), word(&probe.target));
    let mut lines = vec![format!("option httpchk {method} {target} {}", probe.version.word())];
    if !probe.headers.is_empty() || !probe.body.is_empty() {
        let headers = probe.headers.iter().map(|(name, value)| format!(" hdr {} {}", word(name), word(value)));
        let body = if probe.body.is_empty() { String::new() } else { format!(" body {}", word(&probe.body)) };
        lines.push(format!("http-check send{}{body}", headers.collect::<String>()));
    }
    lines.extend(probe.expect.iter().map(|Expectation { negated, of }| {
        let (kind, value) = match of {
            Expected::Status(ranges) => {
                let ranges = ranges.iter().map(|range| match range.start() == range.end() {
                    true => range.start().to_string(),
                    false => format!("{}-{}", range.start(), range.end()),
                });
                ("status", ranges.collect::<Vec<_>>().join(","))
            }
            Expected::StatusPattern(pattern) => ("rstatus", text(pattern)),
            Expected::Body(pattern @ Pattern::Text(_)) => ("string", text(pattern)),
            Expected::Body(pattern @ Pattern::Regex(_)) => ("rstring", text(pattern)),
        };
        format!("http-check expect {}{kind} {}", if *negated { "! " } else { "" }, word(&value))
    }));
    lines.extend(probe.drains_on_404.then(|| "http-check disable-on-404".to_owned()));
    lines
}

fn script(steps: &[Step]) -> Vec<String> {
    let step = |step: &Step| match step {
        Step::Connect { port, tls } => {
            let port = port.map_or_else(String::new, |port| format!(" port {port}"));
            format!("tcp-check connect{port}{}", if *tls { " ssl" } else { "" })
        }
        Step::Send(bytes) => match printable(bytes) {
            Some(text) => format!("tcp-check send {}", word(text)),
            None => format!("tcp-check send-binary {}", hexadecimal(bytes)),
        },
        Step::Expect { negated, pattern, .. } => {
            let (kind, value) = match pattern {
                Pattern::Regex(regex) => ("rstring", word(regex.as_str())),
                Pattern::Text(bytes) => match printable(bytes) {
                    Some(text) => ("string", word(text)),
                    None => ("binary", hexadecimal(bytes)),
                },
            };
            format!("tcp-check expect {}{kind} {value}", if *negated { "! " } else { "" })
        }
        Step::Comment(text) => format!("tcp-check comment {}", word(text)),
    };
    std::iter::once("option tcp-check".to_owned()).chain(steps.iter().map(step)).collect()
}

fn text(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Pattern::Regex(regex) => regex.as_str().to_owned(),
    }
}

/// A text that stands on one line.
fn printable(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a server's line says of its check.
pub fn words(server: &Server) -> Vec<String> {
    let Some(check) = &server.check else { return Vec::new() };
    let mut words = vec!["check".to_owned()];
    let (tls, alpn) = match &check.probe {
        Probe::Tcp => (None, None),
        Probe::Tls(tls) => (Some(tls), None),
        Probe::Https(probe) => (Some(&probe.tls), None),
        Probe::KubeApiserver(probe) => (Some(&probe.tls), None),
        Probe::Konnectivity(tls) => (Some(tls), Some("h2")),
        Probe::K0sJoin(tls) => (Some(tls), None),
        Probe::Http(probe) => (probe.tls.as_ref(), None),
        Probe::Script { tls, .. } => (tls.as_ref(), None),
    };
    if let Some(tls) = tls {
        let by_steps = matches!(&check.probe, Probe::Script { steps, .. } if steps.iter().any(|step| matches!(step, Step::Connect { .. })));
        words.extend((!by_steps).then(|| "check-ssl".to_owned()));
        words.extend(handshake(tls, alpn));
    }
    words.extend(check.address.map(|address| format!("addr {address}")));
    words.extend(check.port.map(|port| format!("port {port}")));
    words.extend(check.send_proxy.map(|version| match (version, server.send_proxy) {
        (ProxyVersion::V2, None) => "check-send-proxy send-proxy-v2".to_owned(),
        _ => "check-send-proxy".to_owned(),
    }));
    words.extend(schedule(check));
    words
}

fn handshake(tls: &TlsProbe, alpn: Option<&str>) -> Vec<String> {
    let mut words = match &tls.verify {
        Verify::None => vec!["verify none".to_owned()],
        Verify::Ca { file, .. } => vec![format!("verify required ca-file {}", word(&file.display().to_string()))],
    };
    words.extend(tls.server_name.as_deref().map(|name| format!("check-sni {}", word(name))));
    let offered = tls.alpn.join(",");
    match (offered.as_str(), alpn) {
        ("", None) => {}
        ("", Some(alpn)) => words.push(format!("check-alpn {alpn}")),
        (offered, _) => words.push(format!("check-alpn {}", word(offered))),
    }
    words
}

fn schedule(check: &Check) -> Vec<String> {
    let mut words = vec![format!("inter {}", time(check.interval))];
    for (word, interval) in [("fastinter", check.fast_interval), ("downinter", check.down_interval)] {
        if interval != check.interval {
            words.push(format!("{word} {}", time(interval)));
        }
    }
    words.push(format!("rise {} fall {}", check.rise, check.fall));
    words
}
