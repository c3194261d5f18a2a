//! TLS as a stats listener speaks it: the server's side of a handshake.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::words;
use crate::model::Identity;

/// The first byte of a connection that begins with a handshake (RFC 8446, section 5.1).
pub const HANDSHAKE: u8 = 22;

/// How a listener speaks TLS: 1.2 and 1.3, with HTTP/1.1 inside.
#[derive(Clone)]
pub struct Server(TlsAcceptor);

/// Why a certificate and its key can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the page's certificate {file} can't be used: {reason}")]
pub struct ServerError {
    pub file: String,
    pub reason: String,
}

impl Server {
    /// Shows this certificate to everybody.
    ///
    /// # Errors
    ///
    /// If the key is of a kind that is not to be had, or not the certificate's.
    pub fn new(identity: &Identity) -> Result<Self, ServerError> {
        let failed = |reason: String| ServerError { file: identity.files[0].display().to_string(), reason };
        let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivateKeyDer::try_from(identity.key.0.clone()).map_err(|error| failed(error.to_owned()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
            .expect("ring has suites for both versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| failed(words::of_error(&error)))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// A handshake with a client; the caller bounds the time.
    ///
    /// # Errors
    ///
    /// Whatever is wrong is the client's affair.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        self.0.accept(stream).await
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}
