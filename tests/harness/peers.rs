//! Both ends of a session, played by the test: clients, and servers that do as they are told.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, SockRef, Socket, Type};

use super::ports;
use super::wait::{PATIENCE, until};

/// Connects, with a bound on every later read and write.
pub fn connect(address: SocketAddr) -> TcpStream {
    patient(TcpStream::connect_timeout(&address, PATIENCE).unwrap_or_else(|error| panic!("{address}: {error}")))
}

/// Connects from the given address of ours.
pub fn connect_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    try_from(source, address).unwrap()
}

/// Connects from an address, and is reset for it, which may happen before it knows that it is connected.
pub fn sees_reset_from(source: Ipv4Addr, address: SocketAddr) {
    match try_from(source, address) {
        Ok(mut client) => client.sees_reset(),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
}

/// Whether a client of this address that says something is reset, before it knows that it is connected or later; else it is
/// answered.
pub fn is_reset_from(source: Ipv4Addr, address: SocketAddr) -> bool {
    let outcome = try_from(source, address).and_then(|mut client| {
        client.write_all(b"x")?;
        client.read_exact(&mut [0])
    });
    match outcome {
        Ok(()) => false,
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => true,
        Err(error) => panic!("neither served nor reset: {error}"),
    }
}

fn try_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect_timeout(&address.into(), PATIENCE)?;
    Ok(patient(socket.into()))
}

/// Connects with segments of at most so many bytes, as on a network: those of the loopback come with large buffers.
pub fn connect_in_segments(address: SocketAddr, bytes: u32) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_tcp_mss(bytes).unwrap();
    socket.connect_timeout(&address.into(), PATIENCE).unwrap();
    patient(socket.into())
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What one end of a session can do and see, in the field's words.
pub trait Peer {
    /// Sends and flushes.
    fn say(&mut self, text: &str);
    /// Reads exactly this text.
    fn hears(&mut self, text: &str);
    /// Reads the other side's FIN, with nothing before it.
    fn sees_fin(&mut self);
    /// Reads on until the other side's RST, whatever comes before it; panics at a FIN.
    fn sees_reset(&mut self);
    /// Waits for the RST on a socket whose other side has already sent FIN, where reading tells nothing.
    fn sees_reset_after_fin(&self);
    /// Whether a FIN or RST has come, without waiting.
    fn is_over(&self) -> bool;
    /// Ends its own direction.
    fn sends_fin(&self);
    /// Ends the connection with RST.
    fn resets(self);
    /// Sends until nobody takes any more; gives how much that was.
    fn fills(&mut self) -> u64;
}

impl Peer for TcpStream {
    fn say(&mut self, text: &str) {
        self.write_all(text.as_bytes()).unwrap();
    }

    fn hears(&mut self, text: &str) {
        let mut bytes = vec![0; text.len()];
        self.read_exact(&mut bytes).unwrap_or_else(|error| panic!("instead of {text:?}: {error}"));
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    fn sees_fin(&mut self) {
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).expect("a FIN");
        assert_eq!(String::from_utf8_lossy(&rest), "", "nothing was to come before the FIN");
    }

    fn sees_reset(&mut self) {
        let end = io::copy(self, &mut io::sink());
        let error = end.expect_err("a RST was to come, not a FIN");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    fn sees_reset_after_fin(&self) {
        let error = until("a RST", || self.take_error().unwrap());
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    }

    fn is_over(&self) -> bool {
        self.set_nonblocking(true).unwrap();
        let peeked = self.peek(&mut [0]);
        self.set_nonblocking(false).unwrap();
        match peeked {
            Ok(length) => length == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    fn sends_fin(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }

    fn resets(self) {
        SockRef::from(&self).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    fn fills(&mut self) -> u64 {
        self.set_nonblocking(true).unwrap();
        let chunk = vec![b'x'; 64 * 1024];
        let mut sent = 0;
        let mut refusals = 0;
        // What is on its way still moves on after the first refusal: only a series of them says that all is full.
        while refusals < 20 {
            match self.write(&chunk) {
                Ok(length) => (sent, refusals) = (sent + length as u64, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    refusals += 1;
                    thread::park_timeout(std::time::Duration::from_millis(15));
                }
                Err(error) => panic!("after {sent} bytes: {error}"),
            }
        }
        self.set_nonblocking(false).unwrap();
        sent
    }
}

/// A server whose connections the test takes one by one, to play them itself.
pub struct Manual {
    listener: TcpListener,
}

impl Manual {
    pub fn listen() -> Self {
        Self::listen_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    pub fn listen_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        // Bounds accept(), which std has no timeout for.
        SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).unwrap();
        Self { listener }
    }

    /// Has its connections use segments of at most so many bytes; see [`connect_in_segments`].
    pub fn in_segments(self, bytes: u32) -> Self {
        SockRef::from(&self.listener).set_tcp_mss(bytes).unwrap();
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection.
    pub fn accept(&self) -> TcpStream {
        patient(self.listener.accept().expect("a connection").0)
    }

    /// Whether a connection is waiting to be accepted.
    pub fn is_called(&self) -> bool {
        self.listener.set_nonblocking(true).unwrap();
        let called = self.listener.accept().is_ok();
        self.listener.set_nonblocking(false).unwrap();
        called
    }
}

/// A server that runs by itself, each connection in its own thread.
pub struct Server {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stopped: AtomicBool,
    accepted: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Server {
    /// Sends back what it receives; FIN answers FIN.
    pub fn echo() -> Self {
        Self::echo_on(local())
    }

    pub fn echo_on(address: SocketAddr) -> Self {
        Self::start(bind(address), |stream| {
            let _ = io::copy(&mut &stream, &mut &stream);
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// Says its name, then does as an echo server.
    pub fn named(name: &'static str) -> Self {
        Self::named_on(name, local())
    }

    pub fn named_on(name: &'static str, address: SocketAddr) -> Self {
        Self::start(bind(address), move |stream| {
            let _ = (&stream).write_all(name.as_bytes());
            let _ = io::copy(&mut &stream, &mut &stream);
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// Accepts and never says or reads anything.
    pub fn silent() -> Self {
        Self::start(bind(local()), |_| ())
    }

    /// Speaks TLS, and sends back what it receives.
    pub fn tls(config: &Arc<ServerConfig>) -> Self {
        Self::tls_on(bind(local()), config, &Arc::new(AtomicBool::new(false)))
    }

    /// As [`Server::tls`], on a socket of any network namespace; while `silent` is set it accepts and says nothing.
    pub fn tls_on(listener: TcpListener, config: &Arc<ServerConfig>, silent: &Arc<AtomicBool>) -> Self {
        let (config, silent) = (Arc::clone(config), Arc::clone(silent));
        Self::start(listener, move |stream| {
            if silent.load(Ordering::SeqCst) {
                return;
            }
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a valid configuration");
            let mut tls = StreamOwned::new(connection, stream);
            let mut bytes = [0; 4096];
            while let Ok(length) = tls.read(&mut bytes) {
                if length == 0 || tls.write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
            tls.conn.send_close_notify();
            // Not `flush`, which would go on with a handshake that has failed, and wait for the client.
            while tls.conn.wants_write() && tls.conn.write_tls(&mut tls.sock).is_ok() {}
            let _ = tls.sock.shutdown(Shutdown::Write);
        })
    }

    /// Serves `listener`; a connection stays open until its peer or [`Server::stop`] ends it.
    pub fn start(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let (listener, state, serve) = (Arc::new(listener), Arc::new(State::default()), Arc::new(serve));
        let (accepting, known) = (Arc::clone(&listener), Arc::clone(&state));
        thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                if known.stopped.load(Ordering::SeqCst) {
                    break;
                }
                known.open.lock().unwrap().push(stream.try_clone().expect("a descriptor"));
                known.accepted.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                thread::Builder::new().stack_size(128 * 1024).spawn(move || serve(stream)).expect("a thread");
            }
        });
        Self { address, listener, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far, the probes among them.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Waits until so many have been accepted in all.
    pub fn has_accepted(&self, count: usize) {
        until(&format!("{count} connections at {}", self.address), || (self.accepted() >= count).then_some(()));
    }

    /// Ends as a process that is killed: its port refuses, its connections are closed.
    pub fn stop(self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // On Linux this ends listening at once and wakes accept(), whoever else holds the descriptor.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A port on which SYNs go unanswered, as behind a firewall that drops: its accept queue is full.
pub struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    pub fn dig() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&local().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let brief = std::time::Duration::from_millis(300);
        let queued = std::iter::from_fn(|| TcpStream::connect_timeout(&address, brief).ok()).take(16).collect();
        Self { address, _listener: listener, _queued: queued }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An address of 127.0.0.1 where nothing listens.
pub fn refusing() -> SocketAddr {
    local()
}

/// A port of our own choice rather than the kernel's: a server that stops finds it free when it comes back.
fn local() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()))
}

fn bind(address: SocketAddr) -> TcpListener {
    let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    // As long a queue as a controller's own. Where one of 128 overflows, as in a burst of thousands, the kernel drops SYNs:
    // to whoever dials, the server is silent.
    SockRef::from(&listener).listen(4096).unwrap();
    listener
}
