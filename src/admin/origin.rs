//! Whether a browser was told to send a request by one of our own pages, or by another site's.

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN, REFERER};

use super::refusal::Refusal;

/// Refuses what another site's page has a browser send. What is no browser's says nothing of it, and passes.
///
/// `Sec-Fetch-Site` (Fetch Metadata) is what the browser itself knows; it stays away over plain HTTP. `Origin` (RFC 6454)
/// is there with every request that changes something; old browsers leave it to `Referer`.
pub(super) fn note_foreign(headers: &HeaderMap) -> Result<(), Refusal> {
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let referer = || value(REFERER.as_str()).filter(|page| !page.is_empty());
    let is_own = match (value("sec-fetch-site"), value(ORIGIN.as_str()).or_else(referer)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(page)) => value(HOST.as_str()).is_some_and(|host| is_of_host(page, host)),
        (None, None) => true,
    };
    if is_own { Ok(()) } else { Err(Refusal::foreign()) }
}

/// Whether a page of this origin, or of this URL, came from this host. The scheme may be another one: somebody else may
/// speak TLS for us.
fn is_of_host(page: &str, host: &str) -> bool {
    let Some((scheme, rest)) = page.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let usual = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare = |authority: &str| authority.strip_suffix(usual).unwrap_or(authority).to_ascii_lowercase();
    !authority.is_empty() && bare(authority) == bare(host)
}

/// The host in a `Host` header, without its port.
pub(super) fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail with an origin of `null` let through.
    #[test]
    fn a_browser_says_whose_page_it_was() {
        let passes = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            map.append(HOST, "lb1:9000".parse().unwrap());
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            note_foreign(&map).is_ok()
        };
        for headers in [
            &[][..],
            &[("origin", "http://lb1:9000")],
            &[("origin", "https://LB1:9000")],
            &[("sec-fetch-site", "same-origin"), ("origin", "null")],
            &[("referer", "http://lb1:9000/haproxy?stats")],
            &[("referer", "")],
            &[("origin", "http://lb1:9000"), ("referer", "http://evil.example/")],
        ] {
            assert!(passes(headers), "{headers:?}");
        }
        for headers in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "http://lb1:9001")],
            &[("origin", "http://lb1")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://lb1:9000")],
            &[("sec-fetch-site", "none")],
            &[("referer", "http://evil.example/lb1:9000")],
            &[("referer", "http://lb1:9000.evil.example/")],
            &[("referer", "null")],
            &[("origin", "http://evil.example"), ("referer", "http://lb1:9000/")],
        ] {
            assert!(!passes(headers), "{headers:?}");
        }
        assert!(is_of_host("http://lb1", "lb1:80") && is_of_host("https://lb1:443", "lb1"));
    }
}
