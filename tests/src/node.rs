//! Clients of the field under Node, from the folder that `cargo xtask node` fills.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::require;

/// Runs a script of `tests/node` against a server, with the packages at hand; what it printed.
pub fn run(script: &str, url: &str) -> Value {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let folder = cache.or_else(home).expect("XDG_CACHE_HOME or HOME").join("belfry/node");
    assert!(
        folder.join("installed.json").exists(),
        "{} is missing: run `cargo xtask node`",
        folder.display()
    );
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("node").join(script);
    // The packages are looked for from the working folder.
    let output = Command::new(require("node", "nodejs"))
        .arg(&own)
        .arg(url)
        .current_dir(&folder)
        .env("NODE_PATH", folder.join("node_modules"))
        .output()
        .expect("run node");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{script}: {error}: {out}{err}"))
}
