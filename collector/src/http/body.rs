//! Reads an answer while it streams, unpacked, up to its limit.
//!
//! Place in the flow: `HttpClient` → **`read`** → the caller's bytes.
//!
//! The limit is checked on every piece the unpacker hands out, so no more than the limit is ever
//! held, whatever a few packed bytes would grow to.
//!
//! Not here: the deadline (the caller holds it over this too).

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use model::http_door::{HttpError, HttpResponse};
use reqwest::header::CONTENT_ENCODING;

/// Packed bytes may be this much more than the limit of the unpacked ones: headers of gzip members.
const PACKED_SLACK_BYTES: usize = 64 * 1024;

/// Most room that is made at once for an answer whose head says how long it is.
const ROOM_BYTES_MAX: usize = 1024 * 1024;

/// Reads status, headers and body.
pub(super) async fn read(
    mut answer: reqwest::Response,
    limit_bytes: usize,
) -> Result<HttpResponse, HttpError> {
    let status = answer.status().as_u16();
    let headers = headers_of(&answer);
    let mut unpacker = unpacker(&answer, limit_bytes)?;
    let mut packed_bytes = 0_usize;
    while let Some(piece) = answer.chunk().await.map_err(super::network_error)? {
        packed_bytes = packed_bytes.saturating_add(piece.len());
        if packed_bytes > limit_bytes.saturating_add(PACKED_SLACK_BYTES) {
            return Err(HttpError::TooLarge { limit_bytes });
        }
        unpacker.write(&piece).map_err(|error| failure(&error, limit_bytes))?;
    }
    let body = unpacker.finish().map_err(|error| failure(&error, limit_bytes))?;
    Ok(HttpResponse { status, headers, body })
}

fn headers_of(answer: &reqwest::Response) -> Vec<(String, String)> {
    let text = |value: &reqwest::header::HeaderValue| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
    answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn unpacker(answer: &reqwest::Response, limit_bytes: usize) -> Result<Unpacker, HttpError> {
    // What the head says is only believed up to a size that an honest page has.
    let said = answer.content_length().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
    let room = said.min(limit_bytes).min(ROOM_BYTES_MAX);
    let sink = Capped { bytes: Vec::with_capacity(room), limit_bytes };
    let encoding = answer.headers().get(CONTENT_ENCODING);
    match encoding.map(|value| value.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"" | b"identity") => Ok(Unpacker::Plain(sink)),
        Some(b"gzip" | b"x-gzip") => Ok(Unpacker::Gzip(Box::new(MultiGzDecoder::new(sink)))),
        Some(other) => {
            let name = String::from_utf8_lossy(&other[..other.len().min(40)]).into_owned();
            let reason = format!("the answer is packed as {name:?}, which nobody asked for");
            Err(HttpError::Broken { reason })
        }
    }
}

fn failure(error: &io::Error, limit_bytes: usize) -> HttpError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => HttpError::TooLarge { limit_bytes },
        _ => HttpError::Broken { reason: format!("unpack the answer: {error}") },
    }
}

enum Unpacker {
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
}

impl Unpacker {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Unpacker::Plain(sink) => sink.write_all(piece),
            Unpacker::Gzip(decoder) => decoder.write_all(piece),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Unpacker::Plain(sink) => Ok(sink.bytes),
            Unpacker::Gzip(decoder) => decoder.finish().map(|sink| sink.bytes),
        }
    }
}

/// Takes bytes up to a limit.
struct Capped {
    bytes: Vec<u8>,
    limit_bytes: usize,
}

impl Write for Capped {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(piece.len()) > self.limit_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
