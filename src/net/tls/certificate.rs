//! What a page shows of a server's certificate, read from DER that may be anything.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use x509_parser::extensions::ParsedExtension;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::x509::AttributeTypeAndValue;

use crate::event::Certificate;

/// Longest name that is kept, in characters; the rest is cut off.
const NAME_CHARACTERS: usize = 256;

/// Longest key identifier that is kept, in bytes; digests have 20 to 64.
const KEY_IDENTIFIER: usize = 64;

/// Subject, issuer, end of validity and the authority's key; `None` if it isn't a certificate.
pub fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Certificate {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        not_after: time(certificate.validity().not_after.timestamp())?,
        authority_key_identifier: authority_key_identifier(&certificate),
    })
}

/// Which key of its authority signed it, hexadecimal.
fn authority_key_identifier(certificate: &X509Certificate<'_>) -> Option<String> {
    let mut extensions = certificate.iter_extensions();
    let identifier = extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
        _ => None,
    })?;
    let mut text = String::new();
    push_hex(&mut text, identifier.0.get(..KEY_IDENTIFIER).unwrap_or(identifier.0), "");
    Some(text)
}

/// A distinguished name after RFC 4514: the most specific part first, special characters escaped.
fn name(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_attributes().map(attribute).collect();
    let text = parts.into_iter().rev().collect::<Vec<_>>().join(",");
    match text.char_indices().nth(NAME_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let mut text = match oid2abbrev(attribute.attr_type(), oid_registry()) {
        Ok(name) => name.to_owned(),
        Err(_) => attribute.attr_type().to_id_string(),
    };
    text.push('=');
    match attribute.as_str() {
        Ok(value) => push_escaped(&mut text, value),
        Err(_) => {
            text.push('#');
            push_hex(&mut text, attribute.attr_value().data, "");
        }
    }
    text
}

/// RFC 4514, section 2.4; control characters as hexadecimal pairs, so that no terminal obeys them.
fn push_escaped(text: &mut String, value: &str) {
    for (place, character) in value.char_indices() {
        let edge = place == 0 || place + character.len_utf8() == value.len();
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            '#' if place == 0 => text.push_str("\\#"),
            ' ' if edge => text.push_str("\\ "),
            _ if character.is_control() => {
                push_hex(text, character.encode_utf8(&mut [0; 4]).as_bytes(), "\\");
            }
            _ => text.push(character),
        }
    }
}

fn push_hex(text: &mut String, bytes: &[u8], before_each: &str) {
    for byte in bytes {
        write!(text, "{before_each}{byte:02x}").expect("writing to a string does not fail");
    }
}

/// Seconds since 1970 or, for certificates of the last millennium, before.
fn time(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
    };

    use super::*;

    fn der(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["kubernetes".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.not_after = date_time_ymd(2031, 2, 3);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn subject_issuer_and_end_are_read() {
        let seen = read(&der(&[(DnType::OrganizationName, "system:masters"), (DnType::CommonName, "kube-apiserver")]))
            .unwrap();
        assert_eq!(seen.subject, "CN=kube-apiserver,O=system:masters");
        assert_eq!(seen.issuer, seen.subject);
        assert_eq!(seen.not_after, SystemTime::UNIX_EPOCH + Duration::from_secs(1_927_843_200));
    }

    // Seen to fail with the certificate's own identifier instead of its authority's.
    #[test]
    fn the_authoritys_key_is_told_from_another_of_the_same_name() {
        let signed_by = |name: &str| {
            let mut params = CertificateParams::new(vec![]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            let mut leaf = CertificateParams::new(vec![]).unwrap();
            leaf.use_authority_key_identifier_extension = true;
            let issued = || read(leaf.signed_by(&KeyPair::generate().unwrap(), &authority).unwrap().der()).unwrap();
            let [one, other] = [issued(), issued()];
            assert_eq!(one.authority_key_identifier, other.authority_key_identifier, "one authority has one");
            one
        };
        let [one, namesake] = [signed_by("kubernetes-ca"), signed_by("kubernetes-ca")];
        assert_eq!(one.issuer, namesake.issuer);
        assert_ne!(one.authority_key_identifier, namesake.authority_key_identifier);
        let identifier = one.authority_key_identifier.expect("there is one");
        assert!(identifier.len() >= 40 && identifier.bytes().all(|byte| byte.is_ascii_hexdigit()), "{identifier}");
        assert_eq!(read(&der(&[])).unwrap().authority_key_identifier, None);
    }

    #[test]
    fn names_are_harmless_wherever_they_are_printed() {
        let seen = read(&der(&[(DnType::CommonName, " a,b+\"c\"\u{1b}[31m\nü#")])).unwrap();
        assert_eq!(seen.subject, "CN=\\ a\\,b\\+\\\"c\\\"\\1b[31m\\0aü#");
        let long = read(&der(&[(DnType::CommonName, &"ü".repeat(4000))])).unwrap();
        assert_eq!(long.subject.chars().count(), NAME_CHARACTERS + 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }

        #[test]
        fn no_damage_to_a_certificate_makes_it_panic(
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<proptest::sample::Index>(),
        ) {
            static WHOLE: std::sync::LazyLock<Vec<u8>> =
                std::sync::LazyLock::new(|| der(&[(DnType::CommonName, "kube-apiserver")]));
            let mut bytes = WHOLE.clone();
            for (place, value) in damage {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            read(&bytes);
            read(&bytes[..cut.index(bytes.len())]);
        }
    }
}
