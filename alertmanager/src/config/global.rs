//! The `global` block: defaults that receivers take over.
//!
//! Place in the flow: [`super::parse`] → **here** → `receiver` and `email`, which fall back to it.
//!
//! Keys of services that Belfry does not speak are known and have no effect.
//!
//! Not here: what a receiver overrides.

use model::fields::Fields;

use super::email::EmailTls;
use super::http::HttpConfig;
use super::other::GLOBAL_KEYS;
use super::{Context, http};
use crate::secret::SecretSource;

/// How long an alert without an end lives after its last repetition, unless the file says otherwise.
const RESOLVE_TIMEOUT_MS_DEFAULT: u64 = 5 * 60 * 1000;

/// Defaults for all receivers.
#[derive(Debug, Clone, Default)]
pub struct Global {
    /// An alert without an end is taken as over this long after it was last heard of.
    pub resolve_timeout_ms: u64,
    /// How webhooks are called.
    pub http_config: HttpConfig,
    /// The defaults of e-mail receivers.
    pub smtp: SmtpDefaults,
}

/// The `smtp_*` keys.
#[derive(Debug, Clone, Default)]
pub struct SmtpDefaults {
    /// The sender.
    pub from: String,
    /// `host:port` of the relay.
    pub smarthost: String,
    /// The name we greet with.
    pub hello: String,
    /// Empty: no login.
    pub auth_username: String,
    /// For PLAIN and LOGIN.
    pub auth_password: Option<SecretSource>,
    /// The identity to act as, usually empty.
    pub auth_identity: String,
    /// For CRAM-MD5.
    pub auth_secret: Option<SecretSource>,
    /// Refuse to send in the clear.
    pub require_tls: bool,
    /// Trust settings.
    pub tls: EmailTls,
    /// TLS from the first byte; unset means on port 465 only.
    pub force_implicit_tls: Option<bool>,
}

pub(super) fn read(root: &mut Fields<'_>, context: &Context<'_>) -> Global {
    let mut global = Global {
        resolve_timeout_ms: RESOLVE_TIMEOUT_MS_DEFAULT,
        smtp: SmtpDefaults {
            hello: "localhost".to_owned(),
            require_tls: true,
            ..Default::default()
        },
        ..Default::default()
    };
    global.http_config.follow_redirects = true;
    let Some(mut fields) = root.fields("global") else { return global };
    if let Some(ms) = fields.duration_ms("resolve_timeout") {
        global.resolve_timeout_ms = ms;
    }
    if let Some(http_config) = http::read(&mut fields, context) {
        global.http_config = http_config;
    }
    read_smtp(&mut fields, &mut global.smtp, context);
    fields.accept(GLOBAL_KEYS);
    fields.finish();
    global
}

fn read_smtp(fields: &mut Fields<'_>, smtp: &mut SmtpDefaults, context: &Context<'_>) {
    smtp.from = fields.text("smtp_from").unwrap_or_default();
    smtp.smarthost = fields.text("smtp_smarthost").unwrap_or_default();
    super::email::check_smarthost(fields, "smtp_smarthost", &smtp.smarthost);
    if let Some(hello) = fields.text("smtp_hello").filter(|text| !text.is_empty()) {
        smtp.hello = hello;
    }
    smtp.auth_username = fields.text("smtp_auth_username").unwrap_or_default();
    smtp.auth_identity = fields.text("smtp_auth_identity").unwrap_or_default();
    smtp.auth_password =
        http::secret(fields, context, ("smtp_auth_password", "smtp_auth_password_file"));
    smtp.auth_secret = http::secret(fields, context, ("smtp_auth_secret", "smtp_auth_secret_file"));
    smtp.require_tls = fields.boolean("smtp_require_tls").unwrap_or(true);
    smtp.force_implicit_tls = fields.boolean("smtp_force_implicit_tls");
    if let Some(mut tls) = fields.fields("smtp_tls_config") {
        smtp.tls = super::email::read_tls(&mut tls, context);
        tls.finish();
    }
}
