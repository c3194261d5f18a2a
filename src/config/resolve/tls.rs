//! What HTTPS is spoken with at a stats listener.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::credential::{self, IdentityError};
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::Stated;
use super::super::text::FilePath;
use crate::clock;
use crate::model::Identity;

/// `None` if it is HTTP, or wrong in a way that is noted. Relative paths start from `directory`.
pub fn identity(raw: &raw::Stats, directory: &Path, mistakes: &mut Mistakes) -> Option<Identity> {
    let raw::StatsTls { at, certificate, key, refused, .. } = &raw.tls.as_ref()?.value;
    match (certificate, key) {
        (Some(certificate), Some(key)) => read(certificate, key, directory, mistakes),
        _ => {
            let needed = [("certificate", certificate.is_some()), ("key", key.is_some())];
            for (key, _) in needed.into_iter().filter(|(key, is_there)| !is_there && !refused.contains(key)) {
                let hint = Some(format!("add `{key} = \"page.pem\"`; one file may have both"));
                mistakes.push(Some(*at), Mistake::MissingKey { key, place: "`tls`".to_owned(), hint });
            }
            None
        }
    }
}

fn read(
    certificate: &Stated<FilePath>,
    key: &Stated<FilePath>,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Option<Identity> {
    let [certificate_path, key_path] = [certificate, key].map(|file| directory.join(&file.value.0));
    match credential::identity(&certificate_path, &key_path) {
        Ok(identity) => {
            if let Some(when) = out_of_date(&identity.chain[0], clock::wall()) {
                let path = certificate_path.display().to_string();
                mistakes.push(certificate.span(), Mistake::PageCertificateDate { path, when });
            }
            Some(identity)
        }
        Err(IdentityError::Certificate { file, reason }) => {
            mistakes.push(certificate.span(), Mistake::PageCertificate { path: file, reason });
            None
        }
        Err(IdentityError::Key { file, reason }) => {
            mistakes.push(key.span(), Mistake::PageKey { path: file, reason });
            None
        }
    }
}

/// Whether a certificate (DER) is not valid at this time, in words.
fn out_of_date(certificate: &[u8], now: SystemTime) -> Option<&'static str> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let now = i64::try_from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    match now {
        _ if now < validity.not_before.timestamp() => Some("yet"),
        _ if now > validity.not_after.timestamp() => Some("any more"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // Seen to fail with the wrong word for the one that is not valid yet.
    #[test]
    fn a_certificate_is_valid_between_two_days() {
        let params = || {
            let mut params = rcgen::CertificateParams::new(vec!["lb1".into()]).unwrap();
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            params.not_after = rcgen::date_time_ymd(2027, 1, 1);
            params
        };
        let der = params().self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let day = Duration::from_secs(24 * 60 * 60);
        let new_year_of_2026 = UNIX_EPOCH + day * 20_454;
        assert_eq!(out_of_date(&der, new_year_of_2026 - day), Some("yet"));
        assert_eq!(out_of_date(&der, new_year_of_2026 + day), None);
        assert_eq!(out_of_date(&der, new_year_of_2026 + day * 366), Some("any more"));
    }
}
