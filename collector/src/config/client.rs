//! How a job's requests are made: authentication, TLS, headers.
//!
//! Place in the flow: YAML → **`read`** → [`ClientSettings`] → `scrape`, which reads the files named
//! here at each scrape, so that a renewed secret works without a reload.
//!
//! Invariant: a secret is never printed; [`Secret`] shows `<secret>`.
//!
//! Not here: reading the files (`scrape`), dialling (`http`).

use std::fmt;
use std::path::PathBuf;

use model::fields::Fields;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A text that stands in the configuration or in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// In the configuration.
    Inline(Secret),
    /// In this file.
    File(PathBuf),
}

/// How a request shows who it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Auth {
    /// User and password.
    Basic {
        /// The user.
        username: Source,
        /// The password.
        password: Source,
    },
    /// A scheme such as `Bearer` and what follows it.
    Header {
        /// The scheme.
        scheme: String,
        /// The credentials.
        credentials: Source,
    },
}

/// TLS settings as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsSettings {
    /// The authorities to trust.
    pub ca: Option<Source>,
    /// Our certificate.
    pub cert: Option<Source>,
    /// Our key.
    pub key: Option<Source>,
    /// The name the certificate must carry.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Refuse versions below 1.3.
    pub only_tls13: bool,
    /// Refuse versions above 1.2.
    pub only_tls12: bool,
}

/// How requests are made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientSettings {
    /// Who we are.
    pub auth: Option<Auth>,
    /// How TLS is spoken.
    pub tls: TlsSettings,
    /// Further headers.
    pub headers: Vec<(String, Source)>,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 may be spoken over TLS.
    pub http2: bool,
}

impl Default for ClientSettings {
    fn default() -> ClientSettings {
        ClientSettings {
            auth: None,
            tls: TlsSettings::default(),
            headers: Vec::new(),
            follow_redirects: true,
            http2: true,
        }
    }
}

/// Headers that the request itself sets.
const RESERVED_HEADERS: [&str; 14] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "transfer-encoding",
    "user-agent",
    "x-prometheus-scrape-timeout-seconds",
];

/// Reads the client keys of a job.
pub fn read(fields: &mut Fields<'_>) -> ClientSettings {
    for key in ["oauth2", "proxy_url", "proxy_connect_header", "no_proxy"] {
        if fields.get(key).is_some() {
            fields.problem(key, "is not supported yet; remove it");
        }
    }
    if fields.boolean("proxy_from_environment") == Some(true) {
        fields.problem("proxy_from_environment", "is not supported yet; remove it");
    }
    ClientSettings {
        auth: auth(fields),
        tls: tls(fields),
        headers: headers(fields),
        follow_redirects: fields.boolean("follow_redirects").unwrap_or(true),
        http2: fields.boolean("enable_http2").unwrap_or(true),
    }
}

/// A text under `key` or a file under `file_key`, not both.
fn source(fields: &mut Fields<'_>, key: &'static str, file_key: &'static str) -> Option<Source> {
    let inline = fields.text(key);
    let file = fields.text(file_key);
    match (inline, file) {
        (Some(_), Some(_)) => {
            fields.problem(file_key, format!("can't stand beside {key:?}; remove one of them"));
            None
        }
        (Some(text), None) => Some(Source::Inline(Secret(text))),
        (None, Some(path)) => Some(Source::File(super::resolved(fields.problems(), &path))),
        (None, None) => None,
    }
}

fn auth(fields: &mut Fields<'_>) -> Option<Auth> {
    let basic = fields.fields("basic_auth").map(|mut basic| {
        let username = source(&mut basic, "username", "username_file");
        let password = source(&mut basic, "password", "password_file");
        basic.finish();
        let empty = || Source::Inline(Secret::default());
        Auth::Basic {
            username: username.unwrap_or_else(empty),
            password: password.unwrap_or_else(empty),
        }
    });
    let header = fields.fields("authorization").and_then(|mut header| {
        let scheme = header.text("type").unwrap_or_else(|| "Bearer".to_owned());
        if scheme.trim().eq_ignore_ascii_case("basic") {
            header.problem("type", "can't be basic; use basic_auth instead");
        }
        let credentials = source(&mut header, "credentials", "credentials_file");
        header.finish();
        credentials.map(|credentials| Auth::Header { scheme: scheme.trim().into(), credentials })
    });
    let bearer = source(fields, "bearer_token", "bearer_token_file")
        .map(|credentials| Auth::Header { scheme: "Bearer".to_owned(), credentials });
    let written =
        ["basic_auth", "authorization", "oauth2"].into_iter().filter(|key| fields.has(key)).count();
    let bearer_written = fields.has("bearer_token") || fields.has("bearer_token_file");
    if written + usize::from(bearer_written) > 1 {
        let key = if bearer_written { "bearer_token" } else { "authorization" };
        fields.problem(
            key,
            "only one of basic_auth, authorization, oauth2 and bearer_token can be set",
        );
    }
    basic.or(header).or(bearer)
}

fn tls(fields: &mut Fields<'_>) -> TlsSettings {
    let Some(mut tls) = fields.fields("tls_config") else { return TlsSettings::default() };
    let min = tls_version(&mut tls, "min_version");
    let max = tls_version(&mut tls, "max_version");
    if max.is_some_and(|version| version < 12) {
        tls.problem("max_version", "TLS 1.0 and 1.1 are not spoken; use TLS12 or TLS13");
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        tls.problem("max_version", "must not be below min_version");
    }
    let settings = TlsSettings {
        ca: source(&mut tls, "ca", "ca_file"),
        cert: source(&mut tls, "cert", "cert_file"),
        key: source(&mut tls, "key", "key_file"),
        server_name: tls.text("server_name"),
        insecure_skip_verify: tls.boolean("insecure_skip_verify").unwrap_or(false),
        only_tls13: min == Some(13),
        only_tls12: max == Some(12),
    };
    if settings.cert.is_some() != settings.key.is_some() {
        tls.problem("cert_file", "certificate and key are only useful together; set both");
    }
    tls.finish();
    settings
}

fn tls_version(fields: &mut Fields<'_>, key: &'static str) -> Option<u8> {
    let text = fields.text(key)?;
    let version = match text.as_str() {
        "TLS10" => Some(10),
        "TLS11" => Some(11),
        "TLS12" => Some(12),
        "TLS13" => Some(13),
        _ => None,
    };
    if version.is_none() {
        fields.problem(key, format!("needs TLS10, TLS11, TLS12 or TLS13, but is {text:?}"));
    }
    version
}

fn headers(fields: &mut Fields<'_>) -> Vec<(String, Source)> {
    let problems = fields.problems();
    let path = fields.path_of("http_headers");
    let Some(node) = fields.get("http_headers") else { return Vec::new() };
    let model::yaml::Kind::Mapping(pairs) = &node.kind else {
        fields.problem("http_headers", format!("needs a mapping, but is {}", node.kind_name()));
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, value) in pairs {
        let name_text = name.text().unwrap_or("");
        let path = format!("{path}.{name_text}");
        if RESERVED_HEADERS.contains(&name_text.to_ascii_lowercase().as_str()) {
            problems.add(name, &path, "is set by the request itself; remove it");
        }
        let mut entry = Fields::new(value, &path, problems);
        for key in ["values", "secrets"] {
            let texts = entry.texts(key).unwrap_or_default();
            headers.extend(
                texts.into_iter().map(|text| (name_text.to_owned(), Source::Inline(Secret(text)))),
            );
        }
        for file in entry.texts("files").unwrap_or_default() {
            headers.push((name_text.to_owned(), Source::File(super::resolved(problems, &file))));
        }
        entry.finish();
    }
    headers
}
