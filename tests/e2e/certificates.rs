//! An authority and its certificates as files, made by `openssl` for the programs that read them.

use std::path::{Path, PathBuf};

use crate::harness::program::{command, run};

/// An authority in a directory of its own.
pub struct Authority {
    directory: PathBuf,
}

/// A certificate with its key.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

impl Authority {
    pub fn new(directory: &Path) -> Self {
        let authority = Self { directory: directory.to_owned() };
        let subject = "-x509 -days 2 -subj /CN=authority";
        authority.openssl(&format!("req {KEY} {subject} -keyout authority.key -out authority.pem"));
        authority
    }

    /// The authority's own certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.join("authority.pem")
    }

    /// A certificate for `name` at these addresses, for servers and clients alike.
    pub fn issue(&self, name: &str, addresses: &[&str]) -> Identity {
        let names: Vec<String> = addresses.iter().map(|address| format!("IP:{address}")).collect();
        let extensions = format!("subjectAltName={}\nextendedKeyUsage=serverAuth,clientAuth\n", names.join(","));
        std::fs::write(self.directory.join(format!("{name}.ext")), extensions).unwrap();
        self.openssl(&format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let signer = "-CA authority.pem -CAkey authority.key -CAcreateserial -days 2";
        self.openssl(&format!("x509 -req -in {name}.csr {signer} -extfile {name}.ext -out {name}.pem"));
        let file = |kind: &str| self.directory.join(format!("{name}.{kind}"));
        Identity { certificate: file("pem"), key: file("key") }
    }

    fn openssl(&self, arguments: &str) {
        run(command(&format!("openssl {arguments}")).current_dir(&self.directory));
    }
}
