//! One TLS connection, and requests over it.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::tls;
use crate::records::End;

/// A connection on which one request follows another.
pub struct Talk {
    stream: TlsStream<TcpStream>,
    heard: Vec<u8>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// The server closes after it.
    pub last: bool,
}

/// A step of a connection that went wrong.
pub struct Trouble {
    pub step: &'static str,
    pub end: End,
    pub error: Error,
}

impl Trouble {
    fn at(step: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self { step, end: end(&error), error }
    }

    /// Step and cause, as a record has it.
    pub fn text(&self) -> String {
        let Self { step, end, error } = self;
        if *end == End::Other { format!("{step}: {error}") } else { format!("{step}: {end}") }
    }
}

fn end(error: &Error) -> End {
    match error.kind() {
        ErrorKind::UnexpectedEof => End::Fin,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionRefused => End::Reset,
        ErrorKind::TimedOut => End::TimedOut,
        _ => End::Other,
    }
}

impl Talk {
    /// Connects and shakes hands.
    pub async fn open(address: SocketAddr, connector: &TlsConnector) -> Result<Self, Trouble> {
        let stream = TcpStream::connect(address).await.map_err(Trouble::at("connect"))?;
        let _ = stream.set_nodelay(true);
        let name = ServerName::IpAddress(address.ip().into());
        let stream = connector.connect(name, stream).await.map_err(Trouble::at("handshake"))?;
        Ok(Self { stream, heard: Vec::new() })
    }

    /// Sends a request. If this fails, the connection was over before: the server has not seen it.
    pub async fn send(&mut self, request: &str) -> Result<(), Trouble> {
        self.stream.write_all(request.as_bytes()).await.map_err(Trouble::at("request"))?;
        self.stream.flush().await.map_err(Trouble::at("request"))
    }

    /// Waits for the answer to what was sent.
    pub async fn answer(&mut self) -> Result<Answer, Trouble> {
        loop {
            if let Some(answer) = parse(&mut self.heard) {
                return Ok(answer);
            }
            self.read().await.map_err(Trouble::at("answer"))?;
        }
    }

    pub async fn ask(&mut self, request: &str) -> Result<Answer, Trouble> {
        self.send(request).await?;
        self.answer().await
    }

    /// Waits for the end of a connection on which nothing is to come.
    pub async fn until_end(&mut self) -> End {
        loop {
            self.heard.clear();
            match self.stream.read_buf(&mut self.heard).await {
                Ok(0) => return End::Goodbye,
                Ok(_) => {}
                Err(error) => return end(&error),
            }
        }
    }

    /// Reads and forgets so many bytes.
    pub async fn swallow(&mut self, mut bytes: usize) -> Result<(), Trouble> {
        while bytes > 0 {
            self.heard.clear();
            self.heard.reserve(64 * 1024);
            bytes = bytes.saturating_sub(self.read().await.map_err(Trouble::at("stream"))?);
        }
        Ok(())
    }

    /// Ends it as a client does that has all that it wanted.
    pub async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }

    async fn read(&mut self) -> Result<usize, Error> {
        match self.stream.read_buf(&mut self.heard).await? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "close_notify")),
            read => Ok(read),
        }
    }
}

/// Takes a whole answer from what was heard.
fn parse(heard: &mut Vec<u8>) -> Option<Answer> {
    let end = heard.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&heard[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(Some(0), |text| text.trim().parse().ok())?;
    let body = String::from_utf8_lossy(heard.get(end..end + length)?).into_owned();
    heard.drain(..end + length);
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body, last: head.contains("\nconnection: close") })
}

/// Full handshakes with anybody: what is measured is a new client's first connection.
pub fn connector() -> TlsConnector {
    TlsConnector::from(tls::client())
}
