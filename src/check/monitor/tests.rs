//! A monitor over real ports on loopback, with intervals short enough to watch.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::check::{Monitors, Probers};
use crate::event::AdminState;
use crate::event::{Change, ServerChange, ServerState};
use crate::model::{
    Backend, BackendName, BackendTimeouts, Balance, Check, Endpoint, Host, OnNoServer, Policy, Probe, ProxyId, Retries,
    ServerId, ServerName,
};

/// Nothing here takes so long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Watch {
    pool: Arc<Pool>,
    changes: mpsc::UnboundedReceiver<ServerChange>,
    _monitors: Monitors,
}

impl Watch {
    /// Watches servers of one host at these ports.
    fn over(host: &str, ports: &[u16]) -> Self {
        let address = host.parse().map_or_else(|_| HostAddress::Name(host.to_owned()), HostAddress::Ip);
        Self::of(backend(&address, ports))
    }

    /// Watches the servers of a backend.
    fn of(backend: Backend) -> Self {
        let (send, changes) = mpsc::unbounded_channel();
        let observe = move |change: &Change| {
            if let Change::Server(change) = change {
                let _ = send.send(change.clone());
            }
        };
        let pool = Pool::alone(backend, Arc::new(observe));
        let mut hosts: Vec<Host> = Vec::new();
        for server in pool.servers() {
            let of = (pool.spec.name.clone(), server.name.clone());
            let address = server.endpoint.host.clone();
            match hosts.iter_mut().find(|host| host.address == address) {
                Some(host) => host.servers.push(of),
                None => hosts.push(Host { address, servers: vec![of] }),
            }
        }
        let mut monitors = Monitors::new(fastrand::Rng::with_seed(7));
        monitors.renew(&hosts, &[Arc::clone(&pool)], Probers::of(std::slice::from_ref(&*pool.spec)).unwrap());
        Self { pool, changes, _monitors: monitors }
    }

    async fn change(&mut self) -> (String, ServerState) {
        let change = timeout(PATIENCE, self.changes.recv()).await.expect("no server changed").unwrap();
        (change.server.to_string(), change.to)
    }

    /// Waits for a probe of each server that began after this call.
    async fn seen(&self) {
        let before = clock::wall();
        let probed = || {
            let servers = self.pool.snapshot().servers;
            servers.iter().all(|server| {
                let last = server.check.as_ref().and_then(|check| check.last.as_ref());
                last.is_some_and(|evidence| evidence.at > before)
            })
        };
        timeout(PATIENCE, async {
            while !probed() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("not probed");
    }
}

fn backend(host: &HostAddress, ports: &[u16]) -> Backend {
    let short = Duration::from_millis(20);
    let check = Check { timeout: Duration::from_millis(300), fall: 2, ..Check::new(Probe::Tcp, short) };
    let server = |(number, &port): (usize, &u16)| crate::model::Server {
        check: Some(check.clone()),
        ..crate::model::Server::new(
            ServerId(u32::try_from(number).unwrap() + 1),
            ServerName::new(&format!("server-{number}")).unwrap(),
            Endpoint { host: host.clone(), port },
        )
    };
    Backend {
        id: ProxyId(3),
        name: BackendName::new("kubeAPI_backend").unwrap(),
        balance: Balance::LeastConn,
        servers: ports.iter().enumerate().map(server).collect(),
        timeouts: BackendTimeouts {
            connect: PATIENCE,
            dial: PATIENCE,
            queue: PATIENCE,
            server: None,
            tunnel: None,
            half_close: None,
        },
        on_no_server: OnNoServer::Close,
        closing: Policy::evenkeel().closing,
        dial_hedge: None,
        judged_by: crate::model::JudgedBy::Everything,
        max_dials: 256,
        slow_start: None,
        issuer: None,
        required: false,
        keepalive: None,
        check: None,
        retries: Retries::Others,
        log_health_checks: false,
        is_listen: false,
        all_backups: false,
        draws: 2,
        on_full: crate::model::OnFull::Next,
        full_sessions: None,
    }
}

/// A backend of servers on hosts of their own, that are probed once and then not for an hour.
fn seldom(addresses: &[SocketAddr]) -> Backend {
    let mut all = backend(&HostAddress::Ip(Ipv4Addr::LOCALHOST.into()), &vec![1; addresses.len()]);
    for (server, address) in all.servers.iter_mut().zip(addresses) {
        server.address = Endpoint { host: HostAddress::Ip(address.ip()), port: address.port() };
        let check = server.check.as_mut().unwrap();
        let hour = Duration::from_secs(3600);
        (check.interval, check.fast_interval, check.down_interval, check.timeout) = (hour, hour, hour, PATIENCE);
    }
    all
}

async fn accept(listener: &TcpListener) {
    timeout(PATIENCE, listener.accept()).await.expect("no probe").unwrap();
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Listens again on a port that was in use a moment ago.
fn listen_again(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}

#[tokio::test]
async fn a_server_goes_down_and_comes_back_with_its_port() {
    let (listener, address) = listen().await;
    let mut watch = Watch::over("127.0.0.1", &[address.port()]);
    watch.seen().await;
    drop(listener);
    assert_eq!(watch.change().await, ("server-0".to_owned(), ServerState::Down(DownCause::Refused)));
    let _listener = listen_again(address);
    assert_eq!(watch.change().await, ("server-0".to_owned(), ServerState::Ready));
}

#[tokio::test]
async fn a_slow_server_does_not_delay_the_verdicts_on_others() {
    // A full accept queue: every probe of it takes the whole timeout.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let full = socket.listen(0).unwrap();
    let _queued = tokio::net::TcpStream::connect(full.local_addr().unwrap()).await.unwrap();
    let (listener, quick) = listen().await;
    drop(listener);
    let mut watch = Watch::over("127.0.0.1", &[full.local_addr().unwrap().port(), quick.port()]);
    assert_eq!(watch.change().await, ("server-1".to_owned(), ServerState::Down(DownCause::Refused)));
    assert_eq!(watch.change().await, ("server-0".to_owned(), ServerState::Down(DownCause::Unreachable)));
}

#[tokio::test]
async fn a_server_in_maintenance_is_left_alone() {
    let (listener, address) = listen().await;
    let mut watch = Watch::over("127.0.0.1", &[address.port()]);
    watch.seen().await;
    let server = watch.pool.servers().remove(0);
    watch.pool.set_admin_state(&server, AdminState::Maint);
    assert_eq!(watch.change().await, ("server-0".to_owned(), ServerState::Maint));
    // Whatever was under way has reached the port by the end of two intervals; then it is quiet.
    let quiet = async { while timeout(Duration::from_millis(200), listener.accept()).await.is_ok() {} };
    timeout(PATIENCE, quiet).await.expect("probes went on");
    watch.pool.set_admin_state(&server, AdminState::Ready);
    assert_eq!(watch.change().await, ("server-0".to_owned(), ServerState::Ready));
    timeout(PATIENCE, listener.accept()).await.expect("probes did not come back").unwrap();
    assert!(watch.changes.try_recv().is_err());
}

#[tokio::test]
async fn a_host_with_a_name_is_looked_up_before_it_is_probed() {
    let (_listener, address) = listen().await;
    let mut watch = Watch::over("localhost", &[address.port()]);
    watch.seen().await;
    assert!(watch.changes.try_recv().is_err(), "it was never down");
    assert_eq!(watch.pool.servers()[0].address(), Some(address));
}

#[tokio::test]
async fn a_name_without_an_address_is_a_server_that_is_down() {
    let mut watch = Watch::over("no..name", &[6443]);
    assert_eq!(watch.change().await, ("server-0".to_owned(), ServerState::Down(DownCause::Unresolved)));
}

// Seen to fail when the monitor does not wait for the wish, and when it does not ask whose it is.
#[tokio::test]
async fn a_probe_that_is_wanted_comes_at_once_and_to_nobody_else() {
    let ((one, address), (other, beside)) = (listen().await, listen().await);
    let watch = Watch::of(seldom(&[address, beside]));
    accept(&one).await;
    accept(&other).await;
    for _ in 0..3 {
        watch.pool.servers()[0].want_probe();
        accept(&one).await;
    }
    assert!(timeout(Duration::from_millis(100), other.accept()).await.is_err());
}

// Seen to fail when no other host is asked, when lateness is not shown, and when it is shown for ever.
#[tokio::test]
async fn while_a_probe_is_late_its_server_shows_it_and_other_hosts_are_probed() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let full = socket.listen(0).unwrap();
    let _queued = tokio::net::TcpStream::connect(full.local_addr().unwrap()).await.unwrap();
    let other = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.unwrap();
    let watch = Watch::of(seldom(&[full.local_addr().unwrap(), other.local_addr().unwrap()]));
    let server = watch.pool.servers().remove(0);
    let _session = server.counters.begin();
    accept(&other).await;
    accept(&other).await;
    assert!(server.is_late());
    // The kernel tries again within seconds, and finds room.
    accept(&full).await;
    accept(&full).await;
    let ends = async {
        while server.is_late() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, ends).await.expect("its probe has ended");
}
