//! The clients of a script.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustix::net::connect_unspec;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::harness::namespace::Host;
use crate::harness::wait::PATIENCE;
use crate::script::Talk;
use crate::server::{Conversation, End};

/// A client with its connection.
pub struct Client {
    name: String,
    /// `None` if it was reset before it knew that it is connected.
    stream: Option<TcpStream>,
}

impl Client {
    /// Connects; what became of it otherwise.
    pub fn connect(name: &str, from: Ipv4Addr, to: SocketAddr, world: &Host) -> Result<Self, String> {
        let socket = world.on(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
            socket.connect_timeout(&to.into(), PATIENCE).map(|()| socket)
        });
        let name = name.to_owned();
        let stream: TcpStream = match socket {
            Ok(socket) => socket.into(),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Self { name, stream: None }),
            Err(error) => return Err(said(error.kind()).to_owned()),
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Ok(Self { name, stream: Some(stream) })
    }

    /// The same by a unix socket. To read, write and end are the same calls there.
    pub fn connect_to_file(name: &str, path: &Path) -> Result<Self, String> {
        let stream = UnixStream::connect(path).map_err(|error| said(error.kind()).to_owned())?;
        let stream = TcpStream::from(OwnedFd::from(stream));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Ok(Self { name: name.to_owned(), stream: Some(stream) })
    }

    /// Where it is, if it is connected.
    pub fn address(&self) -> Option<SocketAddr> {
        self.stream.as_ref().and_then(|stream| stream.local_addr().ok())
    }

    /// Says its name; who has answered, or what has come instead.
    pub fn ask(&mut self) -> Result<String, String> {
        let stream = self.stream.as_mut().ok_or_else(|| End::Reset.word().to_owned())?;
        // Whether this fails or the reading does is a race.
        let _ = stream.write_all(format!("{}\n", self.name).as_bytes());
        read_line(stream)
    }

    pub fn ask_over_tls(&mut self, server_name: &str, config: &Arc<ClientConfig>) -> Result<String, String> {
        let name = ServerName::try_from(server_name.to_owned()).expect("a server name");
        let connection = ClientConnection::new(Arc::clone(config), name).expect("a valid configuration");
        let stream = self.stream.as_ref().ok_or_else(|| End::Reset.word().to_owned())?;
        let mut tls = StreamOwned::new(connection, stream.try_clone().expect("a descriptor"));
        let _ = tls.write_all(format!("{}\n", self.name).as_bytes());
        read_line(&mut tls)
    }

    /// What it was told to do has shown.
    pub fn talk(&mut self, talk: &Talk) -> String {
        let Some(stream) = &mut self.stream else {
            return match talk {
                Talk::Close => "closes".to_owned(),
                _ => format!("sees {} after 0 bytes", End::Reset.word()),
            };
        };
        match talk {
            Talk::Hear(text) => {
                let mut bytes = vec![0; text.len()];
                match stream.read_exact(&mut bytes) {
                    Ok(()) => heard(&bytes),
                    Err(error) => format!("hears {}", said(error.kind())),
                }
            }
            Talk::SeeTheEnd => {
                let mut rest = Vec::new();
                let end = match stream.read_to_end(&mut rest) {
                    Ok(_) => End::Fin.word(),
                    Err(error) => said(error.kind()),
                };
                format!("sees {end} after {} bytes", rest.len())
            }
            talk => say(stream, talk),
        }
    }
}

/// The same at a server's end.
pub fn converse(conversation: &Conversation, talk: &Talk) -> String {
    match talk {
        Talk::Hear(text) => match conversation.take(text.len()) {
            Ok(bytes) => heard(&bytes),
            Err(end) => format!("hears {}", end.map_or("nothing", End::word)),
        },
        Talk::SeeTheEnd => format!("sees {}", conversation.end().map_or("nothing", End::word)),
        talk => say(&conversation.stream, talk),
    }
}

/// What needs no answer.
fn say(mut stream: &TcpStream, talk: &Talk) -> String {
    match talk {
        Talk::Send(text) => {
            let _ = stream.write_all(text.as_bytes());
            "sends".to_owned()
        }
        Talk::Finish => {
            let _ = stream.shutdown(Shutdown::Write);
            "finishes".to_owned()
        }
        Talk::Close => {
            let _ = stream.shutdown(Shutdown::Both);
            "closes".to_owned()
        }
        Talk::Reset => {
            // An unspecified address ends a connection with RST (connect(2)), however many descriptors it has.
            let _ = connect_unspec(stream);
            "resets".to_owned()
        }
        Talk::Hear(_) | Talk::SeeTheEnd => unreachable!("each side reads in its own way"),
    }
}

fn heard(bytes: &[u8]) -> String {
    format!("hears {:?}", String::from_utf8_lossy(bytes))
}

fn read_line(stream: &mut impl Read) -> Result<String, String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return Err(End::Fin.word().to_owned()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) if byte[0] == b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
            Ok(_) => line.push(byte[0]),
            Err(error) => return Err(said(error.kind()).to_owned()),
        }
    }
}

/// An error of a socket as a script's word for it.
fn said(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => "is refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => End::Reset.word(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionAborted => End::Fin.word(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "nothing in time",
        _ => "another error",
    }
}
