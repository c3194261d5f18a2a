//! One probe: from the dial to a verdict, all under one deadline.
//!
//! A probe must not be noticed more than it has to be. After a complete handshake it says goodbye as a client should
//! ([`Farewell`]), so that it leaves no line in a server's log, and the verdict doesn't wait for that.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use self::question::Question;
use self::request::Request;
use self::script::Script;
use self::seen::Seen;
use crate::clock;
use crate::event::{CheckStatus, DownCause, Evidence, Readiness, Verdict, VerdictSource};
use crate::model::{Check, Credential, Probe, ProbeTime, ProxyVersion, TlsProbe};
use crate::net::proxy_header::{self, Parties};
use crate::net::tls::{self, Client, ClientError, Established};
use crate::net::{self, DialError, Way};

mod http;
mod http2;
mod meaning;
mod question;
mod request;
mod script;
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
    time: ProbeTime,
    send_proxy: Option<ProxyVersion>,
}

#[derive(Debug)]
enum Kind {
    Tcp,
    Tls(Client),
    Http(Client, Question),
    Konnectivity(Client),
    Request(Option<Client>, Request),
    Script(Script),
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
            Probe::Http(probe) => Kind::Request(client(probe.tls.as_ref())?, Request::of(probe)),
            Probe::Script { steps, tls } => Kind::Script(Script::new(steps, client(tls.as_ref())?)),
        };
        Ok(Self { kind, timeout: check.timeout, time: check.time, send_proxy: check.send_proxy })
    }

    /// Probes whoever listens at this address; `interval` is the one in force, which bounds some probes.
    pub async fn probe(&self, address: SocketAddr, interval: Duration, way: Way<'_>) -> Outcome {
        let started = Instant::now();
        let (dial, whole) = match self.time {
            ProbeTime::Whole => (self.timeout, self.timeout),
            ProbeTime::Interval => (interval, interval),
            ProbeTime::Dial(dial) => (dial.min(interval), dial.min(interval) + self.timeout),
        };
        let deadline = started + whole;
        let seen = Attempt { prober: self, address, way, dial, limit: whole, deadline }.run().await;
        let evidence = Evidence {
            status: seen.status,
            detail: seen.detail,
            duration: started.elapsed(),
            code: seen.code,
            certificate: seen.certificate,
            remark: seen.remark,
            at: clock::wall(),
            info: seen.info,
        };
        let verdict = Verdict { state: seen.state, evidence, source: VerdictSource::Probe };
        Outcome { verdict, tls: seen.tls, farewell: seen.farewell }
    }
}

fn client(tls: Option<&TlsProbe>) -> Result<Option<Client>, ClientError> {
    tls.map(|tls| Client::new(tls, None)).transpose()
}

/// One probe under way.
struct Attempt<'a> {
    prober: &'a Prober,
    address: SocketAddr,
    way: Way<'a>,
    /// For a dial alone.
    dial: Duration,
    /// Up to the deadline: from the first dial on, or from the last one for a check whose dials have a time of their own.
    limit: Duration,
    deadline: Instant,
}

/// A probe stands for nobody. The first version has no word for that; HAProxy says its own connection's ends there.
fn introduction(version: ProxyVersion, tcp: &TcpStream) -> Vec<u8> {
    let ends = || Some(Parties::new(tcp.local_addr().ok()?, tcp.peer_addr().ok()?));
    let parties = if version == ProxyVersion::V1 { ends() } else { None };
    proxy_header::encode(version, parties)
}

impl Attempt<'_> {
    async fn run(&mut self) -> Seen {
        let prober = self.prober;
        if let Kind::Script(script) = &prober.kind {
            return script.run(self).await;
        }
        let tcp = match self.connect_to(self.address).await {
            Ok(tcp) => tcp,
            Err(seen) => return seen,
        };
        let client = match &prober.kind {
            // Nothing was said; the kernel's FIN is the whole goodbye.
            Kind::Tcp | Kind::Script(_) => return Seen::new(Readiness::Ready, CheckStatus::L4Ok, "connected"),
            Kind::Request(None, request) => return self.request(request, tcp).await,
            Kind::Tls(client) | Kind::Http(client, _) | Kind::Konnectivity(client) | Kind::Request(Some(client), _) => {
                client
            }
        };
        let begun = Instant::now();
        let established = match self.handshake(client, tcp).await {
            Ok(established) => established,
            Err(seen) => return seen,
        };
        match &self.prober.kind {
            Kind::Request(_, request) => self.request_over(request, established).await,
            Kind::Tcp | Kind::Script(_) | Kind::Tls(_) => {
                let detail = format!("{} handshake in {}", established.version, seen::in_words(begun.elapsed()));
                Seen::new(Readiness::Ready, CheckStatus::L6Ok, detail).over(established, false)
            }
            Kind::Http(_, question) => self.ask(question, established).await,
            Kind::Konnectivity(_) => self.greet(established).await,
        }
    }

    async fn connect_to(&mut self, address: SocketAddr) -> Result<TcpStream, Seen> {
        let dial_by = self.deadline.min(Instant::now() + self.dial);
        let dialled = timeout_at(dial_by, net::dial_by(address, self.way)).await;
        let mut tcp = dialled.unwrap_or(Err(DialError::TimedOut)).map_err(|error| match error {
            DialError::TimedOut => Seen::down(DownCause::Unreachable, CheckStatus::L4Tout, self.too_late("connecting")),
            other => Seen::not_dialled(&other),
        })?;
        if let ProbeTime::Dial(_) = self.prober.time {
            (self.limit, self.deadline) = (self.prober.timeout, Instant::now() + self.prober.timeout);
        }
        if let Some(version) = self.prober.send_proxy {
            // What can't be written shows in what follows.
            let _ = timeout_at(self.deadline, tcp.write_all(&introduction(version, &tcp))).await;
        }
        Ok(tcp)
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

    /// A request over a connection that is plain; closing it is the whole goodbye.
    async fn request(&self, request: &Request, mut tcp: TcpStream) -> Seen {
        let begun = Instant::now();
        match request.ask(&mut tcp, self.deadline).await {
            Ok(reply) => request.read(&reply, begun.elapsed()),
            Err(error) => Request::unanswered(&error, self.too_late("answer")),
        }
    }

    async fn request_over(&self, request: &Request, mut established: Established) -> Seen {
        let begun = Instant::now();
        match request.ask(&mut established.stream, self.deadline).await {
            Ok(reply) => request.read(&reply, begun.elapsed()).over(established, true),
            Err(error) => Request::unanswered(&error, self.too_late("answer")).over(established, false),
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
        format!("{what} timed out after {:?}", self.limit)
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
