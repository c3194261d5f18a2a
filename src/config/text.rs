//! What may stand behind a key as a text: names, addresses, paths.

use std::borrow::Cow;
use std::path::PathBuf;

use toml::de::DeValue;

use super::leaf::number_text;
use super::mistake::Mistake;
use super::read::{Found, Origin, Reader, Value};
use super::show::{Writer, quoted};
use super::value::{self, AddressError};
use crate::model::{
    BackendName, Endpoint, FrontendName, HostAddress, ListenAddress, NameError, Network, ServerName, TableName,
};

/// A value that is written as a text.
pub trait Text: Sized + Clone {
    /// What is wanted, to complete "it must be …".
    const WANTED: &'static str;

    /// Reads the text behind `key`.
    fn parse(text: &str, key: &str) -> Result<Self, Mistake>;

    /// A text that reads as this.
    fn text(&self) -> String;

    /// What to write instead of a number.
    fn instead_of(number: &str) -> String {
        format!("write \"{number}\"")
    }
}

impl<T: Text> Value for T {
    fn wanted() -> Cow<'static, str> {
        T::WANTED.into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::String(text) = found.value else {
            let number = number_text(found.value);
            let hint = (!number.is_empty()).then(|| T::instead_of(&number));
            return reader.wrong_type::<Self>(found, hint);
        };
        match T::parse(text, found.key) {
            Ok(value) => Some(value),
            Err(mistake) => reader.refuse(found, mistake),
        }
    }

    fn literal(&self) -> Option<String> {
        Some(quoted(&self.text()))
    }
}

// ---- names ----

macro_rules! name {
    ($type:ty) => {
        impl Text for $type {
            const WANTED: &'static str = "a name";

            fn parse(text: &str, _: &str) -> Result<Self, Mistake> {
                Self::new(text).map_err(|error: NameError| Mistake::BadName { text: text.to_owned(), error })
            }

            fn text(&self) -> String {
                self.to_string()
            }
        }
    };
}

name!(FrontendName);
name!(BackendName);
name!(ServerName);
name!(TableName);

// ---- addresses ----

impl Text for ListenAddress {
    const WANTED: &'static str = "an address to listen on such as \":6443\"";

    fn parse(text: &str, _: &str) -> Result<Self, Mistake> {
        value::listen(text).map_err(|error| bad_address(text, error))
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn instead_of(number: &str) -> String {
        format!("write \":{number}\"")
    }
}

/// A server's address, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub written: String,
    pub endpoint: Endpoint,
}

impl Text for Address {
    const WANTED: &'static str = "an address such as \"10.10.0.2:6443\"";

    fn parse(text: &str, _: &str) -> Result<Self, Mistake> {
        let endpoint = value::endpoint(text).map_err(|error| bad_address(text, error))?;
        Ok(Self { written: text.to_owned(), endpoint })
    }

    fn text(&self) -> String {
        self.written.clone()
    }
}

/// A server's name as a client of TLS asks for it, in lower case; `*.` before it stands for one label or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sni(pub String);

impl Text for Sni {
    const WANTED: &'static str = "a name such as \"api.example.com\" or \"*.example.com\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        match value::host(text.strip_prefix("*.").unwrap_or(text)) {
            Ok(HostAddress::Name(_)) => Ok(Self(text.to_ascii_lowercase())),
            _ => {
                let reason = "it is no host name, which may begin with `*.`; clients ask for no address";
                Err(Mistake::BadText { key: key.to_owned(), text: text.to_owned(), reason })
            }
        }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// A machine's address without a port, and how it is written, brackets left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub written: String,
    pub host: HostAddress,
}

impl Text for Machine {
    const WANTED: &'static str = "an address such as \"10.10.0.2\"";

    fn parse(text: &str, _: &str) -> Result<Self, Mistake> {
        let host = value::machine(text).map_err(|error| bad_address(text, error))?;
        Ok(Self { written: text.trim_matches(['[', ']']).to_owned(), host })
    }

    fn text(&self) -> String {
        self.written.clone()
    }
}

impl Text for Network {
    const WANTED: &'static str = "a network such as \"10.0.0.0/8\"";

    fn parse(text: &str, _: &str) -> Result<Self, Mistake> {
        value::network(text).map_err(|error| Mistake::BadNetwork { text: text.to_owned(), error })
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn instead_of(_: &str) -> String {
        "write it in quotation marks, with the length of its prefix".to_owned()
    }
}

fn bad_address(text: &str, error: AddressError) -> Mistake {
    Mistake::BadAddress { text: text.to_owned(), error }
}

// ---- what a check says ----

/// The server name that a check sends and verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsName(pub String);

impl Text for TlsName {
    const WANTED: &'static str = "a host name";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        match value::host(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(bad_text(key, text, "it is neither a host name nor an IP address")),
        }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// Who issues a backend's certificates: a distinguished name as it is shown, or a key identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority(pub String);

impl Text for Authority {
    const WANTED: &'static str = "an issuer's name or key identifier, as `evenkeel probe` shows them";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let is_key =
            digits.len() >= 16 && digits.len().is_multiple_of(2) && digits.chars().all(|c| c.is_ascii_hexdigit());
        match text {
            _ if is_key => Ok(Self(digits.to_ascii_lowercase())),
            _ if text.contains('=') => Ok(Self(text.to_owned())),
            _ => Err(bad_text(
                key,
                text,
                "it is neither a name such as CN=kubernetes nor a key identifier of at least 8 bytes in hexadecimal digits",
            )),
        }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// A protocol's name in ALPN: 1 to 255 bytes (RFC 7301, section 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol(pub String);

impl Text for Protocol {
    const WANTED: &'static str = "a protocol such as \"h2\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        match text.len() {
            1..=255 => Ok(Self(text.to_owned())),
            _ => Err(bad_text(key, text, "a protocol's name has 1 to 255 bytes")),
        }
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// The path, and query, of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath(pub String);

impl Text for RequestPath {
    const WANTED: &'static str = "a path such as \"/readyz\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        if !text.starts_with('/') {
            return Err(bad_text(key, text, "a path begins with a slash"));
        }
        if text.len() > 1024 || !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('#') {
            return Err(bad_text(key, text, "a path is at most 1024 printable ASCII characters without spaces or #"));
        }
        Ok(Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

// ---- files ----

/// A file to read; a relative path starts from the configuration's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(pub PathBuf);

impl Value for FilePath {
    fn wanted() -> Cow<'static, str> {
        "a file's path".into()
    }

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::String(text) = found.value else { return reader.wrong_type::<Self>(found, None) };
        if text.is_empty() || text.contains('\0') {
            return reader.refuse(found, bad_text(found.key, text, "it is not a path"));
        }
        Some(Self(PathBuf::from(text.as_ref())))
    }

    fn literal(&self) -> Option<String> {
        Some(quoted(&self.0.display().to_string()))
    }

    /// With its directory, so that it is the same file wherever the shown text is put.
    fn write(&self, key: &str, origin: Origin, out: &mut Writer<'_>) {
        let path = out.directory().join(&self.0).display().to_string();
        out.value(key, &quoted(&path), origin);
    }
}

/// Where a unix socket is made: absolute, and at most 107 bytes (unix(7), `sun_path`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath(pub PathBuf);

impl Text for SocketPath {
    const WANTED: &'static str = "a socket's path";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        if !text.starts_with('/') || text.contains('\0') {
            return Err(bad_text(key, text, "a socket's path begins with a slash"));
        }
        if text.len() > 107 {
            return Err(bad_text(key, text, "a socket's path has at most 107 bytes"));
        }
        Ok(Self(PathBuf::from(text)))
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }
}

/// Permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Text for Mode {
    const WANTED: &'static str = "permission bits such as \"0660\"";

    fn parse(text: &str, key: &str) -> Result<Self, Mistake> {
        value::mode(text).map(Self).ok_or_else(|| bad_text(key, text, "permission bits are three octal digits"))
    }

    fn text(&self) -> String {
        format!("{:04o}", self.0)
    }

    fn instead_of(number: &str) -> String {
        format!("write \"{:0>4}\"", number.trim_start_matches("0o"))
    }
}

/// What is wrong with the text behind a key.
pub(super) fn bad_text(key: &str, text: &str, reason: &'static str) -> Mistake {
    Mistake::BadText { key: key.to_owned(), text: text.to_owned(), reason }
}
