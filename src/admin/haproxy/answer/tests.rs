use hyper::header::HeaderValue;

use super::*;
use crate::event::{ServerState, fixture};
use crate::model::condition::{Compare, Test};
use crate::model::{Condition, Monitor};

fn headers(login: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("Basic {}", Base64::encode_string(login.as_bytes()));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
    headers
}

fn guarded() -> Serves {
    let users = vec![("ops".to_owned(), Secret("a:b".to_owned())), ("dev".to_owned(), Secret("c".to_owned()))];
    let page = StatsPage { users, realm: "Site one".into(), ..StatsPage::at("/stats") };
    Serves { page: Some(page), ours: true, ..Serves::default() }
}

// Seen to fail with the last user's word taken for all.
#[test]
fn who_may_look_shows_one_of_the_users() {
    let guarded = guarded();
    for login in ["ops:a:b", "dev:c"] {
        assert!(asked_to_log_in(&guarded, &headers(login)).is_none(), "{login}");
    }
    for login in ["ops:", "ops:a", "ops:c", "dev:a:b", "dev", ":", "Ops:a:b"] {
        let refusal = asked_to_log_in(&guarded, &headers(login)).expect(login);
        assert_eq!(refusal.status(), 401);
        assert_eq!(refusal.headers()["www-authenticate"], "Basic realm=\"Site one\"");
    }
    assert!(asked_to_log_in(&guarded, &HeaderMap::new()).is_some());
    assert!(asked_to_log_in(&Serves::ours(), &HeaderMap::new()).is_none(), "without users it is everybody's");
}

const ENDS: Ends = Ends { source: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000), destination: None };

fn shown(place: Place<'_>, method: &Method) -> Response<Answer> {
    answer(place, method, ENDS, fixture::cluster).unwrap_or_else(|refusal| refusal.response(false))
}

// Seen to fail with conditions of which all must hold.
#[test]
fn a_monitor_says_no_as_soon_as_one_condition_holds() {
    let fewer_than = |number| {
        let backend = BackendName::new("kubeAPI_backend").unwrap();
        Condition::all([Test::UsableServers { backend, compare: Compare::Less, number }])
    };
    let of_nobody = Condition::all([Test::DestinationPort(vec![1..=2])]);
    let monitor = Monitor { uri: "/healthz".into(), fail: vec![of_nobody, fewer_than(3)] };
    let status = |change: fn(&mut Snapshot)| {
        let mut snapshot = fixture::cluster();
        change(&mut snapshot);
        let answer = answer(Place::Monitor(&monitor), &Method::GET, ENDS, || snapshot.clone());
        answer.unwrap().status().as_u16()
    };
    assert_eq!(status(|_| ()), 200);
    assert_eq!(status(|snapshot| snapshot.set_state("k0s-at-vie-1", ServerState::Draining)), 503);
    assert_eq!(status(|snapshot| snapshot.take_down("k0s-at-vie-1")), 503);
}

#[test]
fn each_place_answers_as_haproxy_does() {
    let monitor = Monitor { uri: "/healthz".into(), fail: Vec::new() };
    let get = Method::GET;
    assert_eq!(shown(Place::Monitor(&monitor), &get).status(), 200);
    assert_eq!(shown(Place::Nowhere, &get).status(), 503);
    assert_eq!(shown(Place::Metrics(Some("scope=nothing")), &get).status(), 400);
    let serves = guarded();
    let at = |target| super::super::uri::place(&serves, target, false);
    let csv = shown(at("/stats;csv"), &get);
    assert_eq!((csv.status(), csv.headers()["content-type"].to_str().unwrap()), (StatusCode::OK, "text/plain"));
    assert_eq!(shown(at("/stats;json"), &get).headers()["content-type"], "application/json");
    assert_eq!(shown(at("/stats"), &Method::PUT).status(), 503);
    assert_eq!(shown(at("/stats;json-schema"), &get).status(), 404);
}
