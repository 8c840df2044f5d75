//! Remote write 1.0: a compressed message becomes a batch.
//!
//! Place in the flow: dashboards' `/api/v1/write` → **`decode`** → `model::Batch` → `Append`.
//!
//! Not here: the HTTP answer (dashboards), storing (storage).

use model::Batch;

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

/// Decodes one message and counts what is left out.
pub fn decode_counted(
    content_type: &str,
    content_encoding: &str,
    body: &[u8],
) -> Result<Decoded, PushError> {
    let _ = (content_encoding, body);
    Err(PushError::Unsupported { reason: content_type.to_owned() })
}
