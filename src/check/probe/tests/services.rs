//! What kube-apiserver, konnectivity and k0s's join API are asked, and how they are left.

use super::*;

fn apiserver(credential: Option<Credential>) -> Probe {
    Probe::KubeApiserver(ApiserverProbe { tls: offering("http/1.1"), credential })
}

fn offering(protocol: &str) -> TlsProbe {
    TlsProbe { alpn: vec![protocol.to_owned()], ..tls() }
}

/// A server's side that chooses this protocol, and no client that doesn't offer it.
fn speaking(protocol: &str) -> ServerConfig {
    let mut config = config(&BOTH, &identity());
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config
}

/// Answers one request in HTTP/1.1, and gives what was asked.
async fn answering(answer: &'static str) -> Peer<String> {
    tls_peer(speaking("http/1.1"), async move |mut stream| {
        let request = read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        request
    })
    .await
}

// ---- kube-apiserver ----

// Seen to fail with another path.
#[tokio::test]
async fn an_apiserver_is_asked_for_readyz_in_http_1_1() {
    let peer = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let (status, state, _, outcome) = probe(apiserver(None), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L7Ok, Readiness::Ready));
    assert_eq!(outcome.tls.unwrap().alpn.as_deref(), Some("http/1.1"));
    let request = peer.script.await.unwrap();
    assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nConnection: close\r\n") && !request.contains("Authorization"), "{request}");
}

#[tokio::test]
async fn an_apiserver_that_knows_nobody_is_alive_and_that_is_remarked() {
    let peer = answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nUnauthorized").await;
    let (status, state, detail, outcome) = probe(apiserver(None), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L7Okc, Readiness::Ready));
    assert_eq!(detail, "readiness unknown: anonymous access is off");
    let evidence = outcome.verdict.evidence;
    assert_eq!((evidence.code, evidence.remark), (Some(401), Some(Remark::Anonymous)));
}

#[tokio::test]
async fn an_apiserver_that_lost_its_etcd_drains_and_says_so() {
    let answer = "HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n\
                  2a\r\n[+]ping ok\n[-]etcd failed: reason withheld\n\r\n0\r\n\r\n";
    let (status, state, detail, _) = probe(apiserver(None), answering(answer).await.address).await;
    assert_eq!((status, state, detail.as_str()), (CheckStatus::L7Sts, Readiness::Draining, "failing: etcd"));
}

// Seen to fail with the stated token kept for good.
#[tokio::test]
async fn a_token_is_sent_as_its_file_has_it_now() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let token = TokenFile { file: file.clone(), token: Token::read(b"first").unwrap() };
    let check = check(apiserver(Some(Credential::Token(token))));
    let prober = Prober::new(&check, &mut Tokens::default()).unwrap();
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        let peer = answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        let outcome = prober.probe(peer.address, TIMEOUT, Way::default()).await;
        assert_eq!(outcome.verdict.evidence.remark, Some(Remark::CredentialTooWeak));
        outcome.farewell.unwrap().finish().await;
        let request = peer.script.await.unwrap();
        assert!(request.contains(&format!("\r\nAuthorization: Bearer {token}\r\n")), "{request}");
    }
}

// Seen to fail with the identity left out of the client's side.
#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_for_one() {
    let clients = authority("clients'");
    let Identity { chain, key } = issued_by(&clients, |_| {});
    let identity = ClientIdentity {
        chain: chain.iter().map(|der| der.to_vec()).collect(),
        key: Secret(key.secret_der().to_vec()),
        files: ["client.crt".into(), "client.key".into()],
    };
    let mut roots = RootCertStore::empty();
    roots.add(clients.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build().unwrap();
    let Identity { chain, key } = super::identity();
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&BOTH).unwrap();
    let config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    let peer = tls_peer(config, async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    let (status, ..) = probe(apiserver(Some(Credential::Certificate(identity))), peer.address).await;
    assert_eq!(status, CheckStatus::L7Ok);
}

// ---- konnectivity ----

const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn konnectivity() -> Probe {
    Probe::Konnectivity(offering("h2"))
}

/// Answers the preface with these bytes, and gives what came in all until the client's end.
async fn greeting(answer: &'static [u8]) -> Peer<(Vec<u8>, io::Result<usize>)> {
    tls_peer(speaking("h2"), async move |mut stream| {
        let mut preface = vec![0; 33];
        stream.read_exact(&mut preface).await.unwrap();
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
        let end = stream.read_to_end(&mut preface).await;
        (preface, end)
    })
    .await
}

// Seen to fail without the acknowledgement, and without goodbye and close_notify.
#[tokio::test]
async fn a_konnectivity_server_is_greeted_and_left_as_http_2_wants_it() {
    let peer = greeting(SETTINGS).await;
    let (status, state, detail, outcome) = probe(konnectivity(), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L7Ok, Readiness::Ready), "{detail}");
    assert_eq!(outcome.tls.unwrap().alpn.as_deref(), Some("h2"));
    let (said, end) = peer.script.await.unwrap();
    assert!(said.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"), "{said:?}");
    assert!(said.ends_with(b"\0\0\0\x04\x01\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0"), "{said:?}");
    end.expect("close_notify");
}

#[tokio::test]
async fn a_konnectivity_server_that_says_goaway_first_drains() {
    let (status, state, detail, _) = probe(konnectivity(), greeting(GOAWAY).await.address).await;
    assert_eq!((status, state), (CheckStatus::L7Rsp, Readiness::Draining));
    assert_eq!(detail, "it says GOAWAY, code 0");
}

#[tokio::test]
async fn what_speaks_no_http_2_is_no_konnectivity_server() {
    let (status, state, detail, _) =
        probe(konnectivity(), greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.address).await;
    assert_eq!((status, state), (CheckStatus::L7Rsp, down(DownCause::Unexpected)));
    assert_eq!(detail, "the answer is not HTTP/2: \"HTTP/1.1 400 Bad Request\"");

    let peer = tls_peer(config(&BOTH, &identity()), async |mut stream| stream.read(&mut [0; 1]).await).await;
    let (status, state, detail, _) = probe(konnectivity(), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L7Rsp, down(DownCause::Unexpected)));
    assert_eq!(detail, "the server does not choose HTTP/2 (ALPN)");
    assert_eq!(peer.script.await.unwrap().unwrap(), 0, "nothing is said to it but goodbye");
}

#[tokio::test]
async fn a_konnectivity_server_that_is_silent_times_out() {
    let (status, state, detail, _) = probe_within(SHORT, konnectivity(), greeting(b"").await.address).await;
    assert_eq!((status, state), (CheckStatus::L7Tout, down(DownCause::TimedOut)));
    assert_eq!(detail, "greeting timed out after 300ms");
}

// ---- k0s-join ----

// Seen to fail with /readyz asked for.
#[tokio::test]
async fn the_join_api_is_asked_for_its_root_and_its_404_will_do() {
    let peer = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    let (status, state, ..) = probe(Probe::K0sJoin(offering("http/1.1")), peer.address).await;
    assert_eq!((status, state), (CheckStatus::L7Ok, Readiness::Ready));
    assert!(peer.script.await.unwrap().starts_with("GET / HTTP/1.1\r\n"));
}
