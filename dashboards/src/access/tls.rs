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

fn verifier(
    tls: &TlsConfig,
    authority: Option<Chain>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let any = |is_required| {
        let algorithms = provider.signature_verification_algorithms;
        Arc::new(AnyCertificate { is_required, algorithms }) as Arc<dyn ClientCertVerifier>
    };
    let verifier = match tls.client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Request => any(false),
        ClientAuth::RequireAny => any(true),
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            let mut roots = RootCertStore::empty();
            for own in authority.unwrap_or_default() {
                roots.add(own).map_err(|error| format!("client_ca_file: {error}"))?;
            }
            let roots = Arc::new(roots);
            let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
            let builder = match tls.client_auth {
                ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
                _ => builder,
            };
            builder.build().map_err(|error| format!("client_ca_file: {error}"))?
        }
    };
    if tls.client_allowed_sans.is_empty() {
        return Ok(Some(verifier));
    }
    Ok(Some(Arc::new(NamedCertificate { inner: verifier, names: tls.client_allowed_sans.clone() })))
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

/// Takes any certificate, but only from who has its key.
#[derive(Debug)]
struct AnyCertificate {
    is_required: bool,
    algorithms: crypto::WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
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

/// Takes what another one takes, when it has one of these names.
#[derive(Debug)]
struct NamedCertificate {
    inner: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl ClientCertVerifier for NamedCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let names = certificate::alternative_names(end_entity)
            .ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if names.iter().any(|name| self.names.contains(name)) {
            return Ok(verified);
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
