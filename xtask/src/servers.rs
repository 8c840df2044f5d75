//! The real servers that tests and benchmarks talk to, from Debian's packages.
//!
//! As root, what is missing is installed with apt and a service that the package starts by itself is
//! not started: tests start their own on free ports and stop them. Without root this says what to
//! install.

use std::path::Path;
use std::process::Command;

use crate::tree;

/// A program and the package that brings it.
pub struct Server {
    /// Where Debian puts it: a path, in which `*` stands for any version, or a name in PATH.
    program: &'static str,
    package: &'static str,
}

/// What the tests need.
pub const FOR_TESTS: [Server; 13] = [
    Server { program: "/usr/lib/postgresql/*/bin/postgres", package: "postgresql" },
    Server { program: "redis-server", package: "redis-server" },
    Server { program: "haproxy", package: "haproxy" },
    Server { program: "prometheus", package: "prometheus" },
    Server { program: "prometheus-node-exporter", package: "prometheus-node-exporter" },
    Server { program: "amtool", package: "prometheus-alertmanager" },
    Server { program: "/usr/lib/python3/dist-packages/aiosmtpd", package: "python3-aiosmtpd" },
    Server { program: "openssl", package: "openssl" },
    Server { program: "curl", package: "curl" },
    Server { program: "chromium", package: "chromium" },
    Server { program: "python3", package: "python3-venv" },
    Server { program: "node", package: "nodejs" },
    Server { program: "npm", package: "npm" },
];

/// What the benchmark needs.
pub const FOR_BENCH: [Server; 2] = [
    Server { program: "prometheus", package: "prometheus" },
    Server { program: "victoria-metrics", package: "victoria-metrics" },
];

/// Installs what is missing, or says what to install.
pub fn ensure(servers: &[Server]) -> Result<(), String> {
    let missing: Vec<&str> =
        servers.iter().filter(|server| !is_there(server)).map(|server| server.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !is_root() {
        return Err(format!("the tests talk to real servers; install them first:\n  sudo {line}"));
    }
    println!("installing {}", missing.join(" "));
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments)
}

fn is_there(server: &Server) -> bool {
    if let Some((folder, rest)) = server.program.split_once("/*/") {
        let versions = std::fs::read_dir(folder).into_iter().flatten().flatten();
        return versions.map(|version| version.path().join(rest)).any(|path| path.exists());
    }
    if server.program.starts_with('/') {
        return Path::new(server.program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(server.program).is_file())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    // In runlevel 1 Debian's packages do not start the services that they bring.
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .stdout(std::process::Stdio::null())
        .current_dir(tree::root())
        .status()
        .map_err(|error| format!("start apt-get: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`apt-get {}` ended with {status}", arguments.join(" ")))
    }
}
