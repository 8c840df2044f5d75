//! Long answers on their way to the client: their pieces are written, and packed where the client
//! takes gzip, some pieces ahead of what has left and side by side on the threads of the server.
//!
//! Place in the flow: `json` cuts an answer in pieces → **`response`** → the body.
//!
//! Packed pieces are blocks of one gzip stream: each ends at a whole byte and refers to nothing
//! before it, and what is at the end of the stream, the checksum of all, is put together from
//! those of the pieces. Short answers are packed by the server's own layer.
//!
//! Invariants: at most [`PIECES_AHEAD`] pieces are under way; a body that is dropped ends them.
//!
//! Not here: what an answer's JSON looks like (json).

use std::io;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use futures::{Stream, StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::json::{Piece, Pieces};

/// Pieces that are written or wait to leave.
const PIECES_AHEAD: usize = 4;
/// What a gzip stream begins with: no name, no time, quick rather than small, of an unknown system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff];
/// An empty last block.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// How a client takes an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// Packed by gzip.
    Gzip,
}

impl Packing {
    /// What the client prefers, as it says in `Accept-Encoding`.
    pub fn of(headers: &HeaderMap) -> Packing {
        let (mut gzip, mut plain) = (0.0, 0.0);
        let all = headers.get_all(header::ACCEPT_ENCODING).iter();
        for part in all.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')) {
            let (name, rest) = part.split_once(';').unwrap_or((part, "q=1"));
            let weight: f64 = match rest.trim().strip_prefix("q=") {
                Some(text) => text.trim().parse().unwrap_or(0.0),
                None => 1.0,
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = weight,
                "identity" => plain = weight,
                _ => {}
            }
        }
        if gzip > 0.0 && gzip >= plain { Packing::Gzip } else { Packing::Plain }
    }
}

/// The answer, piece by piece.
pub fn response(pieces: Pieces, packing: Packing) -> Response {
    let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
    match packing {
        Packing::Plain => ([vary], Body::from_stream(ahead(pieces, Piece::bytes))).into_response(),
        Packing::Gzip => {
            let encoding = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            ([vary, encoding], Body::from_stream(gzip(pieces))).into_response()
        }
    }
}

/// Works on the pieces side by side; what becomes of them comes in their order.
fn ahead<T: Send + 'static>(
    pieces: Pieces,
    work: impl Fn(Piece) -> T + Copy + Send + 'static,
) -> impl Stream<Item = io::Result<T>> {
    let begin = move |piece| AbortOnDropHandle::new(tokio::spawn(async move { work(piece) }));
    futures::stream::iter(pieces).map(begin).buffered(PIECES_AHEAD).map_err(io::Error::other)
}

fn gzip(pieces: Pieces) -> impl Stream<Item = io::Result<Vec<u8>>> {
    // The end comes with a piece that is none.
    let packed = ahead(pieces, |piece| Some(pack(&piece.bytes())));
    let packed = packed.chain(futures::stream::once(async { Ok(None) }));
    let mut all = Hasher::new();
    let mut length = 0_u32;
    let blocks = packed.map_ok(move |packed| match packed {
        Some(packed) => {
            all.combine(&packed.sum);
            // The stream's end has the length modulo 2³².
            length = length.wrapping_add(packed.length);
            packed.bytes
        }
        None => {
            let sum = all.clone().finalize();
            [&LAST_BLOCK[..], &sum.to_le_bytes(), &length.to_le_bytes()].concat()
        }
    });
    futures::stream::once(async { Ok(GZIP_HEAD.to_vec()) }).chain(blocks)
}

/// Blocks of a gzip stream.
struct Packed {
    bytes: Vec<u8>,
    /// Of what was packed.
    sum: Hasher,
    length: u32,
}

fn pack(plain: &[u8]) -> Packed {
    let mut sum = Hasher::new();
    sum.update(plain);
    let mut packer = Compress::new(Compression::fast(), false);
    let mut bytes = Vec::with_capacity(plain.len() / 2 + 64);
    loop {
        let taken = usize::try_from(packer.total_in()).expect("a part of a slice");
        let flush = FlushCompress::Sync;
        packer.compress_vec(&plain[taken..], &mut bytes, flush).expect("bytes can be packed");
        // Room that is left means that there was nothing more to put there.
        if bytes.len() < bytes.capacity() {
            break;
        }
        bytes.reserve(plain.len() / 4 + 64);
    }
    Packed { bytes, sum, length: plain.len() as u32 }
}

#[cfg(test)]
mod tests;
