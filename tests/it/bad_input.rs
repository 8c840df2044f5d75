//! Bad configurations, bad targets, bad queries, a full disk: a clear error each, bounded memory,
//! nothing lost.

use std::process::Command;

use tests::appliance::{Appliance, binary};
use tests::process::{Process, eventually, free_port};
use tests::remote_write::{self, TimeSeries};
use tests::{fake_target, http};

#[test]
fn three_mistakes_are_three_lines() {
    let folder = tempfile::tempdir().expect("folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("write");
    write("belfry.yml", "lisen: 127.0.0.1:9090\nprometheus: prometheus.yml\nrules: [rules.yml]\n");
    write(
        "prometheus.yml",
        "scrape_configs:\n- job_name: a\n  scrape_interval: soon\n  static_configs: [{targets: ['h:1']}]\n",
    );
    write("rules.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(up\n");
    for arguments in [
        &["check", "config", "belfry.yml"][..],
        &["run", "--services", "all", "--config", "belfry.yml"][..],
    ] {
        let output = Command::new(binary())
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("run belfry");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{text}");
        for expected in [
            "belfry.yml:1: lisen",
            "prometheus.yml:3: scrape_configs[0].scrape_interval",
            "rules.yml:",
        ] {
            assert!(text.contains(expected), "{expected} in:\n{text}");
        }
        assert!(text.contains("did you mean \"listen\"?"), "{text}");
    }
    assert!(!folder.path().join("belfry-data").exists(), "nothing was created");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_targets_are_down_with_a_reason() {
    let folder = tempfile::tempdir().expect("folder");
    let port = fake_target::start().await;
    let mut prometheus =
        "global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n".to_owned();
    let paths = ["good", "gigabyte", "garbage", "bomb", "hang", "error"];
    for path in paths {
        prometheus.push_str(&format!(
            "- job_name: {path}\n  metrics_path: /{path}\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        ));
    }
    std::fs::write(folder.path().join("prometheus.yml"), prometheus).expect("write");
    std::fs::write(folder.path().join("belfry.yml"), "prometheus: prometheus.yml\n")
        .expect("write");
    let belfry =
        Appliance::start(folder.path(), &["--services", "all", "--config", "belfry.yml"]).await;
    for path in &paths[1..] {
        belfry.until_value(&format!("up{{job=\"{path}\"}}"), 0.0, 60).await;
    }
    belfry.until_value("count_over_time(good_metric[5m]) >= bool 5", 1.0, 60).await;
    belfry.until_value("up{job=\"good\"}", 1.0, 10).await;
    let (_, answer) = belfry.api_get("targets").await;
    let targets = answer["data"]["activeTargets"].as_array().expect("targets").clone();
    let reason = |path: &str| {
        let target = targets.iter().find(|target| target["scrapePool"] == path);
        target.expect("target")["lastError"].as_str().expect("error").to_lowercase()
    };
    for (path, expected) in [
        ("gigabyte", "bytes"),
        ("bomb", "bytes"),
        ("hang", "no complete answer within 2000 ms"),
        ("error", "500"),
    ] {
        assert!(reason(path).contains(expected), "{path}: {}", reason(path));
    }
    assert!(reason("garbage").len() > 5, "garbage: {}", reason("garbage"));
    assert_eq!(reason("good"), "");
    let peak = belfry.process.peak_mib();
    assert!(peak < 700, "peak memory {peak} MiB with pages of a gigabyte");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_clear_errors() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = Appliance::start(folder.path(), &["--services", "all"]).await;
    let error = async |path: &str, form: &[(&str, &str)]| {
        let (status, answer) = belfry.api(path, form).await;
        assert_eq!(answer["status"], "error", "{answer}");
        (status, answer["errorType"].as_str().unwrap_or("").to_owned(), answer["error"].to_string())
    };
    let (status, kind, text) = error("query", &[("query", "sum(up")]).await;
    assert_eq!((status, kind.as_str()), (400, "bad_data"));
    assert!(text.contains("1:7"), "the position is named: {text}");
    let (status, _, text) = error("query", &[("query", "up[1")]).await;
    assert_eq!(status, 400, "{text}");
    let deep = "(".repeat(100_000);
    assert_eq!(error("query", &[("query", &deep)]).await.0, 400);
    let range = [("query", "up"), ("start", "0"), ("end", "1000000"), ("step", "1")];
    assert!(error("query_range", &range).await.2.contains("11,000"));
    assert!(error("query_range", &[("query", "up"), ("start", "x")]).await.2.contains("start"));
    assert_eq!(error("series", &[]).await.0, 400);
    assert_eq!(error("sql", &[("query", "drop table samples")]).await.0, 400);
    assert_eq!(error("nonsense", &[]).await.0, 404);

    let url = format!("{}/api/v1/write", belfry.url);
    let client = http::client();
    let answer = remote_write::post(&client, &url, b"garbage".to_vec()).await.expect("answer");
    assert_eq!(answer.0, 400, "{}", answer.1);
    // A body of a few bytes that claims to unpack to 4 GiB.
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x00];
    let answer = remote_write::post(&client, &url, bomb).await.expect("answer");
    assert!((400..500).contains(&answer.0), "{}: {}", answer.0, answer.1);
    belfry.until_value("vector(1) + 1", 2.0, 5).await;
    assert!(belfry.process.peak_mib() < 700);
}

/// Starts belfry with its data on a small file system of its own, in a mount namespace that dies
/// with it.
async fn on_small_disk(folder: &std::path::Path) -> (Process, String) {
    let port = free_port();
    let mount = folder.join("small");
    std::fs::create_dir_all(&mount).expect("create mount point");
    let is_root = Command::new("id").arg("-u").output().expect("run id").stdout == b"0\n";
    let mut command = Command::new("unshare");
    if !is_root {
        command.args(["--user", "--map-root-user"]);
    }
    // The samples that the test writes first are very old.
    std::fs::write(folder.join("belfry.yml"), "store: {retention: {time: 0s}}\n")
        .expect("write belfry.yml");
    let script = format!(
        "mount -t tmpfs -o size=24m tmpfs {0} && exec {1} run --services all --config belfry.yml --listen 127.0.0.1:{port} --data {0}/data",
        mount.display(),
        binary().display(),
    );
    command.args(["--mount", "sh", "-c", &script]).current_dir(folder);
    let process = Process::start("belfry", &mut command, folder);
    let url = format!("http://127.0.0.1:{port}");
    let ready = format!("{url}/-/ready");
    eventually("belfry on a small disk is ready", 30, async || http::get(&ready).await).await;
    (process, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_resumes() {
    let folder = tempfile::tempdir().expect("folder");
    let (process, url) = on_small_disk(folder.path()).await;
    let client = http::client();
    let write = async |at_ms: i64| {
        let series = [TimeSeries::new("pushed", &[], vec![(at_ms, at_ms as f64)])];
        let body = remote_write::encode(&series);
        let write_url = format!("{url}/api/v1/write");
        remote_write::post(&client, &write_url, body).await.expect("an answer")
    };
    assert_eq!(write(1_000).await.0, 204);
    let filler = format!("/proc/{}/root{}/small/filler", process.id(), folder.path().display());
    let filled = std::cell::Cell::new(0);
    let (status, text) = eventually("writes are refused", 60, async || {
        // Space that the store has reserved or frees meanwhile is taken too.
        fill(&format!("{filler}-{}", filled.replace(filled.get() + 1)));
        refusal(&write).await
    })
    .await;
    assert_eq!(status, 503, "{text}");
    let lower = text.to_lowercase();
    assert!(lower.contains("space") || lower.contains("full"), "the reason is named: {text}");
    let query = async |text: &str| {
        let (status, answer) =
            http::post_form(&format!("{url}/api/v1/query"), &[("query", text), ("time", "2")])
                .await;
        assert_eq!(status, 200, "queries go on: {answer}");
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    assert_eq!(query("pushed").await.as_deref(), Some("1000"));
    for number in 0..filled.get() {
        std::fs::remove_file(format!("{filler}-{number}")).expect("free the space");
    }
    eventually("writes resume within 10 s", 10, async || {
        (write(now_ms()).await.0 == 204).then_some(())
    })
    .await;
    assert_eq!(query("pushed").await.as_deref(), Some("1000"));
}

/// Writes once; the answer when it is a refusal.
async fn refusal(write: &impl AsyncFn(i64) -> (u16, String)) -> Option<(u16, String)> {
    let answer = write(now_ms()).await;
    (answer.0 != 204).then_some(answer)
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("fits")
}

/// Takes all space that is left, to the last byte.
fn fill(path: &str) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).expect("create filler");
    for size in [1024 * 1024, 4096, 1] {
        let chunk = vec![1_u8; size];
        while file.write_all(&chunk).is_ok() {}
    }
}
