//! Actions on what is served: reload, upgrade, and a backend's servers.

use serde::Deserialize;

use super::{Action, NewCheck, NewServer, Target, parse};
use crate::admin::refusal::Refusal;
use crate::config;
use crate::model::{ServerName, Weight};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadBody {
    #[serde(default)]
    dry_run: bool,
}

/// Of an action that has nothing more to say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyBody {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerBody {
    name: String,
    address: String,
    weight: Option<u32>,
    #[serde(default)]
    backup: bool,
}

pub(super) fn reload(body: &[u8]) -> Result<Action, Refusal> {
    let ReloadBody { dry_run } = parse(body, r#"{"dry_run": false}"#)?;
    Ok(if dry_run { Action::Plan } else { Action::Reload })
}

pub(super) fn upgrade(body: &[u8]) -> Result<Action, Refusal> {
    parse(body, "{}").map(|EmptyBody {}| Action::Upgrade)
}

pub(super) fn add_server(backend: String, body: &[u8]) -> Result<Action, Refusal> {
    let body: ServerBody = parse(body, r#"{"name": "k0s-1", "address": "10.10.0.2:6443"}"#)?;
    let name = ServerName::new(&body.name)
        .map_err(|error| Refusal::bad(format!("`name` is {:?}, which no server can be called: {error}", body.name)))?;
    let address = config::endpoint(&body.address).map_err(|error| {
        let wanted = "it must be an address and a port, such as \"10.10.0.2:6443\"";
        Refusal::bad(format!("`address` is {:?}: {error}; {wanted}", body.address))
    })?;
    let weight = body.weight.map_or(Ok(Weight::ONE), super::weight_of)?;
    Ok(Action::AddServer(NewServer {
        backend,
        name,
        address,
        weight,
        backup: body.backup,
        max_sessions: None,
        disabled: false,
        check: NewCheck::OfBackend,
    }))
}

pub(super) fn remove_server(target: Target, body: &[u8]) -> Result<Action, Refusal> {
    parse(body, "{}").map(|EmptyBody {}| Action::RemoveServer(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_what_is_to_be_done() {
        assert_eq!(reload(b"{}").unwrap(), Action::Reload);
        assert_eq!(reload(br#"{"dry_run":false}"#).unwrap(), Action::Reload);
        assert_eq!(reload(br#"{"dry_run":true}"#).unwrap(), Action::Plan);
        assert_eq!(upgrade(b"{}").unwrap(), Action::Upgrade);
        let read = |body: &[u8]| match add_server("api".into(), body) {
            Ok(Action::AddServer(server)) => server,
            other => panic!("{other:?}"),
        };
        let least = read(br#"{"name":"a","address":"10.0.0.2:6443"}"#);
        assert_eq!((least.weight, least.backup, least.backend.as_str()), (Weight::ONE, false, "api"));
        let most = read(br#"{"name":"a","address":"[fd00::2]:6443","weight":7,"backup":true}"#);
        assert_eq!(
            (most.weight.value(), most.backup, most.address.to_string()),
            (7, true, "[fd00::2]:6443".to_owned())
        );
    }

    #[test]
    fn a_body_that_is_wrong_is_refused_with_the_field_and_what_it_must_be() {
        let add = |body: &str| add_server("api".into(), body.as_bytes());
        for (refused, words) in [
            (reload(br#"{"dryrun":true}"#), "unknown field `dryrun`"),
            (reload(br#"{"dry_run":"yes"}"#), "expected a boolean"),
            (upgrade(br#"{"now":true}"#), "unknown field `now`"),
            (add("{}"), "missing field `name`"),
            (add(r#"{"name":"a/b","address":"10.0.0.2:1"}"#), "`name` is \"a/b\""),
            (add(r#"{"name":"a","address":"10.0.0.2"}"#), "`address` is \"10.0.0.2\": there is no port"),
            (add(r#"{"name":"a","address":"10.0.0.2:1","weight":257}"#), "`weight` is 257: it must be from 0 to 256"),
        ] {
            let refusal = refused.unwrap_err();
            assert!(refusal.words().contains(words), "{}", refusal.words());
        }
    }
}
