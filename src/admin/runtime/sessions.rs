//! Live sessions: `show sess`, `shutdown session`, `shutdown sessions server`.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::command::Asked;
use super::on_server::OnServer;
use super::target::{self, Found};
use crate::admin::{Action, Views};
use crate::event::{SessionId, SessionSnapshot, SessionState, Snapshot};
use crate::model::{BackendName, FrontendName, ServerName, SessionAddress};

/// Which sessions are meant.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    id: Option<SessionId>,
    long: bool,
    /// Only what looks as if something was wrong: no session of ours does.
    suspicious: bool,
    older: Option<Duration>,
    frontend: Option<FrontendName>,
    backend: Option<BackendName>,
    server: Option<(BackendName, ServerName)>,
}

/// `show sess`.
pub fn show(asked: &Asked<'_>) -> String {
    let wanted = match Wanted::read(asked) {
        Ok(wanted) => wanted,
        Err(words) => return words,
    };
    let sessions = (asked.views.sessions)().into_iter().filter(|session| wanted.has(session));
    let snapshot = wanted.long.then(|| (asked.views.snapshot)());
    let mut text = String::new();
    for session in sessions {
        // A string takes whatever is written.
        let _ = match &snapshot {
            Some(snapshot) => write_long(&mut text, &session, snapshot),
            None => write_short(&mut text, &session),
        };
    }
    if text.is_empty() && wanted.id.is_some() {
        return "Session not found.\n".to_owned();
    }
    text
}

impl Wanted {
    /// Reads the words behind `show sess`, or says what is wrong with them.
    fn read(asked: &Asked<'_>) -> Result<Self, String> {
        let mut wanted = Self::default();
        let mut words = asked.words_from(2).iter().map(String::as_str);
        let mut first = true;
        while let Some(word) = words.next() {
            match word {
                "help" if first => return Err(USAGE.to_owned()),
                "all" if first => wanted.long = true,
                "susp" if first => wanted.suspicious = true,
                // No session of ours has one.
                "show-uri" => {}
                "older" => wanted.older = Some(older(words.next().unwrap_or(""))?),
                "server" => wanted.server = Some(server(words.next().unwrap_or(""), asked.views)?),
                "backend" => wanted.backend = Some(backend(words.next().unwrap_or(""), asked.views)?),
                "frontend" => wanted.frontend = Some(frontend(words.next().unwrap_or(""), asked.views)?),
                id if first && id.starts_with("0x") => {
                    wanted.id = Some(read_id(id).ok_or_else(|| "Session not found.\n".to_owned())?);
                    wanted.long = true;
                }
                other => return Err(format!("Unsupported option '{other}', try 'help' for more info.\n")),
            }
            first = false;
        }
        Ok(wanted)
    }

    fn has(&self, session: &SessionSnapshot) -> bool {
        let at = |(backend, server): &(BackendName, ServerName)| {
            session.backend.as_ref() == Some(backend) && session.server.as_ref() == Some(server)
        };
        !self.suspicious
            && self.id.is_none_or(|id| session.id == id)
            && self.older.is_none_or(|age| session.age >= age)
            && self.frontend.as_ref().is_none_or(|name| session.frontend == *name)
            && self.backend.as_ref().is_none_or(|name| session.backend.as_ref() == Some(name))
            && self.server.as_ref().is_none_or(at)
    }
}

fn older(word: &str) -> Result<Duration, String> {
    if word.is_empty() {
        return Err("Expects a minimum age (in seconds by default).\n".to_owned());
    }
    super::time::duration(word, "s").ok_or_else(|| "Invalid age.\n".to_owned())
}

fn server(word: &str, views: &Views) -> Result<(BackendName, ServerName), String> {
    if word.is_empty() {
        return Err("Missing server name (<backend>/<server>).\n".to_owned());
    }
    let config = (views.config)();
    let Found { backend, server } = target::server(word, &config)?;
    Ok((backend.name.clone(), server.name.clone()))
}

fn backend(word: &str, views: &Views) -> Result<BackendName, String> {
    if word.is_empty() {
        return Err("Missing backend name.\n".to_owned());
    }
    let config = (views.config)();
    target::backend(word, &config).map(|backend| backend.name.clone()).ok_or_else(|| "No such backend.\n".to_owned())
}

fn frontend(word: &str, views: &Views) -> Result<FrontendName, String> {
    if word.is_empty() {
        return Err("Missing frontend name.\n".to_owned());
    }
    let mut frontends = (views.names)().frontends.into_iter();
    frontends.find(|frontend| frontend.as_str() == word).ok_or_else(|| "No such frontend.\n".to_owned())
}

// ---- ids ----

/// HAProxy shows a session's place in memory. Here it is the number that the three of its id make together.
fn id(id: SessionId) -> String {
    let SessionId { worker, slot, generation } = id;
    let number = u128::from(worker) << 64 | u128::from(slot) << 32 | u128::from(generation);
    format!("0x{number:012x}")
}

fn read_id(text: &str) -> Option<SessionId> {
    let number = u128::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
    let part = |shift: u32| u32::try_from((number >> shift) & u128::from(u32::MAX)).ok();
    Some(SessionId { worker: u16::try_from(number >> 64).ok()?, slot: part(32)?, generation: part(0)? })
}

// ---- one session ----

fn family(session: &SessionSnapshot) -> &'static str {
    match session.client {
        SessionAddress::Ip(SocketAddr::V4(_)) => "tcpv4",
        SessionAddress::Ip(SocketAddr::V6(_)) => "tcpv6",
        SessionAddress::Unix { .. } => "unix_stream",
    }
}

fn name<T: ToString>(name: &Option<T>, none: &str) -> String {
    name.as_ref().map_or_else(|| none.to_owned(), ToString::to_string)
}

/// One line. What speaks of HAProxy's own inside is 0 or empty.
fn write_short(text: &mut String, session: &SessionSnapshot) -> std::fmt::Result {
    let (backend, server) = (name(&session.backend, "<NONE>"), name(&session.server, "<none>"));
    let established = if session.state == SessionState::Connecting { 0 } else { 8 };
    write!(text, "{}: proto={} src={} ", id(session.id), family(session), session.client)?;
    write!(text, "fe={} be={backend} srv={server} ", session.frontend)?;
    write!(text, "ts=00 epoch=0 age={} calls=0 rate=0 cpu=0 lat=0 ", super::time::age(session.age))?;
    write!(text, "rq[f=0h,i=0,an=00h,ax=] rp[f=0h,i=0,an=00h,ax=] ")?;
    writeln!(text, "scf=[8,0h,fd=-1,rex=,wex=] scb=[{established},1h,fd=-1,rex=,wex=] exp= rc=0 c_exp=")
}

/// Several lines: where it comes from and goes to, since when, and what it has moved.
fn write_long(text: &mut String, session: &SessionSnapshot, snapshot: &Snapshot) -> std::fmt::Result {
    let begun = snapshot.at.checked_sub(session.age).unwrap_or(snapshot.at);
    let number = (u64::from(session.id.slot) << 32) | u64::from(session.id.generation);
    writeln!(
        text,
        "{}: [{}] id={number} proto={} source={}",
        id(session.id),
        date(begun),
        family(session),
        session.client
    )?;
    if let Some(frontend) = snapshot.frontends.iter().find(|frontend| frontend.name == session.frontend) {
        writeln!(text, "  frontend={} (id={} mode=tcp), listener=? (id=1)", frontend.name, frontend.id)?;
    }
    let backend = snapshot.backends.iter().find(|backend| session.backend.as_ref() == Some(&backend.name));
    match backend {
        None => writeln!(text, "  backend=<NONE> (id=-1 mode=-)")?,
        Some(backend) => {
            write!(text, "  backend={} (id={} mode=tcp)", backend.name, backend.id)?;
            match session.source {
                Some(source) => writeln!(text, " addr={source}")?,
                None => writeln!(text)?,
            }
        }
    }
    let server =
        backend.and_then(|backend| backend.servers.iter().find(|it| session.server.as_ref() == Some(&it.name)));
    match server {
        None => writeln!(text, "  server=<NONE> (id=-1)")?,
        Some(server) => writeln!(text, "  server={} (id={}) addr={}", server.name, server.id, server.address)?,
    }
    let age = super::time::age;
    writeln!(text, "  state={} age={} idle={}", session.state.word(), age(session.age), age(session.idle))?;
    writeln!(text, "  req total={}", session.bytes_in)?;
    writeln!(text, "  res total={}", session.bytes_out)
}

/// As HAProxy's log has it, in microseconds.
fn date(at: std::time::SystemTime) -> String {
    let local = UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC);
    let form = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second].[subsecond digits:6]");
    OffsetDateTime::from(at).to_offset(local).format(form).unwrap_or_default()
}

// ---- closing ----

/// `shutdown session`.
pub async fn shut_down(asked: &Asked<'_>) -> String {
    const WANTED: &str = "Session pointer expected (use 'show sess').\n";
    let word = asked.word(2);
    if !word.starts_with("0x") {
        return WANTED.to_owned();
    }
    let sessions = (asked.views.sessions)();
    match read_id(word).filter(|id| sessions.iter().any(|session| session.id == *id)) {
        Some(id) => asked.act(Action::Kill { ids: vec![id] }).await,
        None => "No such session (use 'show sess').\n".to_owned(),
    }
}

/// `shutdown sessions server`.
pub async fn shut_down_of_server(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    match target::server(asked.word(3), &config) {
        Ok(found) => asked.act_on(OnServer::EndSessions, found).await,
        Err(complaint) => complaint.to_owned(),
    }
}

const USAGE: &str = "Usage: show sess [<id> | all | help] [<options>*]
Dumps active streams (formerly called 'sessions'). Available selectors:
   <id>         dump only this stream identifier (0x...)
   all          dump all matching streams in large format
   help         show this message
   susp         report streams considered suspicious
Available options: 
   show-uri     also display the transaction URI, if available
   older <age>  only display streams older than <age> seconds
   server <b/s> only show streams attached to this backend+server
   backend <b>  only show streams attached to this backend
   frontend <f> only show streams attached to this frontend
Without any argument, all streams are dumped in a shorter format.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for (worker, slot, generation) in [(0, 0, 1), (1, 20, 3), (u16::MAX, u32::MAX, u32::MAX)] {
            let session = SessionId { worker, slot, generation };
            assert_eq!(read_id(&id(session)), Some(session));
        }
        for wrong in ["0x", "0xg", "1", "0x1000000000000000000000000"] {
            assert_eq!(read_id(wrong), None, "{wrong}");
        }
    }
}
