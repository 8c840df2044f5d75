//! The Postgres wire with real clients: Debian's psql and tokio-postgres, over a small store.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use journal::disk::SimulatedDisk;
use model::clock::SystemClock;
use model::{Append, Batch, BoxFuture, Labels, TimestampMs};
use query::Engine;
use sql::told::Nothing;
use sql::wire::{Passwords, Running, Server, Settings};
use sql::{Parts, Session};
use storage::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio_postgres::{Client, NoTls};

struct Ada;

impl Passwords for Ada {
    fn check<'a>(&'a self, user: &'a str, password: &'a str, _: IpAddr) -> BoxFuture<'a, bool> {
        Box::pin(async move { user == "ada" && password == "secret" })
    }
}

struct Served {
    address: SocketAddr,
    engine: Arc<Engine>,
    running: Running,
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the end of time")
}

/// Two instances of `node_load1`, a value a minute for two hours, and one of `up`.
async fn serve(passwords: Option<Arc<dyn Passwords>>) -> Served {
    let clock = Arc::new(SystemClock);
    let disk = SimulatedDisk::new(7).disk();
    let settings = storage::Settings::default();
    let store = Store::open(disk, Path::new("/data"), settings, Arc::clone(&clock) as _)
        .expect("open a store");
    let mut batch = Batch::new();
    for (name, instance) in [("node_load1", "a"), ("node_load1", "b"), ("up", "a")] {
        let labels = [("__name__", name), ("instance", instance), ("job", "node")];
        let series = batch.series(&Labels::from_pairs(labels));
        for minute in 0..120 {
            let at = TimestampMs(now_ms() - (120 - minute) * 60_000);
            batch.sample(series, at, minute as f64);
        }
    }
    store.append(batch).await.expect("append");
    let source = Arc::clone(&store) as Arc<dyn query::Source>;
    let engine = Arc::new(Engine::new(source, clock, query::Settings::default()));
    let parts = Parts { store, engine: Arc::clone(&engine), told: Arc::new(Nothing) };
    let session = Arc::new(Session::start(parts).expect("a session"));
    let settings = Settings { connections_max: 4, passwords, encryption: None };
    let server = Server::bind("127.0.0.1:0", settings).await.expect("bind");
    let address = server.address();
    Served { address, engine, running: server.start(session) }
}

/// Output and errors of psql.
async fn psql(served: &Served, user: &str, password: &str, command: &str) -> (bool, String) {
    let output = Command::new("psql")
        .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-d", "belfry"])
        .args(["-p", &served.address.port().to_string(), "-U", user, "-c", command])
        .env("PGPASSWORD", password)
        .env("PGCONNECT_TIMEOUT", "10")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("psql: install postgresql-client");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn client(served: &Served) -> Client {
    let config = format!("host=127.0.0.1 port={} user=ada dbname=belfry", served.address.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.expect("connect");
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_finds_its_way() {
    let served = serve(None).await;
    let check = async |command: &str, expected: &[&str]| {
        let (is_good, text) = psql(&served, "anybody", "", command).await;
        assert!(is_good, "{command}: {text}");
        for part in expected {
            assert!(text.contains(part), "{command}: no {part:?} in\n{text}");
        }
    };
    check("select count(*) from metrics.node_load1", &["240"]).await;
    check(
        "select instance, max(value) from metrics.\"node_load1\" where ts > now() - interval '1 hour' \
         group by 1 order by 1",
        &["a|119", "b|119"],
    )
    .await;
    check("select name, labels from series where name = 'up'", &["up|{\"instance\":\"a\""]).await;
    check("\\dt", &["public|samples|table", "public|series|table"]).await;
    check("\\d", &["samples"]).await;
    check("\\dt metrics.*", &["metrics|node_load1|table", "metrics|up|table"]).await;
    check("\\d metrics.node_load1", &["ts|timestamp", "value|double precision", "instance|text"])
        .await;
    check("\\dn", &["metrics", "public"]).await;
    check("\\l", &["belfry"]).await;
    check("show server_version", &["16.6"]).await;
    check("set statement_timeout = '5s'; show statement_timeout", &["5000ms"]).await;
    check("begin; select 1; commit", &["1"]).await;
    served.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_finds_its_way() {
    let served = serve(None).await;
    let client = client(&served).await;
    let check = async |text: &str, expected: &[&str]| {
        let rows = client.simple_query(text).await;
        let rows = rows.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let cells: Vec<String> = rows
            .iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some(row.get(0).unwrap_or("NULL").to_owned())
                }
                _ => None,
            })
            .collect();
        for part in expected {
            assert!(cells.iter().any(|cell| cell == part), "{text}: no {part:?} in {cells:?}");
        }
    };
    check("SELECT current_setting('server_version_num')::int/100 as version", &["1600"]).await;
    check("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", &[]).await;
    check("SELECT schema_name FROM information_schema.schemata", &["public", "metrics"]).await;
    check(
        "SELECT quote_ident(table_name) as \"table\" FROM information_schema.tables \
         WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog') \
         ORDER BY table_name",
        &["node_load1", "samples"],
    )
    .await;
    check(
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" \
         FROM information_schema.columns WHERE table_schema = 'metrics' \
         AND table_name = 'node_load1'",
        &["ts", "value", "instance"],
    )
    .await;
    let minute = |ago: i64| {
        let at_ms = now_ms() - ago * 60_000;
        let (seconds, ms) = (at_ms / 1000, at_ms % 1000);
        // What `$__timeFilter` writes, without a calendar: from the server's own clock.
        format!("to_timestamp({seconds}.{ms:03})")
    };
    let text = format!(
        "SELECT count(*) FROM metrics.node_load1 WHERE ts BETWEEN {} AND {}",
        minute(61),
        minute(1)
    );
    check(&text, &["120"]).await;
    check(
        "SELECT count(*) FROM metrics.up WHERE ts BETWEEN '2024-01-01T00:00:00Z' AND \
         '2124-01-01T00:00:00.5Z'",
        &["120"],
    )
    .await;
    served.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements() {
    let served = serve(None).await;
    let client = client(&served).await;
    let text = "select instance, value from metrics.node_load1 where instance = $1 and value >= $2 \
                order by ts";
    let prepared = client.prepare(text).await.expect("prepare");
    for (instance, at_least, rows) in [("a", 100.0, 20), ("b", 119.0, 1), ("c", 0.0, 0)] {
        let found = client.query(&prepared, &[&instance, &at_least]).await.expect("query");
        assert_eq!(found.len(), rows, "{instance}");
        if let Some(row) = found.first() {
            assert_eq!(row.get::<_, &str>(0), instance);
            assert_eq!(row.get::<_, f64>(1), at_least);
        }
    }
    let since = SystemTime::now() - Duration::from_secs(30 * 60);
    let text = "select ts, value from metrics.up where ts > $1 order by ts";
    let found = client.query(text, &[&since]).await.expect("a time as parameter");
    assert_eq!(found.len(), 29);
    let at: SystemTime = found[0].get(0);
    assert!(at > since);
    served.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_and_goes_on() {
    let served = serve(None).await;
    let client = client(&served).await;
    for (text, code) in [
        ("drop table samples", "25006"),
        ("create table x (a int)", "25006"),
        ("insert into samples values (1)", "25006"),
        ("copy samples to '/tmp/x'", "25006"),
        ("set datafusion.execution.batch_size = 1", "42704"),
        ("set default_transaction_read_only = off", "42704"),
        ("select * from '/etc/passwd'", "42601"),
        ("select pg_read_file('/etc/passwd')", "42601"),
        ("select", "42601"),
        ("listen x", "25006"),
    ] {
        let error = client.simple_query(text).await.expect_err(text);
        let own = error.code().map(|own| own.code().to_owned());
        assert_eq!(own.as_deref(), Some(code), "{text}: {error:?}");
        let error = client.query(text, &[]).await.expect_err(text);
        let own = error.code().map(|own| own.code().to_owned());
        assert_eq!(own.as_deref(), Some(code), "extended: {text}: {error:?}");
    }
    let row = client.query_one("select 1 + 1", &[]).await.expect("goes on");
    assert_eq!(row.get::<_, i64>(0), 2);
    served.running.stop().await;
}

/// A statement that takes far longer than any test.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000000) a, \
                       generate_series(1, 1000000000) b";

async fn until_running(served: &Served, count: usize) {
    for _ in 0..2000 {
        if served.engine.running().len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{count} statements: {:?}", served.engine.running());
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_end_early() {
    let served = serve(None).await;
    // A cancel request on a connection of its own.
    let asking = client(&served).await;
    let token = asking.cancel_token();
    let asked = tokio::spawn(async move { asking.simple_query(ENDLESS).await.map(drop) });
    until_running(&served, 1).await;
    token.cancel_query(NoTls).await.expect("a cancel request");
    let error = asked.await.expect("joined").expect_err("canceled");
    assert_eq!(error.code().map(|own| own.code()), Some("57014"), "{error:?}");
    until_running(&served, 0).await;
    // An operator's kill.
    let asking = client(&served).await;
    let asked = tokio::spawn(async move { asking.query(ENDLESS, &[]).await.map(drop) });
    until_running(&served, 1).await;
    assert!(served.engine.kill(served.engine.running()[0].id));
    let error = asked.await.expect("joined").expect_err("killed");
    let text = error.as_db_error().expect("an answer").message().to_owned();
    assert!(text.contains("killed"), "{text}");
    // The time-out of the connection.
    let asking = client(&served).await;
    asking.simple_query("set statement_timeout = 100").await.expect("set");
    let error = asking.simple_query(ENDLESS).await.expect_err("too long");
    assert_eq!(error.code().map(|own| own.code()), Some("57014"), "{error:?}");
    drop(asking);
    // A client that goes away.
    let mut asked = Command::new("psql")
        .args(["-X", "-h", "127.0.0.1", "-p", &served.address.port().to_string()])
        .args(["-U", "x", "-d", "belfry", "-c", ENDLESS])
        .stdin(Stdio::null())
        .spawn()
        .expect("psql: install postgresql-client");
    until_running(&served, 1).await;
    asked.kill().await.expect("kill psql");
    until_running(&served, 0).await;
    // The stop.
    let asking = client(&served).await;
    let asked = tokio::spawn(async move { asking.simple_query(ENDLESS).await.map(drop) });
    until_running(&served, 1).await;
    served.running.stop().await;
    asked.await.expect("joined").expect_err("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_asked_for() {
    let served = serve(Some(Arc::new(Ada))).await;
    let (is_good, text) = psql(&served, "ada", "secret", "select 1").await;
    assert!(is_good, "{text}");
    for (user, password) in [("ada", "wrong"), ("ada", ""), ("eve", "secret")] {
        let (is_good, text) = psql(&served, user, password, "select 1").await;
        assert!(!is_good, "{user} {password}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
    served.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_limited() {
    let served = serve(Some(Arc::new(Ada))).await;
    // A statement before the password: the connection ends.
    let mut socket = tokio::net::TcpStream::connect(served.address).await.expect("connect");
    let startup = b"\0\0\0\x12\0\x03\0\0user\0ada\0\0";
    socket.write_all(startup).await.expect("greeting");
    let query = b"Q\0\0\0\x0dselect 1\0";
    socket.write_all(query).await.expect("statement");
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer));
    reading.await.expect("ends").expect("reads");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("FATAL") && !text.contains("SELECT"), "{text}");
    // A message that claims to be very long: the connection ends long before.
    let mut socket = tokio::net::TcpStream::connect(served.address).await.expect("connect");
    socket.write_all(startup).await.expect("greeting");
    socket.write_all(b"Q\x7f\xff\xff\x00").await.expect("head");
    let chunk = vec![b'x'; 64 * 1024];
    let mut sent = 0_usize;
    while sent < 64 * 1024 * 1024 && socket.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes were read of a stranger");
    // Too many connections: the next is told.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(tokio::net::TcpStream::connect(served.address).await.expect("connect"));
    }
    let refused = async {
        loop {
            let mut socket = tokio::net::TcpStream::connect(served.address).await.expect("connect");
            let mut answer = Vec::new();
            let reading = socket.read_to_end(&mut answer);
            if tokio::time::timeout(Duration::from_millis(300), reading).await.is_ok()
                && String::from_utf8_lossy(&answer).contains("53300")
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("refused in the end");
    drop(held);
    served.running.stop().await;
}

#[tokio::test]
async fn an_open_address_needs_passwords() {
    let error = Server::bind("0.0.0.0:0", Settings::default()).await.err().expect("refused");
    assert!(error.to_string().contains("without passwords"), "{error}");
}
