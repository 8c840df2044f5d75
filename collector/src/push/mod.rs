//! Doors for clients that push instead of being scraped.
//!
//! Place in the flow: dashboards' HTTP API → **`push`** → `model::Batch` → `Append`.
//!
//! Not here: HTTP serving (dashboards).

/// Remote write 1.0.
pub mod remote_write;
