//! Standard output: whether a person sees it, how wide it is, and what may be painted on it.

use std::env;
use std::io::{self, IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};
use rustix::termios::tcgetwinsize;

/// Columns of a terminal that doesn't say.
const COLUMNS: usize = 100;

/// What we print to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// Columns of a terminal; `None` where a program or a file reads, which get everything.
    pub(super) columns: Option<usize>,
    pub(super) colours: bool,
}

/// What a colour says. Nothing is said by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warning,
    Bad,
    Heading,
    Quiet,
}

impl Screen {
    pub(super) fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::PIPE;
        }
        let columns = tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
        let refused = |name, value: &dyn Fn(&str) -> bool| env::var(name).is_ok_and(|text| value(&text));
        // https://no-color.org
        let colours = !refused("NO_COLOR", &|text| !text.is_empty()) && !refused("TERM", &|text| text == "dumb");
        Self { columns: Some(if columns == 0 { COLUMNS } else { columns }), colours }
    }

    /// Nobody looks: no colours, and nothing cut off.
    pub(super) const PIPE: Self = Self { columns: None, colours: false };

    pub(super) fn is_terminal(self) -> bool {
        self.columns.is_some()
    }

    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Heading => Style::new().bold(),
            Tone::Quiet => Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Writes to standard output at once.
pub(super) fn put(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Whether a failure is only that whoever read our output has left.
pub(super) fn is_left_by_reader(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
