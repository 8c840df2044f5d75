//! The bytes of a mail: headers, text part, HTML part.
//!
//! Place in the flow: message + configuration → **`build`** → `smtp`.
//!
//! The same message gives the same bytes in every attempt: Message-ID, date and boundary come from
//! the decision, not from the attempt.
//!
//! Not here: who gets it at which attempt (`email`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailboxes, Message as Mail, MessageBuilder, MultiPart, SinglePart};

use crate::config::{EmailConfig, Threading};
use crate::message::Message;

/// A mail ready to go.
pub(super) struct Built {
    /// The envelope's sender.
    pub(super) from: Address,
    /// The envelope's recipients.
    pub(super) recipients: Vec<Address>,
    /// Headers and body.
    pub(super) bytes: Vec<u8>,
}

/// Builds the mail; the error says which setting or template is at fault.
pub(super) fn build(
    message: &Message<'_>,
    config: &EmailConfig,
    site: &str,
) -> Result<Built, String> {
    let from = mailboxes(message, "from", &config.from)?;
    let to = mailboxes(message, "to", &config.to)?;
    let recipients: Vec<Address> = to.iter().map(|own| own.email.clone()).collect();
    let Some(sender) = from.iter().next().map(|own| own.email.clone()) else {
        return Err("from: no address".to_owned());
    };
    if recipients.is_empty() {
        return Err("to: no address".to_owned());
    }
    let subject = message.text(&config.subject).map_err(|error| format!("subject: {error}"))?;
    let envelope = Envelope::new(Some(sender.clone()), recipients.clone())
        .map_err(|error| format!("to: {error}"))?;
    let millis = u64::try_from(message.intent.created_at_ms).unwrap_or(0);
    let date: SystemTime = UNIX_EPOCH + Duration::from_millis(millis);
    let mut builder = Mail::builder()
        .envelope(envelope)
        .date(date)
        .message_id(Some(format!("<{}@{site}>", message.intent.id)))
        .raw_header(raw("X-Belfry-Id", &message.intent.id)?)
        .subject(one_line(&subject));
    builder = addresses(builder, config, &from, &to);
    builder = threaded(builder, message, config)?;
    for (name, text) in &config.headers {
        let value = message.text(text).map_err(|error| format!("headers.{name}: {error}"))?;
        builder = own_header(builder, name, &one_line(&value))?;
    }
    let mail = body(builder, message, config)?;
    Ok(Built { from: sender, recipients, bytes: mail.formatted() })
}

fn mailboxes(message: &Message<'_>, field: &str, text: &str) -> Result<Mailboxes, String> {
    let rendered = message.text(text).map_err(|error| format!("{field}: {error}"))?;
    let rendered = one_line(&rendered);
    rendered.parse().map_err(|error| format!("{field}: {rendered:?} is no mail address: {error}"))
}

/// A header value is one line, whatever a label holds.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn raw(name: &str, value: &str) -> Result<HeaderValue, String> {
    let name = HeaderName::new_from_ascii(name.to_owned())
        .map_err(|_| format!("headers: {name:?} is no header name"))?;
    Ok(HeaderValue::new(name, value.to_owned()))
}

/// From and To, unless the configuration has its own.
fn addresses(
    mut builder: MessageBuilder,
    config: &EmailConfig,
    from: &Mailboxes,
    to: &Mailboxes,
) -> MessageBuilder {
    let has = |name: &str| config.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    if !has("From") {
        builder = from.iter().fold(builder, |builder, own| builder.from(own.clone()));
    }
    if !has("To") {
        builder = to.iter().fold(builder, |builder, own| builder.to(own.clone()));
    }
    builder
}

fn own_header(builder: MessageBuilder, name: &str, value: &str) -> Result<MessageBuilder, String> {
    let parsed = || {
        let error = |error| format!("headers.{name}: {value:?} is no mail address: {error}");
        value.parse::<Mailboxes>().map_err(error)
    };
    Ok(match name.to_ascii_lowercase().as_str() {
        "from" => parsed()?.into_iter().fold(builder, MessageBuilder::from),
        "to" => parsed()?.into_iter().fold(builder, MessageBuilder::to),
        "cc" => parsed()?.into_iter().fold(builder, MessageBuilder::cc),
        "reply-to" => parsed()?.into_iter().fold(builder, MessageBuilder::reply_to),
        "message-id" => builder.message_id(Some(value.to_owned())),
        _ => builder.raw_header(raw(name, value)?),
    })
}

/// Mails of one group (and day) name one mail that never was as the one they answer.
fn threaded(
    builder: MessageBuilder,
    message: &Message<'_>,
    config: &EmailConfig,
) -> Result<MessageBuilder, String> {
    let Some(threading) = config.threading else { return Ok(builder) };
    let group = xxhash_rust::xxh3::xxh3_64(message.intent.group_key.as_bytes());
    let date = match threading {
        Threading::Forever => String::new(),
        Threading::Daily => {
            let at = jiff::Timestamp::from_millisecond(message.intent.created_at_ms)
                .map_err(|error| format!("threading: {error}"))?;
            format!("-{}", at.to_zoned(jiff::tz::TimeZone::UTC).date())
        }
    };
    let root = format!("<alert-{group:016x}{date}@alertmanager>");
    Ok(builder.references(root.clone()).in_reply_to(root))
}

fn body(
    builder: MessageBuilder,
    message: &Message<'_>,
    config: &EmailConfig,
) -> Result<Mail, String> {
    let part = |kind: ContentType, text: String| {
        SinglePart::builder()
            .header(kind)
            .header(ContentTransferEncoding::QuotedPrintable)
            .body(text)
    };
    let text = match config.text.as_str() {
        "" => None,
        text => Some(message.text(text).map_err(|error| format!("text: {error}"))?),
    };
    let html = match config.html.as_str() {
        "" => None,
        html => Some(message.html(html).map_err(|error| format!("html: {error}"))?),
    };
    let mail = match (text, html) {
        (Some(text), Some(html)) => {
            let parts = MultiPart::builder()
                .kind(lettre::message::MultiPartKind::Alternative)
                .boundary(&message.intent.id)
                .singlepart(part(ContentType::TEXT_PLAIN, text))
                .singlepart(part(ContentType::TEXT_HTML, html));
            builder.multipart(parts)
        }
        (Some(text), None) => builder.singlepart(part(ContentType::TEXT_PLAIN, text)),
        (None, Some(html)) => builder.singlepart(part(ContentType::TEXT_HTML, html)),
        (None, None) => return Err("html and text are both empty".to_owned()),
    };
    mail.map_err(|error| format!("write the mail: {error}"))
}
