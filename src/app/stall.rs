//! Workers that do not turn any more: told once an episode, with what they were doing when they stopped.
//!
//! The service manager's watchdog ends a process of which a worker hangs (`app/systemd.rs`); what is told here is what is
//! left for whoever asks why.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval};

use super::process::Facts;
use super::workers::{STUCK, Watched};

/// How often it is looked: a stall is told within [`STUCK`] and this.
const LOOK: Duration = Duration::from_millis(500);

/// Watches all workers for as long as it is polled.
pub async fn watch(facts: Arc<Facts>) {
    let mut stalled: Vec<Option<Instant>> = vec![None; facts.workers.len()];
    let mut turn = interval(LOOK);
    loop {
        turn.tick().await;
        for ((index, worker), since) in facts.workers.iter().enumerate().zip(&mut stalled) {
            let age = worker.pulse.age();
            match (*since, age >= STUCK) {
                (None, true) => {
                    *since = Some(Instant::now() - age);
                    tell_stall(index, worker, age);
                }
                (Some(begun), false) => {
                    *since = None;
                    tracing::warn!(worker = index, stood_still = seconds(begun.elapsed()), "the worker turns again");
                }
                _ => {}
            }
        }
    }
}

fn tell_stall(index: usize, worker: &Watched, age: Duration) {
    let thread = thread_state(&format!("worker-{index}")).unwrap_or_else(|| "unknown".to_owned());
    let carried = worker.pulse.carried(worker.sessions.worker());
    let live = carried.and_then(|id| worker.sessions.try_find(id));
    let client = live.as_ref().map(|live| live.cell.client.to_string());
    let server = live.and_then(|live| Some(format!("{}/{}", live.way.backend, live.server?.name)));
    tracing::error!(
        worker = index,
        stood_still = seconds(age),
        session = carried.map(tracing::field::display),
        client,
        server,
        thread,
        "a worker hangs: its sessions stand still"
    );
}

fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// What the kernel says that a thread of ours does (proc(5), `task`).
fn thread_state(name: &str) -> Option<String> {
    let named =
        |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name);
    let task = fs::read_dir("/proc/self/task").ok()?.flatten().find(named)?.path();
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    // The name, which stands in parentheses before the state, may hold any letter.
    let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
    let word = match state {
        'R' => return Some("running".to_owned()),
        'D' => "waiting for the kernel",
        'T' | 't' => "stopped",
        _ => "sleeping",
    };
    let place = fs::read_to_string(task.join("wchan")).unwrap_or_default();
    match place.as_str() {
        "" | "0" => Some(word.to_owned()),
        place => Some(format!("{word} in {place}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_that_waits_is_said_to_sleep() {
        let (end, ends) = mpsc::channel::<()>();
        let waiting = thread::Builder::new().name("waits-here".to_owned()).spawn(move || ends.recv()).unwrap();
        let state = loop {
            match thread_state("waits-here") {
                Some(state) if state.starts_with("sleeping") => break state,
                _ => thread::yield_now(),
            }
        };
        // Where the kernel names its functions, it is one of them.
        assert!(state == "sleeping" || state.contains("futex"), "{state}");
        drop(end);
        let _ = waiting.join();
    }

    #[test]
    fn a_thread_that_is_not_there_has_no_state() {
        assert_eq!(thread_state("nobody-of-ours"), None);
    }
}
