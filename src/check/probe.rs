//! One probe: from the dial to a verdict, all under one deadline.
//!
//! A probe must not be noticed more than it has to be. After a complete handshake it says goodbye as a client should
//! ([`Farewell`]), so that it leaves no line in a server's log, and the verdict doesn't wait for that.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use self::question::Question;
use self::seen::Seen;
use crate::clock;
use crate::event::{CheckStatus, DownCause, Evidence, Readiness, Verdict, VerdictSource};
use crate::model::{Check, Credential, Probe};
use crate::net::tls::{self, Client, ClientError, Established};
use crate::net::{self, DialError};

mod http;
mod http2;
mod meaning;
mod question;
mod seen;
mod token;

pub use self::token::{LiveToken, Tokens};

/// How long the rest of an answer, and then the end of a goodbye, are waited for. What is still open after that is left
/// to the kernel, which sends FIN or RST.
const FAREWELL: Duration = Duration::from_millis(500);

/// How much of a server's last words is read, in bytes, for the sake of a clean end.
const LAST_WORDS: usize = 64 * 1024;

/// A check made ready to be run any number of times, against any of its servers.
#[derive(Debug)]
pub struct Prober {
    kind: Kind,
    timeout: Duration,
}

#[derive(Debug)]
enum Kind {
    Tcp,
    Tls(Client),
    Http(Client, Question),
    Konnectivity(Client),
}

/// What a probe brought back.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    /// What the handshake agreed on, if there was one.
    pub tls: Option<TlsFacts>,
    /// To be finished once the verdict is told. Dropping it instead may show up in the server's log.
    pub farewell: Option<Farewell>,
}

/// What a handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// "TLS 1.2", "TLS 1.3".
    pub version: &'static str,
    pub alpn: Option<String>,
}

/// The end of a probe's connection, which is still open.
#[derive(Debug)]
pub struct Farewell {
    stream: TlsStream<TcpStream>,
    /// An answer is still coming, after which the server closes.
    answer_left: bool,
}

impl Prober {
    /// Reads the check's settings; TLS ones may turn out to be unusable. Probers of one token file share `tokens`.
    pub fn new(check: &Check, tokens: &mut Tokens) -> Result<Self, ClientError> {
        let kind = match &check.probe {
            Probe::Tcp => Kind::Tcp,
            Probe::Tls(tls) => Kind::Tls(Client::new(tls, None)?),
            Probe::Https(https) => Kind::Http(Client::new(&https.tls, None)?, Question::of_https(https)),
            Probe::KubeApiserver(apiserver) => {
                let identity = match &apiserver.credential {
                    Some(Credential::Certificate(identity)) => Some(identity),
                    Some(Credential::Token(_)) | None => None,
                };
                Kind::Http(Client::new(&apiserver.tls, identity)?, Question::of_apiserver(apiserver, tokens))
            }
            Probe::K0sJoin(tls) => Kind::Http(Client::new(tls, None)?, Question::of_join_api(tls)),
            Probe::Konnectivity(tls) => Kind::Konnectivity(Client::new(tls, None)?),
        };
        Ok(Self { kind, timeout: check.timeout })
    }

    /// Probes whoever listens at this address.
    pub async fn probe(&self, address: SocketAddr) -> Outcome {
        let started = Instant::now();
        let seen = Attempt { prober: self, address, deadline: started + self.timeout }.run().await;
        let evidence = Evidence {
            status: seen.status,
            detail: seen.detail,
            duration: started.elapsed(),
            code: seen.code,
            certificate: seen.certificate,
            remark: seen.remark,
            at: clock::wall(),
        };
        let verdict = Verdict { state: seen.state, evidence, source: VerdictSource::Probe };
        Outcome { verdict, tls: seen.tls, farewell: seen.farewell }
    }
}

/// One probe under way.
struct Attempt<'a> {
    prober: &'a Prober,
    address: SocketAddr,
    deadline: Instant,
}

impl Attempt<'_> {
    async fn run(&self) -> Seen {
        let tcp = match self.connect().await {
            Ok(tcp) => tcp,
            Err(seen) => return seen,
        };
        let client = match &self.prober.kind {
            // Nothing was said; the kernel's FIN is the whole goodbye.
            Kind::Tcp => return Seen::new(Readiness::Ready, CheckStatus::L4Ok, "connected"),
            Kind::Tls(client) | Kind::Http(client, _) | Kind::Konnectivity(client) => client,
        };
        let begun = Instant::now();
        let established = match self.handshake(client, tcp).await {
            Ok(established) => established,
            Err(seen) => return seen,
        };
        match &self.prober.kind {
            Kind::Tcp | Kind::Tls(_) => {
                let detail = format!("{} handshake in {}", established.version, seen::in_words(begun.elapsed()));
                Seen::new(Readiness::Ready, CheckStatus::L6Ok, detail).over(established, false)
            }
            Kind::Http(_, question) => self.ask(question, established).await,
            Kind::Konnectivity(_) => self.greet(established).await,
        }
    }

    async fn connect(&self) -> Result<TcpStream, Seen> {
        let dialled = timeout_at(self.deadline, net::dial(self.address)).await;
        dialled.unwrap_or(Err(DialError::TimedOut)).map_err(|error| match error {
            DialError::TimedOut => Seen::down(DownCause::Unreachable, CheckStatus::L4Tout, self.too_late("connecting")),
            other => Seen::not_dialled(&other),
        })
    }

    async fn handshake(&self, client: &Client, tcp: TcpStream) -> Result<Established, Seen> {
        let other = tcp.as_fd().try_clone_to_owned();
        let handshake = client.handshake(tcp, self.address.ip());
        let handshake = net::options::until_reset(other, self.deadline, handshake).await;
        handshake
            .ok_or_else(|| Seen::down(DownCause::TimedOut, CheckStatus::L6Tout, self.too_late("handshake")))?
            .map_err(|failure| Seen::no_handshake(&failure))
    }

    async fn ask(&self, question: &Question, mut established: Established) -> Seen {
        if established.alpn.as_deref() == Some("h2") {
            let detail = "the server chose HTTP/2, which this probe does not speak";
            return Seen::down(DownCause::Unexpected, CheckStatus::L7Rsp, detail).over(established, false);
        }
        let request = question.request(self.address, self.deadline).await;
        let begun = Instant::now();
        let enough = |code| question.meaning.state(code) == Readiness::Ready;
        match http::ask(&mut established.stream, &request, enough, self.deadline).await {
            Ok(answer) => question.meaning.read(&answer, begun.elapsed()).over(established, true),
            Err(error) => Seen::no_answer(&error, self.too_late("answer")).over(established, false),
        }
    }

    async fn greet(&self, mut established: Established) -> Seen {
        if established.alpn.as_deref() != Some("h2") {
            let detail = "the server does not choose HTTP/2 (ALPN)";
            return Seen::down(DownCause::Unexpected, CheckStatus::L7Rsp, detail).over(established, false);
        }
        let begun = Instant::now();
        match http2::greet(&mut established.stream, self.deadline).await {
            Ok(greeting) => Seen::greeted(greeting, begun.elapsed()).over(established, false),
            Err(error) => Seen::no_answer(&error, self.too_late("greeting")).over(established, false),
        }
    }

    fn too_late(&self, what: &str) -> String {
        format!("{what} timed out after {:?}", self.prober.timeout)
    }
}

impl Farewell {
    /// Says goodbye and waits for the server's own, for at most a second.
    pub async fn finish(mut self) {
        // Whatever goes wrong from here on, the verdict stands.
        if self.answer_left {
            // Leaving in the middle of an answer looks to a server like a client that went away.
            let mut rest = (&mut self.stream).take(LAST_WORDS as u64);
            let _ = timeout(FAREWELL, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
        }
        let other = self.stream.get_ref().0.as_fd().try_clone_to_owned();
        let goodbye = tls::close(self.stream, LAST_WORDS);
        let _ = net::options::until_reset(other, Instant::now() + FAREWELL, goodbye).await;
    }
}

#[cfg(test)]
mod tests;
