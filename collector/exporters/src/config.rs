//! The `exporters:` section of belfry.yml as data.
//!
//! Place in the flow: `model::fields` → [`read`] → [`Config`] → [`crate::build`].
//!
//! ```yaml
//! exporters:
//!   host: {interval: 15s}
//!   postgres:
//!     - {name: orders, url: "postgres://belfry@db1:5432/orders", password_file: /etc/belfry/pg}
//!   redis:
//!     - {address: "cache1:6379", password_file: /etc/belfry/redis}
//!   haproxy:
//!     - {url: "http://lb1:8404/metrics"}
//!     - {name: edge, socket: /run/haproxy/admin.sock}
//! ```
//!
//! Every problem is collected with its line and field. Nothing is opened and nothing is resolved:
//! a server that is down is no mistake of the file. `Debug` shows no password.
//!
//! Not here: connecting (each exporter), the rest of belfry.yml (belfry).

use std::path::PathBuf;

use model::fields::{Fields, Problems};
use model::yaml::Node;

use crate::secret::Password;

/// How often things are asked unless the file says otherwise.
pub const INTERVAL_MS: u64 = 15_000;
/// How long one asking may take unless the file says otherwise; never above the interval.
pub const TIMEOUT_MS: u64 = 10_000;
/// The shortest interval accepted: below it the asking itself is the load.
pub const INTERVAL_MS_MIN: u64 = 1_000;

/// Everything the section says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// This machine.
    pub host: HostConfig,
    /// PostgreSQL servers.
    pub postgres: Vec<PostgresConfig>,
    /// Redis servers.
    pub redis: Vec<RedisConfig>,
    /// HAProxy processes.
    pub haproxy: Vec<HaproxyConfig>,
}

/// How often, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often.
    pub interval_ms: u64,
    /// For how long; at most the interval.
    pub timeout_ms: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { interval_ms: INTERVAL_MS, timeout_ms: TIMEOUT_MS }
    }
}

/// This machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// Whether it is watched at all.
    pub enabled: bool,
    /// How often.
    pub pace: Pace,
    /// Where `/proc` is; elsewhere when Belfry runs in a container.
    pub proc: PathBuf,
    /// Where `/sys` is.
    pub sys: PathBuf,
    /// What is put before the mount points.
    pub rootfs: PathBuf,
}

impl Default for HostConfig {
    fn default() -> HostConfig {
        HostConfig {
            enabled: true,
            pace: Pace::default(),
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
            rootfs: PathBuf::from("/"),
        }
    }
}

/// One PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// The `instance` label.
    pub name: String,
    /// Host name, address, or the directory of a unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role; it needs `pg_monitor`, not more.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// Database to connect to.
    pub dbname: String,
    /// How often.
    pub pace: Pace,
}

/// One Redis server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConfig {
    /// The `instance` label.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// ACL user; the default user when absent.
    pub username: Option<String>,
    /// Its password.
    pub password: Password,
    /// How often.
    pub pace: Pace,
}

/// One HAProxy process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaproxyConfig {
    /// The `instance` label.
    pub name: String,
    /// How it is read.
    pub source: HaproxySource,
    /// How often.
    pub pace: Pace,
}

/// How one HAProxy is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HaproxySource {
    /// Its own Prometheus page, scraped by the collector.
    Page {
        /// The page's address.
        url: String,
    },
    /// Its statistics socket, read by us under the same names.
    Socket {
        /// The socket's path.
        path: PathBuf,
    },
}

/// Reads the section. All mistakes go to the reader's problems; the answer is then not to be used.
pub fn read(mut fields: Fields<'_>) -> Config {
    let problems = fields.problems();
    let host = fields.fields("host").map(read_host).unwrap_or_default();
    let mut config = Config { host, ..Config::default() };
    for (path, node) in fields.list("postgres") {
        config.postgres.extend(read_postgres(Fields::new(node, &path, problems)));
    }
    for (path, node) in fields.list("redis") {
        config.redis.extend(read_redis(Fields::new(node, &path, problems)));
    }
    for (path, node) in fields.list("haproxy") {
        config.haproxy.extend(read_haproxy(Fields::new(node, &path, problems)));
    }
    refuse_same_names(&mut fields, "postgres", config.postgres.iter().map(|one| &one.name));
    refuse_same_names(&mut fields, "redis", config.redis.iter().map(|one| &one.name));
    refuse_same_names(&mut fields, "haproxy", config.haproxy.iter().map(|one| &one.name));
    fields.finish();
    config
}

/// Two entries of one name would write the same series.
fn refuse_same_names<'n>(
    fields: &mut Fields<'_>,
    key: &'static str,
    names: impl Iterator<Item = &'n String>,
) {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            fields.problem(key, format!("two entries are named {name:?}; give each its own name"));
        }
    }
}

fn read_pace(fields: &mut Fields<'_>) -> Pace {
    let interval_ms = fields.duration_ms("interval").unwrap_or(INTERVAL_MS);
    if interval_ms < INTERVAL_MS_MIN {
        fields.problem("interval", "is below 1s; write 1s or more");
    }
    let timeout_ms = fields.duration_ms("timeout").unwrap_or(TIMEOUT_MS.min(interval_ms));
    if timeout_ms == 0 || timeout_ms > interval_ms {
        fields.problem("timeout", "must be above 0s and at most the interval");
    }
    Pace { interval_ms, timeout_ms }
}

fn read_host(mut fields: Fields<'_>) -> HostConfig {
    let usual = HostConfig::default();
    let mut directory = |key, usual| fields.text(key).map_or(usual, PathBuf::from);
    let (proc, sys) = (directory("proc", usual.proc), directory("sys", usual.sys));
    let rootfs = directory("rootfs", usual.rootfs);
    let enabled = fields.boolean("enabled").unwrap_or(true);
    let pace = read_pace(&mut fields);
    fields.finish();
    HostConfig { enabled, pace, proc, sys, rootfs }
}

/// The password keys that every server entry has.
fn read_password(fields: &mut Fields<'_>) -> Password {
    let inline = fields.text("password");
    let file = fields.text("password_file");
    match (inline, file) {
        (Some(_), Some(_)) => {
            fields.problem("password", "is given twice; keep password_file and remove password");
            Password::None
        }
        (Some(text), None) => Password::Inline(text),
        (None, Some(path)) => Password::File(PathBuf::from(path)),
        (None, None) => Password::None,
    }
}

fn read_port(fields: &mut Fields<'_>, usual: u16) -> u16 {
    let Some(number) = fields.unsigned("port") else { return usual };
    match u16::try_from(number) {
        Ok(port) if port > 0 => port,
        _ => {
            fields.problem("port", format!("needs a port between 1 and 65535, but is {number}"));
            usual
        }
    }
}

const SSLMODE_MESSAGE: &str = "only sslmode disable is supported; connect over a trusted network, \
                               a unix socket or a local TLS tunnel, and write sslmode: disable";

fn read_postgres(mut fields: Fields<'_>) -> Option<PostgresConfig> {
    let name = fields.text("name");
    let url = fields.text("url");
    let pace = read_pace(&mut fields);
    let mut password = read_password(&mut fields);
    if fields.text("sslmode").is_some_and(|mode| mode != "disable") {
        fields.problem("sslmode", SSLMODE_MESSAGE);
    }
    let parts = match url {
        Some(url) => {
            for key in ["host", "port", "user", "dbname"] {
                if fields.has(key) {
                    fields.problem(key, "is already part of url; keep one of the two");
                }
            }
            let parts = postgres_url(&url, &mut password);
            parts.map_err(|message| fields.problem("url", message)).ok()
        }
        None => {
            let host = fields.required_text("host");
            let user = fields.required_text("user");
            let port = read_port(&mut fields, 5432);
            let dbname = fields.text("dbname").unwrap_or_else(|| "postgres".to_owned());
            Some(PostgresParts { host, port, user, dbname })
        }
    };
    fields.finish();
    let PostgresParts { host, port, user, dbname } = parts?;
    let name = name.unwrap_or_else(|| format!("{host}:{port}"));
    Some(PostgresConfig { name, host, port, user, password, dbname, pace })
}

struct PostgresParts {
    host: String,
    port: u16,
    user: String,
    dbname: String,
}

/// Takes a `postgres://` address apart. No message repeats the address: it may hold a password.
fn postgres_url(text: &str, password: &mut Password) -> Result<PostgresParts, String> {
    const SHAPE: &str = "needs an address such as postgres://user@host:5432/database";
    let url = url::Url::parse(text).map_err(|error| format!("{SHAPE} ({error})"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(SHAPE.to_owned());
    }
    let mut host = percent_decoded(url.host_str().unwrap_or(""))?;
    for (key, value) in url.query_pairs() {
        match (&*key, &*value) {
            ("sslmode", "disable") => {}
            ("sslmode", _) => return Err(SSLMODE_MESSAGE.to_owned()),
            ("host", directory) => directory.clone_into(&mut host),
            (other, _) => {
                return Err(format!("does not take the parameter {other:?}; remove it"));
            }
        }
    }
    if let Some(text) = url.password() {
        if *password != Password::None {
            return Err("holds a password besides password or password_file; keep one".to_owned());
        }
        *password = Password::Inline(percent_decoded(text)?);
    }
    let user = percent_decoded(url.username())?;
    if host.is_empty() || user.is_empty() {
        return Err(format!("has no {}; {SHAPE}", if host.is_empty() { "host" } else { "user" }));
    }
    let dbname = percent_decoded(url.path().trim_start_matches('/'))?;
    let dbname = if dbname.is_empty() { "postgres".to_owned() } else { dbname };
    Ok(PostgresParts { host, port: url.port().unwrap_or(5432), user, dbname })
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err("has a % that is not followed by two hexadecimal digits".to_owned());
        };
        bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits make one byte"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 after decoding %".to_owned())
}

fn read_redis(mut fields: Fields<'_>) -> Option<RedisConfig> {
    let name = fields.text("name");
    let address = fields.required_text("address");
    let username = fields.text("username");
    let password = read_password(&mut fields);
    if username.is_some() && password == Password::None {
        fields.problem("username", "needs password or password_file beside it");
    }
    if fields.boolean("tls") == Some(true) {
        fields.problem("tls", "is not supported; use a local TLS tunnel and write tls: false");
    }
    let pace = read_pace(&mut fields);
    let parsed = host_and_port(&address, 6379);
    if parsed.is_none() && !address.is_empty() {
        fields.problem("address", format!("needs host:port, but is {address:?}"));
    }
    fields.finish();
    let (host, port) = parsed?;
    let name = name.unwrap_or_else(|| format!("{host}:{port}"));
    Some(RedisConfig { name, host, port, username, password, pace })
}

/// Splits `host:port`, `host` or `[v6]:port`.
fn host_and_port(text: &str, usual_port: u16) -> Option<(String, u16)> {
    if text.is_empty() || text.contains(['/', '@', ' ']) {
        return None;
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None => usual_port,
    };
    let bare_v6 = host.contains(':') && !text.starts_with('[');
    (!host.is_empty() && !bare_v6).then(|| (host.to_owned(), port))
}

fn read_haproxy(mut fields: Fields<'_>) -> Option<HaproxyConfig> {
    let name = fields.text("name");
    let url = fields.text("url");
    let socket = fields.text("socket");
    let pace = read_pace(&mut fields);
    let read = match (url, socket) {
        (Some(url), None) => haproxy_page(&url)
            .map_err(|message| fields.problem("url", message))
            .ok()
            .map(|(address, url)| (address, HaproxySource::Page { url })),
        (None, Some(path)) if path.starts_with('/') => {
            Some((path.clone(), HaproxySource::Socket { path: PathBuf::from(path) }))
        }
        (None, Some(_)) => {
            fields.problem("socket", "needs an absolute path such as /run/haproxy/admin.sock");
            None
        }
        (Some(_), Some(_)) => {
            fields.problem("socket", "is given beside url; keep one of the two");
            None
        }
        (None, None) => {
            fields.problem("url", "is required, or socket in its place");
            None
        }
    };
    fields.finish();
    let (address, source) = read?;
    Some(HaproxyConfig { name: name.unwrap_or(address), source, pace })
}

/// The `host:port` and the full address of a metrics page.
fn haproxy_page(text: &str) -> Result<(String, String), String> {
    const SHAPE: &str = "needs an address such as http://lb1:8404/metrics";
    if text.ends_with(";csv") {
        return Err("is the CSV page; give HAProxy's own /metrics page here, or its stats socket \
                    under socket"
            .to_owned());
    }
    let mut url = url::Url::parse(text).map_err(|error| format!("{SHAPE} ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(SHAPE.to_owned());
    }
    if url.path() == "/" {
        url.set_path("/metrics");
    }
    let host = url.host_str().unwrap_or("");
    let port = url.port_or_known_default().unwrap_or(80);
    Ok((format!("{host}:{port}"), url.into()))
}

/// Reads the section from its node, for callers that hold no reader.
pub fn read_node(node: &Node, problems: &Problems) -> Config {
    read(Fields::new(node, "exporters", problems))
}

#[cfg(test)]
mod tests;
