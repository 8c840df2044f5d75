//! Clients of the field written in JavaScript that tests run, in a folder of their own.
//!
//! They stand pinned in `tests/node/package.json` and its lock file. The folder lies in the user's
//! cache, is shared by all checkouts, and is made anew when those files change. `tests/src/node.rs`
//! looks in the same place.

use std::path::{Path, PathBuf};

use crate::{command, tree};

/// Which packages, and their checksums.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
/// A copy of the lock file, written when everything is installed.
const STAMP: &str = "installed.json";

/// Installs the packages, unless they are there.
pub fn ensure() -> Result<(), String> {
    let wanted = tree::read("tests/node/package-lock.json")?;
    let folder = folder()?;
    let is_there =
        std::fs::read_to_string(folder.join(STAMP)).is_ok_and(|installed| installed == wanted);
    if is_there {
        return Ok(());
    }
    println!("installing tests/node into {}", folder.display());
    let problem = |error: std::io::Error| format!("prepare {}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(problem)?;
    for file in FILES {
        let text = tree::read(&format!("tests/node/{file}"))?;
        std::fs::write(folder.join(file), text).map_err(problem)?;
    }
    // No scripts of packages run, and nothing that they would only need for pages is fetched.
    let arguments =
        ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps", "--silent"];
    command::run("npm", &arguments, &folder)?;
    std::fs::write(folder.join(STAMP), wanted).map_err(problem)
}

fn folder() -> Result<PathBuf, String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(home).ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("belfry/node"))
}
