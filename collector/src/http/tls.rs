//! How the other side is trusted and how we show who we are.
//!
//! Place in the flow: `config` or `model::http_door::HttpTls` → **`Tls`** → one client per settings.
//!
//! The ring provider is named here for each configuration, so nothing process-wide is installed.
//! Without an authority of its own a request trusts the system's; a system that has none (a bare
//! container) falls back to the authorities of the web that are built in.
//!
//! Not here: reading the PEM files (`scrape` does at each scrape, so that a renewed file works).

use std::fmt;
use std::sync::Arc;

use model::http_door::HttpTls;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// TLS settings of one request.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// PEM text of the authorities to trust instead of the system's.
    pub ca_pem: Option<String>,
    /// PEM text of our certificate and key.
    pub identity_pem: Option<String>,
    /// The name the other side's certificate must carry, when it is not the host's.
    pub server_name: Option<String>,
    /// Accept any certificate. The operator asked for it.
    pub insecure_skip_verify: bool,
    /// Refuse versions below 1.3.
    pub only_tls13: bool,
    /// Refuse versions above 1.2.
    pub only_tls12: bool,
    /// Never speak HTTP/2.
    pub only_http1: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .finish_non_exhaustive()
    }
}

impl From<HttpTls> for Tls {
    fn from(tls: HttpTls) -> Tls {
        Tls {
            ca_pem: tls.ca_pem,
            identity_pem: tls.identity_pem,
            insecure_skip_verify: tls.insecure_skip_verify,
            ..Tls::default()
        }
    }
}

impl Tls {
    /// The settings in the form of the TLS library. The error is for the operator.
    pub(super) fn client_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let versions: &[&rustls::SupportedProtocolVersion] =
            match (self.only_tls12, self.only_tls13) {
                (true, false) => &[&rustls::version::TLS12],
                (false, true) => &[&rustls::version::TLS13],
                (false, false) => rustls::ALL_VERSIONS,
                (true, true) => return Err("no TLS version is left between the two limits".into()),
            };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| format!("choose TLS versions: {error}"))?;
        let builder =
            builder.dangerous().with_custom_certificate_verifier(self.verifier(provider)?);
        let mut config = match &self.identity_pem {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let (chain, key) = identity(pem)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| format!("use the client certificate: {error}"))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if !self.only_http1 {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(config)
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let algorithms = provider.signature_verification_algorithms;
        if self.insecure_skip_verify {
            return Ok(Arc::new(Servers { authorities: None, name: None, algorithms }));
        }
        let roots = Arc::new(self.roots()?);
        let authorities = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| format!("use the certificate authorities: {error}"))?;
        let name = self.server_name.clone().map(|name| {
            let wrong = format!("the server_name {name:?} is no host name");
            ServerName::try_from(name).map_err(|_| wrong)
        });
        let (authorities, name) = (Some(authorities), name.transpose()?);
        Ok(Arc::new(Servers { authorities, name, algorithms }))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &self.ca_pem {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate =
                    certificate.map_err(|error| format!("read the CA certificates: {error}"))?;
                roots.add(certificate).map_err(|error| format!("use a CA certificate: {error}"))?;
            }
            return match roots.is_empty() {
                true => Err("the CA file holds no certificate".to_owned()),
                false => Ok(roots),
            };
        }
        // Single certificates of the system may be broken; the others still count.
        let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Ok(roots)
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(pem: &str) -> Result<Identity, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("read the client certificate: {error}"))?;
    // The cause is not named: a key's text must not end in a message.
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "read the client key: there is no PEM private key".to_owned())?;
    Ok((chain, key))
}

/// Which certificates are taken, and only from who has their keys.
#[derive(Debug)]
struct Servers {
    /// Who vouches for a certificate; without, any is taken.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// The name that it must carry, when it is not the host's.
    name: Option<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(own) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        let name = self.name.as_ref().unwrap_or(server_name);
        own.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
