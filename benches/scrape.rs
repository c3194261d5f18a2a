//! What those who watch wait for: `/metrics`, the page and its JSON, of a process with 1,000 servers.

mod bench;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use criterion::{Criterion, criterion_group, criterion_main};
use evenkeel::app::Bound;
use evenkeel::app::listeners::ListenerSource;

const SERVERS: usize = 1000;

fn scrape(c: &mut Criterion) {
    let stats = watched_process();
    let mut group = c.benchmark_group("1,000 servers");
    for path in ["/metrics", "/api/v1/status", "/"] {
        let mut client = BufReader::new(connect(stats));
        group.bench_function(format!("GET {path}"), |b| b.iter(|| get(&mut client, path)));
    }
}

/// The whole process but for its checks, in a thread of its own; where its stats listener is.
fn watched_process() -> SocketAddr {
    // Free now, and nobody else here is about to take it.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let rest = format!("[stats]\nlisten = '{free}'\n[process]\nworkers = 1\n[log]\nlevel = 'error'\n");
    let text = bench::crowded_file(SERVERS, "check = 'off'", &rest);
    let bound = Bound::new(bench::resolved(&text), ListenerSource::bind()).expect("free ports");
    thread::spawn(move || bound.run());
    free
}

/// Connected before it serves: the socket listens already.
fn connect(stats: SocketAddr) -> TcpStream {
    TcpStream::connect(stats).expect("the stats listener is bound")
}

/// Asks on an open connection and reads the whole answer; its length.
fn get(client: &mut BufReader<TcpStream>, path: &str) -> usize {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
    client.get_mut().write_all(request.as_bytes()).expect("it is taken");
    let mut length = None;
    loop {
        let mut line = String::new();
        client.read_line(&mut line).expect("a head");
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length.expect("an answer tells its length")];
    client.read_exact(&mut body).expect("the whole body");
    body.len()
}

criterion_group!(benches, scrape);
criterion_main!(benches);
