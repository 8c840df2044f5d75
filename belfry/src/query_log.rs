//! The query log: one line of JSON for each query that ends, or for the slow ones only.
//!
//! Place in the flow: the engine tells of each query that ends → **`QueryLog`** → a queue → its
//! thread → the file. The lines have the shape that Prometheus gives its query log, and more.
//!
//! Invariants: a query never waits for the disk; what the queue has no room for is counted as lost;
//! the file is put aside as `….1` at its largest size, so that two of them are the most.
//!
//! Not here: what runs now (query's list).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use journal::disk::{Disk, DiskFile};
use model::{Clock, TimestampMs};
use query::cost::Panel;
use query::{Finished, Language, Observer, Priority};
use serde_json::{Value, json};

/// Lines that wait for the disk.
const LINES_MAX: usize = 1024;
/// The file's largest size.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The longest query text in a line.
const TEXT_CHARS_MAX: usize = 16 * 1024;

/// What goes into the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Where; nothing is written without.
    pub file: Option<PathBuf>,
    /// Only queries that took at least this long; 0: all.
    pub slow_ms: u64,
}

/// Writes the log.
pub struct QueryLog {
    clock: Arc<dyn Clock>,
    slow_us: u64,
    lines: Mutex<Option<SyncSender<String>>>,
    lost: AtomicU64,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl QueryLog {
    /// Opens the file and starts the thread that writes it.
    pub fn start(
        disk: &Disk,
        file: &Path,
        slow_ms: u64,
        clock: &Arc<dyn Clock>,
    ) -> Result<QueryLog, String> {
        let failed = |error| format!("open the query log {}: {error}", file.display());
        let opened = open(disk, file).map_err(failed)?;
        let (lines, queue) = sync_channel(LINES_MAX);
        let (disk, path) = (disk.clone(), file.to_owned());
        let writer = std::thread::Builder::new()
            .name("query-log".to_owned())
            .spawn(move || write(&disk, &path, opened, &queue))
            .map_err(failed)?;
        Ok(QueryLog {
            clock: Arc::clone(clock),
            slow_us: slow_ms.saturating_mul(1000),
            lines: Mutex::new(Some(lines)),
            lost: AtomicU64::new(0),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Lines that were lost because the disk was too slow.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Writes what waits, and ends the thread.
    pub fn stop(&self) {
        drop(self.lines.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the query log's thread ended early");
        }
    }
}

impl Observer for QueryLog {
    fn finished(&self, finished: &Finished) {
        if finished.query.elapsed_us < self.slow_us {
            return;
        }
        let line = line(finished, self.clock.now());
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = lines.as_ref() else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = lines.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn open(disk: &Disk, file: &Path) -> std::io::Result<DiskFile> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        disk.create_dir_all(folder)?;
    }
    if disk.exists(file)? { disk.open_append(file) } else { disk.create(file) }
}

fn write(disk: &Disk, path: &Path, mut file: DiskFile, queue: &Receiver<String>) {
    let mut size_bytes = file.size_bytes().unwrap_or(0);
    let mut is_failing = false;
    while let Ok(line) = queue.recv() {
        if size_bytes + line.len() as u64 > FILE_BYTES_MAX {
            let mut aside = path.as_os_str().to_owned();
            aside.push(".1");
            let turned = disk.rename(path, Path::new(&aside)).and_then(|()| disk.create(path));
            if let Ok(fresh) = turned {
                (file, size_bytes) = (fresh, 0);
            }
        }
        size_bytes += line.len() as u64;
        let outcome = file.append(line.as_bytes());
        if let (Err(error), false) = (&outcome, is_failing) {
            tracing::warn!("write the query log {}: {error}", path.display());
        }
        is_failing = outcome.is_err();
    }
}

fn line(finished: &Finished, now: TimestampMs) -> String {
    let Finished { query, stats, failure } = finished;
    let (start, end, step_ms) = query.range;
    let seconds = |us: u64| us as f64 / 1e6;
    let text: String = query.text.chars().take(TEXT_CHARS_MAX).collect();
    let panel = Panel::of(&query.origin).unwrap_or_default();
    let mut line = json!({
        "params": {
            "query": text,
            "start": rfc3339(start),
            "end": rfc3339(end),
            "step": step_ms as f64 / 1000.0,
        },
        "language": query.language.as_str(),
        "stats": {
            "timings": {
                "execTotalTime": seconds(query.elapsed_us),
                "execQueueTime": seconds(stats.queue_us),
                "queryPreparationTime": seconds(stats.prepare_us),
                "innerEvalTime": seconds(stats.eval_us),
            },
            "samples": {
                "totalQueryableSamples": stats.samples_total,
                "peakSamples": stats.samples_peak,
            },
            "series": stats.series,
            "peakBytes": stats.bytes_peak,
        },
        "priority": match query.priority {
            Priority::Rule => "rule",
            Priority::Interactive => "interactive",
        },
        "origin": query.origin,
        "user": query.user,
        "dashboardUid": panel.dashboard,
        "panelId": panel.panel,
        "ts": rfc3339(now),
    });
    if query.language == Language::Sql
        && let Some(params) = line["params"].as_object_mut()
    {
        params.retain(|name, _| name == "query");
    }
    if let Some(failure) = failure {
        line["error"] = Value::from(failure.text.as_str());
    }
    format!("{line}\n")
}

fn rfc3339(at: TimestampMs) -> String {
    dashboards::api::status::rfc3339(at.0)
}
