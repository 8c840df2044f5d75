//! `belfry backup`, `belfry backup list`, `belfry backup verify`, `belfry restore`.
//!
//! Place in the flow: arguments → **here** → the room backup, which is handed the disk, the HTTP door
//! and the addresses that an operator wrote. The result goes to standard output, how far it is to
//! standard error.
//!
//! A data folder that a server holds is copied from a snapshot that the server makes, through its
//! admin API; one that nobody holds is held meanwhile and copied itself.
//!
//! Not here: what a backup is made of.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backup::{Address, MakeOptions, Place, Progress, RestoreOptions, S3Settings};
use clap::{Args, Subcommand, ValueEnum};
use collector::HttpClient;
use journal::disk::Disk;
use model::Clock;
use model::clock::SystemClock;
use model::http_door::{HttpDoor, HttpRequest, HttpTls};
use serde::Serialize;

use super::output::bytes as bytes_text;
use super::{VERSION, block_on, environment, fail, load_file, say};
use crate::config::Config;
use crate::data_folder;
use crate::snapshots::SNAPSHOTS_FOLDER;

/// A snapshot takes long only when its files have to be copied.
const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(600);
/// Progress is told this often.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Longest key in a file.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// What every command is told.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The configuration file, for `data`, `listen` and `backup.s3`.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How the result is written to standard output.
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
}

/// What `backup` is told.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackupArguments {
    #[command(subcommand)]
    look: Option<Look>,
    #[command(flatten)]
    make: Make,
}

/// What a new backup is told.
#[derive(Debug, Clone, Args)]
pub struct Make {
    /// Where backups are: a folder, or s3://bucket/prefix.
    #[arg(value_name = "DEST", required = true)]
    destination: Option<String>,
    /// The data folder [default: that of the configuration, else belfry-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The running server that holds the data folder [default: where the configuration listens].
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Remove the oldest backups, so that this many are left with the new one.
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Copy every file anew, also those that an earlier backup holds.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    common: Common,
}

/// Looking at backups.
#[derive(Debug, Clone, Subcommand)]
pub enum Look {
    /// Name the backups that are there, oldest first.
    List {
        /// Where backups are.
        #[arg(value_name = "DEST")]
        destination: String,
        #[command(flatten)]
        common: Common,
    },
    /// Read all of a backup and compare every checksum; ends with code 1 if something is wrong.
    Verify {
        /// Where backups are.
        #[arg(value_name = "DEST")]
        destination: String,
        /// Which one [default: the newest].
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

/// What `restore` is told.
#[derive(Debug, Clone, Args)]
pub struct RestoreArguments {
    /// Where backups are: a folder, or s3://bucket/prefix.
    #[arg(value_name = "DEST")]
    destination: String,
    /// Which one [default: the newest].
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The new data folder: empty, or not there yet.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Restore what there is of a damaged backup.
    #[arg(long)]
    accept_damage: bool,
    #[command(flatten)]
    common: Common,
}

/// A backup in a list.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    created_ms: i64,
    files: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Does what `backup` was told.
pub fn backup(arguments: BackupArguments) -> ExitCode {
    match arguments.look {
        Some(Look::List { destination, common }) => block_on(list(destination, common)),
        Some(Look::Verify { destination, name, common }) => {
            block_on(verify(destination, name, common))
        }
        None => block_on(make_one(arguments.make)),
    }
}

/// Does what `restore` was told.
pub fn restore(arguments: RestoreArguments) -> ExitCode {
    block_on(restore_one(arguments))
}

async fn make_one(make: Make) -> Result<ExitCode, String> {
    let config = load_file(make.common.config.as_deref())?;
    let data = data_folder::find(make.data.as_deref().unwrap_or(&config.data))?;
    let http = Arc::new(HttpClient::new());
    // It is required, but for the commands that only look.
    let destination = make.destination.as_deref().unwrap_or_default();
    let place = open(destination, &config, &http)?;
    let options =
        MakeOptions { keep: make.keep, full: make.full, belfry_version: VERSION.to_owned() };
    let disk = Disk::real();
    let Some(_lock) = data_folder::try_lock(&disk, &data)? else {
        let server = match &make.server {
            Some(server) => server.trim_end_matches('/').to_owned(),
            None => format!("http://{}", reachable(&config.listen)),
        };
        let snapshot = snapshot_of(&server, &http, &data).await?;
        let made = tokio::select! {
            made = back_up((&disk, &snapshot), &place, &options, make.common.output) => made,
            _ = tokio::signal::ctrl_c() => Err("interrupted: there is no new backup".to_owned()),
        };
        if let Err(error) = disk.remove_dir_all(&snapshot) {
            _ = fail(&format!("can't remove the snapshot {}: {error}", snapshot.display()));
        }
        return made;
    };
    back_up((&disk, &data), &place, &options, make.common.output).await
}

async fn back_up(
    (disk, data): (&Disk, &Path),
    place: &Place,
    options: &MakeOptions,
    output: Output,
) -> Result<ExitCode, String> {
    let teller = Teller::new("copied");
    let now = SystemClock.now();
    let made = backup::make((disk, data), place, options, now, &|own| teller.hear(own)).await;
    let made = made.map_err(|error| error.to_string())?;
    answer(output, &made, || {
        let mut lines = vec![format!(
            "backup {}: {} files, {}; copied {} files, {}",
            made.name,
            made.files,
            bytes_text(made.bytes),
            made.copied_files,
            bytes_text(made.copied_bytes)
        )];
        lines.extend(made.removed.iter().map(|name| format!("removed {name}")));
        lines.join("\n")
    });
    if made.damaged.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let list = made.damaged.join("\n  ");
    Err(format!("the data was damaged before it was copied; no old backup was removed:\n  {list}"))
}

/// Asks a running server for a snapshot; answers its folder.
async fn snapshot_of(server: &str, http: &HttpClient, data: &Path) -> Result<PathBuf, String> {
    let url = format!("{server}/api/v1/admin/tsdb/snapshot");
    let failed = |what: &str| {
        let data = data.display();
        format!(
            "{data} is in use by a running server, and its snapshot at {url} can't be had: {what}. \
             Name the server with --server, or stop it"
        )
    };
    http.allow(&url).map_err(|error| failed(&error.to_string()))?;
    let request = HttpRequest {
        method: "POST",
        url: url.clone(),
        headers: Vec::new(),
        body: Vec::new(),
        deadline: SNAPSHOT_DEADLINE,
        answer_bytes_max: 1024 * 1024,
        tls: HttpTls::default(),
        follow_redirects: false,
    };
    let answer = http.request(request).await.map_err(|error| failed(&error.to_string()))?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == 403 {
        return Err(failed(
            "its admin API is off (web.enable_admin_api: true in belfry.yml, or the flag \
             --web.enable-admin-api, turns it on)",
        ));
    }
    let name = body["data"]["name"].as_str().filter(|_| answer.status == 200);
    let name = name.ok_or_else(|| {
        let said = body["error"].as_str().unwrap_or("no word of why");
        failed(&format!("it answered {} with {said}", answer.status))
    })?;
    let is_name = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
    let snapshot = data.join(SNAPSHOTS_FOLDER).join(name);
    if !is_name || !snapshot.is_dir() {
        return Err(format!(
            "the server at {server} made a snapshot, but there is none in {}: it is the server of \
             another data folder",
            snapshot.display()
        ));
    }
    Ok(snapshot)
}

/// An address to dial for one to listen on.
pub fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}

async fn list(destination: String, common: Common) -> Result<ExitCode, String> {
    let config = load_file(common.config.as_deref())?;
    let place = open(&destination, &config, &Arc::new(HttpClient::new()))?;
    let mut all = Vec::new();
    for name in place.names().await.map_err(|error| error.to_string())? {
        all.push(match place.index(&name).await {
            Ok(index) => Listed {
                name,
                created_ms: index.created_ms,
                files: index.files.len() as u64,
                bytes: index.size_bytes(),
                error: None,
            },
            Err(error) => {
                Listed { name, created_ms: 0, files: 0, bytes: 0, error: Some(error.to_string()) }
            }
        });
    }
    answer(common.output, &all, || {
        let line = |own: &Listed| match &own.error {
            None => format!("{}  {} files, {}", own.name, own.files, bytes_text(own.bytes)),
            Some(error) => format!("{}  {error}", own.name),
        };
        all.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

async fn verify(
    destination: String,
    name: Option<String>,
    common: Common,
) -> Result<ExitCode, String> {
    let config = load_file(common.config.as_deref())?;
    let place = open(&destination, &config, &Arc::new(HttpClient::new()))?;
    let name = place.find(name.as_deref()).await.map_err(|error| error.to_string())?;
    let teller = Teller::new("read");
    let verified = backup::verify(&place, &name, &|own| teller.hear(own)).await;
    let verified = verified.map_err(|error| error.to_string())?;
    answer(common.output, &verified, || {
        let mut lines = vec![format!(
            "backup {}: {} files, {}, {}",
            verified.name,
            verified.files,
            bytes_text(verified.bytes),
            match verified.problems.len() {
                0 => "whole".to_owned(),
                count =>
                    format!("{count} problems (a new backup with --full copies every file anew)"),
            }
        )];
        lines.extend(verified.problems.iter().map(|own| format!("  {}: {}", own.path, own.what)));
        lines.join("\n")
    });
    Ok(if verified.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn restore_one(arguments: RestoreArguments) -> Result<ExitCode, String> {
    let common = &arguments.common;
    let config = load_file(common.config.as_deref())?;
    let place = open(&arguments.destination, &config, &Arc::new(HttpClient::new()))?;
    let name = place.find(arguments.name.as_deref()).await.map_err(|error| error.to_string())?;
    let disk = Disk::real();
    disk.create_dir_all(&arguments.data)
        .map_err(|error| format!("create {}: {error}", arguments.data.display()))?;
    let _lock = data_folder::lock(&disk, &arguments.data)?;
    let options = RestoreOptions { accept_damage: arguments.accept_damage };
    let teller = Teller::new("restored");
    let to = (&disk, arguments.data.as_path());
    let restored = backup::restore(&place, &name, to, &options, &|own| teller.hear(own)).await;
    let restored = restored.map_err(|error| error.to_string())?;
    answer(common.output, &restored, || {
        let mut lines = vec![format!(
            "restored {} to {}: {} files, {}",
            restored.name,
            arguments.data.display(),
            restored.files,
            bytes_text(restored.bytes)
        )];
        lines.extend(restored.problems.iter().map(|own| format!("  {}: {}", own.path, own.what)));
        lines.join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

/// The place that an operator wrote down; the HTTP door leads there and nowhere else.
fn open(destination: &str, config: &Config, http: &Arc<HttpClient>) -> Result<Place, String> {
    let text = |error: backup::Error| error.to_string();
    match Address::parse(destination).map_err(text)? {
        Address::Folder(path) => Ok(Place::folder(Disk::real(), &path)),
        Address::Bucket { bucket, prefix } => {
            let settings = s3_settings(config)?;
            let address = settings.address(&bucket).map_err(text)?;
            http.allow(&address).map_err(|error| format!("{address}: {error}"))?;
            let door = Arc::clone(http) as Arc<dyn HttpDoor>;
            Place::bucket((&bucket, &prefix), &settings, door, Arc::new(SystemClock)).map_err(text)
        }
    }
}

/// What the configuration says; the rest from the variables that other S3 programs read.
fn s3_settings(config: &Config) -> Result<S3Settings, String> {
    let mut settings = config.backup.s3.clone();
    if let Some(file) = &config.backup.secret_access_key_file {
        let bytes = Disk::real().read(file, SECRET_BYTES_MAX);
        let bytes = bytes.map_err(|error| format!("read {}: {error}", file.display()))?;
        let text =
            String::from_utf8(bytes).map_err(|_| format!("{} is no text", file.display()))?;
        settings.secret_access_key = Some(text.trim_end().to_owned());
    }
    let first = |names: &[&str]| {
        names.iter().find_map(|name| environment(name).filter(|text| !text.is_empty()))
    };
    // A key of one and a secret of the other place would never fit.
    if settings.access_key_id.is_none() && settings.secret_access_key.is_none() {
        settings.access_key_id = first(&["AWS_ACCESS_KEY_ID"]);
        settings.secret_access_key = first(&["AWS_SECRET_ACCESS_KEY"]);
        settings.session_token = first(&["AWS_SESSION_TOKEN"]);
    }
    let S3Settings { region, endpoint, .. } = &mut settings;
    *region = region.take().or_else(|| first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
    *endpoint = endpoint.take().or_else(|| first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
    Ok(settings)
}

fn answer(output: Output, result: &impl Serialize, text: impl FnOnce() -> String) {
    let text = match output {
        Output::Text => text(),
        Output::Json => serde_json::to_string(result).expect("plain fields become JSON"),
    };
    _ = say(&text);
}

/// Tells how far it is, now and then.
struct Teller {
    what: &'static str,
    last: Mutex<Instant>,
}

impl Teller {
    fn new(what: &'static str) -> Teller {
        Teller { what, last: Mutex::new(Instant::now()) }
    }

    fn hear(&self, progress: &Progress) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < TELL_EVERY {
            return;
        }
        *last = Instant::now();
        let Progress { files, files_total, bytes, bytes_total } = progress;
        let (bytes, bytes_total) = (bytes_text(*bytes), bytes_text(*bytes_total));
        _ = fail(&format!(
            "{} {files} of {files_total} files, {bytes} of {bytes_total}",
            self.what
        ));
    }
}
