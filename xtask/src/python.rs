//! Python programs and libraries that tests talk to, in a venv of their own.
//!
//! They stand pinned in `tests/python/requirements.txt`. The venv lies in the user's cache folder, is
//! shared by all checkouts, and is made anew when that file changes. `tests/src/python.rs` looks in
//! the same place.

use std::path::{Path, PathBuf};

use crate::{command, tree};

const REQUIREMENTS: &str = "tests/python/requirements.txt";
/// A copy of the requirements, written when everything is installed.
const STAMP: &str = "installed.txt";

/// Makes the venv, unless it is there.
pub fn ensure() -> Result<(), String> {
    let wanted = tree::read(REQUIREMENTS)?;
    let venv = folder()?;
    let is_there =
        std::fs::read_to_string(venv.join(STAMP)).is_ok_and(|installed| installed == wanted);
    if is_there {
        return Ok(());
    }
    println!("installing {REQUIREMENTS} into {}", venv.display());
    let path = venv.to_str().ok_or("the cache folder's name is no text")?;
    command::run("python3", &["-m", "venv", "--clear", path], &tree::root())
        .map_err(|error| format!("{error}; Debian has it in the package python3-venv"))?;
    let pip = venv.join("bin/pip").display().to_string();
    let arguments = ["install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS];
    command::run(&pip, &arguments, &tree::root())?;
    std::fs::write(venv.join(STAMP), wanted)
        .map_err(|error| format!("write {}: {error}", venv.join(STAMP).display()))
}

fn folder() -> Result<PathBuf, String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(home).ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("belfry/python"))
}
