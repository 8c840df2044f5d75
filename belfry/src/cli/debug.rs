//! `belfry debug all|metrics`: what a running server says of itself, in one archive to hand on.
//!
//! Place in the flow: a server's pages → **here** → `debug.tar.gz`.
//!
//! The server leaves secrets out of what it tells; nothing is added to that here. A page that can't
//! be had is in the archive with the reason, so that the rest is not lost with it.
//!
//! Not here: what the pages say.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::server::{Reach, Server, refusal};
use super::{block_on, note, say};

/// What is put together.
#[derive(Debug, Clone, Subcommand)]
pub enum Debug {
    /// Everything: metrics, configuration, targets, rules, alerts, queries, store.
    All(Arguments),
    /// The metrics alone.
    Metrics(Arguments),
}

/// Which server, and where to.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The server to ask.
    #[arg(value_name = "SERVER")]
    server: String,
    /// The archive.
    #[arg(long, value_name = "FILE", default_value = "debug.tar.gz")]
    output: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

/// The metrics, by their name in the archive.
const METRICS: (&str, &str) = ("metrics.txt", "/metrics");

/// The other pages.
const PAGES: [(&str, &str); 18] = [
    ("ready.txt", "/-/ready"),
    ("buildinfo.json", "/api/v1/status/buildinfo"),
    ("runtimeinfo.json", "/api/v1/status/runtimeinfo"),
    ("config.json", "/api/v1/status/config"),
    ("flags.json", "/api/v1/status/flags"),
    ("tsdb.json", "/api/v1/status/tsdb?limit=100"),
    ("blocks.json", "/api/v1/status/tsdb/blocks"),
    ("walreplay.json", "/api/v1/status/walreplay"),
    ("tombstones.json", "/api/v1/admin/tsdb/tombstones"),
    ("features.json", "/api/v1/features"),
    ("notifications.json", "/api/v1/notifications"),
    ("queries.json", "/api/v1/queries"),
    ("targets.json", "/api/v1/targets"),
    ("rules.json", "/api/v1/rules"),
    ("alerts.json", "/api/v1/alerts"),
    ("alertmanager-status.json", "/api/v2/status"),
    ("alertmanager-alerts.json", "/api/v2/alerts"),
    ("alertmanager-groups.json", "/api/v2/alerts/groups"),
];

/// Puts it together.
pub fn main(what: Debug) -> ExitCode {
    block_on(async move {
        match what {
            Debug::All(arguments) => {
                let pages: Vec<_> = [METRICS].into_iter().chain(PAGES).collect();
                archive(&arguments, &pages).await
            }
            Debug::Metrics(arguments) => archive(&arguments, &[METRICS]).await,
        }
    })
}

async fn archive(arguments: &Arguments, pages: &[(&str, &str)]) -> Result<ExitCode, String> {
    let server = Server::new(&arguments.server, &arguments.reach).await?;
    let name = arguments.output.display();
    let failed = |error: std::io::Error| format!("write {name}: {error}");
    let mut archive = GzEncoder::new(Vec::new(), Compression::default());
    let (mut got, mut missed) = (0, 0);
    for (file, path) in pages {
        let answer = server.send("GET", path, &[], Vec::new()).await;
        let body = match answer {
            Ok(answer) if answer.status / 100 == 2 => Ok(answer.body),
            Ok(answer) => Err(refusal(&answer)),
            Err(problem) => Err(problem),
        };
        match body {
            Ok(body) => {
                got += 1;
                put(&mut archive, file, &body).map_err(failed)?;
            }
            Err(problem) => {
                missed += 1;
                note(&format!("{path}: {problem}"));
                put(&mut archive, &format!("{file}.error"), problem.as_bytes()).map_err(failed)?;
            }
        }
    }
    if got == 0 {
        return Err("no page could be had, so there is no archive".to_owned());
    }
    // The end of an archive: two empty blocks.
    archive.write_all(&[0; 2 * BLOCK_BYTES]).map_err(failed)?;
    let bytes = archive.finish().map_err(failed)?;
    std::fs::write(&arguments.output, bytes).map_err(failed)?;
    Ok(say(&format!("{name}: {got} pages, {missed} could not be had")))
}

/// What an archive is made of.
const BLOCK_BYTES: usize = 512;

/// Puts a file into an archive: a head in the form of POSIX (ustar), then the bytes in whole blocks.
fn put(archive: &mut impl Write, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut head = [0; BLOCK_BYTES];
    let size = format!("{:011o}\0", bytes.len());
    let time = format!("{now_s:011o}\0");
    for (start, field) in [
        (0, name),
        (100, "0000644\0"),
        (108, "0000000\0"),
        (116, "0000000\0"),
        (124, size.as_str()),
        (136, time.as_str()),
        // The sum is made as if spaces stood in its place.
        (148, "        "),
        (156, "0"),
        (257, "ustar\0"),
        (263, "00"),
    ] {
        head[start..start + field.len()].copy_from_slice(field.as_bytes());
    }
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.write_all(&head)?;
    archive.write_all(bytes)?;
    let rest = bytes.len().next_multiple_of(BLOCK_BYTES) - bytes.len();
    archive.write_all(&[0; BLOCK_BYTES][..rest])
}
