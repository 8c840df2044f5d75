//! `belfry push metrics`: pages of metrics into any server that takes remote write, as promtool does.
//!
//! Place in the flow: files or standard input → the collector's reader of pages → **`Sending`** →
//! `POST` to the address of the server's remote write.
//!
//! Samples without a time have that of the push. A page is sent in portions, so one that breaks off
//! in the middle has been sent up to there; each file says what became of it.
//!
//! Not here: the formats (collector), the protobuf message (import).

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Subcommand};
use collector::push::import::ImportOptions;
use collector::push::{Receiver, ReceiverParts};
use import::remote_write;
use model::clock::SystemClock;
use model::{Append, AppendError, Appended, Batch, BoxFuture};

use super::server::{Reach, Server, refusal};
use super::{block_on, fail, say};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What is pushed.
#[derive(Debug, Clone, Subcommand)]
pub enum Push {
    /// Send pages of metrics by remote write.
    Metrics(Arguments),
}

/// What `push metrics` is told.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Where the server takes remote write, such as http://localhost:9090/api/v1/write.
    #[arg(value_name = "URL")]
    url: String,
    /// The pages; without one, standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A label of every series; can be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE", default_value = "job=promtool")]
    labels: Vec<String>,
    #[command(flatten)]
    reach: Reach,
}

/// Pushes.
pub fn main(what: Push) -> ExitCode {
    let Push::Metrics(arguments) = what;
    block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let labels = arguments.labels.iter().map(|text| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("--label {text:?} needs NAME=VALUE")),
    });
    let options =
        ImportOptions { extra_labels: labels.collect::<Result<_, _>>()?, ..Default::default() };
    let server = Arc::new(Server::new(&arguments.url, &arguments.reach).await?);
    let inputs: Vec<Option<&PathBuf>> = match arguments.files.is_empty() {
        true => vec![None],
        false => arguments.files.iter().map(Some).collect(),
    };
    let mut code = ExitCode::SUCCESS;
    for file in inputs {
        let name = match file {
            Some(file) => format!("metric file {}", file.display()),
            None => "standard input".to_owned(),
        };
        _ = say(&format!("Parsing {name}"));
        match one(file, options.clone(), &server).await {
            Ok(samples) => {
                _ = say(&format!("  SUCCESS: {name} pushed to remote write: {samples} samples"));
            }
            Err(problem) => code = fail(&format!("  FAILED: {problem}")),
        }
    }
    Ok(code)
}

/// Sends one page; how many samples it had.
async fn one(
    file: Option<&PathBuf>,
    options: ImportOptions,
    server: &Arc<Server>,
) -> Result<u64, String> {
    let sending = Arc::new(Sending { server: Arc::clone(server), problem: Mutex::default() });
    let receiver = Receiver::new(ReceiverParts {
        append: Arc::clone(&sending) as Arc<dyn Append>,
        clock: Arc::new(SystemClock),
        // Nothing is remembered from one portion to the next.
        seed: 0,
        cache_bytes_max: 0,
    });
    let mut import = receiver.import(options);
    let mut outcome = Ok(());
    let mut input = open(file)?;
    while outcome.is_ok() {
        let (piece, rest) = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::new();
            let taken = input.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
            (taken.map(|_| piece), input)
        })
        .await
        .map_err(|error| format!("read the page: {error}"))?;
        input = rest;
        let piece = piece.map_err(|error| format!("read the page: {error}"))?;
        if piece.is_empty() {
            outcome = import.finish().await;
            break;
        }
        outcome = import.write(&piece).await;
    }
    let answer = import.answer(outcome);
    match sending.problem.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(problem) => Err(problem),
        None if answer.status == 204 => Ok(answer.written.samples),
        None => Err(answer.text),
    }
}

fn open(file: Option<&PathBuf>) -> Result<Box<dyn Read + Send>, String> {
    let Some(file) = file else { return Ok(Box::new(std::io::stdin())) };
    let opened = std::fs::File::open(file);
    Ok(Box::new(opened.map_err(|error| format!("open {}: {error}", file.display()))?))
}

/// Sends what it is given.
struct Sending {
    server: Arc<Server>,
    /// What the server had against it.
    problem: Mutex<Option<String>>,
}

impl Append for Sending {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let (accepted, series) = (batch.samples().len() as u64, batch.series_count());
            match send(&self.server, &batch).await {
                Ok(()) => Ok(Appended { accepted, ids: vec![None; series], ..Appended::default() }),
                Err(problem) => {
                    let reason = problem.clone();
                    *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
                    Err(AppendError::Unavailable { reason })
                }
            }
        })
    }
}

async fn send(server: &Server, batch: &Batch) -> Result<(), String> {
    let Some(body) = remote_write::encode(batch) else { return Ok(()) };
    let answer = server.send("POST", "", &remote_write::HEADERS, body).await?;
    if answer.status / 100 == 2 {
        return Ok(());
    }
    Err(refusal(&answer))
}
