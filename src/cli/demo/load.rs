//! A light synthetic load: a few clients that ask now and then, and a few that hold a connection open.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use crate::model::{TlsProbe, Verify};
use crate::net;
use crate::net::tls::{self, Client};

/// Longest wait for a connection, a handshake or an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests on one connection before a client begins a new one.
const REQUESTS: std::ops::RangeInclusive<u32> = 5..=40;

/// Largest piece of an answer that is read at a time, in bytes; the demo's answers are smaller.
const PIECE: usize = 1024;

/// What the clients of one address do.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// How many ask for something small now and then, as kubelets do.
    pub askers: usize,
    /// How many hold a connection open on which little happens, as watches do.
    pub watchers: usize,
    /// Longest pause of a client before it asks again or connects again; half of it on average.
    pub pause: Duration,
}

/// What the clients have met so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered.
    pub answered: AtomicU64,
    /// Connections that could not be made, or ended before the client wanted.
    pub cut: AtomicU64,
}

/// Runs clients against each of the addresses, all through one another, for as long as it is polled.
pub async fn run(addresses: &[SocketAddr], shape: Shape, mut rng: fastrand::Rng, tally: &Arc<Tally>) {
    let anyone =
        TlsProbe { verify: Verify::None, server_name: None, alpn: vec!["http/1.1".to_owned()], identity: None };
    let tls = Client::new(&anyone, None).expect("nothing in these settings can be refused");
    let mut clients = JoinSet::new();
    for &address in addresses {
        let mut spawn = |kind| {
            let rng = rng.fork();
            let (tls, tally) = (tls.clone(), Arc::clone(tally));
            let caller = Caller { kind, address, pause: shape.pause, tls, tally, rng };
            clients.spawn(caller.run());
        };
        (0..shape.askers).for_each(|_| spawn(Kind::Asker));
        (0..shape.watchers).for_each(|_| spawn(Kind::Watcher));
    }
    while clients.join_next().await.is_some() {}
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Asker,
    Watcher,
}

struct Caller {
    kind: Kind,
    address: SocketAddr,
    pause: Duration,
    tls: Client,
    tally: Arc<Tally>,
    rng: fastrand::Rng,
}

impl Caller {
    /// Connects again and again.
    async fn run(mut self) {
        loop {
            // The first pause too: clients that begin together stay together.
            self.pause().await;
            if self.call().await.is_err() {
                self.tally.cut.fetch_add(1, Relaxed);
            }
        }
    }

    /// One connection, from its first byte to its last.
    async fn call(&mut self) -> io::Result<()> {
        let mut stream = timeout(PATIENCE, self.connect()).await??;
        match self.kind {
            Kind::Asker => {
                for _ in 0..self.rng.u32(REQUESTS) {
                    timeout(PATIENCE, ask(&mut stream, self.address)).await??;
                    self.tally.answered.fetch_add(1, Relaxed);
                    self.pause().await;
                }
            }
            Kind::Watcher => self.hold(&mut stream).await?,
        }
        let _ = timeout(PATIENCE, tls::close(stream, PIECE)).await;
        Ok(())
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let tcp = net::dial(self.address).await.map_err(|error| io::Error::other(error.to_string()))?;
        let established = self.tls.handshake(tcp, self.address.ip()).await.map_err(io::Error::other)?;
        Ok(established.stream)
    }

    /// Reads what comes until something cuts it.
    async fn hold(&mut self, stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
        stream.write_all(&request("/watch", self.address)).await?;
        stream.flush().await?;
        let mut piece = [0; PIECE];
        loop {
            if stream.read(&mut piece).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn pause(&mut self) {
        let pause = self.pause.mul_f64(self.rng.f64());
        sleep(pause).await;
    }
}

/// One request and its answer, which says its length.
async fn ask(stream: &mut TlsStream<TcpStream>, address: SocketAddr) -> io::Result<()> {
    stream.write_all(&request("/api/v1/nodes", address)).await?;
    stream.flush().await?;
    let mut received = Vec::new();
    while !is_complete(&received)? {
        let mut piece = [0; PIECE];
        match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(&piece[..count]),
        }
    }
    Ok(())
}

fn request(path: &str, address: SocketAddr) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: evenkeel-demo\r\n\r\n").into_bytes()
}

/// Whether an answer is there to its last byte.
fn is_complete(received: &[u8]) -> io::Result<bool> {
    let Some(head) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if received.len() < 16 * PIECE { Ok(false) } else { Err(io::ErrorKind::InvalidData.into()) };
    };
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    Ok(received.len() >= head + 4 + length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::stand_in::{Authority, StandIn};
    use super::*;

    #[tokio::test]
    async fn clients_ask_are_cut_and_come_back() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let tls = Authority::new().unwrap().controller(address.ip()).unwrap();
        let mut stand_in = StandIn::start("controller-1", address, tls).unwrap();
        let tally = Arc::new(Tally::default());
        let addresses = [stand_in.address()];
        let shape = Shape { askers: 4, watchers: 2, pause: Duration::from_millis(20) };
        let load = run(&addresses, shape, fastrand::Rng::with_seed(1), &tally);
        let reaches = async |counter: &AtomicU64, count| {
            while counter.load(Relaxed) < count {
                tokio::task::yield_now().await;
            }
        };
        let script = async {
            reaches(&tally.answered, 4).await;
            stand_in.fail();
            reaches(&tally.cut, 2).await;
            stand_in.recover().await.unwrap();
            let answered = tally.answered.load(Relaxed);
            reaches(&tally.answered, answered + 4).await;
        };
        tokio::select! {
            () = load => unreachable!("it never ends by itself"),
            done = timeout(Duration::from_secs(60), script) => done.expect("the clients did not go on"),
        }
    }

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert!(is_complete(answer).unwrap());
        assert!((0..answer.len()).all(|cut| !is_complete(&answer[..cut]).unwrap()));
        assert!(is_complete(&[b'x'; 16 * PIECE]).is_err());
    }
}
