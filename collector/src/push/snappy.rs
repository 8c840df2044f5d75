//! Unpacks snappy blocks (never framed streams) into a room that is used again.
//!
//! Place in the flow: HTTP body → **`unpack`** → `v1` or `v2`.
//!
//! Invariants: the declared size is checked against the limit, and against what the body could grow
//! to at most, before anything is allocated.

use model::limits::PUSH_BODY_BYTES_MAX;

use super::error::PushError;

/// Longest copy of a snappy element (64) over its shortest encoding (2 bytes), rounded up.
const SNAPPY_GROWTH_MAX: usize = 64;

/// Unpacks a block.
pub fn unpack_snappy(body: &[u8]) -> Result<Vec<u8>, PushError> {
    let mut room = Vec::new();
    let size = unpack_into(body, &mut room)?;
    room.truncate(size);
    Ok(room)
}

/// Unpacks a block into a room, which grows when it must, and says how much of it is the message.
/// What the room held before is not cleared first: that would cost as much as unpacking.
pub(super) fn unpack_into(body: &[u8], room: &mut Vec<u8>) -> Result<usize, PushError> {
    if body.is_empty() {
        return Err(PushError::malformed("the body is empty"));
    }
    let size = snap::raw::decompress_len(body)
        .map_err(|error| PushError::malformed(format!("read the snappy header: {error}")))?;
    if size > PUSH_BODY_BYTES_MAX {
        return Err(PushError::TooLarge {
            size_bytes: size as u64,
            limit_bytes: PUSH_BODY_BYTES_MAX as u64,
        });
    }
    // A block can't grow to more than some twenty times its size; a header that says so lies.
    if size / SNAPPY_GROWTH_MAX > body.len() {
        let reason = "the snappy header names more bytes than the body can hold";
        return Err(PushError::malformed(reason));
    }
    if room.len() < size {
        room.resize(size, 0);
    }
    let written = snap::raw::Decoder::new()
        .decompress(body, &mut room[..size])
        .map_err(|error| PushError::malformed(format!("unpack the snappy block: {error}")))?;
    assert_eq!(written, size, "a block unpacks to the size in its header");
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_used_again() {
        let pack = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).expect("packs");
        let mut room = Vec::new();
        assert_eq!(unpack_into(&pack(b"a longer text"), &mut room), Ok(13));
        assert_eq!(unpack_into(&pack(b"short"), &mut room), Ok(5));
        assert_eq!(&room[..5], b"short");
        assert_eq!(room.len(), 13);
        assert_eq!(unpack_snappy(&pack(b"")), Ok(Vec::new()), "an empty message is one");
    }

    #[test]
    fn a_header_that_lies_takes_no_memory() {
        let mut room = Vec::new();
        for body in [&b""[..], &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], &[0x80, 0x80, 0x80, 0x0f, 0]] {
            unpack_into(body, &mut room).expect_err("refused");
        }
        assert_eq!(room.capacity(), 0);
    }
}
