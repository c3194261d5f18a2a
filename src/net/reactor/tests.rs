//! Streams between real sockets, in a worker's runtime.

use std::future::poll_fn;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use super::super::pipe::Pipes;
use super::*;

/// Runs a test as a task of a worker would run, its reactor beside it.
fn on_a_worker<F: Future<Output = ()>>(test: impl FnOnce(Rc<Reactor>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reactor = Reactor::new().unwrap();
        tokio::select! {
            () = test(Rc::clone(&reactor)) => {}
            () = reactor.drive() => unreachable!("it ends with the runtime only"),
        }
    });
}

/// A stream and its peer, a socket that blocks.
fn pair(reactor: &Rc<Reactor>) -> (Stream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    (Stream::accepted(reactor, accepted.into()).unwrap(), peer)
}

async fn read(stream: &Stream, bytes: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, bytes)).await
}

#[test]
fn bytes_that_come_after_a_short_read_are_told_of() {
    on_a_worker(async |reactor| {
        let (stream, peer) = pair(&reactor);
        let mut bytes = [0; 16];
        for text in [&b"first"[..], b"second"] {
            io::Write::write_all(&mut &peer, text).unwrap();
            assert_eq!(read(&stream, &mut bytes).await.unwrap(), text.len());
        }
    });
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_not_missed() {
    on_a_worker(async |reactor| {
        let (stream, peer) = pair(&reactor);
        io::Write::write_all(&mut &peer, b"bye").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut bytes = [0; 16];
        assert_eq!(read(&stream, &mut bytes).await.unwrap(), 3, "a short read");
        assert_eq!(read(&stream, &mut bytes).await.unwrap(), 0);
        assert_eq!(read(&stream, &mut bytes).await.unwrap(), 0, "and it stays the end");
    });
}

#[test]
fn a_dial_stands_or_is_refused() {
    on_a_worker(async |reactor| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stream = Stream::dial(&reactor, address, Way::default()).await.unwrap();
        assert_eq!(listener.accept().unwrap().1, stream.local_address().unwrap());
        drop(listener);
        assert!(matches!(Stream::dial(&reactor, address, Way::default()).await, Err(DialError::Refused)));
    });
}

#[test]
fn a_reset_is_seen_by_who_does_not_read() {
    on_a_worker(async |reactor| {
        let (stream, peer) = pair(&reactor);
        options::reset_on_close(&peer);
        drop(peer);
        let error = poll_fn(|cx| stream.poll_failed(cx)).await;
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_place_that_is_given_out_again_is_not_confused_by_its_last_stream() {
    on_a_worker(async |reactor| {
        let (first, peer) = pair(&reactor);
        let place = first.place;
        drop((first, peer));
        let (second, peer) = pair(&reactor);
        assert_eq!(second.place, place);
        // What the first stream's end would have left behind: readiness and closing that are not the second's.
        second.place(|place| place.ready = READABLE | WRITABLE | CLOSED | FAILED);
        let mut bytes = [0; 16];
        let early = poll_fn(|cx| Poll::Ready(second.poll_read(cx, &mut bytes).is_pending())).await;
        assert!(early, "nothing has come yet");
        assert!(second.failure().is_none());
        io::Write::write_all(&mut &peer, b"hello").unwrap();
        assert_eq!(read(&second, &mut bytes).await.unwrap(), 5);
    });
}

#[test]
fn a_stream_that_is_closed_leaves_nothing() {
    on_a_worker(async |reactor| {
        let (stream, _peer) = pair(&reactor);
        drop(stream);
        assert!(reactor.places.borrow().is_empty());
    });
}

#[test]
fn a_pipe_is_used_again_unless_bytes_are_left_in_it() {
    on_a_worker(async |reactor| {
        let pipes = Pipes::default();
        let (from, sender) = pair(&reactor);
        let (to, mut receiver) = pair(&reactor);
        let mut pipe = pipes.take().unwrap();
        let first = pipe.descriptor();
        io::Write::write_all(&mut &sender, b"through the kernel").unwrap();
        assert_eq!(poll_fn(|cx| pipe.poll_fill(cx, &from)).await.unwrap(), 18);
        assert_eq!(poll_fn(|cx| pipe.poll_empty(cx, &to)).await.unwrap(), 18);
        let mut bytes = [0; 18];
        io::Read::read_exact(&mut receiver, &mut bytes).unwrap();
        assert_eq!(&bytes, b"through the kernel");
        drop(pipe);
        let mut again = pipes.take().unwrap();
        assert_eq!(again.descriptor(), first);
        io::Write::write_all(&mut &sender, b"left").unwrap();
        assert_eq!(poll_fn(|cx| again.poll_fill(cx, &from)).await.unwrap(), 4);
        drop(again);
        let fresh = pipes.take().unwrap();
        assert!(fresh.is_empty());
        let lent: Vec<_> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!(lent.len(), Pipes::MAX - 1, "one is lent already");
    });
}
