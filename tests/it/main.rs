//! evenkeel as its users meet it, over loopback and without any other program.

#![expect(clippy::unwrap_used, reason = "where a test can't go on, the line says why")]

#[path = "../harness/harness.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod harness;

mod activation;
mod admin;
mod balance;
mod door;
mod drain;
mod events;
mod failover;
mod families;
mod half_close;
mod haproxy;
mod haproxys_ways;
mod health;
mod konnectivity;
mod limits;
mod logs;
mod memory;
mod operate;
mod orders;
mod peers;
mod proxy_protocol;
mod queues;
mod records;
mod reload;
mod requests;
mod reset;
mod routes;
mod runtime;
mod sandbox;
mod series;
mod shadow;
mod sources;
mod stall;
mod start;
mod statistics;
mod stats;
mod stats_abuse;
mod stats_admin;
mod stop;
mod tables;
mod timeouts;
mod unix;
mod upgrade;
mod watch;
