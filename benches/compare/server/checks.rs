//! The servers' TLS side, which only the proxies' checks see: the load is plain TCP, so that TLS costs nobody anything.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::wire;

/// Longest wait for the next byte of a check.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers checks from now on.
pub fn serve(places: u8) -> Result<()> {
    let config = Arc::new(config()?);
    for place in 1..=places {
        for number in 0..wire::SERVERS {
            let listener = TcpListener::bind((wire::server(place, number), wire::CHECK_PORT))?;
            let config = Arc::clone(&config);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let config = Arc::clone(&config);
                    thread::spawn(move || answer(stream, config));
                }
            });
        }
    }
    Ok(())
}

fn config() -> Result<ServerConfig> {
    let own = rcgen::generate_simple_self_signed(vec!["kubernetes".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
    Ok(ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?)
}

/// A handshake, and whatever follows until the proxy has enough.
fn answer(stream: TcpStream, config: Arc<ServerConfig>) {
    let Ok(connection) = ServerConnection::new(config) else { return };
    if stream.set_read_timeout(Some(PATIENCE)).is_ok() {
        let _ = StreamOwned::new(connection, stream).read_to_end(&mut Vec::new());
    }
}
