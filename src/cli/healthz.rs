//! `evenkeel healthz`: whether the process serves, as an exit code, for keepalived and containers that have no curl.

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use hyper::{StatusCode, Uri};
use tokio::net::TcpStream;

use super::client::{Answer, Client, Unanswered, exchange, plain_get};
use super::socket::{DEFAULT, SocketOption};
use super::{Exit, tell_line};
use crate::model::{TlsProbe, Verify};
use crate::net::tls;

/// The process itself gives its workers two seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Port of the stats page unless the URL says another.
const PORT: u16 = 9000;

/// Where the stats page is unless configured otherwise.
const USUAL: &str = "http://127.0.0.1:9000";

/// The same with `[stats] tls`.
const USUAL_TLS: &str = "https://127.0.0.1:9000";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  evenkeel healthz
  evenkeel healthz --url http://127.0.0.1:9001   of a process without an admin socket
  evenkeel healthz --url https://127.0.0.1:9000  with [stats] tls, whatever its certificate
  evenkeel healthz --ready                       and each required backend has a server

Without --socket, EVENKEEL_SOCKET and an admin socket at the usual place, the stats listener
is asked where it usually is, http://127.0.0.1:9000.

Exit code 0 if it serves, 1 if not, with the reason on standard error. It never depends on
backends unless --ready is given: a VIP must not move, nor a container restart, because a
controller is down.")]
pub(super) struct Options {
    /// Ask the stats listener there instead of the admin socket
    #[arg(long, conflicts_with = "socket", value_parser = url)]
    url: Option<Uri>,
    /// Ask whether clients should be sent here: /readyz instead of /livez
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    socket: SocketOption,
}

fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("it is no URL: {error}"))?;
    match (uri.scheme_str(), uri.path(), uri.query()) {
        (Some("http" | "https"), "/" | "", None) => Ok(uri),
        _ => {
            Err("expected http:// or https://address:port of the stats listener, such as http://127.0.0.1:9000".into())
        }
    }
}

pub(super) async fn run(options: &Options) -> anyhow::Result<Exit> {
    let path = if options.ready { "/readyz" } else { "/livez" };
    let Answer { status, body } = match &options.url {
        Some(url) => ask(url, path).await?,
        None if options.socket.is_nowhere() => {
            let usual = ask_as_it_speaks(path).await;
            usual.with_context(|| format!("there is no admin socket at {DEFAULT}, so the stats listener was asked"))?
        }
        None => Client::new(&options.socket).patient(PATIENCE).get(path).await?,
    };
    if status == StatusCode::OK {
        return Ok(Exit::Done);
    }
    for reason in String::from_utf8_lossy(&body).lines() {
        tell_line(reason);
    }
    Ok(Exit::Failed)
}

/// Where TLS is spoken, a question in plain HTTP is a bad request.
async fn ask_as_it_speaks(path: &str) -> anyhow::Result<Answer> {
    let answer = ask(&Uri::from_static(USUAL), path).await?;
    match answer.status {
        StatusCode::BAD_REQUEST => ask(&Uri::from_static(USUAL_TLS), path).await,
        _ => Ok(answer),
    }
}

async fn ask(url: &Uri, path: &str) -> anyhow::Result<Answer> {
    let asked = async {
        let host = url.host().unwrap_or_default();
        let inner = host.trim_start_matches('[').trim_end_matches(']');
        let at = (inner, url.port_u16().unwrap_or(PORT));
        let stream = TcpStream::connect(at).await.with_context(|| format!("nobody answers at {url}"))?;
        let request = plain_get(host, path).map_err(|error| anyhow!("{url} can't be asked: {error}"))?;
        if url.scheme_str() != Some("https") {
            return Ok(exchange(stream, request).await?);
        }
        let address = stream.peer_addr().with_context(|| format!("{url} has hung up"))?;
        let established = tls_client()?.handshake(stream, address.ip()).await;
        Ok(exchange(established.with_context(|| format!("{url} speaks no TLS"))?.stream, request).await?)
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Unanswered::Late(PATIENCE).into()))
}

/// Believes whoever answers: nothing is sent that is a secret, and the name in the certificate is that which people use.
fn tls_client() -> Result<tls::Client, tls::ClientError> {
    let alpn = vec!["http/1.1".to_owned()];
    tls::Client::new(&TlsProbe { verify: Verify::None, server_name: None, alpn, identity: None }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_the_listener_s_and_no_page_s() {
        for good in ["http://127.0.0.1:9000", "http://[::1]:9000/", "http://lb-1", "https://127.0.0.1:9000"] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in
            ["ftp://127.0.0.1:9000", "127.0.0.1:9000", "http://127.0.0.1:9000/livez", "http://h/?a", "http://", ""]
        {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
