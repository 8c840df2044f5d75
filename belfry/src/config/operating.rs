//! The sections `web`, `backup` and `sql` of belfry.yml: what operators may do to the whole.
//!
//! Place in the flow: belfry.yml → **here** → [`super::Config`].
//!
//! Not here: reading files with secrets; that happens when a backup is made.

use std::path::{Path, PathBuf};

use backup::S3Settings;
use dashboards::access;
use model::fields::{Fields, Problem};

/// What the web server may do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Web {
    /// Whether `/api/v1/admin` answers.
    pub enable_admin_api: bool,
    /// Whether `/-/quit` ends the process.
    pub enable_lifecycle: bool,
    /// The path that everything is served under: empty, or `/belfry`. `None`: that of the external
    /// address.
    pub route_prefix: Option<String>,
    /// Who may do what: encryption, logins, limits.
    pub access: access::Settings,
}

impl Web {
    /// Whether other settings take effect at the next start only.
    pub fn needs_restart(&self, other: &Web) -> bool {
        let fixed =
            |own: &Web| (own.enable_admin_api, own.enable_lifecycle, own.route_prefix.clone());
        fixed(self) != fixed(other) || self.access.needs_restart(&other.access)
    }
}

/// How buckets for backups are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backup {
    /// As written; what is missing may stand in the environment.
    pub s3: S3Settings,
    /// Where the key stands.
    pub secret_access_key_file: Option<PathBuf>,
}

/// The doors for SQL beside the API's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sql {
    /// Where the Postgres wire listens; it is off without.
    pub postgres_listen: Option<String>,
    /// Most connections at once.
    pub postgres_connections_max: usize,
}

impl Default for Sql {
    fn default() -> Sql {
        let connections_max = sql::wire::Settings::default().connections_max;
        Sql { postgres_listen: None, postgres_connections_max: connections_max }
    }
}

pub(super) fn read_sql(fields: &mut Fields<'_>) -> Sql {
    let mut own = Sql::default();
    let Some(mut section) = fields.fields("sql") else { return own };
    if let Some(mut postgres) = section.fields("postgres") {
        if let Some(text) = postgres.text("listen") {
            match super::listen_address(&text) {
                Ok(address) => own.postgres_listen = Some(address),
                Err(problem) => postgres.problem("listen", problem),
            }
        }
        if let Some(connections) = postgres.unsigned("connections_max") {
            own.postgres_connections_max = usize::try_from(connections).unwrap_or(usize::MAX);
            if !(1..=10_000).contains(&connections) {
                postgres.problem("connections_max", "must be between 1 and 10000");
            }
        }
        postgres.finish();
    }
    section.finish();
    own
}

/// Whether an address to listen on can be reached from this machine alone.
pub(super) fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|own| own.is_loopback())
}

pub(super) fn read_web(fields: &mut Fields<'_>, folder: &Path, more: &mut Vec<Problem>) -> Web {
    let Some(mut web) = fields.fields("web") else { return Web::default() };
    let enable_admin_api = web.boolean("enable_admin_api").unwrap_or_default();
    let enable_lifecycle = web.boolean("enable_lifecycle").unwrap_or_default();
    let route_prefix = web.text("route_prefix").map(|text| {
        let own = format!("/{}", text.trim_matches('/'));
        let is_plain = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '/' | '-' | '_' | '.' | '~')
        };
        if !own.chars().all(is_plain) || own.contains("//") {
            let message = format!("needs a path such as /belfry, but is {text:?}");
            web.problem("route_prefix", message);
        }
        own.trim_end_matches('/').to_owned()
    });
    let (access, problems) = access::settings::read(&mut web, folder);
    more.extend(problems);
    web.finish();
    Web { enable_admin_api, enable_lifecycle, route_prefix, access }
}

pub(super) fn read_backup(fields: &mut Fields<'_>, folder: &Path) -> Backup {
    let mut own = Backup::default();
    let Some(mut section) = fields.fields("backup") else { return own };
    if let Some(mut s3) = section.fields("s3") {
        own.s3.endpoint = s3.text("endpoint");
        own.s3.region = s3.text("region");
        own.s3.access_key_id = s3.text("access_key_id");
        own.s3.secret_access_key = s3.text("secret_access_key");
        own.secret_access_key_file =
            s3.text("secret_access_key_file").map(|file| folder.join(file));
        own.s3.path_style = s3.boolean("path_style");
        if own.s3.secret_access_key.is_some() && own.secret_access_key_file.is_some() {
            s3.problem("secret_access_key_file", "secret_access_key is there too: one is enough");
        }
        if let Err(error) = own.s3.address("bucket") {
            s3.problem("endpoint", error.to_string());
        }
        s3.finish();
    }
    section.finish();
    own
}
