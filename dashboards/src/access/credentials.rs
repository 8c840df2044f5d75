//! Passwords and tokens: as they are sent, as they are kept, and what was checked lately.
//!
//! Place in the flow: request headers → [`Credentials`] → `whole` compares them with what `rulebook`
//! keeps: bcrypt hashes of passwords, SHA-256 of tokens.
//!
//! A password costs tens of milliseconds to check. What was right is remembered by a hash with a
//! secret of this process over name, stored hash and password, so that nobody can look for another
//! password with the same key, and a changed hash is a new question. What was wrong is never
//! remembered.
//!
//! Not here: who waits after failures (`patience`).

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Most right passwords that are remembered; only right ones get in, so users times their changes.
const VERIFIED_MAX: usize = 4096;
/// The dearest hash that is taken: about a minute of work.
const COST_MAX: u32 = 20;
/// Longest password that is looked at; bcrypt itself reads 72 bytes.
const PASSWORD_BYTES_MAX: usize = 1024;

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    cost: u32,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bcrypt of cost {}", self.cost)
    }
}

impl PasswordHash {
    /// Reads `$2y$10$…` as `htpasswd -nB` and others print it. The error never shows the text.
    pub fn parse(text: &str) -> Result<PasswordHash, String> {
        let wrong = || "is no bcrypt hash; make one with htpasswd -nBC 10 \"\"".to_owned();
        let is_known = ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|start| text.starts_with(start));
        let parts: bcrypt::HashParts = text.parse().map_err(|_| wrong())?;
        let cost = parts.get_cost();
        if !is_known || text.len() != 60 || cost < 4 {
            return Err(wrong());
        }
        if cost > COST_MAX {
            return Err(format!(
                "has the cost {cost}; more than {COST_MAX} takes minutes to check"
            ));
        }
        Ok(PasswordHash { text: text.to_owned(), cost })
    }

    /// A hash of the same cost that stands in for users who don't exist.
    pub fn stand_in(cost: u32) -> PasswordHash {
        // The digest is of another cost, so no password fits; what counts is the work.
        let cheap = bcrypt::hash_with_salt("nobody", 4, [7; 16]);
        let cheap = cheap.expect("four is a valid cost").to_string();
        PasswordHash { text: format!("$2b${cost:02}${}", &cheap[7..]), cost }
    }

    /// How dear it is: two to this power rounds.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether a password fits. Takes its time: not for the runtime's own threads.
    pub fn fits(&self, password: &str) -> bool {
        bcrypt::verify(password, &self.text).unwrap_or(false)
    }
}

/// A token as it is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA-256 of a token")
    }
}

impl TokenDigest {
    /// Of a token.
    pub fn of(token: &str) -> TokenDigest {
        TokenDigest(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<TokenDigest> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(TokenDigest(digest))
    }

    /// Whether both are the same, in a time that tells nothing.
    pub fn is(&self, other: &TokenDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// What a request shows of its sender.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    Nothing,
    /// Name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// Something that can't be read.
    Unreadable,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credentials::Nothing => "nothing",
            Credentials::Password { .. } => "a password",
            Credentials::Token(_) => "a token",
            Credentials::Unreadable => "unreadable",
        })
    }
}

impl Credentials {
    /// Reads the header `Authorization`.
    pub fn of(headers: &HeaderMap) -> Credentials {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let Some(first) = all.next() else { return Credentials::Nothing };
        let (None, Ok(text)) = (all.next(), first.to_str()) else { return Credentials::Unreadable };
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            return Credentials::Token(rest.to_owned());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Credentials::Unreadable;
        }
        let decoded = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((user, password)) if password.len() <= PASSWORD_BYTES_MAX => {
                Credentials::Password { user: user.to_owned(), password: password.to_owned() }
            }
            _ => Credentials::Unreadable,
        }
    }
}

/// Passwords that were right lately.
pub struct Verified {
    secret: [u8; 32],
    keys: Mutex<HashSet<[u8; 32]>>,
}

impl Verified {
    /// Nothing yet; the secret is a random one of this process.
    pub fn new(secret: [u8; 32]) -> Verified {
        Verified { secret, keys: Mutex::default() }
    }

    /// The key of a question. The parts' sizes go in, so that no two questions share one.
    pub fn key(&self, user: &str, hash: &PasswordHash, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.secret);
        for part in [user, &hash.text, password] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        digest.finalize().into()
    }

    /// Whether it was right lately.
    pub fn has(&self, key: &[u8; 32]) -> bool {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// It was right.
    pub fn remember(&self, key: [u8; 32]) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= VERIFIED_MAX {
            keys.clear();
        }
        keys.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(value: &str) -> Credentials {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
        Credentials::of(&headers)
    }

    #[test]
    fn what_is_sent_is_read() {
        let password = |user: &str, password: &str| Credentials::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        assert_eq!(Credentials::of(&HeaderMap::new()), Credentials::Nothing);
        assert_eq!(sent("Basic YTpiOmM="), password("a", "b:c"));
        assert_eq!(sent("basic YTo="), password("a", ""));
        assert_eq!(sent("Bearer abc"), Credentials::Token("abc".to_owned()));
        for bad in ["Basic", "Basic !", "Basic YQ==", "Basic /zph", "Bearer", "Digest a", ""] {
            assert_eq!(sent(bad), Credentials::Unreadable, "{bad}");
        }
        let mut twice = HeaderMap::new();
        twice.append(header::AUTHORIZATION, "Bearer a".parse().expect("a header"));
        twice.append(header::AUTHORIZATION, "Bearer b".parse().expect("a header"));
        assert_eq!(Credentials::of(&twice), Credentials::Unreadable);
    }

    #[test]
    fn hashes_of_others_are_taken() {
        // Of "fakepassword", as upstream has it in its source.
        let known = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
        let hash = PasswordHash::parse(known).expect("a hash");
        assert_eq!(hash.cost(), 10);
        assert!(hash.fits("fakepassword") && !hash.fits("fakepasswor"));
        assert!(!format!("{hash:?}").contains("QOau"));
        let dear = known.replace("$10$", "$31$");
        for bad in ["", "canary", &known[..59], &dear, "$2y$03$QOauhQNbBCuQDKes6eFzPe"] {
            let problem = PasswordHash::parse(bad).expect_err("no hash");
            assert!(!problem.contains("canary"), "{problem}");
        }
    }

    #[test]
    fn a_stand_in_costs_the_same_and_fits_nothing() {
        for cost in [4, 5, 12] {
            let hash = PasswordHash::stand_in(cost);
            assert_eq!(PasswordHash::parse(&hash.text).as_ref(), Ok(&hash));
            assert_eq!(hash.cost(), cost);
        }
        assert!(!PasswordHash::stand_in(5).fits("nobody"));
    }

    #[test]
    fn tokens_are_compared_by_their_digests() {
        let digest = TokenDigest::of("abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(TokenDigest::parse(hex).expect("digits").is(&digest));
        assert!(!TokenDigest::of("abd").is(&digest));
        assert!(
            [&hex[1..], "", &hex.replace('b', "g")].iter().all(|t| TokenDigest::parse(t).is_none())
        );
    }

    #[test]
    fn what_was_right_is_remembered_under_its_own_key() {
        let verified = Verified::new([1; 32]);
        let (one, two) = (PasswordHash::stand_in(4), PasswordHash::stand_in(5));
        let key = verified.key("a", &one, "bc");
        verified.remember(key);
        assert!(verified.has(&key));
        for other in [
            verified.key("ab", &one, "c"),
            verified.key("a", &two, "bc"),
            verified.key("a", &one, "bd"),
            Verified::new([2; 32]).key("a", &one, "bc"),
        ] {
            assert!(!verified.has(&other));
        }
    }
}
