//! kill -9 while it ingests, 50 times: every sample that was answered 2xx, and every sample that a
//! scrape had committed (it was visible to a query), is there after the restart. Told to stop while it
//! starts, it ends in time and loses nothing either.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tests::appliance::Appliance;
use tests::http;
use tests::process::eventually;
use tests::remote_write::{self, TimeSeries};

const KILLS: u64 = 50;
const WRITERS: u64 = 2;
const SERIES: u64 = 20;

/// Series → milliseconds → value.
type Samples = BTreeMap<String, BTreeMap<i64, f64>>;

/// Writes as fast as it is answered, until told to stop; what was answered 2xx goes into `acked`.
async fn write(
    url: String,
    writer: u64,
    next: Arc<AtomicU64>,
    acked: Arc<Mutex<Samples>>,
    stop: Arc<AtomicBool>,
) {
    let client = http::client();
    while !stop.load(Ordering::SeqCst) {
        let at_ms = now_ms();
        let value = next.fetch_add(1, Ordering::SeqCst) as f64 + 0.1;
        let series: Vec<TimeSeries> = (0..SERIES)
            .map(|index| {
                let labels = [("writer", writer.to_string()), ("series", index.to_string())];
                let labels = [("writer", labels[0].1.as_str()), ("series", labels[1].1.as_str())];
                TimeSeries::new("pushed", &labels, vec![(at_ms, value)])
            })
            .collect();
        let answer = remote_write::post(&client, &url, remote_write::encode(&series)).await;
        if let Some((204, _)) = answer {
            let mut acked = acked.lock().expect("acked");
            for index in 0..SERIES {
                acked.entry(format!("{writer}/{index}")).or_default().insert(at_ms, value);
            }
        }
        // The next request gets a later millisecond.
        while now_ms() == at_ms {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("fits")
}

/// All raw samples of a selector in the last ten minutes.
async fn stored(
    belfry: &Appliance,
    selector: &str,
    key: impl Fn(&serde_json::Value) -> String,
) -> Samples {
    let mut samples = Samples::new();
    for series in belfry.query(&format!("{selector}[10m]")).await {
        let points = series["values"].as_array().expect("values").iter().map(|point| {
            let at_ms = (point[0].as_f64().expect("time") * 1000.0).round() as i64;
            let value: f64 = point[1].as_str().expect("text").parse().expect("number");
            (at_ms, value)
        });
        samples.entry(key(&series["metric"])).or_default().extend(points);
    }
    samples
}

fn check_nothing_lost(expected: &Samples, stored: &Samples, what: &str) {
    for (series, samples) in expected {
        let found = stored.get(series).unwrap_or_else(|| panic!("{what}: series {series} is gone"));
        for (at_ms, value) in samples {
            assert_eq!(found.get(at_ms), Some(value), "{what}: {series} at {at_ms}");
        }
    }
}

async fn pushed(belfry: &Appliance) -> Samples {
    stored(belfry, "pushed", |metric| {
        let text = |name: &str| metric[name].as_str().expect("label").to_owned();
        format!("{}/{}", text("writer"), text("series"))
    })
    .await
}

async fn scraped(belfry: &Appliance) -> Samples {
    stored(belfry, r#"{job="target"}"#, |metric| metric.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let port = tests::fake_target::start().await;
    let prometheus = format!(
        "scrape_configs:\n- job_name: target\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\n\
         \x20 metrics_path: /good\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    );
    std::fs::write(folder.path().join("prometheus.yml"), prometheus).expect("write");
    let config = "prometheus: prometheus.yml\npacks: {enabled: false}\nexporters: {host: {enabled: false}}\n";
    std::fs::write(folder.path().join("belfry.yml"), config).expect("write");
    let arguments = ["--services", "all", "--config", "belfry.yml"];
    let mut belfry = Appliance::start(folder.path(), &arguments).await;
    let next = Arc::new(AtomicU64::new(0));
    let mut acked_total = 0;
    for round in 0..KILLS {
        let acked = Arc::new(Mutex::new(Samples::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let url = format!("{}/api/v1/write", belfry.url);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (next, acked, stop) =
                    (Arc::clone(&next), Arc::clone(&acked), Arc::clone(&stop));
                tokio::spawn(write(url.clone(), writer, next, acked, stop))
            })
            .collect();
        eventually("requests are acknowledged", 30, async || {
            (!acked.lock().expect("acked").is_empty()).then_some(())
        })
        .await;
        let visible = scraped(&belfry).await;
        // A moment that differs from round to round, so that kills hit every phase of a commit.
        tokio::time::sleep(Duration::from_millis(40 + round * 7 % 150)).await;
        belfry.process.kill();
        stop.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.await.expect("writer");
        }
        belfry.restart().await;
        let acked = acked.lock().expect("acked").clone();
        acked_total += acked.values().map(BTreeMap::len).sum::<usize>();
        check_nothing_lost(&acked, &pushed(&belfry).await, &format!("kill {round}, acknowledged"));
        check_nothing_lost(&visible, &scraped(&belfry).await, &format!("kill {round}, scraped"));
    }
    assert!(acked_total > 50 * SERIES as usize, "the test wrote too little: {acked_total}");
    println!("{KILLS} kills, {acked_total} acknowledged samples, none lost");
}

/// Requests of the journal that is read while it is told to stop.
const REQUESTS: i64 = 40;
/// Samples of one series in one of them.
const STEPS: i64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_while_it_starts() {
    let folder = tempfile::tempdir().expect("folder");
    let config = "packs: {enabled: false}\nexporters: {host: {enabled: false}}\n";
    std::fs::write(folder.path().join("belfry.yml"), config).expect("write");
    let arguments = ["--services", "all", "--config", "belfry.yml"];
    let mut belfry = Appliance::start(folder.path(), &arguments).await;
    let (client, url) = (http::client(), format!("{}/api/v1/write", belfry.url));
    let first_ms = now_ms() - 600_000;
    for request in 0..REQUESTS {
        let samples = |index: u64| {
            let at_ms = |step: i64| first_ms + request * STEPS + step;
            (0..STEPS).map(|step| (at_ms(step), (step * index as i64) as f64)).collect()
        };
        let series: Vec<TimeSeries> = (0..SERIES)
            .map(|index| {
                TimeSeries::new("pushed", &[("series", &index.to_string())], samples(index))
            })
            .collect();
        let answer = remote_write::post(&client, &url, remote_write::encode(&series)).await;
        assert_eq!(answer.expect("an answer").0, 204);
    }
    let address = belfry.url.trim_start_matches("http://").to_owned();
    for wait_ms in [0, 50, 150, 400] {
        belfry.start_again();
        eventually("it listens", 30, async || {
            tokio::net::TcpStream::connect(&address).await.ok().map(drop)
        })
        .await;
        // From its first moment to some time after it has read everything.
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let asked = Instant::now();
        belfry.process.signal("TERM");
        assert!(belfry.process.wait(), "it ends well: {}", belfry.process.log());
        assert!(asked.elapsed() < Duration::from_secs(20), "it ends in time");
    }
    belfry.restart().await;
    let expected = (SERIES as i64 * REQUESTS * STEPS) as f64;
    belfry.until_value("sum(count_over_time(pushed[30m]))", expected, 10).await;
}
