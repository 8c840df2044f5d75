//! Backups in an S3 bucket: every file once, named by its path and its checksum.
//!
//! Place in the flow: behind [`super::Place`].
//!
//! ```text
//! PREFIX/files/<folder>/<xxh3>-<size>/<file>   a file of one or more backups
//! PREFIX/backups/<NAME>/backup.json            a backup
//! PREFIX/lock.json                             somebody makes one
//! ```
//!
//! The lock is written by a conditional put and holds for an hour from its last renewal, so that a
//! machine that died keeps nobody out for long.
//!
//! Invariants: objects below `files/` are never overwritten with other bytes. They are removed only
//! under the lock, when no `backup.json` names them.
//!
//! Not here: dialling (`dialler`), which files there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use journal::disk::Disk;
use model::Clock;
use model::http_door::HttpDoor;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, RetryConfig, UpdateVersion,
};
use serde::{Deserialize, Serialize};

use super::dialler::Dialler;
use super::folder::changed;
use super::{Fault, PIECE_BYTES, Summed, index_path};
use crate::Error;
use crate::error::at;
use crate::index::{FileEntry, INDEX_BYTES_MAX, INDEX_FILE, Index};

/// How long a lock holds without being renewed.
const LOCK_MS: i64 = 60 * 60 * 1000;
/// A lock is renewed when this much of it has passed.
const RENEW_MS: i64 = 5 * 60 * 1000;
/// Tries of one request, and how long all of them may take.
const RETRIES_MAX: usize = 4;
const RETRY: Duration = Duration::from_secs(60);

/// How a bucket is reached. Debug shows no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Settings {
    /// `https://minio.example:9000`; without one it is Amazon's of the region.
    pub endpoint: Option<String>,
    /// The region; `us-east-1` without one.
    pub region: Option<String>,
    /// The key's name.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<String>,
    /// What a temporary key needs besides.
    pub session_token: Option<String>,
    /// Whether the bucket is part of the path instead of the host; with an endpoint it is, unless
    /// said otherwise.
    pub path_style: Option<bool>,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let S3Settings { endpoint, region, path_style, .. } = self;
        let mut shown = f.debug_struct("S3Settings");
        shown.field("endpoint", endpoint).field("region", region).field("path_style", path_style);
        shown.finish_non_exhaustive()
    }
}

impl S3Settings {
    fn region(&self) -> &str {
        self.region.as_deref().unwrap_or("us-east-1")
    }

    fn is_path_style(&self) -> bool {
        self.path_style.unwrap_or(self.endpoint.is_some())
    }

    /// What requests for a bucket are sent to: the endpoint that the client is given. Also what the
    /// HTTP door must allow.
    pub fn address(&self, bucket: &str) -> Result<String, Error> {
        let Some(endpoint) = &self.endpoint else {
            let region = self.region();
            return Ok(match self.is_path_style() {
                true => format!("https://s3.{region}.amazonaws.com"),
                false => format!("https://{bucket}.s3.{region}.amazonaws.com"),
            });
        };
        let refused = || {
            Error::Refused(
                "the S3 endpoint needs an address such as https://minio.example:9000, without user \
                 and password"
                    .to_owned(),
            )
        };
        let mut url = url::Url::parse(endpoint).map_err(|_| refused())?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain {
            return Err(refused());
        }
        let host = url.host_str().ok_or_else(refused)?;
        if !self.is_path_style() {
            let host = format!("{bucket}.{host}");
            url.set_host(Some(&host)).map_err(|_| refused())?;
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }
}

/// Backups in a bucket.
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    name: String,
    prefix: String,
    clock: Arc<dyn Clock>,
    /// Objects below `files/` with their sizes, once they were listed.
    there: Mutex<BTreeMap<String, u64>>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.text(""))
    }
}

impl Bucket {
    pub(super) fn new(
        (bucket, prefix): (&str, &str),
        settings: &S3Settings,
        door: Arc<dyn HttpDoor>,
        clock: Arc<dyn Clock>,
    ) -> Result<Bucket, Error> {
        // Without keys the client would ask a machine nobody wrote down for some.
        let (Some(id), Some(secret)) = (&settings.access_key_id, &settings.secret_access_key)
        else {
            return Err(Error::Refused(
                "s3:// needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
                 backup.s3.access_key_id and backup.s3.secret_access_key_file in belfry.yml"
                    .to_owned(),
            ));
        };
        let address = settings.address(bucket)?;
        let retry = RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(settings.region())
            .with_access_key_id(id)
            .with_secret_access_key(secret)
            .with_allow_http(address.starts_with("http://"))
            .with_virtual_hosted_style_request(!settings.is_path_style())
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retry)
            .with_http_connector(Dialler(door))
            .with_endpoint(address);
        if let Some(token) = &settings.session_token {
            builder = builder.with_token(token);
        }
        let store = builder.build().map_err(|error| Error::Refused(format!("s3: {error}")))?;
        let (name, prefix) = (bucket.to_owned(), prefix.to_owned());
        Ok(Bucket { store: Arc::new(store), name, prefix, clock, there: Mutex::default() })
    }

    pub(super) fn text(&self, path: &str) -> String {
        format!("s3://{}/{}", self.name, self.key(path))
    }

    fn key(&self, path: &str) -> String {
        let parts = [self.prefix.as_str(), path];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        // As the bucket will spell it, so that what is listed can be compared.
        Path::from(parts.join("/")).to_string()
    }

    /// The object of a file. The checksum is a folder of its own, so that `*.parquet` still finds
    /// what it names.
    fn file_key(&self, entry: &FileEntry) -> String {
        let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
        let sum = format!("{}-{}", entry.xxh3, entry.size_bytes);
        let parts = ["files", folder, &sum, name];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        self.key(&parts.join("/"))
    }

    fn index_key(&self, name: &str) -> String {
        self.key(&format!("backups/{}", index_path(name)))
    }

    pub(super) async fn names(&self) -> Result<Vec<String>, Error> {
        let prefix = self.key("backups");
        let mut names = Vec::new();
        let mut objects = self.store.list(Some(&path(&prefix)));
        while let Some(object) = objects.next().await {
            let key = object.map_err(failed("list", &prefix))?.location.to_string();
            let rest = key.strip_prefix(&format!("{prefix}/")).unwrap_or_default();
            if let Some((name, INDEX_FILE)) = rest.split_once('/') {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) async fn index(&self, name: &str) -> Result<Index, Error> {
        let key = self.index_key(name);
        let bytes = self.whole(&key).await?;
        Index::decode(&bytes, &format!("s3://{}/{key}", self.name))
    }

    async fn whole(&self, key: &str) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let (mut offset, mut size) = (0_u64, 1_u64);
        while offset < size {
            let range = GetRange::Bounded(offset..offset + PIECE_BYTES as u64);
            let options = GetOptions { range: Some(range), ..GetOptions::default() };
            let answer = self.store.get_opts(&path(key), options).await;
            let answer = answer.map_err(failed("read", key))?;
            size = answer.meta.size;
            if size > INDEX_BYTES_MAX as u64 {
                let reason = format!("it has {size} bytes, at most {INDEX_BYTES_MAX} are read");
                return Err(Error::Bucket { action: "read", key: key.to_owned(), reason });
            }
            let piece = answer.bytes().await.map_err(failed("read", key))?;
            offset += piece.len() as u64;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Learns which files are there.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let prefix = self.key("files");
        let objects = self.store.list(Some(&path(&prefix)));
        let there: BTreeMap<String, u64> = objects
            .map_ok(|object| (object.location.to_string(), object.size))
            .try_collect()
            .await
            .map_err(failed("list", &prefix))?;
        *self.there.lock().unwrap_or_else(PoisonError::into_inner) = there;
        Ok(())
    }

    pub(super) fn has(&self, entry: &FileEntry) -> bool {
        let there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        there.get(&self.file_key(entry)) == Some(&entry.size_bytes)
    }

    pub(super) async fn put(
        &self,
        entry: &FileEntry,
        (disk, from): (&Disk, &FilePath),
    ) -> Result<(), Error> {
        let key = self.file_key(entry);
        if entry.size_bytes <= PIECE_BYTES as u64 {
            let bytes = disk.read(from, PIECE_BYTES).map_err(at("read", from))?;
            let mut sum = Summed::default();
            sum.add(&bytes);
            sum.check(entry).map_err(|what| changed(from, &what))?;
            let put = self.store.put(&path(&key), PutPayload::from(bytes)).await;
            return put.map(drop).map_err(failed("write", &key));
        }
        let upload = self.store.put_multipart(&path(&key)).await;
        let mut upload = upload.map_err(failed("write", &key))?;
        let sent = self.send_parts(upload.as_mut(), entry, (disk, from)).await;
        let done = match sent {
            Ok(()) => upload.complete().await.map(drop).map_err(failed("write", &key)),
            Err(error) => Err(error),
        };
        if done.is_err() {
            // Parts that stay only take space; the error above is the one that matters.
            let _ = upload.abort().await;
        }
        done
    }

    async fn send_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        entry: &FileEntry,
        (disk, from): (&Disk, &FilePath),
    ) -> Result<(), Error> {
        let file = disk.open(from).map_err(at("open", from))?;
        let (mut sum, mut offset) = (Summed::default(), 0);
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let count = file.read_at(offset, &mut piece).map_err(at("read", from))?;
            if count == 0 {
                return sum.check(entry).map_err(|what| changed(from, &what));
            }
            piece.truncate(count);
            sum.add(&piece);
            offset += count as u64;
            let sent = upload.put_part(PutPayload::from(piece)).await;
            sent.map_err(failed("write a part of", &self.file_key(entry)))?;
        }
    }

    pub(super) async fn finish(&self, name: &str, index: &Index) -> Result<(), Error> {
        let key = self.index_key(name);
        let put = self.store.put(&path(&key), PutPayload::from(index.encode())).await;
        put.map(drop).map_err(failed("write", &key))
    }

    pub(super) async fn read(
        &self,
        entry: &FileEntry,
        sink: &mut (dyn FnMut(&[u8]) -> Result<(), Error> + Send),
    ) -> Result<(), Fault> {
        let key = self.file_key(entry);
        let path = path(&key);
        let fault = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => Fault::Missing,
            error => Fault::Failed(failed("read", &key)(error)),
        };
        let mut offset = 0;
        loop {
            let range = GetRange::Bounded(offset..offset + PIECE_BYTES as u64);
            // There is no range in a file without bytes.
            let range = (entry.size_bytes > 0).then_some(range);
            let options = GetOptions { range, ..GetOptions::default() };
            let answer = self.store.get_opts(&path, options).await.map_err(fault)?;
            let size_bytes = answer.meta.size;
            if size_bytes != entry.size_bytes {
                let expected = entry.size_bytes;
                return Err(Fault::Damaged(format!(
                    "it has {size_bytes} bytes instead of {expected}"
                )));
            }
            let piece = answer.bytes().await.map_err(fault)?;
            sink(&piece).map_err(Fault::Failed)?;
            offset += piece.len() as u64;
            if piece.is_empty() || offset >= entry.size_bytes {
                return Ok(());
            }
        }
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), Error> {
        let key = self.index_key(name);
        self.store.delete(&path(&key)).await.map_err(failed("remove", &key))
    }

    pub(super) async fn sweep(&self, kept: &[Index]) -> Result<(), Error> {
        let needed: BTreeSet<String> =
            kept.iter().flat_map(|index| &index.files).map(|file| self.file_key(file)).collect();
        self.begin().await?;
        let there = self.there.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for key in there.into_keys().filter(|key| !needed.contains(key)) {
            let removed = self.store.delete(&path(&key)).await;
            removed.map_err(failed("remove", &key))?;
        }
        Ok(())
    }

    pub(super) async fn lock(&self) -> Result<BucketLock, Error> {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let lock = BucketLock { store, clock, key: self.key("lock.json"), held: Mutex::default() };
        match lock.write(PutMode::Create).await {
            Err(object_store::Error::AlreadyExists { .. }) => lock.take_over().await?,
            Err(
                object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. },
            ) => {
                tracing::warn!(
                    "the bucket knows no conditional put: nothing keeps a second backup out"
                );
            }
            written => written.map_err(failed("write", &lock.key))?,
        }
        Ok(lock)
    }
}

/// What stands in the lock.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    until_ms: i64,
}

/// The lock of a bucket.
pub(crate) struct BucketLock {
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    key: String,
    /// What we wrote last, and until when it holds; `None` when the bucket knows no locks.
    held: Mutex<Option<(UpdateVersion, i64)>>,
}

impl BucketLock {
    async fn write(&self, mode: PutMode) -> Result<(), object_store::Error> {
        let until_ms = self.clock.now().0 + LOCK_MS;
        let text = serde_json::to_vec(&Holder { until_ms }).expect("plain fields become JSON");
        let options = PutOptions { mode, ..PutOptions::default() };
        let path = path(&self.key);
        let put = self.store.put_opts(&path, PutPayload::from(text), options).await?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some((put.into(), until_ms));
        Ok(())
    }

    /// Takes the lock of somebody who has not renewed it.
    async fn take_over(&self) -> Result<(), Error> {
        let path = path(&self.key);
        let found = self.store.get(&path).await.map_err(failed("read", &self.key))?;
        let version =
            UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = found.bytes().await.map_err(failed("read", &self.key))?;
        let until_ms = serde_json::from_slice(&bytes).map_or(i64::MIN, |own: Holder| own.until_ms);
        let left_ms = until_ms.saturating_sub(self.clock.now().0);
        if left_ms > 0 {
            return Err(Error::Busy(format!(
                "another backup holds {}, for {} more minutes unless it goes on: wait, or remove \
                 that object when you know that it has died",
                self.key,
                left_ms.div_euclid(60_000) + 1
            )));
        }
        match self.write(PutMode::Update(version)).await {
            Err(object_store::Error::Precondition { .. }) => {
                Err(Error::Busy("another backup has just begun; try again later".to_owned()))
            }
            written => written.map_err(failed("write", &self.key)),
        }
    }

    pub(super) async fn renew(&self) -> Result<(), Error> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((version, until_ms)) = held else { return Ok(()) };
        if until_ms - self.clock.now().0 > LOCK_MS - RENEW_MS {
            return Ok(());
        }
        match self.write(PutMode::Update(version)).await {
            Err(object_store::Error::Precondition { .. }) => {
                // It is another's now: `release` must leave it alone.
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Err(Error::Busy(format!("somebody else took {} away from this backup", self.key)))
            }
            written => written.map_err(failed("write", &self.key)),
        }
    }

    pub(super) async fn release(self) {
        let is_held = self.held.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if !is_held {
            return;
        }
        if let Err(error) = self.store.delete(&path(&self.key)).await {
            tracing::warn!(key = self.key, %error, "can't remove the lock; it ends by itself");
        }
    }
}

/// A key that is spelled as the bucket spells it.
fn path(key: &str) -> Path {
    Path::parse(key).unwrap_or_else(|_| Path::from(key))
}

/// An error of the client without addresses of its own making.
fn failed(action: &'static str, key: &str) -> impl Fn(object_store::Error) -> Error {
    let key = key.to_owned();
    move |error| {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !reason.contains(&text) {
                reason = format!("{reason}: {text}");
            }
            source = cause.source();
        }
        Error::Bucket { action, key: key.clone(), reason }
    }
}

#[cfg(test)]
mod tests;
