//! Passwords and tokens: a text that no log line and no debug print ever shows.
//!
//! Place in the flow: configuration → **`Secret`** → a receiver, at the moment of sending.
//!
//! A secret named by file is read at each attempt, so that a rotated password needs no reload.
//!
//! Not here: which keys of the configuration are secrets (config).

use std::fmt;
use std::path::PathBuf;

use journal::disk::Disk;

/// Longest secret file that is read.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// A text that prints as `<secret>`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// In a file of its own, read when it is needed.
    File(PathBuf),
}

impl SecretSource {
    /// The secret, without the line end of a file. The error names the file and never its content.
    pub fn read(&self, disk: &Disk) -> Result<Secret, String> {
        match self {
            SecretSource::Inline(secret) => Ok(secret.clone()),
            SecretSource::File(path) => {
                let bytes = disk
                    .read(path, SECRET_BYTES_MAX)
                    .map_err(|error| format!("read secret file {}: {error}", path.display()))?;
                let text = String::from_utf8(bytes)
                    .map_err(|_| format!("secret file {} is not UTF-8", path.display()))?;
                Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_printed() {
        let source = SecretSource::Inline(Secret::new("hunter2"));
        assert_eq!(format!("{source:?}"), "Inline(<secret>)");
    }
}
