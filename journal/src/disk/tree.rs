//! The names of the simulated disk: folders, and which changes of theirs are durable yet.
//!
//! Place in the flow: under [`super::SimulatedDisk`].
//!
//! Every folder keeps its names twice, as seen and as durable, with the changes between the two in
//! order. A sync applies them all; a crash applies the first few. A rename between two folders is
//! one change of both and becomes durable as one.
//!
//! Not here: the bytes of files ([`super::content`]).

use super::Entry;
use super::content::Content;
use super::simulated::{Random, lock_content};
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A file that names and handles share.
pub(crate) type FileCell = Arc<Mutex<Content>>;

#[derive(Clone)]
enum Node {
    File(FileCell),
    Dir(usize),
}

/// A change of a folder that is not durable yet.
struct Change {
    /// Changes of one call share the number.
    call: u64,
    name: String,
    node: Option<Node>,
    /// The folder that shares the call, for a rename between two.
    other: Option<usize>,
}

#[derive(Default)]
struct Folder {
    seen: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    changes: Vec<Change>,
}

/// All folders; the first is the root.
pub(crate) struct Names {
    folders: Vec<Folder>,
    calls: u64,
}

impl Default for Names {
    fn default() -> Names {
        Names { folders: vec![Folder::default()], calls: 0 }
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} is not there", path.display()))
}

fn error(kind: io::ErrorKind, path: &Path, what: &str) -> io::Error {
    io::Error::new(kind, format!("{} {what}", path.display()))
}

/// The names of a path below the root; `/a/./b` and `a/b` are the same.
fn parts(path: &Path) -> Vec<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    parts
}

impl Names {
    fn folder(&self, parts: &[String], path: &Path) -> io::Result<usize> {
        let mut at = 0;
        for name in parts {
            match self.folders[at].seen.get(name) {
                Some(Node::Dir(index)) => at = *index,
                Some(Node::File(_)) => {
                    return Err(error(io::ErrorKind::NotADirectory, path, "is no folder"));
                }
                None => return Err(not_found(path)),
            }
        }
        Ok(at)
    }

    /// The folder a path lies in, and its name there.
    fn place(&self, path: &Path) -> io::Result<(usize, String)> {
        let mut parts = parts(path);
        let name = parts
            .pop()
            .ok_or_else(|| error(io::ErrorKind::InvalidInput, path, "names no file or folder"))?;
        Ok((self.folder(&parts, path)?, name))
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        let (folder, name) = self.place(path)?;
        self.folders[folder].seen.get(&name).cloned().ok_or_else(|| not_found(path))
    }

    fn change(&mut self, folder: usize, name: String, node: Option<Node>) {
        let folder = &mut self.folders[folder];
        match &node {
            Some(node) => folder.seen.insert(name.clone(), node.clone()),
            None => folder.seen.remove(&name),
        };
        folder.changes.push(Change { call: self.calls, name, node, other: None });
    }

    pub(crate) fn is_dir(&self, path: &Path) -> bool {
        self.folder(&parts(path), path).is_ok()
    }

    pub(crate) fn file(&self, path: &Path) -> io::Result<FileCell> {
        match self.node(path)? {
            Node::File(cell) => Ok(cell),
            Node::Dir(_) => Err(error(io::ErrorKind::IsADirectory, path, "is a folder")),
        }
    }

    /// Durable at once, as the door promises.
    pub(crate) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = 0;
        for name in parts(path) {
            at = match self.folders[at].seen.get(&name) {
                Some(Node::Dir(index)) => *index,
                Some(Node::File(_)) => {
                    return Err(error(io::ErrorKind::NotADirectory, path, "passes a file"));
                }
                None => {
                    let index = self.folders.len();
                    self.folders.push(Folder::default());
                    self.calls += 1;
                    self.change(at, name, Some(Node::Dir(index)));
                    self.apply_all(at);
                    index
                }
            };
        }
        Ok(())
    }

    pub(crate) fn create(&mut self, path: &Path) -> io::Result<FileCell> {
        let (folder, name) = self.place(path)?;
        match self.folders[folder].seen.get(&name) {
            Some(Node::File(cell)) => {
                let cell = cell.clone();
                lock_content(&cell).truncate(0);
                Ok(cell)
            }
            Some(Node::Dir(_)) => Err(error(io::ErrorKind::IsADirectory, path, "is a folder")),
            None => {
                let cell = FileCell::default();
                self.calls += 1;
                self.change(folder, name, Some(Node::File(cell.clone())));
                Ok(cell)
            }
        }
    }

    pub(crate) fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let folder = self.folder(&parts(path), path)?;
        let entry = |(name, node): (&String, &Node)| match node {
            Node::File(cell) => {
                Entry { name: name.clone(), is_dir: false, size_bytes: lock_content(cell).len() }
            }
            Node::Dir(_) => Entry { name: name.clone(), is_dir: true, size_bytes: 0 },
        };
        Ok(self.folders[folder].seen.iter().map(entry).collect())
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?;
        let (from_folder, from_name) = self.place(from)?;
        let (to_folder, to_name) = self.place(to)?;
        if from_folder == to_folder && from_name == to_name {
            return Ok(());
        }
        match (&node, self.folders[to_folder].seen.get(&to_name)) {
            (_, None) | (Node::File(_), Some(Node::File(_))) => {}
            (Node::Dir(_), Some(Node::Dir(index))) if self.folders[*index].seen.is_empty() => {}
            _ => return Err(error(io::ErrorKind::AlreadyExists, to, "is in the way")),
        }
        self.calls += 1;
        self.change(to_folder, to_name, Some(node));
        self.change(from_folder, from_name, None);
        if from_folder != to_folder {
            for (folder, other) in [(from_folder, to_folder), (to_folder, from_folder)] {
                if let Some(change) = self.folders[folder].changes.last_mut() {
                    change.other = Some(other);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        let (folder, name) = self.place(path)?;
        self.calls += 1;
        self.change(folder, name, None);
        Ok(())
    }

    pub(crate) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        if !matches!(self.node(path)?, Node::Dir(_)) {
            return Err(error(io::ErrorKind::NotADirectory, path, "is no folder"));
        }
        let (folder, name) = self.place(path)?;
        self.calls += 1;
        self.change(folder, name, None);
        Ok(())
    }

    pub(crate) fn hard_link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let cell = self.file(from)?;
        let (folder, name) = self.place(to)?;
        if self.folders[folder].seen.contains_key(&name) {
            return Err(error(io::ErrorKind::AlreadyExists, to, "is in the way"));
        }
        self.calls += 1;
        self.change(folder, name, Some(Node::File(cell)));
        Ok(())
    }

    pub(crate) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let folder = self.folder(&parts(path), path)?;
        let removes = self.folders[folder].changes.iter().any(|change| change.node.is_none());
        self.apply_all(folder);
        if removes {
            self.forget_unreachable();
        }
        Ok(())
    }

    /// Gives back the memory of folders that no name leads to, now or after any crash.
    fn forget_unreachable(&mut self) {
        let mut is_reached = vec![false; self.folders.len()];
        let mut open = vec![0];
        while let Some(index) = open.pop() {
            if std::mem::replace(&mut is_reached[index], true) {
                continue;
            }
            let folder = &self.folders[index];
            let names = folder.seen.values().chain(folder.durable.values());
            let waiting = folder.changes.iter().filter_map(|change| change.node.as_ref());
            open.extend(names.chain(waiting).filter_map(|node| match node {
                Node::Dir(index) => Some(*index),
                Node::File(_) => None,
            }));
        }
        for (folder, is_reached) in self.folders.iter_mut().zip(is_reached) {
            if !is_reached {
                *folder = Folder::default();
            }
        }
    }

    /// Makes all changes of a folder durable, and the other half of renames between two folders.
    fn apply_all(&mut self, folder: usize) {
        if let Some(last) = self.folders[folder].changes.last() {
            let last_call = last.call;
            self.apply(folder, last_call);
        }
    }

    /// Makes the changes of a folder durable up to a call.
    fn apply(&mut self, folder: usize, last_call: u64) {
        let here = &mut self.folders[folder];
        let count = here.changes.iter().take_while(|change| change.call <= last_call).count();
        let mut shared = Vec::new();
        for change in here.changes.drain(..count) {
            shared.extend(change.other.map(|other| (other, change.call)));
            match change.node {
                Some(node) => here.durable.insert(change.name, node),
                None => here.durable.remove(&change.name),
            };
        }
        for (other, call) in shared {
            if self.folders[other].changes.iter().any(|change| change.call == call) {
                self.apply(other, call);
            }
        }
    }

    /// The power fails: every folder keeps a random number of its changes, in order.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        for folder in 0..self.folders.len() {
            let count = self.folders[folder].changes.len() as u64;
            let kept = match random.below(3) {
                0 => 0,
                1 => count,
                _ => random.below(count + 1),
            };
            if kept > 0 {
                // Syncing another folder may have applied some already; the rest then is shorter.
                if let Some(last) = self.folders[folder].changes.get(kept as usize - 1) {
                    let last_call = last.call;
                    self.apply(folder, last_call);
                }
            }
        }
        for folder in &mut self.folders {
            folder.changes.clear();
            folder.seen = folder.durable.clone();
        }
        self.forget_unreachable();
        for (_, cell) in self.walk() {
            lock_content(&cell).crash(random);
        }
    }

    pub(crate) fn files(&self) -> Vec<(PathBuf, u64)> {
        self.walk().into_iter().map(|(path, cell)| (path, lock_content(&cell).len())).collect()
    }

    /// The bytes of all files; one with two names counts once.
    pub(crate) fn used_bytes(&self) -> u64 {
        let mut cells: Vec<FileCell> = self.walk().into_iter().map(|(_, cell)| cell).collect();
        cells.sort_by_key(Arc::as_ptr);
        cells.dedup_by(|a, b| Arc::ptr_eq(a, b));
        cells.iter().map(|cell| lock_content(cell).len()).sum()
    }

    /// All files that can be reached, sorted by path.
    fn walk(&self) -> Vec<(PathBuf, FileCell)> {
        let mut files = Vec::new();
        let mut open = vec![(PathBuf::from("/"), 0)];
        while let Some((path, folder)) = open.pop() {
            for (name, node) in &self.folders[folder].seen {
                match node {
                    Node::File(cell) => files.push((path.join(name), cell.clone())),
                    Node::Dir(index) => open.push((path.join(name), *index)),
                }
            }
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        files
    }
}
