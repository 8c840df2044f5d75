//! The one binary's entry: parse the command line, do what it says, end with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    belfry::cli::main(std::env::args_os())
}
