//! Python programs that tests talk to, from the venv that `cargo xtask python` makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Process, eventually, free_port};
use crate::servers::{Server, accepts};

/// A program of the venv, such as `python3` or `moto_server`.
pub fn program(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(home).expect("XDG_CACHE_HOME or HOME");
    let path = cache.join("belfry/python/bin").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask python`", path.display());
    path
}

/// An S3 server that keeps everything in memory.
pub async fn s3(folder: &Path) -> Server {
    let port = free_port();
    let mut command = Command::new(program("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let process = Process::start("moto", &mut command, folder);
    let what = format!("the S3 server accepts connections on port {port}");
    eventually(&what, 60, async || accepts(port).await.then_some(())).await;
    Server { process, port }
}
