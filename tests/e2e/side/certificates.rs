//! The servers' certificates, from an authority of this run.

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519, SerialNumber};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS12;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVersions};

use crate::harness::tls;
use crate::script::Demand;

pub struct Certificates {
    pub authority_pem: String,
    /// For the load balancer, its key with it.
    pub identity_pem: String,
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
    /// Whom the authority has signed for.
    roots: Arc<RootCertStore>,
    /// The servers' certificate.
    certified: Arc<CertifiedKey>,
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
        let roots = Arc::new(roots);
        let authority_pem = pem(CERTIFICATE, signed.der());
        let issuer = Issuer::new(authority, authority_key);

        let key = key_pair();
        let own = CertificateParams::new(vec!["balancer.example".to_owned()]).unwrap();
        let identity_pem =
            pem(CERTIFICATE, own.signed_by(&key, &issuer).unwrap().der()) + &pem(KEY, &key.serialize_der());

        let key = key_pair();
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.serial_number = Some(SerialNumber::from(6443));
        let chain = vec![CertificateDer::from(leaf.signed_by(&key, &issuer).unwrap())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(Arc::clone(&roots))
            .with_no_client_auth();
        let signing = ring::default_provider().key_provider.load_private_key(key.clone_key()).unwrap();
        let certified = Arc::new(CertifiedKey::new(chain.clone(), signing));
        Self {
            authority_pem,
            identity_pem,
            server: tls::config(chain, key),
            client: Arc::new(client),
            roots,
            certified,
        }
    }

    /// A server's side of TLS that wants something; `None` if that is not TLS's affair.
    pub fn demanding(&self, demand: &Demand) -> Option<Arc<ServerConfig>> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let named = |name: Option<String>| Arc::new(Named { name, certified: Arc::clone(&self.certified) });
        let both = |builder: ConfigBuilder<ServerConfig, WantsVersions>| {
            builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth()
        };
        Some(Arc::new(match demand {
            Demand::Header => return None,
            Demand::Name(name) => both(builder).with_cert_resolver(named(Some(name.clone()))),
            Demand::Protocol(protocol) => {
                let mut config = both(builder).with_cert_resolver(named(None));
                config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
                config
            }
            Demand::Certificate => {
                let roots = Arc::clone(&self.roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
                // With TLS 1.3 a client would think that it is welcome before it hears that it is not.
                let builder = builder.with_protocol_versions(&[&TLS12]).unwrap();
                builder.with_client_cert_verifier(verifier).with_cert_resolver(named(None))
            }
        }))
    }
}

/// Shows the certificate to whoever asks for this name, or to anybody.
#[derive(Debug)]
struct Named {
    name: Option<String>,
    certified: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Named {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_wanted = self.name.is_none() || self.name.as_deref() == hello.server_name();
        is_wanted.then(|| Arc::clone(&self.certified))
    }
}

const CERTIFICATE: &str = "CERTIFICATE";
const KEY: &str = "PRIVATE KEY";

/// A certificate or a key as text (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
