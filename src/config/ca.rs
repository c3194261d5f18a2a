//! Certificates, from PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::source::bytes;

/// Certificates, DER.
pub type Certificates = Arc<[Vec<u8>]>;

/// Largest file that is read, in bytes: some hundred certificates.
const MAX_FILE: u64 = 1 << 20;

/// The file's certificates, DER, at least one; otherwise why not, in words.
pub fn certificates(file: &Path) -> Result<Certificates, String> {
    let pem = bytes(file, MAX_FILE).map_err(|error| error.to_string())?;
    if pem.len() as u64 > MAX_FILE {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let der = certificate.map_err(|error| format!("it is not PEM: {error}"))?.to_vec();
        X509Certificate::from_der(&der)
            .map_err(|_| format!("its certificate {} can't be read", certificates.len() + 1))?;
        certificates.push(der);
    }
    if certificates.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(certificates.into()) }
}
