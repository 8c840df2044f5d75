//! Asks a Redis server everything in one pipeline.
//!
//! Place in the flow: `config` → connection → **[`Replies`]** → `map`.
//!
//! A connection per scrape: one round trip more, and no state to mend after a fail-over. Every wait
//! is under the caller's deadline; the whole answer is bounded by [`REPLY_BYTES_MAX`].
//!
//! Not here: the meaning of replies.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::RedisConfig;

use super::resp::{Value, command, parse};

/// Largest answer read in one scrape. INFO with all commands used is below 100 kB.
pub(super) const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// What the server said. Texts are absent when the command was refused.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// `INFO ALL`.
    pub(super) info: String,
    /// `CLUSTER INFO`, of a server in cluster mode.
    pub(super) cluster_info: Option<String>,
    /// Pairs of `CONFIG GET`.
    pub(super) config: Vec<(String, String)>,
    /// `SLOWLOG LEN`.
    pub(super) slowlog_length: Option<i64>,
    /// `SLOWLOG GET 1`: number, and duration in microseconds.
    pub(super) slowlog_last: Option<(i64, i64)>,
    /// `LATENCY LATEST`: event, when, how many milliseconds.
    pub(super) latency: Vec<(String, i64, i64)>,
}

const COMMANDS: [&[&str]; 9] = [
    &["INFO", "ALL"],
    &["CLUSTER", "INFO"],
    &["SLOWLOG", "LEN"],
    &["SLOWLOG", "GET", "1"],
    &["LATENCY", "LATEST"],
    &["CONFIG", "GET", "maxmemory"],
    &["CONFIG", "GET", "maxclients"],
    &["CONFIG", "GET", "databases"],
    &["CONFIG", "GET", "io-threads"],
];

pub(super) async fn read(config: &RedisConfig) -> Result<Replies, String> {
    let address = (config.host.as_str(), config.port);
    let connected = TcpStream::connect(address).await;
    let stream = connected
        .map_err(|error| format!("connect to {}:{}: {error}", config.host, config.port))?;
    let mut connection = Connection { stream, unread: Vec::new(), read_bytes: 0 };
    if let Some(password) = config.password.read()? {
        let words = match &config.username {
            Some(username) => vec!["AUTH", username, &password],
            None => vec!["AUTH", &password],
        };
        connection.send(&command(&words)).await?;
        if let Value::Error(message) = connection.receive().await? {
            return Err(format!("the server refused the password: {message}"));
        }
    }
    let pipeline: Vec<u8> = COMMANDS.iter().flat_map(|words| command(words)).collect();
    connection.send(&pipeline).await?;
    let mut values = Vec::with_capacity(COMMANDS.len());
    for _ in COMMANDS {
        values.push(connection.receive().await?);
    }
    replies(values)
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    read_bytes: usize,
}

impl Connection {
    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| format!("send a command: {error}"))
    }

    async fn receive(&mut self) -> Result<Value, String> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if let Some((value, used)) = parse(&self.unread)? {
                self.unread.drain(..used);
                return Ok(value);
            }
            let read = self.stream.read(&mut buffer).await;
            let count = read.map_err(|error| format!("read a reply: {error}"))?;
            if count == 0 {
                return Err("the server closed the connection".to_owned());
            }
            self.read_bytes += count;
            if self.read_bytes > REPLY_BYTES_MAX {
                return Err(format!("the answer is larger than {REPLY_BYTES_MAX} bytes"));
            }
            self.unread.extend_from_slice(&buffer[..count]);
        }
    }
}

/// Sorts the replies of [`COMMANDS`]. Only a refused INFO is an error.
pub(super) fn replies(values: Vec<Value>) -> Result<Replies, String> {
    let mut replies = Replies::default();
    for (words, value) in COMMANDS.iter().zip(values) {
        match (words[0], words[1], value) {
            ("INFO", _, Value::Text(text)) => replies.info = text,
            ("INFO", _, Value::Error(message)) => {
                return Err(format!("the server refused INFO: {message}"));
            }
            ("CLUSTER", _, Value::Text(text)) => replies.cluster_info = Some(text),
            ("SLOWLOG", "LEN", Value::Number(length)) => replies.slowlog_length = Some(length),
            ("SLOWLOG", "GET", Value::List(entries)) => {
                replies.slowlog_last = entries.first().and_then(slowlog_entry);
            }
            ("LATENCY", _, Value::List(events)) => {
                replies.latency = events.iter().filter_map(latency_event).collect();
            }
            ("CONFIG", _, Value::List(pair)) => {
                if let [Value::Text(name), Value::Text(value)] = &pair[..] {
                    replies.config.push((name.clone(), value.clone()));
                }
            }
            _ => {} // Refused or renamed: left out.
        }
    }
    Ok(replies)
}

fn slowlog_entry(entry: &Value) -> Option<(i64, i64)> {
    let Value::List(parts) = entry else { return None };
    let [Value::Number(number), _, Value::Number(microseconds), ..] = parts[..] else {
        return None;
    };
    Some((number, microseconds))
}

fn latency_event(event: &Value) -> Option<(String, i64, i64)> {
    let Value::List(parts) = event else { return None };
    let [Value::Text(name), Value::Number(at), Value::Number(last_ms), ..] = &parts[..] else {
        return None;
    };
    Some((name.clone(), *at, *last_ms))
}
