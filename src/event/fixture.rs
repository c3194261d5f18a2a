//! Snapshots for tests, built by hand: the three controllers of the reference configuration, and what may happen to them.

use std::time::{Duration, SystemTime};

use super::{
    AdminState, BackendSnapshot, Certificate, CheckSnapshot, CheckStatus, ConfigSnapshot, Counts, DownCause, Evidence,
    FrontendSnapshot, FrontendState, HttpCounts, LogTargetSnapshot, Orders, ProbeTotals, ProcessPhase, ProcessSnapshot,
    Remark, ServerSnapshot, ServerState, Snapshot, StatsSnapshot,
};
use crate::model::{
    BackendName, Balance, Endpoint, FrontendName, HostAddress, ListenAddress, ProxyId, ServerId, ServerName, Weight,
};

/// When every snapshot of this file was taken: 2026-11-22 03:20:15 UTC.
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_317_615)
}

/// Names and last address bytes of the controllers: 10.10.0.2, 10.10.1.2, 10.10.2.2.
pub const CONTROLLERS: [&str; 3] = ["k0s-ch-sion-1", "k0s-at-vie-1", "k0s-de-fra-1"];

/// The reference configuration after three days of quiet service.
pub fn cluster() -> Snapshot {
    let proxies = [("kubeAPI", 6443), ("konnectivity", 8132), ("controllerJoinAPI", 9443)];
    Snapshot {
        at: now(),
        process: process(),
        frontends: (2..).zip(proxies).map(|(id, (name, port))| frontend(id, name, port)).collect(),
        backends: (5..).zip(proxies).map(|(id, (name, port))| backend(id, name, port)).collect(),
        stats: vec![stats()],
        peers: Vec::new(),
        tables: Vec::new(),
    }
}

/// The cluster with a controller down, where everything that others say of themselves is markup.
pub fn hostile() -> Snapshot {
    const MARKUP: &str = "<script>alert('x')</script>\"><img src=//evil>";
    let mut snapshot = cluster();
    snapshot.process.node = MARKUP.into();
    snapshot.take_down(CONTROLLERS[1]);
    for server in snapshot.servers_named(CONTROLLERS[1]) {
        let check = server.check.as_mut().unwrap();
        check.last.as_mut().unwrap().detail = MARKUP.into();
        let seen = check.certificate.as_mut().unwrap();
        (seen.subject, seen.issuer) = (MARKUP.into(), MARKUP.into());
    }
    snapshot
}

/// One backend of so many servers, for tests of size.
pub fn large(servers: u32) -> Snapshot {
    let mut snapshot = cluster();
    snapshot.backends.truncate(1);
    snapshot.frontends.truncate(1);
    snapshot.backends[0].servers = (0..servers)
        .map(|n| server(n + 1, &format!("controller-{n}"), format!("10.{}.{}.2", n / 250, n % 250), 6443))
        .collect();
    snapshot
}

impl Snapshot {
    /// The servers of this name in all backends.
    pub fn servers_named(&mut self, name: &str) -> Vec<&mut ServerSnapshot> {
        self.backends
            .iter_mut()
            .flat_map(|backend| &mut backend.servers)
            .filter(|server| server.name.as_str() == name)
            .collect()
    }

    /// Takes a controller down in every backend, eight minutes and eight seconds ago, its port refused.
    pub fn take_down(&mut self, name: &str) {
        let servers = self.servers_named(name);
        assert!(!servers.is_empty(), "no server is called {name}");
        for server in servers {
            server.go_down();
        }
        self.count_usable();
    }

    /// Sets a state in every backend, two hours ago.
    pub fn set_state(&mut self, name: &str, state: ServerState) {
        let servers = self.servers_named(name);
        assert!(!servers.is_empty(), "no server is called {name}");
        for server in servers {
            server.state = state;
            server.since = now() - Duration::from_secs(7_200);
            server.admin = match state {
                ServerState::Drain => AdminState::Drain,
                ServerState::Maint => AdminState::Maint,
                _ => AdminState::Ready,
            };
        }
        self.count_usable();
    }

    /// Makes each backend's figures follow its servers' states.
    pub fn count_usable(&mut self) {
        for backend in &mut self.backends {
            let usable = |backup| {
                let servers = backend.servers.iter().filter(|s| s.backup == backup && s.state.is_usable());
                u32::try_from(servers.count()).unwrap()
            };
            (backend.active, backend.backup) = (usable(false), usable(true));
            let up = backend.active + backend.backup > 0;
            if backend.up != up {
                backend.up = up;
                backend.since = now() - Duration::from_secs(488);
            }
        }
    }
}

impl ServerSnapshot {
    /// A kube-apiserver that is alive and doesn't say whether it is ready.
    pub fn remark(&mut self, remark: Remark) {
        let check = self.check.as_mut().expect("servers of this file are checked");
        check.kind = "kube-apiserver";
        let detail = remark.words().into();
        check.last = Some(Evidence { status: CheckStatus::L7Okc, detail, remark: Some(remark), ..passed() });
    }

    /// Down since 03:12:07, refused.
    pub fn go_down(&mut self) {
        self.state = ServerState::Down(DownCause::Refused);
        self.since = now() - Duration::from_secs(488);
        self.downtime = Duration::from_secs(488);
        self.counts.sessions = 0;
        self.counts.rate = 0;
        self.counts.downs = 1;
        self.counts.check_failures = 3;
        self.counts.connect_errors = 4;
        self.counts.moves = 4;
        let check = self.check.as_mut().expect("servers of this file are checked");
        check.health = 0;
        check.last = Some(Evidence {
            status: CheckStatus::L4Con,
            detail: "connection refused".into(),
            duration: Duration::from_micros(310),
            certificate: None,
            ..passed()
        });
    }
}

fn process() -> ProcessSnapshot {
    ProcessSnapshot {
        pid: 4711,
        version: "0.1.0",
        node: "lb-1".into(),
        started: now() - Duration::from_secs(273_843),
        uptime: Duration::from_secs(273_843),
        workers: 2,
        sessions: 312,
        max_sessions: 4_000,
        max_descriptors: 524_288,
        open_descriptors: 671,
        resident_memory: 34_217_984,
        cpu: Duration::from_millis(1_284_330),
        phase: ProcessPhase::Serving,
        predecessors: Vec::new(),
        isolated: false,
        dropped_logs: 0,
        log_targets: vec![LogTargetSnapshot { name: "stdout".into(), dropped: 0, reached: true }],
        limit_reached: 0,
        accept_pauses: 0,
        events: 12,
        actions: 2,
        actions_refused: 1,
        config: ConfigSnapshot { loaded: now() - Duration::from_secs(273_843), refused: None },
        counts: Counts {
            sessions: 312,
            sessions_max: 1_480,
            sessions_total: 48_211,
            rate: 3,
            rate_max: 214,
            ..traffic(3)
        },
    }
}

fn frontend(id: u32, name: &str, port: u16) -> FrontendSnapshot {
    FrontendSnapshot {
        id: ProxyId(id),
        name: FrontendName::new(name).unwrap(),
        listen: vec![ListenAddress::DualStack { port }],
        backend: BackendName::new(&format!("{name}_backend")).unwrap(),
        routes: Vec::new(),
        max_sessions: Some(3_000),
        full: false,
        limit_reached: 0,
        state: FrontendState::Open,
        counts: Counts { request_errors: 2, ..traffic(3) },
    }
}

fn backend(id: u32, name: &str, port: u16) -> BackendSnapshot {
    BackendSnapshot {
        id: ProxyId(id),
        name: BackendName::new(&format!("{name}_backend")).unwrap(),
        balance: Balance::LeastConn,
        required: port == 6443,
        up: true,
        since: now() - Duration::from_secs(273_842),
        ever_up: true,
        active: 3,
        backup: 0,
        weight: 3,
        effective_weight: 3,
        downtime: Duration::ZERO,
        queued: 0,
        queued_max: 0,
        full_sessions: 300,
        shared_source: None,
        counts: traffic(3),
        servers: (0u32..).zip(CONTROLLERS).map(|(n, name)| server(n + 1, name, format!("10.10.{n}.2"), port)).collect(),
    }
}

fn stats() -> StatsSnapshot {
    StatsSnapshot {
        id: ProxyId(8),
        name: FrontendName::new("stats").unwrap(),
        max_sessions: 64,
        is_listen: true,
        counts: Counts {
            sessions: 1,
            sessions_max: 3,
            sessions_total: 912,
            bytes_in: 91_200,
            bytes_out: 18_240_000,
            rate_max: 2,
            ..Counts::default()
        },
        http: HttpCounts { requests: 930, rate: 1, rate_max: 2, answers: [0, 0, 928, 0, 2, 0] },
    }
}

fn server(id: u32, name: &str, address: String, port: u16) -> ServerSnapshot {
    let host = HostAddress::Ip(address.parse().unwrap());
    ServerSnapshot {
        id: ServerId(id),
        name: ServerName::new(name).unwrap(),
        address: Endpoint { host: host.clone(), port },
        host,
        weight: Weight::ONE,
        backup: false,
        max_sessions: None,
        state: ServerState::Ready,
        suspect: false,
        admin: AdminState::Ready,
        orders: Orders::default(),
        since: now() - Duration::from_secs(273_842),
        check: Some(CheckSnapshot {
            kind: "tls",
            rise: 2,
            fall: 3,
            health: 4,
            running: false,
            last: Some(passed()),
            certificate: Some(certificate()),
            probes: ProbeTotals { ended: 136_921, failed: 0, time: Duration::from_secs(572) },
        }),
        downtime: Duration::ZERO,
        replaced_sessions: 0,
        counts: traffic(1),
        agent: None,
        tracked: None,
        throttle: None,
        effective_weight: 1,
        failed_rows: None,
        max_queue: None,
        drain: None,
    }
}

fn passed() -> Evidence {
    Evidence {
        status: CheckStatus::L6Ok,
        detail: "TLS 1.3 handshake".into(),
        duration: Duration::from_micros(4_180),
        code: None,
        certificate: Some(certificate()),
        remark: None,
        at: now() - Duration::from_secs(1),
        info: String::new(),
    }
}

fn certificate() -> Certificate {
    Certificate {
        subject: "CN=kubernetes".into(),
        issuer: "CN=kubernetes-ca".into(),
        not_after: now() + Duration::from_secs(287 * 86_400),
        authority_key_identifier: Some("2f0a91".into()),
    }
}

/// What so many servers count together.
fn traffic(servers: u32) -> Counts {
    let n = u64::from(servers);
    Counts {
        sessions: 35 * servers,
        sessions_max: 164 * servers,
        sessions_total: 5_357 * n,
        bytes_in: 1_288_490_188 * n,
        bytes_out: 18_253_611_008 * n,
        rate: servers,
        rate_max: 24 * servers,
        connects: 5_359 * n,
        chosen: 5_359 * n,
        retries: 2 * n,
        client_aborts: 17 * n,
        server_aborts: n,
        last_session: Some(Duration::from_secs(2)),
        queue_time: Duration::ZERO,
        connect_time: Duration::from_micros(840),
        connect_time_max: Duration::from_millis(212),
        total_time: Duration::from_secs(1_841),
        total_time_max: Duration::from_secs(250_000),
        ..Counts::default()
    }
}
