//! New connections: a steady stream of them, and thousands at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{interval, timeout};

use super::Shared;
use super::sessions::controller_of;
use super::talk::Talk;
use crate::moment::Moment;
use crate::records::{Dial, Way};

/// Between two connections through the load balancer: 100 a second.
const PACE: Duration = Duration::from_millis(10);

/// One direct connection for so many balanced ones.
const DIRECT: usize = 2;

/// A connection that has had no answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// As [`PATIENCE`], for thousands that wait for one another.
const BURST_PATIENCE: Duration = Duration::from_secs(90);

/// Opens connections at a steady pace until told to stop: the balanced ones, and among them direct ones.
pub async fn steadily(shared: Arc<Shared>) {
    let mut pace = interval(PACE);
    let stopping = shared.stopping.subscribe();
    for number in 0.. {
        pace.tick().await;
        if *stopping.borrow() {
            return;
        }
        tokio::spawn(once(Way::Balanced, shared.load.api, PATIENCE, Arc::clone(&shared)));
        let healthy = &shared.load.healthy;
        if number % DIRECT == 0 && !healthy.is_empty() {
            let address = healthy[number / DIRECT % healthy.len()];
            tokio::spawn(once(Way::Direct, address, PATIENCE, Arc::clone(&shared)));
        }
    }
}

/// Opens so many connections at once, and waits until each has an answer or has failed. All of them stay open.
pub async fn burst(count: usize, shared: &Arc<Shared>) {
    let dials = (0..count).map(|_| tokio::spawn(once(Way::Burst, shared.load.api, BURST_PATIENCE, Arc::clone(shared))));
    let dials: Vec<_> = dials.collect();
    for dial in dials {
        dial.await.unwrap();
    }
}

async fn once(way: Way, address: SocketAddr, patience: Duration, shared: Arc<Shared>) {
    shared.dialling.fetch_add(1, Relaxed);
    let began = Moment::now();
    let outcome = timeout(patience, exchange(way, address, &shared)).await;
    let ended = Moment::now();
    let (server, failed) = match outcome {
        Ok(Ok(server)) => (Some(server), None),
        Ok(Err(why)) => (None, Some(why)),
        Err(_) => (None, Some("no answer".to_owned())),
    };
    shared.records.lock().unwrap().dials.push(Dial { way, began, ended, server, failed });
    shared.dialling.fetch_sub(1, Relaxed);
}

async fn exchange(way: Way, address: SocketAddr, shared: &Arc<Shared>) -> Result<usize, String> {
    let mut talk = Talk::open(address, &shared.connector).await.map_err(|trouble| trouble.text())?;
    let answer = talk.ask("GET / HTTP/1.1\r\nHost: api\r\n\r\n").await.map_err(|trouble| trouble.text())?;
    let server = controller_of(&answer, shared).ok_or_else(|| format!("answer: status {}", answer.status))?;
    if way == Way::Burst {
        tokio::spawn(async move { talk.until_end().await });
    } else {
        tokio::spawn(talk.close());
    }
    Ok(server)
}
