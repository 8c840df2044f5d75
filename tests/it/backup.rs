//! Backup of a running server while samples come in, verified, restored, started again: the same
//! answers and the same alerts.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use serde_json::Value;
use tests::appliance::{Appliance, binary};
use tests::http;
use tests::process::eventually;
use tests::remote_write::{self, TimeSeries};

/// The data are old: without an end to retention they would go at once.
const CONFIG: &str = "packs: {enabled: false}\nexporters: {host: {enabled: false}}\n\
                      web: {enable_admin_api: true}\nstore: {retention: {time: 0s}}\n";
/// 2026-01-01 in milliseconds; data lie behind it.
const START_MS: i64 = 1_767_225_600_000;
const STEP_MS: i64 = 15_000;
const SERIES: usize = 40;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the binary with an S3 server's address and keys at hand.
fn belfry(arguments: &[&str], s3_port: Option<u16>) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("AWS_REGION").env_remove("AWS_SESSION_TOKEN");
    if let Some(port) = s3_port {
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
        command.env("AWS_ACCESS_KEY_ID", "the-key-id").env("AWS_SECRET_ACCESS_KEY", SECRET);
    }
    command.output().expect("run belfry")
}

const SECRET: &str = "the-secret-that-nobody-sees";

/// The result as JSON of a command that must succeed.
#[track_caller]
fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Sends the samples of some steps in one request.
async fn send(client: &reqwest::Client, url: &str, steps: std::ops::Range<i64>) {
    let series: Vec<TimeSeries> = (0..SERIES)
        .map(|number| {
            let samples = steps.clone().map(|step| {
                (START_MS + step * STEP_MS, (step * 7 % 1000) as f64 + number as f64 / 8.0)
            });
            TimeSeries::new("work", &[("number", &number.to_string())], samples.collect())
        })
        .collect();
    let answer = remote_write::post(client, url, remote_write::encode(&series)).await;
    assert_eq!(answer.as_ref().map(|(status, _)| *status), Some(204), "{answer:?}");
}

/// Everything up to a step, as a client sees it.
async fn answers(server: &Appliance, steps: i64) -> Value {
    let end = (START_MS + steps * STEP_MS) / 1000;
    let form = [
        ("query", "sum by (number) (rate(work[5m])) + on (number) work"),
        ("start", &(START_MS / 1000).to_string()),
        ("end", &end.to_string()),
        ("step", "60"),
    ];
    let (status, answer) = server.api("query_range", &form).await;
    assert_eq!(status, 200, "{answer}");
    answer["data"]["result"].clone()
}

struct Site {
    folder: tempfile::TempDir,
    server: Appliance,
}

impl Site {
    async fn start() -> Site {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("belfry.yml"), CONFIG).expect("write");
        let arguments = ["--services", "all", "--config", "belfry.yml"];
        let server = Appliance::start(folder.path(), &arguments).await;
        let client = http::client();
        let alert = r#"[{"labels":{"alertname":"Kept","site":"north"}}]"#;
        let posted = client
            .post(format!("{}/api/v2/alerts", server.url))
            .header("content-type", "application/json")
            .body(alert)
            .send()
            .await
            .expect("post an alert");
        assert_eq!(posted.status(), 200);
        // Five hours, of which at least one range of two is closed and goes to blocks.
        let url = format!("{}/api/v1/write", server.url);
        for hour in 0..5 {
            send(&client, &url, hour * 240..(hour + 1) * 240).await;
        }
        let site = Site { folder, server };
        eventually("a range goes to blocks", 60, async || {
            (site.blocks(&site.data()).len() >= 3).then_some(())
        })
        .await;
        site
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Files of blocks with their inodes.
    fn blocks(&self, data: &Path) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        for block in std::fs::read_dir(data.join("store/blocks")).into_iter().flatten().flatten() {
            if block.path().extension().is_some() {
                continue;
            }
            for file in std::fs::read_dir(block.path()).into_iter().flatten().flatten() {
                let inode = file.metadata().expect("metadata").ino();
                let path = file.path().strip_prefix(data).expect("inside").to_owned();
                files.push((path, inode));
            }
        }
        files.sort();
        files
    }

    /// Files of blocks in a backup, with their inodes.
    fn backed_up(&self, destination: &str, made: &Value) -> Vec<(PathBuf, u64)> {
        let name = made["name"].as_str().expect("a name");
        self.blocks(&Path::new(destination).join(name).join("data"))
    }

    fn back_up(&self, destination: &str, more: &[&str], s3_port: Option<u16>) -> Output {
        let (data, url) = (self.path("data"), self.server.url.clone());
        let mut arguments = vec!["backup", destination, "--data", &data, "--server", &url];
        arguments.extend(["--output", "json"]);
        arguments.extend(more);
        belfry(&arguments, s3_port)
    }

    /// A server over a restored folder answers as the first one did.
    async fn check_restored(&self, folder: &str, expected: &Value, steps: i64) {
        let folder = self.folder.path().join(folder);
        std::fs::write(folder.join("belfry.yml"), CONFIG).expect("write");
        let arguments = ["--services", "all", "--config", "belfry.yml"];
        let restored = Appliance::start(&folder, &arguments).await;
        assert_eq!(&answers(&restored, steps).await, expected);
        let alerts = restored.get("/api/v2/alerts").await;
        assert!(alerts.contains("Kept"), "{alerts}");
        let metrics = restored.get("/metrics").await;
        assert!(metrics.lines().any(|line| line == "belfry_store_damaged 0"), "{metrics}");
    }
}

/// Two backups, one after the other, while somebody writes: where they are, how many steps had been
/// acknowledged before, and what was told of each. A merge of blocks between them (of Belfry's own
/// samples the first come a little after its start, and end the range that was open) leaves them
/// nothing to share: then two others are made.
fn two_backups(site: &Site, next: &AtomicI64) -> (String, i64, [Value; 2]) {
    for attempt in 0..3 {
        let destination = site.path(&format!("backups-{attempt}"));
        // What was acknowledged before the backup begins must be in it.
        let steps = next.load(Ordering::SeqCst) - 1;
        let first = done(&site.back_up(&destination, &[], None));
        let later = next.load(Ordering::SeqCst);
        let second = done(&site.back_up(&destination, &[], None));
        assert!(later > steps + 1, "writing went on");
        let [of_first, of_second] =
            [&first, &second].map(|made| site.backed_up(&destination, made));
        if of_first.iter().all(|file| of_second.iter().any(|other| other.0 == file.0)) {
            return (destination, steps, [first, second]);
        }
    }
    panic!("blocks were merged between two backups three times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_backed_up_and_restored() {
    let site = Site::start().await;
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(1200)));
    let writer = {
        let (stop, next) = (Arc::clone(&stop), Arc::clone(&next));
        let (client, url) = (http::client(), format!("{}/api/v1/write", site.server.url));
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let step = next.load(Ordering::SeqCst);
                send(&client, &url, step..step + 1).await;
                next.store(step + 1, Ordering::SeqCst);
            }
        })
    };
    eventually("samples come in", 30, async || (next.load(Ordering::SeqCst) > 1220).then_some(()))
        .await;
    let (destination, steps, [first, second]) = two_backups(&site, &next);
    stop.store(true, Ordering::SeqCst);
    writer.await.expect("the writer");
    let expected = answers(&site.server, steps).await;

    let names = [&first, &second].map(|made| made["name"].as_str().expect("a name").to_owned());
    let [of_first, of_second] = [&first, &second].map(|made| site.backed_up(&destination, made));
    assert!(of_first.len() >= 3, "{of_first:?}");
    for file in &of_first {
        assert!(of_second.contains(file), "{file:?} has the same inode in both");
    }
    assert!(second["copied_bytes"].as_u64() < second["bytes"].as_u64(), "{second}");
    let left = std::fs::read_dir(site.data().join("snapshots")).expect("list").count();
    assert_eq!(left, 0, "the snapshots are removed");
    let listed = done(&belfry(&["backup", "list", &destination, "--output", "json"], None));
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");

    let verify = ["backup", "verify", &destination, &names[0], "--output", "json"];
    assert_eq!(done(&belfry(&verify, None))["problems"], serde_json::json!([]));
    let to = site.path("restored/data");
    let restore = ["restore", &destination, &names[0], "--data", &to, "--output", "json"];
    done(&belfry(&restore, None));
    let again = belfry(&restore, None);
    assert!(text(&again.stderr).contains("is not empty"), "{}", text(&again.stderr));
    site.check_restored("restored", &expected, steps).await;

    let damaged = Path::new(&destination).join(&names[1]).join("data").join(&of_second[0].0);
    let mut bytes = std::fs::read(&damaged).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).expect("write");
    let verified = belfry(&["backup", "verify", &destination], None);
    assert!(!verified.status.success());
    let name = of_second[0].0.display().to_string();
    assert!(text(&verified.stdout).contains(&name), "{}", text(&verified.stdout));
    let half = site.path("half/data");
    let refused = belfry(&["restore", &destination, "--data", &half], None);
    assert!(text(&refused.stderr).contains(&name), "{}", text(&refused.stderr));
    let run = ["run", "--services", "all", "--listen", "127.0.0.1:0", "--data", &half];
    let run = belfry(&run, None);
    assert!(text(&run.stderr).contains("a restore that did not end"), "{}", text(&run.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_data_folder_goes_to_a_bucket_and_back() {
    let mut site = Site::start().await;
    let expected = answers(&site.server, 1200).await;
    let s3 = tests::python::s3(site.folder.path()).await;
    let bucket = format!("http://127.0.0.1:{}/backups", s3.port);
    let created = http::client().put(&bucket).send().await.expect("create a bucket");
    assert!(created.status().is_success(), "{created:?}");
    let port = Some(s3.port);
    let destination = "s3://backups/site/north";
    let running = done(&site.back_up(destination, &[], port));
    site.server.process.signal("TERM");
    assert!(site.server.process.wait(), "{}", site.server.process.log());
    let stopped = done(&site.back_up(destination, &["--keep", "2"], port));
    assert!(stopped["copied_files"].as_u64() < running["copied_files"].as_u64(), "{stopped}");
    let third = done(&site.back_up(destination, &["--keep", "2"], port));
    assert_eq!(third["copied_files"], 0, "{third}");
    assert_eq!(third["removed"], serde_json::json!([running["name"]]));
    for made in [&stopped, &third] {
        let name = made["name"].as_str().expect("a name");
        let verify = ["backup", "verify", destination, name, "--output", "json"];
        assert_eq!(done(&belfry(&verify, port))["problems"], serde_json::json!([]));
    }
    let to = site.path("restored/data");
    done(&belfry(&["restore", destination, "--data", &to, "--output", "json"], port));
    site.check_restored("restored", &expected, 1200).await;

    // An object that changes or goes is found.
    let file = site.blocks(&site.data())[0].0.display().to_string();
    let listing = http::get(&format!("{bucket}?list-type=2&prefix=site/north/files/")).await;
    let listing = listing.expect("a listing");
    let folder = file.rsplit_once('/').expect("a folder").0;
    let keys = listing.split("<Key>").skip(1).filter_map(|part| part.split('<').next());
    let keys: Vec<&str> = keys.filter(|key| key.contains(folder)).collect();
    assert!(keys.len() >= 3, "{keys:?} in {listing}");
    let script = format!(
        "import boto3\n\
         s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{}', region_name='us-east-1',\n\
         \x20   aws_access_key_id='the-key-id', aws_secret_access_key='{SECRET}')\n\
         s3.put_object(Bucket='backups', Key='{}', Body=b'other bytes')\n\
         s3.delete_object(Bucket='backups', Key='{}')\n",
        s3.port, keys[0], keys[1]
    );
    let python = tests::python::program("python3");
    let changed = Command::new(python).args(["-c", &script]).output().expect("run python3");
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    let verified = belfry(&["backup", "verify", destination], port);
    let shown = text(&verified.stdout);
    assert!(!verified.status.success(), "{shown}");
    assert!(shown.contains("it is missing") && shown.contains("bytes instead of"), "{shown}");

    let refused = belfry(&["backup", "list", "s3://backups/x"], None);
    assert!(text(&refused.stderr).contains("AWS_ACCESS_KEY_ID"), "{}", text(&refused.stderr));
    let nobody = belfry(&["backup", "list", "s3://not-there/x"], port);
    let shown = text(&nobody.stderr);
    assert!(!nobody.status.success() && !shown.contains(SECRET), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_admin_api_a_running_server_says_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Appliance::start(folder.path(), &["--services", "all"]).await;
    let data = folder.path().join("data").display().to_string();
    let to = folder.path().join("backups").display().to_string();
    let arguments = ["backup", &to, "--data", &data, "--server", &server.url];
    let refused = belfry(&arguments, None);
    let shown = text(&refused.stderr);
    assert!(!refused.status.success() && shown.contains("web.enable_admin_api"), "{shown}");
    let (status, answer) = server.api("admin/tsdb/snapshot", &[]).await;
    assert_eq!((status, answer["errorType"].as_str()), (403, Some("unavailable")));
}
