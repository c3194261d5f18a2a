//! What load and servers say to each other: a head that tells the server what to do, then filler that both know.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

/// Bytes of a request's head.
pub const HEAD: usize = 24;

/// Most bytes that are written at a time, and the length of buffers to read into.
pub const SLICE: usize = 256 * 1024;

/// The filler repeats after so many bytes: a prime, so that a block that is lost, doubled or moved shows.
const PERIOD: usize = 65_521;

/// The three frontends' ports, and their servers'.
pub const PORTS: [u16; 3] = [6443, 8132, 9443];

/// Where a proxy's pages are.
pub const STATS_PORT: u16 = 9000;

/// Where servers speak TLS, for the proxies' checks.
pub const CHECK_PORT: u16 = 16443;

/// Servers of each backend.
pub const SERVERS: u8 = 3;

/// Where the proxy of this place listens.
pub fn frontend(place: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, place, 1)
}

/// A server behind the proxy of this place, `number` from 0. Each proxy has addresses of its own, and so local ports.
pub fn server(place: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 2, place, number + 1)
}

/// What follows the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The rest of the request, the reply, and then another request.
    Open,
    /// The server closes after its reply.
    ServerCloses,
    /// The server replies after the client's FIN, and closes.
    ReplyAfterEnd,
    /// The server replies at once and ends its half; the rest of the request follows.
    EndBeforeRest,
}

impl Manner {
    const ALL: [Self; 4] = [Self::Open, Self::ServerCloses, Self::ReplyAfterEnd, Self::EndBeforeRest];
}

/// One request and its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// Bytes from the client, the head among them.
    pub up: u64,
    /// Bytes from the server.
    pub down: u64,
    pub manner: Manner,
    /// Whether the server looks at what it reads.
    pub verify: bool,
}

impl Exchange {
    pub fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&self.up.to_be_bytes());
        head[8..16].copy_from_slice(&self.down.to_be_bytes());
        head[16] = self.manner as u8;
        head[17] = u8::from(self.verify);
        head
    }

    /// The next bytes of the request: from the head's first on, or filler.
    pub fn piece<'a>(&self, sent: u64, buffer: &'a mut [u8]) -> &'a [u8] {
        if sent > 0 {
            return filler(sent, self.up - sent);
        }
        let length = usize::try_from(self.up).map_or(SLICE, |up| up.min(SLICE));
        buffer[..HEAD].copy_from_slice(&self.head());
        buffer[HEAD..length].copy_from_slice(&filler(HEAD as u64, self.up)[..length - HEAD]);
        &buffer[..length]
    }

    /// What a head says, or nothing if it isn't one.
    pub fn read(head: &[u8; HEAD]) -> Option<Self> {
        let number = |range: std::ops::Range<usize>| head[range].try_into().ok().map(u64::from_be_bytes);
        let exchange = Self {
            up: number(0..8)?,
            down: number(8..16)?,
            manner: *Manner::ALL.get(usize::from(head[16]))?,
            verify: head[17] == 1,
        };
        (exchange.up >= HEAD as u64 && head[18..].iter().all(|byte| *byte == 0)).then_some(exchange)
    }
}

/// The filler from a place in a request or reply on, at most [`SLICE`] bytes of it.
pub fn filler(at: u64, length: u64) -> &'static [u8] {
    static FILLER: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut random = fastrand::Rng::with_seed(7);
        let once: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(PERIOD).collect();
        once.iter().copied().cycle().take(PERIOD + SLICE).collect()
    });
    let from = usize::try_from(at % PERIOD as u64).expect("less than the period");
    let length = usize::try_from(length).map_or(SLICE, |length| length.min(SLICE));
    &FILLER[from..from + length]
}

/// Whether these bytes are what stands at this place of a request or reply.
pub fn is_filler(at: u64, bytes: &[u8]) -> bool {
    let mut at = at;
    bytes.chunks(SLICE).all(|chunk| {
        let same = filler(at, chunk.len() as u64) == chunk;
        at += chunk.len() as u64;
        same
    })
}
