//! Who is let in, at which cost, and what a reload changes.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::*;
use crate::access::credentials::TokenDigest;
use crate::access::role::{Role, Roles};
use crate::access::scope::Scope;
use crate::access::settings::{Token, TokenPlace, User};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

fn hash(password: &str) -> PasswordHash {
    let hash = bcrypt::hash_with_salt(password, 5, [3; 16]).expect("a hash").to_string();
    PasswordHash::parse(&hash).expect("a hash")
}

fn user(name: &str, password: &str, roles: &[Role]) -> User {
    User {
        name: name.to_owned(),
        password: Some(hash(password)),
        roles: Roles::of(roles),
        scope: Scope::everything(),
        at: (1, "web.users[0]".to_owned()),
    }
}

fn token(name: &str, text: &str, roles: &[Role]) -> Token {
    Token {
        name: name.to_owned(),
        place: TokenPlace::Digest(TokenDigest::of(text)),
        roles: Roles::of(roles),
        scope: Scope::everything(),
        at: (1, "web.tokens[0]".to_owned()),
    }
}

fn access() -> Access {
    let settings = Settings {
        users: vec![user("alice", "secret", &[Role::Read])],
        tokens: vec![token("robot", "robots-own-token-1", &[Role::Write])],
        ..Settings::default()
    };
    Access::open(settings).expect("opens")
}

fn password(user: &str, password: &str) -> Credentials {
    Credentials::Password { user: user.to_owned(), password: password.to_owned() }
}

async fn ask(access: &Access, credentials: &Credentials) -> Result<String, Refusal> {
    let found = access.identify(credentials, HERE).await;
    found.map(|(identity, shown)| format!("{} by {shown:?}", identity.name()))
}

#[tokio::test]
async fn each_kind_of_login() {
    let access = access();
    let bearer = |text: &str| Credentials::Token(text.to_owned());
    for (credentials, expected) in [
        (Credentials::Nothing, Err(Refusal::Missing)),
        (Credentials::Unreadable, Err(Refusal::Wrong)),
        (password("alice", "secret"), Ok("alice by Password")),
        (password("alice", "Secret"), Err(Refusal::Wrong)),
        (password("alice", ""), Err(Refusal::Wrong)),
        (password("bob", "secret"), Err(Refusal::Wrong)),
        (password("", "secret"), Err(Refusal::Wrong)),
        (bearer("robots-own-token-1"), Ok("robot by Token")),
        (bearer("robots-own-token-2"), Err(Refusal::Wrong)),
        (bearer("secret"), Err(Refusal::Wrong)),
        (password("robot", "robots-own-token-1"), Ok("robot by Password")),
        (password("alice", "robots-own-token-1"), Err(Refusal::Wrong)),
    ] {
        let found = ask(&access, &credentials).await;
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{credentials:?}");
    }
    assert!(access.check_password("alice", "secret", THERE).await.is_some());
    assert!(access.check_password("alice", "wrong", THERE).await.is_none());
    let open = Access::default();
    let (anybody, _) = open.identify(&password("x", "y"), HERE).await.expect("open to all");
    assert!(anybody.roles().has(Role::Admin) && anybody.name().is_empty());
}

#[tokio::test]
async fn who_exists_can_not_be_told_by_the_work() {
    let access = access();
    let mut before = 0;
    for (name, known) in [("alice", true), ("bob", false), ("alicia", false), ("", false)] {
        let rules = access.rules();
        let (hash, identity) = rules.user(name).expect("a hash for every name");
        assert_eq!((hash.cost(), identity.is_some()), (5, known), "{name}");
        assert_eq!(ask(&access, &password(name, "wrong")).await, Err(Refusal::Wrong));
        let checked = access.stats().passwords_checked;
        assert_eq!(checked, before + 1, "one check of the same cost for {name:?}");
        before = checked;
    }
    // What was wrong is checked again each time; what was right is not.
    for _ in 0..2 {
        assert!(ask(&access, &password("alice", "secret")).await.is_ok());
        assert_eq!(access.stats().passwords_checked, before + 1);
    }
    assert!(ask(&access, &password("alice", "wrong")).await.is_err());
    assert_eq!(access.stats().passwords_checked, before + 2);
}

#[tokio::test]
async fn guessing_gets_slower_and_locks_nobody_out() {
    let access = access();
    assert!(access.identify(&password("alice", "secret"), THERE).await.is_ok());
    for attempt in 0..10 {
        let found = ask(&access, &password("alice", &attempt.to_string())).await;
        assert_eq!(found, Err(Refusal::Wrong), "{attempt}");
    }
    let checked = access.stats().passwords_checked;
    let found = ask(&access, &password("alice", "another")).await;
    assert!(matches!(found, Err(Refusal::Wait(_))), "{found:?}");
    assert_eq!(access.stats().passwords_checked, checked, "no work for who has to wait");
    // Whoever was let in before, with this password, still is: even beside the guesser.
    assert!(ask(&access, &password("alice", "secret")).await.is_ok());
    assert!(ask(&access, &Credentials::Token("robots-own-token-1".to_owned())).await.is_ok());
    let elsewhere = access.identify(&password("alice", "wrong"), THERE).await;
    assert_eq!(elsewhere.map(drop), Err(Refusal::Wrong), "another address does not wait");
}

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("write");
    path
}

#[tokio::test]
async fn changed_files_are_taken_and_mistakes_change_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let web = |password: &str| {
        let hash = bcrypt::hash_with_salt(password, 4, [5; 16]).expect("a hash");
        format!("basic_auth_users:\n  carol: {hash}\n")
    };
    let file = write(folder.path(), "web.yml", &web("one"));
    let token_file = write(folder.path(), "t.token", "first-token-of-file\n");
    let mut settings = Settings {
        tokens: vec![Token {
            place: TokenPlace::File(token_file),
            ..token("file", "", &[Role::Read])
        }],
        ..Settings::default()
    };
    settings.set_config_file(&file).expect("good");
    let access = Access::open(settings).expect("opens");
    let first = Credentials::Token("first-token-of-file".to_owned());
    assert!(ask(&access, &password("carol", "one")).await.is_ok());
    assert!(ask(&access, &first).await.is_ok());
    write(folder.path(), "web.yml", &web("other"));
    write(folder.path(), "t.token", "second-token-of-the-file");
    access.refresh();
    assert!(ask(&access, &password("carol", "one")).await.is_err());
    assert!(ask(&access, &password("carol", "other")).await.is_ok());
    assert!(ask(&access, &first).await.is_err());
    write(folder.path(), "t.token", "short");
    access.refresh();
    assert!(!access.stats().is_current);
    assert!(ask(&access, &Credentials::Token("second-token-of-the-file".to_owned())).await.is_ok());
    write(folder.path(), "t.token", "third-token-of-the-file!");
    access.refresh();
    assert!(access.stats().is_current);
}

#[test]
fn mistakes_name_the_entry() {
    let mut nameless = Settings { file: "belfry.yml".to_owned(), ..Settings::default() };
    nameless.users.push(User { password: None, ..user("dave", "x", &[Role::Read]) });
    let mut twice = Settings { file: "belfry.yml".to_owned(), ..Settings::default() };
    twice.tokens.push(token("a", "one-and-the-same-token", &[Role::Read]));
    twice.tokens.push(token("b", "one-and-the-same-token", &[Role::Read]));
    for (settings, expected) in [
        (nameless, "belfry.yml:1: web.users[0]: \"dave\" has no password"),
        (twice, "belfry.yml:1: web.tokens[0]: is the same token as \"a\""),
    ] {
        let problems = Access::open(settings).expect_err("a mistake");
        assert!(problems[0].to_string().starts_with(expected), "{}", problems[0]);
    }
}
