//! TLS as a probe speaks it: the client's side of a handshake, what it showed, and a close that leaves no trace.
//!
//! Sessions are never decrypted; only probes use this, and the stats listener ([`Server`]). A [`Client`] is made once per
//! check and shared by its probes.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::event::Certificate;
use crate::model::{Identity, TlsProbe, Verify};

mod certificate;
mod server;
mod verifier;
mod words;

pub use certificate::read as read_certificate;
pub use server::{HANDSHAKE, Server, ServerError};

/// How the probes of one check speak TLS: 1.2 and 1.3, every handshake a full one.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    /// `None`: the server's address stands for it.
    name: Option<ServerName<'static>>,
}

/// Why a check's TLS settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("server name {name:?} is neither a host name nor an address")]
    ServerName { name: String, source: InvalidDnsNameError },
    #[error("the authorities' certificates can't be used: {0}")]
    Roots(String),
    #[error("the client certificate can't be used: {0}")]
    Identity(String),
}

/// A handshake that was completed.
#[derive(Debug)]
pub struct Established {
    pub stream: TlsStream<TcpStream>,
    /// "TLS 1.2", "TLS 1.3".
    pub version: &'static str,
    /// The protocol that the server chose, if we offered any and it chose one.
    pub alpn: Option<String>,
    /// The server's own certificate; `None` if it can't be read.
    pub certificate: Option<Certificate>,
}

/// Why speaking TLS failed, in the handshake or later.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The peer speaks no TLS, not ours, refused us or isn't believed; in words, lower case.
    #[error("{0}")]
    Tls(String),
    #[error("connection reset")]
    Reset,
    #[error("connection closed")]
    Closed,
    #[error("{0}")]
    Io(io::Error),
}

impl Client {
    /// Builds the client's side from a check's settings.
    ///
    /// SNI is sent only if the settings have a name: addresses never are (RFC 6066, section 3). With [`Verify::Ca`]
    /// that name, or else the server's address, must stand in a certificate which one of the authorities has signed; where
    /// any name will do, it has to be signed alone.
    /// `identity`, or else the settings' own, is shown to servers that ask for one.
    pub fn new(probe: &TlsProbe, identity: Option<&Identity>) -> Result<Self, ClientError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
            .expect("ring has suites for both versions");
        let builder = match &probe.verify {
            Verify::None => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier::Anyone::new(&provider)))
            }
            Verify::Ca { roots, any_name: true, .. } => {
                let verifier = verifier::OfAuthority::new(root_store(roots)?, &provider);
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            Verify::Ca { roots, .. } => builder.with_root_certificates(root_store(roots)?),
        };
        let mut config = match identity.or(probe.identity.as_ref()) {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
                let key = PrivateKeyDer::try_from(identity.key.0.clone())
                    .map_err(|error| ClientError::Identity(error.to_owned()))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| ClientError::Identity(words::of_error(&error)))?
            }
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = probe.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = probe.server_name.as_deref().map(server_name).transpose()?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// A full handshake on a connection to `address`.
    pub async fn handshake(&self, tcp: TcpStream, address: IpAddr) -> Result<Established, Failure> {
        let name = self.name.clone().unwrap_or_else(|| ServerName::IpAddress(address.to_canonical().into()));
        let stream = TlsConnector::from(self.config.clone()).connect(name, tcp).await.map_err(Failure::from)?;
        let (_, connection) = stream.get_ref();
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS 1.3",
        };
        let alpn = connection.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
        let certificate = connection.peer_certificates().and_then(<[_]>::first).and_then(|leaf| read_certificate(leaf));
        Ok(Established { stream, version, alpn, certificate })
    }
}

/// Ends a connection so that the server's log stays quiet: close_notify, FIN, then reading to the server's own end.
///
/// Without the reading, session tickets that arrive after the close would be answered with RST, which servers report as
/// an error. Reads at most `limit` bytes; the caller bounds the time. Errors mean that the end has come.
pub async fn close(mut stream: TlsStream<TcpStream>, limit: usize) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let (mut tcp, _) = stream.into_inner();
    let mut scratch = [0; 4096];
    let mut left = limit;
    while left > 0 {
        match tcp.read(&mut scratch).await {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}

fn root_store(roots: &[Vec<u8>]) -> Result<RootCertStore, ClientError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from_slice(root)).map_err(|error| ClientError::Roots(words::of_error(&error)))?;
    }
    if store.is_empty() {
        return Err(ClientError::Roots("there is none".to_owned()));
    }
    Ok(store)
}

fn server_name(name: &str) -> Result<ServerName<'static>, ClientError> {
    ServerName::try_from(name.to_owned()).map_err(|source| ClientError::ServerName { name: name.to_owned(), source })
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::Tls(words::of_error(tls));
        }
        match error.kind() {
            // A pipe breaks when we write after the peer's RST.
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
