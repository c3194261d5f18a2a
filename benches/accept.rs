//! How should a connection reach a worker? Prototypes of six ways, with nothing of evenkeel in them, measured in turn.
//! All are edge-triggered, so that they differ in nothing else. It takes little more than a minute.

#![expect(clippy::print_stdout, reason = "the table is what it is run for")]

#[path = "accept/worker.rs"]
mod worker;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};
use rustix::thread::{Pid, gettid};
use rustix::time::{ClockId, clock_gettime};
use socket2::Socket;

use worker::{CLOSE, KEEP, STICK, Seat, WAYS, Way, Worker, hand_over, listen};

const ROUNDS: usize = 5;
const BURST: Duration = Duration::from_millis(450);
/// Connections that stay open, and connections beside a stuck worker.
const MANY: usize = 64;
const PATIENCE: Duration = Duration::from_millis(500);

fn main() {
    let mut cases: Vec<_> = WAYS.iter().flat_map(|&way| [(way, 2, Vec::new()), (way, 8, Vec::new())]).collect();
    for turn in 0..ROUNDS * cases.len() {
        let at = turn % cases.len();
        let (way, workers, samples) = &mut cases[at];
        samples.push(Team::start(*way, *workers).measure());
    }
    let kernel = rustix::system::uname();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("Linux {}, {cores} cores; medians of {ROUNDS} rounds\n", kernel.release().to_string_lossy());
    println!(
        "| way | workers | CPU, 1 at a time | CPU, 16 at a time | load's CPU, 1 / 16 | wake-ups, 1 / 16 | in vain, 1 / 16 | \
         spread, one by one | spread, at once | beside a stuck worker | second bind |\n|{}",
        "---|".repeat(11)
    );
    for (way, workers, samples) in cases {
        let [cpu, load, wakes, vain, cpu16, load16, wakes16, vain16, few, most, few64, most64, answered, binds] =
            std::array::from_fn(|column| median(samples.iter().map(|sample| sample[column])));
        let second = if binds > 0.0 { "succeeds" } else { "fails" };
        println!(
            "| {way:?} | {workers} | {cpu:.1} µs | {cpu16:.1} µs | {load:.1} / {load16:.1} µs | {wakes:.2} / {wakes16:.2} | \
             {vain:.2} / {vain16:.2} | {few}–{most} | {few64}–{most64} | {answered} of {MANY} | {second} |"
        );
    }
    println!("\n{MEANING}");
}

const MEANING: &str = "\
- CPU: what a short connection costs in the serving threads, the one that accepts for the workers included
- load's CPU: what it costs in the clients' thread, where loopback wakes the workers: dearer the more it wakes
- wake-ups: how often a serving thread went from sleep to a core for each short connection
- in vain: wake-ups with nothing left to accept; the kernel looks too before it returns, and hides most: see wake-ups
- spread: the fewest and the most that a worker has of 64 open connections, made one by one or all at once
- beside a stuck worker: of 64 connections while one worker sleeps 2 s in its turn, those answered within 500 ms
- second bind: whether another socket with the same options, as of a second process, can have the address too";

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Workers that serve one address, until it is dropped.
struct Team {
    way: Way,
    socket: Socket,
    address: SocketAddr,
    seats: Arc<[Seat]>,
    /// The threads that serve.
    tasks: Vec<Pid>,
}

impl Team {
    fn start(way: Way, workers: usize) -> Self {
        let socket = listen(way, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = socket.local_addr().ok().and_then(|at| at.as_socket()).expect("a bound socket has an address");
        let seats: Arc<[Seat]> = (0..workers).map(|_| Seat::new()).collect();
        let (started, starts) = mpsc::channel();
        let start = |serve: Box<dyn FnOnce() + Send>| {
            let started = started.clone();
            thread::spawn(move || {
                started.send(gettid()).expect("its start is waited for");
                serve();
            });
            starts.recv().expect("it starts")
        };
        let mut tasks = Vec::new();
        for index in 0..workers {
            let alone = way == Way::ReusePort && index > 0;
            let listener = if alone { listen(way, address) } else { socket.try_clone() }.expect("a socket");
            let worker = Worker::new(way, listener, Arc::clone(&seats), index).expect("an epoll");
            tasks.push(start(Box::new(|| worker.run())));
        }
        if way == Way::HandOver {
            let (socket, seats) = (socket.try_clone().expect("a descriptor"), Arc::clone(&seats));
            tasks.push(start(Box::new(move || hand_over(&socket, &seats))));
        }
        Self { way, socket, address, seats, tasks }
    }

    /// One sample of each figure, in the order of the table's making.
    fn measure(self) -> [f64; 14] {
        let second = listen(self.way, self.address).is_ok();
        let ([cpu, load, wakes, vain], [cpu16, load16, wakes16, vain16]) = (self.burst(1), self.burst(16));
        let ((few, most), (few64, most64)) = (self.spread(1), self.spread(MANY));
        let answered = self.beside_a_stuck_worker();
        let second = f64::from(u8::from(second));
        [cpu, load, wakes, vain, cpu16, load16, wakes16, vain16, few, most, few64, most64, answered, second]
    }

    /// Short connections, so many at a time; for each, microseconds of the workers and of the load, wake-ups, and those
    /// in vain.
    fn burst(&self, at_a_time: usize) -> [f64; 4] {
        let seen = || {
            let load = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
            let (on_core, wakes) = self.ran();
            [on_core, load.as_secs_f64() * 1e6, wakes, self.sum(|seat| &seat.in_vain) as f64]
        };
        let (before, end) = (seen(), Instant::now() + BURST);
        let mut clients: VecDeque<_> = (0..at_a_time).map(|_| self.client(CLOSE)).collect();
        let mut count = at_a_time;
        while let Some(mut client) = clients.pop_front() {
            assert_eq!([client.read(&mut [0; 2]).ok(), client.read(&mut [0]).ok()], [Some(1), Some(0)]);
            if Instant::now() < end {
                clients.push_back(self.client(CLOSE));
                count += 1;
            }
        }
        let after = seen();
        std::array::from_fn(|figure| (after[figure] - before[figure]) / count as f64)
    }

    /// The fewest and the most that a worker has of connections that stay open, when so many are made at a time.
    fn spread(&self, at_a_time: usize) -> (f64, f64) {
        self.wait_until_empty();
        let mut clients = Vec::new();
        while clients.len() < MANY {
            let mut more: Vec<_> = (0..at_a_time).map(|_| self.client(KEEP)).collect();
            more.iter_mut().for_each(|client| client.read_exact(&mut [0]).expect("an answer"));
            clients.append(&mut more);
        }
        let each = || self.seats.iter().map(|seat| seat.open.load(Relaxed) as f64);
        (each().fold(f64::MAX, f64::min), each().fold(0.0, f64::max))
    }

    fn beside_a_stuck_worker(&self) -> f64 {
        self.wait_until_empty();
        let mut sticking = self.client(STICK);
        sticking.read_exact(&mut [0]).expect("an answer");
        let clients: Vec<_> = (0..MANY).map(|_| self.client(CLOSE)).collect();
        let deadline = Instant::now() + PATIENCE;
        let answered = |mut client: &TcpStream| {
            let left = deadline.saturating_duration_since(Instant::now());
            client.set_read_timeout(Some(left.max(Duration::from_millis(1)))).expect("a socket");
            client.read(&mut [0]).is_ok_and(|read| read == 1)
        };
        clients.iter().filter(|client| answered(client)).count() as f64
    }

    /// Microseconds that the serving threads were on a core, and how often they left it to sleep.
    fn ran(&self) -> (f64, f64) {
        let number = |task: &Pid, file, label: &str| -> f64 {
            let text = std::fs::read_to_string(format!("/proc/self/task/{task}/{file}")).expect("a thread that runs");
            let rest = text.lines().find_map(|line| line.strip_prefix(label));
            rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("a number")
        };
        let sum = |file, label| -> f64 { self.tasks.iter().map(|task| number(task, file, label)).sum() };
        (sum("schedstat", "") / 1e3, sum("status", "voluntary_ctxt_switches:"))
    }

    fn client(&self, wish: u8) -> TcpStream {
        let mut client = TcpStream::connect(self.address).expect("the team listens");
        client.write_all(&[wish]).expect("a byte is taken");
        client
    }

    fn wait_until_empty(&self) {
        while self.sum(|seat| &seat.open) > 0 {
            thread::yield_now();
        }
    }

    fn sum(&self, of: impl Fn(&Seat) -> &AtomicUsize) -> usize {
        self.seats.iter().map(|seat| of(seat).load(Relaxed)).sum()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.seats.iter().for_each(Seat::end);
        if self.way == Way::HandOver {
            shutdown(&self.socket, Shutdown::Both).expect("it listens");
        }
    }
}
