//! Configuration files found and read, under limits.
//!
//! Place in the flow: paths and patterns that an operator wrote → **here** → texts.
//!
//! Not here: what the texts mean.

use std::io::Read;
use std::path::{Path, PathBuf};

use model::wildcard;

/// Longest configuration file.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most files that one pattern may name.
const FILES_MAX: usize = 10_000;

/// The folder that relative paths of a file stand in.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The text of a file. The error says what is wrong with it, without its name.
pub fn read_text(file: &Path) -> Result<String, String> {
    let fail = |error: std::io::Error| format!("can't be read: {error}");
    let opened = std::fs::File::open(file).map_err(fail)?;
    let mut bytes = Vec::new();
    // Counted while reading: a device or a pipe does not tell its size.
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "is longer than {FILE_BYTES_MAX} bytes, which is the most that is read"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is no UTF-8 text: see byte {at}; save it as UTF-8")
    })
}

/// The files that a pattern names: `*` in the last path element, or one path that must exist.
pub fn matching_files(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = folder.join(pattern);
    let last = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
    let parent = folder_of(&path);
    if parent.to_string_lossy().contains('*') {
        return Err(format!("{pattern}: `*` is allowed in the last path element only"));
    }
    if !last.contains('*') {
        return if path.is_file() { Ok(vec![path]) } else { Err(format!("no file {pattern}")) };
    }
    let listing =
        std::fs::read_dir(parent).map_err(|error| format!("list {}: {error}", parent.display()))?;
    let mut files = Vec::new();
    for entry in listing {
        let entry = entry.map_err(|error| format!("list {}: {error}", parent.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if wildcard::fits(&last, &name) && entry.path().is_file() {
            files.push(path.with_file_name(entry.file_name()));
        }
        if files.len() > FILES_MAX {
            return Err(format!("{pattern}: names more than {FILES_MAX} files"));
        }
    }
    files.sort();
    Ok(files)
}
