//! A file of 1,000 servers: read, resolved and checked; and printed again with where each value is from.

mod bench;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use evenkeel::config;

const SERVERS: usize = 1000;

fn load(c: &mut Criterion) {
    let text = bench::crowded_file(SERVERS, "check = { type = 'tls', verify = 'none' }", "");
    let mut group = c.benchmark_group("configuration of 1,000 servers");
    group.bench_function("parse and resolve", |b| {
        b.iter(|| bench::resolved(black_box(&text)));
    });
    group.bench_function("show", |b| {
        b.iter(|| {
            config::show_text(black_box(&text), "bench.toml")
                .unwrap_or_else(|report| panic!("{}", report.render(false)))
        });
    });
    // As many mistakes as servers: a report is bounded by the reader's patience, not by the machine's.
    let wrong = text.replace("weight = 1", "weight = 257");
    group.bench_function("report on 1,000 mistakes", |b| {
        b.iter(|| config::parse(black_box(&wrong), "bench.toml").expect_err("mistakes").render(false));
    });
}

criterion_group!(benches, load);
criterion_main!(benches);
