//! What the kernel says: time on a core, memory, descriptors, and what machine this is.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal};
use rustix::thread::CpuSet;

/// Where the proxy that is measured runs.
pub const PROXY_CORES: &str = "0";

/// Where everything else runs.
pub const LOAD_CORES: &str = "1";

/// Time that threads spent on a core, and ready to run without one.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoreTime {
    pub ran: Duration,
    pub waited: Duration,
}

impl CoreTime {
    /// Of all threads of these processes, since they began.
    pub fn of(processes: &[u32]) -> Result<Self> {
        let mut sum = Self::default();
        for process in processes {
            for task in fs::read_dir(format!("/proc/{process}/task")).context("the proxy has ended")? {
                sum.add(&fs::read_to_string(task?.path().join("schedstat"))?)?;
            }
        }
        Ok(sum)
    }

    /// Of those threads of a process that are `wanted` by their number and name.
    pub fn of_threads(process: u32, wanted: impl Fn(u32, &str) -> bool) -> Result<Self> {
        let mut sum = Self::default();
        for (thread, name) in named_threads(process)? {
            if wanted(thread, &name) {
                sum.add(&fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat"))?)?;
            }
        }
        Ok(sum)
    }

    /// Adds what a `schedstat` says.
    fn add(&mut self, text: &str) -> Result<()> {
        let mut numbers = text.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next().context("three numbers")?.context("a number");
        self.ran += Duration::from_nanos(next()?);
        self.waited += Duration::from_nanos(next()?);
        Ok(())
    }

    /// Time without a core for each second on one.
    pub fn share_waited(self) -> f64 {
        self.waited.as_secs_f64() / self.ran.as_secs_f64().max(1e-9)
    }

    pub fn since(self, before: Self) -> Self {
        Self { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}

/// What processes hold at a moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holding {
    /// Bytes of anonymous memory that are theirs; what forked processes share counts once.
    pub anonymous: f64,
    /// Bytes of memory in use, files mapped among them.
    pub resident: f64,
    pub descriptors: usize,
}

impl Holding {
    pub fn of(processes: &[u32]) -> Result<Self> {
        let mut sum = Self::default();
        for process in processes {
            let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
            sum.anonymous += kilobytes(&text, "Pss_Anon:")?;
            sum.resident += kilobytes(&text, "Rss:")?;
            sum.descriptors += fs::read_dir(format!("/proc/{process}/fd"))?.count();
        }
        Ok(sum)
    }
}

fn kilobytes(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("{name} is missing"))?;
    let number: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(number * 1024.0)
}

/// A process and those that it has started.
pub fn family(parent: u32) -> Vec<u32> {
    let started = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let process = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold anything; state and parent follow it.
        let its_parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        (its_parent == parent).then_some(process)
    });
    std::iter::once(parent).chain(started).collect()
}

/// Ends a process that we started: asks first, so that it ends those that it has started.
pub fn end(process: &mut Child) {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
    for _ in 0..100 {
        if matches!(process.try_wait(), Ok(Some(_))) {
            return;
        }
        pause(Duration::from_millis(20));
    }
    let _ = process.kill();
    let _ = process.wait();
}

/// Between two looks at something that says nothing by itself.
#[expect(clippy::disallowed_methods, reason = "no worker is here to be blocked")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// What a program prints, on either stream; it may fail.
pub fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().context(program.to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// Lets threads run before all others, or as all others again.
pub fn prefer(threads: &[u32], preferred: bool) -> Result<()> {
    let (policy, priority) = if preferred { ("-r", "1") } else { ("-o", "0") };
    for thread in threads {
        let said = said("chrt", &[policy, "-p", priority, &thread.to_string()])?;
        ensure!(said.is_empty(), "chrt: {said}");
    }
    Ok(())
}

/// The threads of these processes.
pub fn threads(processes: &[u32]) -> Vec<u32> {
    let tasks = processes.iter().filter_map(|process| fs::read_dir(format!("/proc/{process}/task")).ok());
    tasks.flatten().flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// Numbers and names of a process's threads.
fn named_threads(process: u32) -> Result<Vec<(u32, String)>> {
    let named = threads(&[process]).into_iter().map(|thread| {
        let name = fs::read_to_string(format!("/proc/{process}/task/{thread}/comm"))?;
        Ok((thread, name.trim_end().to_owned()))
    });
    named.collect()
}

/// The numbers of those threads of a process that are `wanted` by their names.
pub fn threads_named(process: u32, wanted: impl Fn(&str) -> bool) -> Result<Vec<u32>> {
    Ok(named_threads(process)?.into_iter().filter(|(_, name)| wanted(name)).map(|(thread, _)| thread).collect())
}

/// Has those threads of a process run on this core that are `wanted` by their names.
pub fn pin_threads(process: u32, core: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core.parse().context("the number of a core")?);
    for thread in threads_named(process, wanted)? {
        let thread = i32::try_from(thread).ok().and_then(Pid::from_raw).context("a thread has a number")?;
        rustix::thread::sched_setaffinity(Some(thread), &cores)?;
    }
    Ok(())
}

/// Ends all connections of the namespace that wait in TIME_WAIT: tens of thousands of them make new ones dearer, and the
/// next burst would pay for this one.
pub fn forget_connections() -> Result<()> {
    let ss = Command::new("ss").args(["-K", "-H", "-t", "-n", "state", "time-wait"]).stdout(Stdio::null()).status();
    ensure!(ss.context("ss")?.success(), "ss could not end connections in TIME_WAIT");
    Ok(())
}

/// The machine in a line.
pub fn describe() -> Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let congestion = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")?;
    Ok(format!("{cores} cores ({model}), Linux {}, {} on loopback", kernel.trim(), congestion.trim()))
}

/// Average number of threads that ran or wanted to, over the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}
