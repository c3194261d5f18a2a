//! How HAProxy hands its listening sockets to the process that takes its place: over the unix socket of its runtime API
//! (`expose-fd listeners` there, `-x` here).
//!
//! Who takes them asks with a line, and is told how many there are. They come some at a time, each with bytes that name
//! its namespace, its interface and its options, and each time an answer is waited for before the next ones.

use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// The line that asks for them.
const REQUEST: &[u8] = b"_getsocks\n";

/// Sockets that go at a time (HAProxy's `MAX_SEND_FD`; the kernel takes one more).
const AT_ONCE: usize = 252;

/// More than this nobody listens on: what says so is no HAProxy.
const MOST: usize = 16_384;

/// Room for the bytes of a socket: two names of up to 255 bytes, each behind its length, and the options.
const BYTES_OF_ONE: usize = 2 * 256 + size_of::<i32>();

/// How long each step of it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there are no sockets to go on with.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("nobody answers there: {0}")]
    Nobody(io::Error),
    #[error("it hands over no sockets: its `stats socket` line needs `expose-fd listeners`")]
    Refused,
    #[error("it ended before all sockets had come: {0}")]
    Lost(#[from] io::Error),
}

/// Asks the process that listens at `path` for all its listening sockets.
///
/// # Errors
///
/// What kept them from coming.
pub fn take(path: &Path) -> Result<Vec<OwnedFd>, TransferError> {
    let mut stream = UnixStream::connect(path).map_err(TransferError::Nobody)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut count = [0; size_of::<i32>()];
    stream.read_exact(&mut count).map_err(|_| TransferError::Refused)?;
    // Words instead of a number are a number that nobody means.
    let count = usize::try_from(i32::from_ne_bytes(count)).map_err(|_| TransferError::Refused)?;
    if count > MOST {
        return Err(TransferError::Refused);
    }
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        if receive(&stream, &mut sockets)? {
            stream.write_all(&0_i32.to_ne_bytes())?;
        }
    }
    Ok(sockets)
}

/// Receives some; whether any came with these bytes.
fn receive(stream: &UnixStream, sockets: &mut Vec<OwnedFd>) -> io::Result<bool> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE + 1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; AT_ONCE * BYTES_OF_ONE];
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let before = sockets.len();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            sockets.extend(some);
        }
    }
    Ok(sockets.len() > before)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    /// As HAProxy hands them over.
    fn give(stream: &mut UnixStream, sockets: &[BorrowedFd<'_>]) {
        stream.write_all(&i32::try_from(sockets.len()).unwrap().to_ne_bytes()).unwrap();
        for some in sockets.chunks(AT_ONCE) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(some));
            let bytes = vec![0; 6 * some.len()];
            sendmsg(&*stream, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL).unwrap();
            let mut answer = [0; size_of::<i32>()];
            stream.read_exact(&mut answer).unwrap();
        }
    }

    /// A process at a unix socket that does this with the first one who asks it.
    fn at<T: Send + 'static>(path: &Path, act: impl FnOnce(UnixStream) -> T + Send + 'static) -> thread::JoinHandle<T> {
        let listener = UnixListener::bind(path).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = [0; REQUEST.len()];
            stream.read_exact(&mut line).unwrap();
            assert_eq!(line, REQUEST);
            act(stream)
        })
    }

    #[test]
    fn sockets_arrive_in_order_however_many_they_are() {
        for count in [0, 1, AT_ONCE, AT_ONCE + 3] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("socket");
            let files: Vec<_> = (0..count).map(|_| tempfile::tempfile().unwrap()).collect();
            for (mut file, number) in files.iter().zip(0_u32..) {
                file.write_all(&number.to_ne_bytes()).unwrap();
            }
            let giver = at(&path, move |mut stream| {
                give(&mut stream, &files.iter().map(AsFd::as_fd).collect::<Vec<_>>());
            });
            let taken = take(&path).unwrap();
            giver.join().unwrap();
            assert_eq!(taken.len(), count);
            for (descriptor, number) in taken.iter().zip(0_u32..) {
                let mut bytes = [0xff; 4];
                rustix::io::pread(descriptor, &mut bytes, 0).unwrap();
                assert_eq!(bytes, number.to_ne_bytes());
            }
        }
    }

    #[test]
    fn who_answers_in_words_hands_over_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for (name, answer) in [("words", "Unknown command: '_getsocks'.\n"), ("nothing", "\n")] {
            let path = directory.path().join(name);
            let other = at(&path, move |mut stream| stream.write_all(answer.as_bytes()).unwrap());
            assert!(matches!(take(&path), Err(TransferError::Refused)), "{answer}");
            other.join().unwrap();
        }
        assert!(matches!(take(&directory.path().join("nobody")), Err(TransferError::Nobody(_))));
    }

    #[test]
    fn who_leaves_in_the_middle_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let other = at(&path, move |mut stream| stream.write_all(&2_i32.to_ne_bytes()).unwrap());
        assert!(matches!(take(&path), Err(TransferError::Lost(_))));
        other.join().unwrap();
    }
}
