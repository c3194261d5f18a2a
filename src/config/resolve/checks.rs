//! Checks: which fields belong to which type, and whom a TLS probe believes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::ca::{self, Roots};
use super::super::leaf::{CheckType, Switch, VerifyMode};
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::{Span, Stated};
use super::super::value::duration_text;
use super::filled;
use crate::model::{Check, HttpsProbe, Probe, TlsProbe, Verify};

/// Resolves checks and reads each CA file once.
pub struct Checks<'a> {
    /// What relative paths start from.
    directory: &'a Path,
    authorities: HashMap<PathBuf, Result<Roots, String>>,
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
            CheckType::Tls => Probe::Tls(self.tls(raw, kind, mistakes)?),
            CheckType::Https => Probe::Https(HttpsProbe {
                tls: self.tls(raw, kind, mistakes)?,
                path: filled(&raw.path).0,
                accept: statuses(raw),
            }),
        };
        Some(Check {
            probe,
            port: raw.port.as_ref().map(|port| port.value.0 as u16),
            interval: filled(&raw.interval).0,
            fast_interval: filled(&raw.fast_interval).0,
            down_interval: filled(&raw.down_interval).0,
            timeout: filled(&raw.timeout).0,
            fall: filled(&raw.fall).0 as u16,
            rise: filled(&raw.rise).0 as u16,
        })
    }

    fn tls(&mut self, raw: &raw::Check, kind: CheckType, mistakes: &mut Mistakes) -> Option<TlsProbe> {
        Some(TlsProbe {
            verify: self.verify(raw, kind, mistakes)?,
            server_name: raw.server_name.as_ref().map(|name| name.value.0.clone()),
            alpn: filled(&raw.alpn).0.into_iter().map(|protocol| protocol.value.0).collect(),
        })
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
            (VerifyMode::Full, None) => {
                if !raw.stated.contains(&"ca_file") {
                    mistakes.push(verify.span(), Mistake::VerifyWithoutAuthority);
                }
                None
            }
            (VerifyMode::Full, Some(file)) => self.authorities(&file.value.0, file.span(), mistakes),
        }
    }

    fn authorities(&mut self, file: &Path, at: Option<Span>, mistakes: &mut Mistakes) -> Option<Verify> {
        let file = self.directory.join(file);
        let roots = self.authorities.entry(file.clone()).or_insert_with(|| ca::roots(&file));
        match roots {
            Ok(roots) => Some(Verify::Ca { roots: roots.clone(), file }),
            Err(reason) => {
                let path = file.display().to_string();
                mistakes.push(at, Mistake::CaFile { path, reason: reason.clone() });
                None
            }
        }
    }
}

fn note_foreign_fields(raw: &raw::Check, kind: CheckType, mistakes: &mut Mistakes) {
    if raw.refused.contains(&"type") {
        return;
    }
    let tls = [
        ("verify", raw.verify.as_ref().and_then(Stated::span)),
        ("ca_file", raw.ca_file.as_ref().and_then(Stated::span)),
        ("server_name", raw.server_name.as_ref().and_then(Stated::span)),
        ("alpn", raw.alpn.as_ref().and_then(Stated::span)),
    ];
    let https =
        [("path", raw.path.as_ref().and_then(Stated::span)), ("accept", raw.accept.as_ref().and_then(Stated::span))];
    let type_at = raw.kind.as_ref().and_then(Stated::span);
    let mut note = |fields: &[(&'static str, Option<Span>)], belongs_to| {
        for (key, at) in fields.iter().filter(|(_, at)| at.is_some()) {
            let mistake = Mistake::NotOfThisCheck { key, kind: kind.name(), belongs_to };
            mistakes.push_pair(*at, type_at, "the type is from here", mistake);
        }
    };
    if kind == CheckType::Tcp {
        note(&tls, "tls and https");
    }
    if kind != CheckType::Https {
        note(&https, "https");
    }
}

/// A timeout that is longer than the interval would stretch it, since probes of one server never overlap.
fn note_long_timeout(raw: &raw::Check, mistakes: &mut Mistakes) {
    let (timeout, interval) = (filled(&raw.timeout).0, filled(&raw.interval).0);
    let refused = ["timeout", "interval"].iter().any(|key| raw.refused.contains(key));
    if timeout > interval && !refused {
        let timeout_at = raw.timeout.as_ref().and_then(Stated::span);
        let interval_at = raw.interval.as_ref().and_then(Stated::span);
        let mistake =
            Mistake::TimeoutOverInterval { timeout: duration_text(timeout), interval: duration_text(interval) };
        mistakes.push_pair(timeout_at, interval_at, "the interval is from here", mistake);
    }
}

/// Every accepted status once, in the order stated.
fn statuses(raw: &raw::Check) -> Vec<u16> {
    let mut statuses: Vec<u16> = Vec::new();
    for range in filled(&raw.accept).0 {
        for status in range.value.first..=range.value.last {
            if !statuses.contains(&status) {
                statuses.push(status);
            }
        }
    }
    statuses
}
