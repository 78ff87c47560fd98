//! Whom TLS trusts, and the HTTP clients that follow from it: one set-up for stores of every kind and for the services that give tokens.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::{Certificate, ClientOptions, HeaderValue};

use super::error::{Cause, Error};
use super::patience::CONNECT;
use super::rate::Rates;
use super::wire::Wire;

/// What names this program to a store.
const AGENT: &str = concat!("windlass/", env!("CARGO_PKG_VERSION"));

/// The certificates that are trusted besides the system's, and the clients that trust them.
pub(super) struct Trust {
    /// The same certificates, as each of the two kinds of client takes them.
    of_store: Vec<Certificate>,
    of_client: Vec<reqwest::Certificate>,
}

impl Trust {
    /// Reads the file of certificates, where there is one.
    pub(super) fn read(ca_file: Option<PathBuf>) -> Result<Self, Error> {
        let Some(path) = ca_file else { return Ok(Self { of_store: Vec::new(), of_client: Vec::new() }) };
        let unusable = |cause: String| Error::CaFile { path: path.clone(), cause: Cause(cause) };
        let pem = fs::read(&path).map_err(|cause| unusable(cause.to_string()))?;
        let of_store = Certificate::from_pem_bundle(&pem).map_err(|cause| unusable(cause.to_string()))?;
        let of_client = reqwest::Certificate::from_pem_bundle(&pem).map_err(|cause| unusable(cause.to_string()))?;
        if of_store.is_empty() {
            return Err(unusable("it holds no certificate".into()));
        }
        Ok(Self { of_store, of_client })
    }

    /// Options of an HTTP client. Limits of time lie in the tries themselves, where the size of the body is known.
    pub(super) fn options(&self, plain: bool) -> ClientOptions {
        let mut options = ClientOptions::new().with_user_agent(HeaderValue::from_static(AGENT)).with_timeout_disabled();
        options = options.with_connect_timeout(CONNECT).with_allow_http(plain);
        // Where nothing goes over TLS no certificate is needed, and a machine may have none.
        options = options.with_no_system_certificates(plain);
        self.of_store.iter().cloned().fold(options, ClientOptions::with_root_certificate)
    }

    /// The beginnings of a client of our own, set up as `object_store` sets up its own.
    pub(super) fn builder(&self, plain: bool) -> reqwest::ClientBuilder {
        let client = reqwest::Client::builder().user_agent(AGENT).connect_timeout(CONNECT).http1_only();
        let trusted = self.of_client.iter().cloned();
        if plain { client.tls_certs_only(trusted) } else { client.tls_certs_merge(trusted) }
    }

    /// What connects to a store. Where uploads are limited it needs a client that can send a body bit by bit.
    pub(super) fn wire(&self, plain: bool, rates: &Arc<Rates>) -> Result<Wire, Error> {
        let bit_by_bit = match rates.upload {
            Some(_) => Some(self.builder(plain).https_only(!plain).build().map_err(unusable)?),
            None => None,
        };
        Ok(Wire { bit_by_bit, rates: Arc::clone(rates) })
    }
}

/// A client that cannot be made of these settings.
pub(super) fn unusable(cause: impl std::fmt::Display) -> Error {
    Error::Settings(format!("the repository's client cannot be set up: {cause}"))
}
