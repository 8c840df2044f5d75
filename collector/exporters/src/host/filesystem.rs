//! File systems: each mount is asked for its size, with a deadline of its own.
//!
//! Place in the flow: `/proc/1/mounts` → statvfs per mount → **[`Mounted`] to families** → `host`.
//!
//! A dead network mount blocks its caller in the kernel for as long as it likes. So each question
//! runs on a thread of the runtime's blocking pool; when the deadline passes, the mount is shown
//! with `node_filesystem_device_error 1`, and it is not asked again until the first question came
//! back. At most one thread per mount can hang.
//!
//! Not here: which disk is below (`disk`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;

use crate::families::Families;

use super::files::Files;

/// Longest wait for one file system, whatever the scrape's deadline.
const STATVFS_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// Mounts asked at the same time.
const QUESTIONS_MAX: usize = 32;
/// Mounts shown; a machine with more is full of container mounts that nobody watches.
const MOUNTS_MAX: usize = 4096;

const TYPES_LEFT_OUT: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// The share of the scrape's deadline that file systems get.
pub(super) fn timeout(scrape: Duration) -> Duration {
    STATVFS_TIMEOUT_MAX.min(scrape / 2)
}

/// A line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: String,
    pub(super) mountpoint: String,
    pub(super) fstype: String,
    pub(super) read_only: bool,
}

/// What a file system said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Space {
    pub(super) size_bytes: f64,
    pub(super) free_bytes: f64,
    pub(super) avail_bytes: f64,
    pub(super) files: f64,
    pub(super) files_free: f64,
}

/// A mount and its answer.
pub(super) struct Mounted {
    pub(super) mount: Mount,
    pub(super) space: Result<Space, String>,
}

/// Asks mounts and remembers which of them still owe an answer.
pub(super) struct Mounts {
    rootfs: PathBuf,
    waiting: Arc<Mutex<BTreeSet<String>>>,
}

impl Mounts {
    pub(super) fn new(rootfs: PathBuf) -> Mounts {
        Mounts { rootfs, waiting: Arc::default() }
    }

    pub(super) async fn read(
        &self,
        files: &Files,
        timeout: Duration,
    ) -> Result<Vec<Mounted>, String> {
        let text = files.proc("1/mounts").or_else(|_| files.proc("self/mounts"))?;
        let questions = parse(&text).into_iter().take(MOUNTS_MAX).map(|mount| async move {
            let space = self.ask(&mount.mountpoint, timeout).await;
            Mounted { mount, space }
        });
        Ok(futures::stream::iter(questions).buffered(QUESTIONS_MAX).collect().await)
    }

    async fn ask(&self, mountpoint: &str, timeout: Duration) -> Result<Space, String> {
        let path = self.rootfs.join(mountpoint.trim_start_matches('/'));
        self.ask_by(mountpoint, timeout, move || statvfs(&path)).await
    }

    /// Asks by a function that may block for as long as it likes.
    pub(super) async fn ask_by(
        &self,
        mountpoint: &str,
        timeout: Duration,
        question: impl FnOnce() -> Result<Space, String> + Send + 'static,
    ) -> Result<Space, String> {
        if !lock(&self.waiting).insert(mountpoint.to_owned()) {
            return Err("mountpoint timeout".to_owned());
        }
        let waiting = self.waiting.clone();
        let name = mountpoint.to_owned();
        let answer = tokio::task::spawn_blocking(move || {
            let space = question();
            lock(&waiting).remove(&name);
            space
        });
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(space)) => space,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("mountpoint timeout".to_owned()),
        }
    }
}

fn lock(waiting: &Mutex<BTreeSet<String>>) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn statvfs(path: &Path) -> Result<Space, String> {
    let answer = rustix::fs::statvfs(path).map_err(|error| error.to_string())?;
    let block_bytes = answer.f_frsize as f64;
    Ok(Space {
        size_bytes: answer.f_blocks as f64 * block_bytes,
        free_bytes: answer.f_bfree as f64 * block_bytes,
        avail_bytes: answer.f_bavail as f64 * block_bytes,
        files: answer.f_files as f64,
        files_free: answer.f_ffree as f64,
    })
}

/// The mounts worth asking, each mount point once: the last line is the one on top.
pub(super) fn parse(text: &str) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [device, mountpoint, fstype, options, ..] = words[..] else { continue };
        let mountpoint = unescape(mountpoint);
        if TYPES_LEFT_OUT.contains(&fstype) || is_left_out(&mountpoint) {
            continue;
        }
        let read_only = options.split(',').any(|option| option == "ro");
        mounts.retain(|other| other.mountpoint != mountpoint);
        let (device, fstype) = (unescape(device), fstype.to_owned());
        mounts.push(Mount { device, mountpoint, fstype, read_only });
    }
    mounts
}

/// `^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`.
fn is_left_out(mountpoint: &str) -> bool {
    let whole = ["/dev", "/proc", "/sys"];
    let below = ["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"];
    let inside = |start: &str| {
        mountpoint.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    whole.iter().any(|start| inside(start))
        || below.iter().any(|start| mountpoint.len() > start.len() && mountpoint.starts_with(start))
}

/// Turns `\040` and its like back into the byte.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let octal = (bytes[index] == b'\\')
            .then(|| text.get(index + 1..index + 4))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                plain.push(byte);
                index += 4;
            }
            None => {
                plain.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

pub(super) fn map(mounts: &[Mounted], families: &mut Families) {
    for Mounted { mount, space } in mounts {
        let error = space.as_ref().err().map_or("", String::as_str);
        let labels = [
            ("device", mount.device.as_str()),
            ("mountpoint", &mount.mountpoint),
            ("fstype", &mount.fstype),
            ("device_error", error),
        ];
        let labels = if error.is_empty() { &labels[..3] } else { &labels[..] };
        let mut gauge = |suffix: &str, help: &str, value: f64| {
            families.gauge(&format!("node_filesystem_{suffix}"), help, labels, value);
        };
        let flag = |flag: bool| f64::from(u8::from(flag));
        gauge("device_error", "Whether the file system could not be asked.", flag(space.is_err()));
        gauge("readonly", "Whether it is mounted read-only.", flag(mount.read_only));
        let Ok(space) = space else { continue };
        gauge("size_bytes", "Its size.", space.size_bytes);
        gauge("free_bytes", "What is free, root's reserve included.", space.free_bytes);
        gauge("avail_bytes", "What ordinary users may still write.", space.avail_bytes);
        gauge("files", "Files it can hold.", space.files);
        gauge("files_free", "Files it can still take.", space.files_free);
    }
}
