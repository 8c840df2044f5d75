//! Why a pushed message was not taken, and which HTTP status tells the sender so.
//!
//! Place in the flow: every step of the doors → **`PushError`** → `Receiver` → dashboards.
//!
//! Not here: samples that were refused one by one (`DoorRefusals`, `Appended`).

use model::append::AppendError;

/// Why a pushed message was not taken. Nothing of it is stored.
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
    /// The store can't take samples now. Send the same again later; answer 503.
    #[error(transparent)]
    Store(#[from] AppendError),
}

impl PushError {
    /// The HTTP status that the sender understands.
    pub fn http_status(&self) -> u16 {
        match self {
            PushError::Malformed { .. } | PushError::TooLarge { .. } => 400,
            PushError::Unsupported { .. } => 415,
            PushError::Store(AppendError::Unavailable { .. } | AppendError::Stopping) => 503,
            PushError::Store(_) => 500,
        }
    }

    pub(super) fn malformed(reason: impl Into<String>) -> PushError {
        PushError::Malformed { reason: reason.into() }
    }
}
