//! Which commands there are, who may give them, and what each does.

use super::on_server::OnServer;
use super::target::Found;
use super::{help, info, limits, members, process, servers, sessions, set_server, stat, switches, tables, waiting};
use crate::admin::{Action, Views};
use crate::event::Actor;
use crate::model::RuntimeLevel;

/// One command.
#[derive(Debug)]
pub struct Command {
    /// The words that it begins with.
    pub words: &'static [&'static str],
    /// Its line in lists: HAProxy's.
    pub usage: &'static str,
    /// The level that it takes.
    level: RuntimeLevel,
    does: Does,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    AddServer,
    ClearCounters,
    ClearTable,
    DelServer,
    DisableAgent,
    DisableFrontend,
    DisableHealth,
    DisableServer,
    Echo,
    EnableAgent,
    EnableFrontend,
    EnableHealth,
    EnableServer,
    GetWeight,
    Lower(RuntimeLevel),
    SetMaxconnFrontend,
    SetMaxconnGlobal,
    SetMaxconnServer,
    SetServer,
    SetTimeout,
    SetWeight,
    ShowActivity,
    ShowBackend,
    ShowCliLevel,
    ShowCliSockets,
    ShowEnv,
    ShowErrors,
    ShowInfo,
    ShowServersConn,
    ShowServersState,
    ShowSess,
    ShowStat,
    ShowTable,
    ShowVersion,
    ShutdownFrontend,
    ShutdownSession,
    ShutdownSessionsServer,
    Wait,
    Help,
    Prompt,
    Quit,
}

use RuntimeLevel::{Admin, Operator, User};

/// All of them, in the order of their usages; what is below [`LISTED`] ends every list.
const COMMANDS: [Command; 42] = [
    is(&["add", "server"], "add server <bk>/<srv>                   : create a new server", Admin, Does::AddServer),
    is(
        &["clear", "counters"],
        "clear counters [all]                    : clear max statistics counters (or all counters)",
        Operator,
        Does::ClearCounters,
    ),
    is(
        &["clear", "table"],
        "clear table <table> [<filter>]*         : remove an entry from a table (filter: data/key)",
        User,
        Does::ClearTable,
    ),
    is(&["del", "server"], "del server <bk>/<srv>                   : remove a server", Admin, Does::DelServer),
    is(
        &["disable", "agent"],
        "disable agent                           : disable agent checks",
        Admin,
        Does::DisableAgent,
    ),
    is(
        &["disable", "frontend"],
        "disable frontend <frontend>             : temporarily disable specific frontend",
        Admin,
        Does::DisableFrontend,
    ),
    is(
        &["disable", "health"],
        "disable health                          : disable health checks",
        Admin,
        Does::DisableHealth,
    ),
    is(
        &["disable", "server"],
        "disable server (DEPRECATED)             : disable a server for maintenance (use 'set server' instead)",
        Admin,
        Does::DisableServer,
    ),
    is(&["echo"], "echo <text>                             : print text to the output", User, Does::Echo),
    is(&["enable", "agent"], "enable agent                            : enable agent checks", Admin, Does::EnableAgent),
    is(
        &["enable", "frontend"],
        "enable frontend <frontend>              : re-enable specific frontend",
        Admin,
        Does::EnableFrontend,
    ),
    is(
        &["enable", "health"],
        "enable health                           : enable health checks",
        Admin,
        Does::EnableHealth,
    ),
    is(
        &["enable", "server"],
        "enable server  (DEPRECATED)             : enable a disabled server (use 'set server' instead)",
        Admin,
        Does::EnableServer,
    ),
    is(
        &["get", "weight"],
        "get weight <bk>/<srv>                   : report a server's current weight",
        User,
        Does::GetWeight,
    ),
    is(
        &["operator"],
        "operator                                : lower the level of the current CLI session to operator",
        Operator,
        Does::Lower(Operator),
    ),
    is(
        &["set", "maxconn", "frontend"],
        "set maxconn frontend <frontend> <value> : change a frontend's maxconn setting",
        Admin,
        Does::SetMaxconnFrontend,
    ),
    is(
        &["set", "maxconn", "global"],
        "set maxconn global <value>              : change the per-process maxconn setting",
        Admin,
        Does::SetMaxconnGlobal,
    ),
    is(
        &["set", "maxconn", "server"],
        "set maxconn server <bk>/<srv>           : change a server's maxconn setting",
        Admin,
        Does::SetMaxconnServer,
    ),
    is(
        &["set", "server"],
        "set server <bk>/<srv> [opts]            : change a server's state, weight, address or ssl",
        Admin,
        Does::SetServer,
    ),
    is(
        &["set", "timeout"],
        "set timeout [cli] <delay>               : change a timeout setting",
        User,
        Does::SetTimeout,
    ),
    is(
        &["set", "weight"],
        "set weight <bk>/<srv>  (DEPRECATED)     : change a server's weight (use 'set server' instead)",
        Admin,
        Does::SetWeight,
    ),
    is(
        &["show", "activity"],
        "show activity [-1|0|thread_num]         : show per-thread activity stats (for support/developers)",
        Operator,
        Does::ShowActivity,
    ),
    is(
        &["show", "backend"],
        "show backend                            : list backends in the current running config",
        User,
        Does::ShowBackend,
    ),
    is(
        &["show", "cli", "level"],
        "show cli level                          : display the level of the current CLI session",
        User,
        Does::ShowCliLevel,
    ),
    is(
        &["show", "cli", "sockets"],
        "show cli sockets                        : dump list of cli sockets",
        User,
        Does::ShowCliSockets,
    ),
    is(
        &["show", "env"],
        "show env [var]                          : dump environment variables known to the process",
        Operator,
        Does::ShowEnv,
    ),
    is(
        &["show", "errors"],
        "show errors [<px>] [request|response]   : report last request and/or response errors for each proxy",
        Operator,
        Does::ShowErrors,
    ),
    is(
        &["show", "info"],
        "show info [desc|json|typed|float]*      : report information about the running process",
        User,
        Does::ShowInfo,
    ),
    is(
        &["show", "servers", "conn"],
        "show servers conn [<backend>]           : dump server connections status (all or for a single backend)",
        User,
        Does::ShowServersConn,
    ),
    is(
        &["show", "servers", "state"],
        "show servers state [<backend>]          : dump volatile server information (all or for a single backend)",
        User,
        Does::ShowServersState,
    ),
    is(
        &["show", "sess"],
        "show sess [help|<id>|all] [opts...]     : report the list of current streams or dump this exact stream",
        Operator,
        Does::ShowSess,
    ),
    is(
        &["show", "stat"],
        "show stat [desc|json|no-maint|typed|up]*: report counters for each proxy and server",
        User,
        Does::ShowStat,
    ),
    is(
        &["show", "table"],
        "show table [<table> [<filter>]*]        : report table usage stats or dump this table's contents (filter: data/key)",
        User,
        Does::ShowTable,
    ),
    is(
        &["show", "version"],
        "show version                            : show version of the current process",
        User,
        Does::ShowVersion,
    ),
    is(
        &["shutdown", "frontend"],
        "shutdown frontend <frontend>            : stop a specific frontend",
        Admin,
        Does::ShutdownFrontend,
    ),
    is(
        &["shutdown", "session"],
        "shutdown session [id]                   : kill a specific session",
        Admin,
        Does::ShutdownSession,
    ),
    is(
        &["shutdown", "sessions", "server"],
        "shutdown sessions server <bk>/<srv>     : kill sessions on a server",
        Admin,
        Does::ShutdownSessionsServer,
    ),
    is(
        &["user"],
        "user                                    : lower the level of the current CLI session to user",
        User,
        Does::Lower(User),
    ),
    is(
        &["wait"],
        "wait {-h|<delay_ms>} cond [args...]     : wait the specified delay or condition (-h to see list)",
        Admin,
        Does::Wait,
    ),
    is(&["help"], "help [<command>]                        : list matching or all commands", User, Does::Help),
    is(
        &["prompt"],
        "prompt [help | n | i | p | timed ]*     : toggle interactive mode with prompt",
        User,
        Does::Prompt,
    ),
    is(&["quit"], "quit                                    : disconnect", User, Does::Quit),
];

/// Those that lists choose from; the rest is in each.
const LISTED: usize = COMMANDS.len() - 3;

const fn is(words: &'static [&'static str], usage: &'static str, level: RuntimeLevel, does: Does) -> Command {
    Command { words, usage, level, does }
}

/// The commands that lists choose from, and those that each ends with.
pub fn listed() -> (&'static [Command], &'static [Command]) {
    const ALL: &[Command] = &COMMANDS;
    ALL.split_at(LISTED)
}

/// A command as it was given.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    words: &'a [String],
    pub views: &'a Views,
    pub level: RuntimeLevel,
    pub by: &'a Actor,
}

/// What follows from a command.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// What it says; nothing is a success.
    Answer(String),
    /// The level is lowered.
    Lower(RuntimeLevel),
    /// The client may be silent for so long.
    Timeout(std::time::Duration),
    Prompt(Vec<String>),
    Wait(waiting::Wait),
    Quit,
}

const DENIED: &str = "Permission denied\n";

impl<'a> Asked<'a> {
    pub fn new(words: &'a [String], views: &'a Views, level: RuntimeLevel, by: &'a Actor) -> Self {
        Self { words, views, level, by }
    }

    /// One of the words, empty behind the last.
    pub fn word(&self, place: usize) -> &'a str {
        self.words.get(place).map_or("", String::as_str)
    }

    /// The words from one on.
    pub fn words_from(&self, place: usize) -> &'a [String] {
        self.words.get(place..).unwrap_or_default()
    }

    /// Has something done; what there is to say of it is why it was not.
    pub async fn act(&self, action: Action) -> String {
        match (self.views.act)(action, self.by.clone()).await {
            Ok(_) => String::new(),
            Err(denied) => denied.words() + "\n",
        }
    }

    /// Has something done to a server, if there is anything to be done.
    pub async fn act_on(&self, action: OnServer, found: Found<'_>) -> String {
        match action.action(found, self.views) {
            Some(action) => self.act(action).await,
            None => String::new(),
        }
    }

    /// Does what the words say.
    pub async fn carry_out(self) -> Effect {
        if self.words.is_empty() {
            return Effect::Answer(String::new());
        }
        let Some(command) = find(self.words) else { return Effect::Answer(help::unknown(self.words)) };
        if self.level < command.level {
            return Effect::Answer(DENIED.to_owned());
        }
        Effect::Answer(match command.does {
            Does::Lower(level) => return Effect::Lower(level),
            Does::SetTimeout => return process::set_timeout(&self),
            Does::Prompt => return Effect::Prompt(self.words_from(1).to_vec()),
            Does::Wait => return waiting::read(&self),
            Does::Quit => return Effect::Quit,
            Does::ClearCounters if self.word(2) == "all" && self.level < Admin => DENIED.to_owned(),
            Does::ClearCounters => self.act(Action::ClearCounters { all: self.word(2) == "all" }).await,
            // Both say themselves who may.
            Does::ClearTable => tables::clear(&self).await,
            Does::ShowTable => tables::show(&self),
            Does::AddServer => members::add(&self).await,
            Does::DelServer => members::delete(&self).await,
            Does::DisableAgent => switches::disable_agent(&self).await,
            Does::EnableAgent => switches::enable_agent(&self).await,
            Does::DisableFrontend => switches::disable_frontend(&self).await,
            Does::EnableFrontend => switches::enable_frontend(&self).await,
            Does::ShutdownFrontend => switches::shut_down_frontend(&self).await,
            Does::DisableHealth => switches::disable_health(&self).await,
            Does::EnableHealth => switches::enable_health(&self).await,
            Does::DisableServer => switches::disable_server(&self).await,
            Does::EnableServer => switches::enable_server(&self).await,
            Does::Echo => self.words_from(1).join(" ") + "\n",
            Does::GetWeight => set_server::weight(&self),
            Does::SetWeight => set_server::set_weight(&self).await,
            Does::SetServer => set_server::set(&self).await,
            Does::SetMaxconnFrontend => limits::frontend(&self).await,
            Does::SetMaxconnGlobal => limits::process(&self).await,
            Does::SetMaxconnServer => limits::server(&self).await,
            Does::ShowActivity => process::activity(&self),
            Does::ShowBackend => servers::backends(&self),
            Does::ShowCliLevel => format!("{}\n", self.level.name()),
            Does::ShowCliSockets => process::sockets(&self),
            Does::ShowEnv => process::environment(&self),
            Does::ShowErrors => process::errors(&self),
            Does::ShowInfo => info::show(&self),
            Does::ShowServersConn => servers::connections(&self),
            Does::ShowServersState => servers::state(&self),
            Does::ShowSess => sessions::show(&self),
            Does::ShowStat => stat::show(&self),
            Does::ShowVersion => process::version(),
            Does::ShutdownSession => sessions::shut_down(&self).await,
            Does::ShutdownSessionsServer => sessions::shut_down_of_server(&self).await,
            Does::Help => help::list(self.words_from(1)),
        })
    }
}

/// The command that these words begin with. Where none does to the letter, one may that is meant without a doubt: by the
/// beginnings of its words, or with an `s` too many.
fn find(words: &[String]) -> Option<&'static Command> {
    const ALL: &[Command] = &COMMANDS;
    let is_whole = |command: &&Command| words.len() >= command.words.len();
    let exact = |command: &&Command| is_whole(command) && begins(words, command, |word, wanted| word == wanted);
    if let Some(command) = ALL.iter().find(exact) {
        return Some(command);
    }
    let near = |word: &str, wanted: &str| {
        !word.is_empty() && (wanted.starts_with(word) || word.strip_suffix('s') == Some(wanted))
    };
    let mut meant = ALL.iter().filter(|command| begins(words, command, near));
    meant.next().filter(|_| meant.next().is_none()).filter(is_whole)
}

/// Whether each of the words fits the command's, as far as both have any.
fn begins(words: &[String], command: &Command, fits: impl Fn(&str, &str) -> bool) -> bool {
    words.iter().zip(command.words).all(|(word, wanted)| fits(word, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::runtime::line;

    fn found(text: &str) -> Option<&'static [&'static str]> {
        find(&line::words(text).unwrap()).map(|command| command.words)
    }

    #[test]
    fn a_command_is_known_by_its_first_words_or_by_what_can_mean_no_other() {
        assert_eq!(found("show info typed"), Some(&["show", "info"][..]));
        assert_eq!(found("show infos"), Some(&["show", "info"][..]));
        assert_eq!(found("sh inf"), Some(&["show", "info"][..]));
        assert_eq!(found("shutdown session x"), Some(&["shutdown", "session"][..]));
        assert_eq!(found("shutdown sess x"), Some(&["shutdown", "session"][..]));
        assert_eq!(found("set maxconn server a/b"), Some(&["set", "maxconn", "server"][..]));
        for unknown in ["", "show", "show s", "show foo", "SHOW INFO", "se m a 1", "showinfo"] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_manual_has_every_command() {
        let manual = include_str!("../../../docs/runtime-api.md");
        let (listed, rest) = listed();
        for command in listed.iter().chain(rest) {
            assert!(manual.contains(&format!("`{}", command.words.join(" "))), "{:?}", command.words);
        }
    }

    #[test]
    fn the_table_is_in_order_and_each_usage_begins_with_its_words() {
        let (listed, rest) = listed();
        assert!(listed.is_sorted_by_key(|command| command.usage) && rest.len() == 3);
        for command in listed.iter().chain(rest) {
            assert!(
                command.usage.starts_with(&command.words[..command.words.len().min(2)].join(" ")),
                "{}",
                command.usage
            );
        }
    }
}
