//! HAProxy through its statistics socket, under the names of HAProxy's own Prometheus page.
//!
//! Place in the flow: `config` → [`HaproxyExporter`] → `show info`, `show stat` → families.
//!
//! For an HAProxy that was built without that page. One that has it is scraped as it is; `config`
//! tells the two apart. A cell that does not apply is left out, where the page writes NaN.
//!
//! A socket that does not answer is an error: the collector shows `up` 0, as for a page that cannot
//! be fetched, so that rules are the same for both ways.
//!
//! Not here: the page itself (collector), changing anything through the socket.

mod map;
mod names;

use std::path::PathBuf;
use std::time::Duration;

use model::{BoxFuture, Exporter, Family};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::families::Families;

/// Largest answer read. A line of `show stat` is below 1 kB; this is room for 30,000 servers.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Watches one HAProxy through its statistics socket.
pub struct HaproxyExporter {
    socket: PathBuf,
    timeout: Duration,
}

impl HaproxyExporter {
    /// Sets it up; nothing is opened yet.
    pub fn new(socket: PathBuf, timeout_ms: u64) -> HaproxyExporter {
        // A tenth is left to say what went wrong before the caller gives up on us.
        HaproxyExporter { socket, timeout: Duration::from_millis(timeout_ms) * 9 / 10 }
    }

    async fn read(&self) -> Result<Vec<Family>, String> {
        let path = self.socket.display();
        let answers = timeout(self.timeout, async {
            Ok((self.ask("show info\n").await?, self.ask("show stat\n").await?))
        });
        let answers = answers.await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let (info, stat) = answers.map_err(|error| format!("statistics socket {path}: {error}"))?;
        let mut families = Families::new();
        map::info(&info, &mut families)?;
        map::stat(&stat, &mut families)?;
        Ok(families.into_list())
    }

    /// One command per connection: HAProxy closes it after the answer.
    async fn ask(&self, command: &str) -> Result<String, String> {
        let say = |error: std::io::Error| error.to_string();
        let mut stream = UnixStream::connect(&self.socket).await.map_err(say)?;
        stream.write_all(command.as_bytes()).await.map_err(say)?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await.map_err(say)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Exporter for HaproxyExporter {
    fn collect(&self) -> BoxFuture<'_, Result<Vec<Family>, String>> {
        Box::pin(self.read())
    }
}

#[cfg(test)]
mod tests;
