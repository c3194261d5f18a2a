//! The end of a listener: nobody new is let in, those who are there get the answer that they wait for, and those who have
//! just come in may still ask.
//!
//! A reload may close the very listener over which it was asked for, and an upgrade leaves it to another process.

use std::time::Duration;

use tokio::sync::watch;

/// How long whoever has come in and asked for nothing yet may still ask: the question may be on its way, and whoever
/// connects and asks at once is not to find the door shut.
const ON_ITS_WAY: Duration = Duration::from_millis(200);

/// Has a listener's service end; so does dropping it.
#[derive(Debug)]
pub struct Leave(watch::Sender<bool>);

/// Says when to leave, to the listener and to each of its connections.
#[derive(Debug, Clone)]
pub struct Leaving(watch::Receiver<bool>);

/// Both sides of one listener.
pub fn leaving() -> (Leave, Leaving) {
    let (leave, leaving) = watch::channel(false);
    (Leave(leave), Leaving(leaving))
}

impl Leave {
    /// Returns once every connection has ended. Each has at most the answer that is under way to give.
    pub async fn left(self) {
        self.0.send_replace(true);
        self.0.closed().await;
    }
}

impl Leaving {
    /// Waits until it is time.
    pub async fn told(&mut self) {
        // Who has dropped the other side has left as well.
        let _ = self.0.wait_for(|leave| *leave).await;
    }

    /// Waits until it is time for whoever has not asked for anything yet.
    pub async fn told_to_the_silent(&mut self) {
        self.told().await;
        tokio::time::sleep(ON_ITS_WAY).await;
    }
}
