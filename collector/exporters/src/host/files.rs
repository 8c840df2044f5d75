//! Reads small files of the kernel's trees, with a size limit.
//!
//! Place in the flow: every host collector gets its text here.
//!
//! Not here: what the text means.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::HostPaths;

/// Largest kernel file read. `/proc/stat` on a machine with hundreds of processors stays below 1 MB.
pub(super) const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Most entries of one directory that are looked at.
pub(super) const ENTRIES_MAX: usize = 65_536;

/// The trees, ready to be read.
#[derive(Debug, Clone)]
pub(super) struct Files {
    paths: HostPaths,
}

impl Files {
    pub(super) fn new(paths: HostPaths) -> Files {
        Files { paths }
    }

    /// The text of a file below `/proc`.
    pub(super) fn proc(&self, path: &str) -> Result<String, String> {
        text(&self.paths.proc.join(path))
    }

    /// The trimmed text of a file below `/sys`; `None` when it is absent or has no answer now.
    pub(super) fn sys(&self, path: &str) -> Option<String> {
        text(&self.paths.sys.join(path)).ok().map(|text| text.trim().to_owned())
    }

    /// The text of a file below the root file system.
    pub(super) fn root(&self, path: &str) -> Result<String, String> {
        text(&self.paths.rootfs.join(path))
    }

    /// Names in a directory below `/sys`, sorted.
    pub(super) fn sys_names(&self, path: &str) -> Result<Vec<String>, String> {
        names(&self.paths.sys.join(path))
    }

    /// Names in a directory below `/proc`, sorted.
    pub(super) fn proc_names(&self, path: &str) -> Result<Vec<String>, String> {
        names(&self.paths.proc.join(path))
    }
}

fn text(path: &PathBuf) -> Result<String, String> {
    let fail = |error: std::io::Error| format!("read {}: {error}", path.display());
    let mut bytes = Vec::new();
    File::open(path).map_err(fail)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(fail)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn names(path: &Path) -> Result<Vec<String>, String> {
    let fail = |error: std::io::Error| format!("list {}: {error}", path.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)?.take(ENTRIES_MAX) {
        names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A number of a kernel file; the error names the file and the text.
pub(super) fn number(file: &str, text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{file}: {text:?} is not a number"))
}
