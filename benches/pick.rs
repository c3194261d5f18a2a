//! Choosing a server: the balance methods alone, and a lease taken from a pool and given back.

mod bench;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use evenkeel::balance::{self, Candidate, Given, Memory, server_key};
use evenkeel::model::Balance;
use evenkeel::pool::{Lease, Pool, Tried};

const SIZES: [usize; 3] = [3, 100, 1000];
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn candidates(size: usize) -> Vec<Candidate> {
    let candidate = |place: usize| Candidate {
        key: server_key(&format!("server-{place}")),
        number: u32::try_from(place).expect("a thousand"),
        weight: 1,
        is_free: true,
        in_flight: 20 + u32::try_from(place % 7).expect("less than 7"),
        last_chosen: place as u64,
        given: Given { live: u32::try_from(place % 2).expect("less than 2"), last: place as u64 },
        drawn: place.is_multiple_of(2),
    };
    (0..size).map(candidate).collect()
}

fn pick(c: &mut Criterion) {
    for method in Balance::ALL {
        let mut group = c.benchmark_group(format!("pick/{}", method.name()));
        for size in SIZES {
            let candidates = candidates(size);
            let mut memory = Memory::default();
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                b.iter(|| balance::pick(method, black_box(&candidates), SOURCE, &mut memory));
            });
        }
    }
}

/// A pool as the configuration makes it, with so many servers.
fn pool(servers: usize) -> Arc<Pool> {
    let config = bench::resolved(&bench::crowded_file(servers, "check = 'off'", ""));
    Pool::alone(config.backends.into_iter().next().expect("the text has one"), Arc::new(|_| {}))
}

fn lease(c: &mut Criterion) {
    let mut group = c.benchmark_group("lease and give back");
    for size in SIZES {
        let pool = pool(size);
        group.bench_function(BenchmarkId::new("servers", size), |b| {
            b.iter(|| assert!(matches!(pool.lease(SOURCE, &Tried::new()), Lease::Leased(_))));
        });
    }
    for threads in [2, 4] {
        let pool = pool(3);
        group.bench_function(BenchmarkId::new("threads", threads), |b| {
            b.iter_custom(|times| contended(&pool, threads, times));
        });
    }
}

/// How long `times` leases take when each of several threads takes so many.
fn contended(pool: &Arc<Pool>, threads: usize, times: u64) -> std::time::Duration {
    let started = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..times).for_each(|_| drop(pool.lease(SOURCE, &Tried::new()))));
        }
    });
    started.elapsed() / u32::try_from(threads).expect("a few")
}

criterion_group!(benches, pick, lease);
criterion_main!(benches);
