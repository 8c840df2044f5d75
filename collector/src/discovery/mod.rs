//! Where targets come from.
//!
//! Place in the flow: configuration and files → **`discovery`** → `target` → `pool`.
//!
//! Not here: what the targets' labels become (`target`).

/// Files of groups, read again when they change.
pub mod file;
/// A group of addresses with common labels, as it is written everywhere.
pub mod group;
