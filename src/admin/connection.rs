//! One connection of a stats listener or the admin socket: HTTP/1, and a bound on all that a client can make us wait for.
//! Where the site speaks TLS, that comes first.

mod begun;

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use self::begun::Begun;
use super::caller::Caller;
use super::crowd::Asked;
use super::router::{self, Answer};
use super::tally::Tally;
use super::{Leaving, Site, Views};
use crate::net::tls::HANDSHAKE;

/// Longest request head in bytes; a longer one is answered with 431.
const MAX_HEAD: usize = 8 * 1024;

/// Most header lines of a request.
const MAX_HEADERS: usize = 64;

/// From the opening of the connection, or the end of the answer before, to the end of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// From the opening of the connection to the end of its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take to read one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves a connection as its site speaks: at once, or after a handshake.
pub(super) async fn open<S>(
    stream: S,
    caller: Caller,
    site: Arc<Site>,
    views: Arc<Views>,
    mut leaving: Leaving,
    asked: Asked,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = site.tls() else { return serve(stream, caller, site, views, leaving, asked).await };
    let handshake = async {
        let begun = Begun::read(stream).await?;
        match begun.first() {
            HANDSHAKE => tls.accept(begun).await.map(Ok),
            _ => Ok(Err(begun)),
        }
    };
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, Box::pin(handshake));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = leaving.told() => return,
    };
    match shaken {
        Ok(Ok(Ok(stream))) => serve(stream, caller.over_tls(), site, views, leaving, asked).await,
        // It is plain HTTP, at least if it is anything.
        Ok(Ok(Err(stream))) => speak(stream, &site, leaving, |request| router::refuse_plain(request, &site)).await,
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Answers requests until the client leaves, falls silent, or breaks the protocol. Nobody is told: it is the client's
/// affair. Told to leave, it gives the answer under way, and no other.
async fn serve<S>(stream: S, caller: Caller, site: Arc<Site>, views: Arc<Views>, leaving: Leaving, asked: Asked)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let left = leaving.clone();
    let answer = |request| {
        asked.note();
        router::answer(request, caller.clone(), Arc::clone(&site), Arc::clone(&views), left.clone())
    };
    speak(stream, &site, leaving, answer).await;
}

async fn speak<S, F>(stream: S, site: &Site, mut leaving: Leaving, answer: impl Fn(Request<Incoming>) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Result<Response<Answer>, Infallible>>,
{
    let _open = site.tally.counters.begin();
    let service = service_fn(answer);
    let stream = Impatient { stream, overdue: None, tally: Arc::clone(&site.tally) };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        // `nc -N` and the like send FIN after the request and still want the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ended = connection.as_mut() => return,
        () = leaving.told() => connection.as_mut().graceful_shutdown(),
    }
    let _ended = connection.await;
}

/// A stream whose peer has [`ANSWER_TIMEOUT`] to take what is written between two flushes: hyper flushes once an
/// answer is out.
struct Impatient<S> {
    stream: S,
    /// Runs from the first write that had to wait.
    overdue: Option<Pin<Box<Sleep>>>,
    /// Where its bytes are counted.
    tally: Arc<Tally>,
}

impl<S> Impatient<S> {
    /// Counts what was written, or waits no longer than one may.
    fn note(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.tally.counters.traffic(0).add_out(bytes as u64);
        }
        self.bound(written, cx)
    }

    fn bound<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            let overdue = self.overdue.get_or_insert_with(|| Box::pin(tokio::time::sleep(ANSWER_TIMEOUT)));
            ready!(overdue.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.bound(flushed, cx))?;
        self.overdue = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bound(shut, cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.tally.counters.traffic(0).add_in((buf.filled().len() - before) as u64);
        read
    }
}

#[cfg(test)]
mod tests;
