//! Starting programs and telling how they ended.

use std::path::Path;
use std::process::Command;

/// The cargo that runs us.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Runs a program in the workspace, its output going to ours. The error says what was run.
pub fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<(), String> {
    let line = format!("{program} {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .status()
        .map_err(|error| format!("start `{line}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` ended with {status}")) }
}

/// Runs a program and returns what it printed.
pub fn output(program: &str, arguments: &[&str], folder: &Path) -> Result<String, String> {
    let line = format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .map_err(|error| format!("start `{line}`: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{line}` ended with {}: {text}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("`{line}` printed no text: {error}"))
}
