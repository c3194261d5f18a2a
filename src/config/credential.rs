//! Who a check says that it is: tokens and client certificates, from their files.

use std::path::Path;

use rustls::InconsistentKeys;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::ca;
use super::source::bytes;
use crate::model::{Identity, Secret, Token, TokenFile};

/// Largest file of a key that is read, in bytes.
const MAX_KEY: u64 = 64 * 1024;

/// The file's token; otherwise why there is none, in words.
pub fn token(file: &Path) -> Result<TokenFile, String> {
    let bytes = bytes(file, Token::MAX_FILE as u64).map_err(|error| error.to_string())?;
    let token = Token::read(&bytes).map_err(|error| error.to_string())?;
    Ok(TokenFile { file: file.to_owned(), token })
}

/// Which of two files is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("the client certificate {file} can't be used: {reason}")]
    Certificate { file: String, reason: String },
    #[error("the client's key {file} can't be used: {reason}")]
    Key { file: String, reason: String },
}

/// A client's certificate, with what else is in its file as its chain, and its key: PEM, or PEM of both in one file.
pub fn identity(certificate_file: &Path, key_file: &Path) -> Result<Identity, IdentityError> {
    let wrong_key = |reason: String| IdentityError::Key { file: key_file.display().to_string(), reason };
    let chain = ca::certificates(certificate_file)
        .map_err(|reason| IdentityError::Certificate { file: certificate_file.display().to_string(), reason })?;
    let key = private_key(key_file).map_err(wrong_key)?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&key)
        .map_err(|_| wrong_key("it is of a kind that can't be used".to_owned()))?;
    let shown = chain.iter().map(|der| CertificateDer::from_slice(der).into_owned()).collect();
    // A key whose public half the library can't tell is found out by the servers.
    let matches = CertifiedKey::new(shown, signing).keys_match();
    if let Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) = matches {
        return Err(wrong_key("it is not the certificate's key".to_owned()));
    }
    let files = [certificate_file.to_owned(), key_file.to_owned()];
    Ok(Identity { chain, key: Secret(key.secret_der().to_vec()), files })
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = bytes(file, MAX_KEY).map_err(|error| error.to_string())?;
    if pem.len() as u64 > MAX_KEY {
        return Err("it is larger than 64 KiB".to_owned());
    }
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err("there is no private key in it".to_owned()),
        Err(error) => Err(format!("it is not PEM: {error}")),
    }
}
