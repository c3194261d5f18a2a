//! What a file leaves open, and what fills it: presets, `[defaults]`, built-in values.

use std::time::Duration;

use evenkeel::config;
use evenkeel::model::condition::{NamePattern, Test};
use evenkeel::model::{
    AcceptProxy, ApiserverProbe, Backend, Balance, Check, Condition, Config, Credential, DatagramAddress, Facility,
    Frontend, FrontendLog, HostAddress, Listen, ListenAddress, LogFormat, LogLevel, LogLines, LogPlace, LogTarget,
    Network, OnLimit, OnNoServer, Policy, Probe, RuleStage, RuleVerdict, Server, SessionLine, Severities, Severity,
    SourceLimits, Syslog, SyslogProtocol, TlsProbe, Verify,
};
use proptest::prelude::*;

/// A frontend's name, its port, and the type of its backend's check.
type Service = (&'static str, u16, &'static str);

const API: Service = ("kubeAPI", 6443, "kube-apiserver");

const PRESETS: [(&str, &[Service]); 4] = [
    ("k0s", &[API, ("konnectivity", 8132, "konnectivity"), ("controllerJoinAPI", 9443, "k0s-join")]),
    ("kubeadm", &[API]),
    ("rke2", &[API, ("supervisor", 9345, "tls")]),
    ("k3s", &[API]),
];

fn parse(text: &str) -> Config {
    config::parse(text, "evenkeel.toml").unwrap_or_else(|report| panic!("{}\nin\n{text}", report.render(false)))
}

fn kinds(text: &str) -> Vec<&'static str> {
    let report = config::parse(text, "evenkeel.toml").expect_err("it has mistakes");
    report.entries().iter().map(|entry| entry.kind).collect()
}

/// The preset k0s with two controllers, and more.
fn k0s(more: &str) -> Config {
    parse(&format!("preset = 'k0s'\ncontrollers = ['10.10.0.2', '10.10.1.2']\n{more}"))
}

/// One frontend and one backend of one server, and more.
fn plain(top: &str, frontend: &str, backend: &str, server: &str) -> Config {
    parse(&plain_text(top, frontend, backend, server))
}

fn plain_text(top: &str, frontend: &str, backend: &str, server: &str) -> String {
    format!(
        "{top}\n[[frontend]]\nname = 'f'\nlisten = '127.0.0.1:7000'\nbackend = 'b'\n{frontend}\n\
         [[backend]]\nname = 'b'\n{backend}\n[[backend.servers]]\naddress = '10.10.0.2:6443'\n{server}\n"
    )
}

fn frontend<'a>(config: &'a Config, name: &str) -> &'a Frontend {
    config.frontends.iter().find(|frontend| frontend.name.as_str() == name).unwrap()
}

fn backend<'a>(config: &'a Config, name: &str) -> &'a Backend {
    config.backends.iter().find(|backend| backend.name.as_str() == name).unwrap()
}

fn first_server(config: &Config) -> &Server {
    &config.backends[0].servers[0]
}

fn first_check(config: &Config) -> &Check {
    first_server(config).check.as_ref().unwrap()
}

fn tls_of(probe: &Probe) -> &TlsProbe {
    match probe {
        Probe::Tcp | Probe::Http(_) | Probe::Script { .. } => panic!("it need not speak TLS"),
        Probe::Tls(tls) | Probe::Konnectivity(tls) | Probe::K0sJoin(tls) => tls,
        Probe::Https(https) => &https.tls,
        Probe::KubeApiserver(apiserver) => &apiserver.tls,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// ---- presets ----

#[test]
fn a_preset_is_what_its_distribution_listens_on() {
    for (preset, services) in PRESETS {
        let config = parse(&format!("preset = '{preset}'\ncontrollers = ['10.10.0.2', 'c-2.example']"));
        assert_eq!(config.frontends.len(), services.len());
        for (index, (name, port, kind)) in services.iter().enumerate() {
            let (frontend, backend) = (&config.frontends[index], &config.backends[index]);
            assert_eq!(frontend.name.as_str(), *name);
            assert_eq!(frontend.listen, [ListenAddress::DualStack { port: *port }.into()]);
            assert_eq!(frontend.backend, backend.name);
            assert_eq!(backend.name.as_str(), format!("{name}_backend"));
            let balance = if *port == 8132 { Balance::Spread } else { Balance::LeastConn };
            assert_eq!((backend.balance, backend.required), (balance, *port == 6443));
            let addresses: Vec<String> = backend.servers.iter().map(|server| server.address.to_string()).collect();
            assert_eq!(addresses, [format!("10.10.0.2:{port}"), format!("c-2.example:{port}")]);
            let probe = &backend.servers[0].check.as_ref().unwrap().probe;
            assert_eq!((probe.kind(), &tls_of(probe).verify), (*kind, &Verify::None));
        }
        let hosts: Vec<String> = config.hosts.iter().map(|host| host.address.to_string()).collect();
        assert_eq!(hosts, ["10.10.0.2", "c-2.example"]);
        assert_eq!(config.hosts[0].servers.len(), services.len());
    }
}

#[test]
fn controllers_in_a_table_are_called_by_its_keys_in_the_order_of_the_file() {
    let config = parse("preset = 'k3s'\n[controllers]\nzurich = '10.10.0.2'\nbern = '[fd00::2]'\nadmont = 'fd00::3'");
    let servers = &config.backends[0].servers;
    let servers: Vec<(&str, String)> = servers.iter().map(|it| (it.name.as_str(), it.address.to_string())).collect();
    let expected = [("zurich", "10.10.0.2:6443"), ("bern", "[fd00::2]:6443"), ("admont", "[fd00::3]:6443")];
    assert_eq!(servers, expected.map(|(name, address)| (name, address.to_owned())));
}

#[test]
fn a_part_of_the_presets_name_overrides_the_keys_it_states_and_no_other() {
    let config = k0s(
        "[[backend]]\nname = 'konnectivity_backend'\nbalance = 'source'\n[[frontend]]\nname = 'kubeAPI'\nlisten = '10.0.0.1:6443'",
    );
    let api = frontend(&config, "kubeAPI");
    assert_eq!(api.listen, [ListenAddress::Tcp("10.0.0.1:6443".parse().unwrap()).into()]);
    assert_eq!(api.backend.as_str(), "kubeAPI_backend");
    let konnectivity = backend(&config, "konnectivity_backend");
    assert_eq!((konnectivity.balance, konnectivity.servers.len()), (Balance::Source, 2));
    assert_eq!(backend(&config, "kubeAPI_backend").balance, Balance::LeastConn);
    let ids: Vec<u32> =
        config.frontends.iter().map(|it| it.id.0).chain(config.backends.iter().map(|it| it.id.0)).collect();
    assert_eq!(ids, [2, 3, 4, 5, 6, 7], "an override keeps the preset's place");
}

#[test]
fn another_name_is_added_behind_the_presets() {
    let config = k0s(
        "[[backend]]\nname = 'extra'\nservers = ['10.10.9.9:22']\n[[frontend]]\nname = 'ssh'\nlisten = ':2222'\nbackend = 'extra'",
    );
    assert_eq!((backend(&config, "extra").id.0, frontend(&config, "ssh").id.0), (8, 9), "in file order");
    assert_eq!(config.stats[0].id.0, 10);
    assert_eq!(config.hosts.last().unwrap().address, HostAddress::Ip("10.10.9.9".parse().unwrap()));
}

#[test]
fn konnectivity_may_be_on_other_machines_and_another_port() {
    let config = k0s("[[frontend]]\nname = 'konnectivity'\nlisten = ':8232'\n\
         [[backend]]\nname = 'konnectivity_backend'\nservers = ['10.20.0.2:8132', '10.20.1.2:8132', '10.20.2.2:8132']");
    assert_eq!(frontend(&config, "konnectivity").listen, [ListenAddress::DualStack { port: 8232 }.into()]);
    let konnectivity = backend(&config, "konnectivity_backend");
    let addresses: Vec<String> = konnectivity.servers.iter().map(|server| server.address.to_string()).collect();
    assert_eq!(addresses, ["10.20.0.2:8132", "10.20.1.2:8132", "10.20.2.2:8132"]);
    assert!(konnectivity.servers.iter().all(|it| it.check.as_ref().unwrap().probe.kind() == "konnectivity"));
    assert_eq!(backend(&config, "kubeAPI_backend").servers[0].address.to_string(), "10.10.0.2:6443");
    assert_eq!(config.hosts.len(), 2 + 3);
}

#[test]
fn a_second_part_of_the_presets_name_is_one_too_many() {
    let text = "preset = 'k3s'\ncontrollers = ['10.0.0.1']\n[[frontend]]\nname = 'kubeAPI'\n[[frontend]]\nname = 'kubeAPI'\nlisten = ':1'\nbackend = 'kubeAPI_backend'";
    assert_eq!(kinds(text), ["duplicate-name"]);
}

// ---- what is built in ----

#[test]
fn what_a_file_leaves_open_is_as_documented() {
    let config = plain("", "", "", "");
    let (frontend, backend) = (&config.frontends[0], &config.backends[0]);
    assert_eq!(config.policy, Policy::evenkeel());
    assert_eq!((config.limits.max_sessions, config.limits.on_limit), (16_384, OnLimit::Queue));
    assert_eq!((frontend.max_sessions, frontend.freebind, frontend.client_timeout), (None, false, None));
    assert_eq!(frontend.keepalive, Policy::evenkeel().client_keepalive);
    assert_eq!(
        (backend.balance, backend.on_no_server, backend.required),
        (Balance::LeastConn, OnNoServer::TryAll, false)
    );
    assert_eq!(backend.keepalive, Policy::evenkeel().server_keepalive);
    let timeouts = &backend.timeouts;
    assert_eq!((timeouts.connect, timeouts.dial, timeouts.queue), (seconds(10), seconds(2), seconds(10)));
    assert_eq!((timeouts.server, timeouts.tunnel, timeouts.half_close), (None, None, Some(seconds(30))));
    let server = first_server(&config);
    assert_eq!((server.name.as_str(), server.weight.value(), server.id.0), ("10.10.0.2", 1, 1));
    assert_eq!((server.backup, server.disabled, server.max_sessions), (false, false, None));
    let check = first_check(&config);
    assert_eq!((&check.probe, check.port, check.rise, check.fall), (&Probe::Tcp, None, 2, 3));
    assert_eq!((check.interval, check.down_interval), (seconds(2), seconds(2)));
    assert_eq!((check.fast_interval, check.timeout), (Duration::from_millis(500), Duration::from_millis(1500)));
    assert_eq!(config.stats[0].listen, [ListenAddress::Tcp("127.0.0.1:9000".parse().unwrap())]);
    assert_eq!((config.admin, config.process.workers), (None, None));
    assert_eq!((config.process.preempt, config.process.shutdown_grace), (Duration::ZERO, seconds(5)));
}

#[test]
fn off_takes_away_what_would_be_there() {
    let config = plain(
        "[stats]\nlisten = 'off'\n[timeouts]\nhalf_close = 'off'\n[defaults]\nmax_sessions = 5\n",
        "max_sessions = 'off'\nclient_keepalive = 'off'",
        "server_keepalive = 'off'\ncheck = 'off'",
        "",
    );
    assert_eq!(config.stats, []);
    assert_eq!((config.frontends[0].max_sessions, config.frontends[0].keepalive), (None, None));
    assert_eq!((config.backends[0].keepalive, config.backends[0].timeouts.half_close), (None, None));
    assert_eq!(config.policy.half_close, None);
    assert_eq!(first_server(&config).check, None);
}

#[test]
fn what_is_stated_for_all_is_the_policys_too() {
    let config = plain(
        "[defaults]\nclient_keepalive = { idle = '60s' }\nserver_keepalive = 'off'\non_no_server = 'reset'",
        "",
        "",
        "",
    );
    let client = config.policy.client_keepalive.unwrap();
    assert_eq!((client.idle, client.interval, client.count), (seconds(60), seconds(10), 3));
    assert_eq!((config.policy.server_keepalive, config.policy.on_no_server), (None, OnNoServer::Reset));
}

#[test]
fn the_api_servers_backend_is_required_unless_the_file_says_which_are() {
    let two = |first: &str, second: &str| {
        let config = parse(&format!(
            "[[frontend]]\nname = 'a'\nlisten = ':6443'\nbackend = 'one'\n[[frontend]]\nname = 'b'\nlisten = ':7000'\nbackend = 'two'\n\
             [[backend]]\nname = 'one'\nservers = ['10.0.0.1:1']\n{first}\n[[backend]]\nname = 'two'\nservers = ['10.0.0.1:2']\n{second}"
        ));
        (backend(&config, "one").required, backend(&config, "two").required)
    };
    assert_eq!(two("", ""), (true, false));
    assert_eq!(two("", "required = true"), (false, true));
    assert_eq!(two("required = false", ""), (false, false));
}

#[test]
fn an_ipv6_servers_name_has_no_brackets_and_a_host_is_one_however_it_is_written() {
    let config = plain(
        "",
        "",
        "",
        "\n[[backend.servers]]\naddress = '[FD00::0:2]:6443'\n[[backend.servers]]\naddress = '[fd00::2]:6444'\n[[backend.servers]]\naddress = 'C-1.example:1'\n[[backend.servers]]\naddress = 'c-1.Example:2'",
    );
    let names: Vec<&str> = config.backends[0].servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["10.10.0.2", "FD00::0:2", "fd00::2", "C-1.example", "c-1.Example"]);
    let hosts: Vec<String> = config.hosts.iter().map(|host| host.address.to_string()).collect();
    assert_eq!(hosts, ["10.10.0.2", "fd00::2", "c-1.example"]);
}

// ---- checks ----

#[test]
fn a_check_that_states_some_fields_leaves_the_others_as_they_were() {
    let config = plain(
        "[defaults]\ncheck = { type = 'tls', verify = 'none', interval = '5s', rise = 7 }",
        "",
        "check = { fall = 9, server_name = 'kubernetes' }",
        "check = { port = 6444, interval = '10s' }",
    );
    let check = first_check(&config);
    assert_eq!(
        (check.interval, check.down_interval, check.timeout),
        (seconds(10), seconds(10), Duration::from_millis(1500))
    );
    assert_eq!((check.rise, check.fall, check.port), (7, 9, Some(6444)));
    let Probe::Tls(tls) = &check.probe else { panic!("{check:?}") };
    assert_eq!((&tls.verify, tls.server_name.as_deref()), (&Verify::None, Some("kubernetes")));
}

#[test]
fn a_check_of_another_type_keeps_the_schedule_and_what_it_can_use() {
    let defaults = "[defaults]\ncheck = { type = 'https', verify = 'none', path = '/livez', interval = '5s' }";
    let tcp = plain(defaults, "", "check = { type = 'tcp' }", "");
    assert_eq!((&first_check(&tcp).probe, first_check(&tcp).interval), (&Probe::Tcp, seconds(5)));
    let tls = plain(defaults, "", "check = { type = 'tls' }", "");
    assert!(matches!(&first_check(&tls).probe, Probe::Tls(tls) if tls.verify == Verify::None));
    let https = k0s("[defaults]\ncheck = { type = 'https', accept = ['200-202', 201, 401] }");
    let Probe::Https(https) = &first_check(&https).probe else { panic!() };
    assert_eq!((https.path.as_str(), &https.accept[..]), ("/readyz", &[200, 201, 202, 401][..]));
    assert_eq!(https.tls.verify, Verify::None, "the preset's");
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for bytes in der.chunks(3) {
        let number = [16, 8, 0].iter().zip(bytes).fold(0, |number, (shift, &byte)| number | u32::from(byte) << shift);
        let digit = |place: usize| match place <= bytes.len() {
            true => char::from(ALPHABET[(number >> (18 - 6 * place)) as usize & 63]),
            false => '=',
        };
        text.extend((0..4).map(digit));
    }
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

// Seen to fail with the credential left out of `resolve`.
#[test]
fn a_services_check_speaks_its_protocol_and_says_who_asks() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evenkeel.toml");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("token", "abc\n");
    write("client.crt", &pem("CERTIFICATE", certificate.der()));
    write("client.key", &pem("PRIVATE KEY", &key.serialize_der()));
    write("other.key", &pem("PRIVATE KEY", &rcgen::KeyPair::generate().unwrap().serialize_der()));
    write("ca.crt", &std::fs::read_to_string("tests/config/ca.crt").unwrap());
    let with = |defaults: &str, check: &str| {
        std::fs::write(&file, plain_text(&format!("[defaults]\ncheck = {{ {defaults} }}"), "", check, "")).unwrap();
        let config = config::load(&file).unwrap_or_else(|report| panic!("{}", report.render(false)));
        let shown = config::show(&file).unwrap();
        assert_eq!(config::parse(&shown, "elsewhere/shown.toml").unwrap(), config, "{shown}");
        first_check(&config).probe.clone()
    };
    let verified = "ca_file = 'ca.crt', server_name = 'kubernetes'";
    for (kind, alpn) in [("kube-apiserver", "http/1.1"), ("konnectivity", "h2"), ("k0s-join", "http/1.1")] {
        let probe = with(
            &format!("type = 'https', path = '/x', draining = [503], {verified}"),
            &format!("check = {{ type = '{kind}' }}"),
        );
        let tls = tls_of(&probe);
        assert_eq!(
            (probe.kind(), &tls.alpn[..], tls.server_name.as_deref()),
            (kind, &[alpn.to_owned()][..], Some("kubernetes"))
        );
        assert!(matches!(tls.verify, Verify::Ca { .. }));
    }
    let credential = |defaults: &str, check: &str| {
        let probe = with(&format!("type = 'kube-apiserver', {verified}, {defaults}"), check);
        let Probe::KubeApiserver(ApiserverProbe { credential, .. }) = probe else { panic!("{probe:?}") };
        credential
    };
    let (token, client) = ("token_file = 'token'", "client_certificate = 'client.crt', client_key = 'client.key'");
    assert_eq!(credential("rise = 1", ""), None);
    for (defaults, check) in [(token, String::new()), (client, format!("check = {{ {token} }}"))] {
        let Some(Credential::Token(stated)) = credential(defaults, &check) else { panic!("{defaults}") };
        assert_eq!((stated.token.as_str(), stated.file), ("abc", directory.path().join("token")));
    }
    for (defaults, check) in [(client, String::new()), (token, format!("check = {{ {client} }}"))] {
        let Some(Credential::Certificate(identity)) = credential(defaults, &check) else { panic!("{defaults}") };
        assert_eq!(
            (identity.chain[0].as_slice(), &identity.key.0[..]),
            (certificate.der().as_ref(), key.serialized_der())
        );
    }
    let other = "check = { type = 'kube-apiserver', verify = 'none', client_certificate = 'client.crt', client_key = 'other.key' }";
    std::fs::write(&file, plain_text("", "", other, "")).unwrap();
    let report = config::load(&file).expect_err("another key").render(false);
    assert!(report.contains("other.key can't be used: it is not the certificate's key"), "{report}");
    let draining = with("type = 'https', verify = 'none', draining = ['500-503', 429]", "");
    assert!(matches!(draining, Probe::Https(https) if https.draining == [500, 501, 502, 503, 429]));
}

#[test]
fn an_inherited_type_binds_what_is_stated_nearer() {
    assert_eq!(
        kinds(&plain_text("[defaults]\ncheck = { type = 'tcp' }", "", "check = { path = '/x' }", "")),
        ["not-of-this-check"]
    );
    assert_eq!(kinds(&plain_text("", "", "", "check = { verify = 'none' }")), ["not-of-this-check"]);
}

#[test]
fn a_check_that_is_off_leaves_nothing_to_a_server_that_wants_one() {
    let config = plain("[defaults]\ncheck = { interval = '9s' }", "", "check = 'off'", "check = { rise = 4 }");
    assert_eq!((first_check(&config).interval, first_check(&config).rise), (seconds(2), 4));
}

#[test]
fn a_short_interval_shortens_what_it_would_not_leave_room_for() {
    let config = plain("", "", "check = { interval = '300ms' }", "");
    let check = first_check(&config);
    let short = Duration::from_millis(300);
    assert_eq!((check.timeout, check.fast_interval, check.down_interval), (short, short, short));
}

#[test]
fn the_nearest_word_on_verification_holds() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.crt");
    let pem = std::fs::read_to_string("tests/config/ca.crt").unwrap();
    std::fs::write(&ca, format!("two, with a note:\n{pem}\n{pem}")).unwrap();
    let file = directory.path().join("evenkeel.toml");
    let with = |backend: &str, server: &str| {
        let text = plain_text("[defaults]\ncheck = { type = 'tls', verify = 'none' }", "", backend, server);
        std::fs::write(&file, text).unwrap();
        let config = config::load(&file).unwrap_or_else(|report| panic!("{report:?}"));
        let shown = config::show(&file).unwrap();
        assert_eq!(config::parse(&shown, "elsewhere/shown.toml").unwrap(), config, "{shown}");
        let Probe::Tls(tls) = &first_check(&config).probe else { panic!() };
        tls.verify.clone()
    };
    assert_eq!(with("", ""), Verify::None);
    let Verify::Ca { file: found, roots, any_name: false } = with("check = { ca_file = 'ca.crt' }", "") else {
        panic!()
    };
    assert_eq!((found, roots.len()), (ca, 2));
    assert_eq!(roots[0], roots[1]);
    assert_eq!(with("check = { ca_file = 'ca.crt' }", "check = { verify = 'none' }"), Verify::None);
    assert!(matches!(
        with("check = { verify = 'full', ca_file = 'ca.crt' }", "check = { rise = 1 }"),
        Verify::Ca { .. }
    ));
}

// ---- limits by source ----

#[test]
fn a_frontend_s_limits_by_source_are_off_unless_stated_near_or_for_all() {
    assert_eq!(plain("", "", "", "").frontends[0].by_source, SourceLimits::default());
    let network = |address: &str, prefix| Network::of(address.parse().unwrap(), prefix).unwrap();
    let stated = "max_sessions_per_source = 50\nrate_per_source = 20\nallow = ['10.0.0.0/8', 'fd00::/8', '192.0.2.1']\n\
                  deny = '10.1.0.0/16'\n";
    let limits = SourceLimits {
        max_sessions: Some(50),
        rate: Some(20),
        allow: Some(vec![network("10.0.0.0", 8), network("fd00::", 8), network("192.0.2.1", 32)]),
        deny: vec![network("10.1.0.0", 16)],
    };
    assert_eq!(plain("", stated, "", "").frontends[0].by_source, limits);
    let for_all = format!("[defaults]\n{stated}");
    assert_eq!(plain(&for_all, "", "", "").frontends[0].by_source, limits);
    let off = "max_sessions_per_source = 'off'\nrate_per_source = 'off'\nallow = 'off'\ndeny = 'off'";
    assert_eq!(plain(&for_all, off, "", "").frontends[0].by_source, SourceLimits::default());
    let text = plain_text(&for_all, "", "", "");
    assert_eq!(parse(&config::show_text(&text, "it.toml").unwrap()), parse(&text));
}

// ---- PROXY protocol and routes ----

#[test]
fn routes_lead_by_name_and_by_source_and_those_by_name_make_clients_say_one() {
    let routes = "accept_proxy = '10.0.9.1'\ntimeouts = { inspect = '2s', handshake = '3s' }\n\
                  [[frontend.route]]\nsni = ['A.example', '*.b.example']\nsource = '10.0.0.0/8'\nbackend = 'b'\n\
                  [[frontend.route]]\nsource = ['fd00::/8']\nbackend = 'b'\n";
    let text = plain_text("", routes, "", "");
    let config = parse(&text);
    let frontend = &config.frontends[0];
    let network = |address: &str, prefix| Network::of(address.parse().unwrap(), prefix).unwrap();
    let names = ["a.example", "*.b.example"].map(NamePattern::name).to_vec();
    let both = Condition::all([Test::Sni(names), Test::Source(vec![network("10.0.0.0", 8)])]);
    let whens: Vec<_> = frontend.routes.iter().map(|route| route.when.clone()).collect();
    assert_eq!(whens, [both, Condition::all([Test::Source(vec![network("fd00::", 8)])])]);
    assert_eq!(frontend.listen[0].accept_proxy, AcceptProxy::From(vec![network("10.0.9.1", 32)]));
    assert_eq!(
        (frontend.handshake_timeout, frontend.inspect_delay),
        (Duration::from_secs(3), Some(Duration::from_secs(2)))
    );
    assert_eq!(frontend.rules.len(), 1);
    assert_eq!(parse(&config::show_text(&text, "it.toml").unwrap()), config);
    let by_source = plain("", "[[frontend.route]]\nsource = '10.0.0.0/8'\nbackend = 'b'\n", "", "");
    assert!(by_source.frontends[0].rules.is_empty(), "nobody waits for what nobody asks");
}

#[test]
fn a_listener_may_say_what_holds_there_and_rules_whom_it_lets_in() {
    let stated = "accept_proxy = 'everybody'\non_silence = 'judge'\n\
                  [[frontend.rule]]\nstage = 'connection'\nwhen = 'source 10.0.0.0/8'\nverdict = 'expect_proxy'\n\
                  [[frontend.rule]]\nstage = 'content'\nverdict = 'reject'\n\
                  [[frontend.route]]\nwhen = 'sni *.b.example or usable_servers b < 1'\nbackend = 'b'\n";
    let door = "[':7000', { address = ':7001', name = 'x', accept_proxy = 'off', max_sessions = 3, backlog = 5, \
                interface = 'lo', user_timeout = '3s', transparent = true }]";
    let text = plain_text("", stated, "", "").replace("'127.0.0.1:7000'", door);
    let config = parse(&text);
    let frontend = &config.frontends[0];
    let address = |port| ListenAddress::DualStack { port };
    let second = Listen {
        name: Some("x".into()),
        max_sessions: Some(3),
        backlog: Some(5),
        interface: Some("lo".into()),
        user_timeout: Some(Duration::from_secs(3)),
        transparent: true,
        ..address(7001).into()
    };
    assert_eq!(frontend.listen, [Listen { accept_proxy: AcceptProxy::Everybody, ..address(7000).into() }, second]);
    let rules: Vec<_> = frontend.rules.iter().map(|rule| (rule.stage, rule.verdict.clone())).collect();
    assert_eq!(
        rules,
        [(RuleStage::Connection, RuleVerdict::ExpectProxy), (RuleStage::Content, RuleVerdict::Reject)],
        "and nobody waits where silence is judged"
    );
    assert_eq!(frontend.rules[1].when, Condition::always());
    assert_eq!(parse(&config::show_text(&text, "it.toml").unwrap()), config);
}

// ---- the nearest wins ----

/// At which of the levels a key is stated, and what the values are, from the nearest on.
fn stated<const LEVELS: usize>() -> impl Strategy<Value = [Option<u32>; LEVELS]> {
    proptest::array::uniform::<_, LEVELS>(proptest::option::of(1..200_u32))
}

fn nearest(levels: &[Option<u32>]) -> Option<u32> {
    levels.iter().copied().flatten().next()
}

fn line(key: &str, value: Option<u32>, unit: &str) -> String {
    value
        .map(|value| format!("{key} = {unit}{value}{}{unit}\n", if unit.is_empty() { "" } else { "s" }))
        .unwrap_or_default()
}

proptest! {
    #[test]
    fn of_all_who_state_a_value_the_nearest_wins(
        weight in stated::<2>(),
        sessions in stated::<2>(),
        backlog in stated::<2>(),
        idle in stated::<2>(),
        client in stated::<2>(),
        half_close in stated::<2>(),
        interval in stated::<3>(),
        rise in stated::<3>(),
    ) {
        let defaults = ["[defaults]\n".to_owned(), line("weight", weight[1], ""), line("max_sessions", sessions[1], ""),
            line("backlog", backlog[1], ""), line("client_keepalive.idle", idle[1], "'"),
            line("check.interval", interval[2].map(|it| it + 1), "'"), line("check.rise", rise[2], ""),
            "[timeouts]\n".to_owned(), line("client", client[1], "'"), line("half_close", half_close[1], "'")].concat();
        let frontend = [line("max_sessions", sessions[0], ""), line("backlog", backlog[0], ""),
            line("client_keepalive.idle", idle[0], "'"), line("timeouts.client", client[0], "'")].concat();
        let backend = [line("timeouts.half_close", half_close[0], "'"),
            line("check.interval", interval[1].map(|it| it + 1), "'"), line("check.rise", rise[1], "")].concat();
        let server = [line("weight", weight[0], ""), line("check.interval", interval[0].map(|it| it + 1), "'"),
            line("check.rise", rise[0], "")].concat();
        let text = plain_text(&defaults, &frontend, &backend, &server);
        let config = parse(&text);
        let frontend = &config.frontends[0];
        prop_assert_eq!(first_server(&config).weight.value(), nearest(&weight).unwrap_or(1) as u16);
        prop_assert_eq!(frontend.max_sessions, nearest(&sessions));
        prop_assert_eq!(frontend.backlog, nearest(&backlog).unwrap_or(4096));
        prop_assert_eq!(frontend.keepalive.unwrap().idle, seconds(nearest(&idle).unwrap_or(30).into()));
        prop_assert_eq!(frontend.client_timeout, nearest(&client).map(|it| seconds(it.into())));
        prop_assert_eq!(config.backends[0].timeouts.half_close, Some(seconds(nearest(&half_close).unwrap_or(30).into())));
        prop_assert_eq!(first_check(&config).interval, seconds(nearest(&interval).map_or(2, |it| it + 1).into()));
        prop_assert_eq!(first_check(&config).rise, nearest(&rise).unwrap_or(2) as u16);
        let shown = config::show_text(&text, "evenkeel.toml").unwrap();
        prop_assert_eq!(parse(&shown), config, "{}", shown);
    }
}

// ---- show ----

#[test]
fn what_show_prints_of_a_preset_loads_to_an_equal_configuration() {
    let more = "[stats]\nlisten = ['127.0.0.1:9000', '[::1]:9000']\ntoken_file = 'tests/config/token'\nuser = 'ops'\n\
        password_hash = '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$qLml5cfqFAO86tsQNVLq7BHBQkFwaJ0b0zUxfVu4nEg'\n\
        [admin]\nsocket = '/run/e/a.sock'\nmode = '600'\ngroup = 'adm'\n\
        [log]\nformat = 'text'\nlevel = 'debug'\n[process]\nworkers = 3\n[limits]\non_limit = 'reset'\n\
        [[frontend]]\nname = 'kubeAPI'\nclient_keepalive = 'off'\n[[backend]]\nname = 'kubeAPI_backend'\ncheck = { type = 'https', alpn = ['h2', 'http/1.1'], accept = [401, '200-204'], server_name = 'kubernetes', port = 6444 }\n\
        servers = ['[fd00::1]:6443', { name = 'b', address = 'c.example:6443', backup = true, disabled = true, max_sessions = 9, weight = 0, check = 'off' }, { address = '10.0.0.9:1', check = { type = 'tcp' } }]";
    for (preset, _) in PRESETS {
        for more in ["", more] {
            let text = format!("preset = '{preset}'\ncontrollers = ['10.10.0.2', '10.10.1.2']\n{more}");
            let shown = config::show_text(&text, "evenkeel.toml").unwrap();
            assert_eq!(parse(&shown), parse(&text), "{shown}");
        }
    }
}

#[test]
fn show_says_where_each_value_is_from() {
    let text = "preset = 'k3s'\ncontrollers = ['10.10.0.2']\n[defaults]\nweight = 3\n[timeouts]\ndial = '1s'\n[[frontend]]\nname = 'kubeAPI'\nbacklog = 9\n";
    let shown = config::show_text(text, "my.toml").unwrap();
    let origin = |line: &str| {
        let mut found =
            shown.lines().filter_map(|shown| shown.split_once("  # ")).filter(|(it, _)| it.trim_end() == line);
        found.next().unwrap_or_else(|| panic!("no {line} in\n{shown}")).1
    };
    assert_eq!(origin("weight = 3"), "[defaults], my.toml:4");
    assert_eq!(origin("dial = \"1s\""), "my.toml:6");
    assert_eq!(origin("timeouts.dial = \"1s\""), "[timeouts], my.toml:6");
    assert_eq!(origin("backlog = 9"), "my.toml:9");
    assert_eq!(origin("listen = \":6443\""), "preset k3s");
    assert_eq!(origin("name = \"10.10.0.2\""), "controllers, my.toml:2");
    assert_eq!(origin("timeouts.connect = \"10s\""), "built-in");
    let unmarked: Vec<&str> = shown.lines().filter(|line| line.contains(" = ") && !line.contains("  # ")).collect();
    assert!(unmarked.is_empty(), "{unmarked:?}");
}

// ---- the log ----

#[test]
fn a_log_without_a_target_goes_to_stdout() {
    let log = k0s("").log;
    let stdout = LogTarget::everything(LogPlace::Stdout, LogFormat::Text);
    assert_eq!((log.targets, log.open, log.progress), (vec![stdout.clone()], false, None));
    let stated = k0s("[log]\ntarget = 'stdout'\nformat = 'json'\nlevel = 'warn'").log.targets;
    assert_eq!(stated, [LogTarget { format: LogFormat::Json, level: LogLevel::Warn, ..stdout }]);
}

#[test]
fn targets_are_said_in_several_ways() {
    let syslog = |address, protocol, facility, tag: &str| {
        let length = Syslog::usual_length(protocol);
        LogPlace::Syslog(Syslog { address, protocol, facility, tag: tag.to_owned(), length })
    };
    let journald = |socket: &str, tag: &str| LogPlace::Journald { socket: socket.into(), tag: tag.to_owned() };
    let udp = |address: &str| DatagramAddress::Udp(address.parse().unwrap());
    let unix = |path: &str| DatagramAddress::Unix(path.into());
    let (old, new) = (SyslogProtocol::Rfc3164, SyslogProtocol::Rfc5424);
    let daemon = syslog(unix("/dev/log"), old, Facility::Daemon, "evenkeel");
    let haproxys = "target = { type = 'syslog', address = '127.0.0.1', facility = 'local2', format = 'tcplog' }";
    for (text, place, format) in [
        ("target = 'syslog'", daemon.clone(), LogFormat::Text),
        ("target = ['syslog']", daemon.clone(), LogFormat::Text),
        ("[[log.target]]\ntype = 'syslog'", daemon, LogFormat::Text),
        ("format = 'json'\ntarget = 'journald'", journald("/run/systemd/journal/socket", "evenkeel"), LogFormat::Json),
        ("target = { type = 'journald', socket = '/j', tag = 'lb' }", journald("/j", "lb"), LogFormat::Text),
        (haproxys, syslog(udp("127.0.0.1:514"), old, Facility::Local2, "evenkeel"), LogFormat::Tcplog),
        (
            "target = { type = 'syslog', address = '[fd00::1]:1514', protocol = 'rfc5424', tag = 'lb-1' }",
            syslog(udp("[fd00::1]:1514"), new, Facility::Daemon, "lb-1"),
            LogFormat::Text,
        ),
    ] {
        let text = format!("[log]\n{text}");
        assert_eq!(k0s(&text).log.targets, [LogTarget::everything(place, format)], "{text}");
    }
}

#[test]
fn a_target_may_be_for_haproxys_lines_of_some_proxies_alone() {
    let text = "[log]\ntarget = { type = 'syslog', lines = 'haproxy', proxies = ['kubeAPI', 'kubeAPI_backend'], least = \
                'notice', gravest = 'err', length = 8192 }";
    let target = k0s(text).log.targets.remove(0);
    assert_eq!(target.lines, LogLines::Haproxys);
    let names = target.proxies.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(names, Some(vec!["kubeAPI", "kubeAPI_backend"]));
    assert_eq!(target.severities, Severities { least: Severity::Notice, gravest: Severity::Error });
    assert!(matches!(target.place, LogPlace::Syslog(Syslog { length: 8192, .. })));
}

#[test]
fn a_frontend_says_what_is_logged_of_its_sessions() {
    let text = "[log]\nnull_sessions = true\n[[frontend]]\nname = 'kubeAPI'\nlog = { asap = true, line = 'connect' }";
    let config = k0s(text);
    let own = FrontendLog { null_sessions: true, asap: true, line: SessionLine::Connect, ..FrontendLog::default() };
    assert_eq!(*config.frontends[0].log, own);
    assert_eq!(*config.frontends[1].log, FrontendLog { null_sessions: true, ..FrontendLog::default() });
}

#[test]
fn each_target_has_what_the_log_says_unless_it_says_so_itself() {
    let log = k0s(
        "[log]\nformat = 'tcplog'\nopen = true\nprogress = '10m'\n[[log.target]]\ntype = 'stdout'\nlevel = 'debug'\n\
         [[log.target]]\ntype = 'journald'\nformat = 'json'",
    )
    .log;
    let of: Vec<_> = log.targets.iter().map(|target| (target.format, target.level)).collect();
    assert_eq!(of, [(LogFormat::Tcplog, LogLevel::Debug), (LogFormat::Json, LogLevel::Info)]);
    assert_eq!((log.open, log.progress), (true, Some(seconds(600))));
}

#[test]
fn shown_targets_load_as_what_they_are() {
    let text = "preset = 'k0s'\ncontrollers = ['10.10.0.2']\n[log]\nprogress = '1h'\ntarget = ['stdout', { type = 'syslog', \
                address = '[::1]', facility = 'local7', level = 'error' }, { type = 'journald', tag = 'lb' }]";
    let shown = config::show_text(text, "evenkeel.toml").unwrap_or_else(|report| panic!("{}", report.render(false)));
    assert_eq!(parse(&shown), parse(text), "{shown}");
    assert!(shown.contains("address = \"[::1]:514\""), "{shown}");
}

#[test]
fn more_targets_than_thirty_two_are_a_mistake() {
    let target = |number| format!("{{ type = 'syslog', address = '127.0.0.{number}' }}");
    let text = |count: u32| {
        let targets: Vec<String> = (1..=count).map(target).collect();
        format!("preset = 'k0s'\ncontrollers = ['10.10.0.2']\n[log]\ntarget = [{}]", targets.join(", "))
    };
    assert_eq!(parse(&text(32)).log.targets.len(), 32);
    assert_eq!(kinds(&text(33)), ["out-of-range"]);
}
