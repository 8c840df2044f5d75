//! Which hosts may be dialled.
//!
//! Place in the flow: configuration and discovered targets → **`AllowList`** ← asked before each dial.
//!
//! Each owner has a list of its own, so that a job's reload replaces what that job had allowed and
//! nothing else.
//!
//! Not here: dialling (`http`).

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use model::http_door::HttpError;
use url::Url;

type Origin = (String, u16);

/// Hosts and ports, by who allowed them.
#[derive(Debug, Default)]
pub(super) struct AllowList {
    by_owner: RwLock<HashMap<String, HashSet<Origin>>>,
}

impl AllowList {
    /// Adds one address.
    pub(super) fn add(&self, owner: &str, url: &Url) -> Result<(), HttpError> {
        let origin = origin(url)
            .ok_or_else(|| HttpError::Invalid { reason: "the address has no host".to_owned() })?;
        let mut by_owner = self.by_owner.write().unwrap_or_else(PoisonError::into_inner);
        by_owner.entry(owner.to_owned()).or_default().insert(origin);
        Ok(())
    }

    /// Replaces an owner's addresses.
    pub(super) fn replace(&self, owner: &str, urls: impl Iterator<Item = Url>) {
        let origins: HashSet<Origin> = urls.filter_map(|url| origin(&url)).collect();
        let mut by_owner = self.by_owner.write().unwrap_or_else(PoisonError::into_inner);
        if origins.is_empty() {
            by_owner.remove(owner);
        } else {
            by_owner.insert(owner.to_owned(), origins);
        }
    }

    /// An error unless somebody allowed the host and port. A host that is allowed at port 80 may
    /// send us to its port 443.
    pub(super) fn check(&self, url: &Url) -> Result<(), HttpError> {
        if !matches!(url.scheme(), "http" | "https") {
            let reason = format!("the scheme {:?} is neither http nor https", url.scheme());
            return Err(HttpError::Invalid { reason });
        }
        let by_owner = self.by_owner.read().unwrap_or_else(PoisonError::into_inner);
        let has = |origin: &Origin| by_owner.values().any(|origins| origins.contains(origin));
        match origin(url) {
            Some(origin) if has(&origin) => Ok(()),
            Some((host, 443)) if has(&(host.clone(), 80)) => Ok(()),
            Some((host, port)) => Err(HttpError::Invalid {
                reason: format!("{host}:{port} is not named in the configuration"),
            }),
            None => Err(HttpError::Invalid { reason: "the address has no host".to_owned() }),
        }
    }
}

fn origin(url: &Url) -> Option<Origin> {
    Some((url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()?))
}
