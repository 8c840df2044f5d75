//! `http_config`: how a webhook shows who it is and whom it trusts.
//!
//! Place in the flow: `global` and `receiver` → **here** → the webhook receiver, which turns it into
//! a [`model::http_door::HttpRequest`].
//!
//! What the house's one dialler cannot do (a proxy, OAuth 2, a server name of its own) is refused
//! here, not ignored: a message that takes another way than the operator wrote is a fault.
//!
//! Not here: TLS itself (collector).

use std::path::PathBuf;

use model::fields::Fields;
use model::yaml::Kind;

use super::Context;
use crate::secret::{Secret, SecretSource};

/// How requests of one receiver are made.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// The `Authorization` header.
    pub credentials: Credentials,
    /// Trust settings.
    pub tls: TlsFiles,
    /// Follow redirects.
    pub follow_redirects: bool,
    /// Further headers.
    pub headers: Vec<(String, SecretSource)>,
}

/// Who we are.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Nobody.
    #[default]
    None,
    /// Name and password.
    Basic {
        /// The name, from the file or a file of its own.
        username: SecretSource,
        /// The password; none is the empty one.
        password: Option<SecretSource>,
    },
    /// `Authorization: <kind> <credentials>`.
    Token {
        /// `Bearer` unless written.
        kind: String,
        /// What follows.
        credentials: SecretSource,
    },
}

/// PEM files and trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Extra certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Our certificate.
    pub cert_file: Option<PathBuf>,
    /// Our key.
    pub key_file: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
}

/// Reads `http_config` of a block; `None` when it is absent.
pub(super) fn read(parent: &mut Fields<'_>, context: &Context<'_>) -> Option<HttpConfig> {
    let mut fields = parent.fields("http_config")?;
    let mut config = HttpConfig { follow_redirects: true, ..HttpConfig::default() };
    let written = ["basic_auth", "authorization", "oauth2"]
        .into_iter()
        .filter(|key| fields.get(key).is_some())
        .count();
    if written > 1 {
        let message = "at most one of basic_auth, authorization and oauth2 may be set";
        fields.problem("http_config", message);
    }
    read_credentials(&mut fields, &mut config, context);
    if let Some(mut tls) = fields.fields("tls_config") {
        config.tls = read_tls(&mut tls, context);
        if tls.text("server_name").is_some_and(|name| !name.is_empty()) {
            tls.problem(
                "server_name",
                "is not supported for webhooks; use the name in the address",
            );
        }
        tls.finish();
    }
    if let Some(follow) = fields.boolean("follow_redirects") {
        config.follow_redirects = follow;
    }
    config.headers = read_headers(&mut fields, context);
    refuse_proxies(&mut fields);
    fields.accept(&["enable_http2"]);
    fields.finish();
    Some(config)
}

fn refuse_proxies(fields: &mut Fields<'_>) {
    if fields.get("oauth2").is_some() {
        fields.problem("oauth2", "is not supported; use authorization with credentials_file");
    }
    let proxied = "proxies are not supported; webhooks are called directly, remove it";
    if fields.text("proxy_url").is_some_and(|url| !url.is_empty()) {
        fields.problem("proxy_url", proxied);
    }
    if fields.boolean("proxy_from_environment") == Some(true) {
        fields.problem("proxy_from_environment", proxied);
    }
    if fields.get("proxy_connect_header").is_some() {
        fields.problem("proxy_connect_header", proxied);
    }
    fields.accept(&["no_proxy"]);
}

fn read_credentials(fields: &mut Fields<'_>, config: &mut HttpConfig, context: &Context<'_>) {
    if let Some(mut basic) = fields.fields("basic_auth") {
        let username = secret(&mut basic, context, ("username", "username_file"));
        let password = secret(&mut basic, context, ("password", "password_file"));
        basic.finish();
        let username = username.unwrap_or(SecretSource::Inline(Secret::new("")));
        config.credentials = Credentials::Basic { username, password };
    }
    if let Some(mut token) = fields.fields("authorization") {
        let kind = token.text("type").unwrap_or_else(|| "Bearer".to_owned());
        if kind.trim().eq_ignore_ascii_case("basic") {
            token.problem("type", "must not be \"basic\"; use basic_auth");
        }
        match secret(&mut token, context, ("credentials", "credentials_file")) {
            Some(credentials) => {
                config.credentials =
                    Credentials::Token { kind: kind.trim().to_owned(), credentials };
            }
            None => token.problem("credentials", "or credentials_file is required"),
        }
        token.finish();
    }
}

fn read_headers(parent: &mut Fields<'_>, context: &Context<'_>) -> Vec<(String, SecretSource)> {
    let Some(node) = parent.get("http_headers") else { return Vec::new() };
    let Kind::Mapping(pairs) = &node.kind else {
        parent.problem("http_headers", "needs a mapping of header names");
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, value) in pairs {
        let name = name.text().unwrap_or("").to_owned();
        let path = format!("{}.{name}", parent.path_of("http_headers"));
        let mut fields = Fields::new(value, &path, parent.problems());
        if name.eq_ignore_ascii_case("authorization") {
            fields.problem("", "use basic_auth or authorization for this header");
        }
        for key in ["values", "secrets"] {
            for text in fields.texts(key).unwrap_or_default() {
                headers.push((name.clone(), SecretSource::Inline(Secret::new(text))));
            }
        }
        for file in fields.texts("files").unwrap_or_default() {
            headers.push((name.clone(), SecretSource::File(context.path(&file))));
        }
        fields.finish();
    }
    headers
}

/// Reads the files and switches of a `tls_config`. The caller reads `server_name` and finishes.
pub(super) fn read_tls(fields: &mut Fields<'_>, context: &Context<'_>) -> TlsFiles {
    for inline in ["ca", "cert", "key", "ca_ref", "cert_ref", "key_ref"] {
        if fields.get(inline).is_some() {
            fields.problem(
                inline,
                format!("is not supported inline; write it to a file and use {inline}_file"),
            );
        }
    }
    let mut path =
        |key| fields.text(key).filter(|t: &String| !t.is_empty()).map(|t| context.path(&t));
    let tls = TlsFiles {
        ca_file: path("ca_file"),
        cert_file: path("cert_file"),
        key_file: path("key_file"),
        insecure_skip_verify: false,
    };
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        fields.problem("cert_file", "cert_file and key_file need each other");
    }
    if let Some(version) = fields.text("min_version")
        && !matches!(version.as_str(), "TLS10" | "TLS11" | "TLS12")
    {
        fields.problem("min_version", "must be TLS12 or lower; TLS 1.2 is always the lowest used");
    }
    if let Some(version) = fields.text("max_version")
        && version != "TLS13"
    {
        fields.problem("max_version", "must be TLS13; a lower ceiling is not supported");
    }
    let insecure_skip_verify = fields.boolean("insecure_skip_verify").unwrap_or(false);
    TlsFiles { insecure_skip_verify, ..tls }
}

/// Reads a secret that stands inline or in a file, and refuses both at once.
pub(super) fn secret(
    fields: &mut Fields<'_>,
    context: &Context<'_>,
    (inline_key, file_key): (&'static str, &'static str),
) -> Option<SecretSource> {
    let inline = fields.text(inline_key).filter(|text| !text.is_empty());
    let file = fields.text(file_key).filter(|text| !text.is_empty());
    match (inline, file) {
        (Some(_), Some(_)) => {
            let message = format!("at most one of {inline_key} & {file_key} must be configured");
            fields.problem(file_key, message);
            None
        }
        (Some(text), None) => Some(SecretSource::Inline(Secret::new(text))),
        (None, Some(path)) => Some(SecretSource::File(context.path(&path))),
        (None, None) => None,
    }
}
