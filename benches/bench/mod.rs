//! What several benches use: configurations, and one worker with a server behind it.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use evenkeel::app::listeners::ListenerSource;
use evenkeel::model::{Config, ListenAddress, LogFormat, LogLevel};
use evenkeel::net::BindOptions;
use evenkeel::observe::logging::Logging;
use evenkeel::pool::Pool;
use evenkeel::pool::sessions::Sessions;
use evenkeel::proxy::frontend::{Frontend, Process};
use evenkeel::proxy::handover;
use evenkeel::proxy::listener;
use evenkeel::proxy::worker::Worker;

/// A frontend and its backend of so many servers, each written out; `check` is the backend's, `rest` comes after all.
pub fn crowded_file(servers: usize, check: &str, rest: &str) -> String {
    let server =
        |n: usize| format!("{{ name = 's{n}', address = '127.{}.{}.1:6443', weight = 1 }}", 1 + n / 250, n % 250);
    let servers: Vec<_> = (0..servers).map(server).collect();
    format!(
        "[[frontend]]\nname = 'f'\nlisten = '127.0.0.1:16443'\nbackend = 'b'\n\
         [[backend]]\nname = 'b'\nbalance = 'leastconn'\n{check}\nservers = [\n{}\n]\n{rest}",
        servers.join(",\n")
    )
}

/// The configuration that a text says.
pub fn resolved(text: &str) -> Config {
    evenkeel::config::parse(text, "bench.toml").unwrap_or_else(|report| panic!("{}", report.render(false)))
}

/// Starts a worker in front of a server that answers each 200 bytes as told; returns where it listens.
///
/// Limits, timeouts, keepalive and session records (written to nowhere) are on, as in `config/evenkeel.toml`.
pub fn proxy(server: SocketAddr) -> SocketAddr {
    let text = format!(
        "[timeouts]\nconnect = '10s'\nclient = '24h'\nserver = '24h'\ntunnel = '24h'\n[limits]\nmax_sessions = 4000\n\
         [[frontend]]\nname = 'f'\nlisten = '127.0.0.1:6443'\nbackend = 'b'\nmax_sessions = 3000\n\
         [[backend]]\nname = 'b'\nbalance = 'leastconn'\ncheck = 'off'\nservers = ['{server}']\n"
    );
    let config = resolved(&text);
    let process = Process::new(&config, config.limits.max_sessions, Arc::new(|_| {}));
    let pool = Pool::alone(config.backends[0].clone(), Arc::new(|_| {}));
    let frontend = Frontend::new(config.frontends[0].clone(), pool, process);
    let options = BindOptions { keepalive: frontend.spec.keepalive, ..BindOptions::with_backlog(1024) };
    let any = ListenAddress::Tcp("127.0.0.1:0".parse().expect("an address"));
    let bound = ListenerSource::bind().listen(any, &options).expect("a free port");
    let address = bound.local_address().expect("a bound socket has an address");
    thread::spawn(move || {
        let logging = Logging::to(std::io::sink(), LogFormat::Json, LogLevel::Info).expect("a thread");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let seat = handover::seats(1).pop().expect("one");
            let worker = Worker::new(Sessions::new(0), logging.records(), seat).expect("an epoll");
            tokio::task::spawn_local(worker.clone().run());
            let (open, _closing) = listener::OpenListener::new(bound, frontend);
            listener::serve(open, worker).await;
        });
    });
    address
}

/// A server with a thread for each connection, which answers every `request` bytes with `answer` bytes.
pub fn server(request: usize, answer: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let (mut request, answer) = (vec![0; request], vec![b'x'; answer]);
            thread::spawn(move || {
                client.set_nodelay(true).expect("a socket");
                while client.read_exact(&mut request).is_ok() && client.write_all(&answer).is_ok() {}
            });
        }
    });
    address
}

/// Sends a request and reads the whole answer.
pub fn exchange(client: &mut TcpStream, request: &[u8], answer: &mut [u8]) {
    client.write_all(request).expect("the relay takes it");
    client.read_exact(answer).expect("the whole answer comes");
}
