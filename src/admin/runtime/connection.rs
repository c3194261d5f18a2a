//! One client: its lines are read, what they say is done, and each command is answered.
//!
//! Without a prompt a client has one line; it may shut its side right behind it. With one it goes on until it leaves.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::command::{Asked, Effect};
use super::line::{Input, LONGEST, Line, MOST_WORDS, TooLong, words};
use super::waiting::{self, Wait};
use crate::admin::{Leaving, Views};
use crate::event::Actor;
use crate::model::{RuntimeLevel, RuntimeSocket};

/// One client's conversation.
pub struct Connection {
    level: RuntimeLevel,
    timeout: Duration,
    by: Actor,
    views: Arc<Views>,
    mode: Mode,
    input: Input,
}

/// How answers end, and whether there is another line after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mode {
    interactive: bool,
    prompt: bool,
    /// The prompt has the time since the start of the process.
    timed: bool,
}

/// What is said of a line without an end.
const LINE_TOO_LONG: &str = "The command line is too big for the buffer size. Please change tune.bufsize in the \
                             configuration to use a bigger command.\n";

impl Connection {
    pub fn new(spec: &RuntimeSocket, by: Actor, views: Arc<Views>) -> Self {
        let (mode, input) = (Mode::default(), Input::default());
        Self { level: spec.level, timeout: spec.timeout, by, views, mode, input }
    }

    /// Serves until the client has what it wanted, leaves, or is silent. Told to leave, it gives the answers under way, and those
    /// to a line that is.
    pub async fn serve<S>(mut self, mut stream: S, mut leaving: Leaving)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        // Nobody is told of a client that goes: it is the client's affair.
        let _gone = self.converse(&mut stream, &mut leaving).await;
        let _closed = timeout(self.timeout, stream.shutdown()).await;
    }

    async fn converse<S>(&mut self, stream: &mut S, leaving: &mut Leaving) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        loop {
            let Some(line) = self.line(stream, leaving).await? else { return Ok(()) };
            let line = Line::of(&line);
            if let Some(pattern) = &line.payload {
                self.skip_payload(stream, leaving, pattern).await?;
            }
            let mut commands = line.commands.iter().peekable();
            while let Some(command) = commands.next() {
                let Some(answer) = self.answer(stream, command).await? else { return Ok(()) };
                let end = self.mode.end(commands.peek().is_some(), self.uptime());
                self.write(stream, &(answer + &end)).await?;
            }
            if !self.mode.interactive {
                return Ok(());
            }
        }
    }

    /// The next line; `None` if none will come.
    async fn line<S>(&mut self, stream: &mut S, leaving: &mut Leaving) -> io::Result<Option<String>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        loop {
            match self.input.line() {
                Ok(Some(line)) => return Ok(Some(line)),
                Ok(None) if self.input.ended => return Ok(None),
                Ok(None) => {}
                Err(TooLong) => {
                    self.input.clear();
                    self.write(stream, LINE_TOO_LONG).await?;
                    return Ok(None);
                }
            }
            tokio::select! {
                filled = timeout(self.timeout, self.input.fill(stream)) => filled??,
                () = leaving.told_to_the_silent() => return Ok(None),
            }
        }
    }

    /// Reads what a line announced behind it. No command of ours has a use for it.
    async fn skip_payload<S>(&mut self, stream: &mut S, leaving: &mut Leaving, pattern: &str) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut left = LONGEST;
        loop {
            if self.mode.prompt {
                self.write(stream, "+ ").await?;
            }
            let Some(line) = self.line(stream, leaving).await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            if line == pattern {
                return Ok(());
            }
            left = left.checked_sub(line.len() + 1).ok_or(io::ErrorKind::InvalidData)?;
        }
    }

    /// What a command says; `None` if it ends the conversation.
    async fn answer<S>(&mut self, stream: &mut S, command: &str) -> io::Result<Option<String>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Some(words) = words(command) else {
            return Ok(Some(format!("Too many arguments. Commands must have at most {MOST_WORDS} arguments.\n")));
        };
        let asked = Asked::new(&words, &self.views, self.level, &self.by);
        let mut text = match asked.carry_out().await {
            Effect::Answer(text) => text,
            Effect::Quit => return Ok(None),
            Effect::Wait(wait) => self.wait(stream, &wait).await?.to_owned(),
            Effect::Prompt(words) => self.mode.change(&words).to_owned(),
            Effect::Lower(level) => {
                self.level = level;
                String::new()
            }
            Effect::Timeout(timeout) => {
                self.timeout = timeout;
                String::new()
            }
        };
        text.truncate(text.trim_end_matches('\n').len());
        if !text.is_empty() {
            text.push('\n');
        }
        Ok(Some(text))
    }

    /// Waits for what is wanted, for as long as the client does.
    async fn wait<S>(&mut self, stream: &mut S, wait: &Wait) -> io::Result<&'static str>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut waited = std::pin::pin!(wait.over(&self.views));
        loop {
            tokio::select! {
                biased;
                answer = &mut waited => return Ok(answer),
                // Nobody waits any more.
                () = std::future::ready(()), if self.input.ended => return Ok(waiting::INTERRUPTED),
                filled = self.input.fill(stream), if self.input.has_room() => filled?,
            }
        }
    }

    async fn write<S: AsyncWrite + Unpin>(&self, stream: &mut S, text: &str) -> io::Result<()> {
        timeout(self.timeout, stream.write_all(text.as_bytes())).await?
    }

    fn uptime(&self) -> Duration {
        match self.mode.timed {
            true => (self.views.snapshot)().process.uptime,
            false => Duration::ZERO,
        }
    }
}

impl Mode {
    /// What ends an answer; `more` is whether another command of the line follows.
    fn end(self, more: bool, uptime: Duration) -> String {
        match (self.prompt && !more, self.timed) {
            (false, _) => "\n".to_owned(),
            (true, false) => "\n> ".to_owned(),
            (true, true) => {
                let up = uptime.as_secs();
                let (days, hours, minutes, seconds) = (up / 86_400, up / 3_600 % 24, up / 60 % 60, up % 60);
                format!("\n[{days}:{hours:02}:{minutes:02}:{seconds:02}]> ")
            }
        }
    }

    /// Changes as the words behind `prompt` say; what there is to say.
    fn change(&mut self, words: &[String]) -> &'static str {
        let (mut wanted, mut timed) = (None, false);
        for word in words {
            match word.as_str() {
                "n" => wanted = Some((false, false)),
                "i" => wanted = Some((true, false)),
                "p" => wanted = Some((true, true)),
                "timed" => timed = true,
                _ => return PROMPT_USAGE,
            }
        }
        if timed {
            self.timed = !self.timed;
            wanted = wanted.or(Some((true, true)));
        }
        let toggled = if self.interactive && self.prompt { (false, false) } else { (true, true) };
        (self.interactive, self.prompt) = wanted.unwrap_or(toggled);
        ""
    }
}

const PROMPT_USAGE: &str = "Usage: prompt [help | n | i | p | timed]*
Changes the default prompt and interactive mode. Available options:
  help    display this help
  n       set to single-command mode (no prompt, single command)
  i       set to interactive mode only (no prompt, multi-command)
  p       set to prompt+interactive mode (prompt + multi-command)
  timed   toggle displaying the current date in the prompt
Without any argument, toggles between n/i->p, p->n.
";
