//! The servers' certificates, from an authority of this run.

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519, SerialNumber};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::harness::tls;

pub struct Certificates {
    pub authority_pem: String,
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
}

impl Certificates {
    /// One certificate for all servers, good for these names and addresses.
    pub fn of(names: Vec<String>) -> Self {
        // Signatures and numbers of one length: the bytes of sessions are compared.
        let key_pair = || KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let authority_key = key_pair();
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "cluster");
        let signed = authority.self_signed(&authority_key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(signed.der().clone()).unwrap();
        let authority_pem = pem(signed.der());
        let issuer = Issuer::new(authority, authority_key);

        let key = key_pair();
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.serial_number = Some(SerialNumber::from(6443));
        let chain = vec![CertificateDer::from(leaf.signed_by(&key, &issuer).unwrap())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { authority_pem, server: tls::config(chain, key), client: Arc::new(client) }
    }
}

/// A certificate as text (RFC 7468).
fn pem(der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
