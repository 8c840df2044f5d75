//! Access as one thing: opened with its settings, reloaded, asked who somebody is.
//!
//! Place in the flow: belfry's wiring opens it; serving asks for certificates, `door` for callers,
//! the SQL listener for passwords.
//!
//! Passwords are checked on blocking threads, few at once, so that logging in can't take the machine
//! from everybody else. A name that does not exist costs the same check as one that does.
//!
//! Invariants: the rules in force are always whole; a reload that fails changes nothing.
//!
//! Not here: routes (`door`), connections (`crate::serving`).

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use model::fields::Problem;
use rustls::crypto::ring;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::buckets::Buckets;
use crate::access::credentials::{Credentials, PasswordHash, Verified};
use crate::access::identity::{Identity, Shown};
use crate::access::patience::Patience;
use crate::access::rulebook::Rulebook;
use crate::access::settings::Settings;
use crate::access::tls::Encryption;

/// Passwords that are checked at once.
const CHECKS_MAX: usize = 2;
/// Longest wait for a check.
const CHECK_WAIT: Duration = Duration::from_secs(10);

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It showed nothing.
    Missing,
    /// What it showed is wrong.
    Wrong,
    /// Too many were wrong before; wait so long.
    Wait(Duration),
    /// Too many passwords wait to be checked.
    Busy,
}

/// What happened at the door so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Logins that were wrong.
    pub logins_failed: u64,
    /// Passwords that were checked, right or wrong.
    pub passwords_checked: u64,
    /// Requests refused because a client sent too many, or failed to log in too often.
    pub requests_limited: u64,
    /// Requests refused because a role or a scope does not allow them.
    pub requests_forbidden: u64,
    /// Connections open now.
    pub connections: u64,
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// Whether the files in force are the newest ones.
    pub is_current: bool,
    /// When our certificate ends, milliseconds since the epoch.
    pub certificate_ends_at_ms: Option<i64>,
}

/// Other settings with everything they name, read without a mistake.
pub struct Prepared {
    settings: Settings,
    rules: Rulebook,
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) logins_failed: AtomicU64,
    pub(crate) passwords_checked: AtomicU64,
    pub(crate) requests_limited: AtomicU64,
    pub(crate) requests_forbidden: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) connections_accepted: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Everything that decides about access.
pub struct Access {
    settings: Mutex<Settings>,
    rules: RwLock<Arc<Rulebook>>,
    /// The last mistake of the files, so that it is told once.
    mistake: Mutex<Option<String>>,
    places: Arc<Semaphore>,
    memory: Arc<Memory>,
    pub(crate) buckets: Buckets,
    pub(crate) counters: Counters,
}

/// What was right and what was wrong lately. Checks write it themselves, also when whoever asked has
/// gone: else a client that never waits would pay each time, or guess for nothing.
struct Memory {
    verified: Verified,
    patience: Patience,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Default for Access {
    fn default() -> Access {
        Access::open(Settings::default()).expect("the defaults name no file")
    }
}

impl Access {
    /// Reads the files that the settings name. Spawns nothing.
    pub fn open(settings: Settings) -> Result<Access, Vec<Problem>> {
        let rules = Rulebook::read(&settings)?;
        let mut secret = [0; 32];
        let provider = ring::default_provider();
        provider.secure_random.fill(&mut secret).expect("the system gives random bytes");
        Ok(Access {
            settings: Mutex::new(settings),
            rules: RwLock::new(Arc::new(rules)),
            mistake: Mutex::default(),
            places: Arc::new(Semaphore::new(CHECKS_MAX)),
            memory: Arc::new(Memory {
                verified: Verified::new(secret),
                patience: Patience::default(),
            }),
            buckets: Buckets::default(),
            counters: Counters::default(),
        })
    }

    /// Reads all files that other settings name. Nothing has changed yet.
    pub fn prepare(settings: Settings) -> Result<Prepared, Vec<Problem>> {
        Ok(Prepared { rules: Rulebook::read(&settings)?, settings })
    }

    /// Takes other settings.
    pub fn reload(&self, prepared: Prepared) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = prepared.settings;
        self.take(prepared.rules);
    }

    /// Reads all files again when one has changed. A mistake is logged once, and what was in force
    /// stays. Touches the disk: not for the runtime's own threads.
    pub fn refresh(&self) {
        if !self.rules().is_stale() {
            return;
        }
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match Rulebook::read(&settings) {
            Ok(rules) => {
                tracing::info!("took the changed files of the web server's access");
                self.take(rules);
            }
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let text = lines.join("\n");
                let mut mistake = self.mistake.lock().unwrap_or_else(PoisonError::into_inner);
                if mistake.as_ref() != Some(&text) {
                    tracing::error!(
                        "the files of the web server's access have mistakes, what was read before \
                         goes on:\n{text}"
                    );
                    *mistake = Some(text);
                }
            }
        }
    }

    fn take(&self, rules: Rulebook) {
        *self.mistake.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Arc<Rulebook> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Encryption for the next connection; `None`: plain HTTP.
    pub fn encryption(&self) -> Option<Encryption> {
        self.rules().encryption.clone()
    }

    /// Whether nobody has to log in.
    pub fn is_open(&self) -> bool {
        self.rules().is_open()
    }

    /// What was accepted and has no effect.
    pub fn warnings(&self) -> Vec<String> {
        self.rules().warnings.clone()
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        let mistake = self.mistake.lock().unwrap_or_else(PoisonError::into_inner);
        Stats {
            logins_failed: of(&counters.logins_failed),
            passwords_checked: of(&counters.passwords_checked),
            requests_limited: of(&counters.requests_limited),
            requests_forbidden: of(&counters.requests_forbidden),
            connections: of(&counters.connections),
            connections_accepted: of(&counters.connections_accepted),
            handshakes_failed: of(&counters.handshakes_failed),
            is_current: mistake.is_none(),
            certificate_ends_at_ms: self.encryption().and_then(|own| own.ends_at_ms),
        }
    }

    /// Who shows these, from this address.
    pub async fn identify(
        &self,
        credentials: &Credentials,
        address: IpAddr,
    ) -> Result<(Identity, Shown), Refusal> {
        let rules = self.rules();
        if rules.is_open() {
            return Ok((Identity::anybody(), Shown::Nothing));
        }
        let found = match credentials {
            Credentials::Nothing => return Err(Refusal::Missing),
            Credentials::Unreadable => Err(Refusal::Wrong),
            Credentials::Token(token) => {
                rules.token(token).map(|own| (own.clone(), Shown::Token)).ok_or(Refusal::Wrong)
            }
            Credentials::Password { user, password } => self
                .password(&rules, (user, password), address)
                .await
                .map(|identity| (identity, Shown::Password)),
        };
        if found == Err(Refusal::Wrong) {
            count(&self.counters.logins_failed);
        }
        found
    }

    /// Who has this name and password, from this address; for listeners other than HTTP. A token's
    /// name with the token does as well.
    pub async fn check_password(
        &self,
        user: &str,
        password: &str,
        address: IpAddr,
    ) -> Option<Identity> {
        let (user, password) = (user.to_owned(), password.to_owned());
        let shown = Credentials::Password { user, password };
        self.identify(&shown, address).await.ok().map(|(identity, _)| identity)
    }

    async fn password(
        &self,
        rules: &Rulebook,
        (user, password): (&str, &str),
        address: IpAddr,
    ) -> Result<Identity, Refusal> {
        // Programs that know passwords only may show a token by its name.
        if let Some(identity) = rules.token(password).filter(|own| own.name() == user) {
            return Ok(identity.clone());
        }
        let Some((hash, known)) = rules.user(user) else { return Err(Refusal::Wrong) };
        let memory = &self.memory;
        let key = memory.verified.key(user, hash, password);
        if let Some(identity) = known.filter(|_| memory.verified.has(&key)) {
            return Ok(identity.clone());
        }
        let (who, free) = ((address, user), rules.limits.failed_logins);
        let wait = || memory.patience.wait(who, free, Instant::now());
        if let Some(wait) = wait() {
            return Err(Refusal::Wait(wait));
        }
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(CHECK_WAIT, place).await;
        let Ok(Ok(place)) = place else { return Err(Refusal::Busy) };
        // Others may have asked the same meanwhile, or failed.
        if let Some(identity) = known.filter(|_| memory.verified.has(&key)) {
            return Ok(identity.clone());
        }
        if let Some(wait) = wait() {
            return Err(Refusal::Wait(wait));
        }
        count(&self.counters.passwords_checked);
        let check = Check {
            memory: Arc::clone(memory),
            hash: hash.clone(),
            is_known: known.is_some(),
            key,
            who: (address, user.to_owned()),
            password: password.to_owned(),
            free,
            _place: place,
        };
        let is_right = tokio::task::spawn_blocking(move || check.run()).await.unwrap_or(false);
        known.filter(|_| is_right).cloned().ok_or(Refusal::Wrong)
    }
}

/// One password on its way to be checked, with its place.
struct Check {
    memory: Arc<Memory>,
    hash: PasswordHash,
    is_known: bool,
    key: [u8; 32],
    who: (IpAddr, String),
    password: String,
    free: u32,
    _place: OwnedSemaphorePermit,
}

impl Check {
    fn run(self) -> bool {
        let who = (self.who.0, self.who.1.as_str());
        // The work comes first, whoever it is.
        let is_right = self.hash.fits(&self.password) && self.is_known;
        if is_right {
            self.memory.verified.remember(self.key);
            self.memory.patience.succeeded(who);
        } else if self.memory.patience.failed(who, self.free, Instant::now()) {
            tracing::warn!(address = %who.0, "too many wrong passwords from an address");
        }
        is_right
    }
}

#[cfg(test)]
mod tests;
