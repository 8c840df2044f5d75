//! A password that is written in place or kept in a file, and never shown.
//!
//! Place in the flow: `config` reads where it is; an exporter reads it when it connects, so that a
//! rotated file is picked up at the next connect.
//!
//! Not here: what it is used for.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;

/// Longest password file read; a longer one is some other file.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where a password comes from.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Password {
    /// There is none.
    #[default]
    None,
    /// Written in the configuration.
    Inline(String),
    /// The first line of a file.
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::None => f.write_str("None"),
            Password::Inline(_) => f.write_str("Inline(<hidden>)"),
            Password::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl Password {
    /// The password now. The error names the file and never its content.
    pub fn read(&self) -> Result<Option<String>, String> {
        let path = match self {
            Password::None => return Ok(None),
            Password::Inline(text) => return Ok(Some(text.clone())),
            Password::File(path) => path,
        };
        let fail =
            |error: std::io::Error| format!("read password file {}: {error}", path.display());
        let file = std::fs::File::open(path).map_err(fail)?;
        let mut text = String::new();
        file.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text).map_err(fail)?;
        Ok(Some(text.lines().next().unwrap_or("").to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown_and_a_file_is_read_anew() {
        assert_eq!(format!("{:?}", Password::Inline("hush".into())), "Inline(<hidden>)");
        let file = tempfile::NamedTempFile::new().expect("temp file");
        std::fs::write(file.path(), "first\n").expect("write");
        let password = Password::File(file.path().to_owned());
        assert_eq!(password.read(), Ok(Some("first".to_owned())));
        std::fs::write(file.path(), "second").expect("write");
        assert_eq!(password.read(), Ok(Some("second".to_owned())));
        let gone = Password::File("/nonexistent/secret".into());
        let message = gone.read().expect_err("no such file");
        assert!(message.starts_with("read password file /nonexistent/secret: "), "{message}");
    }
}
