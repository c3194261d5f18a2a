//! Sections in `mode http` that serve statistics themselves.

use super::super::mistake::Mistake;
use super::super::show::quoted;
use super::bind;
use super::compose::Composer;
use super::document::Section;
use super::file::Proxy;

/// What makes a section in `mode http` one that evenkeel serves.
pub const SERVES: [&str; 3] = ["stats enable", "stats uri", "stats auth"];

/// As TOML.
pub fn compose(proxy: &Proxy, another: bool, composer: &mut Composer<'_>) -> Option<Section> {
    if !proxy.is_page() {
        return None;
    }
    if another {
        let word = format!("{} {}", proxy.kind.word(), proxy.name.text);
        let why = "there is one page of statistics";
        composer
            .mistakes
            .push(Some(proxy.at), Mistake::DirectiveRefused { word, why, instead: "leave the other section out" });
        return None;
    }
    let mut section = Section::new("[stats]", Some(proxy.at));
    let mut listen = Vec::new();
    for statement in proxy.own("bind") {
        listen.extend(bind::read(statement, composer.choice.lenient, composer.mistakes));
    }
    let at = listen.first().map(|listen| listen.at);
    let addresses: Vec<_> = listen.iter().map(|listen| quoted(&listen.address)).collect();
    section.set("listen", format!("[{}]", addresses.join(", ")), at);
    Some(section)
}

/// Nobody asked for a page.
pub fn none() -> Section {
    let mut section = Section::new("[stats]", None);
    let remark = "evenkeel's way, \"127.0.0.1:9000\": states, sessions, events and metrics for this host";
    section.instead("listen", "\"off\"", remark);
    section
}
