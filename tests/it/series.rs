//! What is kept of the last hour, and what the pages of backends and servers say of a server that goes down.

use serde_json::{Value, json};

use crate::harness::app::{App, Config};
use crate::harness::peers::{Peer, Server};
use crate::harness::wait::until;
use crate::harness::{http, schema};

const CHECK: &str = "check = { type = \"tcp\", interval = \"100ms\", rise = 1, fall = 2 }";

fn get(app: &App, path: &str) -> Value {
    let answer = http::get(app.stats(), path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn page(app: &App, path: &str) -> String {
    let answer = http::get(app.stats(), path).unwrap();
    assert_eq!(answer.status, 200, "{path}");
    answer.body
}

/// The most of a figure in all steps of which it is known.
fn most(series: &Value, figure: &str) -> Option<f64> {
    let values = series["series"][figure].as_array().unwrap_or_else(|| panic!("{figure} in {series}"));
    values.iter().filter_map(Value::as_f64).reduce(f64::max)
}

#[test]
fn a_step_that_is_over_has_what_was_there_and_a_reload_forgets_nothing() {
    let server = Server::echo();
    let config = Config::to(&[server.address()]).backend(CHECK);
    let mut app = App::start(&config);
    let mut client = app.connect();
    client.say("hello");
    client.hears("hello");
    let path = "/api/v1/series?backend=back&server=a";
    let figures =
        ["sessions", "new_sessions_per_second", "bytes_in_per_second", "dial_time_seconds", "probe_time_seconds"];
    let series = until("the steps of the session and of a probe are over", || {
        let series = get(&app, path);
        figures.iter().all(|figure| most(&series, figure) > Some(0.0)).then_some(series)
    });
    schema::fits(&series, "Series");
    assert_eq!((most(&series, "sessions"), most(&series, "errors")), (Some(1.0), Some(0.0)));
    assert_eq!(series["series"]["sessions"][0], Value::Null, "an hour ago there was nothing");
    for query in ["backend=back&span=day", "frontend=front"] {
        schema::fits(&get(&app, &format!("/api/v1/series?{query}")), "Series");
    }
    app.reload(&Config::to(&[server.address()]).at(&config).backend(CHECK).server(0, "weight = 3"));
    assert_eq!(most(&get(&app, path), "sessions"), Some(1.0));
}

#[test]
fn a_server_that_goes_down_is_told_with_its_probes_on_its_page_and_in_json() {
    let (first, second) = (Server::named("a"), Server::named("b"));
    let app = App::start(&Config::to(&[first.address(), second.address()]).backend(CHECK));
    let of_server = "/api/v1/servers/back/a";
    until("a probe has passed", || get(&app, of_server)["probes"][0]["passed"].as_bool().filter(|passed| *passed));
    schema::fits(&get(&app, of_server), "ServerDetail");
    assert!(page(&app, "/servers/back/a").contains("a is ready since"));
    first.stop();
    app.server_is("a", "down");
    let down = get(&app, of_server);
    schema::fits(&down, "ServerDetail");
    assert!(down["why"].as_str().unwrap().contains("refused"), "{down}");
    assert_eq!(down["frontends"], json!(["front"]));
    let change = &down["changes"][0];
    assert_eq!((&change["from"], &change["to"]), (&"ready".into(), &"down".into()));
    let html = page(&app, "/servers/back/a?span=day");
    assert!(html.contains("a is down since") && html.contains("refused"), "{html}");
    assert!(html.contains(r#"<a href="?span=day" aria-current="true">"#));
    let backend = get(&app, "/api/v1/backends/back");
    schema::fits(&backend, "BackendDetail");
    assert_eq!((&backend["changes"][0]["server"], &backend["sources"]), (&"a".into(), &Value::Null));
    assert!(page(&app, "/backends/back").contains("1 of 2 servers usable"));
    for (path, status) in [
        ("/api/v1/servers/back/x", 404),
        ("/api/v1/backends/x", 404),
        ("/servers/x/a", 404),
        ("/servers/back/a?span=week", 400),
        ("/api/v1/series?backend=x", 400),
        ("/api/v1/series", 400),
    ] {
        assert_eq!(app.http_status(path), status, "{path}");
    }
}

#[test]
fn of_a_backend_that_spreads_it_is_known_who_holds_which_servers() {
    let servers = [Server::echo(), Server::echo()];
    let addresses = [servers[0].address(), servers[1].address()];
    let app = App::start(&Config::to(&addresses).backend("balance = \"spread\""));
    let mut clients = [app.connect(), app.connect()];
    for client in &mut clients {
        client.say("x");
        client.hears("x");
    }
    let backend = get(&app, "/api/v1/backends/back");
    schema::fits(&backend, "BackendDetail");
    assert_eq!((&backend["sources"]["held"], &backend["sources"]["total"]), (&json!([0, 0, 1]), &1.into()));
    let least = json!([{"address": "127.0.0.1", "sessions": [1, 1]}]);
    assert_eq!(backend["sources"]["least"], least);
    let html = page(&app, "/backends/back");
    assert!(html.contains("One source with sessions: 1 at all 2 servers.") && html.contains("127.0.0.1"), "{html}");
}
