//! The command line: `run`, `backup`, `restore`, `check config`, `version`.
//!
//! Place in the flow: arguments → **here** → [`crate::app::App`]. Parsing touches nothing.

/// `backup`, `backup list`, `backup verify`, `restore`.
mod backups;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::app;
use crate::config::{self, Config};
use crate::roles::Roles;
use crate::telemetry;

/// Belfry's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long threads that still read may take at the end.
const THREADS_STOP: Duration = Duration::from_secs(2);

/// Belfry watches an installation from inside it: metrics, alarms, history, in one process and one
/// directory.
#[derive(Debug, Parser)]
#[command(name = "belfry", version = VERSION)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run services until told to stop (SIGTERM, SIGINT); SIGHUP reads the configuration again.
    Run(RunArguments),
    /// Copy everything durable of a data folder, of a running server too, to a folder or an S3 bucket.
    Backup(backups::BackupArguments),
    /// Make a data folder from a backup.
    Restore(backups::RestoreArguments),
    /// Look at files without starting anything.
    Check {
        #[command(subcommand)]
        what: Check,
    },
    /// Print the version.
    Version,
}

#[derive(Debug, Subcommand)]
enum Check {
    /// Read belfry.yml (or a prometheus.yml, or an alertmanager.yml) and all files it names; print
    /// every mistake.
    Config {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// What `run` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArguments {
    /// What this process does: all, or a list of collect, exporters, store, query, rules, alert, web.
    #[arg(long, value_name = "all|LIST")]
    pub services: Option<String>,
    /// The configuration file; without one Belfry watches its own host.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the page and the API are served [default: 127.0.0.1:9090].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,storage=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: String,
    /// Log lines as JSON.
    #[arg(long)]
    pub log_json: bool,
    /// Answer under /api/v1/admin too: snapshots, deletion, for the role admin.
    #[arg(long = "web.enable-admin-api")]
    pub enable_admin_api: bool,
    /// Encryption and users in Prometheus' web configuration file.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
}

/// Does what the arguments say.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = match Arguments::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version come this way too, with code 0. A closed terminal is no error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match parsed.command {
        Command::Run(arguments) => run(arguments),
        Command::Check { what: Check::Config { files } } => check_config(&files),
        Command::Backup(arguments) => backups::backup(arguments),
        Command::Restore(arguments) => backups::restore(arguments),
        Command::Version => say(&format!("belfry {VERSION}")),
    }
}

fn run(arguments: RunArguments) -> ExitCode {
    let roles = match Roles::parse(arguments.services.as_deref()) {
        Ok(roles) => roles,
        Err(message) => return fail(&message),
    };
    if let Err(message) = telemetry::init_logs(&arguments.log, arguments.log_json) {
        return fail(&message);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("start the runtime: {error}")),
    };
    let ended = runtime.block_on(app::run(arguments, roles, |text| _ = say(text)));
    // Told to stop while a long replay runs, nobody waits for the rest of it: it changes nothing.
    runtime.shutdown_timeout(THREADS_STOP);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn check_config(files: &[PathBuf]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        match config::check_file(file, &environment) {
            Ok(summary) => _ = say(&format!("{}: {summary}", file.display())),
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                code = fail(&lines.join("\n"));
            }
        }
    }
    code
}

/// The configuration that arguments name, with what the arguments override.
pub fn load(arguments: &RunArguments) -> Result<Config, String> {
    let mut config = load_file(arguments.config.as_deref())?;
    if let Some(listen) = &arguments.listen {
        config.listen =
            config::listen_address(listen).map_err(|message| format!("--listen: {message}"))?;
    }
    if let Some(data) = &arguments.data {
        config.data.clone_from(data);
    }
    config.web.enable_admin_api |= arguments.enable_admin_api;
    if let Some(file) = &arguments.web_config_file {
        config.web.access.set_config_file(file).map_err(|problems| config::lines(&problems))?;
    }
    Ok(config)
}

/// The configuration in a file; the built-in one without a file.
fn load_file(file: Option<&Path>) -> Result<Config, String> {
    let loaded = match file {
        Some(file) => config::load(file, &environment),
        None => config::embedded(),
    };
    loaded.map_err(|problems| config::lines(&problems))
}

/// The variables that configuration files may name.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn say(text: &str) -> ExitCode {
    // A closed terminal is no reason to stop watching.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
