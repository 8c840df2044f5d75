//! The command line: `run` and the tools around it, each in a file of its own.
//!
//! Place in the flow: arguments → **here** → [`crate::app::App`], or one of the tools. Parsing touches
//! nothing. Completion and man pages are made from the same definition.

/// `backup`, `backup list`, `backup verify`, `restore`.
mod backups;
/// `check config`, `check rules`, `check metrics` …
mod check;
/// `query instant`, `query range` …
mod query;
/// `promql format`, `promql check` …
mod promql;
/// `tsdb list`, `tsdb dump`, `tsdb import` …
mod tsdb;
/// `push metrics`.
mod push;
/// `debug all`, `debug metrics`.
mod debug;
/// `grafana export`.
mod grafana;
/// Shell completion and man pages.
mod pages;
/// A server that a command asks.
mod server;
/// Instants and durations.
mod times;
/// Tables, quoting, JSON.
mod output;

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
    /// Look at files and servers without starting anything.
    Check {
        #[command(subcommand)]
        what: check::Check,
    },
    /// Ask a running server; any that speaks Prometheus' HTTP API.
    Query {
        #[command(subcommand)]
        what: query::Query,
    },
    /// Look at PromQL expressions without data.
    Promql {
        #[command(subcommand)]
        what: promql::Promql,
    },
    /// Look at a data folder, and put other servers' data into one.
    Tsdb {
        #[command(subcommand)]
        what: tsdb::Tsdb,
    },
    /// Send metrics to a server.
    Push {
        #[command(subcommand)]
        what: push::Push,
    },
    /// Put together what a running server says of itself.
    Debug {
        #[command(subcommand)]
        what: debug::Debug,
    },
    /// Make files for Grafana.
    Grafana {
        #[command(subcommand)]
        what: grafana::Grafana,
    },
    /// Print the completion script of a shell.
    Completion {
        /// The shell.
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write the man pages to a folder.
    Man {
        /// The folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print the version.
    Version,
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
        Command::Check { what } => check::main(what),
        Command::Query { what } => query::main(what),
        Command::Promql { what } => promql::main(what),
        Command::Tsdb { what } => tsdb::main(what),
        Command::Push { what } => push::main(what),
        Command::Debug { what } => debug::main(what),
        Command::Grafana { what } => grafana::main(what),
        Command::Completion { shell } => pages::completion(shell),
        Command::Man { folder } => pages::man(&folder),
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
    match config.open_door() {
        Some(problem) => Err(problem.to_string()),
        None => Ok(config),
    }
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
    note(text);
    ExitCode::FAILURE
}

/// Tells something beside the result.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs a command until it ends or is interrupted.
fn block_on(command: impl Future<Output = Result<ExitCode, String>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("start the runtime: {error}")),
    };
    match runtime.block_on(command) {
        Ok(code) => code,
        Err(message) => fail(&message),
    }
}
