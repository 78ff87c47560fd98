//! A repository in a bucket: builds the client from settings and environment.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::client::HttpConnector;
use object_store::{Certificate, ClientOptions, HeaderValue, RetryConfig};

use super::credentials::Keeper;
use super::error::{Cause, Error};
use super::location;
use super::origins::Places;
use super::patience::CONNECT;
use super::questions::Questions;
use super::rate::Rates;
use super::settings::{Keeping, Settings};
use super::wire::Wire;
use crate::sys::clock::Clock;
use crate::sys::environment::Environment;

/// What names this program to a store.
const AGENT: &str = concat!("windlass/", env!("CARGO_PKG_VERSION"));

/// What the client needs besides the settings.
pub(super) struct Surroundings<'a> {
    pub(super) environment: &'a dyn Environment,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) rates: &'a Arc<Rates>,
}

/// What is needed to use a bucket.
pub(super) struct Opened {
    /// A client for its objects.
    pub(super) store: Arc<AmazonS3>,
    /// The endpoint that it talks to.
    pub(super) endpoint: String,
    pub(super) questions: Questions,
}

/// Clients for the bucket.
///
/// The store is not asked yet. Only where neither the settings nor the environment say a region and no key is fixed, the machine may be.
///
/// # Errors
/// [`Error::Settings`], [`Error::CaFile`].
pub(super) async fn open(settings: &Settings, bucket: &str, around: &Surroundings<'_>) -> Result<Opened, Error> {
    // An empty variable counts as one that is not set, as the AWS tools have it.
    let var = |name: &str| around.environment.var(name).filter(|value| !value.is_empty());
    let allow_http = settings.allow_http || var("AWS_ALLOW_HTTP").is_some_and(|value| value == "true" || value == "1");
    let given = settings.endpoint.clone().or_else(|| var("AWS_ENDPOINT_URL_S3")).or_else(|| var("AWS_ENDPOINT_URL"));
    let given = given.map(|text| location::endpoint(&text, allow_http)).transpose()?;
    let trust = Trust::read(settings.ca_file.clone().or_else(|| var("AWS_CA_BUNDLE").map(PathBuf::from)))?;
    let fixed = credential(settings, &var)?;
    let mut region = settings.region.clone().or_else(|| var("AWS_REGION")).or_else(|| var("AWS_DEFAULT_REGION"));
    let places = fixed.is_none().then(|| Places::new(trust.options(false), settings.profile.as_deref()));
    if let (None, Some(places)) = (&region, &places) {
        // What the machine's region is says nothing of a store that is not AWS.
        region = places.region(given.is_none()).await;
    }
    let region = region.unwrap_or_else(|| "us-east-1".into());
    let endpoint = given.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let base = if settings.virtual_host { location::virtual_host(&endpoint, bucket) } else { endpoint.clone() };
    let plain = base.starts_with("http://");

    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_region(&region).with_endpoint(&base);
    builder = builder.with_virtual_hosted_style_request(settings.virtual_host);
    // Each try of ours is one request, signed anew; object_store's own retries would repeat an old signature.
    builder = builder.with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    // Not every store has the bulk request, and a denied delete is told per key.
    builder = builder.with_disable_bulk_delete(true).with_unsigned_payload(false);
    // AWS refuses a PUT without a checksum where the bucket locks what is new; elsewhere it is kept beside the object.
    builder = builder.with_checksum_algorithm(Checksum::SHA256);
    builder = kept(builder.with_request_payer(settings.keeping.request_payer), &settings.keeping);
    builder = match (fixed, places) {
        (Some((id, secret, token)), _) => {
            let builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            if let Some(token) = token { builder.with_token(token) } else { builder }
        }
        (None, Some(places)) => builder.with_credentials(Arc::new(Keeper::new(places.credentials(&region), Arc::clone(around.clock)))),
        (None, None) => unreachable!("the places are made where no key is fixed"),
    };
    let limited = around.rates.upload.is_some();
    let bit_by_bit = limited.then(|| trust.client(plain)).transpose()?;
    let options = trust.options(plain).with_allow_http(plain);
    let client = Wire { bit_by_bit: None, rates: Arc::clone(around.rates) }.connect(&options).map_err(unusable)?;
    let wire = Wire { bit_by_bit, rates: Arc::clone(around.rates) };
    let store = Arc::new(builder.with_client_options(options).with_http_connector(wire).build().map_err(unusable)?);
    let questions = Questions { store: Arc::clone(&store), client, request_payer: settings.keeping.request_payer };
    Ok(Opened { store, endpoint, questions })
}

/// The store's own encryption. The two keys have no other name outside `object_store` than these texts.
fn kept(mut builder: AmazonS3Builder, keeping: &Keeping) -> AmazonS3Builder {
    for (key, value) in [("aws_server_side_encryption", &keeping.sse), ("aws_sse_kms_key_id", &keeping.sse_kms_key_id)] {
        if let Some(value) = value {
            builder = builder.with_config(key.parse().expect("object_store knows this key"), value);
        }
    }
    builder
}

fn unusable(cause: impl std::fmt::Display) -> Error {
    Error::Settings(format!("the repository's client cannot be set up: {cause}"))
}

type Fixed = (String, String, Option<String>);

/// A fixed credential: all of it from the settings, or all of it from the environment. A profile that is set by name goes before the latter.
fn credential(settings: &Settings, var: &dyn Fn(&str) -> Option<String>) -> Result<Option<Fixed>, Error> {
    let half = |which: &str, other: &str| Err(Error::Settings(format!("{which} is set and {other} is not: both belong to one key")));
    match (&settings.access_key_id, &settings.secret_access_key) {
        (Some(id), Some(secret)) => {
            let token = settings.session_token.as_ref().map(|token| token.expose().to_owned());
            return Ok(Some((id.expose().to_owned(), secret.expose().to_owned(), token)));
        }
        (Some(_), None) => return half("access_key_id", "secret_access_key"),
        (None, Some(_)) => return half("secret_access_key", "access_key_id"),
        (None, None) if settings.profile.is_some() => return Ok(None),
        (None, None) => {}
    }
    match (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => Ok(Some((id, secret, var("AWS_SESSION_TOKEN")))),
        (Some(_), None) => half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        (None, Some(_)) => half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        (None, None) => Ok(None),
    }
}

/// The certificates that are trusted besides the system's, and the clients that trust them.
struct Trust {
    /// The same certificates, as each of the two kinds of client takes them.
    of_store: Vec<Certificate>,
    of_client: Vec<reqwest::Certificate>,
}

impl Trust {
    fn read(ca_file: Option<PathBuf>) -> Result<Self, Error> {
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
    fn options(&self, plain: bool) -> ClientOptions {
        let mut options = ClientOptions::new().with_user_agent(HeaderValue::from_static(AGENT)).with_timeout_disabled();
        options = options.with_connect_timeout(CONNECT);
        // Where nothing goes over TLS no certificate is needed, and a machine may have none.
        options = options.with_no_system_certificates(plain);
        self.of_store.iter().cloned().fold(options, ClientOptions::with_root_certificate)
    }

    /// The client for bodies that are sent bit by bit, set up as `object_store` sets up its own.
    fn client(&self, plain: bool) -> Result<reqwest::Client, Error> {
        let client = reqwest::Client::builder().user_agent(AGENT).connect_timeout(CONNECT).http1_only().https_only(!plain);
        let trusted = self.of_client.iter().cloned();
        let client = if plain { client.tls_certs_only(trusted) } else { client.tls_certs_merge(trusted) };
        client.build().map_err(unusable)
    }
}
