//! From the web configuration file to what a handshake needs: certificate, versions, suites, clients.
//!
//! Place in the flow: `config` → **`server_config`** → each new connection's handshake.
//!
//! Everything is read anew at each call, so a certificate that was replaced is found.
//!
//! Not here: handshakes (`crate::serving`), the decision to read again (`whole`).

use std::path::Path;
use std::sync::Arc;

use model::fields::Problem;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};

use crate::access::certificate;
use crate::access::config::{self, ClientAuth, Pem, PemPlace, TlsConfig};
use crate::access::names::Version;

/// A certificate in force.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// For handshakes.
    pub config: Arc<ServerConfig>,
    /// When our certificate ends, milliseconds since the epoch.
    pub ends_at_ms: Option<i64>,
}

/// Reads certificates and puts everything together. Problems name the web configuration file.
pub fn server_config(
    tls: &TlsConfig,
    http2: bool,
    file: &Path,
) -> Result<Encryption, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut take = |result: Result<_, Problem>| result.map_err(|own| problems.push(own)).ok();
    let chain = take(certificates(&tls.certificate, file));
    let authority = tls.client_ca.as_ref().map(|pem| take(certificates(pem, file)));
    let key = private_key(&tls.key, file).map_err(|own| problems.push(own)).ok();
    let (Some(chain), Some(key), false) = (chain, key, authority == Some(None)) else {
        return Err(problems);
    };
    let ends_at_ms = chain.first().and_then(|own| certificate::ends_at_ms(own));
    let assembled = assemble(tls, (chain, key), authority.flatten());
    let mut config = assembled.map_err(|message| {
        let field = "tls_server_config".to_owned();
        vec![Problem { file: file.display().to_string(), line: tls.line, field, message }]
    })?;
    config.ignore_client_order = tls.prefer_server_suites;
    let names: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
    Ok(Encryption { config: Arc::new(config), ends_at_ms })
}

type Chain = Vec<CertificateDer<'static>>;

fn assemble(
    tls: &TlsConfig,
    (chain, key): (Chain, PrivateKeyDer<'static>),
    authority: Option<Chain>,
) -> Result<ServerConfig, String> {
    let provider = Arc::new(provider(tls)?);
    let versions: Vec<&'static SupportedProtocolVersion> =
        [(Version::Tls12, &rustls::version::TLS12), (Version::Tls13, &rustls::version::TLS13)]
            .into_iter()
            .filter(|(version, _)| (tls.versions.0..=tls.versions.1).contains(version))
            .map(|(_, own)| own)
            .collect();
    let verifier = verifier(tls, authority, &provider)?;
    let builder =
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|error| format!("these versions and suites don't go together: {error}"))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key don't go together: {error}"))
}

fn provider(tls: &TlsConfig) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if let Some(names) = &tls.cipher_suites {
        let all = provider.cipher_suites.clone();
        let find =
            |name: &&str| all.iter().find(|suite| suite.suite().as_str() == Some(*name)).copied();
        let is_13 = |suite: &&rustls::SupportedCipherSuite| suite.tls13().is_some();
        provider.cipher_suites = all.iter().filter(is_13).copied().collect();
        provider.cipher_suites.extend(names.iter().filter_map(find));
        let has_12 = provider.cipher_suites.iter().any(|suite| suite.tls13().is_none());
        if !has_12 && tls.versions.1 == Version::Tls12 {
            return Err("none of the cipher_suites is known here".to_owned());
        }
    }
    if let Some(names) = &tls.curves {
        let group = |name: &&str| match *name {
            "X25519" => ring::kx_group::X25519,
            "CurveP256" => ring::kx_group::SECP256R1,
            _ => ring::kx_group::SECP384R1,
        };
        provider.kx_groups = names.iter().map(group).collect();
    }
    Ok(provider)
}

/// Who may connect; `None`: nobody is asked for a certificate.
fn verifier(
    tls: &TlsConfig,
    authority: Option<Chain>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let (is_required, is_vouched_for) = match tls.client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Request => (false, false),
        ClientAuth::RequireAny => (true, false),
        ClientAuth::VerifyIfGiven => (false, true),
        ClientAuth::RequireAndVerify => (true, true),
    };
    let mut authorities = None;
    if is_vouched_for {
        let mut roots = RootCertStore::empty();
        for own in authority.unwrap_or_default() {
            roots.add(own).map_err(|error| format!("client_ca_file: {error}"))?;
        }
        let roots = Arc::new(roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        authorities = Some(builder.build().map_err(|error| format!("client_ca_file: {error}"))?);
    }
    let names = tls.client_allowed_sans.clone();
    let algorithms = provider.signature_verification_algorithms;
    Ok(Some(Arc::new(Clients { is_required, authorities, names, algorithms })))
}

fn read(pem: &Pem, file: &Path) -> Result<Vec<u8>, Problem> {
    match &pem.place {
        PemPlace::Inline(text) => Ok(text.clone().into_bytes()),
        PemPlace::File(path) => config::read(path)
            .map(String::into_bytes)
            .map_err(|message| problem_of(pem, file, format!("{}: {message}", path.display()))),
    }
}

fn problem_of(pem: &Pem, file: &Path, message: String) -> Problem {
    let field = format!("tls_server_config.{}", pem.field);
    Problem { file: file.display().to_string(), line: pem.line, field, message }
}

fn place_of(pem: &Pem) -> String {
    match &pem.place {
        PemPlace::File(path) => format!("{} ", path.display()),
        PemPlace::Inline(_) => String::new(),
    }
}

fn certificates(pem: &Pem, file: &Path) -> Result<Chain, Problem> {
    let text = read(pem, file)?;
    let chain: Result<Chain, _> = CertificateDer::pem_slice_iter(&text).collect();
    let place = place_of(pem);
    let chain = chain.map_err(|error| {
        problem_of(pem, file, format!("{place}holds no certificate in PEM form: {error}"))
    })?;
    if chain.is_empty() {
        return Err(problem_of(pem, file, format!("{place}holds no certificate in PEM form")));
    }
    Ok(chain)
}

fn private_key(pem: &Pem, file: &Path) -> Result<PrivateKeyDer<'static>, Problem> {
    let text = read(pem, file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        // The cause may hold a piece of the key.
        let place = place_of(pem);
        problem_of(pem, file, format!("{place}holds no private key in PEM form without a password"))
    })
}

/// Which certificates are taken, and only from who has their keys.
#[derive(Debug)]
struct Clients {
    is_required: bool,
    /// Who vouches for a certificate; without, nobody has to.
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// Names of which a certificate must have one; none: any.
    names: Vec<String>,
    algorithms: crypto::WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.as_ref().map_or(&[], |own| own.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Some(authorities) = &self.authorities {
            authorities.verify_client_cert(end_entity, intermediates, now)?;
        }
        if !self.names.is_empty() {
            let names = certificate::alternative_names(end_entity)
                .ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
            if !names.iter().any(|name| self.names.contains(name)) {
                let refused = CertificateError::ApplicationVerificationFailure;
                return Err(rustls::Error::InvalidCertificate(refused));
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
