//! Servers that are added and removed.

use std::time::Duration;

use super::command::Asked;
use super::{target, time};
use crate::admin::{Action, NewCheck, NewServer, Views};
use crate::config;
use crate::event::AdminState;
use crate::model::{self, Backend, Check, Probe, ServerName, Weight};

/// `add server`. It begins in maintenance, and its checks begin once `enable health` says so.
pub async fn add(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    let (backend, name) = match target::pair(asked.word(2)) {
        Ok(pair) => pair,
        Err(complaint) => return complaint.to_owned(),
    };
    let Some(backend) = target::backend(backend, &config) else { return "No such backend.\n".to_owned() };
    match new_server(backend, name, asked) {
        Ok(server) => match asked.act(Action::AddServer(server)).await {
            done if done.is_empty() => "New server registered.\n".to_owned(),
            why => why,
        },
        Err(complaint) => complaint,
    }
}

fn new_server(backend: &Backend, name: &str, asked: &Asked<'_>) -> Result<NewServer, String> {
    if backend.servers.iter().any(|server| server.name.as_str() == name) {
        return Err("Already exists a server with the same name in backend.\n".to_owned());
    }
    let name =
        ServerName::new(name).map_err(|error| format!("'{name}' is not permitted as a server name: {error}.\n"))?;
    let address = match asked.word(3) {
        "" => return Err("'server' expects <name> and <addr>[:<port>] as arguments.\n".to_owned()),
        text => config::endpoint(text)
            .map_err(|error| format!("'server {backend}/{name}' : '{text}': {error}.\n", backend = backend.name))?,
    };
    let settings = Settings::read(asked.words_from(4))?;
    Ok(NewServer {
        check: settings.check(backend),
        backend: backend.name.to_string(),
        name,
        address,
        weight: settings.weight,
        backup: settings.backup,
        max_sessions: settings.max_sessions,
        disabled: true,
    })
}

/// What the words behind a new server's address say.
#[derive(Debug, PartialEq)]
struct Settings {
    weight: Weight,
    backup: bool,
    max_sessions: Option<u32>,
    is_checked: bool,
    port: Option<u16>,
    interval: Option<Duration>,
    fast_interval: Option<Duration>,
    down_interval: Option<Duration>,
    rise: Option<u16>,
    fall: Option<u16>,
}

impl Settings {
    fn read(words: &[String]) -> Result<Self, String> {
        let mut settings = Self {
            weight: Weight::ONE,
            backup: false,
            max_sessions: None,
            is_checked: false,
            port: None,
            interval: None,
            fast_interval: None,
            down_interval: None,
            rise: None,
            fall: None,
        };
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("'{word}' : missing argument.\n"));
            match word {
                "check" => settings.is_checked = true,
                "no-check" => settings.is_checked = false,
                "backup" => settings.backup = true,
                // It begins so, whatever is said.
                "disabled" => {}
                "weight" => settings.weight = number(word, value()?).and_then(weight)?,
                "maxconn" => settings.max_sessions = Some(number(word, value()?)?).filter(|max| *max > 0),
                "port" => settings.port = Some(number(word, value()?)?).filter(|port| *port > 0),
                "inter" => settings.interval = Some(interval(word, value()?)?),
                "fastinter" => settings.fast_interval = Some(interval(word, value()?)?),
                "downinter" => settings.down_interval = Some(interval(word, value()?)?),
                "rise" => settings.rise = Some(positive(word, value()?)?),
                "fall" => settings.fall = Some(positive(word, value()?)?),
                "enabled" => return Err("'enabled' option is not accepted for dynamic server\n".to_owned()),
                unknown => return Err(format!("unknown keyword '{unknown}'.\n")),
            }
        }
        Ok(settings)
    }

    /// As the backend's servers are checked, if it has a check, and otherwise by a connection; by HAProxy's numbers where
    /// nothing else is said.
    fn check(&self, backend: &Backend) -> NewCheck {
        if !self.is_checked {
            return NewCheck::Off;
        }
        let of_backend = backend.check.clone().unwrap_or_else(by_connection);
        let interval = self.interval.unwrap_or(of_backend.interval);
        // What follows from the interval follows from the new one.
        let timeout = if self.interval.is_some() { of_backend.timeout.min(interval) } else { of_backend.timeout };
        NewCheck::Later(Box::new(Check {
            port: self.port.or(of_backend.port),
            interval,
            fast_interval: self.fast_interval.unwrap_or(interval.min(of_backend.fast_interval)),
            down_interval: self.down_interval.unwrap_or(interval.max(of_backend.down_interval)),
            timeout,
            rise: self.rise.unwrap_or(of_backend.rise),
            fall: self.fall.unwrap_or(of_backend.fall),
            ..of_backend
        }))
    }
}

fn by_connection() -> Check {
    Check::new(Probe::Tcp, Duration::from_secs(2))
}

fn number<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{key}' expects a number, not '{text}'.\n"))
}

fn positive(key: &str, text: &str) -> Result<u16, String> {
    number(key, text).and_then(|number| if number > 0 { Ok(number) } else { Err(format!("'{key}' has to be > 0.\n")) })
}

fn weight(number: u16) -> Result<Weight, String> {
    Weight::new(number).ok_or_else(|| format!("weight is not within 0 and {} ({number}).\n", Weight::MAX))
}

/// The shortest time from one check to the next, as files have it.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3_600);

fn interval(key: &str, text: &str) -> Result<Duration, String> {
    let time = time::duration(text, "ms").filter(|time| (SHORTEST..=LONGEST).contains(time));
    time.ok_or_else(|| format!("'{key}' expects a time from {SHORTEST:?} to 1h, not '{text}'.\n"))
}

/// `del server`.
pub async fn delete(asked: &Asked<'_>) -> String {
    match removable(asked.word(2), asked.views) {
        Err(complaint) => complaint.to_owned(),
        Ok(false) => "Server still has connections attached to it, cannot remove it.\n".to_owned(),
        Ok(true) => {
            let config = (asked.views.config)();
            let Ok(found) = target::server(asked.word(2), &config) else { return "No such server.\n".to_owned() };
            match asked.act(Action::RemoveServer(found.target())).await {
                done if done.is_empty() => "Server deleted.\n".to_owned(),
                why => why,
            }
        }
    }
}

/// Whether a server can be removed now; why it can't, unless that passes by itself.
pub fn removable(server: &str, views: &Views) -> Result<bool, &'static str> {
    let config = (views.config)();
    let found = target::server(server, &config)?;
    let snapshot = (views.snapshot)();
    let backend = snapshot.backends.iter().find(|backend| backend.name == found.backend.name);
    let server = backend.and_then(|backend| backend.servers.iter().find(|server| server.name == found.server.name));
    let server = server.ok_or("No such server.\n")?;
    let tracks = |other: &model::Server| {
        other.track.as_ref().is_some_and(|track| (&track.backend, &track.server) == (&found.backend.name, &server.name))
    };
    if config.backends.iter().flat_map(|backend| &backend.servers).any(tracks) {
        return Err("This server cannot be removed at runtime due to other configuration elements pointing to it.\n");
    }
    match server.admin {
        AdminState::Maint => Ok(server.counts.sessions == 0 && server.replaced_sessions == 0),
        AdminState::Ready | AdminState::Drain => Err("Only servers in maintenance mode can be deleted.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::runtime::line;

    fn read(text: &str) -> Result<Settings, String> {
        Settings::read(&line::words(text).unwrap())
    }

    #[test]
    fn a_new_server_is_what_the_words_say() {
        let settings = read("weight 5 check inter 1s rise 1 maxconn 7 backup disabled").unwrap();
        assert_eq!((settings.weight.value(), settings.backup, settings.max_sessions), (5, true, Some(7)));
        let text = "[[frontend]]\nname = 'f'\nlisten = ':6443'\nbackend = 'b'\n[[backend]]\nname = 'b'\n\
                    servers = ['10.0.0.1:1']\ncheck = { type = 'tls', verify = 'none', fall = 7 }";
        let backend = crate::config::parse(text, "a.toml").unwrap().backends.remove(0);
        let NewCheck::Later(check) = settings.check(&backend) else { panic!() };
        assert!(matches!(check.probe, Probe::Tls(_)), "{check:?}");
        assert_eq!((check.interval, check.rise, check.fall), (Duration::from_secs(1), 1, 7));
        assert!(check.timeout <= check.interval && check.fast_interval <= check.interval);
        assert_eq!(read("weight 1").unwrap().check(&backend), NewCheck::Off);
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for (text, words) in [
            ("foo", "unknown keyword 'foo'."),
            ("weight", "'weight' : missing argument"),
            ("weight x", "'weight' expects a number"),
            ("weight 300", "weight is not within 0 and 256 (300)"),
            ("inter 1", "'inter' expects a time from 100ms"),
            ("rise 0", "'rise' has to be > 0"),
            ("enabled", "'enabled' option is not accepted for dynamic server"),
        ] {
            let complaint = read(text).unwrap_err();
            assert!(complaint.starts_with(words), "{complaint}");
        }
    }
}
