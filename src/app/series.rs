//! Looks once a second how everything is, for the course of the last hour and the last day.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::process::Facts;
use crate::clock;

/// How often it is looked: what is open only for shorter may be missed.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps the courses for as long as it is polled.
pub async fn keep(facts: Arc<Facts>) {
    let mut turn = interval(LOOK);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        let current = facts.current();
        facts.series.note(Instant::now(), clock::wall(), &current.frontend_snapshots(), &current.backend_snapshots());
    }
}
