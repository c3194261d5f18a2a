//! What a client's first bytes say, where rules or routes ask for it: whether it begins TLS, and which server it asks for.
//!
//! The bytes are looked at where they are, in the kernel, and stay there until there is a server for them: nothing is
//! kept of them but the name.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, timeout_at};

use super::admit::Admitted;
use super::hello::{self, Hello, Reading};
use super::listener::Accepted;
use super::record::{Ended, Record};
use super::rules::{self, Answer};
use super::trace::Step;
use crate::event::{Cause, Ending, Phase, Who};
use crate::model::condition;
use crate::model::{OnSilence, RuleStage};
use crate::net;
use crate::net::reactor::Stream;
use crate::pool::counters;

/// A client of which all is known that choosing its backend needs.
#[derive(Debug)]
pub struct Inspected {
    pub accepted: Accepted,
    /// What it has begun TLS with, if anybody wanted to know.
    pub hello: Option<Hello>,
}

pub async fn inspect(Admitted(accepted): Admitted) -> Result<Inspected, Ended> {
    let spec = &accepted.record.frontend.spec;
    if spec.routes.is_empty() && !rules::has_any(&accepted.record.frontend, RuleStage::Content) {
        return Ok(Inspected { accepted, hello: None });
    }
    Box::pin(look(accepted)).await
}

async fn look(Accepted { client, mut record }: Accepted) -> Result<Inspected, Ended> {
    let outcome = decided(&client, &mut record).await;
    client.look_again();
    match outcome {
        Ok(hello) => {
            if let Some(name) = hello.as_ref().and_then(|hello| hello.name.as_deref()) {
                record.trace(Step::Inspected, format_args!("for {}", name.escape_ascii()));
            }
            Ok(Inspected { accepted: Accepted { client, record }, hello })
        }
        Err(ending) => {
            match ending.who {
                Who::Limit => {
                    let counters = &record.frontend.counters;
                    [&counters.denied, &counters.denied_contents].into_iter().for_each(counters::count);
                    discard(&client, &record).await;
                }
                Who::Killed => net::options::reset_on_close(&client),
                _ => {}
            }
            Err(record.end(ending))
        }
    }
}

/// What is known of the client's bytes.
enum Known {
    /// So many of them don't say it yet.
    Bytes(usize),
    Hello(Hello),
    /// They are none, or it is too late for them.
    No,
}

impl Known {
    fn fact(&self) -> condition::Hello<'_> {
        match self {
            Self::Bytes(_) => condition::Hello::Awaited,
            Self::Hello(hello) => hello.fact(),
            Self::No => condition::Hello::No,
        }
    }
}

/// Asks the rules again and again, until what the client has said is enough for them; and for the routes, which take what
/// there is.
async fn decided(client: &Stream, record: &mut Record) -> Result<Option<Hello>, Ending> {
    let frontend = Arc::clone(&record.frontend);
    let deadline = frontend.spec.inspect_delay.map(|delay| Instant::now() + delay);
    let mut known = Known::Bytes(0);
    loop {
        match rules::ask(record, client, RuleStage::Content, known.fact()) {
            Answer::Reject => return Err(Ending::new(Who::Limit, Phase::Request, Cause::RuleDenied)),
            Answer::NotYet => known = listen(client, record, known, deadline).await?,
            Answer::Accept | Answer::Greet => break,
        }
    }
    if matches!(known, Known::Bytes(_)) && frontend.spec.routes.iter().any(|route| route.when.reads()) {
        known = listen(client, record, known, None).await?;
    }
    match known {
        Known::Hello(hello) => Ok(Some(hello)),
        _ => Ok(None),
    }
}

/// What is known when more has come, or when it is too late for that: at once without a deadline.
async fn listen(
    client: &Stream,
    record: &mut Record,
    known: Known,
    deadline: Option<Instant>,
) -> Result<Known, Ending> {
    let Known::Bytes(seen) = known else { return Ok(known) };
    let closes = record.frontend.spec.on_silence == OnSilence::Close;
    let ended = |who, cause| if closes { Err(Ending::new(who, Phase::Request, cause)) } else { Ok(Known::No) };
    let look = async {
        match deadline {
            Some(deadline) => timeout_at(deadline, peek(client, record, seen)).await.ok(),
            None => glance(client, record).await,
        }
    };
    let peeked = tokio::select! {
        peeked = look => peeked,
        ending = super::told(record) => return Err(ending),
    };
    let (length, ends, reading) = match peeked {
        Some(Ok(peeked)) => peeked,
        Some(Err(_)) => return ended(Who::Client, Cause::Reset),
        None => return ended(Who::ClientTimeout, Cause::NotSaid),
    };
    record.heard |= length > 0;
    match reading {
        Reading::Hello(hello) => Ok(Known::Hello(hello)),
        Reading::Other => Ok(Known::No),
        Reading::Short if ends => ended(Who::Client, Cause::NotSaid),
        Reading::Short if deadline.is_none() => Ok(Known::No),
        Reading::Short => Ok(Known::Bytes(length)),
    }
}

/// How many bytes there are, whether no more will come, and what they say; waits for more than `seen`.
async fn peek(client: &Stream, record: &Record, seen: usize) -> io::Result<(usize, bool, Reading)> {
    poll_fn(|cx| {
        let mut scratch = record.worker.scratch.borrow_mut();
        let bytes = &mut scratch[..hello::MAX];
        client
            .poll_peek(cx, bytes, seen)
            .map_ok(|peeked| (peeked.length, peeked.ended, hello::read(&bytes[..peeked.length])))
    })
    .await
}

/// As [`peek`], of what is there already; `None` if that is nothing.
async fn glance(client: &Stream, record: &Record) -> Option<io::Result<(usize, bool, Reading)>> {
    client.look_again();
    let mut looking = std::pin::pin!(peek(client, record, 0));
    poll_fn(|cx| match looking.as_mut().poll(cx) {
        Poll::Ready(peeked) => Poll::Ready(Some(peeked)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Takes what a client has sent that is closed: the kernel would say a reset instead of the end.
async fn discard(client: &Stream, record: &Record) {
    poll_fn(|cx| {
        let _ = client.poll_read(cx, &mut record.worker.scratch.borrow_mut());
        Poll::Ready(())
    })
    .await;
}
