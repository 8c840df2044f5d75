//! One SMTP dialogue: connect, greet, STARTTLS, log in, hand over one mail, and go.
//!
//! Place in the flow: `email` → **`run`** → the relay.
//!
//! Invariants:
//! - One connection serves one attempt. A pooled connection that lost step would take the reply to
//!   an older command for the reply to ours.
//! - Each command has a limit of its own. When it passes, the socket is dropped, without `QUIT`.
//! - Without TLS nothing is said that needs it: neither login nor mail.
//!
//! Not here: what a failure means for the message (`email`).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use md5::{Digest, Md5};
use tokio::net::TcpStream;

use crate::secret::Secret;

const CONNECT_MAX: Duration = Duration::from_secs(10);
const COMMAND_MAX: Duration = Duration::from_secs(60);
/// The relay may think about the whole mail this long (RFC 5321).
const CONTENT_MAX: Duration = Duration::from_secs(600);
const QUIT_MAX: Duration = Duration::from_secs(5);

/// What is to be said.
pub(super) struct Dialogue<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) hello: &'a str,
    pub(super) require_tls: bool,
    pub(super) implicit_tls: bool,
    pub(super) tls: TlsParameters,
    pub(super) login: Option<Login>,
    pub(super) from: Address,
    pub(super) recipients: &'a [Address],
    pub(super) bytes: &'a [u8],
}

/// An account.
pub(super) struct Login {
    pub(super) username: String,
    pub(super) identity: String,
    pub(super) password: Option<Secret>,
    pub(super) secret: Option<Secret>,
}

/// A dialogue that came to its end; not every recipient need have the mail.
pub(super) struct End {
    pub(super) accepted: Vec<String>,
    pub(super) refused: Vec<(String, String)>,
    pub(super) deferred: Vec<(String, String)>,
    pub(super) reply: String,
}

/// Where a dialogue broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Connect,
    Greeting,
    Tls,
    Login,
    Sender,
    Recipient,
    Data,
    Content,
}

impl Stage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Connect => "connect",
            Stage::Greeting => "greeting",
            Stage::Tls => "TLS",
            Stage::Login => "login",
            Stage::Sender => "sender",
            Stage::Recipient => "recipient",
            Stage::Data => "data",
            Stage::Content => "end of data",
        }
    }
}

/// A dialogue that broke off.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) stage: Stage,
    /// The reply's code, when there was a reply.
    pub(super) code: Option<u16>,
    pub(super) detail: String,
    /// The relay offers no way to log in that we know.
    pub(super) no_mechanism: bool,
    /// Recipients refused before it broke off.
    pub(super) refused: Vec<(String, String)>,
}

impl Trouble {
    fn new(stage: Stage, detail: impl Into<String>) -> Trouble {
        Trouble {
            stage,
            code: None,
            detail: detail.into(),
            no_mechanism: false,
            refused: Vec::new(),
        }
    }

    fn of(stage: Stage, error: &SmtpError) -> Trouble {
        Trouble { code: error.status().map(u16::from), ..Trouble::new(stage, chain(error)) }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(own) = cause {
        let next = own.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = own.source();
    }
    text
}

async fn limited<T>(
    stage: Stage,
    limit: Duration,
    work: impl Future<Output = Result<T, SmtpError>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Trouble::of(stage, &error)),
        Err(_) => Err(Trouble::new(stage, format!("no reply within {} s", limit.as_secs()))),
    }
}

/// Runs the whole dialogue. Dropping it at any point drops the socket.
pub(super) async fn run(dialogue: Dialogue<'_>) -> Result<End, Trouble> {
    let hello = ClientId::Domain(dialogue.hello.to_owned());
    let mut connection = connect(&dialogue, &hello).await?;
    if let Some(login) = &dialogue.login {
        log_in(&mut connection, login, &hello).await?;
    }
    let parameters = mail_parameters(&connection, &dialogue)?;
    let sender = Mail::new(Some(dialogue.from.clone()), parameters);
    limited(Stage::Sender, COMMAND_MAX, connection.command(sender)).await?;
    let mut end = recipients(&mut connection, dialogue.recipients).await?;
    if end.accepted.is_empty() {
        leave(&mut connection).await;
        return Ok(end);
    }
    let with_refused = |mut trouble: Trouble, end: &End| {
        trouble.refused.clone_from(&end.refused);
        trouble
    };
    limited(Stage::Data, COMMAND_MAX, connection.command(Data))
        .await
        .map_err(|trouble| with_refused(trouble, &end))?;
    let reply = limited(Stage::Content, CONTENT_MAX, connection.message(dialogue.bytes))
        .await
        .map_err(|trouble| with_refused(trouble, &end))?;
    let text: Vec<&str> = reply.message().collect();
    end.reply = format!("{} {}", u16::from(reply.code()), text.join(" "));
    leave(&mut connection).await;
    Ok(end)
}

async fn connect(
    dialogue: &Dialogue<'_>,
    hello: &ClientId,
) -> Result<AsyncSmtpConnection, Trouble> {
    let address = (dialogue.host, dialogue.port);
    if dialogue.implicit_tls {
        let tls = Some(dialogue.tls.clone());
        let opened =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT_MAX), hello, tls, None);
        let limit = CONNECT_MAX + COMMAND_MAX;
        return limited(Stage::Greeting, limit, opened).await.map_err(as_trust);
    }
    let stream = match tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Trouble::new(Stage::Connect, error.to_string())),
        Err(_) => return Err(Trouble::new(Stage::Connect, "no answer within 10 s")),
    };
    let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello);
    let mut connection = limited(Stage::Greeting, COMMAND_MAX, greeted).await?;
    if connection.can_starttls() {
        let upgraded = connection.starttls(dialogue.tls.clone(), hello);
        limited(Stage::Greeting, COMMAND_MAX, upgraded).await.map_err(as_trust)?;
    } else if dialogue.require_tls {
        let detail = "the relay offers no STARTTLS and require_tls is true";
        return Err(Trouble::new(Stage::Tls, detail));
    }
    Ok(connection)
}

/// A certificate that is not trusted surfaces as a broken connection; the cause tells.
fn as_trust(trouble: Trouble) -> Trouble {
    let text = trouble.detail.to_ascii_lowercase();
    let is_trust =
        ["certificate", "unknownissuer", "tls", "handshake"].iter().any(|word| text.contains(word));
    if trouble.code.is_none() && is_trust {
        Trouble { stage: Stage::Tls, ..trouble }
    } else {
        trouble
    }
}

fn mail_parameters(
    connection: &AsyncSmtpConnection,
    dialogue: &Dialogue<'_>,
) -> Result<Vec<MailParameter>, Trouble> {
    let mut parameters = Vec::new();
    let server = connection.server_info();
    let is_wide = |address: &Address| !address.to_string().is_ascii();
    if is_wide(&dialogue.from) || dialogue.recipients.iter().any(is_wide) {
        if !server.supports_feature(Extension::SmtpUtfEight) {
            let detail = "the relay takes only ASCII addresses";
            return Err(Trouble { code: Some(553), ..Trouble::new(Stage::Sender, detail) });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !dialogue.bytes.is_ascii() && server.supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

async fn recipients(
    connection: &mut AsyncSmtpConnection,
    addresses: &[Address],
) -> Result<End, Trouble> {
    let mut end = End {
        accepted: Vec::new(),
        refused: Vec::new(),
        deferred: Vec::new(),
        reply: String::new(),
    };
    for address in addresses {
        let command = Rcpt::new(address.clone(), Vec::new());
        let name = address.to_string();
        match limited(Stage::Recipient, COMMAND_MAX, connection.command(command)).await {
            Ok(_) => end.accepted.push(name),
            Err(trouble) if trouble.code.is_some_and(|code| code >= 500) => {
                end.refused.push((name, trouble.detail));
            }
            Err(trouble) if trouble.code.is_some() => end.deferred.push((name, trouble.detail)),
            Err(trouble) => return Err(Trouble { refused: end.refused, ..trouble }),
        }
    }
    Ok(end)
}

/// The message is settled; a relay that says no goodbye is not waited for long.
async fn leave(connection: &mut AsyncSmtpConnection) {
    let _ = tokio::time::timeout(QUIT_MAX, connection.command(Quit)).await;
}

async fn log_in(
    connection: &mut AsyncSmtpConnection,
    login: &Login,
    hello: &ClientId,
) -> Result<(), Trouble> {
    if let Some(secret) = &login.secret {
        let again =
            limited(Stage::Login, COMMAND_MAX, connection.command(Ehlo::new(hello.clone())));
        let offers: Vec<String> = again.await?.message().map(str::to_ascii_uppercase).collect();
        let is_offered = |line: &String| {
            line.starts_with("AUTH") && line.split([' ', '=']).any(|word| word == "CRAM-MD5")
        };
        if offers.iter().any(is_offered) {
            return cram_md5(connection, &login.username, secret).await;
        }
    }
    let nothing = || Trouble {
        no_mechanism: true,
        ..Trouble::new(Stage::Login, "the relay offers no login that the settings allow")
    };
    let Some(password) = &login.password else { return Err(nothing()) };
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    let server = connection.server_info();
    let Some(mechanism) = server.get_auth_mechanism(&mechanisms) else { return Err(nothing()) };
    if mechanism == Mechanism::Plain && !login.identity.is_empty() {
        let text = format!("{}\0{}\0{}", login.identity, login.username, password.expose());
        let line = format!("AUTH PLAIN {}\r\n", STANDARD.encode(text));
        return limited(Stage::Login, COMMAND_MAX, connection.command(line)).await.map(|_| ());
    }
    let credentials = Credentials::new(login.username.clone(), password.expose().to_owned());
    let done = connection.auth(&mechanisms, &credentials);
    limited(Stage::Login, COMMAND_MAX, done).await.map(|_| ())
}

async fn cram_md5(
    connection: &mut AsyncSmtpConnection,
    username: &str,
    secret: &Secret,
) -> Result<(), Trouble> {
    let asked = connection.command("AUTH CRAM-MD5\r\n");
    let reply = limited(Stage::Login, COMMAND_MAX, asked).await?;
    let challenge = reply.first_word().and_then(|word| STANDARD.decode(word).ok());
    let Some(challenge) = challenge else {
        return Err(Trouble::new(Stage::Login, "the relay's challenge can't be read"));
    };
    let digest = hmac_md5(secret.expose().as_bytes(), &challenge);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("{}\r\n", STANDARD.encode(format!("{username} {hex}")));
    limited(Stage::Login, COMMAND_MAX, connection.command(line)).await.map(|_| ())
}

/// RFC 2104 over MD5, which CRAM-MD5 asks for.
fn hmac_md5(key: &[u8], text: &[u8]) -> Vec<u8> {
    const BLOCK_BYTES: usize = 64;
    let mut block = [0_u8; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        let digest = Md5::digest(key);
        block[..digest.len()].copy_from_slice(&digest);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Md5::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Md5::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::hmac_md5;

    #[test]
    fn cram_md5_of_the_rfc() {
        // RFC 2195, section 2.
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        let hex: String = hmac_md5(b"tanstaaftanstaaf", challenge)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "b913a602c7eda7a495b4e6e7334d3890");
    }
}
