//! A check's bearer token while the process runs. The file is read for each probe, so that a new token needs no reload.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, timeout_at};

use crate::model::{Token, TokenFile};

/// The tokens of all checks, one for each file, whatever number of servers is probed with it.
#[derive(Debug, Default)]
pub struct Tokens(BTreeMap<PathBuf, Arc<LiveToken>>);

impl Tokens {
    pub(super) fn of(&mut self, stated: &TokenFile) -> Arc<LiveToken> {
        let live = self.0.entry(stated.file.clone()).or_insert_with(|| Arc::new(LiveToken::new(stated)));
        Arc::clone(live)
    }
}

/// The last good token of a file.
#[derive(Debug)]
pub struct LiveToken {
    file: PathBuf,
    last: Mutex<Last>,
    /// A read is under way: from a file that hangs, one thread hangs and no more.
    reading: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Last {
    token: Token,
    /// Told of once, until the file can be read again.
    failing: bool,
}

impl LiveToken {
    /// Before the first read it is the stated one.
    pub fn new(stated: &TokenFile) -> Self {
        let last = Last { token: stated.token.clone(), failing: false };
        Self { file: stated.file.clone(), last: Mutex::new(last), reading: Arc::default() }
    }

    /// The file's token, or the last good one if that can't be read by the deadline.
    pub async fn current(&self, deadline: Instant) -> Token {
        if self.reading.swap(true, SeqCst) {
            return self.last.lock().unwrap_or_else(PoisonError::into_inner).token.clone();
        }
        let (file, reading) = (self.file.clone(), Arc::clone(&self.reading));
        let read = tokio::task::spawn_blocking(move || {
            let read = read(&file);
            reading.store(false, SeqCst);
            read
        });
        match timeout_at(deadline, read).await {
            Ok(Ok(read)) => self.settle(read),
            Ok(Err(_)) => self.settle(Err("the read was cancelled".to_owned())),
            Err(_) => self.settle(Err("the read takes too long".to_owned())),
        }
    }

    fn settle(&self, read: Result<Token, String>) -> Token {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.file.display();
        match read {
            Ok(token) => {
                if last.failing || last.token != token {
                    tracing::info!(%file, "token read anew");
                }
                *last = Last { token, failing: false };
            }
            Err(reason) => {
                if !last.failing {
                    tracing::warn!(%file, reason, "the token file can't be used: keeping the last good token");
                }
                last.failing = true;
            }
        }
        last.token.clone()
    }
}

fn read(file: &Path) -> Result<Token, String> {
    let mut bytes = Vec::new();
    let most = Token::MAX_FILE as u64 + 1;
    File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    Token::read(&bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token(text: &str) -> Token {
        Token::read(text.as_bytes()).unwrap()
    }

    // Seen to fail with a token that is kept once it was read, and with one that is dropped when its file is empty.
    #[tokio::test]
    async fn a_new_token_is_used_at_once_and_a_lost_one_until_there_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let mut tokens = Tokens::default();
        let stated = TokenFile { file: file.clone(), token: token("stated") };
        let live = tokens.of(&stated);
        let current = async || live.current(Instant::now() + Duration::from_secs(30)).await;
        for (content, expected) in
            [(None, "stated"), (Some("first\n"), "first"), (Some("second"), "second"), (Some(" \n"), "second")]
        {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            assert_eq!(current().await, token(expected), "{content:?}");
        }
        assert!(live.last.lock().unwrap().failing);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(current().await, token("second"));
        std::fs::write(&file, "third").unwrap();
        assert_eq!(current().await, token("third"));
        assert!(!live.last.lock().unwrap().failing);
        assert!(Arc::ptr_eq(&live, &tokens.of(&stated)), "one for each file, or each server would warn of it");
    }

    #[tokio::test]
    async fn a_file_that_hangs_holds_neither_the_probe_nor_a_second_thread() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let live = LiveToken::new(&TokenFile { file: file.clone(), token: token("stated") });
        assert_eq!(live.current(Instant::now() + Duration::from_millis(50)).await, token("stated"));
        let later = Instant::now() + Duration::from_secs(3600);
        assert_eq!(live.current(later).await, token("stated"), "at once: the first read is still under way");
        // Lets the first read end, as a runtime waits for it.
        drop(std::fs::OpenOptions::new().write(true).open(&file).unwrap());
    }
}
