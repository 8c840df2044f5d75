//! The web configuration file in Prometheus' format, accepted unchanged.
//!
//! Place in the flow: file text → **`parse`** → [`WebConfig`] → `tls` and `rulebook`.
//!
//! Parsing touches no other file, so that it can be checked anywhere; [`check`] reads the
//! certificates too. Relative paths are resolved against the file that contains them. What another
//! TLS library knows and ours does not is a warning as long as something is left to use.
//!
//! Not here: certificates (`tls`), passwords (`credentials`).

use std::path::{Path, PathBuf};

use axum::http::{HeaderName, HeaderValue};
use model::fields::{Fields, Problem, Problems};
use model::yaml::{self, Kind, Node};

use crate::access::credentials::PasswordHash;
use crate::access::names::{self, Named, Version};
use crate::access::tls;

/// Longest file that is read here.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Headers that the file may set, and the values that are allowed; none: any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

/// What a web configuration file says.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// Encryption; `None`: plain HTTP.
    pub tls: Option<TlsConfig>,
    /// Whether HTTP/2 is spoken where there is encryption.
    pub http2: bool,
    /// Headers of every answer. An empty value takes the header away.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Names and hashed passwords.
    pub users: Vec<(String, PasswordHash)>,
    /// Requests of all callers together.
    pub rate_limit: Option<RateLimit>,
    /// What was accepted and has no effect.
    pub warnings: Vec<String>,
}

/// A limit of all requests together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Seconds between two requests.
    pub interval_s: f64,
    /// Requests that may come at once.
    pub burst: u32,
}

/// Where a text in PEM form stands, and where the file says so.
#[derive(Clone)]
pub struct Pem {
    /// The place.
    pub place: PemPlace,
    /// Line of the field.
    pub line: usize,
    /// The field.
    pub field: &'static str,
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the text: it may be a key.
        write!(f, "{}", self.field)
    }
}

/// A file, or the text itself.
#[derive(Clone)]
pub enum PemPlace {
    /// In a file of its own.
    File(PathBuf),
    /// In the web configuration file.
    Inline(String),
}

/// What a client has to show when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// It is asked for a certificate; any or none will do.
    Request,
    /// Any certificate, whoever signed it.
    RequireAny,
    /// None, or one of the authority.
    VerifyIfGiven,
    /// One of the authority.
    RequireAndVerify,
}

/// Encryption.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The certificate, with those between it and its authority.
    pub certificate: Pem,
    /// Its private key.
    pub key: Pem,
    /// The authority of client certificates.
    pub client_ca: Option<Pem>,
    /// What clients have to show.
    pub client_auth: ClientAuth,
    /// Names of which a client's certificate must have one; none: any.
    pub client_allowed_sans: Vec<String>,
    /// Oldest and newest version spoken.
    pub versions: (Version, Version),
    /// Cipher suites of TLS 1.2 by name, as far as we have them; `None`: all.
    pub cipher_suites: Option<Vec<&'static str>>,
    /// Curves in order of preference, as far as we have them; `None`: all.
    pub curves: Option<Vec<&'static str>>,
    /// Whether our order of suites counts rather than the client's.
    pub prefer_server_suites: bool,
    /// Line of the section.
    pub line: usize,
}

/// Reads a web configuration file's text; `file` is its name.
pub fn parse(text: &str, file: &Path) -> Result<WebConfig, Vec<Problem>> {
    let problems = Problems::new(&file.display().to_string());
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let at = Node { line: error.line, ..Node::null() };
            problems.add(&at, "", error.to_string());
            return Err(problems.into_list());
        }
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut fields = Fields::new(&root, "", &problems);
    let mut config = WebConfig { http2: true, ..WebConfig::default() };
    if let Some(mut tls) = fields.fields("tls_server_config") {
        config.tls = read_tls(&mut tls, folder, &mut config.warnings);
        tls.finish();
    }
    if let Some(mut http) = fields.fields("http_server_config") {
        config.http2 = http.boolean("http2").unwrap_or(true);
        config.headers = read_headers(&mut http);
        http.finish();
    }
    config.users = read_users(&mut fields);
    if let Some(mut limit) = fields.fields("rate_limit") {
        config.rate_limit = read_rate_limit(&mut limit);
        limit.finish();
    }
    fields.finish();
    problems.result(config)
}

/// Reads a web configuration file.
pub fn load(file: &Path) -> Result<WebConfig, Vec<Problem>> {
    parse(&read(file).map_err(|message| vec![problem(file, message)])?, file)
}

/// Reads a web configuration file and the certificates it names. The answer says what has no effect.
pub fn check(file: &Path) -> Result<Vec<String>, Vec<Problem>> {
    let config = load(file)?;
    if let Some(tls) = &config.tls {
        tls::server_config(tls, config.http2, file)?;
    }
    Ok(config.warnings)
}

/// A text file of a sensible size.
pub(super) fn read(file: &Path) -> Result<String, String> {
    use std::io::Read;
    let fail = |error: std::io::Error| format!("can't be read: {error}");
    let opened = std::fs::File::open(file).map_err(fail)?;
    let mut text = String::new();
    opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("is longer than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// A problem of a file as a whole.
pub(super) fn problem(file: &Path, message: String) -> Problem {
    let file = file.display().to_string();
    Problem { file, line: 1, field: String::new(), message }
}

fn read_tls(
    fields: &mut Fields<'_>,
    folder: &Path,
    warnings: &mut Vec<String>,
) -> Option<TlsConfig> {
    let line = fields.node().line;
    let certificate = read_pem(fields, folder, ("cert", "cert_file"));
    let key = read_pem(fields, folder, ("key", "key_file"));
    let client_ca = read_pem(fields, folder, ("client_ca", "client_ca_file"));
    let auth = fields.text("client_auth_type");
    let client_auth = read_client_auth(fields, auth.as_deref());
    let min = read_version(fields, "min_version").unwrap_or(Version::Tls12);
    let max = read_version(fields, "max_version").unwrap_or(Version::Tls13);
    let names = "tls_server_config.cipher_suites";
    let cipher_suites = read_names(fields, "cipher_suites", names::suite)
        .map(|found| usable(found, names, warnings));
    let names = "tls_server_config.curve_preferences";
    let curves = read_names(fields, "curve_preferences", names::curve)
        .map(|found| usable(found, names, warnings));
    let prefer_server_suites = fields.boolean("prefer_server_cipher_suites").unwrap_or(true);
    let sans = fields.texts("client_allowed_sans");
    let is_used = certificate.is_some() || key.is_some() || client_ca.is_some() || auth.is_some();
    if !is_used {
        return None;
    }
    if certificate.is_none() {
        fields.problem("cert_file", "is required: the certificate's file");
    }
    if key.is_none() {
        fields.problem("key_file", "is required: the file of the certificate's private key");
    }
    check_clients(fields, client_auth, client_ca.as_ref(), sans.is_some());
    check_versions(fields, (min, max), warnings);
    if curves.as_ref().is_some_and(Vec::is_empty) {
        fields.problem("curve_preferences", "none of these curves is known here; add X25519");
    }
    let oldest = min.max(Version::Tls12);
    Some(TlsConfig {
        certificate: certificate?,
        key: key?,
        client_ca,
        client_auth,
        client_allowed_sans: sans.unwrap_or_default(),
        versions: (oldest, max),
        cipher_suites,
        curves,
        prefer_server_suites,
        line,
    })
}

fn read_pem(
    fields: &mut Fields<'_>,
    folder: &Path,
    (inline, file): (&'static str, &'static str),
) -> Option<Pem> {
    let line_of = |fields: &Fields<'_>, key: &str| {
        fields.node().get(key).map_or(fields.node().line, |node| node.line)
    };
    let text = fields.text(inline).filter(|text| !text.is_empty());
    let path = fields.text(file).filter(|path| !path.is_empty());
    match (text, path) {
        // As upstream: a file counts where both are there.
        (_, Some(path)) => {
            let place = PemPlace::File(folder.join(path));
            Some(Pem { place, line: line_of(fields, file), field: file })
        }
        (Some(text), None) => {
            let place = PemPlace::Inline(text);
            Some(Pem { place, line: line_of(fields, inline), field: inline })
        }
        (None, None) => None,
    }
}

fn read_client_auth(fields: &Fields<'_>, text: Option<&str>) -> ClientAuth {
    match text {
        None | Some("" | "NoClientCert") => ClientAuth::None,
        Some("RequestClientCert") => ClientAuth::Request,
        // The second name is an old one.
        Some("RequireAnyClientCert" | "RequireClientCert") => ClientAuth::RequireAny,
        Some("VerifyClientCertIfGiven") => ClientAuth::VerifyIfGiven,
        Some("RequireAndVerifyClientCert") => ClientAuth::RequireAndVerify,
        Some(other) => {
            let message = format!(
                "needs NoClientCert, RequestClientCert, RequireAnyClientCert, \
                 VerifyClientCertIfGiven or RequireAndVerifyClientCert, but is {other:?}"
            );
            fields.problem("client_auth_type", message);
            ClientAuth::None
        }
    }
}

fn check_clients(fields: &Fields<'_>, auth: ClientAuth, ca: Option<&Pem>, has_sans: bool) {
    let is_verified = matches!(auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify);
    match ca {
        Some(ca) if auth == ClientAuth::None => {
            fields.problem(ca.field, "has no effect without client_auth_type; set that too");
        }
        None if is_verified => fields.problem(
            "client_auth_type",
            "needs client_ca_file: the authority that signs the clients' certificates",
        ),
        _ => {}
    }
    if has_sans && !matches!(auth, ClientAuth::RequireAny | ClientAuth::RequireAndVerify) {
        let message = "needs client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert: \
                       without a certificate there is no name to look at";
        fields.problem("client_allowed_sans", message);
    }
}

fn read_version(fields: &mut Fields<'_>, key: &'static str) -> Option<Version> {
    let text = fields.text(key)?;
    let version = Version::parse(&text);
    if version.is_none() {
        let message = format!("needs TLS10, TLS11, TLS12 or TLS13, but is {text:?}");
        fields.problem(key, message);
    }
    version
}

fn check_versions(fields: &Fields<'_>, (min, max): (Version, Version), warnings: &mut Vec<String>) {
    if max < Version::Tls12 {
        let message = "TLS older than 1.2 is not spoken here; write TLS12 or TLS13";
        fields.problem("max_version", message);
    } else if max < min {
        fields.problem("max_version", "is older than min_version");
    }
    if min < Version::Tls12 {
        let path = fields.path_of("min_version");
        warnings.push(format!("{path}: TLS older than 1.2 is not spoken here, so TLS12 counts"));
    }
}

/// The names of a list; unknown ones are problems.
fn read_names(
    fields: &mut Fields<'_>,
    key: &'static str,
    find: fn(&str) -> Option<Named>,
) -> Option<Vec<Named>> {
    let mut found = Vec::new();
    for (path, item) in fields.list(key) {
        match item.text().map(|text| (text, find(text))) {
            Some((_, Some(named))) => found.push(named),
            Some((text, None)) => {
                fields.problems().add(item, &path, format!("unknown name {text:?}"));
            }
            None => fields.problems().add(item, &path, "needs a name"),
        }
    }
    (!found.is_empty()).then_some(found)
}

fn usable(found: Vec<Named>, path: &str, warnings: &mut Vec<String>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for named in found {
        match named {
            Named::Ours(name) => names.push(name),
            Named::Always(_) => {}
            Named::Foreign(name) => {
                warnings.push(format!("{path}: {name} is not known here and is left out"));
            }
        }
    }
    names
}

fn read_headers(fields: &mut Fields<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let Some(node) = fields.get("headers") else { return Vec::new() };
    let Kind::Mapping(pairs) = &node.kind else {
        fields.problem("headers", format!("needs a mapping, but is {}", node.kind_name()));
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name_node, value_node) in pairs {
        let (name, value) = (name_node.text().unwrap_or(""), value_node.text().unwrap_or(""));
        let path = format!("{}.{name}", fields.path_of("headers"));
        let complain = |message: String| fields.problems().add(name_node, &path, message);
        let Some((_, allowed)) = HEADERS.iter().find(|(own, _)| *own == name) else {
            let names: Vec<&str> = HEADERS.iter().map(|(own, _)| *own).collect();
            complain(format!("can't be set; these can: {}", names.join(", ")));
            continue;
        };
        if !value.is_empty() && !allowed.is_empty() && !allowed.contains(&value) {
            complain(format!("needs {}, but is {value:?}", allowed.join(" or ")));
            continue;
        }
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => complain("is no text that a header can carry".to_owned()),
        }
    }
    headers
}

fn read_users(fields: &mut Fields<'_>) -> Vec<(String, PasswordHash)> {
    let Some(node) = fields.get("basic_auth_users") else { return Vec::new() };
    let Kind::Mapping(pairs) = &node.kind else {
        let message = format!("needs a mapping of names to hashes, but is {}", node.kind_name());
        fields.problem("basic_auth_users", message);
        return Vec::new();
    };
    let mut users = Vec::new();
    for (name_node, hash_node) in pairs {
        let name = name_node.text().unwrap_or("");
        let path = format!("basic_auth_users.{name}");
        if name.contains(':') {
            let message = "a name with a colon can't log in by basic authentication";
            fields.problems().add(name_node, &path, message);
        }
        match PasswordHash::parse(hash_node.text().unwrap_or("")) {
            Ok(hash) => users.push((name.to_owned(), hash)),
            Err(message) => fields.problems().add(hash_node, &path, message),
        }
    }
    users
}

fn read_rate_limit(fields: &mut Fields<'_>) -> Option<RateLimit> {
    let interval = fields.text("interval").unwrap_or_default();
    let burst = fields.unsigned("burst").unwrap_or(0);
    let interval_s = match interval.as_str() {
        "" | "0" => return None,
        text => names::go_duration_s(text),
    };
    let Some(interval_s) = interval_s else {
        let message = format!("needs a duration such as 100ms, but is {interval:?}");
        fields.problem("interval", message);
        return None;
    };
    if interval_s <= 0.0 {
        return None;
    }
    if burst == 0 {
        fields.problem("burst", "needs at least 1, else every request is refused");
    }
    Some(RateLimit { interval_s, burst: u32::try_from(burst).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests;
