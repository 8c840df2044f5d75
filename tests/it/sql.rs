//! SQL against the running binary: HTTP in its three forms, psql on the wire, explain, the query
//! log, the cost of panels.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::appliance::{Appliance, binary};
use tests::http;
use tests::process::{Process, eventually, free_port};
use tests::tls::Authority;

/// A belfry with the wire and the query log, and a metric of two series.
async fn start(folder: &Path) -> (Appliance, u16) {
    let port = free_port();
    let config = format!(
        "sql: {{postgres: {{listen: '127.0.0.1:{port}'}}}}\n\
         query: {{log_file: queries.log, slow_threshold: 0s}}\n"
    );
    std::fs::write(folder.join("belfry.yml"), config).expect("write belfry.yml");
    let belfry = Appliance::start(folder, &["--services", "all", "--config", "belfry.yml"]).await;
    let mut page = String::new();
    for minute in 0..60_i64 {
        for instance in ["a", "b"] {
            let at_ms = now_ms() - (60 - minute) * 60_000;
            page.push_str(&format!("box_load{{instance=\"{instance}\"}} {minute} {at_ms}\n"));
        }
    }
    let url = format!("{}/api/v1/import/prometheus", belfry.url);
    let answer = http::client().post(&url).body(page).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    belfry.until_value("count(box_load)", 2.0, 10).await;
    (belfry, port)
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("before the end of time")
}

async fn body(belfry: &Appliance, query: &str, headers: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
    let mut request = http::client().get(format!("{}/api/v1/{query}", belfry.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").and_then(|own| own.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    (status, kind, response.bytes().await.expect("a body").to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn by_http() {
    let folder = tempfile::tempdir().expect("folder");
    let (belfry, _) = start(folder.path()).await;
    let text = "select instance, count(*) as n from metrics.box_load group by 1 order by 1";
    for name in ["q", "query"] {
        let (status, answer) = belfry.api("sql", &[(name, text)]).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["data"]["rows"], json!([["a", 60], ["b", 60]]), "{answer}");
        assert_eq!(answer["data"]["columns"][0]["name"], "instance");
    }
    let (status, answer) = belfry
        .api("sql", &[("q", "select * from samples where name = 'box_load'"), ("limit", "7")])
        .await;
    assert_eq!(status, 200);
    assert_eq!(answer["data"]["rows"].as_array().map(Vec::len), Some(7), "{answer}");
    assert!(answer["warnings"][0].as_str().is_some_and(|own| own.contains("cut")), "{answer}");
    let path = "sql?q=select+instance,value+from+metrics.box_load+order+by+1,2+limit+2&format=csv";
    let (status, kind, bytes) = body(&belfry, path, &[]).await;
    assert_eq!((status, kind.starts_with("text/csv")), (200, true), "{kind}");
    assert_eq!(String::from_utf8_lossy(&bytes), "instance,value\na,0.0\na,1.0\n");
    let arrow = "application/vnd.apache.arrow.stream";
    let path = "sql?q=select+*+from+metrics.box_load";
    let (status, kind, bytes) = body(&belfry, path, &[("accept", arrow)]).await;
    assert_eq!((status, kind.as_str()), (200, arrow));
    assert!(bytes.starts_with(&[0xff; 4]) && bytes.ends_with(&[0; 4]), "an Arrow stream");
    for (text, code, word) in [
        ("select nothing from samples", 400, "1:8"),
        ("drop table samples", 400, "not allowed"),
        ("select * from '/etc/passwd'", 400, "not found"),
    ] {
        let (status, answer) = belfry.api("sql", &[("q", text)]).await;
        assert_eq!(status, code, "{text}: {answer}");
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_wire() {
    let folder = tempfile::tempdir().expect("folder");
    let (_belfry, port) = start(folder.path()).await;
    let port = port.to_string();
    let psql = |command: &str| {
        let output = Command::new("psql")
            .args(["-X", "-A", "-t", "-h", "127.0.0.1", "-U", "x", "-d", "belfry"])
            .args(["-p", &port, "-c", command])
            .stdin(Stdio::null())
            .output()
            .expect("psql: install postgresql-client");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let text = "select instance, max(value) from metrics.box_load \
                where ts > now() - interval '2 hours' group by 1 order by 1";
    assert_eq!(psql(text), "a|59.0\nb|59.0\n");
    let text = psql("\\d metrics.box_load");
    assert!(text.contains("instance|text"), "{text}");
    assert!(psql("drop table samples").contains("not allowed"));
}

/// A statement that takes far longer than any test.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000000) a, \
                       generate_series(1, 1000000000) b";
/// How soon anything else must be answered meanwhile, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn endless_statements_hold_up_nobody() {
    let folder = tempfile::tempdir().expect("folder");
    let (belfry, port) = start(folder.path()).await;
    let by_http = |name: &str, timeout: &'static str| {
        let url = format!("{}/api/v1/sql", belfry.url);
        let text = format!("{ENDLESS} -- {name}");
        tokio::spawn(async move {
            http::post_form_patiently(&url, &[("q", text.as_str()), ("timeout", timeout)]).await
        })
    };
    let (killed, gone) = (by_http("killed", "100s"), by_http("gone", "100s"));
    let timed_out = by_http("timed out", "20s");
    let mut wire = Command::new("psql")
        .args(["-X", "-h", "127.0.0.1", "-U", "x", "-d", "belfry", "-p", &port.to_string()])
        .args(["-c", ENDLESS])
        .stdin(Stdio::null())
        .spawn()
        .expect("psql: install postgresql-client");
    let running = async || {
        let (_, answer) = belfry.api_get("queries").await;
        answer["data"]["queries"].as_array().expect("a list").clone()
    };
    let until = async |count: usize| {
        eventually(&format!("{count} statements run"), 15, async || {
            (running().await.len() == count).then_some(())
        })
        .await;
    };
    until(4).await;
    // Everybody else is answered as ever.
    for _ in 0..20 {
        let started = Instant::now();
        assert_eq!(belfry.value("count(box_load)").await, Some(2.0));
        assert!(belfry.get("/-/healthy").await.contains("healthy"));
        assert!(belfry.get("/metrics").await.contains("belfry_build_info"));
        assert!(started.elapsed() < SOON, "took {:?}", started.elapsed());
    }
    // An operator ends the first, clients end two.
    let started = Instant::now();
    let is_wanted =
        |own: &Value| own["query"].as_str().is_some_and(|text| text.ends_with("killed"));
    let own = running().await.into_iter().find(is_wanted).expect("it runs");
    let (status, answer) = belfry.api(&format!("queries/{}/kill", own["id"]), &[]).await;
    assert_eq!(status, 200, "{answer}");
    gone.abort();
    wire.kill().expect("kill psql");
    wire.wait().expect("psql has ended");
    until(1).await;
    assert!(started.elapsed() < 2 * SOON, "took {:?}", started.elapsed());
    // The last one by its time.
    let (status, answer) = timed_out.await.expect("joined");
    let all = [(status, answer), killed.await.expect("joined")];
    let kinds = all.each_ref().map(|(status, own)| (*status, own["errorType"].as_str()));
    assert_eq!(kinds, [(503, Some("timeout")), (503, Some("canceled"))], "{all:?}");
    until(0).await;
    assert_eq!(belfry.value("count(box_load)").await, Some(2.0));
}

/// bcrypt of "fakepassword".
const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// What psql says to `select 6 * 7`, with these connection words.
fn answer_of(connection: &str, password: &str) -> String {
    let output = Command::new("psql")
        .args(["-X", "-A", "-t", "-d", &format!("dbname=belfry user=admin {connection}")])
        .args(["-c", "select 6 * 7"])
        .env("PGPASSWORD", password)
        .env("PGCONNECT_TIMEOUT", "10")
        .stdin(Stdio::null())
        .output()
        .expect("psql: install postgresql-client");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_is_encrypted_as_the_web_server_is() {
    let folder = tempfile::tempdir().expect("folder");
    let authority = Authority::new(&folder.path().join("tls"));
    authority.sign("server", "IP:127.0.0.1,DNS:localhost");
    let (port, web) = (free_port(), folder.path().join("web.yml"));
    let tls = "tls_server_config: {cert_file: tls/server.pem, key_file: tls/server.key}";
    std::fs::write(&web, format!("{tls}\nbasic_auth_users: {{admin: {HASH}}}\n")).expect("write");
    let config =
        format!("web: {{config_file: web.yml}}\nsql: {{postgres: {{listen: '0.0.0.0:{port}'}}}}\n");
    std::fs::write(folder.path().join("belfry.yml"), config).expect("write belfry.yml");
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(binary());
    command.args(["run", "--services", "all", "--config", "belfry.yml", "--listen", &address]);
    command.args(["--data", "data"]).current_dir(folder.path());
    let process = Process::start("belfry", &mut command, folder.path());
    let started = async || process.log().contains(" started").then_some(());
    eventually("belfry has started", 30, started).await;

    let local = format!("host=127.0.0.1 port={port}");
    let ca = authority.file();
    let trusting = |ca: &Path| format!("{local} sslmode=verify-full sslrootcert={}", ca.display());
    assert_eq!(answer_of(&trusting(&ca), "fakepassword"), "42\n");
    assert_eq!(answer_of(&format!("{local} sslmode=require"), "fakepassword"), "42\n");
    // On the machine itself nobody listens in.
    assert_eq!(answer_of(&format!("{local} sslmode=disable"), "fakepassword"), "42\n");
    let refused = answer_of(&format!("{local} sslmode=require"), "wrong");
    assert!(refused.contains("Password authentication failed"), "{refused}");
    if let Some(outer) = own_address() {
        let outer = format!("host={outer} port={port}");
        assert_eq!(answer_of(&format!("{outer} sslmode=require"), "fakepassword"), "42\n");
        let refused = answer_of(&format!("{outer} sslmode=disable"), "fakepassword");
        assert!(refused.contains("wants an encrypted connection"), "{refused}");
    }
    // A certificate that was replaced is in force for the next connection.
    let other = Authority::new(&folder.path().join("other"));
    let (certificate, key) = other.sign("server", "IP:127.0.0.1");
    std::fs::rename(key, folder.path().join("tls/server.key")).expect("put in place");
    std::fs::rename(certificate, folder.path().join("tls/server.pem")).expect("put in place");
    eventually("the new certificate is in force", 30, async || {
        (answer_of(&trusting(&other.file()), "fakepassword") == "42\n").then_some(())
    })
    .await;
    let refused = answer_of(&trusting(&ca), "fakepassword");
    assert!(refused.contains("certificate verify failed"), "{refused}");
}

/// An address of this machine that is no loopback one, if it has any.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: this only chooses the way.
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_queries_cost() {
    let folder = tempfile::tempdir().expect("folder");
    let (belfry, _) = start(folder.path()).await;
    let (start, end) = ((now_ms() / 1000 - 1800).to_string(), (now_ms() / 1000).to_string());
    let form = [
        ("query", "sum by (instance) (rate(box_load[5m])) / 2"),
        ("start", start.as_str()),
        ("end", end.as_str()),
        ("step", "60"),
    ];
    let (status, answer) = belfry.api("explain", &form).await;
    assert_eq!(status, 200, "{answer}");
    let tree = &answer["data"]["tree"];
    assert_eq!((tree["kind"].as_str(), tree["series"].as_u64()), (Some("operator /"), Some(2)));
    let sum = &tree["children"][0];
    assert_eq!((sum["kind"].as_str(), sum["series"].as_u64()), (Some("aggregate sum"), Some(2)));
    let selector = &sum["children"][0]["children"][0]["children"][0];
    let selector = if selector.is_null() { &sum["children"][0]["children"][0] } else { selector };
    assert_eq!(selector["kind"], "range selector", "{answer}");
    assert!(selector["samples"].as_u64() > Some(50), "{answer}");
    assert!(answer["data"]["text"].as_str().is_some_and(|own| own.contains("└─")), "{answer}");
    // A panel of a dashboard asks twice, once wrongly.
    let headers = [("x-dashboard-uid", "abc"), ("x-panel-id", "4"), ("x-grafana-user", "ada")];
    for query in ["query?query=box_load", "query?query=box_load+*+on()+box_load"] {
        body(&belfry, query, &headers).await;
    }
    let labels = "{dashboard_uid=\"abc\",panel_id=\"4\"}";
    let value = async |name: &str| {
        let page = http::get(&format!("{}/metrics", belfry.url)).await?;
        let line = page.lines().find(|line| line.starts_with(&format!("{name}{labels}")))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    assert_eq!(value("belfry_panel_queries_total").await, Some(2.0));
    assert_eq!(value("belfry_panel_query_failures_total").await, Some(1.0));
    assert!(value("belfry_panel_samples_total").await >= Some(2.0));
    // And what an operator looks at first when dashboards are slow.
    let page = belfry.get("/metrics").await;
    for expected in [
        "belfry_query_ended_total{language=\"promql\",outcome=\"error\"} 1\n",
        "belfry_query_ended_total{language=\"sql\",outcome=\"killed\"} 0\n",
        "belfry_query_duration_seconds_bucket{slice=\"inner_eval\",le=\"120\"} ",
        "belfry_query_running 0\n",
        "belfry_query_running_max 20\n",
        "belfry_query_memory_max_bytes 2147483648\n",
        "belfry_web_requests_total{code=\"422\",handler=\"/api/v1/query\"} 1\n",
        "belfry_web_request_duration_seconds_count{handler=\"/api/v1/query\"} ",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    let log = folder.path().join("queries.log");
    let line = eventually("the log has the panel's query", 10, async || {
        let text = std::fs::read_to_string(&log).ok()?;
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["panelId"] == "4")
    })
    .await;
    assert_eq!(line["params"]["query"], "box_load", "{line}");
    assert_eq!(line["dashboardUid"], "abc");
    assert!(line["stats"]["timings"]["execTotalTime"].as_f64() > Some(0.0), "{line}");
    assert!(line["origin"].as_str().is_some_and(|own| own.contains("ada")), "{line}");
}
