//! Everything about access that was read, as one thing that is replaced as a whole.
//!
//! Place in the flow: `settings` and the files they name → **`Rulebook`** → `whole` and `door`.
//!
//! Invariant: a rulebook is whole; a mistake in any file makes none.

use std::collections::HashMap;
use std::fs::Metadata;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use axum::http::{HeaderName, HeaderValue};
use model::fields::Problem;

use crate::access::buckets::Rate;
use crate::access::config::{self, PemPlace, TlsConfig, WebConfig};
use crate::access::credentials::{PasswordHash, TokenDigest};
use crate::access::identity::Identity;
use crate::access::limits::Limits;
use crate::access::role::Roles;
use crate::access::scope::Scope;
use crate::access::settings::{Settings, TokenPlace};
use crate::access::tls::{self, Encryption};

/// Shortest token: shorter ones can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

/// What a file looked like when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Option<(i64, i64, u64, u64)>);

impl Stamp {
    fn of(path: &Path) -> Stamp {
        let figures = |own: Metadata| (own.mtime(), own.mtime_nsec(), own.size(), own.ino());
        Stamp(std::fs::metadata(path).ok().map(figures))
    }
}

/// Everything that decides about access.
#[derive(Debug)]
pub struct Rulebook {
    users: HashMap<String, (PasswordHash, Identity)>,
    /// For names that don't exist: one of each cost in use.
    stand_ins: Vec<PasswordHash>,
    hasher: RandomState,
    tokens: Vec<(TokenDigest, Identity)>,
    /// Paths that nobody has to log in for.
    pub open_paths: Vec<String>,
    /// Encryption; `None`: plain HTTP.
    pub encryption: Option<Encryption>,
    /// Headers of every answer; an empty value takes the header away.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Requests of all callers together.
    pub rate: Option<Rate>,
    /// Limits of connections and requests.
    pub limits: Limits,
    /// What was accepted and has no effect.
    pub warnings: Vec<String>,
    files: Vec<(PathBuf, Stamp)>,
}

impl Rulebook {
    /// Reads everything that the settings name.
    pub fn read(settings: &Settings) -> Result<Rulebook, Vec<Problem>> {
        let mut reading = Reading { settings, problems: Vec::new(), files: Vec::new() };
        let web = reading.web_config();
        let encryption = web.tls.as_ref().and_then(|tls| reading.encryption(tls, web.http2));
        let users = reading.users(&web);
        let tokens = reading.tokens();
        if !reading.problems.is_empty() {
            return Err(reading.problems);
        }
        let mut costs: Vec<u32> = users.values().map(|(hash, _)| hash.cost()).collect();
        costs.sort_unstable();
        Ok(Rulebook {
            users,
            stand_ins: costs.into_iter().map(PasswordHash::stand_in).collect(),
            hasher: RandomState::new(),
            tokens,
            open_paths: settings.open_paths.clone(),
            encryption,
            headers: web.headers,
            rate: web.rate_limit.map(|limit| Rate {
                per_second: 1.0 / limit.interval_s,
                burst: f64::from(limit.burst),
            }),
            limits: settings.limits.clone(),
            warnings: web.warnings,
            files: reading.files,
        })
    }

    /// Whether nobody has to log in.
    pub fn is_open(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    /// Whether there are passwords, so that a browser may ask for one.
    pub fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether a file that was read is another one now.
    pub fn is_stale(&self) -> bool {
        self.files.iter().any(|(path, stamp)| Stamp::of(path) != *stamp)
    }

    /// The password's hash of a user, and who that is; for others one that costs as much to check
    /// and that nothing fits. `None`: nobody has a password.
    pub fn user(&self, name: &str) -> Option<(&PasswordHash, Option<&Identity>)> {
        // Both are looked up, whichever counts. The same name gets the same cost each time.
        let index = self.hasher.hash_one(name) as usize % self.stand_ins.len().max(1);
        let stand_in = self.stand_ins.get(index)?;
        match self.users.get(name) {
            Some((hash, identity)) => Some((hash, Some(identity))),
            None => Some((stand_in, None)),
        }
    }

    /// Whose token it is. All are compared, in a time that tells nothing.
    pub fn token(&self, token: &str) -> Option<&Identity> {
        let digest = TokenDigest::of(token);
        let mut found = None;
        for (own, identity) in &self.tokens {
            if own.is(&digest) {
                found = Some(identity);
            }
        }
        found
    }
}

/// Files on the way in.
struct Reading<'s> {
    settings: &'s Settings,
    problems: Vec<Problem>,
    files: Vec<(PathBuf, Stamp)>,
}

impl Reading<'_> {
    /// The stamp is taken before the file is read: a change in between is found later.
    fn note(&mut self, path: &Path) {
        self.files.push((path.to_owned(), Stamp::of(path)));
    }

    fn web_config(&mut self) -> WebConfig {
        let Some(file) = &self.settings.config_file else { return WebConfig::default() };
        self.note(file);
        match config::load(file) {
            Ok(config) => config,
            Err(problems) => {
                self.problems.extend(problems);
                WebConfig::default()
            }
        }
    }

    fn encryption(&mut self, tls: &TlsConfig, http2: bool) -> Option<Encryption> {
        for pem in [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()] {
            if let Some(PemPlace::File(path)) = pem.map(|pem| &pem.place) {
                self.note(path);
            }
        }
        let file = self.settings.config_file.clone().unwrap_or_default();
        match tls::server_config(tls, http2, &file) {
            Ok(encryption) => Some(encryption),
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    /// Users of the web configuration file may do everything, as upstream, unless belfry.yml says
    /// less.
    fn users(&mut self, web: &WebConfig) -> HashMap<String, (PasswordHash, Identity)> {
        let mut users = HashMap::new();
        for (name, hash) in &web.users {
            let identity = Identity::new(name, Roles::ALL, Scope::everything());
            users.insert(name.clone(), (hash.clone(), identity));
        }
        for own in &self.settings.users {
            let hash = own.password.clone().or_else(|| Some(users.get(&own.name)?.0.clone()));
            let Some(hash) = hash else {
                let message = format!(
                    "{:?} has no password: give password_bcrypt, or name the user under \
                     basic_auth_users of the file under web.config_file",
                    own.name
                );
                self.problems.push(self.settings.problem(&own.at, message));
                continue;
            };
            let identity = Identity::new(&own.name, own.roles, own.scope.clone());
            users.insert(own.name.clone(), (hash, identity));
        }
        users
    }

    fn tokens(&mut self) -> Vec<(TokenDigest, Identity)> {
        let mut tokens: Vec<(TokenDigest, Identity)> = Vec::new();
        for own in &self.settings.tokens {
            let digest = match &own.place {
                TokenPlace::Digest(digest) => Ok(*digest),
                TokenPlace::File(path) => {
                    self.note(path);
                    token_in(path).map_err(|why| format!("token_file {}: {why}", path.display()))
                }
            };
            let digest = digest.and_then(|digest| {
                match tokens.iter().find(|(other, _)| other.is(&digest)) {
                    Some((_, other)) => Err(format!("is the same token as {:?}", other.name())),
                    None => Ok(digest),
                }
            });
            match digest {
                Ok(digest) => {
                    tokens.push((digest, Identity::new(&own.name, own.roles, own.scope.clone())));
                }
                Err(message) => self.problems.push(self.settings.problem(&own.at, message)),
            }
        }
        tokens
    }
}

fn token_in(path: &Path) -> Result<TokenDigest, String> {
    let text = config::read(path)?;
    let token = text.trim();
    if token.len() < TOKEN_CHARS_MIN || token.contains(char::is_whitespace) {
        return Err(format!(
            "needs one token of at least {TOKEN_CHARS_MIN} characters; make one with \
             openssl rand -hex 32"
        ));
    }
    Ok(TokenDigest::of(token))
}
