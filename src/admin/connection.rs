//! One connection of a stats listener or the admin socket: HTTP/1, and a bound on all that a client can make us wait for.
//! Where the site speaks TLS, that comes first.

mod begun;

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use self::begun::Begun;
use super::caller::Caller;
use super::crowd::Asked;
use super::requests::Requests;
use super::router::{self, Answer};
use super::tally::Tally;
use super::{Leaving, Site, Views, unread};
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
        () = leaving.told_to_the_silent() => return,
    };
    match shaken {
        Ok(Ok(Ok(stream))) => serve(stream, caller.over_tls(), site, views, leaving, asked).await,
        // It is plain HTTP, at least if it is anything.
        Ok(Ok(Err(stream))) => {
            speak(stream, &site, &views, None, leaving, &asked, |request| router::refuse_plain(request, &site)).await;
        }
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Answers requests until the client leaves, falls silent, or breaks the protocol. Nobody is told: it is the client's
/// affair. Told to leave, it gives the answer under way, or the first if that has not been asked for yet, and no other.
async fn serve<S>(stream: S, caller: Caller, site: Arc<Site>, views: Arc<Views>, leaving: Leaving, asked: Asked)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let left = leaving.clone();
    let requests = Requests::of(&site, &views, &caller);
    let noted = requests.clone();
    let answer = |request| {
        let (site, views, asked) = (Arc::clone(&site), Arc::clone(&views), asked.clone());
        let answer = answer(request, noted.clone(), caller.clone(), site, views, left.clone());
        async move {
            let answer = answer.await;
            if matches!(&answer, Ok(answer) if router::is_to_come(answer)) {
                asked.note_endless();
            }
            answer
        }
    };
    speak(stream, &site, &views, requests, leaving, &asked, answer).await;
}

/// The same by this word on each request; `requests` has what their lines will tell, where they have lines.
async fn speak<S, F>(
    stream: S,
    site: &Site,
    views: &Views,
    requests: Option<Arc<Requests>>,
    leaving: Leaving,
    asked: &Asked,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Result<Response<Answer>, Infallible>>,
{
    let _open = site.tally.counters.begin();
    let service = service_fn(|request| {
        asked.note();
        answer(request)
    });
    let waits = Waits::default();
    let stream = Impatient {
        stream,
        overdue: None,
        waits: waits.clone(),
        tally: Arc::clone(&site.tally),
        requests: requests.clone(),
        said: Said::Nothing,
        bytes_in: 0,
        bytes_out: 0,
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // HAProxy doesn't say it.
        .auto_date_header(site.is_ours())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        // `nc -N` and the like send FIN after the request and still want the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut leave = pin!(time_to_leave(leaving, asked));
    let mut told = false;
    let ended = loop {
        tokio::select! {
            biased;
            // First: what has already come is answered, whoever is told to leave in the same moment.
            ended = connection.as_mut() => break ended,
            () = leave.as_mut(), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            // The connection is looked at again, and sees it.
            () = views.readers.unread.is_wanted() => waits.end_after(unread::MOMENT),
        }
    };
    if let Some(requests) = requests {
        requests.end(&ended);
    }
}

/// At once for whoever has asked for something.
async fn time_to_leave(leaving: Leaving, asked: &Asked) {
    let (mut silent, mut told) = (leaving.clone(), leaving);
    let of_who_has_asked = async {
        asked.something().await;
        told.told().await;
    };
    tokio::select! {
        () = of_who_has_asked => {}
        () = silent.told_to_the_silent() => {}
    }
}

/// Since when a peer has not taken what is written, told from its stream to its connection, and back when that is too long.
#[derive(Debug, Clone, Default)]
struct Waits(Arc<Mutex<Wait>>);

#[derive(Debug, Clone, Copy, Default)]
enum Wait {
    #[default]
    Not,
    Since(Instant),
    TooLong,
}

impl Waits {
    /// Whether it may go on.
    fn go_on(&self) -> bool {
        let mut wait = self.lock();
        if let Wait::Not = *wait {
            *wait = Wait::Since(Instant::now());
        }
        !matches!(*wait, Wait::TooLong)
    }

    fn end_after(&self, time: Duration) {
        let mut wait = self.lock();
        if matches!(*wait, Wait::Since(since) if since.elapsed() >= time) {
            *wait = Wait::TooLong;
        }
    }

    fn forget(&self) {
        *self.lock() = Wait::Not;
    }

    fn lock(&self) -> MutexGuard<'_, Wait> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers one request, and has noted what its line will tell.
async fn answer<B>(
    request: Request<B>,
    requests: Option<Arc<Requests>>,
    caller: Caller,
    site: Arc<Site>,
    views: Arc<Views>,
    leaving: Leaving,
) -> Result<Response<Answer>, Infallible>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if let Some(requests) = &requests {
        requests.note_asked(&request);
    }
    let closes = request.version() == Version::HTTP_10 && !request.headers().contains_key(CONNECTION);
    let mut response = router::answer(request, caller, site, views, leaving).await?;
    if closes {
        // It is said in the answers of HTTP/1.1, which those of older clients get.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(requests) = &requests {
        requests.note_answered(&response);
    }
    Ok(response)
}

/// How much has been written of the version that an answer begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    /// So many bytes of it, which are exchanged for those of another.
    Part(usize),
    All,
}

/// The version that an older client is answered in by hyper, and the one that whoever speaks it says to everybody
/// (RFC 9110, section 6.2), as HAProxy does.
const THEIRS: &[u8] = b"HTTP/1.0";
const OURS: &[u8] = b"HTTP/1.1";

impl Said {
    /// What is to be written now in the place of the first of these bytes; `None` if they are right.
    fn instead_of(self, bytes: &[u8]) -> Option<&'static [u8]> {
        match self {
            Self::Nothing => bytes.starts_with(THEIRS).then_some(OURS),
            Self::Part(said) => Some(&OURS[said..]),
            Self::All => None,
        }
    }

    fn and(self, written: usize) -> Self {
        let said = match self {
            Self::Nothing => written,
            Self::Part(said) => said + written,
            Self::All => OURS.len(),
        };
        if said < OURS.len() { Self::Part(said) } else { Self::All }
    }
}

/// A stream whose peer has [`ANSWER_TIMEOUT`] to take what is written between two flushes: hyper flushes once an
/// answer is out.
struct Impatient<S> {
    stream: S,
    /// Runs from the first write that had to wait.
    overdue: Option<Pin<Box<Sleep>>>,
    waits: Waits,
    /// Where its bytes are counted.
    tally: Arc<Tally>,
    /// Whose answers they are, where these have lines.
    requests: Option<Arc<Requests>>,
    said: Said,
    /// Bytes of the request under way and of its answer, which are counted when that is out.
    bytes_in: u64,
    bytes_out: u64,
}

impl<S> Drop for Impatient<S> {
    fn drop(&mut self) {
        self.count();
    }
}

impl<S> Impatient<S> {
    fn count(&mut self) {
        let traffic = self.tally.counters.traffic(0);
        traffic.add_in(std::mem::take(&mut self.bytes_in));
        traffic.add_out(std::mem::take(&mut self.bytes_out));
    }

    /// Counts what was written, or waits no longer than one may.
    fn note(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.bytes_out += bytes as u64;
        }
        self.bound(written, cx)
    }

    fn bound<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            if !self.waits.go_on() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let overdue = self.overdue.get_or_insert_with(|| Box::pin(tokio::time::sleep(ANSWER_TIMEOUT)));
            ready!(overdue.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self.said.instead_of(buf) {
            Some(version) => {
                let written = Pin::new(&mut self.stream).poll_write(cx, version);
                if let Poll::Ready(Ok(bytes)) = written {
                    self.said = self.said.and(bytes);
                }
                written
            }
            None => {
                self.said = Said::All;
                Pin::new(&mut self.stream).poll_write(cx, buf)
            }
        };
        self.note(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.said != Said::All {
            let begin = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.as_mut().poll_write(cx, begin);
        }
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
        self.waits.forget();
        self.said = Said::Nothing;
        self.count();
        self.requests.iter().for_each(|requests| requests.note_flushed());
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
        let bytes = buf.filled().len() - before;
        self.bytes_in += bytes as u64;
        if bytes > 0 {
            self.requests.iter().for_each(|requests| requests.note_read());
        }
        read
    }
}

#[cfg(test)]
mod tests;
