//! `set server`, and weights.

use std::net::IpAddr;

use super::command::Asked;
use super::on_server::{self, OnServer};
use super::target::{self, Found};
use super::weight;
use crate::admin::{Action, Tuning};
use crate::event::{AdminState, ForcedHealth};
use crate::model::{Endpoint, HostAddress};

const USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | \
                     check-port | fqdn | health | ssl | state | weight\n";

pub async fn set(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    let found = match target::server(asked.word(2), &config) {
        Ok(found) => found,
        Err(complaint) => return complaint.to_owned(),
    };
    let value = asked.word(4);
    match asked.word(3) {
        "weight" => change_weight(asked, found, value).await,
        "state" => state(asked, found, value).await,
        "health" => health(asked, found, value).await,
        "addr" => address(asked, found, value).await,
        "check-port" => check_port(asked, found, value).await,
        "check-addr" => check_address(asked, found, value).await,
        "agent" => agent(asked, found, value).await,
        "agent-addr" => agent_address(asked, found, value).await,
        "agent-port" => agent_port(asked, found, value).await,
        "agent-send" => agent_send(asked, found, value).await,
        // Names have no resolvers section that could be told others, and sessions no TLS.
        "fqdn" => "set server <b>/<s> fqdn failed because no resolution is configured.\n".to_owned(),
        "ssl" => "'set server <srv> ssl' cannot be set.  default-server should define ssl settings\n".to_owned(),
        _ => USAGE.to_owned(),
    }
}

/// `get weight`: what is in force, and what the configuration says.
pub fn weight(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    let found = match target::server(asked.word(2), &config) {
        Ok(found) => found,
        Err(complaint) => return complaint.to_owned(),
    };
    let server = on_server::server(found, asked.views);
    let weight = server.map_or(found.server.weight, |server| server.weight);
    format!("{weight} (initial {})\n", found.server.weight)
}

/// `set weight`.
pub async fn set_weight(asked: &Asked<'_>) -> String {
    let config = (asked.views.config)();
    match target::server(asked.word(2), &config) {
        Ok(found) => change_weight(asked, found, asked.word(3)).await,
        Err(complaint) => complaint.to_owned(),
    }
}

async fn change_weight(asked: &Asked<'_>, found: Found<'_>, text: &str) -> String {
    match weight::read(text, found.server.weight) {
        Ok(weight) => asked.act(Action::SetWeight { target: found.target(), weight }).await,
        Err(complaint) => complaint.to_owned(),
    }
}

async fn state(asked: &Asked<'_>, found: Found<'_>, word: &str) -> String {
    match AdminState::ALL.into_iter().find(|state| state.word() == word) {
        Some(state) => asked.act_on(OnServer::State(state), found).await,
        None => "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n".to_owned(),
    }
}

async fn health(asked: &Asked<'_>, found: Found<'_>, word: &str) -> String {
    match ForcedHealth::ALL.into_iter().find(|health| health.word() == word) {
        _ if found.server.track.is_some() => "cannot change health on a tracking server.\n".to_owned(),
        Some(health) => asked.act_on(OnServer::Health(health), found).await,
        None => "'set server <srv> health' expects 'up', 'stopping', or 'down'.\n".to_owned(),
    }
}

// ---- where it is checked ----

const NOT_CHECKED: &str = "health checks are not enabled on this server\n";

async fn check_port(asked: &Asked<'_>, found: Found<'_>, text: &str) -> String {
    let port = match text {
        "" => return "set server <b>/<s> check-port requires a port.\n".to_owned(),
        _ if found.server.check.is_none() => return NOT_CHECKED.to_owned(),
        text => port(text),
    };
    match port {
        Ok(port) => asked.act(Action::Tune(Tuning::Check { target: found.target(), address: None, port })).await,
        Err(complaint) => complaint.to_owned(),
    }
}

async fn check_address(asked: &Asked<'_>, found: Found<'_>, text: &str) -> String {
    let place = match text {
        "" => return "set server <b>/<s> check-addr requires an address and optionally a port.\n".to_owned(),
        _ if found.server.check.is_none() => return NOT_CHECKED.to_owned(),
        text => place(text, asked),
    };
    match place {
        Ok((address, port)) => {
            let address = Some(address);
            asked.act(Action::Tune(Tuning::Check { target: found.target(), address, port })).await
        }
        Err(complaint) => complaint,
    }
}

/// An address, and a port if one is stated behind it.
fn place(text: &str, asked: &Asked<'_>) -> Result<(IpAddr, Option<u16>), String> {
    let address = text.parse().map_err(|_| format!("invalid addr '{text}'\n"))?;
    match asked.word(5) {
        "port" => Ok((address, port(asked.word(6))?)),
        _ => Ok((address, None)),
    }
}

/// A port; 0 leaves it to be the server's own.
fn port(text: &str) -> Result<Option<u16>, &'static str> {
    let number: i64 = text.parse().map_err(|_| "provided port is not an integer\n")?;
    let port = u16::try_from(number).map_err(|_| "provided port is invalid\n")?;
    Ok((port > 0).then_some(port))
}

// ---- its agent ----

const NO_AGENT: &str = "agent checks are not enabled on this server";

async fn agent(asked: &Asked<'_>, found: Found<'_>, word: &str) -> String {
    let says = OnServer::Agent(word == "up");
    match word {
        _ if !says.fits(found, asked.views) => format!("{NO_AGENT}.\n"),
        "up" | "down" => asked.act_on(says, found).await,
        _ => "'set server <srv> agent' expects 'up' or 'down'.\n".to_owned(),
    }
}

async fn agent_address(asked: &Asked<'_>, found: Found<'_>, text: &str) -> String {
    let place = match text {
        "" => return "set server <b>/<s> agent-addr requires an address and optionally a port.\n".to_owned(),
        _ if found.server.agent.is_none() => return format!("{NO_AGENT}\n"),
        text => place(text, asked),
    };
    match place {
        Ok((address, port)) => tune_agent(asked, found, Some(address), port, None).await,
        Err(complaint) => complaint,
    }
}

async fn agent_port(asked: &Asked<'_>, found: Found<'_>, text: &str) -> String {
    let port = match text {
        "" => return "set server <b>/<s> agent-port requires a port.\n".to_owned(),
        _ if found.server.agent.is_none() => return format!("{NO_AGENT}\n"),
        text => port(text),
    };
    match port {
        Ok(port) => tune_agent(asked, found, None, port, None).await,
        Err(complaint) => complaint.to_owned(),
    }
}

async fn agent_send(asked: &Asked<'_>, found: Found<'_>, text: &str) -> String {
    match found.server.agent {
        None => format!("{NO_AGENT}.\n"),
        Some(_) => tune_agent(asked, found, None, None, Some(text.to_owned())).await,
    }
}

async fn tune_agent(
    asked: &Asked<'_>,
    found: Found<'_>,
    address: Option<IpAddr>,
    port: Option<u16>,
    send: Option<String>,
) -> String {
    asked.act(Action::Tune(Tuning::Agent { target: found.target(), address, port, send })).await
}

// ---- where it is ----

async fn address(asked: &Asked<'_>, found: Found<'_>, text: &str) -> String {
    let old = &found.server.address;
    let new = match new_address(old, text, asked.word(5), asked.word(6)) {
        Ok(new) => new,
        Err(complaint) => return complaint,
    };
    if new == *old {
        return "nothing changed\n".to_owned();
    }
    let said = change_of(old, &new);
    match asked.act(Action::Tune(Tuning::Address(found.target(), new))).await {
        done if done.is_empty() => said,
        why => why,
    }
}

/// Where a server is to be: at another address, and on another port if one is stated.
fn new_address(old: &Endpoint, address: &str, key: &str, port: &str) -> Result<Endpoint, String> {
    if address.is_empty() {
        return Err("set server <b>/<s> addr requires an address and optionally a port.\n".to_owned());
    }
    let ip: IpAddr = address.parse().map_err(|_| format!("Invalid addr '{address}'\n"))?;
    let port = match key {
        "port" => {
            let number = port.parse().ok().filter(|number| *number > 0 && !port.starts_with('+'));
            number.ok_or_else(|| format!("problem converting port '{port}' to an int\n"))?
        }
        _ => old.port,
    };
    Ok(Endpoint { host: HostAddress::Ip(ip), port })
}

fn change_of(old: &Endpoint, new: &Endpoint) -> String {
    let address = (old.host != new.host).then(|| format!("IP changed from '{}' to '{}'", old.host, new.host));
    let port = (old.port != new.port).then(|| format!("port changed from '{}' to '{}'", old.port, new.port));
    let changes: Vec<String> = [address, port].into_iter().flatten().collect();
    format!("{} by 'stats socket command'\n", changes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        crate::config::endpoint(text).unwrap()
    }

    #[test]
    fn an_address_is_changed_with_or_without_its_port() {
        let old = endpoint("10.0.0.1:6443");
        let said = |address, key, port| new_address(&old, address, key, port).map(|new| change_of(&old, &new));
        let ok = |text: &str| Ok(format!("{text} by 'stats socket command'\n"));
        assert_eq!(said("10.0.0.2", "", ""), ok("IP changed from '10.0.0.1' to '10.0.0.2'"));
        assert_eq!(said("10.0.0.1", "port", "7"), ok("port changed from '6443' to '7'"));
        assert_eq!(
            said("::1", "port", "7"),
            ok("IP changed from '10.0.0.1' to '::1', port changed from '6443' to '7'")
        );
        for (address, port, complaint) in [
            ("", "7", "set server <b>/<s> addr requires"),
            ("foo", "7", "Invalid addr 'foo'"),
            ("10.0.0.1", "", "problem converting port '' to an int"),
            ("10.0.0.1", "99999", "problem converting port '99999'"),
            ("10.0.0.1", "+1", "problem converting port '+1'"),
        ] {
            let words = new_address(&old, address, "port", port).unwrap_err();
            assert!(words.starts_with(complaint), "{words}");
        }
    }
}
