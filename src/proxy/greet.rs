//! What comes before a client is one: rules about its connection alone, and the PROXY protocol header of whoever passes
//! it on, after which it has the address that the header says.
//!
//! The header is looked at where it is, in the kernel, and taken from there when it is whole: no byte of the session's is
//! touched. Whoever has to send one and does not in time is closed.

use std::future::poll_fn;

use tokio::time::{Instant, timeout_at};

use super::listener::Accepted;
use super::record::{Ended, Record};
use super::rules::{self, Answer};
use super::sources::Visit;
use super::trace::Step;
use crate::event::{Cause, Ending, Phase, Who};
use crate::model::RuleStage;
use crate::model::condition::Hello;
use crate::net;
use crate::net::proxy_header::{self, Header, Malformed};
use crate::net::reactor::{Peeked, Stream};
use crate::pool::counters;

/// A client of which it is known who it is.
#[derive(Debug)]
pub struct Greeted(pub Accepted);

pub async fn greet(accepted: Accepted) -> Result<Greeted, Ended> {
    let Accepted { client, record } = &accepted;
    match rules::ask(record, client, RuleStage::Connection, Hello::No) {
        Answer::Reject => Err(reject(accepted)),
        Answer::Greet => Box::pin(introduced(accepted)).await,
        _ if record.door().spec.accept_proxy.wants(record.client()) => Box::pin(introduced(accepted)).await,
        _ => Ok(Greeted(accepted)),
    }
}

/// Such a client has no line, as with HAProxy: nothing is known of it.
fn reject(Accepted { client, mut record }: Accepted) -> Ended {
    net::options::reset_on_close(&client);
    let counters = &record.frontend.counters;
    [&counters.denied, &counters.embryonic].into_iter().for_each(counters::count);
    record.visit = Visit::Untold;
    record.end(Ending::new(Who::Limit, Phase::Request, Cause::RuleDenied))
}

/// Waits for the header, and goes on as whoever it names.
async fn introduced(Accepted { client, mut record }: Accepted) -> Result<Greeted, Ended> {
    match header(&client, &mut record).await {
        Ok(header) => {
            if let Some(parties) = header.parties {
                record.trace(Step::Proxied, parties.source);
                record.stand_for(parties);
            }
            // Those bytes are nobody's: that the client has sent any is still to be seen.
            record.heard = false;
            Ok(Greeted(Accepted { client, record }))
        }
        Err(ending) => {
            record.is_on_the_doorstep = true;
            match ending.who {
                Who::Killed => net::options::reset_on_close(&client),
                _ => {
                    let counters = &record.frontend.counters;
                    [&counters.handshake_errors, &counters.embryonic].into_iter().for_each(counters::count);
                }
            }
            Err(record.end(ending))
        }
    }
}

async fn header(client: &Stream, record: &mut Record) -> Result<Header, Ending> {
    let deadline = Instant::now() + record.frontend.spec.handshake_timeout;
    let mut known = 0;
    loop {
        let peeked = tokio::select! {
            look = timeout_at(deadline, peek(client, record, known)) => look,
            ending = super::told(record) => return Err(ending),
        };
        let ended = |who, cause| Err(Ending::new(who, Phase::Request, cause));
        let Look { peeked, decoded } = match peeked {
            Ok(Ok(look)) => look,
            Ok(Err(_)) => return ended(Who::Client, Cause::Reset),
            Err(_) => return ended(Who::ClientTimeout, Cause::NoProxyHeader),
        };
        record.heard |= peeked.length > 0;
        match decoded {
            Ok(Some(header)) => return take(client, record, header).await,
            Ok(None) if peeked.ended => return ended(Who::Client, Cause::NoProxyHeader),
            Ok(None) => known = peeked.length,
            Err(_) => return ended(Who::Client, Cause::BadProxyHeader),
        }
    }
}

/// What a look at the first bytes shows.
struct Look {
    peeked: Peeked,
    decoded: Result<Option<Header>, Malformed>,
}

async fn peek(client: &Stream, record: &Record, known: usize) -> std::io::Result<Look> {
    poll_fn(|cx| {
        let mut scratch = record.worker.scratch.borrow_mut();
        let bytes = &mut scratch[..proxy_header::MAX];
        let peeked = client.poll_peek(cx, bytes, known);
        peeked.map_ok(|peeked| Look { peeked, decoded: proxy_header::decode(&bytes[..peeked.length]) })
    })
    .await
}

/// Takes the header off the stream, whose bytes are all there.
async fn take(client: &Stream, record: &Record, header: Header) -> Result<Header, Ending> {
    let mut left = header.length;
    client.look_again();
    while left > 0 {
        let read = poll_fn(|cx| client.poll_read(cx, &mut record.worker.scratch.borrow_mut()[..left])).await;
        match read {
            Ok(read @ 1..) => left -= read,
            _ => return Err(Ending::new(Who::Client, Phase::Request, Cause::Reset)),
        }
    }
    client.look_again();
    Ok(header)
}
