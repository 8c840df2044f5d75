//! Where notifications arrive in tests: a web server that records webhooks, and a real SMTP server
//! (aiosmtpd) with STARTTLS that writes each mail to a file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::Value;

use crate::process::{Process, eventually, free_port, require};

/// One webhook call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Value,
}

/// Records webhooks.
#[derive(Debug, Clone)]
pub struct WebhookInbox {
    /// Where to send them.
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl WebhookInbox {
    /// Listens on a free port as long as the runtime lives.
    pub async fn start() -> WebhookInbox {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().route("/hook", post(record)).with_state(Arc::clone(&calls));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind inbox");
        let url = format!("http://{}/hook", listener.local_addr().expect("inbox address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        WebhookInbox { url, calls }
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn record(
    State(calls): State<Arc<Mutex<Vec<Call>>>>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) {
    calls.lock().unwrap_or_else(PoisonError::into_inner).push(Call { headers, body });
}

/// A real SMTP server with STARTTLS.
#[derive(Debug)]
pub struct MailInbox {
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// The certificate authority that signed its certificate.
    pub ca_file: PathBuf,
    folder: PathBuf,
    _process: Process,
}

/// Writes each mail to a file; refuses mail before STARTTLS.
const SERVER: &str = r#"
import ssl, sys, time, os
from aiosmtpd.controller import Controller
folder, port = sys.argv[1], int(sys.argv[2])
class Handler:
    count = 0
    async def handle_DATA(self, server, session, envelope):
        Handler.count += 1
        temporary = os.path.join(folder, "incoming")
        with open(temporary, "wb") as file:
            tls = "yes" if session.ssl is not None else "no"
            file.write(f"X-Test-TLS: {tls}\r\nX-Test-Rcpt: {','.join(envelope.rcpt_tos)}\r\n".encode())
            file.write(envelope.content)
        os.rename(temporary, os.path.join(folder, f"{Handler.count:04}.eml"))
        return "250 OK"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
controller = Controller(Handler(), hostname="127.0.0.1", port=port, tls_context=context,
                        require_starttls=True)
controller.start()
print("ready", flush=True)
while True:
    time.sleep(60)
"#;

impl MailInbox {
    /// Starts the server on a free port with a certificate of its own for 127.0.0.1.
    pub async fn start(folder: &Path) -> MailInbox {
        require("/usr/lib/python3/dist-packages/aiosmtpd", "python3-aiosmtpd");
        let folder = folder.join("mail");
        std::fs::create_dir_all(&folder).expect("create mail folder");
        certificate(&folder);
        let port = free_port();
        // Debian's interpreter sees Debian's packages; another python3 in PATH may not.
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-c").arg(SERVER).arg(&folder).arg(port.to_string());
        let process = Process::start("smtp", &mut command, &folder);
        eventually("the SMTP server is ready", 30, async || {
            process.log().contains("ready").then_some(())
        })
        .await;
        MailInbox {
            address: format!("127.0.0.1:{port}"),
            ca_file: folder.join("cert.pem"),
            folder,
            _process: process,
        }
    }

    /// All mails so far, in order of arrival.
    pub fn mails(&self) -> Vec<String> {
        let listing = std::fs::read_dir(&self.folder).expect("list mails");
        let mut files: Vec<PathBuf> = listing.map(|entry| entry.expect("entry").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "eml"));
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).expect("read mail")).collect()
    }
}

fn certificate(folder: &Path) {
    require("openssl", "openssl");
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=belfry test inbox", "-keyout", "key.pem", "-out", "cert.pem"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder)
        .output()
        .expect("run openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
