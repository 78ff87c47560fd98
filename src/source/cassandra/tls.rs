//! Encryption of the connection: whose certificate is believed, and for which host it must be.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::cql::failed;
use crate::source::Error;

/// What the connection to a host is encrypted with: the node's certificate must come from one of `ca_file` and be for this host.
///
/// # Errors
/// [`Error::File`] and [`Error::Cassandra`] when the file holds no certificate in PEM form.
pub(super) fn client_config(ca_file: &Path, host: &str, node: &str) -> Result<Arc<ClientConfig>, Error> {
    let unusable = |why: String| failed("connect to", node, format!("the certificate {} (`ca_file`) {why}", ca_file.display()));
    let pem = std::fs::read(ca_file).map_err(Error::file("read the certificate", ca_file))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|cause| unusable(format!("is not in PEM form: {cause}")))?;
        roots.add(certificate).map_err(|cause| unusable(format!("cannot be used: {cause}")))?;
    }
    if roots.is_empty() {
        return Err(unusable("holds no certificate in PEM form: it begins with -----BEGIN CERTIFICATE-----".into()));
    }
    let host =
        ServerName::try_from(host.to_owned()).map_err(|_| unusable(format!("cannot be for `{host}`, which is no name of a host")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|cause| unusable(format!("cannot be used: {cause}")))?;
    let verifier = Arc::new(OfHost { chain, host, provider: Arc::clone(&provider) });
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|cause| unusable(format!("cannot be used: {cause}")))?;
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// Verifies chain, time and name as always; only that the name is the one that the operator wrote, where the driver knows an address alone
/// and would have every certificate hold that.
#[derive(Debug)]
struct OfHost {
    chain: Arc<WebPkiServerVerifier>,
    host: ServerName<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OfHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.chain.verify_server_cert(end_entity, intermediates, &self.host, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What to do about a connection that could not be encrypted.
pub(super) fn hint(cause: &rustls::Error) -> &'static str {
    match cause {
        rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "its certificate is not for this host: it must hold the name or address of `cql` among its alternative names (SAN)"
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate does not come from the one of `ca_file`"
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired, or the clock of this machine is wrong"
        }
        rustls::Error::InvalidCertificate(_) => "its certificate cannot be believed",
        rustls::Error::InvalidMessage(_) => "it does not speak TLS at this port: take `ca_file` out, or name its port for TLS in `cql`",
        rustls::Error::AlertReceived(_) => {
            "it has ended the handshake: it may ask for a certificate of ours (`require_client_auth`), which Windlass does not have"
        }
        _ => "the connection could not be encrypted",
    }
}
