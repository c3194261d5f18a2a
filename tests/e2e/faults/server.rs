//! A controller's API: a process of its own, which answers requests over TLS sessions and dies as it is told to.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::harness::raise_descriptor_limit;

/// How long it goes on with its open sessions after SIGTERM.
pub const FINISHING: Duration = Duration::from_secs(20);

/// For sessions that don't notice that it leaves.
const LEAVING: Duration = Duration::from_secs(2);

/// For the next request of a session that is to end: its answer says so, and no request is cut off. Busy clients send one
/// sooner than this.
const LAST_REQUEST: Duration = Duration::from_millis(500);

/// A handshake that isn't over by then is given up: late, because thousands at once have to wait for one another.
const HANDSHAKE: Duration = Duration::from_secs(100);

/// What a server is told at its start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    pub number: usize,
    pub address: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The numbers of all writes that were done, one a line.
    pub writes: PathBuf,
}

/// What all sessions of a server share.
struct Shared {
    number: usize,
    /// The status of /readyz.
    readyz: AtomicU16,
    /// Milliseconds before every answer.
    delay: AtomicU64,
    writes: Mutex<File>,
    sessions: AtomicUsize,
    /// Becomes true when sessions are to end after their request in flight.
    leaving: watch::Sender<bool>,
}

/// Serves until SIGTERM, the word `leave`, or the end of standard input.
pub fn run(order: &Order) {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(serve(order));
}

async fn serve(order: &Order) {
    let writes = File::options().create(true).append(true).open(&order.writes).unwrap();
    let shared = Arc::new(Shared {
        number: order.number,
        readyz: AtomicU16::new(200),
        delay: AtomicU64::new(0),
        writes: Mutex::new(writes),
        sessions: AtomicUsize::new(0),
        leaving: watch::Sender::new(false),
    });
    let listener = listen(order.address);
    let acceptor = TlsAcceptor::from(tls(order));
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    let mut leaving = shared.leaving.subscribe();
    follow_orders(&shared);
    tell("ready");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(session(stream, acceptor.clone(), Arc::clone(&shared)));
                }
            }
            _ = terminated.recv() => break,
            () = told_to_leave(&mut leaving) => break,
        }
    }
    drop(listener);
    tell("refusing");
    if !*shared.leaving.borrow() {
        tokio::time::sleep(FINISHING).await;
        shared.leaving.send_replace(true);
    }
    let left = async {
        while shared.sessions.load(Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = tokio::time::timeout(LEAVING, left).await;
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    socket.listen(4096).unwrap()
}

fn tls(order: &Order) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&order.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&order.key).unwrap();
    crate::harness::tls::config(chain, key)
}

#[expect(clippy::print_stdout, reason = "the bench reads it")]
fn tell(word: &str) {
    println!("{word}");
}

/// Orders come over standard input, from the bench only; when that ends, so does the server.
#[expect(clippy::disallowed_methods, reason = "the bench has gone: nothing is left that a guard should put right")]
fn follow_orders(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["readyz", status] => shared.readyz.store(status.parse().unwrap(), Relaxed),
                ["delay", milliseconds] => shared.delay.store(milliseconds.parse().unwrap(), Relaxed),
                ["leave"] => drop(shared.leaving.send_replace(true)),
                _ => panic!("no such order: {line}"),
            }
            tell(&format!("done: {line}"));
        }
        std::process::exit(0);
    });
}

async fn session(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    shared.sessions.fetch_add(1, Relaxed);
    // However it ends, the client counts what it missed.
    let _ = converse(stream, &shared).await;
    shared.sessions.fetch_sub(1, Relaxed);
}

async fn converse(mut stream: TlsStream<TcpStream>, shared: &Shared) -> std::io::Result<()> {
    let mut leaving = shared.leaving.subscribe();
    let mut heard = Vec::new();
    loop {
        // A request that has come in is answered before the session ends.
        let request = tokio::select! {
            biased;
            request = next_request(&mut stream, &mut heard) => request?,
            () = told_to_leave(&mut leaving) => last_request(&mut stream, &mut heard).await?,
        };
        let Some(request) = request else { return stream.shutdown().await };
        if request.starts_with("GET /stream ") {
            return pour(&mut stream).await;
        }
        tokio::time::sleep(Duration::from_millis(shared.delay.load(Relaxed))).await;
        let last = *leaving.borrow() || request.contains("\r\nConnection: close");
        stream.write_all(shared.answer(&request, last).as_bytes()).await?;
        if last {
            return stream.shutdown().await;
        }
    }
}

async fn told_to_leave(leaving: &mut watch::Receiver<bool>) {
    let _ = leaving.wait_for(|leaving| *leaving).await;
}

async fn last_request(stream: &mut TlsStream<TcpStream>, heard: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    tokio::time::timeout(LAST_REQUEST, next_request(stream, heard)).await.unwrap_or(Ok(None))
}

/// The next request's head; none has a body. Nothing at the end of the stream.
async fn next_request(stream: &mut TlsStream<TcpStream>, heard: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    loop {
        if let Some(end) = heard.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = heard.drain(..end + 4).collect();
            return Ok(Some(String::from_utf8(head).unwrap_or_default()));
        }
        if stream.read_buf(heard).await? == 0 {
            return Ok(None);
        }
    }
}

/// An answer without an end.
async fn pour(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let water = vec![b'.'; 16 * 1024];
    loop {
        stream.write_all(&water).await?;
    }
}

impl Shared {
    /// The body names the controller; a write is remembered before it is answered.
    fn answer(&self, request: &str, last: bool) -> String {
        let mut words = request.split(' ');
        let status = match (words.next(), words.next()) {
            (Some("PUT"), Some(path)) => {
                writeln!(self.writes.lock().unwrap(), "{}", path.trim_start_matches('/')).unwrap();
                200
            }
            (_, Some("/readyz")) => self.readyz.load(Relaxed),
            _ => 200,
        };
        let mut answer = format!("HTTP/1.1 {status} As told\r\n");
        if last {
            answer += "Connection: close\r\n";
        }
        let body = format!("controller {}", self.number);
        let _ = write!(answer, "Content-Length: {}\r\n\r\n{body}", body.len());
        answer
    }
}
