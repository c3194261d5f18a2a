//! Sessions that stay: idle ones, busy ones, those that write to etcd, and those that don't read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::Shared;
use super::talk::{Answer, Talk, Trouble};
use crate::moment::Moment;
use crate::records::{End, Kind, LostWrite, Session};

/// Between a busy session's answer and its next request.
const PACE: Duration = Duration::from_millis(100);

/// Before a client dials again, at first and at most: as long as it fails, it waits twice as long each time.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// For a session's first answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a stalled session reads before it stops, and what it wants when it goes on: more than all buffers hold.
const MOUTHFUL: usize = 256 * 1024;
const MEAL: usize = 16 * 1024 * 1024;

/// Holds a session, and a new one when it ends, until told to stop.
pub async fn hold(kind: Kind, number: usize, shared: Arc<Shared>) {
    // Not all in the same moment, neither at first nor later.
    sleep(Duration::from_millis(3 * number as u64)).await;
    let (mut first, mut pause) = (true, PAUSE);
    while !*shared.stopping.borrow() {
        if let Ok(Some(begun)) = timeout(PATIENCE, begin(kind, &shared)).await {
            if std::mem::take(&mut first) {
                shared.begun.fetch_add(1, Relaxed);
            }
            begun.live(&shared).await;
            pause = PAUSE;
        }
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// A session with its place in the records.
struct Live {
    kind: Kind,
    server: usize,
    place: usize,
    talk: Talk,
}

async fn begin(kind: Kind, shared: &Shared) -> Option<Live> {
    let address = if kind == Kind::Etcd { shared.load.etcd } else { shared.load.api };
    let mut talk = Talk::open(address, &shared.connector).await.ok()?;
    let answer = talk.ask(&request(kind, 0)).await.ok()?;
    let server = controller_of(&answer, shared)?;
    if kind == Kind::Stalled {
        talk.send("GET /stream HTTP/1.1\r\nHost: api\r\n\r\n").await.ok()?;
        talk.swallow(MOUTHFUL).await.ok()?;
    }
    let mut records = shared.records.lock().unwrap();
    let place = records.sessions.len();
    let began = Moment::now();
    records.sessions.push(Session { kind, server, began, ended: None, asked: None, slowest: None, read_on: false });
    Some(Live { kind, server, place, talk })
}

/// The controller that an answer is from.
pub fn controller_of(answer: &Answer, shared: &Shared) -> Option<usize> {
    if let Some(number) = answer.body.strip_prefix("controller ") {
        return number.parse().ok();
    }
    shared.members.get(&member(answer)?).copied()
}

/// The identity of the member that an answer of etcd is from.
fn member(answer: &Answer) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    Some(body["header"]["member_id"].as_str()?.to_owned())
}

/// The numbers of the members at these addresses, once each has answered a write.
pub async fn identities(members: &[SocketAddr], connector: &TlsConnector) -> BTreeMap<String, usize> {
    let mut identities = BTreeMap::new();
    for (number, address) in members.iter().enumerate() {
        let identity = loop {
            let asked = async { Talk::open(*address, connector).await?.ask(&request(Kind::Etcd, 0)).await };
            if let Ok(Ok(answer)) = timeout(PATIENCE, asked).await
                && let Some(identity) = member(&answer)
            {
                break identity;
            }
            sleep(PAUSE).await;
        };
        identities.insert(identity, number);
    }
    identities
}

/// What a session asks for; a number makes it a write, and 0 what changes nothing.
fn request(kind: Kind, number: u64) -> String {
    match (kind, number) {
        (Kind::Etcd, _) => {
            // The gateway takes base64, and eight digits are that.
            let body = format!("{{\"key\":\"d3JpdHRlbg==\",\"value\":\"{number:08}\"}}");
            format!("POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }
        (_, 0) => "GET / HTTP/1.1\r\nHost: api\r\n\r\n".to_owned(),
        _ => format!("PUT /{number} HTTP/1.1\r\nHost: api\r\n\r\n"),
    }
}

impl Live {
    async fn live(mut self, shared: &Shared) {
        let end = match self.kind {
            Kind::Idle => self.talk.until_end().await,
            Kind::Busy | Kind::Etcd => self.work(shared).await,
            Kind::Stalled => self.stall(shared).await,
        };
        shared.records.lock().unwrap().sessions[self.place].ended = Some((Moment::now(), end));
    }

    /// One request after the other; of a busy session every second one is a write.
    async fn work(&mut self, shared: &Shared) -> End {
        for turn in 0_u64.. {
            tokio::select! {
                end = self.talk.until_end() => return end,
                () = sleep(PACE) => {}
            }
            let writes = self.kind == Kind::Etcd || turn % 2 == 0;
            let number = if writes { shared.next_write.fetch_add(1, Relaxed) } else { 0 };
            match self.exchange(number, shared).await {
                Ok(answer) if answer.last => return End::Goodbye,
                Ok(_) => {}
                Err(trouble) => return trouble.end,
            }
        }
        End::Other
    }

    async fn exchange(&mut self, number: u64, shared: &Shared) -> Result<Answer, Trouble> {
        self.talk.send(&request(self.kind, number)).await?;
        let sent = Moment::now();
        shared.records.lock().unwrap().sessions[self.place].asked = Some(sent);
        let outcome = self.talk.answer().await;
        self.note(number, sent, &outcome, shared);
        outcome
    }

    fn note(&self, number: u64, sent: Moment, outcome: &Result<Answer, Trouble>, shared: &Shared) {
        let ended = Moment::now();
        let waited = u64::try_from(ended.since(sent).as_micros()).unwrap_or(u64::MAX);
        let mut records = shared.records.lock().unwrap();
        let session = &mut records.sessions[self.place];
        session.asked = None;
        session.slowest = session.slowest.max(Some((waited, sent)));
        match outcome {
            Ok(_) if number > 0 => records.written += 1,
            Err(trouble) if number > 0 => {
                let (kind, server, end) = (self.kind, self.server, trouble.end);
                records.lost.push(LostWrite { kind, server, number, sent, ended, end });
            }
            _ => {}
        }
    }

    /// Doesn't read until told to; then wants more than any buffer on the way can hold.
    async fn stall(&mut self, shared: &Shared) -> End {
        let mut reading = shared.reading.subscribe();
        let _ = reading.wait_for(|reading| *reading).await;
        match self.talk.swallow(MEAL).await {
            Ok(()) => shared.records.lock().unwrap().sessions[self.place].read_on = true,
            Err(trouble) => return trouble.end,
        }
        std::future::pending().await
    }
}
