//! Remote write 1.0: a compressed message becomes a batch.
//!
//! Place in the flow: dashboards' `/api/v1/write` → **`decode`** → `model::Batch` → `Append`.
//!
//! The message is walked where it lies; nothing is built but the batch. Neither the packed nor the
//! unpacked message can make this take more memory than a small multiple of the body's limit.
//!
//! Not here: the HTTP answer (dashboards), storing (storage).

use model::labels::METRIC_NAME;
use model::limits::{LABELS_PER_SERIES_MAX, PUSH_BODY_BYTES_MAX};
use model::{Batch, TimestampMs};

/// Why a pushed message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The message is broken. Sending it again cannot help; answer 400.
    #[error("cannot decode the message: {reason}")]
    Malformed {
        /// What is wrong and where.
        reason: String,
    },
    /// Decoded, the message is longer than allowed. Send smaller ones; answer 400.
    #[error("the decoded message has {size_bytes} bytes, at most {limit_bytes} are allowed")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The type or the compression is not understood; answer 415.
    #[error("unsupported message: {reason}")]
    Unsupported {
        /// What was sent, what is understood.
        reason: String,
    },
}

impl PushError {
    /// The HTTP status that the sender understands.
    pub fn http_status(&self) -> u16 {
        match self {
            PushError::Malformed { .. } | PushError::TooLarge { .. } => 400,
            PushError::Unsupported { .. } => 415,
        }
    }
}

/// A decoded message, and what of it was left out.
#[derive(Debug, Clone, Default)]
pub struct Decoded {
    /// What is to be stored.
    pub batch: Batch,
    /// Samples of series without a name or with broken labels.
    pub samples_invalid_labels: u64,
    /// Native histograms, which the store does not take yet.
    pub histograms_skipped: u64,
    /// Exemplars, which the store does not take yet.
    pub exemplars_skipped: u64,
}

/// Decodes one message. See [`decode_counted`] for what was left out of it.
pub fn decode(content_type: &str, content_encoding: &str, body: &[u8]) -> Result<Batch, PushError> {
    decode_counted(content_type, content_encoding, body).map(|decoded| decoded.batch)
}

/// Decodes one message and counts what is left out. A missing type or encoding means the usual one.
pub fn decode_counted(
    content_type: &str,
    content_encoding: &str,
    body: &[u8],
) -> Result<Decoded, PushError> {
    check_type(content_type)?;
    let encoding = content_encoding.trim();
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        let reason = "the Content-Encoding must be snappy (block format)".to_owned();
        return Err(PushError::Unsupported { reason });
    }
    let message = unpacked(body)?;
    let mut decoded = Decoded::default();
    let mut reader = Reader::new(&message);
    while let Some((field, value)) = reader.next_field()? {
        // Field 3 is metadata, which the store has no place for.
        if let (1, Value::Bytes(series)) = (field, value) {
            time_series(series, &mut decoded)?;
        }
    }
    Ok(decoded)
}

fn check_type(content_type: &str) -> Result<(), PushError> {
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or("");
    if media.is_empty() {
        return Ok(());
    }
    let unsupported = |reason: &str| Err(PushError::Unsupported { reason: reason.to_owned() });
    if !media.eq_ignore_ascii_case("application/x-protobuf") {
        return unsupported("the Content-Type must be application/x-protobuf");
    }
    let proto = parts.find_map(|part| part.strip_prefix("proto="));
    match proto.map(|name| name.trim_matches('"')) {
        None | Some("prometheus.WriteRequest") => Ok(()),
        Some("io.prometheus.write.v2.Request") => {
            unsupported("remote write 2.0 is not supported yet; send prometheus.WriteRequest")
        }
        Some(_) => unsupported("the message must be prometheus.WriteRequest"),
    }
}

/// Unpacks the block after its declared size was found small enough.
fn unpacked(body: &[u8]) -> Result<Vec<u8>, PushError> {
    let malformed = |reason: String| PushError::Malformed { reason };
    if body.is_empty() {
        return Err(malformed("the body is empty".to_owned()));
    }
    let size = snap::raw::decompress_len(body)
        .map_err(|error| malformed(format!("read the snappy header: {error}")))?;
    if size > PUSH_BODY_BYTES_MAX {
        return Err(PushError::TooLarge {
            size_bytes: size as u64,
            limit_bytes: PUSH_BODY_BYTES_MAX as u64,
        });
    }
    // A block can't grow to more than some twenty times its size; a header that says so lies.
    if size / SNAPPY_GROWTH_MAX > body.len() {
        return Err(malformed("the snappy header names more bytes than the body can hold".into()));
    }
    snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|error| malformed(format!("unpack the snappy block: {error}")))
}

/// Longest copy of a snappy element (64) over its shortest encoding (2 bytes), rounded up.
const SNAPPY_GROWTH_MAX: usize = 64;
/// Most samples of one message. An honest sample takes 18 bytes, so this is beyond what fits into
/// the largest message; a sample without value and time takes two.
const SAMPLES_MAX: usize = 2_000_000;

/// One series: labels, then samples, whatever their order in the message.
fn time_series(message: &[u8], decoded: &mut Decoded) -> Result<(), PushError> {
    let mut labels: Vec<(&str, &str)> = Vec::new();
    let mut valid = true;
    let mut samples = 0_u64;
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next_field()? {
        match (field, value) {
            (1, Value::Bytes(label)) => {
                let pair = label_of(label)?;
                valid &= !pair.0.is_empty() && labels.len() < LABELS_PER_SERIES_MAX;
                // An empty value means that the label is absent.
                if valid && !pair.1.is_empty() {
                    labels.push(pair);
                }
            }
            (2, Value::Bytes(_)) => samples += 1,
            (3, Value::Bytes(_)) => decoded.exemplars_skipped += 1,
            (4, Value::Bytes(_)) => decoded.histograms_skipped += 1,
            _ => {}
        }
    }
    labels.sort_unstable();
    valid &= labels.windows(2).all(|pair| pair[0].0 != pair[1].0);
    valid &= labels.iter().any(|(name, _)| *name == METRIC_NAME);
    if !valid {
        decoded.samples_invalid_labels += samples;
        return Ok(());
    }
    if samples == 0 {
        return Ok(());
    }
    if decoded.batch.samples().len() as u64 + samples > SAMPLES_MAX as u64 {
        return Err(PushError::Malformed {
            reason: format!("the message holds more than {SAMPLES_MAX} samples"),
        });
    }
    let series = decoded.batch.series_from_sorted(labels.into_iter());
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next_field()? {
        if let (2, Value::Bytes(sample)) = (field, value) {
            let (at, value) = sample_of(sample)?;
            decoded.batch.sample(series, at, value);
        }
    }
    Ok(())
}

fn label_of(message: &[u8]) -> Result<(&str, &str), PushError> {
    let (mut name, mut value) = ("", "");
    let mut reader = Reader::new(message);
    while let Some((field, bytes)) = reader.next_field()? {
        let (1 | 2, Value::Bytes(bytes)) = (field, bytes) else { continue };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| PushError::Malformed { reason: "a label is no UTF-8".to_owned() })?;
        if field == 1 { name = text } else { value = text }
    }
    Ok((name, value))
}

fn sample_of(message: &[u8]) -> Result<(TimestampMs, f64), PushError> {
    let (mut at, mut number) = (0_i64, 0.0);
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next_field()? {
        match (field, value) {
            (1, Value::Fixed64(bits)) => number = f64::from_bits(bits),
            // A negative time is written as its two's complement.
            (2, Value::Varint(bits)) => at = bits as i64,
            _ => {}
        }
    }
    Ok((TimestampMs(at), number))
}

/// One field of a protobuf message.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Walks the fields of a message without building anything.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { rest: message }
    }

    fn next_field(&mut self) -> Result<Option<(u64, Value<'a>)>, PushError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?;
                let mut bits = [0; 8];
                bits.copy_from_slice(bytes);
                Value::Fixed64(u64::from_le_bytes(bits))
            }
            2 => {
                let size = self.varint()?;
                Value::Bytes(self.take(usize::try_from(size).unwrap_or(usize::MAX))?)
            }
            5 => {
                self.take(4)?;
                Value::Fixed32
            }
            kind => return Err(broken(&format!("unknown wire type {kind}"))),
        };
        match tag >> 3 {
            0 => Err(broken("field number 0")),
            field => Ok(Some((field, value))),
        }
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], PushError> {
        if size > self.rest.len() {
            return Err(broken("a field is longer than the message"));
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, PushError> {
        let mut number = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(broken("a number does not end"))
    }
}

fn broken(reason: &str) -> PushError {
    PushError::Malformed { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
