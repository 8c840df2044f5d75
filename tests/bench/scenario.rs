//! What is measured: one file each, all with the same shape.

use std::path::Path;

use crate::options::Options;
use crate::server::Kind;
use crate::table::Column;

/// Ingest at saturation, disk, memory, then queries.
mod ingest;
/// Memory at a million series.
mod million;
/// The cost of new series.
mod churn;
/// The way back after a kill.
mod restart;
/// How long an acknowledgement takes.
mod latency;
/// The cost of scraping.
mod scrape;
/// Prometheus' own range-query benchmark.
mod range;
/// Answers of a million points.
mod answer;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    Ingest,
    Million,
    Churn,
    Restart,
    Latency,
    Scrape,
    Range,
    Answer,
}

impl Scenario {
    /// All, in the order of the table.
    pub const ALL: [Scenario; 8] = [
        Scenario::Ingest,
        Scenario::Million,
        Scenario::Churn,
        Scenario::Restart,
        Scenario::Latency,
        Scenario::Scrape,
        Scenario::Range,
        Scenario::Answer,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Ingest => "ingest",
            Scenario::Million => "million",
            Scenario::Churn => "churn",
            Scenario::Restart => "restart",
            Scenario::Latency => "latency",
            Scenario::Scrape => "scrape",
            Scenario::Range => "range",
            Scenario::Answer => "answer",
        }
    }

    /// One line for the reader of the table.
    pub fn about(self, options: &Options) -> String {
        match self {
            Scenario::Ingest => options.shape.about(),
            Scenario::Million => million::SHAPE.about(),
            Scenario::Churn => churn::SHAPE.about(),
            Scenario::Restart => restart::SHAPE.about(),
            Scenario::Latency => latency::ABOUT.to_owned(),
            Scenario::Scrape => scrape::ABOUT.to_owned(),
            Scenario::Range => range::ABOUT.to_owned(),
            Scenario::Answer => answer::SHAPE.about(),
        }
    }

    /// Measures the servers.
    pub async fn run(self, options: &Options) -> Vec<Column> {
        let servers = &options.servers[..];
        match self {
            Scenario::Ingest => ingest::run(servers, &options.shape).await,
            Scenario::Range => range::run(servers).await,
            Scenario::Million => one_by_one(servers, million::run).await,
            Scenario::Churn => one_by_one(servers, churn::run).await,
            Scenario::Restart => one_by_one(servers, restart::run).await,
            Scenario::Latency => one_by_one(servers, latency::run).await,
            Scenario::Scrape => one_by_one(servers, scrape::run).await,
            Scenario::Answer => one_by_one(servers, answer::run).await,
        }
    }
}

/// Measures each server in an empty folder, while no other runs.
async fn one_by_one(
    servers: &[Kind],
    measure: impl AsyncFn(Kind, &Path, &mut Column),
) -> Vec<Column> {
    let mut columns = Vec::new();
    for kind in servers {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut column = Column::new(kind.name());
        measure(*kind, folder.path(), &mut column).await;
        println!("{} done", kind.name());
        columns.push(column);
    }
    columns
}
