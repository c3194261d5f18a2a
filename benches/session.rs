//! One session from connect to close, and exchanges on one that is open; wall time, seen by the client.

mod bench;

use std::io::Read;
use std::net::TcpStream;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const REQUEST: [u8; 200] = [b'r'; 200];

fn set_up_and_tear_down(c: &mut Criterion) {
    let server = bench::server(200, 500);
    let proxy = bench::proxy(server);
    let mut group = c.benchmark_group("session");
    for (name, address) in [("through evenkeel", proxy), ("direct", server)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut client = TcpStream::connect(address).expect("a connection");
                bench::exchange(&mut client, &REQUEST, &mut [0; 500]);
                client.shutdown(std::net::Shutdown::Write).expect("a socket");
                assert_eq!(client.read(&mut [0]).expect("the end is passed on"), 0);
            });
        });
    }
}

fn relay(c: &mut Criterion) {
    for (name, answer) in [("200 B for 500 B", 500), ("200 B for 1 MiB", 1 << 20)] {
        let server = bench::server(200, answer);
        let proxy = bench::proxy(server);
        let mut group = c.benchmark_group(format!("relay/{name}"));
        group.throughput(Throughput::Bytes(answer as u64));
        for (name, address) in [("through evenkeel", proxy), ("direct", server)] {
            let mut client = TcpStream::connect(address).expect("a connection");
            client.set_nodelay(true).expect("a socket");
            let mut buffer = vec![0; answer];
            group.bench_function(name, |b| b.iter(|| bench::exchange(&mut client, &REQUEST, &mut buffer)));
        }
    }
}

criterion_group!(benches, set_up_and_tear_down, relay);
criterion_main!(benches);
