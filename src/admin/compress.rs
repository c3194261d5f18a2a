//! Answers in a quarter of their bytes, for those who take them so (RFC 9110, section 8.4).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};
use hyper::{HeaderMap, Response};

use super::router::Answer;

/// Below so many bytes an answer is in one packet anyway.
const SMALLEST: usize = 1_200;

/// Whether gzip is taken. Who refuses it says `gzip;q=0`.
pub(super) fn is_taken(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let mut words = coding.split(';').map(str::trim);
        let is_gzip = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused =
            |weight: &str| weight.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
        is_gzip && !words.any(is_refused)
    })
}

/// The same answer, smaller. One that is still to come stays as it is.
pub(super) fn compressed(response: Response<Answer>) -> Response<Answer> {
    let (mut head, body) = response.into_parts();
    let whole = match body {
        Either::Left(whole) => whole.into_inner().unwrap_or_default(),
        Either::Right(to_come) => return Response::from_parts(head, Either::Right(to_come)),
    };
    if whole.len() < SMALLEST {
        return Response::from_parts(head, Either::Left(Full::new(whole)));
    }
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    Response::from_parts(head, Either::Left(Full::new(gzip(&whole))))
}

fn gzip(whole: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(whole.len() / 3), Compression::fast());
    let written = encoder.write_all(whole).and_then(|()| encoder.finish());
    written.expect("a vector takes everything").into()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;
    use hyper::StatusCode;

    use super::super::router::plain;
    use super::*;

    fn takes(value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
        is_taken(&headers)
    }

    // Seen to fail with the weight never looked at.
    #[test]
    fn gzip_is_for_those_who_take_it() {
        assert!(["gzip", "br, GZIP", "deflate, gzip;q=0.5", "gzip; q=1.0"].map(takes).iter().all(|taken| *taken));
        assert!(["", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip"].map(takes).iter().all(|taken| !taken));
        assert!(!is_taken(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn what_is_long_is_sent_smaller_and_is_the_same() {
        let text = "All three controllers serve. ".repeat(100);
        let response = compressed(plain(StatusCode::OK, "text/plain", text.clone()));
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.len() < text.len() / 10);
        let mut read = String::new();
        GzDecoder::new(&bytes[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        let short = compressed(plain(StatusCode::OK, "text/plain", "ok"));
        assert!(!short.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(short.into_body().collect().await.unwrap().to_bytes(), "ok");
    }
}
