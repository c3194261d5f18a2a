use std::sync::Arc;

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::*;

/// What a client of rustls says first.
fn rustls_hello(name: &str) -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// A hello with these extensions.
fn hello(extensions: &[u8]) -> Vec<u8> {
    let mut body = [&[3, 3], &[7; 32][..], &[0], &[0, 2, 0x13, 1], &[1, 0]].concat();
    body.extend([&(extensions.len() as u16).to_be_bytes(), extensions].concat());
    message_of(1, &body)
}

/// A handshake message.
fn message_of(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A message in records of so many bytes.
fn in_records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| [&[22, 3, 1], &(part.len() as u16).to_be_bytes()[..], part].concat()).collect()
}

/// Extensions: one that nobody knows (RFC 8701), and a server name.
fn extensions(name: &str) -> Vec<u8> {
    let name = [&[0], &(name.len() as u16).to_be_bytes()[..], name.as_bytes()].concat();
    let list = [&(name.len() as u16).to_be_bytes()[..], &name].concat();
    [&[0x0A, 0x0A, 0, 0, 0, 0], &(list.len() as u16).to_be_bytes()[..], &list].concat()
}

fn of(kind: u8, name: Option<&str>) -> Reading {
    Reading::Hello(Hello { kind, name: name.map(|name| name.as_bytes().into()) })
}

#[test]
fn a_real_hello_is_read() {
    assert_eq!(read(&rustls_hello("api.example.com")), of(1, Some("api.example.com")));
    assert_eq!(read(&rustls_hello("10.0.0.1")), of(1, None), "an address is no name");
}

#[test]
fn a_name_is_found_behind_what_nobody_knows() {
    assert_eq!(read(&in_records(&hello(&extensions("a.b")), 1 << 14)), of(1, Some("a.b")));
    assert_eq!(read(&in_records(&hello(&[]), 1 << 14)), of(1, None));
    let not_a_host = [0, 0, 0, 6, 0, 4, 9, 0, 1, b'x'];
    assert_eq!(read(&in_records(&hello(&not_a_host), 1 << 14)), of(1, None));
}

// Seen to fail with a reader that takes the first record for all.
#[test]
fn a_hello_may_be_spread_over_records_of_any_size() {
    let message = hello(&extensions("a.b"));
    for size in 1..message.len() {
        assert_eq!(read(&in_records(&message, size)), of(1, Some("a.b")), "records of {size}");
    }
}

#[test]
fn what_is_no_handshake_is_known_by_its_first_bytes() {
    for bytes in [b"GET / HTTP/1.1".as_slice(), &[22, 2], &[22, 3, 1, 0, 0], &[22, 3, 1, 0x40, 1], &[21, 3, 3, 0, 2]] {
        assert_eq!(read(bytes), Reading::Other, "{bytes:?}");
    }
    for bytes in [[].as_slice(), &[22], &[22, 3, 1, 0x40, 0], &[22, 3, 1, 0, 1, 1]] {
        assert_eq!(read(bytes), Reading::Short, "{bytes:?}");
    }
    let alert_within = [in_records(&hello(&[])[..20], 20), vec![21, 3, 3, 0, 2, 1, 0]].concat();
    assert_eq!(read(&alert_within), Reading::Other, "nothing may come between");
}

#[test]
fn another_message_has_a_type_and_no_name() {
    assert_eq!(read(&in_records(&message_of(2, b"whatever"), 100)), of(2, None));
    assert_eq!(read(&in_records(&message_of(1, b"cut"), 100)), of(1, None), "it ends before it should");
}

// Seen to fail without a limit on the message.
#[test]
fn a_hello_ends_within_its_limit() {
    let long = hello(&[&[0x0B, 0x0B, 0x3F, 0], &[0; 0x3F00][..]].concat());
    let bytes = in_records(&long, 1 << 14);
    assert!(bytes.len() <= MAX && read(&bytes) == of(1, None), "{}", bytes.len());
    let longer = in_records(&long, 64);
    assert!(longer.len() > MAX && read(&longer) == Reading::Other && read(&longer[..MAX - 1]) == Reading::Short);
    assert_eq!(read(&[22, 3, 1, 0, 4, 1, 0, 0x40, 1]), Reading::Other, "it would be longer");
}

/// However bytes come in, the answer is the same: nothing before it is clear, and nothing else after.
fn is_the_same_however_it_comes(bytes: &[u8]) -> Result<(), TestCaseError> {
    let whole = read(bytes);
    let first = (0..=bytes.len()).map(|length| read(&bytes[..length])).find(|reading| *reading != Reading::Short);
    prop_assert_eq!(first.unwrap_or(Reading::Short), whole);
    Ok(())
}

proptest! {
    #[test]
    fn a_hello_is_read_alike_in_whatever_pieces_it_comes(size in 1..600_usize, at in any::<u16>(), by in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = in_records(&hello(&extensions("api.example.com")), size);
        bytes.extend(rest);
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= by;
        is_the_same_however_it_comes(&bytes)?;
    }

    #[test]
    fn whatever_comes_is_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        is_the_same_however_it_comes(&bytes)?;
        is_the_same_however_it_comes(&[&[22, 3, 1, 0, 200, 1], &bytes[..]].concat())?;
    }
}
