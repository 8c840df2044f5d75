//! `belfry tsdb list|analyze|dump|dump-openmetrics|import|create-blocks-from`: a data folder, looked at
//! and filled without a server.
//!
//! Place in the flow: arguments → the folder, held meanwhile → [`storage::Store`] → text.
//!
//! A folder that a server holds is refused: it has an API of its own. Looking changes nothing but for
//! a new, empty journal segment.

/// What makes the most series.
mod analyze;
/// What recording rules would have stored.
mod backfill;
/// Samples as text.
mod dump;
/// Other servers' data into the store.
mod import;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use journal::disk::{Disk, DiskLock};
use model::clock::SystemClock;
use model::{Matcher, TimeRange, TimestampMs};
use storage::{Settings, Store};

use super::output::{bytes, table};
use super::{fail, say, times};
use crate::data_folder;

/// The folder of the store in a data folder.
const STORE_FOLDER: &str = "store";

/// What is done with a data folder.
#[derive(Debug, Clone, Subcommand)]
pub enum Tsdb {
    /// List the blocks of a data folder.
    List {
        #[command(flatten)]
        folder: Folder,
        /// Sizes and times for people.
        #[arg(short = 'r', long)]
        human_readable: bool,
        /// How the list is written.
        #[arg(short = 'o', long = "format", value_enum, default_value = "table")]
        format: Format,
    },
    /// Show what makes the most series in a data folder.
    Analyze {
        #[command(flatten)]
        folder: Folder,
        /// How many lines each list has at most.
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
        /// How the lists are written.
        #[arg(short = 'o', long = "format", value_enum, default_value = "table")]
        format: Format,
    },
    /// Print samples of a data folder, a line each.
    Dump(dump::Arguments),
    /// Print samples of a data folder as OpenMetrics text, which `import openmetrics` reads.
    DumpOpenmetrics(dump::Arguments),
    /// Put samples of another server, or of a text, into a data folder or a running server.
    Import {
        #[command(subcommand)]
        from: import::Origin,
    },
    /// Fill a data folder in promtool's words: from a text, or with what recording rules give.
    CreateBlocksFrom {
        #[command(subcommand)]
        from: import::BlocksFrom,
    },
}

/// How lists are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// JSON.
    Json,
}

/// A data folder.
#[derive(Debug, Clone, Args)]
pub struct Folder {
    /// The data folder of a server that is stopped.
    #[arg(value_name = "DIR", default_value = "belfry-data")]
    data: PathBuf,
}

/// Which samples.
#[derive(Debug, Clone, Args)]
pub struct Chosen {
    /// The first instant: RFC 3339, or milliseconds since 1970 as promtool takes them.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = milliseconds)]
    min_time: Option<TimestampMs>,
    /// The last instant: RFC 3339, or milliseconds since 1970.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = milliseconds)]
    max_time: Option<TimestampMs>,
    /// A selector; can be given several times.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
}

fn milliseconds(text: &str) -> Result<TimestampMs, String> {
    match text.parse::<i64>() {
        Ok(ms) => Ok(TimestampMs(ms)),
        Err(_) => times::instant(text),
    }
}

impl Chosen {
    /// From when to when.
    pub fn range(&self) -> Result<TimeRange, String> {
        let first = self.min_time.unwrap_or(TimestampMs::MIN);
        let last = self.max_time.unwrap_or(TimestampMs::MAX);
        let range = TimeRange::closed(first, last);
        range.ok_or_else(|| "--min-time must not be after --max-time".to_owned())
    }

    /// The selectors; one that matches everything when there is none.
    pub fn selectors(&self) -> Result<Vec<Vec<Matcher>>, String> {
        if self.selectors.is_empty() {
            return Ok(vec![Vec::new()]);
        }
        self.selectors.iter().map(|text| selector(text)).collect()
    }
}

/// A selector's matchers.
pub fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    promql::parse_selector(text).map_err(|problems| {
        problems.iter().map(|problem| problem.render(text)).collect::<Vec<_>>().join("\n")
    })
}

/// An open store and the lock on its folder.
pub struct Held {
    /// The store.
    pub store: Arc<Store>,
    _lock: DiskLock,
}

/// Opens the store of a stopped server.
pub fn open(data: &Path, settings: Settings) -> Result<Held, String> {
    let disk = Disk::real();
    let data = data_folder::find(data)?;
    let Some(lock) = data_folder::try_lock(&disk, &data)? else {
        return Err(format!(
            "{} is in use by a running server: ask the server itself (belfry query, \
             --url for imports), look at a snapshot or backup of it, or stop it",
            data.display()
        ));
    };
    let dir = data.join(STORE_FOLDER);
    let store = Store::open(disk, &dir, settings, Arc::new(SystemClock));
    let store = store.map_err(|error| format!("open the store: {error}"))?;
    Ok(Held { store, _lock: lock })
}

/// Opens a store that is there already, to look at it only.
pub fn look(data: &Path) -> Result<Held, String> {
    if !data.join(STORE_FOLDER).is_dir() {
        return Err(format!(
            "{} is no data folder: it has no folder {STORE_FOLDER:?}",
            data.display()
        ));
    }
    open(data, Settings { upkeep: false, retention_ms: 0, reserve_bytes: 0, ..Settings::default() })
}

/// Does what the arguments say.
pub fn main(what: Tsdb) -> ExitCode {
    let done = match what {
        Tsdb::List { folder, human_readable, format } => {
            list(&folder.data, human_readable, format).map(|text| say(&text))
        }
        Tsdb::Analyze { folder, limit, format } => {
            analyze::run(&folder.data, limit, format).map(|text| say(&text))
        }
        Tsdb::Dump(arguments) => dump::run(&arguments, dump::Form::Lines),
        Tsdb::DumpOpenmetrics(arguments) => dump::run(&arguments, dump::Form::OpenMetrics),
        Tsdb::Import { from } => return import::main(from),
        Tsdb::CreateBlocksFrom { from } => return import::blocks_from(from),
    };
    done.unwrap_or_else(|message| fail(&message))
}

fn list(data: &Path, human: bool, format: Format) -> Result<String, String> {
    let blocks = look(data)?.store.blocks();
    if format == Format::Json {
        let one = |own: &storage::BlockStatus| {
            serde_json::json!({"id": own.id, "level": own.level, "minTime": own.min_ms,
                "maxTime": own.max_ms, "samples": own.samples, "series": own.series,
                "tombstones": own.tombstones, "sizeBytes": own.size_bytes})
        };
        return Ok(serde_json::Value::Array(blocks.iter().map(one).collect()).to_string());
    }
    let head =
        ["BLOCK", "LEVEL", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM SERIES", "SIZE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for own in blocks {
        let time = |ms: i64| if human { times::civil(TimestampMs(ms)) } else { ms.to_string() };
        let length_ms = u64::try_from(own.max_ms - own.min_ms).unwrap_or_default();
        rows.push(vec![
            own.id,
            own.level.to_string(),
            time(own.min_ms),
            time(own.max_ms),
            model::duration::format_duration_ms(length_ms),
            own.samples.to_string(),
            own.series.to_string(),
            if human { bytes(own.size_bytes) } else { own.size_bytes.to_string() },
        ]);
    }
    Ok(table(&rows))
}
