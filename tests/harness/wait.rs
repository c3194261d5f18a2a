//! Waiting for what must happen. Nothing here lets time pass for its own sake, but for [`pause`].

use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything that must happen: long enough for a busy machine, and only ever used up by a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until there is something to return; panics with `what` when patience ends.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// As [`until`], for what may take longer than [`PATIENCE`], or must not take so long.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        // State that nobody announces can only be looked at again.
        thread::park_timeout(Duration::from_millis(15));
    }
}

/// Lets time pass, where the passing of time is itself what a test is about.
#[expect(clippy::disallowed_methods, reason = "a peer that is late on purpose has no event to wait for")]
pub fn pause(time: Duration) {
    thread::sleep(time);
}
