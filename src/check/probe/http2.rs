//! As much of HTTP/2 as a greeting takes (RFC 9113): our preface, the server's SETTINGS or GOAWAY, and our goodbye.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::http::{AskError, printable};
use crate::net::tls::Failure;

/// Section 3.4, with an empty SETTINGS frame: every value stays at its default.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// An acknowledgement of the server's SETTINGS, and GOAWAY with no stream and no error.
const GOODBYE: &[u8] = b"\0\0\0\x04\x01\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Length of a frame's head, in bytes.
const HEAD: usize = 9;

/// Longest payload that a server may send before it knows of another limit, in bytes (section 4.2).
const PAYLOAD: usize = 16_384;

/// How much is read of a server that says neither, in bytes.
const GREETING: usize = 4 * PAYLOAD;

const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// What a server says to a new client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// Its SETTINGS: it takes requests.
    Welcome,
    /// GOAWAY: it takes none; why, in words.
    Leaving(String),
}

/// Greets, and says goodbye to a server that answers.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    deadline: Instant,
) -> Result<Greeting, AskError> {
    let greeting = timeout_at(deadline, first_word(stream)).await.map_err(|_| AskError::TimedOut)??;
    let goodbye = async {
        stream.write_all(GOODBYE).await?;
        stream.flush().await
    };
    // The server has answered, whatever becomes of this.
    let _ = timeout_at(deadline, goodbye).await;
    Ok(greeting)
}

async fn first_word<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<Greeting, AskError> {
    stream.write_all(PREFACE).await?;
    stream.flush().await?;
    let mut received = Vec::new();
    loop {
        if let Some(greeting) = greeting(&received)? {
            return Ok(greeting);
        }
        let mut piece = [0; 2048];
        match stream.read(&mut piece).await? {
            0 => return Err(AskError::Failed(Failure::Closed)),
            count => received.extend_from_slice(&piece[..count]),
        }
    }
}

/// What the frames that have come mean; `None` as long as more may. GOAWAY behind SETTINGS counts if it is there already.
fn greeting(received: &[u8]) -> Result<Option<Greeting>, AskError> {
    let not_http2 = || AskError::Unreadable(format!("the answer is not HTTP/2: {:?}", printable(received)));
    let mut welcome = None;
    let mut rest = received;
    while let Some((frame, behind)) = frame(rest).map_err(|NotAFrame| not_http2())? {
        match frame {
            Frame { kind: GOAWAY, payload, .. } => return Ok(Some(Greeting::Leaving(farewell(payload)))),
            Frame { kind: SETTINGS, flags, .. } if flags & ACK == 0 => welcome = Some(Greeting::Welcome),
            // A server begins with its SETTINGS (section 3.4).
            _ if welcome.is_none() => return Err(not_http2()),
            _ => {}
        }
        rest = behind;
    }
    if welcome.is_none() && received.len() > GREETING {
        return Err(not_http2());
    }
    Ok(welcome)
}

/// Error code and debug data of a GOAWAY (section 6.8).
fn farewell(payload: &[u8]) -> String {
    let code = payload.get(4..8).and_then(|code| code.try_into().ok()).map_or(0, u32::from_be_bytes);
    let why = printable(payload.get(8..).unwrap_or_default());
    let why = if why.is_empty() { why } else { format!(": {why}") };
    format!("it says GOAWAY, code {code}{why}")
}

/// One frame (section 4.1), its stream left out.
#[derive(Debug, PartialEq, Eq)]
struct Frame<'a> {
    kind: u8,
    flags: u8,
    payload: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
struct NotAFrame;

/// The first frame and what is behind it; `None` while it is not whole.
///
/// Lengths that no server may send, and SETTINGS or GOAWAY of a wrong form, are no frames.
fn frame(received: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, NotAFrame> {
    let Some((&[a, b, c, kind, flags, ref stream @ ..], rest)) = received.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    // The first bit of the stream's number is reserved.
    let of_connection = u32::from_be_bytes(*stream) << 1 == 0;
    let well_formed = match kind {
        SETTINGS => of_connection && length.is_multiple_of(6) && (flags & ACK == 0 || length == 0),
        GOAWAY => of_connection && length >= 8,
        _ => true,
    };
    if length > PAYLOAD || !well_formed {
        return Err(NotAFrame);
    }
    Ok(rest.split_at_checked(length).map(|(payload, behind)| (Frame { kind, flags, payload }, behind)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn settings() -> Vec<u8> {
        bytes(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])
    }

    fn goaway(code: u32, why: &str) -> Vec<u8> {
        bytes(GOAWAY, 0, 0, &[&[0; 4], &code.to_be_bytes()[..], why.as_bytes()].concat())
    }

    #[test]
    fn what_we_send_is_well_formed() {
        let (preface, rest) = PREFACE.split_at(24);
        assert_eq!(preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(rest, bytes(SETTINGS, 0, 0, &[]));
        assert_eq!(GOODBYE, [bytes(SETTINGS, ACK, 0, &[]), bytes(GOAWAY, 0, 0, &[0; 8])].concat());
    }

    // Seen to fail with GOAWAY looked for before SETTINGS alone.
    #[test]
    fn settings_are_a_welcome_and_goaway_a_refusal_whatever_else_comes() {
        let window = bytes(8, 0, 0, &[0, 0, 255, 255]);
        let leaving = |text: &str| Some(Greeting::Leaving(text.to_owned()));
        for (received, expected) in [
            (vec![], None),
            (settings()[..10].to_vec(), None),
            (settings(), Some(Greeting::Welcome)),
            ([settings(), window.clone()].concat(), Some(Greeting::Welcome)),
            (goaway(0, ""), leaving("it says GOAWAY, code 0")),
            (
                [settings(), window, goaway(11, "too_many\x1bpings")].concat(),
                leaving("it says GOAWAY, code 11: too_many pings"),
            ),
            ([settings(), goaway(0, "")[..12].to_vec()].concat(), Some(Greeting::Welcome)),
        ] {
            assert_eq!(greeting(&received).unwrap(), expected, "{received:?}");
        }
    }

    // Seen to fail with an acknowledgement taken for SETTINGS.
    #[test]
    fn what_does_not_begin_as_http_2_does_is_told() {
        for received in [
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            bytes(SETTINGS, ACK, 0, &[]),
            bytes(SETTINGS, 0, 0, &[1, 2, 3]),
            bytes(SETTINGS, 0, 1, &[]),
            bytes(GOAWAY, 0, 0, &[0; 7]),
            bytes(0, 0, 1, b"data"),
            bytes(6, 0, 0, &[0; PAYLOAD + 1]),
        ] {
            assert!(matches!(greeting(&received), Err(AskError::Unreadable(_))), "{received:?}");
        }
    }

    proptest! {
        // Seen to fail with a slice instead of the checked split.
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (greeting(&bytes), farewell(&bytes));
        }

        #[test]
        fn nor_does_any_frame_however_it_is_cut(
            frames in proptest::collection::vec(
                (0..12_u8, any::<u8>(), 0..3_u32, proptest::collection::vec(any::<u8>(), 0..40)), 0..6,
            ),
            cut in any::<proptest::sample::Index>(),
        ) {
            let whole: Vec<u8> =
                frames.iter().flat_map(|(kind, flags, stream, payload)| bytes(*kind, *flags, *stream, payload)).collect();
            let _ = greeting(&whole[..cut.index(whole.len() + 1)]);
        }
    }
}
