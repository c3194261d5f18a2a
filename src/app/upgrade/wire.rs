//! How two processes of an upgrade talk: over a pair of unix sockets, in frames of a length and as many bytes of JSON.
//! Descriptors go along with single bytes between the frames.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest frame, in bytes: the state of some ten thousand servers.
const LARGEST: usize = 32 << 20;

/// Descriptors that go with one byte; the kernel takes 253 (unix(7)).
const AT_ONCE: usize = 64;

/// Sends one frame.
pub fn send(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(message)?)
}

/// As [`send`], without waiting on a thread.
pub async fn send_async(stream: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(message)?).await
}

fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes(), text.as_slice()].concat())
}

/// Receives one frame.
pub fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut text = room(u32::from_be_bytes(length))?;
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// As [`receive`], without waiting on a thread.
pub async fn receive_async<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let mut text = room(stream.read_u32().await?)?;
    stream.read_exact(&mut text).await?;
    Ok(serde_json::from_slice(&text)?)
}

/// For a frame of this length.
fn room(length: u32) -> io::Result<Vec<u8>> {
    match length as usize {
        length @ ..=LARGEST => Ok(vec![0; length]),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is too long")),
    }
}

/// Sends descriptors.
pub fn send_descriptors(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    for some in descriptors.chunks(AT_ONCE) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(some));
        sendmsg(stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives so many of them.
pub fn receive_descriptors(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut descriptors = Vec::new();
    while descriptors.len() < count {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let before = descriptors.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        if received.bytes == 0 || descriptors.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(descriptors)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    // Seen to fail when only the first chunk is sent.
    #[test]
    fn messages_and_descriptors_arrive_in_order() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let files: Vec<_> = (0..AT_ONCE + 3).map(|_| tempfile::tempfile().unwrap()).collect();
        files.iter().zip(0_u8..).for_each(|(mut file, number)| file.write_all(&[number]).unwrap());
        send(&mut here, &("before", 1)).unwrap();
        send_descriptors(&here, &files.iter().map(AsFd::as_fd).collect::<Vec<_>>()).unwrap();
        send(&mut here, &("after", 2)).unwrap();
        assert_eq!(receive::<(String, u32)>(&mut there).unwrap(), ("before".to_owned(), 1));
        let received = receive_descriptors(&there, files.len()).unwrap();
        assert_eq!(received.len(), files.len());
        for (descriptor, number) in received.iter().zip(0_u8..) {
            let mut byte = [0xff];
            rustix::io::pread(descriptor, &mut byte, 0).unwrap();
            assert_eq!(byte, [number]);
        }
        assert_eq!(receive::<(String, u32)>(&mut there).unwrap(), ("after".to_owned(), 2));
        drop(here);
        assert!(receive_descriptors(&there, 1).is_err());
    }

    #[test]
    fn a_length_that_nobody_means_is_refused() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        here.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert!(receive::<u32>(&mut there).is_err());
    }
}
