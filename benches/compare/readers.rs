//! Those who watch a proxy while it is measured: pages that are kept up to date, each on a connection of its own and
//! read as fast as it comes, and a scraper. One process, told by lines of JSON.

use std::io::{BufRead, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use serde::{Deserialize, Serialize};

use crate::poller::{Interest, Poller};

/// One page in so many is the table of sessions, the others are the overview.
const SESSIONS_EVERY: usize = 10;

/// From one scrape to the next.
const SCRAPE_EVERY: Duration = Duration::from_secs(1);

/// Longest wait for the first update of every page.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes that are read at a time.
const SLICE: usize = 64 * 1024;

/// The numbers by which standard input and the scraper are watched; those of pages begin at 0.
const INPUT: usize = usize::MAX;
const SCRAPER: usize = usize::MAX - 1;

/// What the bench says, a line each.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Order {
    /// So many pages of the stats listener there are opened, and a scraper starts; done once each page had an update.
    Open { stats: SocketAddrV4, pages: usize },
    /// All of them leave, and it is told what they have seen.
    Close,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Done(Watched),
    Failed(String),
}

/// What was seen between the two orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    pub seconds: f64,
    /// Updates of all pages together, and of the page that had the fewest.
    pub updates: u64,
    pub fewest: u64,
    /// Bytes of all pages together.
    pub bytes: u64,
    /// Whole answers of `/metrics`.
    pub scrapes: u64,
}

/// Does as told until standard input ends.
pub fn run() -> Result<()> {
    let poller = Poller::new()?;
    poller.add(rustix::stdio::stdin(), INPUT, Interest::Reading)?;
    let mut readers =
        Readers { poller, pages: Vec::new(), scraper: None, begun: Instant::now(), buffer: vec![0; SLICE] };
    println!("ready");
    loop {
        // What goes wrong while nobody has asked is told at the next order.
        let failed = readers.read_until_told();
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        let order = serde_json::from_str(&line)?;
        let answer = match failed.and_then(|()| readers.obey(order)) {
            Ok(watched) => Answer::Done(watched),
            Err(error) => Answer::Failed(format!("{error:#}")),
        };
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
}

struct Readers {
    poller: Poller,
    pages: Vec<Page>,
    scraper: Option<Scraper>,
    begun: Instant,
    buffer: Vec<u8>,
}

/// A page that is open.
struct Page {
    stream: TcpStream,
    updates: Updates,
    bytes: u64,
}

struct Scraper {
    stats: SocketAddrV4,
    due: Instant,
    /// The answer under way.
    stream: Option<TcpStream>,
    done: u64,
}

impl Readers {
    fn obey(&mut self, order: Order) -> Result<Watched> {
        match order {
            Order::Open { stats, pages } => self.open(stats, pages),
            Order::Close => self.close(),
        }
    }

    fn open(&mut self, stats: SocketAddrV4, pages: usize) -> Result<Watched> {
        for number in 0..pages {
            let page = if number % SESSIONS_EVERY == 0 { "/sessions" } else { "/" };
            let stream = ask(stats, &format!("/live?page={page}"), "Accept: text/event-stream")?;
            self.poller.add(&stream, number, Interest::Reading)?;
            self.pages.push(Page { stream, updates: Updates::default(), bytes: 0 });
        }
        let begun = Instant::now();
        while self.pages.iter().any(|page| page.updates.seen == 0) {
            ensure!(begun.elapsed() < PATIENCE, "pages had no update");
            self.read(Some(PATIENCE))?;
        }
        self.pages.iter_mut().for_each(|page| (page.updates.seen, page.bytes) = (0, 0));
        self.begun = Instant::now();
        self.scraper = Some(Scraper { stats, due: self.begun, stream: None, done: 0 });
        Ok(Watched::default())
    }

    fn close(&mut self) -> Result<Watched> {
        let pages = std::mem::take(&mut self.pages);
        let scraper = self.scraper.take().context("nothing is open")?;
        Ok(Watched {
            seconds: self.begun.elapsed().as_secs_f64(),
            updates: pages.iter().map(|page| page.updates.seen).sum(),
            fewest: pages.iter().map(|page| page.updates.seen).min().unwrap_or(0),
            bytes: pages.iter().map(|page| page.bytes).sum(),
            scrapes: scraper.done,
        })
    }

    fn read_until_told(&mut self) -> Result<()> {
        loop {
            let due = self.scraper.as_ref().map(|scraper| scraper.due.saturating_duration_since(Instant::now()));
            if self.read(due)? {
                return Ok(());
            }
            self.scrape()?;
        }
    }

    /// Reads what is there, or comes within `limit`; whether there is an order.
    fn read(&mut self, limit: Option<Duration>) -> Result<bool> {
        let mut ready = Vec::new();
        self.poller.wait(limit, &mut ready)?;
        let mut told = false;
        for number in ready {
            match number {
                INPUT => told = true,
                SCRAPER => self.read_scrape()?,
                page => self.read_page(page)?,
            }
        }
        Ok(told)
    }

    fn read_page(&mut self, number: usize) -> Result<()> {
        let Some(page) = self.pages.get_mut(number) else { return Ok(()) };
        let Some(read) = receive(&page.stream, &mut self.buffer)? else { return Ok(()) };
        ensure!(read > 0, "a page that was open has been closed");
        page.bytes += read as u64;
        page.updates.note(&self.buffer[..read]);
        Ok(())
    }

    /// One more, if it is time and the one before is over.
    fn scrape(&mut self) -> Result<()> {
        let Some(scraper) = &mut self.scraper else { return Ok(()) };
        if scraper.due > Instant::now() {
            return Ok(());
        }
        scraper.due += SCRAPE_EVERY;
        if scraper.stream.is_none() {
            let stream = ask(scraper.stats, "/metrics", "Accept-Encoding: gzip\r\nConnection: close")?;
            self.poller.add(&stream, SCRAPER, Interest::Reading)?;
            scraper.stream = Some(stream);
        }
        Ok(())
    }

    fn read_scrape(&mut self) -> Result<()> {
        let Some(scraper) = &mut self.scraper else { return Ok(()) };
        let Some(stream) = &scraper.stream else { return Ok(()) };
        if receive(stream, &mut self.buffer)? == Some(0) {
            scraper.stream = None;
            scraper.done += 1;
        }
        Ok(())
    }
}

/// Asks for a path on a connection of its own.
fn ask(stats: SocketAddrV4, path: &str, header: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(stats).with_context(|| stats.to_string())?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {stats}\r\n{header}\r\n\r\n")?;
    Ok(stream)
}

/// How much came; `None` if there is nothing yet.
fn receive(stream: &TcpStream, buffer: &mut [u8]) -> Result<Option<usize>> {
    match rustix::net::recv(stream, buffer, RecvFlags::DONTWAIT) {
        Ok((_, read)) => Ok(Some(read)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error).context("receive"),
    }
}

/// Counts updates in a stream of events, wherever its reads are cut.
#[derive(Default)]
struct Updates {
    seen: u64,
    /// Bytes of [`UPDATE`] that stand at the end of what was read.
    matched: usize,
}

/// The line with which an update begins, and the end of the line before it: the only byte that is in it twice is its
/// first and last.
const UPDATE: &[u8] = b"\nevent: update\n";

impl Updates {
    fn note(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let goes_on = UPDATE[self.matched] == *byte;
            self.matched = if goes_on { self.matched + 1 } else { usize::from(*byte == UPDATE[0]) };
            if self.matched == UPDATE.len() {
                self.seen += 1;
                self.matched = 1;
            }
        }
    }
}
