//! E-mail: one message to all its recipients, each of them accepted or refused on its own.
//!
//! Place in the flow: attempt → **`send`** → `mail` (the bytes) → `smtp` (the dialogue) → a report.
//!
//! Recipients that took the message, or never will, are left out of later attempts; the others get
//! it under the same Message-ID.
//!
//! Not here: the dialogue (`smtp`), the text of the mail (`mail`).

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Identity, TlsParameters};

use super::mail;
use super::smtp::{self, Dialogue, Login, Stage, Trouble};
use super::{Attempt, Doors};
use crate::config::EmailConfig;
use crate::core::{Outcome, Report};

/// Largest PEM file.
const PEM_BYTES_MAX: usize = 1024 * 1024;
/// The whole attempt, whatever its steps allow.
const ATTEMPT_MAX: Duration = Duration::from_secs(15 * 60);

/// Makes one attempt.
pub(super) async fn send(attempt: Attempt<'_>, config: &EmailConfig) -> Report {
    let Attempt { delivery, doors, message, finished } = attempt;
    let mail = match mail::build(&message, config, &doors.site) {
        Ok(mail) => mail,
        Err(reason) => return Report::plain(Outcome::Config, reason),
    };
    let mut open: Vec<Address> = mail.recipients.clone();
    open.retain(|address| !finished.contains(&address.to_string()));
    if open.is_empty() {
        return Report::plain(Outcome::Delivered, "every recipient is settled");
    }
    let (login, tls) = match (login(config, doors), tls(config, doors)) {
        (Ok(login), Ok(tls)) => (login, tls),
        (Err(reason), _) | (_, Err(reason)) => return Report::plain(Outcome::Config, reason),
    };
    let dialogue = Dialogue {
        host: &config.host,
        port: config.port,
        hello: &config.hello,
        require_tls: config.require_tls,
        implicit_tls: config.implicit_tls,
        tls,
        login,
        from: mail.from.clone(),
        recipients: &open,
        bytes: &mail.bytes,
    };
    tracing::debug!(id = %delivery.intent.id, attempt = delivery.attempt, "mail attempt begins");
    match tokio::time::timeout(ATTEMPT_MAX, smtp::run(dialogue)).await {
        Ok(Ok(end)) => report_of_end(end),
        Ok(Err(trouble)) => report_of_trouble(trouble),
        Err(_) => Report::plain(Outcome::Ambiguous, "the attempt took too long"),
    }
}

fn report_of_end(end: smtp::End) -> Report {
    let outcome = if end.deferred.is_empty() { Outcome::Delivered } else { Outcome::Transient };
    let mut detail = end.reply;
    for (recipient, why) in &end.deferred {
        detail = format!("{recipient}: {why}");
    }
    if end.accepted.is_empty() && end.deferred.is_empty() {
        detail = "every recipient was refused".to_owned();
        let mut report = Report::plain(Outcome::Rejected, detail);
        report.refused = end.refused;
        return report;
    }
    let mut report = Report::plain(outcome, detail);
    report.accepted = end.accepted;
    report.refused = end.refused;
    report
}

/// The stage and the reply's class decide what follows.
fn report_of_trouble(trouble: Trouble) -> Report {
    let permanent = trouble.code.is_some_and(|code| code >= 500);
    let outcome = match trouble.stage {
        Stage::Connect | Stage::Greeting => Outcome::Transient,
        Stage::Tls => Outcome::Config,
        Stage::Login | Stage::Sender if permanent => Outcome::Config,
        Stage::Login if trouble.no_mechanism => Outcome::Config,
        Stage::Login | Stage::Sender | Stage::Recipient => Outcome::Transient,
        Stage::Data if permanent => Outcome::Rejected,
        Stage::Data => Outcome::Transient,
        Stage::Content if permanent => Outcome::Rejected,
        Stage::Content if trouble.code.is_some() => Outcome::Transient,
        // The dot may have been seen: the message may be on its way.
        Stage::Content => Outcome::Ambiguous,
    };
    let mut report =
        Report::plain(outcome, format!("{}: {}", trouble.stage.name(), trouble.detail));
    report.refused = trouble.refused;
    report
}

fn login(config: &EmailConfig, doors: &Doors) -> Result<Option<Login>, String> {
    let Some(own) = &config.login else { return Ok(None) };
    let password = own.password.as_ref().map(|own| own.read(&doors.disk)).transpose()?;
    let secret = own.secret.as_ref().map(|own| own.read(&doors.disk)).transpose()?;
    if password.is_none() && secret.is_none() {
        return Err("a user name without password or secret; set auth_password".to_owned());
    }
    Ok(Some(Login {
        username: own.username.clone(),
        identity: own.identity.clone(),
        password,
        secret,
    }))
}

fn tls(config: &EmailConfig, doors: &Doors) -> Result<TlsParameters, String> {
    let files = &config.tls.files;
    let name = match config.tls.server_name.as_str() {
        "" => config.host.clone(),
        name => name.to_owned(),
    };
    let read = |path: &std::path::Path| {
        let failed = |error: std::io::Error| format!("read {}: {error}", path.display());
        doors.disk.read(path, PEM_BYTES_MAX).map_err(failed)
    };
    let mut builder = TlsParameters::builder(name)
        .dangerous_accept_invalid_certs(files.insecure_skip_verify)
        .dangerous_accept_invalid_hostnames(files.insecure_skip_verify);
    if let Some(path) = &files.ca_file {
        let roots = certificates(&read(path)?)
            .map_err(|error| format!("ca_file {}: {error}", path.display()))?;
        // As the field has it: a CA of one's own takes the place of the public ones.
        builder = builder.certificate_store(CertificateStore::None);
        for root in roots {
            builder = builder.add_root_certificate(root);
        }
    }
    if let (Some(cert), Some(key)) = (&files.cert_file, &files.key_file) {
        let identity = Identity::from_pem(&read(cert)?, &read(key)?)
            .map_err(|error| format!("cert_file {}: {error}", cert.display()))?;
        builder = builder.identify_with(identity);
    }
    builder.build().map_err(|error| format!("tls_config: {error}"))
}

/// Every certificate of a PEM text.
fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = std::str::from_utf8(pem).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for block in text.split_inclusive(END).filter(|block| block.contains(END)) {
        found.push(Certificate::from_pem(block.as_bytes()).map_err(|error| error.to_string())?);
    }
    if found.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(found) }
}
