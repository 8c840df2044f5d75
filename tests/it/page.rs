//! The page in a real browser: it loads, asks the API and shows what is watched.

use std::process::Command;

use tests::appliance::Appliance;
use tests::process::{eventually, require};

fn dump(url: &str, profile: &std::path::Path) -> String {
    let output = Command::new(require("chromium", "chromium"))
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--virtual-time-budget=8000", "--dump-dom", url])
        .output()
        .expect("run chromium");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_is_watched() {
    let folder = tempfile::tempdir().expect("folder");
    let config = "exporters:\n  host: {interval: 1s}\n  redis: [{name: gone, address: '127.0.0.1:1', interval: 1s, timeout: 1s}]\n";
    std::fs::write(folder.path().join("belfry.yml"), config).expect("write");
    let belfry =
        Appliance::start(folder.path(), &["--services", "all", "--config", "belfry.yml"]).await;
    belfry.until_value("count(node_load1)", 1.0, 30).await;
    belfry.until_value("redis_up", 0.0, 30).await;
    eventually("two scrapes for a rate", 30, async || {
        belfry.value("count_over_time(node_load1[5m]) >= 3").await
    })
    .await;
    let page = dump(&format!("{}/", belfry.url), &folder.path().join("profile"));
    for expected in ["targets watched", "node", "Alarms", "Query", "<svg viewBox=\"0 0 1000 260\""]
    {
        assert!(page.contains(expected), "{expected} in the page:\n{page}");
    }
    assert!(page.contains("mode=\"idle\""), "the chart's legend:\n{page}");
    assert!(!page.contains("Loading…"), "the page got answers:\n{page}");
}
