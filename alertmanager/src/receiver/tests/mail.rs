//! The mail on the wire, and what each reply means. The relay is a script on a thread of its own.

use super::*;

/// How the relay behaves.
#[derive(Clone, Default)]
struct Relay {
    tls: bool,
    auth: bool,
    /// Replies that replace the usual ones: command's beginning → reply.
    replies: Vec<(&'static str, &'static str)>,
    /// Closes the connection after the final dot, without a reply.
    drop_after_dot: bool,
    /// Says nothing at all.
    silent: bool,
}

/// What the relay saw.
#[derive(Default, Debug)]
struct Seen {
    commands: Vec<String>,
    mail: String,
    encrypted: bool,
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

fn pem(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/tls")).join(name)
}

fn server_tls() -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let cert = CertificateDer::from_pem_file(pem("test-only-server.pem")).expect("certificate");
    let key = PrivateKeyDer::from_pem_file(pem("test-only-server.key")).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .expect("identity");
    Arc::new(config)
}

impl Relay {
    /// Serves one connection; answers the port, the signal of the accept, and what was seen.
    fn serve(self) -> (u16, mpsc::Receiver<()>, std::thread::JoinHandle<Seen>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (accepted, signal) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            accepted.send(()).expect("the test waits");
            let mut seen = Seen::default();
            if self.silent {
                let mut stream = stream;
                // Until the other side leaves.
                let _ = stream.read(&mut [0; 64]);
                return seen;
            }
            self.talk(stream, &mut seen);
            seen
        });
        (port, signal, thread)
    }

    fn talk(&self, mut stream: TcpStream, seen: &mut Seen) {
        stream.write_all(b"220 relay ready\r\n").expect("greet");
        let upgrade = self.converse(&mut stream, seen);
        if upgrade {
            let connection = rustls::ServerConnection::new(server_tls()).expect("tls");
            let mut tls = rustls::StreamOwned::new(connection, stream);
            seen.encrypted = true;
            self.converse(&mut tls, seen);
        }
    }

    /// Answers commands until the end; `true` when TLS is to begin.
    fn converse(&self, stream: &mut dyn Wire, seen: &mut Seen) -> bool {
        loop {
            let Some(line) = read_line(stream) else { return false };
            seen.commands.push(line.clone());
            let own = self.replies.iter().find(|(start, _)| line.starts_with(start));
            let word = line.split(' ').next().unwrap_or("").to_ascii_uppercase();
            let usual = match word.as_str() {
                "EHLO" => self.offers(seen.encrypted),
                "STARTTLS" => "220 go".to_owned(),
                "AUTH" => "235 welcome".to_owned(),
                "DATA" => "354 go on".to_owned(),
                "QUIT" => "221 bye".to_owned(),
                _ => "250 ok".to_owned(),
            };
            let reply = own.map_or(usual, |(_, reply)| (*reply).to_owned());
            if stream.write_all(format!("{reply}\r\n").as_bytes()).is_err() {
                return false;
            }
            if stream.flush().is_err() || word == "QUIT" {
                return false;
            }
            if word == "STARTTLS" {
                return true;
            }
            if word == "DATA" && reply.starts_with('3') {
                while let Some(line) = read_line(stream) {
                    if line == "." {
                        break;
                    }
                    seen.mail.push_str(&line);
                    seen.mail.push('\n');
                }
                if self.drop_after_dot {
                    return false;
                }
                let end = self.replies.iter().find(|(start, _)| *start == ".");
                let reply = end.map_or("250 queued as 1", |(_, reply)| reply);
                stream.write_all(format!("{reply}\r\n").as_bytes()).expect("reply");
                stream.flush().expect("flush");
            }
        }
    }

    fn offers(&self, encrypted: bool) -> String {
        let mut lines = vec!["relay", "8BITMIME"];
        if self.tls && !encrypted {
            lines.push("STARTTLS");
        }
        if self.auth {
            lines.push("AUTH PLAIN LOGIN CRAM-MD5");
        }
        let last = lines.len() - 1;
        let dash = |index: usize| if index == last { ' ' } else { '-' };
        let lines: Vec<String> =
            lines.iter().enumerate().map(|(i, own)| format!("250{}{own}", dash(i))).collect();
        lines.join("\r\n")
    }
}

fn read_line(stream: &mut dyn Wire) -> Option<String> {
    let mut line = Vec::new();
    let mut reader = BufReader::with_capacity(1, stream);
    reader.read_until(b'\n', &mut line).ok().filter(|count| *count > 0)?;
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn mail_yaml(port: u16, keys: &str) -> String {
    format!(
        "global: {{smtp_from: 'Wächter <am@example.org>', smtp_smarthost: '127.0.0.1:{port}'}}\n\
         route: {{receiver: r}}\nreceivers: [{{name: r, email_configs: [{{to: 'one@example.org, \
         two@example.org', {keys}}}]}}]"
    )
}

async fn post(relay: Relay, keys: &str, delivery: Delivery) -> (Report, Seen) {
    let (port, _accepted, thread) = relay.serve();
    let live = live(&mail_yaml(port, keys));
    let report = attempt(&delivery, &live, &doors(Arc::default())).await;
    (report, thread.join().expect("the relay ends"))
}

fn mail() -> Delivery {
    delivery("r/email/0", true)
}

const CLEAR: &str = "require_tls: false";

#[tokio::test]
async fn one_mail_with_text_before_html() {
    let (report, seen) = post(Relay::default(), CLEAR, mail()).await;
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    assert_eq!(report.accepted, ["one@example.org", "two@example.org"]);
    assert!(report.detail.contains("queued as 1"), "{report:?}");
    for line in [
        "Message-ID: <00000000000000000000000000abcdef@belfry.test>",
        "Date: Thu, 20 Nov 2025 10:43:20 +0000",
        "To: one@example.org, two@example.org",
        "Content-Type: multipart/alternative;",
        "Subject: [FIRING:1] Disk (prod)",
    ] {
        assert!(seen.mail.contains(line), "{line} in\n{}", seen.mail);
    }
    assert!(seen.mail.contains("=?utf-8?"), "the sender's name is encoded");
    let (text, html) = (seen.mail.find("text/plain"), seen.mail.find("text/html"));
    assert!(text.is_some() && text < html);
    let joined = seen.mail.replace("=\n", "");
    assert!(joined.contains("full &lt;90%&gt; &amp; gr=C3=B6=C3=9Fer"), "{}", seen.mail);
    let (again, seen_again) = post(Relay::default(), CLEAR, mail()).await;
    assert_eq!(again.outcome, Outcome::Delivered);
    assert_eq!(seen.mail, seen_again.mail, "a retry is the same to the byte");
}

#[tokio::test]
async fn starttls_with_a_ca_of_ones_own() {
    let ca = pem("test-only-ca.pem");
    let trusted = format!("tls_config: {{ca_file: '{}'}}", ca.display());
    let relay = Relay { tls: true, ..Relay::default() };
    let (report, seen) = post(relay.clone(), &trusted, mail()).await;
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    assert!(seen.encrypted && !seen.mail.is_empty());
    let (report, seen) = post(relay.clone(), "hello: me", mail()).await;
    assert_eq!(report.outcome, Outcome::Config, "an unknown CA: {report:?}");
    assert!(seen.mail.is_empty());
    let keys = format!("tls_config: {{ca_file: '{}', server_name: other.example}}", ca.display());
    let (report, _) = post(relay.clone(), &keys, mail()).await;
    assert_eq!(report.outcome, Outcome::Config, "another name: {report:?}");
    let (report, _) = post(relay, "tls_config: {insecure_skip_verify: true}", mail()).await;
    assert_eq!(report.outcome, Outcome::Delivered, "the operator asked for it: {report:?}");
}

#[tokio::test]
async fn without_starttls_nothing_is_said() {
    let keys = "auth_username: u, auth_password: p";
    let relay = Relay { auth: true, ..Relay::default() };
    let (report, seen) = post(relay, keys, mail()).await;
    assert_eq!(report.outcome, Outcome::Config, "{report:?}");
    assert!(seen.commands.iter().all(|own| own.starts_with("EHLO")), "{seen:?}");
}

#[tokio::test]
async fn logins() {
    let relay = Relay { auth: true, ..Relay::default() };
    let keys = format!("{CLEAR}, auth_username: u, auth_password: p");
    let (report, seen) = post(relay.clone(), &keys, mail()).await;
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    assert!(seen.commands.iter().any(|own| own.starts_with("AUTH PLAIN AHUAcA==")), "{seen:?}");

    let mut refusing = relay.clone();
    refusing.replies = vec![("AUTH", "535 no")];
    let (report, _) = post(refusing, &keys, mail()).await;
    assert_eq!(report.outcome, Outcome::Config);
    assert!(!format!("{report:?}").contains("AHUAcA"), "no secret in the report");

    let mut challenging = relay;
    challenging.replies =
        vec![("AUTH CRAM-MD5", "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+")];
    let keys = format!("{CLEAR}, auth_username: tim, auth_secret: tanstaaftanstaaf");
    let (report, seen) = post(challenging, &keys, mail()).await;
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    let answer = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw";
    assert!(seen.commands.iter().any(|own| own == answer), "{seen:?}");
}

#[tokio::test]
async fn what_each_reply_means() {
    for (command, reply, expected) in [
        ("EHLO", "421 busy", Outcome::Transient),
        ("MAIL", "451 later", Outcome::Transient),
        ("MAIL", "550 not you", Outcome::Config),
        ("RCPT", "450 later", Outcome::Transient),
        ("RCPT", "550 nobody", Outcome::Rejected),
        ("DATA", "451 later", Outcome::Transient),
        ("DATA", "554 no", Outcome::Rejected),
        (".", "452 full", Outcome::Transient),
        (".", "554 spam", Outcome::Rejected),
    ] {
        let relay = Relay { replies: vec![(command, reply)], ..Relay::default() };
        let (report, _) = post(relay, CLEAR, mail()).await;
        assert_eq!(report.outcome, expected, "{command} {reply}: {report:?}");
    }
}

#[tokio::test]
async fn a_drop_after_the_dot_is_ambiguous() {
    let relay = Relay { drop_after_dot: true, ..Relay::default() };
    let (report, seen) = post(relay, CLEAR, mail()).await;
    assert_eq!(report.outcome, Outcome::Ambiguous, "{report:?}");
    assert!(!seen.mail.is_empty());
}

#[tokio::test]
async fn recipients_stand_on_their_own() {
    let refuse_one = vec![("RCPT TO:<one@", "550 nobody")];
    let (report, seen) =
        post(Relay { replies: refuse_one, ..Relay::default() }, CLEAR, mail()).await;
    assert_eq!(report.outcome, Outcome::Delivered);
    assert_eq!(report.accepted, ["two@example.org"]);
    assert_eq!(report.refused[0].0, "one@example.org");
    assert!(!seen.mail.is_empty());

    let defer_two = vec![("RCPT TO:<two@", "451 later")];
    let (report, _) = post(Relay { replies: defer_two, ..Relay::default() }, CLEAR, mail()).await;
    assert_eq!(report.outcome, Outcome::Transient, "one has it, two comes later");
    assert_eq!(report.accepted, ["one@example.org"]);

    let mut later = mail();
    later.finished = report.accepted.into_iter().collect();
    let (report, seen) = post(Relay::default(), CLEAR, later).await;
    assert_eq!(report.outcome, Outcome::Delivered);
    let told: Vec<&String> = seen.commands.iter().filter(|own| own.starts_with("RCPT")).collect();
    assert_eq!(told, ["RCPT TO:<two@example.org>"]);
}

#[tokio::test]
async fn a_relay_that_never_greets_is_left() {
    let (port, accepted, thread) = Relay { silent: true, ..Relay::default() }.serve();
    let delivery = mail();
    let live = live(&mail_yaml(port, CLEAR));
    let doors = doors(Arc::default());
    let running = tokio::spawn(async move { attempt(&delivery, &live, &doors).await });
    tokio::task::spawn_blocking(move || accepted.recv()).await.expect("join").expect("accepted");
    // From here on only time passes.
    tokio::time::pause();
    let report = running.await.expect("the attempt ends");
    assert_eq!(report.outcome, Outcome::Transient, "{report:?}");
    assert!(report.detail.contains("greeting"), "{report:?}");
    thread.join().expect("the socket was dropped");
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let live = live(&mail_yaml(port, CLEAR));
    let report = attempt(&mail(), &live, &doors(Arc::default())).await;
    assert_eq!(report.outcome, Outcome::Transient, "{report:?}");
}

#[tokio::test]
async fn headers_and_threads() {
    let keys = format!(
        "{CLEAR}, headers: {{Subject: 'Störung {{{{ .Status }}}}', X-Prio: '1', To: \
         'all@example.org'}}, threading: {{enabled: true}}, text: ''"
    );
    let (report, seen) = post(Relay::default(), &keys, mail()).await;
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    for line in ["X-Prio: 1", "To: all@example.org", "-2025-11-20@alertmanager>"] {
        assert!(seen.mail.contains(line), "{line} in\n{}", seen.mail);
    }
    assert!(!seen.mail.contains("text/plain"));
    assert!(seen.commands.iter().any(|own| own == "RCPT TO:<two@example.org>"));
}
