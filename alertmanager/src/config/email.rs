//! E-mail receivers: relay, login, trust, recipients, texts.
//!
//! Place in the flow: `receiver` → **here** → the e-mail receiver.
//!
//! What an entry does not say is taken from `global`. Mail is sent only over TLS unless
//! `require_tls: false` says otherwise.
//!
//! Not here: SMTP (crate module `receiver`).

use model::fields::Fields;

use super::global::Global;
use super::http::{self, TlsFiles};
use super::{Context, syntax};
use crate::secret::SecretSource;

/// One `email_configs` entry with the defaults filled in.
#[derive(Debug, Clone)]
pub struct EmailConfig {
    /// Recipients, separated by commas; may be a template.
    pub to: String,
    /// The sender; may be a template.
    pub from: String,
    /// Host of the relay.
    pub host: String,
    /// Port of the relay.
    pub port: u16,
    /// The name we greet with.
    pub hello: String,
    /// How we log in.
    pub login: Option<EmailLogin>,
    /// Refuse to send in the clear.
    pub require_tls: bool,
    /// TLS from the first byte.
    pub implicit_tls: bool,
    /// Trust settings.
    pub tls: EmailTls,
    /// The subject line, a template.
    pub subject: String,
    /// The HTML part, a template; empty leaves it out.
    pub html: String,
    /// The text part, a template; empty leaves it out.
    pub text: String,
    /// Further headers, their values templates.
    pub headers: Vec<(String, String)>,
    /// Mails of one group hang together in a mail reader.
    pub threading: Option<Threading>,
}

/// Name and secrets of a relay account.
#[derive(Debug, Clone)]
pub struct EmailLogin {
    /// The account.
    pub username: String,
    /// The identity to act as, usually empty.
    pub identity: String,
    /// For PLAIN and LOGIN.
    pub password: Option<SecretSource>,
    /// For CRAM-MD5.
    pub secret: Option<SecretSource>,
}

/// How mails hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threading {
    /// One thread for a group and day.
    Daily,
    /// One thread for a group.
    Forever,
}

/// Trust settings of a relay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmailTls {
    /// PEM files and switches.
    pub files: TlsFiles,
    /// The name the certificate must carry; empty means the host.
    pub server_name: String,
}

/// The subject when the entry has none.
const SUBJECT_DEFAULT: &str = "{{ template \"email.default.subject\" . }}";
/// The HTML part when the entry says nothing of it.
const HTML_DEFAULT: &str = "{{ template \"email.default.html\" . }}";
/// The text part when the entry says nothing of it: every mail can be read without HTML.
const TEXT_DEFAULT: &str = "{{ template \"email.default.text\" . }}";

pub(super) fn read(fields: &mut Fields<'_>, global: &Global, context: &Context<'_>) -> EmailConfig {
    let smtp = &global.smtp;
    let own = |text: Option<String>, default: &str| {
        text.filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    let to = fields.required_text("to");
    check_addresses(fields, "to", &to);
    let from = own(fields.text("from"), &smtp.from);
    if from.is_empty() {
        fields.problem("from", "is required here or as global smtp_from");
    }
    check_addresses(fields, "from", &from);
    let smarthost = own(fields.text("smarthost"), &smtp.smarthost);
    if smarthost.is_empty() {
        fields.problem("smarthost", "is required here or as global smtp_smarthost");
    }
    let (host, port) = check_smarthost(fields, "smarthost", &smarthost).unwrap_or_default();
    let hello = own(fields.text("hello"), &smtp.hello);
    let login = login(fields, global, context);
    let require_tls = fields.boolean("require_tls").unwrap_or(smtp.require_tls);
    let implicit_tls =
        fields.boolean("force_implicit_tls").or(smtp.force_implicit_tls).unwrap_or(port == 465);
    let tls = match fields.fields("tls_config") {
        Some(mut inner) => {
            let tls = read_tls(&mut inner, context);
            inner.finish();
            tls
        }
        None => smtp.tls.clone(),
    };
    let (headers, subject) = headers(fields);
    let (html, text) = bodies(fields);
    let threading = threading(fields);
    EmailConfig {
        to,
        from,
        host,
        port,
        hello,
        login,
        require_tls,
        implicit_tls,
        tls,
        subject,
        html,
        text,
        headers,
        threading,
    }
}

fn bodies(fields: &mut Fields<'_>) -> (String, String) {
    let mut body = |key: &'static str, default: &str| {
        let written = fields.has(key);
        let text = fields.text(key);
        let body = if written { text.unwrap_or_default() } else { default.to_owned() };
        if let Err(message) = syntax::check_text(&body) {
            fields.problem(key, message);
        }
        body
    };
    let (html, text) = (body("html", HTML_DEFAULT), body("text", TEXT_DEFAULT));
    if html.is_empty() && text.is_empty() {
        fields.problem("text", "html and text are both empty; a mail needs one of them");
    }
    (html, text)
}

fn login(fields: &mut Fields<'_>, global: &Global, context: &Context<'_>) -> Option<EmailLogin> {
    let smtp = &global.smtp;
    let username = fields.text("auth_username").filter(|text| !text.is_empty());
    let identity = fields.text("auth_identity").unwrap_or_else(|| smtp.auth_identity.clone());
    let password = http::secret(fields, context, ("auth_password", "auth_password_file"));
    let secret = http::secret(fields, context, ("auth_secret", "auth_secret_file"));
    let username = username.unwrap_or_else(|| smtp.auth_username.clone());
    let password = password.or_else(|| smtp.auth_password.clone());
    let secret = secret.or_else(|| smtp.auth_secret.clone());
    (!username.is_empty()).then_some(EmailLogin { username, identity, password, secret })
}

fn headers(fields: &mut Fields<'_>) -> (Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut subject = SUBJECT_DEFAULT.to_owned();
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in fields.text_map("headers") {
        let lower = name.to_ascii_lowercase();
        if seen.contains(&lower) {
            fields.problem("headers", format!("header {name:?} is set twice"));
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if name.is_empty() || !name.bytes().all(plain) {
            fields.problem("headers", format!("{name:?} is no header name"));
        }
        if let Err(message) = syntax::check_text(&value) {
            fields.problem("headers", format!("{name}: {message}"));
        }
        if lower == "subject" {
            subject = value;
        } else {
            headers.push((name, value));
        }
        seen.push(lower);
    }
    (headers, subject)
}

fn threading(fields: &mut Fields<'_>) -> Option<Threading> {
    let mut inner = fields.fields("threading")?;
    let enabled = inner.boolean("enabled").unwrap_or(false);
    let by = match inner.text("thread_by_date").as_deref() {
        None | Some("daily") => Threading::Daily,
        Some("none" | "") => Threading::Forever,
        Some(other) => {
            inner.problem("thread_by_date", format!("must be daily or none, but is {other:?}"));
            Threading::Daily
        }
    };
    inner.finish();
    enabled.then_some(by)
}

fn check_addresses(fields: &Fields<'_>, key: &str, text: &str) {
    if syntax::is_template(text) {
        if let Err(message) = syntax::check_text(text) {
            fields.problem(key, message);
        }
        return;
    }
    if text.is_empty() {
        return;
    }
    if let Err(error) = text.parse::<lettre::message::Mailboxes>() {
        fields.problem(key, format!("{text:?} is no list of mail addresses: {error}"));
    }
}

/// Splits `host:port`; notes a problem when the port is missing. Empty is left to the caller.
pub(super) fn check_smarthost(fields: &Fields<'_>, key: &str, text: &str) -> Option<(String, u16)> {
    if text.is_empty() {
        return None;
    }
    let split = text.rsplit_once(':').and_then(|(host, port)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some(())?;
        port.parse().ok().map(|port| (host.to_owned(), port))
    });
    if split.is_none() {
        fields
            .problem(key, format!("needs host:port such as mail.example.org:587, but is {text:?}"));
    }
    split
}

pub(super) fn read_tls(fields: &mut Fields<'_>, context: &Context<'_>) -> EmailTls {
    let files = http::read_tls(fields, context);
    let server_name = fields.text("server_name").unwrap_or_default();
    EmailTls { files, server_name }
}
