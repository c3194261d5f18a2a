//! How often a proxy asks the kernel for something: the figure without noise. strace slows it down, and so changes what
//! comes together; so the counts are compared at the same number of connections.

use std::cmp::Reverse;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal};

use super::bursts;
use crate::bench::Bench;
use crate::figures::Sample;
use crate::load::{Connection, Until};
use crate::machine::{self, LOAD_CORES};
use crate::proxies::Proxy;

/// Exchanges for each count; enough that checks in between do not matter.
const EXCHANGES: u64 = 4000;

/// Calls that are rarer than this for each exchange come from checks and sweeps.
const WORTH_NAMING: f64 = 0.02;

/// System calls for each short connection, and for each request on an open one.
pub fn count(bench: &mut Bench, proxy: &Proxy) -> Result<Sample> {
    let connections = counted(bench, proxy, Connection::ClientCloses)?;
    let requests = counted(bench, proxy, Connection::Stays)?;
    Ok(Sample::of(vec![connections, requests]))
}

fn counted(bench: &mut Bench, proxy: &Proxy, connection: Connection) -> Result<f64> {
    let kind = if connection == Connection::Stays { "request" } else { "connection" };
    let file = bench.programs.scratch.join("strace");
    bench.load.open(bursts::counted(proxy, connection))?;
    let mut strace = Command::new("taskset");
    strace.args(["-c", LOAD_CORES, "strace", "-f", "-c", "-U", "calls,name", "-o"]).arg(&file);
    for pid in proxy.pids() {
        strace.args(["-p", &pid.to_string()]);
    }
    let mut strace = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("strace")?;
    let outcome = wait_until_traced(proxy).and_then(|()| bench.load.run(Until::Exchanges(EXCHANGES)));
    let pid = i32::try_from(strace.id()).ok().and_then(Pid::from_raw).context("a process has a number")?;
    rustix::process::kill_process(pid, Signal::INT)?;
    strace.wait()?;
    bench.load.close()?;
    let seen = outcome?;
    let calls = calls(&fs::read_to_string(&file)?)?;
    let shares = calls.iter().map(|(count, name)| (*count as f64 / EXCHANGES as f64, name));
    let text = shares.filter(|(share, _)| *share >= WORTH_NAMING).map(|(share, name)| format!("{name} {share:.2}"));
    bench.note(format!("calls per {kind}, {}", proxy.kind.name()), text.collect::<Vec<_>>().join(", "));
    let sum: u64 = calls.iter().map(|(count, _)| count).sum();
    Ok(sum as f64 / seen[0].exchanges as f64)
}

fn wait_until_traced(proxy: &Proxy) -> Result<()> {
    for _ in 0..200 {
        if proxy.pids().iter().all(|pid| is_traced(*pid)) {
            return Ok(());
        }
        machine::pause(Duration::from_millis(10));
    }
    anyhow::bail!("strace could not attach")
}

fn is_traced(process: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.into_iter().all(|task| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0")
    })
}

/// Counts and names, the most frequent first.
fn calls(table: &str) -> Result<Vec<(u64, String)>> {
    let mut calls: Vec<(u64, String)> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let count = words.next()?.parse().ok()?;
            let name = words.next()?.to_owned();
            (name != "total").then_some((count, name))
        })
        .collect();
    ensure!(!calls.is_empty(), "strace has seen nothing");
    calls.sort_unstable_by_key(|(count, _)| Reverse(*count));
    Ok(calls)
}
