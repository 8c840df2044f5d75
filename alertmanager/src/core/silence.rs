//! Silences: matchers, from when, until when, by whom.
//!
//! Place in the flow: API → [`check`] → event → **here**; a flush asks which silences hold an alert.
//!
//! Invariants: a silence has at least one matcher that does not match the empty text; it starts
//! before it ends. Its state is a function of the time, nothing ticks.
//!
//! Not here: recurring times (config time intervals).

use model::{Labels, MatchOp, Matcher};
use serde::{Deserialize, Serialize};

/// How long an ended silence is kept for people to look at.
pub const SILENCE_RETENTION_MS: i64 = 120 * 3_600_000;
/// Most silences at once.
pub const SILENCES_MAX: usize = 10_000;

/// A silence as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// A UUID.
    pub id: String,
    /// All must match.
    pub matchers: Vec<SilenceMatcher>,
    /// From this instant.
    pub starts_at_ms: i64,
    /// Until this instant.
    pub ends_at_ms: i64,
    /// When it was last changed.
    pub updated_at_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// One condition in the form of the API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceMatcher {
    /// The label.
    pub name: String,
    /// The text it is compared with.
    pub value: String,
    /// Whether the text is a regular expression.
    pub is_regex: bool,
    /// `false` turns it round.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

/// The life of a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SilenceState {
    /// Not begun.
    Pending,
    /// In force.
    Active,
    /// Over.
    Expired,
}

impl SilenceState {
    /// The API's word.
    pub fn name(self) -> &'static str {
        match self {
            SilenceState::Pending => "pending",
            SilenceState::Active => "active",
            SilenceState::Expired => "expired",
        }
    }
}

impl Silence {
    /// Where in its life it is.
    pub fn state(&self, now_ms: i64) -> SilenceState {
        if now_ms < self.starts_at_ms {
            SilenceState::Pending
        } else if now_ms < self.ends_at_ms {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }
}

impl SilenceMatcher {
    fn compile(&self) -> Result<Matcher, String> {
        let op = match (self.is_regex, self.is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        Matcher::new(&self.name, op, &self.value)
            .map_err(|error| format!("regular expression {:?}: {error}", self.value))
    }
}

/// Says what is wrong with a new silence, if anything.
pub fn check(silence: &Silence, now_ms: i64) -> Result<(), String> {
    if silence.matchers.is_empty() {
        return Err("at least one matcher is required".to_owned());
    }
    let mut all_match_empty = true;
    for matcher in &silence.matchers {
        if matcher.name.is_empty() {
            return Err("a matcher without a label name".to_owned());
        }
        all_match_empty &= matcher.compile()?.matches_empty();
    }
    if all_match_empty {
        return Err("at least one matcher must not match the empty text".to_owned());
    }
    if silence.starts_at_ms >= silence.ends_at_ms {
        return Err("the start must be before the end".to_owned());
    }
    if silence.ends_at_ms < now_ms {
        return Err("the end must not be in the past".to_owned());
    }
    Ok(())
}

/// Whether `new` may take the place of `old` under the same id.
pub fn may_replace(old: &Silence, new: &Silence, now_ms: i64) -> bool {
    let sorted = |silence: &Silence| {
        let mut matchers = silence.matchers.clone();
        matchers.sort();
        matchers
    };
    if sorted(old) != sorted(new) {
        return false;
    }
    match old.state(now_ms) {
        SilenceState::Active => old.starts_at_ms / 1000 == new.starts_at_ms / 1000,
        SilenceState::Pending => new.starts_at_ms >= now_ms,
        SilenceState::Expired => false,
    }
}

/// A silence ready to match.
#[derive(Debug)]
pub(super) struct Compiled {
    matchers: Vec<Matcher>,
}

impl Compiled {
    /// Compiles a checked silence. A regular expression that no longer compiles matches nothing.
    pub(super) fn new(silence: &Silence) -> Compiled {
        let compiled: Result<Vec<Matcher>, String> =
            silence.matchers.iter().map(SilenceMatcher::compile).collect();
        Compiled { matchers: compiled.unwrap_or_default() }
    }

    pub(super) fn matches(&self, labels: &Labels) -> bool {
        !self.matchers.is_empty() && self.matchers.iter().all(|own| own.matches_labels(labels))
    }
}
