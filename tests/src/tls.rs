//! Certificates for one test: an authority, servers and clients, made by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::require;

/// An authority in a folder of its own.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes one.
    pub fn new(folder: &Path) -> Authority {
        require("openssl", "openssl");
        std::fs::create_dir_all(folder).expect("create the folder of certificates");
        openssl(
            folder,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
             -subj /CN=authority -keyout ca.key -out ca.pem",
        );
        Authority { folder: folder.to_owned() }
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Signs a certificate with these alternative names (`IP:127.0.0.1,DNS:localhost`), into
    /// `NAME.pem` and `NAME.key` of the folder.
    pub fn sign(&self, name: &str, alternative_names: &str) -> (PathBuf, PathBuf) {
        openssl(
            &self.folder,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} \
                 -keyout {name}.key.new -out {name}.csr"
            ),
        );
        let extensions = format!("subjectAltName={alternative_names}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(self.folder.join("extensions"), extensions).expect("write extensions");
        openssl(
            &self.folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
                 -extfile extensions -out {name}.pem.new"
            ),
        );
        let path = |end: &str| self.folder.join(format!("{name}.{end}"));
        for end in ["key", "pem"] {
            std::fs::rename(path(&format!("{end}.new")), path(end)).expect("put in place");
        }
        (path("pem"), path("key"))
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("run openssl");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
