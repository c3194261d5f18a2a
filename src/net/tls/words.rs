//! What rustls says, in the words of people who look after servers.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// A lower-case phrase for an error of a handshake.
pub(super) fn of_error(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!("TLS alert: {}", of_alert(*alert)),
        Error::InvalidCertificate(error) => of_certificate_error(error),
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            "the answer is not TLS".to_owned()
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig | PeerIncompatible::ServerDoesNotSupportTls12Or13,
        ) => "the server speaks only TLS versions before 1.2".to_owned(),
        other => lower_first(&other.to_string()),
    }
}

fn of_certificate_error(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => "certificate is not signed by a known authority".to_owned(),
        CertificateError::NotValidForName => "certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, .. } => {
            format!("certificate is not for {}", expected.to_str())
        }
        CertificateError::BadEncoding => "certificate can't be read".to_owned(),
        CertificateError::BadSignature => "certificate or handshake is signed with another key".to_owned(),
        other => format!("certificate refused: {}", lower_first(&other.to_string())),
    }
}

/// An alert's name as the RFCs write it, with spaces.
fn of_alert(alert: AlertDescription) -> String {
    let name = format!("{alert:?}");
    let mut words = String::with_capacity(name.len() + 8);
    for (place, character) in name.char_indices() {
        if character.is_ascii_uppercase() && place > 0 {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
    }
    words
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_read_as_words() {
        assert_eq!(of_error(&Error::AlertReceived(AlertDescription::HandshakeFailure)), "TLS alert: handshake failure");
        assert_eq!(of_alert(AlertDescription::UnrecognisedName), "unrecognised name");
    }
}
