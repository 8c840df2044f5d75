//! `belfry completion` and `belfry man`: made from the definition that parses the arguments.
//!
//! Place in the flow: [`super::Arguments`] → a script on standard output, or pages in a folder.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Arguments, fail, say};

/// Prints the completion script of a shell.
pub fn completion(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "belfry", &mut script);
    // A closed terminal is no reason to complain.
    let _ = std::io::stdout().write_all(&script);
    ExitCode::SUCCESS
}

/// Writes one page per command.
pub fn man(folder: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    match written {
        Ok(()) => say(&format!("man pages are in {}", folder.display())),
        Err(error) => fail(&format!("write man pages to {}: {error}", folder.display())),
    }
}
