//! Other load balancers, whose opinions are held against ours.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::super::ca::{self, Certificates};
use super::super::expand::Expanded;
use super::super::mistake::{Mistake, Mistakes};
use super::super::raw;
use super::super::read::Stated;
use super::super::site::PeerUrl;
use super::super::text::FilePath;
use crate::model::Peers;

/// Those of all stats sections. Relative paths start from `directory`.
pub fn all(expanded: &Expanded, directory: &Path, mistakes: &mut Mistakes) -> Peers {
    let urls = || expanded.stats.iter().filter_map(|raw| raw.peers.as_ref()).flat_map(|list| &list.value.0);
    note_too_many(&urls().collect::<Vec<_>>(), mistakes);
    let authorities = expanded.stats.iter().find_map(|raw| raw.peers_ca.as_ref());
    note_whom_to_believe(&expanded.stats, authorities, mistakes);
    Peers {
        all: urls().map(|url| url.value.0.clone()).collect(),
        authorities: authorities.and_then(|file| certificates(file, directory, mistakes)),
    }
}

fn note_too_many(urls: &[&Stated<PeerUrl>], mistakes: &mut Mistakes) {
    if let Some(beyond) = urls.get(Peers::MOST) {
        mistakes.push(beyond.span(), Mistake::ManyPeers { found: urls.len(), most: Peers::MOST });
    }
    let mut seen = HashSet::new();
    for url in urls.iter().filter(|url| !seen.insert(url.value.0.to_string())) {
        mistakes.push(url.span(), Mistake::DuplicatePeer { url: url.value.0.to_string() });
    }
}

/// Those at https:// must show who they are; there is no list of authorities that everybody has.
fn note_whom_to_believe(stats: &[raw::Stats], authorities: Option<&Stated<FilePath>>, mistakes: &mut Mistakes) {
    let stated =
        |raw: &&raw::Stats| raw.peers.as_ref().is_some_and(|list| list.value.0.iter().any(|url| url.value.0.tls));
    let secure = stats.iter().find(stated);
    let refused = stats.iter().any(|raw| raw.refused.contains(&"peers_ca") || raw.refused.contains(&"peers"));
    match (secure, authorities) {
        (Some(raw), None) if !refused => {
            let hint = Some("add `peers_ca = \"ca.crt\"`, whose certificates are believed".to_owned());
            let place = "a peer at https://".to_owned();
            let at = raw.peers.as_ref().and_then(Stated::span);
            mistakes.push(at, Mistake::MissingKey { key: "peers_ca", place, hint });
        }
        (None, Some(file)) if !refused => mistakes.push(file.span(), Mistake::NoTlsPeer),
        _ => {}
    }
}

fn certificates(file: &Stated<FilePath>, directory: &Path, mistakes: &mut Mistakes) -> Option<(PathBuf, Certificates)> {
    let path = directory.join(&file.value.0);
    match ca::certificates(&path) {
        Ok(certificates) => Some((path, certificates)),
        Err(reason) => {
            mistakes.push(file.span(), Mistake::CaFile { path: path.display().to_string(), reason });
            None
        }
    }
}
