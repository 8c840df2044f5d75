//! Every route, every role, no, wrong and right credentials: generated from the OpenAPI document.

mod served;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dashboards::Web;
use dashboards::access::credentials::{PasswordHash, TokenDigest};
use dashboards::access::limits::Limits;
use dashboards::access::settings::{Settings, Token, TokenPlace, User};
use dashboards::access::{Access, Role, Roles, Scope};
use serde_json::Value;
use served::{Api, Reply};

fn token_of(name: &str) -> String {
    format!("the-token-of-{name}-0123")
}

fn token(name: &str, roles: &[Role], scope: &str) -> Token {
    let scope = if scope.is_empty() { Ok(Scope::everything()) } else { Scope::parse(scope) };
    Token {
        name: name.to_owned(),
        place: TokenPlace::Digest(TokenDigest::of(&token_of(name))),
        roles: Roles::of(roles),
        scope: scope.expect("a scope"),
        at: (1, String::new()),
    }
}

fn user(role: Role) -> User {
    let hash = bcrypt::hash_with_salt(format!("pass-{}", role.name()), 4, [9; 16]);
    User {
        name: role.name().to_owned(),
        password: Some(PasswordHash::parse(&hash.expect("a hash").to_string()).expect("a hash")),
        roles: Roles::of(&[role]),
        scope: Scope::everything(),
        at: (1, String::new()),
    }
}

fn settings() -> Settings {
    let mut tokens: Vec<Token> =
        Role::ALL.iter().map(|role| token(role.name(), &[*role], "")).collect();
    let most = [Role::Read, Role::Write, Role::Silence];
    tokens.push(token("scoped", &most, "{a=\"1\"}"));
    Settings {
        users: Role::ALL.into_iter().map(user).collect(),
        tokens,
        // So many wrong logins from one address would have to wait.
        limits: Limits { failed_logins: 0, ..Limits::default() },
        ..Settings::default()
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

/// One operation of the document.
struct Operation {
    method: String,
    path: String,
    role: Option<Role>,
    scope: String,
}

async fn operations(api: &Api) -> Vec<Operation> {
    let head = bearer(&token_of("read"));
    let document = api.send("GET", "/api/v1/openapi.json", &head, b"").await.json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(role) = operation["x-belfry-role"].as_str() else { continue };
            all.push(Operation {
                method: method.to_uppercase(),
                path: path.replace(['{', '}'], ""),
                role: Role::parse(role),
                scope: operation["x-belfry-scope"].as_str().expect("a scope").to_owned(),
            });
        }
    }
    all
}

async fn ask(api: &Api, operation: &Operation, head: &str) -> Reply {
    api.send(&operation.method, &operation.path, head, b"").await
}

/// Whether the door lets through; how it says no.
#[track_caller]
fn verdict(reply: &Reply, what: &str) -> u16 {
    match reply.status {
        401 => {
            assert!(reply.head.contains("www-authenticate: basic"), "{what}: {}", reply.head);
            assert!(reply.head.contains("www-authenticate: bearer"), "{what}: {}", reply.head);
            401
        }
        403 => {
            let text = &reply.body;
            assert!(text.contains("needs the role") || text.contains("label scope"), "{what}");
            403
        }
        _ => 200,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_for_every_role() {
    let access = Arc::new(Access::open(settings()).expect("opens"));
    let api = Api::guarded(Web::default(), access).await;
    let all = operations(&api).await;
    assert!(all.len() > 50, "{} operations", all.len());
    for operation in &all {
        let Operation { method, path, role, scope } = operation;
        let what = |who: &str| format!("{method} {path} by {who}");
        let is_open = ["/-/healthy", "/-/ready"].contains(&path.as_str());
        let stranger = if is_open { 200 } else { 401 };
        for (who, head) in [
            ("nobody", String::new()),
            ("a wrong token", bearer("the-token-of-nobody-0123")),
            ("a wrong password", basic("admin", "pass-read")),
            ("an unknown user", basic("root", "pass-admin")),
            ("another scheme", "Authorization: Digest x\r\n".to_owned()),
            ("a forwarded name", "X-Grafana-User: admin\r\nX-Forwarded-User: admin\r\n".to_owned()),
        ] {
            let reply = ask(&api, operation, &head).await;
            assert_eq!(verdict(&reply, &what(who)), stranger, "{}", what(who));
        }
        for own in Role::ALL {
            let may = role.is_none_or(|needed| needed == own) || own == Role::Admin;
            let expected = if may { 200 } else { 403 };
            let name = own.name();
            for head in [bearer(&token_of(name)), basic(name, &format!("pass-{name}"))] {
                let reply = ask(&api, operation, &head).await;
                let expected = if is_open { 200 } else { expected };
                assert_eq!(verdict(&reply, &what(name)), expected, "{}", what(name));
            }
        }
        let may = *role != Some(Role::Admin) && scope != "refused";
        let expected = if may || is_open { 200 } else { 403 };
        let reply = ask(&api, operation, &bearer(&token_of("scoped"))).await;
        assert_eq!(verdict(&reply, &what("scoped")), expected, "{}", what("scoped"));
    }
    api.stop().await;
}

#[tokio::test]
async fn what_no_route_answers_needs_a_login_too() {
    let access = Arc::new(Access::open(settings()).expect("opens"));
    let web = Web { route_prefix: "/b".to_owned(), ..Web::default() };
    let api = Api::guarded(web, access).await;
    for target in ["/api/v1/query", "/b/api/v1/nonsense", "/other", "/x/-/healthy", "/", "/b"] {
        let (stranger, known) = (
            api.send("GET", target, "", b"").await,
            api.send("GET", target, &bearer(&token_of("read")), b"").await,
        );
        assert_eq!(stranger.status, 401, "{target}");
        assert!(![401, 403].contains(&known.status), "{target}: {}", known.status);
    }
    assert_eq!(api.send("GET", "/b/-/healthy", "", b"").await.status, 200);
    let wrong = api.send("PUT", "/b/api/v1/query", "", b"").await;
    assert_eq!(wrong.status, 401);
    let preflight = api.send("OPTIONS", "/b/api/v1/query", "Origin: http://x\r\n", b"").await;
    assert_eq!(preflight.status, 204);
    let refused = api.send("GET", "/b/api/v1/query", "", b"").await.json();
    assert_eq!(
        (&refused["status"], &refused["errorType"]),
        (&"error".into(), &"unauthorized".into())
    );
    api.stop().await;
}

#[tokio::test]
async fn without_settings_everybody_may_do_everything() {
    let api = Api::closed().await;
    for (method, target) in
        [("GET", "/api/v1/query"), ("POST", "/-/reload"), ("POST", "/api/v1/admin/tsdb/compact")]
    {
        let head = bearer("whatever");
        for head in ["", head.as_str()] {
            let reply = api.send(method, target, head, b"").await;
            assert!(![401, 403].contains(&reply.status), "{target}: {}", reply.status);
        }
    }
    // But not a page of another site.
    let cross = "Origin: http://elsewhere\r\n";
    assert_eq!(api.send("POST", "/-/reload", cross, b"").await.status, 403);
    let same = "Origin: http://b\r\n";
    assert_eq!(api.send("POST", "/-/reload", same, b"").await.status, 500, "its own mistake");
    assert_ne!(api.send("POST", "/api/v1/query", cross, b"").await.status, 403, "changes nothing");
    let headers = api.send("GET", "/-/healthy", "", b"").await.head;
    for expected in ["x-frame-options: sameorigin", "content-security-policy: default-src 'self'"] {
        assert!(headers.contains(expected), "{expected}: {headers}");
    }
    assert!(!headers.contains("strict-transport") && !headers.contains("server:"), "{headers}");
    api.stop().await;
}

#[tokio::test]
async fn a_flood_is_told_when_to_come_back() {
    let mut settings = settings();
    settings.limits.rate.per_second = 0.01;
    settings.limits.rate.burst = 3.0;
    let access = Arc::new(Access::open(settings).expect("opens"));
    let api = Api::guarded(Web::default(), Arc::clone(&access)).await;
    let reader = bearer(&token_of("read"));
    for _ in 0..3 {
        assert_eq!(api.send("GET", "/api/v1/status/flags", &reader, b"").await.status, 503);
    }
    let reply = api.send("GET", "/api/v1/status/flags", &reader, b"").await;
    let json: Value = reply.json();
    assert_eq!((reply.status, &json["errorType"]), (429, &"too_many_requests".into()));
    assert!(reply.head.contains("retry-after: "), "{}", reply.head);
    let writer = bearer(&token_of("write"));
    let other = api.send("POST", "/api/v1/write", &writer, b"").await.status;
    assert_eq!(other, 503, "others have a measure of their own");
    assert_eq!(access.stats().requests_limited, 1);
    api.stop().await;
}
