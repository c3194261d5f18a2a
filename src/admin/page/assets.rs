//! The pages' stylesheet, script and icons. A path carries its content's hash, so that a browser may keep it for ever.

use std::sync::LazyLock;

use super::super::headline::Tone;

/// A file that the page refers to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asset {
    path: String,
    /// Its media type.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// The asset at this path.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The stylesheet's path.
pub(super) fn stylesheet() -> &'static str {
    &ASSETS[0].path
}

/// The script's path.
pub(super) fn script() -> &'static str {
    &ASSETS[1].path
}

/// Path of the icon that a browser's tab shows for this state.
pub(crate) fn icon(tone: Tone) -> &'static str {
    let place = ICONS.iter().position(|(icon, _)| *icon == tone).expect("each tone has its icon");
    &ASSETS[2 + place].path
}

/// A word that is another one with any other stylesheet or script.
pub(crate) fn release() -> &'static str {
    static RELEASE: LazyLock<String> = LazyLock::new(|| {
        let both = format!("{}{}", stylesheet(), script());
        format!("{:016x}", fnv1a(both.as_bytes()))
    });
    &RELEASE
}

/// The colour of each tone's icon, legible on light and dark tabs alike.
const ICONS: [(Tone, &str); 4] =
    [(Tone::Good, "#1f9d5c"), (Tone::Notice, "#3b82d9"), (Tone::Warning, "#d98a00"), (Tone::Bad, "#d93a32")];

/// The stylesheet, the script, then the icons in [`ICONS`]' order.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let style =
        concat!(include_str!("../../../templates/style.css"), include_str!("../../../templates/charts.css")).to_owned();
    let icon = include_str!("../../../templates/icon.svg");
    let script = include_str!("../../../templates/script.js").to_owned();
    let mut assets = vec![
        Asset::new("style", "css", "text/css; charset=utf-8", style),
        Asset::new("script", "js", "text/javascript; charset=utf-8", script),
    ];
    for (tone, colour) in ICONS {
        assets.push(Asset::new(tone.class(), "svg", "image/svg+xml", icon.replace("currentColor", colour)));
    }
    assets
});

impl Asset {
    /// Its validator (RFC 9110, section 8.8.3): its path, which changes with its content.
    pub(crate) fn etag(&self) -> String {
        format!("\"{}\"", self.path)
    }

    fn new(stem: &str, extension: &str, kind: &'static str, text: String) -> Self {
        Self { path: format!("/assets/{stem}.{:016x}.{extension}", fnv1a(text.as_bytes())), kind, text }
    }
}

/// FNV-1a with 64 bits: to tell versions apart is all that the hash is for.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Writes every asset beneath a directory, for pages that are looked at as files.
#[cfg(test)]
pub(in crate::admin) fn write_all(directory: &std::path::Path) {
    std::fs::create_dir_all(directory.join("assets")).unwrap();
    for asset in ASSETS.iter() {
        std::fs::write(directory.join(asset.path.trim_start_matches('/')), &asset.text).unwrap();
    }
}
