//! Bytes whose every position is known, so that one lost, doubled or moved anywhere in a stream is noticed.

use std::io::{self, Read, Write};
use std::sync::LazyLock;

/// A prime, so that no buffer of a proxy is a multiple of it.
const PERIOD: usize = 65_521;

static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(6443);
    (0..PERIOD).map(|_| random.u8(..)).collect()
});

/// Writes the first `total` bytes of the pattern.
pub fn write(stream: &mut impl Write, total: u64) -> io::Result<()> {
    write_on(stream, 0, total)
}

/// Writes the bytes of the pattern from one place to another.
pub fn write_on(stream: &mut impl Write, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let part = part(at, to - at);
        stream.write_all(part)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// Some of the pattern from this place on, and at most so many bytes of it.
pub fn part(at: u64, most: u64) -> &'static [u8] {
    let rest = &BLOCK[place(at)..];
    &rest[..rest.len().min(usize::try_from(most).unwrap_or(usize::MAX))]
}

/// Reads to the end of the stream; panics where it first differs from the pattern. Gives the length.
pub fn read_to_end(stream: &mut impl Read) -> io::Result<u64> {
    read_on_to_end(stream, 0)
}

/// As [`read_to_end`], of a stream of which so much has been read.
pub fn read_on_to_end(stream: &mut impl Read, from: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut at = from;
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(at);
        }
        compare(&buffer[..length], at);
        at += length as u64;
    }
}

fn compare(mut bytes: &[u8], mut at: u64) {
    while !bytes.is_empty() {
        let from = place(at);
        let length = bytes.len().min(PERIOD - from);
        assert!(bytes[..length] == BLOCK[from..from + length], "bytes differ from the pattern after byte {at}");
        bytes = &bytes[length..];
        at += length as u64;
    }
}

fn place(at: u64) -> usize {
    usize::try_from(at % PERIOD as u64).expect("less than the period")
}
