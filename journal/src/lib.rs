//! Bytes that survive: the disk door and the checksummed, group-committed record log on it.
