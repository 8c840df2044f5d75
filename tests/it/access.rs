//! Encryption, logins, roles and label scopes, with the clients of the field: curl, promtool, a
//! Prometheus that scrapes, and plain sockets that misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::appliance::binary;
use tests::process::{Process, eventually, free_port, require};
use tests::remote_write::{self, TimeSeries};
use tests::tls::Authority;
use tests::{http, servers};

/// bcrypt of "fakepassword".
const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// A belfry with belfry.yml and web.yml in its folder.
struct Belfry {
    process: Process,
    address: String,
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("write");
}

async fn start(folder: &Path, belfry: &str, web: &str) -> Belfry {
    write(folder, "belfry.yml", belfry);
    write(folder, "web.yml", web);
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(binary());
    command.args(["run", "--services", "all", "--config", "belfry.yml", "--listen", &address]);
    command.args(["--web.config.file", "web.yml", "--data", "data"]).current_dir(folder);
    let process = Process::start("belfry", &mut command, folder);
    eventually("belfry has started", 30, async || process.log().contains(" started").then_some(()))
        .await;
    Belfry { process, address }
}

/// curl's answer: exit code 0 or not, and what it printed.
fn curl(arguments: &[&str]) -> (bool, String) {
    require("curl", "curl");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]);
    let output = command.args(arguments).output().expect("run curl");
    (output.status.success(), text_of(&output))
}

fn text_of(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_of_the_field_over_tls_with_certificates_and_passwords() {
    let folder = tempfile::tempdir().expect("folder");
    let authority = Authority::new(&folder.path().join("tls"));
    authority.sign("server", "IP:127.0.0.1,DNS:localhost");
    let (certificate, key) = authority.sign("scraper", "DNS:scraper.example");
    let (unnamed, unnamed_key) = authority.sign("other", "DNS:other.example");
    let stranger = Authority::new(&folder.path().join("stranger"));
    let (strange, strange_key) = stranger.sign("strange", "DNS:scraper.example");
    let web = format!(
        "tls_server_config:\n  cert_file: tls/server.pem\n  key_file: tls/server.key\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: tls/ca.pem\n  \
         client_allowed_sans: [scraper.example]\n  min_version: TLS12\n\
         basic_auth_users:\n  admin: {HASH}\n"
    );
    let belfry = start(folder.path(), "", &web).await;
    let (url, ca) = (format!("https://{}", belfry.address), authority.file());

    // The same file, as the field's own tool sees it.
    let promtool = require("promtool", "prometheus");
    let arguments = ["check", "web-config", "web.yml"];
    let checked = Command::new(&promtool).args(arguments).current_dir(folder.path()).output();
    let checked = text_of(&checked.expect("run promtool"));
    // Debian's release does not know of alternative names yet.
    assert!(checked.contains("SUCCESS") || checked.contains("client_allowed_sans"), "{checked}");

    let query = format!("{url}/api/v1/query?query=1%2B1");
    let own = ["--cacert", text(&ca), "--cert", text(&certificate), "--key", text(&key)];
    let login = ["--user", "admin:fakepassword"];
    let status = ["--output", "/dev/null", "--write-out", "%{http_code} %{http_version}", &query];
    let asked = |parts: &[&[&str]]| curl(&parts.concat());
    assert_eq!(asked(&[&own, &login, &status]), (true, "200 2".to_owned()));
    let http1 = ["--http1.1"];
    assert_eq!(asked(&[&own, &login, &http1, &status]), (true, "200 1.1".to_owned()));
    let older = ["--tls-max", "1.2"];
    assert_eq!(asked(&[&own, &login, &older, &status]), (true, "200 2".to_owned()));
    assert_eq!(asked(&[&own, &status]), (true, "401 2".to_owned()));
    assert_eq!(asked(&[&own, &["--user", "admin:x"], &status]), (true, "401 2".to_owned()));
    let trust = ["--cacert", text(&ca)];
    for (what, parts) in [
        ("no certificate", &[][..]),
        ("another name", &["--cert", text(&unnamed), "--key", text(&unnamed_key)]),
        ("another authority", &["--cert", text(&strange), "--key", text(&strange_key)]),
        ("a version that is too old", &["--tls-max", "1.1"]),
    ] {
        let (is_ok, said) = asked(&[&trust, parts, &login, &status]);
        assert!(!is_ok, "{what}: {said}");
    }
    let plain = format!("http://{}/-/healthy", belfry.address);
    assert!(!curl(&[&plain]).0, "nothing without encryption");
    let healthy = format!("{url}/-/healthy");
    let (_, head) = asked(&[&own, &["--head", healthy.as_str()]]);
    let head = head.to_lowercase();
    for expected in ["strict-transport-security: max-age=86400", "x-content-type-options: nosniff"]
    {
        assert!(head.contains(expected), "{expected}: {head}");
    }
    assert!(!head.contains("server:"), "{head}");

    // A real Prometheus scrapes it.
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n\
         - job_name: belfry\n  scheme: https\n  basic_auth: {{username: admin, password: fakepassword}}\n  \
         tls_config: {{ca_file: {ca}, cert_file: {cert}, key_file: {key}}}\n  \
         static_configs: [{{targets: ['{address}']}}]\n",
        ca = text(&ca),
        cert = text(&certificate),
        key = text(&key),
        address = belfry.address,
    );
    let prometheus = servers::prometheus(folder.path(), &config).await;
    let asked = format!("http://127.0.0.1:{}/api/v1/query", prometheus.port);
    eventually("Prometheus scrapes over TLS", 30, async || {
        let (_, answer) = http::post_form(&asked, &[("query", "up{job=\"belfry\"}")]).await;
        (answer["data"]["result"][0]["value"][1] == "1").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn which_certificates_are_asked_for_and_taken() {
    let folder = tempfile::tempdir().expect("folder");
    let authority = Authority::new(&folder.path().join("tls"));
    authority.sign("server", "IP:127.0.0.1");
    let known = authority.sign("known", "DNS:known.example");
    let strange = Authority::new(&folder.path().join("stranger")).sign("strange", "DNS:x.example");
    let ca = authority.file();
    for (policy, expected) in [
        ("RequestClientCert", [true, true, true]),
        ("RequireAnyClientCert", [false, true, true]),
        ("VerifyClientCertIfGiven\n  client_ca_file: ../tls/ca.pem", [true, true, false]),
        ("RequireAndVerifyClientCert\n  client_ca_file: ../tls/ca.pem", [false, true, false]),
    ] {
        let pair = "cert_file: ../tls/server.pem\n  key_file: ../tls/server.key";
        let web = format!("tls_server_config:\n  {pair}\n  client_auth_type: {policy}\n");
        let own = folder.path().join(policy.split('\n').next().expect("a name"));
        std::fs::create_dir(&own).expect("create");
        let belfry = start(&own, "", &web).await;
        let url = format!("https://{}/-/healthy", belfry.address);
        let shown = [None, Some(&known), Some(&strange)].map(|own| {
            let own = own.map(|(file, key)| ["--cert", text(file), "--key", text(key)]);
            let own = own.iter().flatten().copied();
            curl(&["--cacert", text(&ca), &url].into_iter().chain(own).collect::<Vec<_>>()).0
        });
        assert_eq!(shown, expected, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn which_servers_are_believed() {
    let folder = tempfile::tempdir().expect("folder");
    let authority = Authority::new(&folder.path().join("tls"));
    authority.sign("server", "DNS:inside.example");
    let web = "tls_server_config: {cert_file: tls/server.pem, key_file: tls/server.key}\n";
    let belfry = start(folder.path(), "", web).await;
    let url = format!("https://{}", belfry.address);
    for (settings, expected) in [
        ("{ca_file: tls/ca.pem, server_name: inside.example}", true),
        ("{ca_file: tls/ca.pem, server_name: outside.example}", false),
        // The address is not among the certificate's names.
        ("{ca_file: tls/ca.pem}", false),
        ("{server_name: inside.example}", false),
        ("{insecure_skip_verify: true}", true),
    ] {
        write(folder.path(), "http.yml", &format!("tls_config: {settings}\n"));
        let arguments = ["query", "instant", &url, "1", "--http.config.file", "http.yml"];
        let asked = Command::new(binary()).args(arguments).current_dir(folder.path()).output();
        let asked = asked.expect("run belfry");
        assert_eq!(asked.status.success(), expected, "{settings}: {}", text_of(&asked));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_used_without_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    let authority = Authority::new(&folder.path().join("tls"));
    authority.sign("server", "IP:127.0.0.1");
    let web = format!(
        "tls_server_config: {{cert_file: tls/server.pem, key_file: tls/server.key}}\n\
         basic_auth_users: {{admin: {HASH}}}\n"
    );
    let belfry = start(folder.path(), "", &web).await;
    let url = format!("https://{}/-/healthy", belfry.address);
    let works = |ca: &Path| curl(&["--cacert", text(ca), &url]).0;
    assert!(works(&authority.file()));

    // promtool takes the authority from the environment, user and password from the address.
    let promtool = require("promtool", "prometheus");
    let server = format!("https://admin:fakepassword@{}", belfry.address);
    let output = Command::new(promtool)
        .args(["query", "instant", &server, "1+1"])
        .env("SSL_CERT_FILE", authority.file())
        .output()
        .expect("run promtool");
    assert!(text_of(&output).contains("scalar: 2"), "{}", text_of(&output));

    let second = Authority::new(&folder.path().join("second"));
    let (certificate, key) = second.sign("server", "IP:127.0.0.1");
    // Half a change: a certificate whose key is another one. The old pair goes on.
    std::fs::copy(&certificate, folder.path().join("tls/server.pem")).expect("copy");
    eventually("the mistake is told", 20, async || {
        belfry.process.log().contains("don't go together").then_some(())
    })
    .await;
    assert!(works(&authority.file()));
    std::fs::copy(&key, folder.path().join("tls/server.key")).expect("copy");
    eventually("the new certificate is used", 20, async || works(&second.file()).then_some(()))
        .await;
    assert!(!works(&authority.file()));
}

const TOKENS: &str = "web:
  enable_admin_api: true
  open_paths: [/-/healthy]
  limits: {header_timeout: 1s, failed_logins: 3, header_size_max: 16KB}
  tokens:
  - {name: reader, token_file: reader.token, roles: [read]}
  - {name: team-a, token_file: team-a.token, roles: [read, write], scope: '{team=\"a\"}'}
  - {name: boss, token_file: boss.token, roles: [admin]}
  users: [{name: grafana, roles: [read]}]
rules: [rules.yml]
";

const RULES: &str = "groups:
- name: g
  interval: 1s
  rules:
  - {alert: Ringing, expr: 'pushed > 0', labels: {severity: info}}
  - {record: recorded_canaryb, expr: 'pushed{team=\"canaryb\"}'}
";

/// The administrator's token as a password, as a browser would send it by itself.
const BOSS: &str = "Basic Ym9zczp0b2tlbi1vZi1ib3NzLTAxMjM0NTY3ODk=";

async fn start_with_tokens(folder: &Path) -> Belfry {
    for name in ["reader", "team-a", "boss"] {
        write(folder, &format!("{name}.token"), &format!("{}\n", token(name)));
    }
    write(folder, "rules.yml", RULES);
    let web = format!("basic_auth_users: {{grafana: {HASH}}}\n");
    start(folder, TOKENS, &web).await
}

fn token(name: &str) -> String {
    format!("token-of-{name}-0123456789")
}

impl Belfry {
    async fn send(&self, method: &str, path: &str, name: &str, headers: &[(&str, &str)]) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = http::client().request(method, url);
        if !name.is_empty() {
            request = request.bearer_auth(token(name));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        let retry = answer.headers().get("retry-after").is_some();
        let status = answer.status().as_u16();
        Answer { status, retry, body: answer.text().await.expect("text") }
    }

    async fn get(&self, path: &str, name: &str) -> Answer {
        self.send("GET", path, name, &[]).await
    }

    async fn push(&self, name: &str, series: &[TimeSeries]) -> (u16, String) {
        let url = format!("http://{}/api/v1/write", self.address);
        let request = http::client().post(url).bearer_auth(token(name));
        let request = request.header("content-type", "application/x-protobuf");
        let request = request.header("content-encoding", "snappy");
        let answer = request.body(remote_write::encode(series)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }
}

struct Answer {
    status: u16,
    retry: bool,
    body: String,
}

impl Answer {
    #[track_caller]
    fn kind(&self) -> (u16, String) {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_default();
        (self.status, json["errorType"].as_str().unwrap_or("").to_owned())
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("fits")
}

/// Values of each parameter that would show as much as there is.
fn greedy(name: &str) -> Option<&'static str> {
    Some(match name {
        "query" | "expr" => "{__name__=~\".+\"}",
        "match[]" => "{__name__=~\".+\"}",
        "name" | "label" => "team",
        "step" => "15",
        "search[]" => "canary",
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_scope_holds_at_every_door() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = start_with_tokens(folder.path()).await;
    let series = |team: &str| TimeSeries::new("pushed", &[("team", team)], vec![(now_ms(), 1.0)]);
    // Writes: what is outside is refused with the reason, the rest is stored.
    let (status, text) = belfry.push("team-a", &[series("a"), series("canaryb")]).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("outside the label scope") && text.contains("1 samples"), "{text}");
    assert_eq!(belfry.push("reader", &[series("a")]).await.0, 403);
    let (status, text) = belfry.push("boss", &[series("canaryb"), series("a")]).await;
    assert_eq!(status, 204, "{text}");
    let count = async |name: &str| {
        let answer = belfry.get("/api/v1/query?query=count(pushed)", name).await;
        let json: Value = serde_json::from_str(&answer.body).expect("JSON");
        json["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned()
    };
    assert_eq!((count("reader").await, count("team-a").await), ("2".to_owned(), "1".to_owned()));
    eventually("alarms ring", 30, async || {
        let answer = belfry.get("/api/v1/alerts", "reader").await;
        answer.body.contains("canaryb").then_some(())
    })
    .await;
    eventually("the alert manager knows", 30, async || {
        belfry.get("/api/v2/alerts", "reader").await.body.contains("canaryb").then_some(())
    })
    .await;

    // Reads: every route of the document, asked for as much as there is.
    let document = belfry.get("/api/v1/openapi.json", "reader").await;
    let document: Value = serde_json::from_str(&document.body).expect("the document");
    let (mut shown, mut leaked) = (0, Vec::new());
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let Some(get) = operations.get("get") else { continue };
        let mut asked = path.clone();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for parameter in get["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            let place = format!("{{{name}}}");
            match (asked.contains(&place), greedy(name)) {
                (true, value) => asked = asked.replace(&place, value.unwrap_or("1")),
                (false, Some(value)) => _ = query.append_pair(name, value),
                (false, None) => {}
            }
        }
        if path.ends_with("query_range") || path.ends_with("read") {
            query.append_pair("start", &(now_ms() / 1000 - 60).to_string());
            query.append_pair("end", &(now_ms() / 1000).to_string());
        }
        if path.contains("live") {
            continue; // A stream without end; it tells of the server itself.
        }
        let asked = format!("{asked}?{}", query.finish());
        let whole = belfry.get(&asked, "boss").await;
        let narrow = belfry.get(&asked, "team-a").await;
        shown += u32::from(whole.body.contains("canaryb"));
        if narrow.body.contains("canaryb") {
            leaked.push(format!("{asked}: {}", narrow.body));
        }
    }
    assert!(leaked.is_empty(), "{}", leaked.join("\n"));
    assert!(shown >= 8, "the questions would have shown it: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_floods_and_slow_clients_get_nowhere() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = start_with_tokens(folder.path()).await;
    let query = "/api/v1/query?query=1";
    assert_eq!(belfry.get("/-/healthy", "").await.status, 200);
    assert_eq!(belfry.get("/-/ready", "").await.status, 401, "closed by open_paths");
    assert_eq!(belfry.get(query, "").await.kind(), (401, "unauthorized".to_owned()));
    assert_eq!(belfry.get(query, "reader").await.status, 200);
    let delete = "/api/v1/admin/tsdb/delete_series?match[]=up";
    let refused = belfry.send("POST", delete, "reader", &[]).await;
    assert_eq!(refused.kind(), (403, "forbidden".to_owned()));
    // Headers that Grafana forwards decide nothing.
    let forwarded = [("x-grafana-user", "boss"), ("x-forwarded-user", "boss")];
    assert_eq!(belfry.send("POST", delete, "reader", &forwarded).await.status, 403);
    assert_eq!(belfry.send("GET", query, "", &forwarded).await.status, 401);

    // Wrong passwords: slower and slower, with the envelope and how long to wait.
    let basic = |password: &str| {
        let url = format!("http://{}{query}", belfry.address);
        let request = http::client().get(url).basic_auth("grafana", Some(password.to_owned()));
        async move {
            let answer = request.send().await.expect("an answer");
            let retry = answer.headers().get("retry-after").is_some();
            let status = answer.status().as_u16();
            Answer { status, retry, body: answer.text().await.expect("text") }
        }
    };
    assert_eq!(basic("fakepassword").await.status, 200);
    for _ in 0..3 {
        assert_eq!(basic("wrong").await.status, 401);
    }
    let slowed = basic("another").await;
    assert_eq!(slowed.kind(), (429, "too_many_requests".to_owned()));
    assert!(slowed.retry);
    assert_eq!(basic("fakepassword").await.status, 200, "who was let in before still is");

    // A form on another site's page, sent with the password that the browser keeps.
    let cross = [("authorization", BOSS), ("origin", "http://elsewhere.example")];
    let refused = belfry.send("POST", delete, "", &cross).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("another site"), "{}", refused.body);
    assert_eq!(belfry.send("POST", delete, "", &cross[..1]).await.status, 204);

    // Headers that never end, and headers without measure.
    let mut slow = TcpStream::connect(&belfry.address).expect("connect");
    slow.write_all(b"GET / HTTP/1.1\r\nHost: b\r\n").expect("send");
    slow.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    let started = Instant::now();
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
    let mut long = TcpStream::connect(&belfry.address).expect("connect");
    long.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    let text = format!("GET /-/healthy HTTP/1.1\r\nHost: b\r\nX: {}\r\n\r\n", "x".repeat(65_536));
    // It may be refused before all of it is sent, and the refusal be lost with the connection.
    let _ = long.write_all(text.as_bytes());
    let mut answer = Vec::new();
    let _ = long.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}
