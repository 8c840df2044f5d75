//! Web configuration files: what upstream takes is taken, each mistake has its line and field.

use super::*;

const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

fn read(text: &str) -> Result<WebConfig, Vec<String>> {
    parse(text, Path::new("/etc/belfry/web.yml"))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let problems = read(text).expect_err("a mistake");
    let shown = problems.join("\n");
    assert_eq!(problems.len(), expected.len(), "{shown}");
    for part in expected {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
}

#[test]
fn everything_that_upstream_documents() {
    let text = format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: /abs/server.key\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
         client_allowed_sans: [example.com, 10.0.0.1]\n  min_version: TLS12\n  \
         max_version: TLS13\n  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\n  \
         - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  prefer_server_cipher_suites: false\n  \
         curve_preferences: [CurveP256, CurveP521]\nhttp_server_config:\n  http2: false\n  \
         headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: ''\n\
         basic_auth_users:\n  alice: {HASH}\nrate_limit:\n  interval: 1.5s\n  burst: 7\n"
    );
    let config = read(&text).expect("good");
    let tls = config.tls.expect("encryption");
    let path = |pem: &Pem| match &pem.place {
        PemPlace::File(path) => path.display().to_string(),
        PemPlace::Inline(_) => "inline".to_owned(),
    };
    assert_eq!(path(&tls.certificate), "/etc/belfry/server.crt");
    assert_eq!(path(&tls.key), "/abs/server.key");
    assert_eq!(tls.client_ca.as_ref().map(path).as_deref(), Some("/etc/belfry/ca.crt"));
    assert_eq!(tls.client_auth, ClientAuth::RequireAndVerify);
    assert_eq!(tls.client_allowed_sans, ["example.com", "10.0.0.1"]);
    assert_eq!(tls.versions, (Version::Tls12, Version::Tls13));
    assert_eq!(tls.cipher_suites, Some(vec!["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]));
    assert_eq!(tls.curves, Some(vec!["CurveP256"]));
    assert!(!tls.prefer_server_suites && !config.http2);
    assert_eq!(config.headers.len(), 2);
    assert_eq!(config.users[0].0, "alice");
    assert_eq!(config.rate_limit, Some(RateLimit { interval_s: 1.5, burst: 7 }));
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert!(!format!("{:?}", config.users).contains("QOauh"));
}

#[test]
fn an_empty_file_asks_for_nothing() {
    for text in ["", "tls_server_config: {}\n", "tls_server_config: {min_version: TLS12}\n"] {
        let config = read(text).expect("good");
        assert!(config.tls.is_none() && config.users.is_empty() && config.http2, "{text}");
    }
}

#[test]
fn mistakes_have_line_and_field() {
    check("tls_server_confg: {}\n", &["web.yml:1: tls_server_confg: unknown field; did you mean"]);
    check("basic_auth_users:\n  a: x\n", &["web.yml:2: basic_auth_users.a: is no bcrypt hash"]);
    check("a: [\n", &["web.yml:"]);
    check(
        "tls_server_config:\n  cert_file: a\n  client_auth_type: Some\n",
        &["web.yml:3: tls_server_config.client_auth_type: needs No", "key_file: is required"],
    );
    let tls = |more: &str| format!("tls_server_config:\n  cert_file: a\n  key_file: b\n  {more}\n");
    for (more, expected) in [
        ("client_ca_file: c", "web.yml:4: tls_server_config.client_ca_file: has no effect"),
        ("client_auth_type: VerifyClientCertIfGiven", "needs client_ca_file"),
        (
            "client_allowed_sans: [a]",
            ":4: tls_server_config.client_allowed_sans: needs client_auth",
        ),
        ("min_version: TLS14", ":4: tls_server_config.min_version: needs TLS10"),
        ("max_version: TLS11", ":4: tls_server_config.max_version: TLS older"),
        ("cipher_suites: [ROT13]", ":4: tls_server_config.cipher_suites[0]: unknown name"),
        ("curve_preferences: [X448]", "curve_preferences[0]: unknown name \"X448\""),
        ("curve_preferences: [CurveP521]", "none of these curves"),
    ] {
        check(&tls(more), &[expected]);
    }
    check(
        "http_server_config:\n  headers:\n    X-Other: a\n    X-Frame-Options: never\n",
        &["web.yml:3: http_server_config.headers.X-Other: can't be set", ":4: http_server"],
    );
    check("rate_limit: {interval: often, burst: 1}\n", &["rate_limit.interval: needs a duration"]);
    check("rate_limit: {interval: 1s}\n", &["rate_limit.burst: needs at least 1"]);
}

#[test]
fn no_problem_shows_a_secret() {
    let text = "basic_auth_users:\n  a: canary-1\ntls_server_config: {key: canary-2, x: 1}\n";
    let problems = read(text).expect_err("mistakes").join("\n");
    assert!(!problems.contains("canary"), "{problems}");
}
