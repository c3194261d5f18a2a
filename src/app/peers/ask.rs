//! One question to one peer: `GET /api/v1/status`, on a connection of its own, within a time and a size.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::admin::{bounded, read_answer};
use crate::event::PeerAnswer;
use crate::model::{HostAddress, Peer, TlsProbe, Verify};
use crate::net::resolve::resolve;
use crate::net::tls::Client;

/// From the name to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Largest answer that is read, in bytes: some thousand servers.
const MAX_ANSWER: usize = 4 << 20;

const PATH: &str = "/api/v1/status";

/// What is asked of one peer, again and again.
#[derive(Debug)]
pub struct Question {
    peer: Peer,
    tls: Option<Result<Client, String>>,
}

impl Question {
    /// One at `https://` is believed if one of the authorities has signed its certificate, and that has its name.
    pub fn new(peer: &Peer, authorities: Option<&(PathBuf, Arc<[Vec<u8>]>)>) -> Self {
        let tls = peer.tls.then(|| client(peer, authorities));
        Self { peer: peer.clone(), tls }
    }

    /// The answer; otherwise why there is none, in words.
    pub async fn ask(&self) -> Result<PeerAnswer, String> {
        let late = |_| format!("no answer within {} s", TIMEOUT.as_secs());
        let body = timeout(TIMEOUT, self.body()).await.map_err(late)??;
        // Some megabytes of a stranger's JSON are not the control thread's.
        let read = tokio::task::spawn_blocking(move || read_answer(&body));
        read.await.map_err(|_| "its answer can't be read".to_owned())?
    }

    async fn body(&self) -> Result<Bytes, String> {
        let address = self.address().await?;
        let stream = TcpStream::connect(address).await.map_err(|error| words(&error))?;
        match &self.tls {
            None => self.exchange(stream).await,
            Some(Ok(client)) => {
                let established = client.handshake(stream, address.ip()).await.map_err(|error| error.to_string())?;
                self.exchange(established.stream).await
            }
            Some(Err(reason)) => Err(reason.clone()),
        }
    }

    async fn address(&self) -> Result<SocketAddr, String> {
        let ip = match &self.peer.host {
            HostAddress::Ip(ip) => *ip,
            HostAddress::Name(name) => resolve(name, None, TIMEOUT).await.map_err(|error| error.to_string())?,
        };
        Ok(SocketAddr::new(ip, self.peer.port))
    }

    async fn exchange<S>(&self, stream: S) -> Result<Bytes, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| bounded(&format!("the connection broke: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::builder()
            .uri(PATH)
            .header(HOST, self.peer.authority())
            .header(USER_AGENT, concat!("evenkeel/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .expect("hosts and ports may stand in a header");
        let answered = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| bounded(&format!("its answer can't be taken: {error}")))?.to_bytes();
            if status == StatusCode::OK { Ok(body) } else { Err(refused(status, &body)) }
        };
        // The connection is driven beside the question, and ends with it.
        let mut connection = std::pin::pin!(connection);
        let mut answered = std::pin::pin!(answered);
        tokio::select! {
            answer = answered.as_mut() => answer,
            _ended = connection.as_mut() => answered.await,
        }
    }
}

fn client(peer: &Peer, authorities: Option<&(PathBuf, Arc<[Vec<u8>]>)>) -> Result<Client, String> {
    let (file, roots) = authorities.ok_or("nobody is believed: set peers_ca")?;
    let server_name = match &peer.host {
        HostAddress::Name(name) => Some(name.clone()),
        HostAddress::Ip(_) => None,
    };
    let verify = Verify::Ca { file: file.clone(), roots: Arc::clone(roots), any_name: false };
    let probe = TlsProbe { verify, server_name, alpn: vec!["http/1.1".to_owned()], identity: None };
    Client::new(&probe, None).map_err(|error| error.to_string())
}

/// Another status, with the first line of what is said to it.
fn refused(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(1_024)]).into_owned();
    let line = bounded(text.lines().next().unwrap_or_default().trim());
    if line.is_empty() { format!("it answers {status}") } else { format!("it answers {status}: {line}") }
}

fn words(error: &std::io::Error) -> String {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    match error.kind() {
        ConnectionRefused => "connection refused".to_owned(),
        HostUnreachable => "host unreachable".to_owned(),
        NetworkUnreachable => "network unreachable".to_owned(),
        _ => error.to_string(),
    }
}
