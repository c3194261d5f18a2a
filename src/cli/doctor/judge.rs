//! What the host's limits mean for a configuration. Pure: the same case gives the same findings.

use super::{Case, Finding};
use crate::admin::figures::count;
use crate::app::{affordable_sessions, worker_count};
use crate::cli::several;
use crate::model::{Backend, Config, Frontend, HostAddress, ListenAddress};
use crate::net::pipe::Pipes;

/// A limit that refuses a session before there are so many hundredths of those that the configuration allows is a
/// failure; between that and all of them, a warning. The same share of a limit that is in use is a warning, too.
const SHARE: u64 = 80;

/// All but the ports.
pub(super) fn all(case: &Case) -> Vec<Finding> {
    let mut findings = vec![
        configuration(case),
        process(case),
        admin_socket(case),
        open_files(case),
        accept_queue(case),
        conntrack(case),
    ];
    findings.extend(case.config.backends.iter().map(|backend| dial_ports(case, backend)));
    findings.extend([ipv6(case), pipes(case), congestion_control(case), clock(case)]);
    findings
}

fn configuration(case: &Case) -> Finding {
    let Config { frontends, backends, .. } = &case.config;
    let says = format!("{}, {}", several(frontends.len(), "frontend"), several(backends.len(), "backend"));
    match case.warnings {
        0 => Finding::ok("configuration", says),
        warnings => {
            let advice = "`evenkeel check` prints them";
            Finding::warn("configuration", format!("{says}, {}", several(warnings, "warning")), advice)
        }
    }
}

/// The running one, and how near to its limit it is.
fn process(case: &Case) -> Finding {
    let Ok(status) = &case.running else { return Finding::ok("process", "none runs, or none that can be asked") };
    let process = &status.process;
    let (sessions, limit) = (u64::from(process.counts.sessions), u64::from(process.sessions_limit));
    let says = format!(
        "evenkeel {}, pid {}, {} of {} sessions ({} %)",
        process.version,
        process.pid,
        count(sessions),
        count(limit),
        sessions * 100 / limit.max(1)
    );
    match sessions * 100 >= limit * SHARE {
        true => Finding::warn("process", says, "raise [limits] max_sessions before clients have to wait"),
        false => Finding::ok("process", says),
    }
}

fn admin_socket(case: &Case) -> Finding {
    const WHAT: &str = "admin socket";
    match (&case.config.admin, &case.running) {
        (Some(admin), Ok(_)) => Finding::ok(WHAT, format!("{} answers", admin.socket.display())),
        (None, _) => Finding::warn(
            WHAT,
            "off: status, drain, reload and the like have nobody to ask",
            "[admin] socket = \"/run/evenkeel/admin.sock\"",
        ),
        (Some(admin), Err(_)) => match admin.socket.parent().filter(|parent| !parent.is_dir()) {
            None => Finding::ok(WHAT, format!("{}, nobody answers there yet", admin.socket.display())),
            Some(parent) => Finding::warn(
                WHAT,
                format!("there is no directory {}", parent.display()),
                "the systemd unit makes it (RuntimeDirectory=evenkeel); without the unit, make it",
            ),
        },
    }
}

fn open_files(case: &Case) -> Finding {
    let (descriptors, whose) = match &case.running {
        Ok(status) => (status.process.max_descriptors, "of the running process"),
        Err(_) => (case.host.descriptors, "of this shell"),
    };
    let threads = worker_count(&case.config.process);
    let holds = affordable_sessions(u32::MAX, descriptors, threads).into();
    let says = format!("{} {whose} hold", count(descriptors));
    capacity("open files", &says, holds, wanted(case), "LimitNOFILE= of the unit, or `ulimit -n`: two for each session")
}

/// Sessions that the whole configuration allows.
fn wanted(case: &Case) -> u64 {
    let Config { limits, frontends, .. } = &case.config;
    let most = limits.max_sessions;
    let all: u64 = frontends.iter().map(|frontend| u64::from(frontend.max_sessions.unwrap_or(most))).sum();
    all.min(most.into())
}

/// Whether something that holds so many sessions holds those that are wanted.
fn capacity(what: &'static str, says: &str, holds: u64, wanted: u64, advice: &str) -> Finding {
    if holds >= wanted {
        return Finding::ok(what, format!("{says} {} sessions, {} are allowed", count(holds), count(wanted)));
    }
    let share = holds.saturating_mul(100) / wanted.max(1);
    let says = format!("{says} {} sessions, {share} % of the {} that are allowed", count(holds), count(wanted));
    match share < SHARE {
        true => Finding::fail(what, says, advice),
        false => Finding::warn(what, says, advice),
    }
}

fn accept_queue(case: &Case) -> Finding {
    const WHAT: &str = "accept queue";
    let Some(somaxconn) = case.host.somaxconn else { return Finding::ok(WHAT, "net.core.somaxconn can't be read") };
    let backlog = case.config.frontends.iter().map(|frontend| u64::from(frontend.backlog)).max().unwrap_or(0);
    if somaxconn >= backlog {
        return Finding::ok(WHAT, format!("{} clients may wait to be accepted (backlog)", count(backlog)));
    }
    Finding::warn(
        WHAT,
        format!("net.core.somaxconn cuts the backlog of {} down to {}", count(backlog), count(somaxconn)),
        format!("sysctl -w net.core.somaxconn={backlog}: in a burst, more clients are made to try again"),
    )
}

fn conntrack(case: &Case) -> Finding {
    /// A session is two connections.
    const EACH: u64 = 2;
    let Some((used, most)) = case.host.conntrack else {
        return Finding::ok("conntrack", "no connection is tracked here");
    };
    // What a running process has is among those in use.
    let ours = case.running.as_ref().map_or(0, |status| EACH * u64::from(status.process.counts.sessions));
    let holds = most.saturating_sub(used.saturating_sub(ours)) / EACH;
    let says = format!("{} of {} entries are used; the others hold", count(used), count(most));
    let advice = "sysctl -w net.netfilter.nf_conntrack_max=…, or `notrack` rules for evenkeel's ports";
    capacity("conntrack", &says, holds, wanted(case), advice)
}

/// Each session of a server takes a port of ours towards it; with the other servers down, one has all sessions.
fn dial_ports(case: &Case, backend: &Backend) -> Finding {
    const WHAT: &str = "ports to dial from";
    let Some((first, last)) = case.host.ephemeral_ports else {
        return Finding::ok(WHAT, "net.ipv4.ip_local_port_range can't be read");
    };
    let holds = (last + 1).saturating_sub(first);
    let says = format!("{first} to {last}: a server of {} can have", backend.name);
    let advice = "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\", or fewer sessions for each server";
    capacity(WHAT, &says, holds, wanted_of_a_server(&case.config, backend), advice)
}

fn wanted_of_a_server(config: &Config, backend: &Backend) -> u64 {
    let most = config.limits.max_sessions;
    let routed = |frontend: &Frontend| frontend.routes.iter().any(|route| route.backend == backend.name);
    let leading = config.frontends.iter().filter(|frontend| frontend.backend == backend.name || routed(frontend));
    let coming: u64 = leading.map(|frontend| u64::from(frontend.max_sessions.unwrap_or(most))).sum();
    let taking = backend.servers.iter().map(|server| server.max_sessions.unwrap_or(most)).max().unwrap_or(0);
    coming.min(taking.into()).min(most.into())
}

fn ipv6(case: &Case) -> Finding {
    const WHAT: &str = "IPv6";
    if case.host.has_ipv6 {
        return Finding::ok(WHAT, "on");
    }
    let Config { frontends, stats, backends, .. } = &case.config;
    let pages = || stats.iter().flat_map(|stats| stats.listen.iter().copied());
    let listen = || frontends.iter().flat_map(Frontend::addresses).chain(pages());
    let named = listen().find(|address| matches!(address, ListenAddress::Tcp(address) if address.is_ipv6()));
    if let Some(address) = named {
        let advice = "switch IPv6 on (net.ipv6.conf.all.disable_ipv6), or take the address out";
        return Finding::fail(WHAT, format!("off on this host, and {address} is to be listened on"), advice);
    }
    let servers = || backends.iter().flat_map(|backend| &backend.servers);
    if let Some(server) = servers().find(|server| matches!(server.address.host, HostAddress::Ip(ip) if ip.is_ipv6())) {
        let advice = "switch IPv6 on, or give the server's IPv4 address";
        return Finding::fail(WHAT, format!("off on this host, and {} is a server's address", server.address), advice);
    }
    match listen().find(|address| matches!(address, ListenAddress::DualStack { .. })) {
        Some(address) => Finding::warn(
            WHAT,
            format!("off on this host: {address} is listened on over IPv4 alone"),
            "nothing, unless clients come over IPv6",
        ),
        None => Finding::ok(WHAT, "off, and not needed"),
    }
}

/// Pipes move bulk inside the kernel; without them it is copied, which costs processor time and no session.
fn pipes(case: &Case) -> Finding {
    const WHAT: &str = "pipes";
    let Some(most) = case.host.pipe_pages.filter(|most| *most > 0) else {
        return Finding::ok(WHAT, "no limit of a user's pages in pipes");
    };
    let pages = (Pipes::MAX * Pipes::CAPACITY * worker_count(&case.config.process)) as u64 / case.host.page_size;
    if pages <= most {
        return Finding::ok(WHAT, format!("{} pages at most, {} are allowed", count(pages), count(most)));
    }
    Finding::warn(
        WHAT,
        format!("{} pages at most, {} are allowed (fs.pipe-user-pages-soft)", count(pages), count(most)),
        format!("sysctl -w fs.pipe-user-pages-soft={pages}: without, some of the bulk is copied, which costs more"),
    )
}

fn congestion_control(case: &Case) -> Finding {
    Finding::ok("congestion control", case.host.congestion_control.as_deref().unwrap_or("can't be read"))
}

fn clock(case: &Case) -> Finding {
    const WHAT: &str = "clock";
    match case.host.clock_is_synchronised {
        Some(true) => Finding::ok(WHAT, "synchronised"),
        None => Finding::ok(WHAT, "the kernel doesn't say whether it is synchronised"),
        Some(false) => Finding::warn(
            WHAT,
            "nothing keeps it right, as far as the kernel knows",
            "run chrony or systemd-timesyncd: certificates are judged by it, and logs are joined by it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grade, Host};
    use super::*;
    use crate::config;

    /// Two backends, of which one server may have 3,000 sessions, on a host that has enough of everything.
    fn case() -> Case {
        let text = "[limits]\nmax_sessions = 4000\n[process]\nworkers = 2\n[admin]\nsocket = \"/tmp/admin.sock\"\n\
                    [[frontend]]\nname = \"f\"\nlisten = \":6443\"\nbackend = \"b\"\nmax_sessions = 3000\n\
                    [[frontend]]\nname = \"g\"\nlisten = \":8132\"\nbackend = \"c\"\n\
                    [[backend]]\nname = \"b\"\nservers = [\"10.0.0.1:6443\"]\n\
                    [[backend]]\nname = \"c\"\nservers = [\"10.0.0.1:8132\"]\n";
        let host = Host {
            descriptors: 1 << 20,
            somaxconn: Some(4096),
            conntrack: Some((0, 262_144)),
            ephemeral_ports: Some((32_768, 60_999)),
            has_ipv6: true,
            unprivileged_ports: Some(1024),
            pipe_pages: Some(16_384),
            page_size: 4096,
            congestion_control: Some("cubic".into()),
            clock_is_synchronised: Some(true),
        };
        let config = config::parse(text, "evenkeel.toml").unwrap();
        Case { config, warnings: 0, host, running: Err("none".into()) }
    }

    fn grades(change: impl FnOnce(&mut Case)) -> Vec<(Grade, &'static str)> {
        let mut case = case();
        change(&mut case);
        let findings = all(&case);
        assert!(
            findings.iter().all(|finding| (finding.grade == Grade::Ok) == finding.advice.is_none()),
            "{findings:#?}"
        );
        findings
            .into_iter()
            .filter(|finding| finding.grade != Grade::Ok)
            .map(|found| (found.grade, found.what))
            .collect()
    }

    // Each line seen to fail with its limit not looked at.
    #[test]
    fn a_limit_that_refuses_before_80_percent_fails_and_one_before_all_warns() {
        assert_eq!(grades(|_| ()), []);
        // 384 descriptors and 128 of pipes are kept, and a session takes two.
        assert_eq!(grades(|case| case.host.descriptors = 512 + 2 * 4000), []);
        assert_eq!(grades(|case| case.host.descriptors = 512 + 2 * 3999), [(Grade::Warn, "open files")]);
        assert_eq!(grades(|case| case.host.descriptors = 512 + 2 * 3200), [(Grade::Warn, "open files")]);
        assert_eq!(grades(|case| case.host.descriptors = 512 + 2 * 3199), [(Grade::Fail, "open files")]);
        assert_eq!(grades(|case| case.host.conntrack = Some((100, 8_100))), []);
        assert_eq!(grades(|case| case.host.conntrack = Some((1_000, 8_000))), [(Grade::Warn, "conntrack")]);
        assert_eq!(grades(|case| case.host.conntrack = Some((2_000, 8_000))), [(Grade::Fail, "conntrack")]);
        assert_eq!(grades(|case| case.host.conntrack = None), []);
        // The server behind `f` has 3,000 sessions at most, that behind `g` 4,000.
        let range = |ports: u64| move |case: &mut Case| case.host.ephemeral_ports = Some((10_001, 10_000 + ports));
        assert_eq!(grades(range(4_000)), []);
        assert_eq!(grades(range(3_500)), [(Grade::Warn, "ports to dial from")]);
        assert_eq!(grades(range(2_900)), [(Grade::Warn, "ports to dial from"), (Grade::Fail, "ports to dial from")]);
    }

    #[test]
    fn what_only_costs_something_warns() {
        assert_eq!(grades(|case| case.host.somaxconn = Some(128)), [(Grade::Warn, "accept queue")]);
        assert_eq!(grades(|case| case.host.pipe_pages = Some(4_095)), [(Grade::Warn, "pipes")]);
        assert_eq!(grades(|case| case.host.pipe_pages = Some(0)), []);
        assert_eq!(grades(|case| case.host.clock_is_synchronised = Some(false)), [(Grade::Warn, "clock")]);
        assert_eq!(grades(|case| case.host.has_ipv6 = false), [(Grade::Warn, "IPv6")]);
        assert_eq!(grades(|case| case.warnings = 2), [(Grade::Warn, "configuration")]);
        assert_eq!(grades(|case| case.config.admin = None), [(Grade::Warn, "admin socket")]);
    }

    #[test]
    fn an_address_that_no_host_without_ipv6_has_fails() {
        let listen = |case: &mut Case| {
            case.host.has_ipv6 = false;
            case.config.frontends[0].listen = vec![ListenAddress::Tcp("[fd00::1]:6443".parse().unwrap()).into()];
        };
        assert_eq!(grades(listen), [(Grade::Fail, "IPv6")]);
        let server = |case: &mut Case| {
            case.host.has_ipv6 = false;
            case.config.backends[0].servers[0].address.host = HostAddress::Ip("fd00::2".parse().unwrap());
        };
        assert_eq!(grades(server), [(Grade::Fail, "IPv6")]);
    }
}
