//! Clients of a site that speaks TLS.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::*;
use crate::admin::leaving;
use crate::admin::tests::{remote, views};
use crate::config;
use crate::model::{Identity, Secret, Stats};

/// The site of the reference configuration, with a certificate of its own.
fn site() -> Arc<Site> {
    let certified = rcgen::generate_simple_self_signed(vec!["lb1".to_owned()]).unwrap();
    let identity = Identity {
        chain: vec![certified.cert.der().to_vec()].into(),
        key: Secret(certified.signing_key.serialize_der()),
        files: ["page.crt".into(), "page.key".into()],
    };
    let config = config::parse(include_str!("../../../config/evenkeel.toml"), "evenkeel.toml").unwrap();
    let stats = Stats { tls: Some(identity), ..config.stats[0].clone() };
    Site::all(&[stats], &[]).unwrap().remove(0)
}

/// A connection of a listener that stays.
fn opened() -> DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let (_leave, leaving) = leaving();
        open(server, remote(), site(), views(), leaving, Asked::default()).await;
    });
    client
}

// Seen to fail with another time.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_is_given_up_after_five_seconds() {
    for sent in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        let mut client = opened();
        let begun = Instant::now();
        client.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let waited = begun.elapsed();
        assert!(answer.is_empty() && (4.9..5.1).contains(&waited.as_secs_f64()), "{waited:?}: {answer:?}");
    }
}

#[tokio::test]
async fn plain_http_gets_an_answer_whatever_it_asks_for() {
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: lb1:9000\r\n\r\n", "this port speaks TLS: ask https://lb1:9000\n"),
        ("POST /api/v1/reload HTTP/1.1\r\nHost: lb1\r\nContent-Length: 2\r\n\r\n{}", "ask https://lb1\n"),
    ] {
        let mut client = opened();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with(expected), "{answer}");
        assert!(answer.contains("content-security-policy: "), "{answer}");
    }
}

// What is no TLS and no HTTP ends its own connection.
#[tokio::test]
async fn garbage_is_not_answered_with_a_page() {
    for garbage in [&b"\x16garbage that is no handshake at all"[..], b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n"] {
        let mut client = opened();
        client.write_all(garbage).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"), "{answer:?}");
    }
}
