//! `wait`: for a time, or until a server can be removed.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::command::{Asked, Effect};
use super::{members, target, time};
use crate::admin::Views;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    longest: Duration,
    /// `backend/server`, which is to become removable; `None` for the time alone.
    removable: Option<String>,
}

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

const DONE: &str = "Done.\n";
const EXPIRED: &str = "Wait delay expired.\n";
const FAILED: &str = "Failed.\n";
/// The client has shut its side meanwhile.
pub const INTERRUPTED: &str = "Interrupted.\n";

/// Reads what is to be waited for, or says what is wrong with it.
pub fn read(asked: &Asked<'_>) -> Effect {
    let say = |text: &str| Effect::Answer(text.to_owned());
    let longest = match asked.word(1) {
        "" => return say("Expects a duration in milliseconds.\n"),
        "-h" => return say(USAGE),
        text => time::duration(text, "ms").filter(|time| *time >= Duration::from_millis(1)),
    };
    let Some(longest) = longest else { return say("Invalid duration.\n") };
    let removable = match (asked.word(2), asked.word(3)) {
        ("", _) => None,
        ("srv-removable", "") => return say("Missing server name (<backend>/<server>).\n"),
        ("srv-removable", server) => match target::pair(server) {
            Ok(_) => Some(server.to_owned()),
            Err(complaint) => return say(complaint),
        },
        _ => return say(USAGE),
    };
    Effect::Wait(Wait { longest, removable })
}

impl Wait {
    /// Waits; how it came out.
    pub async fn over(&self, views: &Views) -> &'static str {
        let end = Instant::now() + self.longest;
        let Some(server) = &self.removable else {
            sleep_until(end).await;
            return DONE;
        };
        loop {
            match members::removable(server, views) {
                Ok(true) => return DONE,
                Err(_) => return FAILED,
                Ok(false) if Instant::now() >= end => return EXPIRED,
                Ok(false) => sleep_until(end.min(Instant::now() + LOOK)).await,
            }
        }
    }
}

const USAGE: &str = "Usage: wait {-h|<duration>} [condition [args...]]
  - '-h' displays this help
  - <duration> is the maximum wait time, optionally suffixed by the unit among
    'us', 'ms', 's', 'm', 'h', and 'd'. ; the default unit is milliseconds.
  - <condition> indicates what to wait for, no longer than the specified
    duration. Supported conditions are:
    - <none> : by default, just sleep for the specified duration.
    - srv-removable <px>/<sv> : wait for this server to become removable.
";
