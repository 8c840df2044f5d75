//! Files of groups, read again when they change.
//!
//! Place in the flow: `config::discovery::FileDiscovery` → **`Files::read`** → `pool`.
//!
//! A file that can't be read or understood keeps its last good groups: a half-written file must not
//! make every target vanish. A file that is gone takes its targets along.
//!
//! Not here: when to look again (`pool`), labels (`target`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::fields::{Fields, Problems};
use model::wildcard;
use model::yaml::{self, Kind};
use tokio::io::AsyncReadExt;

use super::group;
use crate::config::discovery::FileDiscovery;
use crate::target::Group;

/// Longest target file. A line per target, this is some hundred thousand of them.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Most files that one pattern may match.
const FILES_MAX: usize = 10_000;

/// Says in which file a target was found; gone after relabelling.
const FILE_LABEL: &str = "__meta_filepath";

/// The groups that the files of one block hold.
#[derive(Debug, Default)]
pub struct Files {
    good: BTreeMap<PathBuf, Content>,
    told: Vec<String>,
}

#[derive(Debug)]
struct Content {
    text: Vec<u8>,
    groups: Vec<Arc<Group>>,
}

impl Files {
    /// Reads all files of a block. Returns whether groups changed, and what went wrong
    /// since the last time.
    pub async fn read(&mut self, block: &FileDiscovery) -> (bool, Vec<String>) {
        let mut problems = Vec::new();
        let mut paths = Vec::new();
        for pattern in &block.patterns {
            match matching(pattern).await {
                Ok(found) => paths.extend(found),
                Err(error) => problems.push(format!("list {}: {error}", pattern.display())),
            }
        }
        let before = self.good.len();
        if problems.is_empty() {
            self.good.retain(|path, _| paths.contains(path));
        }
        let mut changed = self.good.len() != before;
        for path in paths {
            let text = match read_capped(&path).await {
                Ok(text) => text,
                Err(error) => {
                    problems.push(format!("read {}: {error}", path.display()));
                    continue;
                }
            };
            if self.good.get(&path).is_some_and(|content| content.text == text) {
                continue;
            }
            match groups_of(&path, &text) {
                Ok(groups) => {
                    self.good.insert(path, Content { text, groups });
                    changed = true;
                }
                Err(reason) => problems.push(reason),
            }
        }
        let news =
            problems.iter().filter(|problem| !self.told.contains(problem)).cloned().collect();
        self.told = problems;
        (changed, news)
    }

    /// The groups of all files.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.good.values().flat_map(|content| &content.groups)
    }
}

/// The files that a pattern names. A plain path names itself when it is there.
async fn matching(pattern: &Path) -> std::io::Result<Vec<PathBuf>> {
    let last = pattern.file_name().map(|name| name.to_string_lossy().into_owned());
    let last = last.unwrap_or_default();
    if !last.contains('*') {
        let there = tokio::fs::try_exists(pattern).await?;
        return Ok(there.then(|| pattern.to_owned()).into_iter().collect());
    }
    let folder = match pattern.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut entries = match tokio::fs::read_dir(folder).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if wildcard::fits(&last, &name) {
            found.push(pattern.with_file_name(entry.file_name()));
        }
        if found.len() > FILES_MAX {
            return Err(std::io::Error::other(format!("more than {FILES_MAX} files")));
        }
    }
    found.sort();
    Ok(found)
}

async fn read_capped(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).await?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("is longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn groups_of(path: &Path, text: &[u8]) -> Result<Vec<Arc<Group>>, String> {
    let name = path.display().to_string();
    let text = std::str::from_utf8(text).map_err(|_| format!("{name}: is no UTF-8"))?;
    // A JSON file is checked as JSON first; as YAML it then keeps its positions.
    if path.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| format!("{name}: {error}"))?;
    }
    let root = yaml::parse(text).map_err(|error| format!("{name}: {error}"))?;
    let problems = Problems::new(&name);
    let items = match &root.kind {
        Kind::Sequence(items) => items.as_slice(),
        _ if root.is_null() => &[],
        _ => return Err(format!("{name}: needs a list, but is {}", root.kind_name())),
    };
    let mut groups = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let source = format!("{name}:{index}");
        let mut group = group::read(Fields::new(item, &format!("[{index}]"), &problems), false);
        group.labels.push((FILE_LABEL.to_owned(), name.clone()));
        groups.push(Arc::new(Group { source, ..group }));
    }
    problems
        .result(groups)
        .map_err(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests;
