//! Three servers that say their name and then send back whatever they are sent.

use std::net::SocketAddr;
use std::thread;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// Their names, which are the first byte of each connection.
pub const NAMES: [char; 3] = ['a', 'b', 'c'];

/// Where a server is.
pub fn address(name: char) -> SocketAddr {
    let number = NAMES.iter().position(|known| *known == name).expect("one of three");
    SocketAddr::from(([127, 0, 0, 2], 7001 + u16::try_from(number).expect("there are three")))
}

/// Starts them on the host of this thread. They end with the process.
pub fn start() {
    let listeners = NAMES.map(|name| (name, std::net::TcpListener::bind(address(name)).unwrap()));
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for (name, listener) in listeners {
                listener.set_nonblocking(true).unwrap();
                tokio::spawn(serve(name, TcpListener::from_std(listener).unwrap()));
            }
            std::future::pending::<()>().await;
        });
    });
}

async fn serve(name: char, listener: TcpListener) {
    loop {
        // A client that has gone before it was accepted is nobody's loss.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(name, stream));
        }
    }
}

async fn echo(name: char, mut stream: TcpStream) -> std::io::Result<()> {
    let _ = stream.set_nodelay(true);
    stream.write_all(&[u8::try_from(name).expect("a letter")]).await?;
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}
