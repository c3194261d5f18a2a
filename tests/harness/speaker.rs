//! A service that says one thing to whoever connects, and that the test may have say another.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::peers::Server;

pub struct Speaker {
    text: Arc<Mutex<String>>,
    server: Server,
}

impl Speaker {
    /// Says it at once, and closes.
    pub fn saying(text: &str) -> Self {
        Self::start(text, false)
    }

    /// Says it to whoever has asked something, and closes.
    pub fn answering(text: &str) -> Self {
        Self::start(text, true)
    }

    fn start(text: &str, listens: bool) -> Self {
        let text = Arc::new(Mutex::new(text.to_owned()));
        let said = Arc::clone(&text);
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let server = Server::start(listener, move |mut stream: TcpStream| {
            if listens {
                let _ = stream.read(&mut [0; 4096]);
            }
            let text = said.lock().unwrap().clone();
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Both);
        });
        Self { text, server }
    }

    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// From now on it says this.
    pub fn say(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap());
    }
}
