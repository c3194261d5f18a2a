//! Probes against scripted peers on loopback: real sockets, real TLS, and what the peer saw of it.

use std::future::Future;
use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, server};

use super::*;
use crate::event::Remark;
use crate::model::{
    ApiserverProbe, HttpsProbe, Identity as ClientIdentity, ProbeTime, Secret, TlsProbe, Token, TokenFile, Verify,
};

mod services;

/// Long enough that no test ends by it unless it means to.
const TIMEOUT: Duration = Duration::from_secs(30);

/// For tests that mean to. A paused clock would be quicker, but it moves on while the kernel still carries the bytes.
const SHORT: Duration = Duration::from_millis(300);

const BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

// ---- peers ----

struct Peer<T> {
    address: SocketAddr,
    script: JoinHandle<T>,
}

/// Accepts one connection and plays a script on it.
async fn peer<T, F>(script: impl FnOnce(TcpStream) -> F + Send + 'static) -> Peer<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let script = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(stream).await
    });
    Peer { address, script }
}

/// The same after a TLS handshake.
async fn tls_peer<T, F>(
    config: ServerConfig,
    script: impl FnOnce(server::TlsStream<TcpStream>) -> F + Send + 'static,
) -> Peer<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    peer(async move |tcp| {
        let stream = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
        script(stream).await
    })
    .await
}

/// A peer that answers any request with these bytes and then ends properly.
async fn http_peer(answer: &'static [u8]) -> Peer<String> {
    tls_peer(config(&BOTH, &identity()), async move |mut stream| {
        let request = read_request(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        request
    })
    .await
}

async fn read_request(stream: &mut server::TlsStream<TcpStream>) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}

/// What a careful server sees of a client's end: its last read, and any error after it.
async fn end_as_seen_by_server(mut stream: server::TlsStream<TcpStream>) -> (io::Result<usize>, Option<io::Error>) {
    let read = stream.read(&mut [0; 100]).await;
    // More than the client waits for, as late session tickets are.
    stream.write_all(&[7; 5000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let (mut tcp, _) = stream.into_inner();
    let reset = tcp.read(&mut [0; 100]).await.err();
    (read, reset.or(tcp.take_error().unwrap()))
}

// ---- certificates ----

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn identity() -> Identity {
    identity_of(&rcgen::PKCS_ECDSA_P256_SHA256, |_| {})
}

fn identity_of(algorithm: &'static SignatureAlgorithm, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut params = CertificateParams::new(vec!["kubernetes".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity { chain: vec![certificate.der().clone()], key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issued_by(authority: &CertifiedIssuer<'static, KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut params = CertificateParams::new(vec!["kubernetes".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Identity { chain: vec![certificate.der().clone()], key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config(versions: &[&'static SupportedProtocolVersion], identity: &Identity) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
    builder.with_no_client_auth().with_single_cert(identity.chain.clone(), identity.key.clone_key()).unwrap()
}

/// A server that shows one thing and signs with another.
fn config_unchecked(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> ServerConfig {
    #[derive(Debug)]
    struct Always(Arc<CertifiedKey>);
    impl ResolvesServerCert for Always {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let key = rustls::crypto::ring::sign::any_supported_type(key).unwrap();
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&BOTH).unwrap();
    builder.with_no_client_auth().with_cert_resolver(Arc::new(Always(Arc::new(CertifiedKey::new(chain, key)))))
}

// ---- checks ----

fn check(probe: Probe) -> Check {
    Check::new(probe, TIMEOUT)
}

fn tls() -> TlsProbe {
    TlsProbe { verify: Verify::None, server_name: None, alpn: vec![], identity: None }
}

fn verified(authority: &CertifiedIssuer<'static, KeyPair>, server_name: Option<&str>) -> Probe {
    let verify = Verify::Ca { file: "ca.crt".into(), roots: vec![authority.der().to_vec()].into(), any_name: false };
    Probe::Tls(TlsProbe { verify, server_name: server_name.map(str::to_owned), alpn: vec![], identity: None })
}

fn https() -> Probe {
    Probe::Https(HttpsProbe { tls: tls(), path: "/readyz".to_owned(), accept: vec![200, 401, 403], draining: vec![] })
}

/// Probes once and ends properly; what matters of the verdict, and the rest.
async fn probe(probe: Probe, address: SocketAddr) -> (CheckStatus, Readiness, String, Outcome) {
    probe_within(TIMEOUT, probe, address).await
}

async fn probe_within(
    timeout: Duration,
    probe: Probe,
    address: SocketAddr,
) -> (CheckStatus, Readiness, String, Outcome) {
    let check = Check { timeout, ..check(probe) };
    let mut outcome =
        Prober::new(&check, &mut Tokens::default()).unwrap().probe(address, TIMEOUT, Way::default()).await;
    if let Some(farewell) = outcome.farewell.take() {
        farewell.finish().await;
    }
    let Evidence { status, detail, .. } = outcome.verdict.evidence.clone();
    (status, outcome.verdict.state, detail, outcome)
}

fn down(cause: DownCause) -> Readiness {
    Readiness::Down(cause)
}

// ---- tcp ----

#[tokio::test]
async fn a_listening_port_is_enough_for_tcp() {
    let peer = peer(async |mut tcp| tcp.read(&mut [0; 1]).await).await;
    let (status, state, ..) = probe(Probe::Tcp, peer.address).await;
    assert_eq!((status, state), (CheckStatus::L4Ok, Readiness::Ready));
    assert_eq!(peer.script.await.unwrap().unwrap(), 0, "the end is a FIN");
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for kind in [Probe::Tcp, Probe::Tls(tls()), https()] {
        let (status, state, detail, _) = probe(kind, free).await;
        assert_eq!((status, state), (CheckStatus::L4Con, down(DownCause::Refused)));
        assert_eq!(detail, "connection refused");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_syn_is_unreachable() {
    // With room for one connection in its queue, a listener that never accepts drops every further SYN.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let (status, state, detail, _) = probe(Probe::Tcp, address).await;
    assert_eq!((status, state), (CheckStatus::L4Tout, down(DownCause::Unreachable)));
    assert_eq!(detail, "connecting timed out after 30s");
}

#[test]
fn what_we_lack_ourselves_says_nothing_of_the_server() {
    use rustix::io::Errno;
    for errno in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS] {
        let seen = Seen::not_dialled(&DialError::from(io::Error::from(errno)));
        assert_eq!((seen.status, seen.state), (CheckStatus::SockErr, down(DownCause::Local)), "{errno:?}");
    }
    for errno in [Errno::NETUNREACH, Errno::NETDOWN] {
        let seen = Seen::not_dialled(&DialError::from(io::Error::from(errno)));
        assert_eq!((seen.status, seen.state), (CheckStatus::L4Con, down(DownCause::NoNetwork)), "{errno:?}");
    }
    let seen = Seen::not_dialled(&DialError::from(io::Error::from(Errno::HOSTUNREACH)));
    assert_eq!((seen.status, seen.state), (CheckStatus::L4Con, down(DownCause::Unreachable)));
}

// ---- tls ----

#[tokio::test]
async fn either_version_completes_and_ends_without_a_trace() {
    for (version, name) in [(&rustls::version::TLS12, "TLS 1.2"), (&rustls::version::TLS13, "TLS 1.3")] {
        let peer = tls_peer(config(&[version], &identity()), end_as_seen_by_server).await;
        let (status, state, detail, outcome) = probe(Probe::Tls(tls()), peer.address).await;
        assert_eq!((status, state), (CheckStatus::L6Ok, Readiness::Ready));
        assert_eq!(outcome.tls, Some(TlsFacts { version: name, alpn: None }));
        assert!(detail.starts_with(&format!("{name} handshake in ")), "{detail}");
        let (read, reset) = peer.script.await.unwrap();
        // An end without close_notify would be an error here, and a reset there.
        assert_eq!(read.unwrap(), 0);
        assert!(reset.is_none(), "{reset:?}");
    }
}

#[tokio::test]
async fn without_verification_any_certificate_will_do() {
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2001, 1, 1);
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2900, 1, 1);
    for identity in [
        identity_of(&rcgen::PKCS_ECDSA_P256_SHA256, expired),
        identity_of(&rcgen::PKCS_ECDSA_P384_SHA384, future),
        identity_of(&rcgen::PKCS_ED25519, |_| {}),
    ] {
        let peer = tls_peer(config(&BOTH, &identity), async |mut stream| stream.read(&mut [0; 1]).await).await;
        let (status, _, _, outcome) = probe(Probe::Tls(tls()), peer.address).await;
        assert_eq!(status, CheckStatus::L6Ok);
        assert_eq!(outcome.verdict.evidence.certificate.unwrap().subject, "CN=rcgen self signed cert");
    }
}

#[tokio::test]
async fn without_verification_even_an_unreadable_certificate_will_do() {
    let key = identity().key;
    let peer = tls_peer(config_unchecked(vec![vec![0x30, 3, 2, 1, 0].into()], &key), async |mut stream| {
        stream.read(&mut [0; 1]).await
    })
    .await;
    let (status, _, _, outcome) = probe(Probe::Tls(tls()), peer.address).await;
    assert_eq!(status, CheckStatus::L6Ok);
    assert_eq!(outcome.verdict.evidence.certificate, None);
}

#[tokio::test]
async fn a_handshake_signed_with_another_key_fails_in_any_case() {
    let config = config_unchecked(identity().chain, &identity().key);
    let peer = peer(async move |tcp| TlsAcceptor::from(Arc::new(config)).accept(tcp).await.is_err()).await;
    let (status, state, detail, _) = probe(Probe::Tls(tls()), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L6Rsp, down(DownCause::Tls)));
    assert_eq!(detail, "certificate or handshake is signed with another key");
}

#[tokio::test]
async fn with_an_authority_only_its_servers_will_do() {
    let ours = authority("ours");
    let good = issued_by(&ours, |_| {});
    let expired = issued_by(&ours, |params| params.not_after = date_time_ymd(2001, 1, 1));
    let foreign = issued_by(&authority("theirs"), |_| {});
    let namesake = issued_by(&authority("ours"), |_| {});
    for (identity, name, expected) in [
        (&good, Some("kubernetes"), None),
        (&good, None, None),
        (&good, Some("other"), Some("certificate is not for other")),
        (&expired, Some("kubernetes"), Some("certificate has expired")),
        (&foreign, Some("kubernetes"), Some("certificate is not signed by a known authority")),
        (&namesake, Some("kubernetes"), Some("certificate or handshake is signed with another key")),
    ] {
        let config = config(&BOTH, identity);
        let peer = peer(async move |tcp| {
            let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await else { return };
            let _ = stream.read(&mut [0; 1]).await;
        })
        .await;
        let (status, state, detail, _) = probe(verified(&ours, name), peer.address).await;
        match expected {
            None => assert_eq!((status, state), (CheckStatus::L6Ok, Readiness::Ready), "{detail}"),
            Some(expected) => {
                assert_eq!((status, state, detail.as_str()), (CheckStatus::L6Rsp, down(DownCause::Tls), expected));
            }
        }
    }
}

// Seen to fail with the name verified all the same.
#[tokio::test]
async fn where_any_name_will_do_the_authority_alone_counts() {
    let [ours, theirs] = ["ours", "theirs"].map(authority);
    let elsewhere = rcgen::SanType::DnsName("elsewhere".try_into().unwrap());
    let stranger = issued_by(&ours, |params| params.subject_alt_names = vec![elsewhere]);
    for (authority, expected) in [(&ours, CheckStatus::L6Ok), (&theirs, CheckStatus::L6Rsp)] {
        let config = config(&BOTH, &stranger);
        let peer = peer(async move |tcp| {
            let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await else { return };
            let _ = stream.read(&mut [0; 1]).await;
        })
        .await;
        let Probe::Tls(mut tls) = verified(authority, None) else { unreachable!("it is one of TLS") };
        let Verify::Ca { any_name, .. } = &mut tls.verify else { unreachable!("it has an authority") };
        *any_name = true;
        let (status, _, detail, _) = probe(Probe::Tls(tls), peer.address).await;
        assert_eq!(status, expected, "{detail}");
    }
}

#[tokio::test]
async fn sni_is_sent_only_if_there_is_a_name() {
    for name in [None, Some("kubernetes".to_owned())] {
        let peer = tls_peer(config(&BOTH, &identity()), async |mut stream| {
            let _ = stream.read(&mut [0; 1]).await;
            stream.get_ref().1.server_name().map(str::to_owned)
        })
        .await;
        probe(Probe::Tls(TlsProbe { server_name: name.clone(), ..tls() }), peer.address).await;
        assert_eq!(peer.script.await.unwrap(), name);
    }
}

#[tokio::test]
async fn alpn_is_offered_as_configured() {
    let mut config = config(&BOTH, &identity());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let peer = tls_peer(config, async |mut stream| stream.read(&mut [0; 1]).await).await;
    let alpn = vec!["http/1.1".to_owned()];
    let (.., outcome) = probe(Probe::Tls(TlsProbe { alpn, ..tls() }), peer.address).await;
    assert_eq!(outcome.tls.unwrap().alpn.as_deref(), Some("http/1.1"));
}

#[tokio::test]
async fn without_a_common_protocol_the_servers_alert_is_told() {
    let mut config = config(&BOTH, &identity());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let peer = peer(async move |tcp| TlsAcceptor::from(Arc::new(config)).accept(tcp).await.is_err()).await;
    let alpn = vec!["http/1.1".to_owned()];
    let (status, _, detail, _) = probe(Probe::Tls(TlsProbe { alpn, ..tls() }), peer.address).await;
    assert_eq!((status, detail.as_str()), (CheckStatus::L6Rsp, "TLS alert: no application protocol"));
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_times_out() {
    let peer = peer(async |tcp| {
        std::future::pending::<()>().await;
        drop(tcp);
    })
    .await;
    let (status, state, detail, outcome) = probe_within(SHORT, Probe::Tls(tls()), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L6Tout, down(DownCause::TimedOut)));
    assert_eq!(detail, "handshake timed out after 300ms");
    let took = outcome.verdict.evidence.duration;
    assert!(took >= SHORT && took < TIMEOUT, "{took:?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_so() {
    for banner in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n"] {
        let peer = peer(async |mut tcp| {
            tcp.write_all(banner.as_bytes()).await.unwrap();
            let _ = tcp.read(&mut [0; 2000]).await;
        })
        .await;
        let (status, state, detail, _) = probe(Probe::Tls(tls()), peer.address).await;
        assert_eq!((status, state), (CheckStatus::L6Rsp, down(DownCause::Tls)));
        assert_eq!(detail, "the answer is not TLS");
    }
}

#[tokio::test]
async fn a_reset_and_a_close_in_the_handshake_are_told_apart() {
    let resetting = peer(async |tcp| {
        tcp.readable().await.unwrap();
        net::options::reset_on_close(&tcp);
    })
    .await;
    let (status, state, detail, _) = probe(Probe::Tls(tls()), resetting.address).await;
    assert_eq!((status, state), (CheckStatus::L6Rsp, down(DownCause::Tls)));
    assert_eq!(detail, "connection reset during the handshake");

    let closing = peer(async |mut tcp| {
        let _ = tcp.read(&mut [0; 2000]).await;
    })
    .await;
    let (status, _, detail, _) = probe(Probe::Tls(tls()), closing.address).await;
    assert_eq!((status, detail.as_str()), (CheckStatus::L6Rsp, "connection closed during the handshake"));
}

// ---- https ----

#[tokio::test]
async fn the_request_says_who_asks() {
    let peer = http_peer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let (status, state, detail, outcome) = probe(https(), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L7Ok, Readiness::Ready));
    assert_eq!(outcome.verdict.evidence.code, Some(200));
    assert!(detail.starts_with("HTTP 200 in "), "{detail}");
    let request = peer.script.await.unwrap();
    let expected = format!(
        "GET /readyz HTTP/1.1\r\nHost: {}\r\nUser-Agent: evenkeel-healthcheck/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        peer.address,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(request, expected);
}

#[tokio::test]
async fn statuses_mean_what_the_check_says() {
    use CheckStatus::{L7Ok, L7Okc, L7Rsp, L7Sts};
    let unexpected = down(DownCause::Unexpected);
    for (answer, expected) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n"[..], (L7Ok, Readiness::Ready, None)),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", (L7Okc, Readiness::Ready, None)),
        (b"HTTP/1.1 403\r\n\r\n", (L7Okc, Readiness::Ready, None)),
        (b"HTTP/1.1 404 x\r\n\r\n404 page not found\n", (L7Sts, unexpected, Some("HTTP 404: 404 page not found"))),
        (
            b"HTTP/1.1 500 x\r\nContent-Length: 22\r\n\r\n[-]etcd failed\nlivez no",
            (L7Sts, Readiness::Down(DownCause::Unexpected), Some("HTTP 500: [-]etcd failed livez no")),
        ),
        (b"HTTP/1.1 503 x\r\n\r\n", (L7Sts, Readiness::Down(DownCause::Unexpected), Some("HTTP 503"))),
        (b"HTTP/1.1 429 x\r\n\r\n", (L7Sts, Readiness::Down(DownCause::Unexpected), Some("HTTP 429"))),
        (b"HTTP/1.1 204 x\r\n\r\n", (L7Sts, unexpected, Some("HTTP 204"))),
        (b"\0\x01garbage\x1b[31m", (L7Rsp, unexpected, Some("the answer is not HTTP: \"garbage [31m\""))),
        (b"HTTP/1.1", (L7Rsp, unexpected, Some("connection closed before an answer"))),
        (b"", (L7Rsp, unexpected, Some("connection closed before an answer"))),
    ] {
        let (status, state, detail, _) = probe(https(), http_peer(answer).await.address).await;
        let (expected_status, expected_state, expected_detail) = expected;
        assert_eq!((status, state), (expected_status, expected_state), "{answer:?}: {detail}");
        if let Some(expected) = expected_detail {
            assert_eq!(detail, expected);
        }
    }
}

#[tokio::test]
async fn an_answer_is_heard_to_its_end_before_the_goodbye() {
    let peer = tls_peer(config(&BOTH, &identity()), async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        let left_early = timeout(FAREWELL / 4, stream.read(&mut [0; 1])).await.is_ok();
        stream.write_all(&[b'x'; 20_000]).await.unwrap();
        (left_early, end_as_seen_by_server(stream).await)
    })
    .await;
    let (status, ..) = probe(https(), peer.address).await;
    assert_eq!(status, CheckStatus::L7Ok);
    let (left_early, (read, reset)) = peer.script.await.unwrap();
    assert!(!left_early);
    assert_eq!(read.unwrap(), 0);
    assert!(reset.is_none(), "{reset:?}");
}

#[tokio::test]
async fn a_body_without_end_neither_delays_nor_changes_the_verdict() {
    for (status_line, expected) in [("200 OK", CheckStatus::L7Ok), ("500 x", CheckStatus::L7Sts)] {
        let peer = tls_peer(config(&BOTH, &identity()), async move |mut stream| {
            read_request(&mut stream).await;
            let head = format!("HTTP/1.1 {status_line}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        })
        .await;
        let (status, _, _, outcome) = probe(https(), peer.address).await;
        assert_eq!(status, expected);
        assert!(outcome.verdict.evidence.duration < TIMEOUT / 2);
        peer.script.await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_that_drips_is_shown_as_far_as_it_came() {
    let peer = tls_peer(config(&BOTH, &identity()), async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 500 x\r\n\r\nnot rea").await.unwrap();
        stream.flush().await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let (status, _, detail, outcome) = probe(https(), peer.address).await;
    assert_eq!((status, detail.as_str()), (CheckStatus::L7Sts, "HTTP 500: not rea"));
    assert!(outcome.verdict.evidence.duration < TIMEOUT / 2);
}

// Seen to fail with the dial's time added to that of the answer.
#[tokio::test]
async fn an_answer_has_its_own_time_where_the_dial_has_one() {
    let peer = peer(async |tcp| {
        let _tcp = tcp;
        std::future::pending::<()>().await;
    })
    .await;
    let check = Check { timeout: SHORT, time: ProbeTime::Dial(TIMEOUT), ..check(https()) };
    let prober = Prober::new(&check, &mut Tokens::default()).unwrap();
    let outcome = prober.probe(peer.address, TIMEOUT, Way::default()).await;
    let Evidence { detail, duration, .. } = outcome.verdict.evidence;
    assert_eq!(detail, "handshake timed out after 300ms");
    assert!(duration < TIMEOUT);
}

#[tokio::test]
async fn a_head_that_drips_or_never_comes_times_out() {
    for start in ["", "HTTP/1.1 20"] {
        let peer = tls_peer(config(&BOTH, &identity()), async move |mut stream| {
            stream.write_all(start.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let (status, state, detail, outcome) = probe_within(SHORT, https(), peer.address).await;
        assert_eq!((status, state), (CheckStatus::L7Tout, down(DownCause::TimedOut)));
        assert_eq!(detail, "answer timed out after 300ms");
        assert!(outcome.verdict.evidence.duration < TIMEOUT);
    }
}

#[tokio::test]
async fn http_2_is_not_mistaken_for_an_answer() {
    let mut config = config(&BOTH, &identity());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let peer = tls_peer(config, async |mut stream| stream.read(&mut [0; 1]).await).await;
    let tls = TlsProbe { alpn: vec!["h2".to_owned()], ..tls() };
    let kind = Probe::Https(HttpsProbe { tls, path: "/".to_owned(), accept: vec![200], draining: vec![] });
    let (status, _, detail, _) = probe(kind, peer.address).await;
    assert_eq!(status, CheckStatus::L7Rsp);
    assert_eq!(detail, "the server chose HTTP/2, which this probe does not speak");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_says_so() {
    let mut roots = RootCertStore::empty();
    roots.add(authority("clients'").der().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build().unwrap();
    let Identity { chain, key } = identity();
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&BOTH).unwrap();
    let config = builder.with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap();
    let peer = peer(async move |tcp| TlsAcceptor::from(Arc::new(config)).accept(tcp).await.is_err()).await;
    let (status, state, detail, _) = probe(https(), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L6Rsp, down(DownCause::Tls)));
    assert_eq!(detail, "TLS alert: certificate required");
}
