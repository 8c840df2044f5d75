//! Receivers: who is told, by which ways.
//!
//! Place in the flow: [`super::parse`] → **here** → the core's plan (names and switches) and the
//! delivery (addresses).
//!
//! Ways that Belfry does not speak are refused by name, each with what to use instead.
//!
//! Not here: e-mail (`email`), sending (crate module `receiver`).

use model::fields::{Fields, Problems};
use model::yaml::{Kind, Node};

use super::email::{self, EmailConfig};
use super::global::Global;
use super::http::{self, HttpConfig};
use super::other::INTEGRATIONS;
use super::{Context, syntax};
use crate::secret::SecretSource;

/// A name and the ways behind it.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// What routes call it.
    pub name: String,
    /// Labels of the receiver itself, with `name` added.
    pub labels: Vec<(String, String)>,
    /// All of these are told.
    pub integrations: Vec<Integration>,
}

/// One way of one receiver.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Unique over the configuration: `receiver/webhook/0`.
    pub key: String,
    /// Whether the end of an alert is told as well.
    pub send_resolved: bool,
    /// Which way.
    pub kind: IntegrationKind,
}

/// The ways there are.
#[derive(Debug, Clone)]
pub enum IntegrationKind {
    /// A JSON post.
    Webhook(Box<WebhookConfig>),
    /// A mail.
    Email(Box<EmailConfig>),
}

impl IntegrationKind {
    /// The field's name of the way, as metrics show it.
    pub fn name(&self) -> &'static str {
        match self {
            IntegrationKind::Webhook(_) => "webhook",
            IntegrationKind::Email(_) => "email",
        }
    }
}

/// One `webhook_configs` entry.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// The address, possibly a template.
    pub url: SecretSource,
    /// How it is called.
    pub http_config: HttpConfig,
    /// Most alerts in one message; 0 is all.
    pub alerts_max: usize,
    /// Limit of one attempt; 0 is the house's default.
    pub timeout_ms: u64,
    /// A body of the operator's own, its texts templates.
    pub payload: Option<Node>,
}

pub(super) fn read_all(
    root: &mut Fields<'_>,
    global: &Global,
    context: &Context<'_>,
) -> Vec<Receiver> {
    if root.get("receivers").is_none() {
        root.problem("receivers", "is required");
    }
    let mut receivers: Vec<Receiver> = Vec::new();
    for (path, node) in root.list("receivers") {
        let mut fields = Fields::new(node, &path, root.problems());
        let receiver = read(&mut fields, global, context);
        if !receiver.name.is_empty() && receivers.iter().any(|own| own.name == receiver.name) {
            fields.problem("name", format!("receiver {:?} is defined twice", receiver.name));
        }
        fields.finish();
        receivers.push(receiver);
    }
    receivers
}

fn read(fields: &mut Fields<'_>, global: &Global, context: &Context<'_>) -> Receiver {
    let name = fields.required_text("name");
    let mut labels = fields.text_map("labels");
    labels.retain(|(own, _)| own != "name");
    labels.push(("name".to_owned(), name.clone()));
    labels.sort();
    let mut integrations = Vec::new();
    for (index, (path, node)) in fields.list("webhook_configs").into_iter().enumerate() {
        let mut inner = Fields::new(node, &path, fields.problems());
        refuse_nothing(node, &path, fields.problems());
        let send_resolved = inner.boolean("send_resolved").unwrap_or(true);
        let kind = webhook(&mut inner, global, context);
        inner.finish();
        let key = format!("{name}/webhook/{index}");
        let kind = IntegrationKind::Webhook(Box::new(kind));
        integrations.push(Integration { key, send_resolved, kind });
    }
    for (index, (path, node)) in fields.list("email_configs").into_iter().enumerate() {
        let mut inner = Fields::new(node, &path, fields.problems());
        refuse_nothing(node, &path, fields.problems());
        let send_resolved = inner.boolean("send_resolved").unwrap_or(false);
        let kind = email::read(&mut inner, global, context);
        inner.finish();
        let key = format!("{name}/email/{index}");
        let kind = IntegrationKind::Email(Box::new(kind));
        integrations.push(Integration { key, send_resolved, kind });
    }
    for (key, advice) in INTEGRATIONS {
        if fields.has(key) {
            fields.problem(key, *advice);
        }
    }
    Receiver { name, labels, integrations }
}

fn refuse_nothing(node: &Node, path: &str, problems: &Problems) {
    if node.is_null() {
        problems.add(node, path, "needs a mapping, but is nothing");
    }
}

fn webhook(fields: &mut Fields<'_>, global: &Global, context: &Context<'_>) -> WebhookConfig {
    let url = http::secret(fields, context, ("url", "url_file"));
    match &url {
        None => fields.problem("url", "exactly one of url and url_file is required"),
        Some(SecretSource::Inline(text)) => check_url(fields, text.expose()),
        Some(SecretSource::File(_)) => {}
    }
    let payload = fields.get("payload").cloned();
    if let Some(node) = &payload {
        check_payload(node, &fields.path_of("payload"), fields.problems());
    }
    let alerts_max = fields.unsigned("max_alerts").unwrap_or(0);
    WebhookConfig {
        url: url.unwrap_or(SecretSource::Inline(crate::secret::Secret::new(""))),
        http_config: http::read(fields, context).unwrap_or_else(|| global.http_config.clone()),
        alerts_max: usize::try_from(alerts_max).unwrap_or(usize::MAX),
        timeout_ms: fields.duration_ms("timeout").unwrap_or(0),
        payload,
    }
}

fn check_url(fields: &Fields<'_>, text: &str) {
    if syntax::is_template(text) {
        if let Err(message) = syntax::check_text(text) {
            fields.problem("url", message);
        }
        return;
    }
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => {}
        Ok(_) => fields.problem("url", "needs an address such as http://host:8080/path"),
        Err(error) => fields.problem("url", format!("is no address: {error}")),
    }
}

fn check_payload(node: &Node, path: &str, problems: &Problems) {
    match &node.kind {
        Kind::Scalar { text, .. } => {
            if let Err(message) = syntax::check_text(text) {
                problems.add(node, path, message);
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                check_payload(item, &format!("{path}[{index}]"), problems);
            }
        }
        Kind::Mapping(pairs) => {
            for (key, value) in pairs {
                let path = format!("{path}.{}", key.text().unwrap_or(""));
                check_payload(value, &path, problems);
            }
        }
    }
}
