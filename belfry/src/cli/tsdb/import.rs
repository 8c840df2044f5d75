//! `belfry tsdb import prometheus|openmetrics`: other servers' data into a data folder, or by remote
//! write into a running server.
//!
//! Place in the flow: the room [`import`] gives batches → the store of a stopped server, or
//! `POST /api/v1/write`.
//!
//! The store takes old samples then: its window for late ones is without end and nothing is too old.
//! What is there already is ignored, so an import that was interrupted is simply done again. A running
//! server keeps its own limits; what it refuses is counted.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ::import::openmetrics::Pages;
use ::import::prometheus::Batches;
use ::import::{Options, Progress, remote_write};
use clap::{Args, Subcommand};
use journal::disk::Disk;
use model::append::{Appended, Column, RefusedReason, SeriesKey};
use model::{Append, AppendError, Batch, Labels, Refused};
use storage::Settings;

use super::{Chosen, Held, backfill, open};
use crate::cli::server::{Reach, Server, refusal};
use crate::cli::{block_on, note, say};

/// Progress is told this often.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// How often a batch is offered again when the other side can't take it for now.
const TRIES_MAX: u32 = 30;
/// The wait between two tries, at most.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Damage that is told; the rest is counted.
const DAMAGE_SHOWN_MAX: usize = 50;
/// How late a sample may be: longer than there are computers.
const WINDOW_MS: i64 = 200 * 365 * 86_400_000;

/// Where samples come from.
#[derive(Debug, Clone, Subcommand)]
pub enum Origin {
    /// A Prometheus data directory (or a snapshot of one): blocks and write-ahead log. Stop Prometheus
    /// first.
    Prometheus {
        /// The directory that --storage.tsdb.path names.
        #[arg(value_name = "DIR")]
        source: PathBuf,
        #[command(flatten)]
        into: Target,
    },
    /// An OpenMetrics text with a time behind every sample.
    Openmetrics {
        /// The file; `-` reads standard input.
        #[arg(value_name = "FILE")]
        source: PathBuf,
        #[command(flatten)]
        into: Target,
    },
}

/// What blocks are made from.
#[derive(Debug, Clone, Subcommand)]
pub enum BlocksFrom {
    /// An OpenMetrics text with a time behind every sample.
    Openmetrics {
        /// The file; `-` reads standard input.
        #[arg(value_name = "FILE")]
        source: PathBuf,
        /// The data folder.
        #[arg(value_name = "DIR", default_value = "belfry-data")]
        data: PathBuf,
    },
    /// Recording rules, evaluated by a running server over a time when they were not there.
    Rules(backfill::Arguments),
}

/// Where samples go, and which.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The data folder of a server that is stopped; it is created when it is not there.
    #[arg(long, value_name = "DIR", default_value = "belfry-data", conflicts_with = "url")]
    data: PathBuf,
    /// A running server that takes remote write, such as http://localhost:9090.
    #[arg(long, value_name = "SERVER")]
    url: Option<String>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    chosen: Chosen,
}

/// What became of the samples.
#[derive(Debug, Default)]
pub(super) struct Tally {
    accepted: u64,
    refused: u64,
    /// The first refusal, in words.
    example: Option<String>,
    damage: usize,
}

/// Where batches go.
pub(super) enum Goal {
    Folder(Held),
    Server(Box<Server>),
}

/// Imports.
pub fn main(from: Origin) -> ExitCode {
    block_on(async move {
        match from {
            Origin::Prometheus { source, into } => prometheus(source, into).await,
            Origin::Openmetrics { source, into } => openmetrics(source, into).await,
        }
    })
}

/// Fills a folder.
pub fn blocks_from(from: BlocksFrom) -> ExitCode {
    let (source, data) = match from {
        BlocksFrom::Openmetrics { source, data } => (source, data),
        BlocksFrom::Rules(arguments) => return backfill::main(arguments),
    };
    let chosen = Chosen { min_time: None, max_time: None, selectors: Vec::new() };
    block_on(async move {
        let options = options(&chosen)?;
        let goal = Goal::folder(data)?;
        text(source, options, goal).await
    })
}

fn options(chosen: &Chosen) -> Result<Options, String> {
    let mut selectors = chosen.selectors()?;
    if selectors.len() > 1 {
        return Err("an import takes one --match; import twice for two of them".to_owned());
    }
    Ok(Options { range: chosen.range()?, matchers: selectors.pop().unwrap_or_default() })
}

async fn prometheus(source: PathBuf, into: Target) -> Result<ExitCode, String> {
    let options = options(&into.chosen)?;
    let folder =
        ::import::Folder::open(&Disk::real(), &source).map_err(|error| error.to_string())?;
    let (blocks, samples) = folder.size();
    let log = if folder.has_log() { " and a write-ahead log" } else { "" };
    note(&format!("{}: {blocks} blocks with {samples} samples{log}", source.display()));
    let goal = Goal::new(into).await?;
    let mut batches = folder.batches(options);
    let (mut tally, mut teller) = (Tally::default(), Teller::new());
    loop {
        // Reading and unpacking are the larger half of the work; they must not hold up the store.
        let (next, own) = tokio::task::spawn_blocking(move || (batches.next(), batches))
            .await
            .map_err(|error| format!("read {}: {error}", source.display()))?;
        batches = own;
        tell_damage(&mut tally, &mut batches);
        let Some(batch) = next else { break };
        goal.take(batch, &mut tally).await?;
        teller.tell(batches.progress());
    }
    goal.finish(&tally).await
}

fn tell_damage(tally: &mut Tally, batches: &mut Batches) {
    for text in batches.take_damage() {
        tally.damage += 1;
        if tally.damage <= DAMAGE_SHOWN_MAX {
            note(&text);
        }
    }
}

async fn openmetrics(source: PathBuf, into: Target) -> Result<ExitCode, String> {
    let options = options(&into.chosen)?;
    let goal = Goal::new(into).await?;
    text(source, options, goal).await
}

async fn text(source: PathBuf, options: Options, goal: Goal) -> Result<ExitCode, String> {
    let name = source.display().to_string();
    let input: Box<dyn std::io::Read + Send> = if name == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(&source).map_err(|error| format!("open {name}: {error}"))?)
    };
    let mut pages = Pages::new(input, options);
    let (mut tally, mut teller) = (Tally::default(), Teller::new());
    loop {
        let (next, own) = tokio::task::spawn_blocking(move || (pages.next(), pages))
            .await
            .map_err(|error| format!("read {name}: {error}"))?;
        pages = own;
        let Some(batch) = next else { break };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                _ = goal.finish(&tally).await?;
                return Err(format!("{name}: {error}; the lines before it are stored"));
            }
        };
        goal.take(batch, &mut tally).await?;
        teller.tell(pages.progress());
    }
    goal.finish(&tally).await
}

impl Goal {
    async fn new(into: Target) -> Result<Goal, String> {
        match &into.url {
            Some(url) => Ok(Goal::Server(Box::new(Server::new(url, &into.reach).await?))),
            None => Goal::folder(into.data),
        }
    }

    /// A data folder, held until the end.
    pub(super) fn folder(data: PathBuf) -> Result<Goal, String> {
        let data = crate::data_folder::prepare(&data)?;
        let settings = Settings {
            out_of_order_window_ms: WINDOW_MS,
            retention_ms: 0,
            retention_bytes_max: 0,
            ..Settings::default()
        };
        open(&data, settings).map(Goal::Folder)
    }

    /// Takes a batch.
    pub(super) async fn take(&self, batch: Batch, tally: &mut Tally) -> Result<(), String> {
        match self {
            Goal::Folder(held) => into_store(held, batch, tally).await,
            Goal::Server(server) => into_server(server, &batch, tally).await,
        }
    }

    /// Makes what was taken durable in blocks, and tells what became of everything.
    pub(super) async fn finish(self, tally: &Tally) -> Result<ExitCode, String> {
        if let Goal::Folder(held) = self {
            let flushed = tokio::task::spawn_blocking(move || {
                held.store.flush().and_then(|()| held.store.close())
            });
            let flushed = flushed.await.map_err(|error| format!("write blocks: {error}"))?;
            flushed.map_err(|error| format!("write blocks: {error}"))?;
        }
        let Tally { accepted, refused, example, damage } = tally;
        let mut text = format!("imported {accepted} samples");
        if *refused > 0 {
            let example = example.as_deref().unwrap_or_default();
            text.push_str(&format!(", {refused} were refused, such as: {example}"));
        }
        if *damage > 0 {
            text.push_str(&format!(", {damage} damaged parts were skipped"));
        }
        _ = say(&text);
        Ok(if *damage > 0 || *refused > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Puts a batch into the store. The store looks only so far for a duplicate of an old sample; what it
/// refuses for that is offered again in smaller batches.
async fn into_store(held: &Held, batch: Batch, tally: &mut Tally) -> Result<(), String> {
    let mut waiting = vec![batch];
    while let Some(batch) = waiting.pop() {
        let appended = append(held, &batch).await?;
        tally.accepted += appended.accepted + appended.histograms_accepted;
        let too_old =
            |own: &Refused| own.reason == RefusedReason::TooOld && own.column == Column::Samples;
        let again: Vec<Refused> = appended.refused.iter().copied().filter(too_old).collect();
        let smaller = halves(&batch, &again);
        let is_final = smaller.is_empty();
        waiting.extend(smaller);
        let refused = appended.refused.iter().filter(|own| own.column != Column::Exemplars);
        for refused in refused.filter(|own| is_final || !too_old(own)) {
            tally.refused += 1;
            tally
                .example
                .get_or_insert_with(|| format!("{} at {}", refused.reason.message(), refused.at));
        }
    }
    Ok(())
}

async fn append(held: &Held, batch: &Batch) -> Result<Appended, String> {
    for attempt in 0.. {
        match held.store.append(batch.clone()).await {
            Ok(appended) => return Ok(appended),
            // Memory is full until the flush that is under way has ended.
            Err(AppendError::Unavailable { .. }) if attempt < TRIES_MAX => wait(attempt).await,
            Err(error) => return Err(format!("store samples: {error}")),
        }
    }
    unreachable!("the loop only ends with an answer")
}

/// The refused samples in two batches; none when they are of a single series.
fn halves(batch: &Batch, refused: &[Refused]) -> Vec<Batch> {
    let wanted: HashSet<(u32, i64)> = refused.iter().map(|own| (own.series.0, own.at.0)).collect();
    let mut series: Vec<u32> = wanted.iter().map(|(series, _)| *series).collect();
    series.sort_unstable();
    series.dedup();
    if series.len() < 2 {
        return Vec::new();
    }
    let middle = series[series.len() / 2];
    let half = |is_first: bool| {
        let mut smaller = Batch::new();
        let mut last = None;
        for sample in batch.samples() {
            let number = sample.series.0;
            if (number < middle) != is_first || !wanted.contains(&(number, sample.at.0)) {
                continue;
            }
            let series = match last {
                Some((own, series)) if own == number => series,
                _ => match batch.key(sample.series) {
                    SeriesKey::Known(id) => smaller.known_series(id),
                    SeriesKey::Labels { text, ends } => {
                        let Some(labels) = Labels::from_parts(text, ends) else { continue };
                        smaller.series(&labels)
                    }
                },
            };
            last = Some((number, series));
            smaller.sample(series, sample.at, sample.value);
        }
        smaller
    };
    vec![half(true), half(false)]
}

async fn into_server(server: &Server, batch: &Batch, tally: &mut Tally) -> Result<(), String> {
    let Some(body) = remote_write::encode(batch) else { return Ok(()) };
    let count = (batch.samples().len() + batch.histograms().len()) as u64;
    for attempt in 0.. {
        let answer =
            server.send("POST", "/api/v1/write", &remote_write::HEADERS, body.clone()).await?;
        match answer.status {
            200..=299 => {
                tally.accepted += count;
                return Ok(());
            }
            400 => {
                // Some or all of it was refused; the answer does not say how many of each.
                let text = String::from_utf8_lossy(&answer.body);
                tally.refused += count;
                tally.example.get_or_insert_with(|| {
                    text.lines().next().unwrap_or_default().chars().take(200).collect()
                });
                return Ok(());
            }
            429 | 500..=599 if attempt < TRIES_MAX => wait(attempt).await,
            _ => return Err(refusal(&answer)),
        }
    }
    unreachable!("the loop only ends with an answer")
}

async fn wait(attempt: u32) {
    let wait = Duration::from_millis(50) * 2_u32.saturating_pow(attempt.min(10));
    tokio::time::sleep(wait.min(WAIT_MAX)).await;
}

/// Tells how far it is, now and then.
struct Teller {
    last: Instant,
}

impl Teller {
    fn new() -> Teller {
        Teller { last: Instant::now() }
    }

    fn tell(&mut self, progress: &Progress) {
        if self.last.elapsed() >= TELL_EVERY {
            self.last = Instant::now();
            note(&format!("{}: {} samples so far", progress.place, progress.samples));
        }
    }
}
