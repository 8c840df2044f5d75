//! `belfry tsdb dump` and `dump-openmetrics`: samples of a data folder as text.
//!
//! Place in the flow: the store, some series at a time → a line per sample on standard output.
//!
//! The lines of `dump` are promtool's: labels, value, milliseconds. OpenMetrics text has no form for
//! native histograms; those are counted and left out.

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use clap::Args;
use model::sample::{format_value, is_stale_nan};
use model::{Labels, TimeRange, TimestampMs};
use storage::{SeriesEntry, Store, Want};

use super::{Chosen, Folder, look};
use crate::cli::output::quoted;
use crate::cli::{note, times};

/// Series that are read at once.
const SERIES_AT_ONCE: usize = 512;

/// What `dump` is told.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    chosen: Chosen,
}

/// How a sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As promtool does.
    Lines,
    /// As OpenMetrics text.
    OpenMetrics,
}

/// Prints the samples.
pub fn run(arguments: &Arguments, form: Form) -> Result<ExitCode, String> {
    let (range, selectors) = (arguments.chosen.range()?, arguments.chosen.selectors()?);
    let held = look(&arguments.folder.data)?;
    let mut entries = Vec::new();
    for matchers in &selectors {
        let found = held.store.series(matchers, range, 0);
        entries.extend(found.map_err(|error| format!("find series: {error}"))?);
    }
    if selectors.len() > 1 {
        entries.sort_by(|one, other| (&one.labels, one.id).cmp(&(&other.labels, other.id)));
        entries.dedup();
    }
    let mut out = Out { out: BufWriter::new(std::io::stdout()), form, left_out: 0 };
    let written = entries
        .chunks(SERIES_AT_ONCE)
        .try_for_each(|some| portion(&held.store, some, range, &mut out));
    match written.and_then(|()| out.finish()) {
        // Whoever reads has seen enough.
        Err(Trouble::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(Trouble::Output(error)) => return Err(format!("write: {error}")),
        Err(Trouble::Store(error)) => return Err(error),
        Ok(()) => {}
    }
    if out.left_out > 0 {
        let count = out.left_out;
        note(&format!("{count} native histograms and stale markers have no form in this text"));
    }
    Ok(ExitCode::SUCCESS)
}

enum Trouble {
    Output(std::io::Error),
    Store(String),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Trouble {
        Trouble::Output(error)
    }
}

struct Out<W> {
    out: W,
    form: Form,
    left_out: u64,
}

impl<W: Write> Out<W> {
    fn value(&mut self, labels: &str, at: TimestampMs, value: f64) -> Result<(), Trouble> {
        match self.form {
            Form::Lines => writeln!(self.out, "{labels} {} {}", format_value(value), at.0)?,
            Form::OpenMetrics if is_stale_nan(value) => self.left_out += 1,
            Form::OpenMetrics => {
                writeln!(self.out, "{labels} {} {}", format_value(value), times::seconds(at))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        if self.form == Form::OpenMetrics {
            writeln!(self.out, "# EOF")?;
        }
        Ok(self.out.flush()?)
    }
}

fn portion<W: Write>(
    store: &Store,
    entries: &[SeriesEntry],
    range: TimeRange,
    out: &mut Out<W>,
) -> Result<(), Trouble> {
    let failed = |error: storage::Error| Trouble::Store(format!("read samples: {error}"));
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let mut beside = store.beside(&ids, range).map_err(failed)?;
    let mut next = beside.next().transpose().map_err(failed)?;
    // Readers give series in the order they are stored in; text wants the order of labels.
    let mut values: Vec<(Vec<i64>, Vec<f64>)> = vec![Default::default(); entries.len()];
    for mut reader in store.read(&ids, range, Want::All, 1).map_err(failed)? {
        while let Some(slice) = reader.next_series() {
            values[slice.position] = (slice.instants_ms.to_vec(), slice.values.to_vec());
        }
        reader.warnings().iter().for_each(|warning| note(warning));
    }
    for (position, (entry, (instants, numbers))) in entries.iter().zip(values).enumerate() {
        let labels = match out.form {
            Form::Lines => braced(&entry.labels),
            Form::OpenMetrics => open_metrics(&entry.labels),
        };
        for (at, value) in instants.into_iter().zip(numbers) {
            out.value(&labels, TimestampMs(at), value)?;
        }
        while let Some(own) = next.take_if(|own| own.position <= position) {
            for (at, histogram) in &own.histograms {
                match out.form {
                    Form::Lines => writeln!(out.out, "{labels} {histogram} {}", at.0)?,
                    Form::OpenMetrics => out.left_out += 1,
                }
            }
            next = beside.next().transpose().map_err(failed)?;
        }
    }
    Ok(())
}

/// `{__name__="up", job="a"}`
fn braced(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// `up{job="a"}`; names that are no classic ones stand in quotes.
fn open_metrics(labels: &Labels) -> String {
    let escaped = |text: &str| {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    };
    let name = labels.metric_name();
    let is_classic = model::labels::is_metric_name(name);
    let mut parts = Vec::new();
    if !is_classic {
        parts.push(escaped(name));
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != model::labels::METRIC_NAME) {
        let label = match model::labels::is_label_name(label) {
            true => label.to_owned(),
            false => escaped(label),
        };
        parts.push(format!("{label}={}", escaped(value)));
    }
    let name = if is_classic { name } else { "" };
    if parts.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", parts.join(",")) }
}
