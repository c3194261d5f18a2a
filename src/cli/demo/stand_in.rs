//! Stand-in controllers: TLS servers that answer as a kube-apiserver's health endpoints do, and can fail.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::clock;
use crate::model::ListenAddress;
use crate::net::{self, BindError, BindOptions, options};

/// Longest head of a request, in bytes.
const HEAD: usize = 16 * 1024;

/// How long a client may be quiet before its next request.
const IDLE: Duration = Duration::from_secs(300);

/// Between two events of a watch.
const EVENT: Duration = Duration::from_secs(2);

/// How long after an error of accepting the next connection is taken.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the demo's certificates are valid, in days: nobody is warned of their end.
const DAYS: i64 = 365;

/// The demo's own certificate authority, made anew each time.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// Why the demo has no certificates.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("can't make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("can't use a certificate: {0}")]
    Tls(#[from] rustls::Error),
}

impl Authority {
    pub fn new() -> Result<Self, AuthorityError> {
        let mut params = dated(CertificateParams::default());
        params.distinguished_name = name(&[(DnType::CommonName, "evenkeel demo CA")]);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// A certificate for the controller at this address, and TLS 1.2 and 1.3 with it.
    pub fn controller(&self, address: IpAddr) -> Result<Arc<ServerConfig>, AuthorityError> {
        let names = ["kubernetes", "kubernetes.default.svc", "localhost"].map(str::to_owned);
        let mut params = dated(CertificateParams::new(names)?);
        params.distinguished_name =
            name(&[(DnType::OrganizationName, "system:masters"), (DnType::CommonName, "kube-apiserver stand-in")]);
        // Clients come in by evenkeel's addresses as well as by its own.
        for address in [address, Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            params.subject_alt_names.push(SanType::IpAddress(address));
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        let chain = vec![certificate.der().clone(), self.0.der().clone()];
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn dated(mut params: CertificateParams) -> CertificateParams {
    let now = time::OffsetDateTime::from(clock::wall());
    // A clock that is a little slow elsewhere should not matter.
    params.not_before = now - time::Duration::hours(1);
    params.not_after = now + time::Duration::days(DAYS);
    params
}

fn name(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        name.push(kind.clone(), *value);
    }
    name
}

/// One port of a stand-in controller. Dropping it fails it.
#[derive(Debug)]
pub struct StandIn {
    name: Arc<str>,
    address: SocketAddr,
    tls: Arc<ServerConfig>,
    running: Option<Running>,
    /// A server that has failed and may still hold the port.
    ending: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Running {
    /// Dropped to fail the server.
    _alive: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Listens, on the current runtime; port 0 takes a free one. `name` is what answers tell of it.
    pub fn start(name: &str, address: SocketAddr, tls: Arc<ServerConfig>) -> Result<Self, BindError> {
        let mut stand_in = Self { name: name.into(), address, tls, running: None, ending: None };
        stand_in.listen()?;
        Ok(stand_in)
    }

    /// Where it listens, or will again.
    #[cfg(test)]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Closes the listener and resets all connections, as a crash of the process does.
    pub fn fail(&mut self) {
        if let Some(Running { task, .. }) = self.running.take() {
            self.ending = Some(task);
        }
    }

    /// Listens again after [`StandIn::fail`].
    pub async fn recover(&mut self) -> Result<(), BindError> {
        if let Some(ending) = self.ending.take() {
            // It ends by itself; whether well or in a panic, the port is free then.
            let _ = ending.await;
        }
        if self.is_up() { Ok(()) } else { self.listen() }
    }

    fn listen(&mut self) -> Result<(), BindError> {
        let options = BindOptions::with_backlog(1024);
        let bound = net::bind(ListenAddress::Tcp(self.address), &options)?;
        if let Ok(address) = bound.local_address() {
            self.address = address;
        }
        let listener = TcpListener::from_std(bound.into_std()).expect("the demo runs in a runtime with I/O");
        let (alive, dying) = watch::channel(());
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let task = tokio::spawn(accept(listener, acceptor, Arc::clone(&self.name), dying));
        self.running = Some(Running { _alive: alive, task });
        Ok(())
    }
}

/// Accepts until it fails, and then resets what is open.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor, name: Arc<str>, mut dying: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = dying.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    connections.spawn(serve(tcp, acceptor.clone(), Arc::clone(&name), dying.clone()));
                }
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection: requests until the client is done, or a reset when the controller fails.
async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, name: Arc<str>, mut dying: watch::Receiver<()>) {
    let mut handshake = std::pin::pin!(acceptor.accept(tcp));
    let mut stream = tokio::select! {
        _ = dying.changed() => {
            if let Some(tcp) = handshake.get_ref() {
                options::reset_on_close(tcp);
            }
            return;
        }
        accepted = &mut handshake => match accepted {
            Ok(stream) => stream,
            Err(_) => return,
        },
    };
    tokio::select! {
        _ = dying.changed() => options::reset_on_close(stream.get_ref().0),
        // Whatever ends it, there is nobody to tell.
        _ = answer_all(&mut stream, &name) => {
            let _ = stream.shutdown().await;
        }
    }
}

async fn answer_all(stream: &mut TlsStream<TcpStream>, name: &str) -> io::Result<()> {
    let mut received = Vec::new();
    while let Some(request) = timeout(IDLE, next_request(stream, &mut received)).await?? {
        match request.path.as_str() {
            "/readyz" | "/livez" | "/healthz" => answer(stream, "ok", request.keep_alive).await?,
            "/watch" => return watch(stream, name).await,
            path => answer(stream, &format!("{name} answers {path}\n"), request.keep_alive).await?,
        }
        if !request.keep_alive {
            break;
        }
    }
    Ok(())
}

async fn answer(stream: &mut TlsStream<TcpStream>, body: &str, keep_alive: bool) -> io::Result<()> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await?;
    stream.flush().await
}

/// An answer without end, one line at a time, as `kubectl get --watch` has it.
async fn watch(stream: &mut TlsStream<TcpStream>, name: &str) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    let line = format!("event from {name}\n");
    let chunk = format!("{:x}\r\n{line}\r\n", line.len());
    loop {
        stream.write_all(chunk.as_bytes()).await?;
        stream.flush().await?;
        // A client that leaves is noticed at once, not at the next event.
        if let Ok(read) = timeout(EVENT, stream.read(&mut [0; 64])).await
            && read? == 0
        {
            return Ok(());
        }
    }
}

#[derive(Debug, PartialEq)]
struct Request {
    path: String,
    keep_alive: bool,
}

/// The next request's head; `None` at the end of the connection, and for what is not a request.
async fn next_request(stream: &mut (impl AsyncRead + Unpin), received: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let request = parse(&String::from_utf8_lossy(&received[..end]));
            received.drain(..end + 4);
            return Ok(request);
        }
        let mut piece = [0; 2048];
        let count = stream.read(&mut piece).await?;
        if count == 0 || received.len() + count > HEAD {
            return Ok(None);
        }
        received.extend_from_slice(&piece[..count]);
    }
}

fn parse(head: &str) -> Option<Request> {
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    let closes = lines.any(|line| line.to_ascii_lowercase().replace(' ', "") == "connection:close");
    // A body is not read; the connection can't go on after one.
    let keep_alive = method == "GET" && version == "HTTP/1.1" && !closes;
    let path = target.split('?').next().unwrap_or_default();
    Some(Request { path: path.chars().filter(|c| !c.is_control()).take(200).collect(), keep_alive })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::probe_once;
    use crate::event::{CheckStatus, DownCause, Readiness};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn stand_in() -> StandIn {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tls = Authority::new().unwrap().controller(address.ip()).unwrap();
        StandIn::start("controller-1", address, tls).unwrap()
    }

    async fn probe(stand_in: &StandIn) -> crate::event::Verdict {
        let target = format!("https://{}/readyz", stand_in.address()).parse().unwrap();
        probe_once(&target, None, PATIENCE).await.unwrap().verdict
    }

    #[tokio::test]
    async fn it_is_ready_and_shows_its_certificate() {
        let stand_in = stand_in();
        let verdict = probe(&stand_in).await;
        assert_eq!((verdict.state, verdict.evidence.status), (Readiness::Ready, CheckStatus::L7Ok));
        let certificate = verdict.evidence.certificate.unwrap();
        assert_eq!(certificate.subject, "CN=kube-apiserver stand-in,O=system:masters");
        assert_eq!(certificate.issuer, "CN=evenkeel demo CA");
    }

    #[tokio::test]
    async fn it_fails_with_a_reset_and_recovers_on_the_same_port() {
        let mut stand_in = stand_in();
        let mut open = TcpStream::connect(stand_in.address()).await.unwrap();
        // Accepted for certain once a later connection has been served.
        probe(&stand_in).await;
        stand_in.fail();
        let error = timeout(PATIENCE, open.read(&mut [0; 1])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(probe(&stand_in).await.state, Readiness::Down(DownCause::Refused));
        stand_in.recover().await.unwrap();
        assert_eq!(probe(&stand_in).await.state, Readiness::Ready);
    }

    #[test]
    fn requests_are_read_as_far_as_a_demo_needs() {
        let request = |path: &str, keep_alive| Some(Request { path: path.to_owned(), keep_alive });
        assert_eq!(parse("GET /readyz?verbose HTTP/1.1\r\nHost: x"), request("/readyz", true));
        assert_eq!(parse("GET / HTTP/1.1\r\nConnection: close"), request("/", false));
        assert_eq!(parse("GET / HTTP/1.0"), request("/", false));
        assert_eq!(parse("POST / HTTP/1.1"), request("/", false));
        assert_eq!(parse("SSH-2.0-x"), None);
    }
}
