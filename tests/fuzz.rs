//! Bytes of strangers, changed at random: what reads them never panics, and gives the same answer in whatever pieces they
//! come.
//!
//! A test of each reader runs for a moment, and with `FUZZ_MINUTES=10` for ten minutes.

use std::time::{Duration, Instant};

use evenkeel::net::proxy_header::{self, Parties};
use evenkeel::proxy::hello::{self, Reading};
use rustls::pki_types::ServerName;

/// Without a time that somebody asks for.
const MOMENT: Duration = Duration::from_millis(500);

/// Has `look` look at these samples with random changes; says which one it was if that panics.
#[expect(clippy::print_stdout, reason = "whoever waited for it wants to know how far it came")]
fn fuzz(samples: &[Vec<u8>], look: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let minutes = std::env::var("FUZZ_MINUTES").ok().and_then(|minutes| minutes.parse::<u64>().ok());
    let time = minutes.map_or(MOMENT, |minutes| Duration::from_secs(60 * minutes));
    let (begun, mut looked) = (Instant::now(), 0_u64);
    while begun.elapsed() < time || looked < 100 {
        let mut bytes = samples[fastrand::usize(..samples.len())].clone();
        change(&mut bytes);
        let outcome = std::panic::catch_unwind(|| look(&bytes));
        assert!(outcome.is_ok(), "these bytes: {:?}", bytes.escape_ascii().to_string());
        looked += 1;
    }
    println!("{looked} looked at");
}

/// A few changes of any kind.
fn change(bytes: &mut Vec<u8>) {
    for _ in 0..fastrand::usize(0..6) {
        let at = fastrand::usize(0..=bytes.len());
        match fastrand::u8(0..5) {
            0 => bytes.insert(at, fastrand::u8(..)),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 if at < bytes.len() => bytes[at] ^= 1 << fastrand::u8(0..8),
            4 => {
                let part: Vec<u8> = bytes[at..].iter().take(fastrand::usize(0..64)).copied().collect();
                bytes.extend(part);
            }
            _ => bytes.push(fastrand::u8(..)),
        }
    }
}

#[test]
fn proxy_headers() {
    let v4 = Parties::new("10.9.8.7:1234".parse().unwrap(), "10.1.1.1:6443".parse().unwrap());
    let v6 = Parties::new("[fd00::7]:1234".parse().unwrap(), "[fd00::1]:6443".parse().unwrap());
    let mut samples = vec![proxy_header::encode_v1(None), proxy_header::encode_v2(None)];
    for parties in [v4, v6] {
        samples.push(proxy_header::encode_v1(Some(parties)));
        samples.push(proxy_header::encode_v2(Some(parties)));
    }
    fuzz(&samples, |bytes| {
        let whole = proxy_header::decode(bytes);
        let first = (0..bytes.len()).map(|length| proxy_header::decode(&bytes[..length]));
        let first = first.into_iter().find(|answer| *answer != Ok(None)).unwrap_or(whole);
        assert_eq!(first, whole);
        if let Ok(Some(header)) = whole {
            assert!(header.length <= bytes.len() && header.length <= proxy_header::MAX);
        }
    });
}

#[test]
fn client_hellos() {
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let config = std::sync::Arc::new(config);
    let samples = ["a.example", "127.0.0.1", "a-rather-long-name.of.a.server.somewhere.example"].map(|name| {
        let name = ServerName::try_from(name).unwrap();
        let mut bytes = Vec::new();
        rustls::ClientConnection::new(config.clone(), name).unwrap().write_tls(&mut bytes).unwrap();
        bytes
    });
    fuzz(&samples, |bytes| {
        let whole = hello::read(bytes);
        let cut = fastrand::usize(0..=bytes.len());
        let part = hello::read(&bytes[..cut]);
        assert!(part == Reading::Short || part == whole, "{part:?} of {cut} bytes, {whole:?} of all");
        if let Reading::Hello(hello) = whole {
            assert!(hello.name.is_none_or(|name| name.len() <= bytes.len()));
        }
    });
}
