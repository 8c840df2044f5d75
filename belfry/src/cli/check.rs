//! `belfry check config|rules|metrics|web-config|healthy|ready|service-discovery`, as promtool has
//! them.
//!
//! Place in the flow: arguments → each verb's own file. Nothing is started; only `healthy` and
//! `ready` ask a server.
//!
//! Exit codes: 0 fine, 1 a mistake, 3 lint.

/// Files of the configuration.
mod configs;
/// Who a job would scrape.
mod discovery;
/// A page of metrics on standard input.
mod metrics;
/// Rule files.
mod rules;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::server::{Reach, Server};
use super::{block_on, fail, note, say};

/// The exit code that promtool gives when only lint found something.
const LINT_CODE: u8 = 3;

/// What is looked at.
#[derive(Debug, Clone, Subcommand)]
pub enum Check {
    /// Read belfry.yml (or a prometheus.yml, an alertmanager.yml, a rule file) and all files it names;
    /// print every mistake.
    Config(configs::Arguments),
    /// Read rule files; print every mistake. Without a file, standard input.
    Rules(rules::Arguments),
    /// Read a page of metrics from standard input and say what is unusual about its names.
    Metrics {
        /// Also print how many series each metric has.
        #[arg(long)]
        extended: bool,
    },
    /// Read web configuration files (TLS, users, tokens) and the certificates they name.
    WebConfig {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Ask whether a server is healthy.
    Healthy(Lives),
    /// Ask whether a server is ready to answer queries.
    Ready(Lives),
    /// Print the targets that a job would scrape, before and after relabelling.
    ServiceDiscovery {
        /// A belfry.yml or prometheus.yml.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The job's name.
        #[arg(value_name = "JOB")]
        job: String,
    },
}

/// Which server.
#[derive(Debug, Clone, Args)]
pub struct Lives {
    /// The server to ask.
    #[arg(long, value_name = "SERVER", default_value = "http://localhost:9090")]
    url: String,
    #[command(flatten)]
    reach: Reach,
}

/// Checks.
pub fn main(what: Check) -> ExitCode {
    match what {
        Check::Config(arguments) => configs::run(&arguments),
        Check::Rules(arguments) => rules::run(&arguments),
        Check::Metrics { extended } => metrics::run(extended),
        Check::WebConfig { files } => web_configs(&files),
        Check::Healthy(lives) => block_on(lives_at(lives, "/-/healthy")),
        Check::Ready(lives) => block_on(lives_at(lives, "/-/ready")),
        Check::ServiceDiscovery { file, job } => block_on(discovery::run(file, job)),
    }
}

async fn lives_at(lives: Lives, path: &str) -> Result<ExitCode, String> {
    let server = Server::new(&lives.url, &lives.reach).await?;
    let answer = server
        .send("GET", path, &[], Vec::new())
        .await
        .map_err(|error| format!("  FAILED: {error}"))?;
    let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
    if answer.status != 200 {
        let url = format!("{}{path}", lives.url.trim_end_matches('/'));
        return Err(format!("  FAILED: check failed: URL={url}, status={}: {text}", answer.status));
    }
    Ok(say(&format!("  SUCCESS: {text}")))
}

fn web_configs(files: &[PathBuf]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let name = file.display();
        match dashboards::access::config::check(file) {
            Ok(warnings) => {
                _ = say(&format!("{name} SUCCESS"));
                warnings.iter().for_each(|warning| note(&format!("  warning: {warning}")));
            }
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                code = fail(&format!("{name} FAILED:\n{}", lines.join("\n")));
            }
        }
    }
    code
}
