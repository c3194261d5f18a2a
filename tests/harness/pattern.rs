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
    let mut left = total;
    while left > 0 {
        let part = &BLOCK[..BLOCK.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        stream.write_all(part)?;
        left -= part.len() as u64;
    }
    Ok(())
}

/// Reads to the end of the stream; panics where it first differs from the pattern. Gives the length.
pub fn read_to_end(stream: &mut impl Read) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut at = 0u64;
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
        let from = usize::try_from(at % PERIOD as u64).expect("less than the period");
        let length = bytes.len().min(PERIOD - from);
        assert!(bytes[..length] == BLOCK[from..from + length], "bytes differ from the pattern after byte {at}");
        bytes = &bytes[length..];
        at += length as u64;
    }
}
