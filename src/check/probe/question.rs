//! What a check asks over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::meaning::Meaning;
use super::token::{LiveToken, Tokens};
use crate::model::{ApiserverProbe, Credential, HttpsProbe, TlsProbe};

/// A request, and what its answer means.
#[derive(Debug)]
pub(super) struct Question {
    path: String,
    /// For the request's `Host`; without one it is the server's address.
    server_name: Option<String>,
    token: Option<Arc<LiveToken>>,
    pub meaning: Meaning,
}

impl Question {
    pub fn of_https(probe: &HttpsProbe) -> Self {
        let meaning = Meaning::Listed { accept: probe.accept.clone(), draining: probe.draining.clone() };
        Self { path: probe.path.clone(), server_name: probe.tls.server_name.clone(), token: None, meaning }
    }

    pub fn of_apiserver(probe: &ApiserverProbe, tokens: &mut Tokens) -> Self {
        let token = match &probe.credential {
            Some(Credential::Token(file)) => Some(tokens.of(file)),
            Some(Credential::Certificate(_)) | None => None,
        };
        let meaning = Meaning::Apiserver { known: probe.credential.is_some() };
        Self { path: "/readyz".to_owned(), server_name: probe.tls.server_name.clone(), token, meaning }
    }

    pub fn of_join_api(tls: &TlsProbe) -> Self {
        Self { path: "/".to_owned(), server_name: tls.server_name.clone(), token: None, meaning: Meaning::JoinApi }
    }

    /// The request, for a server at this address (RFC 9110, section 7.2: `Host` is the authority asked for).
    pub async fn request(&self, address: SocketAddr, deadline: Instant) -> String {
        let host = match &self.server_name {
            Some(name) => format!("{name}:{}", address.port()),
            None => address.to_string(),
        };
        let authorization = match &self.token {
            Some(token) => format!("Authorization: Bearer {}\r\n", token.current(deadline).await.as_str()),
            None => String::new(),
        };
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: evenkeel-healthcheck/{version}\r\nAccept: */*\r\n\
             {authorization}Connection: close\r\n\r\n",
            path = self.path,
            version = env!("CARGO_PKG_VERSION"),
        )
    }
}
