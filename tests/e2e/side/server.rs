//! The servers of a script. Whoever speaks first is answered in its own language: TLS, HTTP, or a client's name.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

use crate::harness::namespace::Host;
use crate::harness::wait::PATIENCE;

/// The first bytes of a TLS record with a handshake, and of a PROXY header of either version.
const TLS_HANDSHAKE: u8 = 0x16;
const PROXY_V1: &[u8] = b"PROXY ";
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses of a PROXY header's second version, the last two of which are their length.
const PROXY_V2_BEGIN: usize = 16;

/// A server that may come and go.
pub struct Server {
    pub address: SocketAddr,
    listener: Option<Arc<TcpListener>>,
    shared: Arc<Shared>,
}

/// What its connections' threads know.
struct Shared {
    name: String,
    mood: Mutex<Mood>,
    tls: Mutex<Arc<ServerConfig>>,
    open: Mutex<Vec<TcpStream>>,
    sessions: Arc<Sessions>,
}

/// How it behaves.
#[derive(Clone)]
struct Mood {
    silent: bool,
    /// Keeps its own direction when the client has ended the other.
    holds: bool,
    status: u16,
    wants_header: bool,
    saying: Option<Saying>,
}

/// What it says to whoever connects, instead of all else.
#[derive(Clone)]
struct Saying {
    text: String,
    /// What it must have heard before.
    to: Option<String>,
}

/// The servers' ends of sessions, by the names of the clients that have asked.
#[derive(Default)]
pub struct Sessions {
    ends: Mutex<HashMap<String, Arc<Conversation>>>,
}

/// A server's end of a session.
pub struct Conversation {
    pub stream: TcpStream,
    /// The PROXY header before it.
    pub header: Option<String>,
    heard: Mutex<Heard>,
    more: Condvar,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    end: Option<End>,
}

/// How the other side ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
}

impl End {
    pub fn word(self) -> &'static str {
        match self {
            Self::Fin => "FIN",
            Self::Reset => "RST",
        }
    }
}

impl Server {
    /// One that doesn't listen yet.
    pub fn new(name: &str, address: SocketAddr, tls: &Arc<ServerConfig>, sessions: &Arc<Sessions>) -> Self {
        let shared = Shared {
            name: name.to_owned(),
            mood: Mutex::new(Mood { silent: false, holds: false, status: 200, wants_header: false, saying: None }),
            tls: Mutex::new(Arc::clone(tls)),
            open: Mutex::default(),
            sessions: Arc::clone(sessions),
        };
        Self { address, listener: None, shared: Arc::new(shared) }
    }

    pub fn listen(&mut self, world: &Host) {
        let address = self.address;
        let listener = Arc::new(world.on(|| TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"))));
        let (accepting, shared) = (Arc::clone(&listener), Arc::clone(&self.shared));
        thread::spawn(move || {
            // Its end comes with that of listening.
            while let Ok((stream, _)) = accepting.accept() {
                shared.open.lock().unwrap().push(stream.try_clone().expect("a descriptor"));
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.meet(stream));
            }
        });
        self.listener = Some(listener);
    }

    /// Nobody listens any more; the sessions go on.
    pub fn refuse(&mut self) {
        if let Some(listener) = self.listener.take() {
            // On Linux this ends listening at once and wakes accept().
            let _ = SockRef::from(&*listener).shutdown(Shutdown::Both);
        }
    }

    /// As a process that is killed.
    pub fn die(&mut self) {
        self.refuse();
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn be_silent(&self) {
        self.shared.mood.lock().unwrap().silent = true;
    }

    pub fn answer(&self, status: u16) {
        let mut mood = self.shared.mood.lock().unwrap();
        (mood.silent, mood.status) = (false, status);
    }

    /// Says this to whoever connects.
    pub fn say(&self, text: &str, to: Option<&str>) {
        let saying = Saying { text: text.to_owned(), to: to.map(ToOwned::to_owned) };
        self.shared.mood.lock().unwrap().saying = Some(saying);
    }

    /// Has nothing to do with whoever has no PROXY header.
    pub fn want_header(&self) {
        self.shared.mood.lock().unwrap().wants_header = true;
    }

    /// Speaks TLS in this way from now on.
    pub fn speak(&self, tls: Arc<ServerConfig>) {
        *self.shared.tls.lock().unwrap() = tls;
    }

    pub fn hold(&self) {
        self.shared.mood.lock().unwrap().holds = true;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.die();
    }
}

impl Shared {
    /// Talks with whoever has come; its failures are of the peer's making, and end the talk.
    fn meet(&self, mut stream: TcpStream) {
        let mood = self.mood.lock().unwrap().clone();
        if mood.silent {
            return;
        }
        if let Some(saying) = mood.saying {
            return saying.say(&mut stream);
        }
        let mut begin = Vec::new();
        let header = take_header(&mut stream, &mut begin);
        if mood.wants_header && header.is_none() {
            return drop(stream.shutdown(Shutdown::Both));
        }
        match begin.first() {
            Some(&TLS_HANDSHAKE) => self.talk_tls(stream, begin),
            Some(_) if is_http(&begin) => self.answer_http(&mut stream, begin),
            Some(_) => self.talk(stream, begin, header),
            None => drop(stream.shutdown(Shutdown::Both)),
        }
    }

    /// Hears the client's name, says its own, and sends back whatever comes then.
    fn talk(&self, mut stream: TcpStream, begin: Vec<u8>, header: Option<String>) {
        let (name, rest) = read_line(&mut stream, begin);
        let conversation = Arc::new(Conversation {
            stream: stream.try_clone().expect("a descriptor"),
            header,
            heard: Mutex::default(),
            more: Condvar::new(),
        });
        self.sessions.ends.lock().unwrap().insert(name, Arc::clone(&conversation));
        let _ = stream.write_all(format!("{}\n", self.name).as_bytes());
        let _ = stream.write_all(&rest);
        conversation.hear(&rest);
        conversation.listen(&mut stream);
        if !self.mood.lock().unwrap().holds {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn talk_tls(&self, stream: TcpStream, begin: Vec<u8>) {
        let connection = ServerConnection::new(Arc::clone(&self.tls.lock().unwrap())).expect("a valid configuration");
        let mut tls = StreamOwned::new(connection, Replayed { begin, stream });
        let mut first = [0; 4096];
        if let Ok(length @ 1..) = tls.read(&mut first) {
            let begin = first[..length].to_vec();
            if is_http(&begin) {
                self.answer_http(&mut tls, begin);
            } else {
                let _ = tls.write_all(format!("{}\n", self.name).as_bytes());
                while matches!(tls.read(&mut first), Ok(1..)) {}
            }
        }
        // Without a close_notify: whoever has closed would answer it by a reset, sometimes before both ends are seen.
        let _ = tls.sock.stream.shutdown(Shutdown::Both);
    }

    fn answer_http(&self, stream: &mut (impl Read + Write), mut request: Vec<u8>) {
        let mut bytes = [0; 4096];
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            let Ok(length @ 1..) = stream.read(&mut bytes) else { return };
            request.extend_from_slice(&bytes[..length]);
        }
        let status = self.mood.lock().unwrap().status;
        let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        let _ = stream.write_all(answer.as_bytes());
    }
}

impl Saying {
    /// To somebody who wants to hear it first, and ends.
    fn say(&self, stream: &mut TcpStream) {
        let mut heard = Vec::new();
        let mut bytes = [0; 1024];
        while self.to.as_ref().is_some_and(|to| !contains(&heard, to)) {
            let Ok(length @ 1..) = stream.read(&mut bytes) else { return };
            heard.extend_from_slice(&bytes[..length]);
        }
        let _ = stream.write_all(self.text.as_bytes());
        if self.to.is_some() {
            while matches!(stream.read(&mut bytes), Ok(1..)) {}
        }
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Whether this was heard, in large letters or small ones.
fn contains(heard: &[u8], text: &str) -> bool {
    heard.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

/// A stream whose first bytes have been read.
struct Replayed {
    begin: Vec<u8>,
    stream: TcpStream,
}

impl Read for Replayed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.begin.is_empty() {
            return self.stream.read(into);
        }
        let length = self.begin.len().min(into.len());
        into[..length].copy_from_slice(&self.begin[..length]);
        self.begin.drain(..length);
        Ok(length)
    }
}

impl Write for Replayed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// Reads what comes first; takes a PROXY header off it.
fn take_header(stream: &mut TcpStream, begin: &mut Vec<u8>) -> Option<String> {
    let mut header = None;
    let mut bytes = [0; 4096];
    loop {
        if let Some(length) = header_length(begin) {
            header = Some(words_of(&begin[..length]));
            begin.drain(..length);
        }
        let unfinished = begin.is_empty() || PROXY_V2.starts_with(begin) || begin.starts_with(PROXY_V2);
        if !unfinished && !begin.starts_with(PROXY_V1) {
            return header;
        }
        let Ok(length @ 1..) = stream.read(&mut bytes) else { return header };
        begin.extend_from_slice(&bytes[..length]);
    }
}

/// The length of a whole PROXY header at the beginning.
fn header_length(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(PROXY_V1) {
        return bytes.windows(2).position(|window| window == b"\r\n").map(|end| end + 2);
    }
    let addresses = bytes.get(PROXY_V2_BEGIN - 2..PROXY_V2_BEGIN).filter(|_| bytes.starts_with(PROXY_V2))?;
    let length = PROXY_V2_BEGIN + usize::from(u16::from_be_bytes([addresses[0], addresses[1]]));
    (bytes.len() >= length).then_some(length)
}

/// A PROXY header as text; of the second version in hexadecimal.
fn words_of(header: &[u8]) -> String {
    if header.starts_with(PROXY_V1) {
        return String::from_utf8_lossy(header).trim_end().to_owned();
    }
    let fields = header[PROXY_V2.len()..].iter().map(|byte| format!("{byte:02x}"));
    format!("PROXYv2 {}", fields.collect::<Vec<_>>().join(" "))
}

fn is_http(begin: &[u8]) -> bool {
    [&b"GET "[..], b"OPTI", b"HEAD"].iter().any(|method| begin.starts_with(method))
}

/// A line, and what has come behind it.
fn read_line(stream: &mut TcpStream, mut bytes: Vec<u8>) -> (String, Vec<u8>) {
    let mut more = [0; 4096];
    loop {
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let rest = bytes.split_off(end + 1);
            return (String::from_utf8_lossy(&bytes).trim_end().to_owned(), rest);
        }
        let Ok(length @ 1..) = stream.read(&mut more) else { return (String::new(), bytes) };
        bytes.extend_from_slice(&more[..length]);
    }
}

impl Sessions {
    /// The server's end of this client's session, once it has asked.
    pub fn of(&self, client: &str) -> Option<Arc<Conversation>> {
        self.ends.lock().unwrap().get(client).cloned()
    }
}

impl Conversation {
    fn listen(&self, stream: &mut TcpStream) {
        let mut bytes = [0; 16 * 1024];
        let end = loop {
            match stream.read(&mut bytes) {
                Ok(0) => break End::Fin,
                Ok(length) => {
                    self.hear(&bytes[..length]);
                    let _ = stream.write_all(&bytes[..length]);
                }
                Err(_) => break End::Reset,
            }
        };
        self.heard.lock().unwrap().end = Some(end);
        self.more.notify_all();
    }

    fn hear(&self, bytes: &[u8]) {
        self.heard.lock().unwrap().bytes.extend_from_slice(bytes);
        self.more.notify_all();
    }

    /// Waits for so many bytes, and takes them; what there is if the other side has ended before.
    pub fn take(&self, length: usize) -> Result<Vec<u8>, Option<End>> {
        let mut heard = self.wait(|heard| heard.bytes.len() >= length);
        if heard.bytes.len() < length { Err(heard.end) } else { Ok(heard.bytes.drain(..length).collect()) }
    }

    /// Waits for the other side's end.
    pub fn end(&self) -> Option<End> {
        self.wait(|_| false).end
    }

    fn wait(&self, enough: impl Fn(&Heard) -> bool) -> std::sync::MutexGuard<'_, Heard> {
        let heard = self.heard.lock().unwrap();
        let patience: Duration = PATIENCE;
        self.more.wait_timeout_while(heard, patience, |heard| heard.end.is_none() && !enough(heard)).unwrap().0
    }
}
