use proptest::prelude::*;

use super::*;

fn parties(source: &str, destination: &str) -> Parties {
    Parties { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn four() -> Parties {
    parties("10.9.8.7:1234", "10.1.1.1:6443")
}

fn six() -> Parties {
    parties("[fd00::7]:1234", "[fd00::1]:6443")
}

/// A header of version 2 with this command and family, and this behind them.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    [V2.as_slice(), &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
}

const ADDRESSES: [u8; 12] = [10, 9, 8, 7, 10, 1, 1, 1, 4, 210, 25, 43];

#[test]
fn lines_of_version_1_are_read() {
    let decoded = |text: &str| decode(text.as_bytes());
    let header = |length, parties| Ok(Some(Header { length, parties }));
    assert_eq!(decoded("PROXY TCP4 10.9.8.7 10.1.1.1 1234 6443\r\nhi"), header(40, Some(four())));
    assert_eq!(decoded("PROXY TCP6 fd00::7 fd00::1 1234 6443\r\n"), header(38, Some(six())));
    assert_eq!(decoded("PROXY TCP6 ::ffff:10.9.8.7 ::ffff:10.1.1.1 1234 6443\r\n"), header(54, Some(four())));
    assert_eq!(decoded("PROXY UNKNOWN\r\nhi"), header(15, None));
    assert_eq!(decoded("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), header(35, None));
}

#[test]
fn what_is_not_quite_a_line_of_version_1_is_refused() {
    for text in [
        "PROXY TCP4 10.9.8.7 10.1.1.1 70000 6443\r\n",
        "PROXY TCP4 10.9.8.7 10.1.1.1 +1 6443\r\n",
        "PROXY TCP4 10.9.8.7 10.1.1.1 1234\r\n",
        "PROXY TCP4 10.9.8.7 10.1.1.1 1234 6443 1\r\n",
        "PROXY TCP4  10.9.8.7 10.1.1.1 1234 6443\r\n",
        "PROXY TCP4 fd00::7 10.1.1.1 1234 6443\r\n",
        "PROXY TCP6 10.9.8.7 10.1.1.1 1234 6443\r\n",
        "PROXY TCP4 10.9.8.256 10.1.1.1 1234 6443\r\n",
        "PROXY UDP4 10.9.8.7 10.1.1.1 1234 6443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "PROXY TCP4 10.9.8.7 10.1.1.1 1234 \u{661}\r\n",
    ] {
        assert_eq!(decode(text.as_bytes()), Err(Malformed::Broken), "{text:?}");
    }
    for text in ["GET / HTTP/1.1\r\n", "PROXX", "proxy TCP4", "\r\n\r\n\0\r\nQUIX"] {
        assert_eq!(decode(text.as_bytes()), Err(Malformed::Unlike), "{text:?}");
    }
}

// Seen to fail with a limit of one byte more.
#[test]
fn a_line_of_version_1_ends_within_107_bytes() {
    let fits = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(decode(fits.as_bytes()), Ok(Some(Header { length: 107, parties: None })));
    assert_eq!(decode(format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)).as_bytes()), Err(Malformed::Broken));
    assert_eq!(decode(format!("PROXY UNKNOWN {}", "x".repeat(92)).as_bytes()), Ok(None));
    assert_eq!(decode(format!("PROXY UNKNOWN {}", "x".repeat(93)).as_bytes()), Err(Malformed::Broken));
}

#[test]
fn headers_of_version_2_are_read_and_their_extensions_passed_over() {
    let local = v2(LOCAL, 0, &[]);
    assert_eq!(decode(&local), Ok(Some(Header { length: 16, parties: None })));
    assert_eq!(decode(&v2(LOCAL, TCP4, b"whatever")), Ok(Some(Header { length: 24, parties: None })));
    assert_eq!(decode(&v2(PROXY, TCP4, &ADDRESSES)), Ok(Some(Header { length: 28, parties: Some(four()) })));
    let extended = v2(PROXY, TCP4, &[&ADDRESSES[..], &[4, 0, 4], b"abcd", &[0xEE, 0, 0]].concat());
    assert_eq!(decode(&extended), Ok(Some(Header { length: 38, parties: Some(four()) })));
    assert_eq!(decode(&encode_v2(Some(six()))), Ok(Some(Header { length: 52, parties: Some(six()) })));
}

#[test]
fn what_is_not_quite_a_header_of_version_2_is_refused() {
    let beyond = [&ADDRESSES[..], &[4, 0, 5], b"abcd"].concat();
    let cut = [&ADDRESSES[..], &[4, 0]].concat();
    for (command, family, rest) in [
        (PROXY, TCP4, &ADDRESSES[..11]),
        (PROXY, TCP6, &ADDRESSES[..]),
        (PROXY, 0x12, &ADDRESSES[..]),
        (PROXY, 0x00, &[]),
        (PROXY, 0x31, &[0; 216]),
        (0x22, TCP4, &ADDRESSES[..]),
        (PROXY, TCP4, &beyond),
        (PROXY, TCP4, &cut),
        (PROXY, TCP4, &[0; MAX]),
    ] {
        assert_eq!(decode(&v2(command, family, rest)), Err(Malformed::Broken), "{command:x} {family:x} {rest:?}");
    }
    assert_eq!(decode(&v2(0x11, TCP4, &ADDRESSES)), Err(Malformed::Unlike));
}

// Seen to fail with a checksum in which its own bytes count.
#[test]
fn a_checksum_must_be_right() {
    let sealed = |mut bytes: Vec<u8>| {
        let crc = checksum(&bytes, 31..35);
        bytes[31..35].copy_from_slice(&crc.to_be_bytes());
        bytes
    };
    let mut header = sealed(v2(PROXY, TCP4, &[&ADDRESSES[..], &[CRC32C, 0, 4, 0, 0, 0, 0]].concat()));
    assert_eq!(decode(&header), Ok(Some(Header { length: 35, parties: Some(four()) })));
    header[20] ^= 1;
    assert_eq!(decode(&header), Err(Malformed::Broken));
    assert_eq!(checksum(b"123456789", 0..0), 0xE306_9283, "the check value that is known for this checksum");
}

#[test]
fn what_is_sent_is_what_haproxy_sends() {
    let parties = parties("127.0.0.1:43773", "127.0.0.1:28112");
    assert_eq!(encode_v1(Some(parties)), b"PROXY TCP4 127.0.0.1 127.0.0.1 43773 28112\r\n");
    assert_eq!(encode_v2(Some(parties)), b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\xaa\xfdm\xd0");
    assert_eq!(encode_v2(None), b"\r\n\r\n\0\r\nQUIT\n \0\0\0");
    assert_eq!(encode_v1(Some(six())), b"PROXY TCP6 fd00::7 fd00::1 1234 6443\r\n");
    let mixed = Parties { destination: six().destination, ..parties };
    assert_eq!(
        (encode_v1(Some(mixed)), encode_v1(None)),
        (b"PROXY UNKNOWN\r\n".to_vec(), b"PROXY UNKNOWN\r\n".to_vec())
    );
    assert_eq!(encode_v2(Some(mixed)), encode_v2(None));
}

fn any_address() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let four = any::<([u8; 4], u16, [u8; 4], u16)>().prop_map(|(a, b, c, d)| ((a, b).into(), (c, d).into()));
    let six = any::<([u16; 8], u16, [u16; 8], u16)>().prop_map(|(a, b, c, d)| ((a, b).into(), (c, d).into()));
    prop_oneof![four, six]
}

/// Bytes that are a header, or nearly one.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let header = (any_address(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..40), any::<(u16, u8)>());
    let changed = header.prop_map(|((source, destination), first, rest, (at, by))| {
        let parties = Some(Parties::new(source, destination));
        let mut bytes = if first { encode_v1(parties) } else { encode_v2(parties) };
        bytes.extend(rest);
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= by;
        bytes
    });
    prop_oneof![changed, prop::collection::vec(any::<u8>(), 0..200)]
}

/// However bytes come in, the answer is the same, and comes with the byte that it needs and none before.
fn is_the_same_however_it_comes(bytes: &[u8]) -> Result<(), TestCaseError> {
    let whole = decode(bytes);
    let mut answers = (0..bytes.len()).map(|length| (length, decode(&bytes[..length])));
    if let Some((_, answer)) = answers.find(|(_, answer)| *answer != Ok(None)) {
        prop_assert_eq!(answer, whole);
    }
    if let Ok(Some(header)) = whole {
        prop_assert!(header.length <= bytes.len());
        prop_assert_eq!(decode(&bytes[..header.length - 1]), Ok(None));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_header_that_is_sent_is_read_as_it_was_meant((source, destination) in any_address(), rest in prop::collection::vec(any::<u8>(), 0..20)) {
        let parties = Parties::new(source, destination);
        prop_assume!(parties.source.is_ipv4() == parties.destination.is_ipv4());
        for header in [encode_v1(Some(parties)), encode_v2(Some(parties))] {
            let bytes = [header.clone(), rest.clone()].concat();
            prop_assert_eq!(decode(&bytes), Ok(Some(Header { length: header.len(), parties: Some(parties) })));
        }
    }

    #[test]
    fn a_header_is_read_alike_in_whatever_pieces_it_comes(bytes in nearly()) {
        is_the_same_however_it_comes(&bytes)?;
    }
}
