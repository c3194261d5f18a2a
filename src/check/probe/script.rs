//! The probe that has a conversation: HAProxy's `option tcp-check`, with its words for where it came to.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::Attempt;
use super::seen::Seen;
use crate::event::{CheckStatus, DownCause, Readiness};
use crate::model::{ExpectForm, Pattern, Step};
use crate::net::tls::{Client, Established};

/// How much is kept of what a server says, in bytes: HAProxy's `tune.bufsize`.
const HEARD: usize = 16 * 1024;

/// A conversation ready to be had.
#[derive(Debug)]
pub(super) struct Script {
    steps: Vec<Step>,
    /// Whether the first of them is none that was stated.
    implied: bool,
    /// For the steps that connect over TLS.
    client: Option<Client>,
}

/// A connection, and what it was asked to show on the way.
enum Line {
    Plain(TcpStream),
    Tls(Box<Established>),
}

impl Script {
    /// One without a step that connects first has it put in front, as HAProxy does.
    pub fn new(steps: &[Step], client: Option<Client>) -> Self {
        let first = steps.iter().find(|step| !matches!(step, Step::Comment(_)));
        let begins = matches!(first, Some(Step::Connect { .. }));
        let first = (!begins).then_some(Step::Connect { port: None, tls: client.is_some() });
        Self { steps: first.into_iter().chain(steps.iter().cloned()).collect(), implied: !begins, client }
    }

    /// Has it, until a step fails.
    pub async fn run(&self, attempt: &mut Attempt<'_>) -> Seen {
        let mut line = None;
        let mut heard = Vec::new();
        let mut comment = None;
        // The file's first is 1.
        for (number, step) in (usize::from(!self.implied)..).zip(&self.steps) {
            let place = Place { number, step, comment };
            let failed = match step {
                Step::Connect { port, tls } => match self.connect(attempt, *port, *tls).await {
                    Ok(connected) => {
                        heard.clear();
                        line = Some(connected);
                        None
                    }
                    Err(seen) if number == 0 => Some(seen.at_step(FIRST)),
                    Err(seen) => Some(seen.at_step(&place.words())),
                },
                Step::Send(bytes) => place.send(attempt, line.as_mut(), bytes).await,
                Step::Expect { negated, pattern, .. } => {
                    place.expect(attempt, line.as_mut(), &mut heard, *negated, pattern).await
                }
                Step::Comment(text) => {
                    comment = Some(text.as_str());
                    None
                }
            };
            if let Some(seen) = failed {
                return seen.over_line(line);
            }
        }
        self.passed(line)
    }

    async fn connect(&self, attempt: &mut Attempt<'_>, port: Option<u16>, tls: bool) -> Result<Line, Seen> {
        let address = SocketAddr::new(attempt.address.ip(), port.unwrap_or(attempt.address.port()));
        let tcp = attempt.connect_to(address).await?;
        match self.client.as_ref().filter(|_| tls) {
            None => Ok(Line::Plain(tcp)),
            Some(client) => Ok(Line::Tls(Box::new(attempt.handshake(client, tcp).await?))),
        }
    }

    /// A conversation that does no more than connect says what a probe without one would say.
    fn passed(&self, line: Option<Line>) -> Seen {
        let talks = self.steps.iter().any(|step| matches!(step, Step::Send(_) | Step::Expect { .. }));
        let seen = match (&line, talks) {
            (_, true) => {
                let seen = Seen::new(Readiness::Ready, CheckStatus::L7Ok, "it answered as expected");
                Seen { code: Some(0), info: "(tcp-check)".to_owned(), ..seen }
            }
            (Some(Line::Tls(_)), false) => Seen::new(Readiness::Ready, CheckStatus::L6Ok, "TLS handshake"),
            (_, false) => Seen::new(Readiness::Ready, CheckStatus::L4Ok, "connected"),
        };
        seen.over_line(line)
    }
}

/// Where a conversation without a step of its own that connects fails to.
const FIRST: &str = " at initial connection step of tcp-check";

impl Seen {
    /// Says in HAProxy's words how far the conversation had come.
    fn at_step(self, words: &str) -> Self {
        Self { info: format!("{}{words}", self.info), ..self }
    }

    /// Keeps a TLS connection for a clean end.
    fn over_line(self, line: Option<Line>) -> Self {
        match line {
            Some(Line::Tls(established)) => self.over(*established, true),
            Some(Line::Plain(_)) | None => self,
        }
    }
}

/// Where in the conversation something went wrong.
struct Place<'a> {
    number: usize,
    step: &'a Step,
    /// What it is about.
    comment: Option<&'a str>,
}

impl Place<'_> {
    /// Says something; what went wrong, if anything did.
    async fn send(&self, attempt: &Attempt<'_>, line: Option<&mut Line>, bytes: &[u8]) -> Option<Seen> {
        let said = async {
            match line {
                Some(Line::Plain(tcp)) => say(tcp, bytes).await,
                Some(Line::Tls(established)) => say(&mut established.stream, bytes).await,
                None => Ok(()),
            }
        };
        match timeout_at(attempt.deadline, said).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(self.broken(&error)),
            Err(_) => Some(self.too_late(attempt)),
        }
    }

    /// Listens until what is expected has come, or can't any more.
    async fn expect(
        &self,
        attempt: &Attempt<'_>,
        line: Option<&mut Line>,
        heard: &mut Vec<u8>,
        negated: bool,
        pattern: &Pattern,
    ) -> Option<Seen> {
        let listened = async {
            match line {
                Some(Line::Plain(tcp)) => listen(tcp, heard, pattern).await,
                Some(Line::Tls(established)) => listen(&mut established.stream, heard, pattern).await,
                None => Ok(false),
            }
        };
        match timeout_at(attempt.deadline, listened).await {
            Ok(Ok(found)) if found != negated && !heard.is_empty() => None,
            Ok(Ok(true)) => Some(self.unwanted(pattern)),
            Ok(Ok(false)) => Some(self.missing(heard.is_empty(), pattern)),
            Ok(Err(error)) => Some(self.broken(&error)),
            Err(_) => Some(self.too_late(attempt)),
        }
    }

    fn unwanted(&self, pattern: &Pattern) -> Seen {
        let words = format!("matched unwanted content{} at step {}", quoted(pattern), self.number);
        self.odd(&words)
    }

    fn missing(&self, silent: bool, pattern: &Pattern) -> Seen {
        match silent {
            true => self.odd(&format!("got an empty response at step {}", self.number)),
            false => self.odd(&format!("did not match content{} at step {}", quoted(pattern), self.number)),
        }
    }

    fn odd(&self, words: &str) -> Seen {
        let seen = Seen::down(DownCause::Unexpected, CheckStatus::L7Rsp, format!("it {words}"));
        Seen { info: format!("TCPCHK {words}{}", self.about("")), ..seen }
    }

    fn too_late(&self, attempt: &Attempt<'_>) -> Seen {
        let detail = attempt.too_late(&format!("step {}", self.number));
        let seen = Seen::down(DownCause::TimedOut, CheckStatus::L7Tout, detail);
        Seen { info: self.words(), ..seen }
    }

    fn broken(&self, error: &std::io::Error) -> Seen {
        let seen = Seen::down(DownCause::Unexpected, CheckStatus::L7Rsp, format!("step {}: {error}", self.number));
        Seen { info: format!("{error}{}", self.words()), ..seen }
    }

    fn words(&self) -> String {
        let what = match self.step {
            Step::Connect { port: Some(port), .. } => format!("connect port {port}"),
            Step::Connect { port: None, .. } => "connect".to_owned(),
            Step::Send(_) => "send".to_owned(),
            Step::Expect { form: ExpectForm::Regex, .. } => "expect regex".to_owned(),
            Step::Expect { form: ExpectForm::Binary, pattern: Pattern::Text(bytes), .. } => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                format!("expect binary '{digits}'")
            }
            Step::Expect { pattern: Pattern::Text(text), .. } => {
                format!("expect string '{}'", String::from_utf8_lossy(text))
            }
            Step::Expect { .. } => "expect binary regex".to_owned(),
            Step::Comment(_) => "comment".to_owned(),
        };
        format!(" at step {} of tcp-check ({what}){}", self.number, self.about("'"))
    }

    /// HAProxy has the comment between quotation marks where the connection failed, and without them where the answer did.
    fn about(&self, mark: &str) -> String {
        self.comment.map(|text| format!(" comment: {mark}{text}{mark}")).unwrap_or_default()
    }
}

/// The text that was looked for, as it stands in a message; nothing for an expression.
fn quoted(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Text(text) => format!(" '{}'", String::from_utf8_lossy(text)),
        Pattern::Regex(_) => String::new(),
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Reads until the pattern is found (true), or the server has said its last word or too much (false).
async fn listen(
    stream: &mut (impl AsyncRead + Unpin),
    heard: &mut Vec<u8>,
    pattern: &Pattern,
) -> std::io::Result<bool> {
    let mut piece = [0; 2048];
    loop {
        if !heard.is_empty() && pattern.is_in(heard) {
            return Ok(true);
        }
        if heard.len() >= HEARD {
            return Ok(false);
        }
        match stream.read(&mut piece).await? {
            0 => return Ok(false),
            count => heard.extend_from_slice(&piece[..count]),
        }
    }
}
