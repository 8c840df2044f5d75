//! Where the workspace lies and which files belong to it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command;

/// The workspace's folder.
///
/// Cargo names it when it runs us. What was true when we were compiled comes second: checkouts that
/// share a build directory share this program too.
pub fn root() -> PathBuf {
    let compiled_in = Path::new(env!("CARGO_MANIFEST_DIR"));
    let running = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest = running.unwrap_or_else(|| compiled_in.to_owned());
    manifest.parent().expect("xtask lies in the workspace").to_owned()
}

/// All files that git knows or would take, relative to the root, in order.
pub fn files() -> Result<Vec<String>, String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listing = command::output("git", &arguments, &root())?;
    let mut files: Vec<String> = listing.lines().map(str::to_owned).collect();
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// What `cargo metadata` says; with `deep`, of all dependencies.
pub fn metadata(deep: bool) -> Result<Value, String> {
    let mut arguments = vec!["metadata", "--format-version", "1", "--locked"];
    if !deep {
        arguments.push("--no-deps");
    }
    let text = command::output(&command::cargo(), &arguments, &root())?;
    serde_json::from_str(&text).map_err(|error| format!("read cargo metadata: {error}"))
}

/// The text of a file of the workspace.
pub fn read(file: &str) -> Result<String, String> {
    std::fs::read_to_string(root().join(file)).map_err(|error| format!("read {file}: {error}"))
}
