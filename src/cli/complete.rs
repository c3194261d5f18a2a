//! Completion in the shell: the script that asks, and the names that the running process has.

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, ValueEnum};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{CompletionCandidate, Shell};
use serde::de::DeserializeOwned;

use super::client::Client;
use super::document::{Backend, Sessions, Status};
use super::socket::SocketOption;
use super::{Cli, Exit, fail, print_all};

/// Set by the script when it asks for completions; its value is the shell.
const VARIABLE: &str = "EVENKEEL_COMPLETE";

/// Longest time that a press of Tab waits for the process.
const PATIENCE: Duration = Duration::from_millis(700);

/// Prints the script that has a shell ask us.
pub(super) fn script(shell: Shell) -> Exit {
    let shell = shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let shells = Shells::builtins();
    let shell = shells.completer(&shell).expect("each shell that has a name here has a script");
    let mut script = Vec::new();
    match shell.write_registration(VARIABLE, "evenkeel", "evenkeel", &program(), &mut script) {
        Ok(()) => print_all(&script),
        Err(error) => fail(&error),
    }
}

/// How the script calls us: as it was called itself, from whatever directory the shell is in then.
fn program() -> String {
    let program = PathBuf::from(env::args_os().next().unwrap_or_default());
    // A name alone is looked up in the shell's path, then and now.
    let is_path = program.components().count() > 1;
    let program = if is_path { env::current_dir().unwrap_or_default().join(program) } else { program };
    program.to_string_lossy().into_owned()
}

/// Answers a script that asks; `None` if this isn't one.
pub(super) fn answered() -> Option<Exit> {
    let asked = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    match asked.try_complete(env::args_os(), env::current_dir().ok().as_deref()) {
        Ok(true) => Some(Exit::Done),
        Ok(false) => None,
        Err(error) => {
            let _ = write!(std::io::stderr(), "{error}");
            Some(Exit::Failed)
        }
    }
}

/// Servers: `backend/server`, and names alone.
pub(super) fn servers() -> Vec<CompletionCandidate> {
    let backends = backends_now();
    let full = |backend: &Backend| {
        let name = backend.name.clone();
        let server = move |server: &super::document::Server| (format!("{name}/{}", server.name), server.state.clone());
        backend.servers.iter().map(server).collect::<Vec<_>>()
    };
    let alone = backends.iter().flat_map(|backend| &backend.servers).map(|server| server.name.clone());
    let mut alone: Vec<String> = alone.collect();
    alone.sort();
    alone.dedup();
    let alone = alone.into_iter().map(|name| CompletionCandidate::new(name).help(Some("in all backends".into())));
    let full = backends.iter().flat_map(full);
    alone.chain(full.map(|(name, state)| CompletionCandidate::new(name).help(Some(state.into())))).collect()
}

pub(super) fn backends() -> Vec<CompletionCandidate> {
    backends_now().into_iter().map(|backend| CompletionCandidate::new(backend.name)).collect()
}

pub(super) fn frontends() -> Vec<CompletionCandidate> {
    let frontends = look::<Status>("/api/v1/status").map(|status| status.frontends).unwrap_or_default();
    frontends.into_iter().map(|frontend| CompletionCandidate::new(frontend.name)).collect()
}

pub(super) fn sessions() -> Vec<CompletionCandidate> {
    let sessions = look::<Sessions>("/api/v1/sessions?limit=1000").map(|sessions| sessions.sessions);
    let candidate = |session: super::document::Session| {
        let server = session.server.unwrap_or_else(|| "no server yet".into());
        CompletionCandidate::new(session.id).help(Some(format!("{} to {server}", session.client).into()))
    };
    sessions.unwrap_or_default().into_iter().map(candidate).collect()
}

fn backends_now() -> Vec<Backend> {
    look::<Status>("/api/v1/status").map(|status| status.backends).unwrap_or_default()
}

/// Without a process, or without an answer in time, there are no names to offer.
fn look<T: DeserializeOwned>(path: &str) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let client = Client::new(&SocketOption::named(named_socket(env::args_os()))).patient(PATIENCE);
    runtime.block_on(client.look(path)).ok()
}

/// The socket of the command line that is being completed, whose words are ours behind `--`.
fn named_socket(words: impl IntoIterator<Item = OsString>) -> Option<OsString> {
    let mut words = words.into_iter().skip_while(|word| word != "--");
    let socket = words.find(|word| word.to_string_lossy().starts_with("--socket"))?;
    match socket.to_string_lossy().strip_prefix("--socket=") {
        Some(path) => Some(path.into()),
        None => words.next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_the_line_that_is_completed_is_found() {
        let named = |line: &str| named_socket(line.split(' ').map(OsString::from));
        assert_eq!(named("evenkeel -- evenkeel drain --socket /a.sock k0"), Some("/a.sock".into()));
        assert_eq!(named("evenkeel -- evenkeel drain --socket=/a.sock k0"), Some("/a.sock".into()));
        assert_eq!(named("evenkeel --socket /b.sock -- evenkeel drain k0"), None);
    }
}
