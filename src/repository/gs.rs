//! A repository in a bucket of Google Cloud Storage: builds the client from settings and environment.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::RetryConfig;
use object_store::gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder};
use reqwest::Url;

use super::bucket::Surroundings;
use super::credentials::Keeper;
use super::error::Error;
use super::google_key::{GoogleKey, well_known};
use super::location;
use super::settings::Settings;
use super::tokens::{Question, Tokens};
use super::trust::{Trust, unusable};
use crate::sys::secret::Secret;

/// Where Google serves its buckets.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// The machine's own service, by its name on machines of Google.
const MACHINE: &str = "metadata.google.internal";

/// A client for the bucket, and the endpoint it talks to. Neither the store nor a service is asked yet.
///
/// # Errors
/// [`Error::Settings`], [`Error::CaFile`].
pub(super) fn open(settings: &Settings, bucket: &str, around: &Surroundings<'_>) -> Result<(GoogleCloudStorage, String), Error> {
    let endpoint = location::endpoint(settings.endpoint.as_deref().unwrap_or(ENDPOINT), settings.allow_http)?;
    let plain = endpoint.starts_with("http://");
    let trust = Trust::read(settings.ca_file.clone())?;
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_base_url(&endpoint);
    builder = match key(settings, around)? {
        // Tokens of a service account are signed here; nobody is asked for them.
        Some(GoogleKey::Service(document)) => builder.with_service_account_key(document.expose()),
        Some(GoogleKey::Person(question)) => builder.with_credentials(keeper(question, &trust, around)?),
        None => builder.with_credentials(keeper(machine(around)?, &trust, around)?),
    };
    // Each try of ours is one request.
    builder = builder.with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    let wire = trust.wire(plain, around.rates)?;
    let client = builder.with_client_options(trust.options(plain)).with_http_connector(wire).build();
    Ok((client.map_err(unusable)?, endpoint))
}

/// The credential that is given: in the settings, in the file that a variable names, in the file of the `gcloud` program.
fn key(settings: &Settings, around: &Surroundings<'_>) -> Result<Option<GoogleKey>, Error> {
    if let Some(document) = &settings.service_account {
        return match GoogleKey::parse(document, "service_account")? {
            key @ GoogleKey::Service(_) => Ok(Some(key)),
            GoogleKey::Person(_) => Err(Error::Settings("service_account holds what a person is logged in with: it must be a key".into())),
        };
    }
    if let Some(path) = around.var("GOOGLE_APPLICATION_CREDENTIALS") {
        return GoogleKey::read(&PathBuf::from(path)).map(Some);
    }
    match well_known(&|name| around.var(name)) {
        Some(path) if path.exists() => GoogleKey::read(&path).map(Some),
        _ => Ok(None),
    }
}

/// The question to the machine's own service.
fn machine(around: &Surroundings<'_>) -> Result<Question, Error> {
    let host = around.var("GCE_METADATA_HOST").unwrap_or_else(|| MACHINE.into());
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
    let url = Url::parse(&url).map_err(|_| Error::Settings(format!("GCE_METADATA_HOST `{host}` is no host")))?;
    let headers = vec![("metadata-flavor", Secret::new("Google"))];
    Ok(Question { place: "machine (Google)", url, headers, form: Vec::new(), of_machine: true })
}

fn keeper(question: Question, trust: &Trust, around: &Surroundings<'_>) -> Result<Arc<Keeper<GcpCredential>>, Error> {
    let tokens = Tokens::new(question, trust, around.clock, |bearer| GcpCredential { bearer })?;
    Ok(Arc::new(Keeper::new(tokens, Arc::clone(around.clock))))
}
