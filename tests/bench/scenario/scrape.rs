//! The cost of scraping: a hundred targets of 430 series each, every second.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::server::{self, Kind};
use crate::table::Column;
use crate::value::value;

/// One line for the reader.
pub const ABOUT: &str = "100 targets of 430 series each, every second, for 60 s";
const TARGETS: usize = 100;
const SERIES: usize = 430;
const SECONDS: u64 = 60;

/// Measures one server.
pub async fn run(kind: Kind, folder: &Path, column: &mut Column) {
    let pages = Arc::new(AtomicU64::new(0));
    let mut addresses = Vec::new();
    for number in 0..TARGETS {
        addresses.push(target(number, Arc::clone(&pages)).await);
    }
    let config = format!(
        "scrape_configs:\n- job_name: bench\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
         static_configs:\n  - targets: [{}]\n",
        addresses.join(",")
    );
    let server = server::start(kind, folder, &config).await;
    // The first scrapes register the series.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (cpu_before, pages_before) = (server.cpu_seconds(), pages.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let scraped = (pages.load(Ordering::Relaxed) - pages_before) * SERIES as u64;
    let cpu_s = server.cpu_seconds() - cpu_before;
    column.set("scraped samples/s", scraped as f64 / SECONDS as f64);
    column.set("CPU µs per scraped sample", cpu_s * 1e6 / scraped as f64);
    column.set("peak RSS, MiB", server.peak_mib());
}

/// Serves a page whose values change with each scrape; its address.
async fn target(number: usize, pages: Arc<AtomicU64>) -> String {
    let steps = AtomicU64::new(0);
    let page = move || {
        pages.fetch_add(1, Ordering::Relaxed);
        let step = steps.fetch_add(1, Ordering::Relaxed) as usize;
        let text = page(number, step);
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    let page = Arc::new(page);
    let router = Router::new().route("/metrics", get(move || page()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind a target");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The page of a target at a step.
fn page(number: usize, step: usize) -> String {
    let mut text = String::with_capacity(SERIES * 80);
    for index in 0..SERIES {
        if index % 10 == 0 {
            let family = index / 10;
            let _ = writeln!(text, "# HELP bench_scraped_{family}_total Things counted.");
            let _ = writeln!(text, "# TYPE bench_scraped_{family}_total counter");
        }
        let value = value(number * 427 + index % 427, step);
        let _ = writeln!(
            text,
            "bench_scraped_{}_total{{device=\"disk{}\",mode=\"mode-{}\"}} {value}",
            index / 10,
            index % 10,
            index % 3
        );
    }
    text
}
