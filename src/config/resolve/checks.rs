//! Checks: which fields belong to which type, and whom a TLS probe believes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::ca::{self, Certificates};
use super::super::credential::{self, IdentityError};
use super::super::leaf::{CheckType, Switch, VerifyMode};
use super::super::list::{List, Statuses};
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::{Span, Stated};
use super::super::service::ProbeLimit;
use super::super::text::FilePath;
use super::super::value::duration_text;
use super::filled;
use crate::model::{
    ApiserverProbe, Check, Credential, HttpProbe, HttpsProbe, Identity, Probe, ProbeTime, STEPS_MAX, Step, TlsProbe,
    Verify,
};

/// Resolves checks and reads each CA file once.
pub struct Checks<'a> {
    /// What relative paths start from.
    directory: &'a Path,
    authorities: HashMap<PathBuf, Result<Certificates, String>>,
}

impl<'a> Checks<'a> {
    /// Relative paths start from `directory`.
    pub fn new(directory: &'a Path) -> Self {
        Self { directory, authorities: HashMap::new() }
    }

    /// `None` if it is off, or wrong in a way that is noted.
    pub fn resolve(&mut self, raw: &Switch<raw::Check>, mistakes: &mut Mistakes) -> Option<Check> {
        let raw = raw.on()?;
        let kind = filled(&raw.kind);
        note_foreign_fields(raw, kind, mistakes);
        note_long_timeout(raw, mistakes);
        let probe = match kind {
            CheckType::Tcp => Probe::Tcp,
            CheckType::Tls => Probe::Tls(self.tls(raw, kind, stated_protocols(raw), mistakes)?),
            CheckType::Https => self.https(raw, mistakes)?,
            CheckType::KubeApiserver => self.apiserver(raw, mistakes)?,
            CheckType::Konnectivity => Probe::Konnectivity(self.tls(raw, kind, protocol("h2"), mistakes)?),
            CheckType::K0sJoin => Probe::K0sJoin(self.tls(raw, kind, protocol("http/1.1"), mistakes)?),
            CheckType::Http => Probe::Http(request(raw, None)),
            CheckType::HttpOverTls => {
                let tls = self.tls(raw, kind, stated_protocols(raw), mistakes)?;
                Probe::Http(request(raw, Some(tls)))
            }
            CheckType::Script => self.script(raw, mistakes)?,
        };
        let interval = filled(&raw.interval).0;
        let limit = filled(&raw.timeout);
        let time = match (limit, &raw.dial_timeout) {
            (ProbeLimit::Interval, _) => ProbeTime::Interval,
            (ProbeLimit::Time(_), Some(dial)) => ProbeTime::Dial(dial.value.0),
            (ProbeLimit::Time(_), None) => ProbeTime::Whole,
        };
        Some(Check {
            probe,
            port: raw.port.as_ref().map(|port| port.value.0 as u16),
            interval,
            fast_interval: filled(&raw.fast_interval).0,
            down_interval: filled(&raw.down_interval).0,
            timeout: limit.within(interval),
            fall: filled(&raw.fall).0 as u16,
            rise: filled(&raw.rise).0 as u16,
            address: raw.address.as_ref().map(|address| address.value.0),
            send_proxy: filled(&raw.send_proxy).on().copied(),
            time,
        })
    }

    fn https(&mut self, raw: &raw::Check, mistakes: &mut Mistakes) -> Option<Probe> {
        let (accept, draining) = (statuses(&raw.accept), statuses(&raw.draining));
        if let Some(&status) = draining.iter().find(|status| accept.contains(status)) {
            let accept_at = raw.accept.as_ref().and_then(Stated::span);
            let draining_at = raw.draining.as_ref().and_then(Stated::span);
            mistakes.push_pair(draining_at, accept_at, "accepted here", Mistake::StatusTwice { status });
        }
        let tls = self.tls(raw, CheckType::Https, stated_protocols(raw), mistakes)?;
        Some(Probe::Https(HttpsProbe { tls, path: filled(&raw.path).0, accept, draining }))
    }

    fn apiserver(&mut self, raw: &raw::Check, mistakes: &mut Mistakes) -> Option<Probe> {
        let credential = self.credential(raw, mistakes);
        let tls = self.tls(raw, CheckType::KubeApiserver, protocol("http/1.1"), mistakes)?;
        if let (Some(token), Verify::None) = (&raw.token_file, &tls.verify) {
            let verify_at = raw.verify.as_ref().and_then(Stated::span);
            mistakes.push_pair(token.span(), verify_at, "stated here", Mistake::TokenToAnyone);
        }
        Some(Probe::KubeApiserver(ApiserverProbe { tls, credential }))
    }

    /// `None` if there is none, or it is wrong in a way that is noted.
    fn credential(&self, raw: &raw::Check, mistakes: &mut Mistakes) -> Option<Credential> {
        let refused = |key| raw.refused.contains(&key);
        match (&raw.token_file, &raw.client_certificate, &raw.client_key) {
            (Some(token), None, None) => self.token(token, mistakes),
            (Some(token), Some(other), _) | (Some(token), None, Some(other)) => {
                mistakes.push_pair(other.span(), token.span(), "stated here", Mistake::TwoCredentials);
                None
            }
            (None, Some(certificate), Some(key)) => self.identity(certificate, key, mistakes),
            (None, Some(stated), None) if !refused("client_key") => {
                let mistake = Mistake::HalfIdentity { stated: "client_certificate", missing: "client_key" };
                mistakes.push(stated.span(), mistake);
                None
            }
            (None, None, Some(stated)) if !refused("client_certificate") => {
                let mistake = Mistake::HalfIdentity { stated: "client_key", missing: "client_certificate" };
                mistakes.push(stated.span(), mistake);
                None
            }
            (None, _, _) => None,
        }
    }

    fn token(&self, file: &Stated<FilePath>, mistakes: &mut Mistakes) -> Option<Credential> {
        let path = self.directory.join(&file.value.0);
        match credential::token(&path) {
            Ok(token) => Some(Credential::Token(token)),
            Err(reason) => {
                mistakes.push(file.span(), Mistake::TokenFile { path: path.display().to_string(), reason });
                None
            }
        }
    }

    fn identity(
        &self,
        certificate: &Stated<FilePath>,
        key: &Stated<FilePath>,
        mistakes: &mut Mistakes,
    ) -> Option<Credential> {
        let [certificate_path, key_path] = [certificate, key].map(|file| self.directory.join(&file.value.0));
        match credential::identity(&certificate_path, &key_path) {
            Ok(identity) => Some(Credential::Certificate(identity)),
            Err(IdentityError::Certificate { file, reason }) => {
                mistakes.push(certificate.span(), Mistake::ClientCertificate { path: file, reason });
                None
            }
            Err(IdentityError::Key { file, reason }) => {
                mistakes.push(key.span(), Mistake::ClientKey { path: file, reason });
                None
            }
        }
    }

    fn tls(
        &mut self,
        raw: &raw::Check,
        kind: CheckType,
        alpn: Vec<String>,
        mistakes: &mut Mistakes,
    ) -> Option<TlsProbe> {
        Some(TlsProbe {
            verify: self.verify(raw, kind, mistakes)?,
            server_name: raw.server_name.as_ref().map(|name| name.value.0.clone()),
            alpn,
            identity: self.own_identity(raw, kind, mistakes),
        })
    }

    /// What the handshake itself shows; a kube-apiserver's check has a credential instead.
    fn own_identity(&self, raw: &raw::Check, kind: CheckType, mistakes: &mut Mistakes) -> Option<Identity> {
        if kind == CheckType::KubeApiserver || raw.token_file.is_some() {
            return None;
        }
        match self.credential(raw, mistakes)? {
            Credential::Certificate(identity) => Some(identity),
            Credential::Token(_) => None,
        }
    }

    fn script(&mut self, raw: &raw::Check, mistakes: &mut Mistakes) -> Option<Probe> {
        let Some(steps) = &raw.steps else {
            if !raw.stated.contains(&"steps") {
                mistakes.push(Some(raw.at), Mistake::ScriptWithoutSteps);
            }
            return None;
        };
        let steps: Vec<Step> = steps.value.0.iter().map(|step| step.value.step.clone()).collect();
        if steps.len() > STEPS_MAX {
            mistakes.push(raw.steps.as_ref().and_then(Stated::span), Mistake::ManySteps { most: STEPS_MAX });
        }
        let speaks_tls = steps.iter().any(|step| matches!(step, Step::Connect { tls: true, .. }));
        let tls = match speaks_tls {
            true => Some(self.tls(raw, CheckType::Script, stated_protocols(raw), mistakes)?),
            false => None,
        };
        Some(Probe::Script { steps, tls })
    }

    fn verify(&mut self, raw: &raw::Check, kind: CheckType, mistakes: &mut Mistakes) -> Option<Verify> {
        let Some(verify) = &raw.verify else {
            if !raw.stated.contains(&"verify") && !raw.stated.contains(&"ca_file") {
                mistakes.push(Some(raw.at), Mistake::VerifyUnstated { kind: kind.name() });
            }
            return None;
        };
        match (verify.value, &raw.ca_file) {
            (VerifyMode::None, None) => Some(Verify::None),
            (VerifyMode::None, Some(file)) => {
                mistakes.push_pair(file.span(), verify.span(), "stated here", Mistake::AuthorityWithoutVerify);
                None
            }
            (VerifyMode::Full | VerifyMode::Authority, None) => {
                if !raw.stated.contains(&"ca_file") {
                    mistakes.push(verify.span(), Mistake::VerifyWithoutAuthority);
                }
                None
            }
            (mode, Some(file)) => {
                let any_name = mode == VerifyMode::Authority && raw.server_name.is_none();
                self.authorities(&file.value.0, any_name, file.span(), mistakes)
            }
        }
    }

    fn authorities(
        &mut self,
        file: &Path,
        any_name: bool,
        at: Option<Span>,
        mistakes: &mut Mistakes,
    ) -> Option<Verify> {
        let file = self.directory.join(file);
        let roots = self.authorities.entry(file.clone()).or_insert_with(|| ca::certificates(&file));
        match roots {
            Ok(roots) => Some(Verify::Ca { roots: roots.clone(), file, any_name }),
            Err(reason) => {
                let path = file.display().to_string();
                mistakes.push(at, Mistake::CaFile { path, reason: reason.clone() });
                None
            }
        }
    }
}

/// The request that a file describes.
fn request(raw: &raw::Check, tls: Option<TlsProbe>) -> HttpProbe {
    let headers = filled(&raw.headers).0.into_iter().map(|header| (header.value.name, header.value.value));
    HttpProbe {
        tls,
        method: filled(&raw.method).0,
        target: filled(&raw.path).0,
        version: filled(&raw.http_version),
        headers: headers.collect(),
        body: filled(&raw.body).0,
        expect: filled(&raw.expect).0.into_iter().map(|answer| answer.value.expect).collect(),
        drains_on_404: filled(&raw.not_found_drains),
    }
}

fn note_foreign_fields(raw: &raw::Check, kind: CheckType, mistakes: &mut Mistakes) {
    if raw.refused.contains(&"type") {
        return;
    }
    let of_types = [
        ("verify", raw.verify.as_ref().and_then(Stated::span)),
        ("ca_file", raw.ca_file.as_ref().and_then(Stated::span)),
        ("server_name", raw.server_name.as_ref().and_then(Stated::span)),
        ("alpn", raw.alpn.as_ref().and_then(Stated::span)),
        ("path", raw.path.as_ref().and_then(Stated::span)),
        ("accept", raw.accept.as_ref().and_then(Stated::span)),
        ("draining", raw.draining.as_ref().and_then(Stated::span)),
        ("token_file", raw.token_file.as_ref().and_then(Stated::span)),
        ("client_certificate", raw.client_certificate.as_ref().and_then(Stated::span)),
        ("client_key", raw.client_key.as_ref().and_then(Stated::span)),
        ("method", raw.method.as_ref().and_then(Stated::span)),
        ("http_version", raw.http_version.as_ref().and_then(Stated::span)),
        ("headers", raw.headers.as_ref().and_then(Stated::span)),
        ("body", raw.body.as_ref().and_then(Stated::span)),
        ("expect", raw.expect.as_ref().and_then(Stated::span)),
        ("not_found_drains", raw.not_found_drains.as_ref().and_then(Stated::span)),
        ("steps", raw.steps.as_ref().and_then(Stated::span)),
    ];
    let type_at = raw.kind.as_ref().and_then(Stated::span);
    for (key, at) in of_types.into_iter().filter(|(key, at)| at.is_some() && !kind.own_keys().contains(key)) {
        let mistake = Mistake::NotOfThisCheck { key, kind: kind.name(), belongs_to: types_with(key) };
        mistakes.push_pair(at, type_at, "the type is from here", mistake);
    }
}

/// The types of checks that have a key: "tls and https".
fn types_with(key: &str) -> String {
    let names: Vec<_> =
        CheckType::ALL.iter().filter(|kind| kind.own_keys().contains(&key)).map(|it| it.name()).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

fn stated_protocols(raw: &raw::Check) -> Vec<String> {
    filled(&raw.alpn).0.into_iter().map(|protocol| protocol.value.0).collect()
}

fn protocol(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

/// A timeout that is longer than the interval would stretch it, since probes of one server never overlap.
fn note_long_timeout(raw: &raw::Check, mistakes: &mut Mistakes) {
    let interval = filled(&raw.interval).0;
    let timeout = filled(&raw.timeout).within(interval);
    let refused = ["timeout", "interval"].iter().any(|key| raw.refused.contains(key));
    // Where the dial has a time of its own, the rest has as long as is stated, as with HAProxy.
    if timeout > interval && !refused && raw.dial_timeout.is_none() {
        let timeout_at = raw.timeout.as_ref().and_then(Stated::span);
        let interval_at = raw.interval.as_ref().and_then(Stated::span);
        let mistake =
            Mistake::TimeoutOverInterval { timeout: duration_text(timeout), interval: duration_text(interval) };
        mistakes.push_pair(timeout_at, interval_at, "the interval is from here", mistake);
    }
}

/// Every status of a list once, in the order stated.
fn statuses<const LEAST: usize>(list: &Option<Stated<List<Statuses, LEAST>>>) -> Vec<u16> {
    let mut statuses: Vec<u16> = Vec::new();
    for range in filled(list).0 {
        for status in range.value.first..=range.value.last {
            if !statuses.contains(&status) {
                statuses.push(status);
            }
        }
    }
    statuses
}
