//! Pictures of everything durable of a running process: a data folder below `snapshots/` in the data
//! folder, made of second names of the live files.
//!
//! Place in the flow: admin API → **`Snapshots`** → store, rules, alert manager. `belfry backup`
//! copies such a picture and removes it.
//!
//! Invariants: a picture has its name when it is whole and durable; one is made at a time. What a
//! process that died left of one is removed with the next.
//!
//! Not here: how each room makes its part.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alertmanager::Alertmanager;
use dashboards::Admin;
use journal::disk::Disk;
use model::{BoxFuture, Clock};
use rules::Rules;
use storage::Store;
use tokio::sync::Mutex;

/// The folder of pictures in the data folder.
pub const SNAPSHOTS_FOLDER: &str = "snapshots";

/// The rooms that keep something.
type Rooms = (Option<Arc<Store>>, Option<Arc<Rules>>, Option<Arc<Alertmanager>>);

/// Makes pictures.
pub struct Snapshots {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    rooms: Rooms,
    /// Held while one is made.
    one: Arc<Mutex<()>>,
}

impl Snapshots {
    /// Pictures of these rooms.
    pub fn new(data: &Path, clock: Arc<dyn Clock>, rooms: Rooms) -> Snapshots {
        Snapshots { folder: data.join(SNAPSHOTS_FOLDER), clock, rooms, one: Arc::default() }
    }
}

impl Admin for Snapshots {
    fn snapshot(&self, skip_head: bool) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move {
            let one = Arc::clone(&self.one).lock_owned().await;
            let now = self.clock.now();
            let (folder, rooms) = (self.folder.clone(), self.rooms.clone());
            let name = backup::time_name(now);
            let made = tokio::task::spawn_blocking(move || {
                let _one = one; // Until it is made, also when nobody waits for it any more.
                make(&folder, &name, &rooms, skip_head)
            });
            made.await.map_err(|error| error.to_string())?
        })
    }
}

fn make(folder: &Path, name: &str, rooms: &Rooms, skip_head: bool) -> Result<String, String> {
    let disk = Disk::real();
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    disk.create_dir_all(folder).map_err(said)?;
    let mut names = Vec::new();
    for entry in disk.list(folder).map_err(said)? {
        if entry.is_dir && entry.name.ends_with(".tmp") {
            disk.remove_dir_all(&folder.join(&entry.name)).map_err(said)?;
        }
        names.push(entry.name);
    }
    let numbered = (2..).map(|number: u64| format!("{name}-{number:03}"));
    let mut free = std::iter::once(name.to_owned()).chain(numbered);
    let name = free.find(|name| !names.contains(name)).expect("there are more numbers than names");
    let temporary = folder.join(format!("{name}.tmp"));
    let filled = fill(&temporary, rooms, skip_head).and_then(|()| {
        disk.sync_dir(&temporary).map_err(said)?;
        disk.rename(&temporary, &folder.join(&name)).map_err(said)?;
        disk.sync_dir(folder).map_err(said)
    });
    if filled.is_err() {
        // Only space is lost when this fails, until the next one.
        let _ = disk.remove_dir_all(&temporary);
    }
    filled.map(|()| name)
}

/// The rules first: an alarm that the alert manager knows and they don't would only be told again.
fn fill(to: &Path, (store, rules, alerts): &Rooms, skip_head: bool) -> Result<(), String> {
    if let Some(rules) = rules {
        rules.snapshot(&to.join("rules")).map_err(|error| full(&error))?;
    }
    if let Some(alerts) = alerts {
        alerts.snapshot(&to.join("alertmanager")).map_err(|error| full(&error))?;
    }
    if let Some(store) = store {
        Disk::real().create_dir_all(to).map_err(|error| full(&error))?;
        store.snapshot(&to.join("store"), !skip_head).map_err(|error| full(&error))?;
    }
    Ok(())
}

/// The message with those of its causes.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
