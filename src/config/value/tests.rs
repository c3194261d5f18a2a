//! The grammars against readers that are too simple to be wrong.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

// ---- durations ----

/// The sentence: "numbers with units d, h, m, s, ms, the longest first and each once; a number may have a fraction, and
/// each comes to whole milliseconds". Counted in 10⁻¹² of a millisecond, by trying every way to cut the text.
fn naive_duration(text: &str) -> Option<Duration> {
    let units = [("d", 86_400_000_u128), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let scale = 10_u128.pow(12);
    let (mut total, mut rest, mut allowed) = (0_u128, text, &units[..]);
    while !rest.is_empty() || text.is_empty() {
        let (number, index, after) = (1..=rest.len()).find_map(|cut| {
            let (head, after) = (rest.get(..cut)?, rest.get(cut..)?);
            if after.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return None;
            }
            allowed.iter().enumerate().find_map(|(index, (name, _))| {
                naive_decimal(head.strip_suffix(name)?, scale).map(|number| (number, index, after))
            })
        })?;
        let part = number * allowed[index].1;
        if part % scale != 0 {
            return None;
        }
        total += part;
        allowed = &allowed[index + 1..];
        rest = after;
    }
    u64::try_from(total / scale).ok().map(Duration::from_millis)
}

/// A decimal number times `scale`, digit by digit.
fn naive_decimal(text: &str, scale: u128) -> Option<u128> {
    let (mut value, mut place, mut digits_before, mut digits_after) = (0, None, 0, 0);
    for c in text.chars() {
        match (c, place) {
            ('.', None) => place = Some(scale),
            ('0'..='9', None) => {
                value = value * 10 + (c as u128 - '0' as u128) * scale;
                digits_before += 1;
            }
            ('0'..='9', Some(left)) => {
                place = Some(left / 10);
                value += (c as u128 - '0' as u128) * (left / 10);
                digits_after += 1;
            }
            _ => return None,
        }
    }
    (digits_before > 0 && (place.is_none() || digits_after > 0)).then_some(value)
}

proptest! {
    #[test]
    fn durations_read_as_the_simple_reader_reads_them(text in "([0-9]{1,4}(\\.[0-9]{1,4})?(ms|s|m|h|d|)){0,4}") {
        prop_assert_eq!(duration(&text).ok(), naive_duration(&text));
    }

    #[test]
    fn near_misses_of_durations_are_refused_as_the_simple_reader_refuses_them(text in "[0-9.msh d+-]{0,8}") {
        prop_assert_eq!(duration(&text).ok(), naive_duration(&text));
    }

    #[test]
    fn no_text_at_all_breaks_the_reader(text in any::<String>()) {
        prop_assert_eq!(duration(&text).is_ok(), naive_duration(&text).is_some());
        let _ = (listen(&text), endpoint(&text), machine(&text), mode(&text), statuses(&text));
    }

    #[test]
    fn what_is_written_for_a_duration_reads_as_it(milliseconds in 0..=40_000_000_000_u64) {
        let wanted = Duration::from_millis(milliseconds);
        prop_assert_eq!(duration(&duration_text(wanted)), Ok(wanted));
    }
}

#[test]
fn durations_are_written_as_people_write_them() {
    for text in ["0s", "500ms", "1s", "1.5s", "2m", "90s", "1h", "1d", "366d", "1ms", "100ms"] {
        assert_eq!(duration_text(duration(text).unwrap()), text);
    }
}

#[test]
fn what_is_wrong_with_a_duration_is_said() {
    assert_eq!(duration("10"), Err(DurationError::NoUnit));
    assert_eq!(duration("10us"), Err(DurationError::UnknownUnit("us".into())));
    assert_eq!(duration("1m1h"), Err(DurationError::Order));
    assert_eq!(duration("1s1s"), Err(DurationError::Order));
    assert_eq!(duration("0.5ms"), Err(DurationError::TooFine));
    assert_eq!(duration("0.0008s0.2ms"), Err(DurationError::TooFine), "each number by itself");
    assert_eq!(duration("99999999999999999999d"), Err(DurationError::TooLong));
    assert_eq!(duration("213503982335d"), Err(DurationError::TooLong));
    for text in ["", "s", "-1s", "1 s", " 1s", "1.s", ".5s", "1.2.3s", "1s ", "+1s"] {
        assert!(duration(text).is_err(), "{text:?}");
    }
}

// ---- addresses ----

/// The sentence: "an IPv4 address or nothing or `*`, or an IPv6 address in brackets; a colon; a port from 1 to 65535
/// in digits", with the standard library's parsers for the parts, which have no say on where to cut.
fn naive_listen(text: &str) -> Option<ListenAddress> {
    let cut = text.rfind(':')?;
    let (host, port) = (&text[..cut], &text[cut + 1..]);
    let in_digits = port.chars().all(|c| c.is_ascii_digit());
    let port = port.chars().try_fold(0_u64, |port, c| port.checked_mul(10)?.checked_add(c.to_digit(10)?.into()))?;
    let port = u16::try_from(port).ok().filter(|port| *port > 0 && in_digits)?;
    if host.is_empty() || host == "*" {
        return Some(ListenAddress::DualStack { port });
    }
    let ip = match host.strip_prefix('[') {
        Some(rest) => IpAddr::V6(rest.strip_suffix(']')?.parse().ok()?),
        None => IpAddr::V4(host.parse().ok()?),
    };
    Some(ListenAddress::Tcp(SocketAddr::new(ip.to_canonical(), port)))
}

fn any_port() -> impl Strategy<Value = String> {
    prop_oneof![any::<u16>().prop_map(|port| port.to_string()), "[0-9+ ]{0,6}"]
}

fn any_host() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("*".to_owned()),
        any::<Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<Ipv6Addr>().prop_map(|ip| format!("[{ip}]")),
        any::<Ipv6Addr>().prop_map(|ip| ip.to_string()),
        any::<Ipv4Addr>().prop_map(|ip| format!("[::ffff:{ip}]")),
        "[0-9.]{0,15}",
        "[a-z0-9.:\\[\\]-]{0,12}",
    ]
}

proptest! {
    #[test]
    fn listen_addresses_read_as_the_simple_reader_reads_them(host in any_host(), port in any_port()) {
        for text in [format!("{host}:{port}"), format!("{host}{port}"), host.clone()] {
            prop_assert_eq!(listen(&text).ok(), naive_listen(&text), "{}", text);
        }
    }

    #[test]
    fn a_servers_address_with_an_ip_is_a_listen_address_of_one_machine(host in any_host(), port in any_port()) {
        let text = format!("{host}:{port}");
        let expected = naive_listen(&text).and_then(|address| match address {
            ListenAddress::Tcp(address) if !address.ip().is_unspecified() => Some(address),
            _ => None,
        });
        let read = endpoint(&text).ok().and_then(|endpoint| match endpoint.host {
            HostAddress::Ip(ip) => Some(SocketAddr::new(ip, endpoint.port)),
            HostAddress::Name(_) => None,
        });
        prop_assert_eq!(read, expected, "{}", text);
    }

    #[test]
    fn what_is_written_for_an_address_reads_as_it(ip in any::<IpAddr>(), port in 1..=u16::MAX) {
        let address = ListenAddress::Tcp(SocketAddr::new(ip.to_canonical(), port));
        prop_assert_eq!(listen(&address.to_string()), Ok(address));
        let dual = ListenAddress::DualStack { port };
        prop_assert_eq!(listen(&dual.to_string()), Ok(dual));
        if !ip.to_canonical().is_unspecified() {
            let server = Endpoint { host: HostAddress::Ip(ip.to_canonical()), port };
            prop_assert_eq!(endpoint(&server.to_string()), Ok(server.clone()));
            prop_assert_eq!(machine(&server.host.to_string()), Ok(server.host));
        }
    }

    #[test]
    fn names_of_letters_and_dots_are_hosts(name in "[a-z]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z]{1,8}){0,3}") {
        prop_assert_eq!(host(&name), Ok(HostAddress::Name(name.clone())));
        prop_assert_eq!(endpoint(&format!("{name}:6443")).map(|endpoint| endpoint.host), Ok(HostAddress::Name(name)));
    }
}

#[test]
fn wildcards_mean_what_they_say() {
    assert_eq!(listen(":6443"), Ok(ListenAddress::DualStack { port: 6443 }));
    assert_eq!(listen("*:6443"), Ok(ListenAddress::DualStack { port: 6443 }));
    assert_eq!(listen("0.0.0.0:6443"), Ok(ListenAddress::Tcp("0.0.0.0:6443".parse().unwrap())));
    assert_eq!(listen("[::]:6443"), Ok(ListenAddress::Tcp("[::]:6443".parse().unwrap())));
}

#[test]
fn a_descriptor_has_a_number_or_a_name() {
    let number = |number| Ok(ListenAddress::Descriptor(Descriptor::Number(number)));
    let name = |name| Ok(ListenAddress::Descriptor(Descriptor::Name(DescriptorName::new(name).unwrap())));
    assert_eq!(listen("fd@3"), number(3));
    assert_eq!(listen("fd@65535"), number(65535));
    assert_eq!(listen("fd@api"), name("api"));
    assert_eq!(listen("fd@evenkeel.socket"), name("evenkeel.socket"));
    // 0 to 2 are standard input, output and error; the service manager hands over none of them.
    for wrong in ["", "0", "2", "65536", "-1", "+3", "a:6443", "a b"] {
        assert_eq!(listen(&format!("fd@{wrong}")), Err(AddressError::Descriptor(wrong.to_owned())));
    }
    for written in ["fd@3", "fd@api"] {
        assert_eq!(listen(written).unwrap().to_string(), written);
    }
    assert!(endpoint("fd@api").is_err(), "no server is one");
}

#[test]
fn what_is_no_host_is_refused() {
    let long_label = format!("{}.example", "x".repeat(64));
    let long_name = ["x"; 128].join(".");
    for text in ["-a", "a-", "a..b", "a b", "10.10.0.256", "10.10.1", "1234", "a/b", "größe", &long_label, &long_name]
    {
        assert!(matches!(host(text), Err(AddressError::Host(_))), "{text:?}: {:?}", host(text));
    }
    assert_eq!(host("0.0.0.0"), Err(AddressError::Unspecified));
    assert_eq!(host("::"), Err(AddressError::Unspecified));
    assert_eq!(host("Controller-1.Example."), Ok(HostAddress::Name("controller-1.example.".into())));
}

#[test]
fn a_presets_machine_has_no_port() {
    for text in ["10.10.0.2:6443", "[fd00::2]:6443", "controller:6443"] {
        assert_eq!(machine(text), Err(AddressError::WithPort), "{text}");
    }
    for text in ["fd00::2", "[fd00::2]"] {
        assert_eq!(machine(text), Ok(HostAddress::Ip("fd00::2".parse().unwrap())));
    }
}

// ---- permission bits and statuses ----

proptest! {
    #[test]
    fn permission_bits_are_what_chmod_takes(bits in 0..=0o777_u32) {
        prop_assert_eq!(mode(&format!("{bits:03o}")), Some(bits));
        prop_assert_eq!(mode(&format!("{bits:04o}")), Some(bits));
    }

    #[test]
    fn what_is_no_three_octal_digits_is_no_mode(text in "[0-9]{0,5}") {
        let octal = text.bytes().all(|byte| byte < b'8');
        let shape = text.len() == 3 || (text.len() == 4 && text.starts_with('0'));
        prop_assert_eq!(mode(&text).is_some(), octal && shape);
    }

    #[test]
    fn a_range_of_statuses_has_two_ends_in_order(first in 0..1000_u16, last in 0..1000_u16) {
        let valid = (100..=599).contains(&first) && (100..=599).contains(&last) && first <= last;
        prop_assert_eq!(statuses(&format!("{first:03}-{last:03}")), valid.then_some((first, last)));
    }
}

#[test]
fn a_network_has_no_bits_behind_its_prefix() {
    let of = |address: &str, prefix| Network::of(address.parse().unwrap(), prefix).unwrap();
    for (text, expected) in [
        ("10.0.0.0/8", of("10.0.0.0", 8)),
        ("0.0.0.0/0", of("0.0.0.0", 0)),
        ("10.0.0.1", of("10.0.0.1", 32)),
        ("10.0.0.1/32", of("10.0.0.1", 32)),
        ("fd00::/8", of("fd00::", 8)),
        ("::/0", of("::", 0)),
        ("::1", of("::1", 128)),
        ("::ffff:10.0.0.0/104", of("10.0.0.0", 8)),
        ("::ffff:10.0.0.1", of("10.0.0.1", 32)),
    ] {
        assert_eq!(network(text), Ok(expected), "{text}");
    }
    assert_eq!(network("10.0.0.1/8"), Err(NetworkError::HostBits(of("10.0.0.0", 8))));
    assert_eq!(network("fd00::1/8"), Err(NetworkError::HostBits(of("fd00::", 8))));
    assert_eq!(network("10.1.0.0/255.255.0.0"), Err(NetworkError::Netmask(of("10.1.0.0", 16))));
    for (text, whole) in
        [("10.0.0.0/33", 32), ("fd00::/129", 128), ("10.0.0.0/", 32), ("10.0.0.0/+8", 32), ("::1/", 128)]
    {
        let length = text.split_once('/').unwrap().1.to_owned();
        assert_eq!(network(text), Err(NetworkError::Prefix(length, whole)), "{text}");
    }
    for text in ["", "10.0.0", "node-1", "10.0.0.1:80", "10.0.0.0:80/8", " 10.0.0.1", "[::1]", "/8"] {
        assert_eq!(network(text), Err(NetworkError::NoNetwork), "{text}");
    }
}
