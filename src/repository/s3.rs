//! A repository in a bucket of S3: builds the client from settings and environment.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::RetryConfig;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::client::HttpConnector;

use super::bucket::Surroundings;
use super::credentials::Keeper;
use super::error::Error;
use super::location;
use super::origins::Places;
use super::questions::Questions;
use super::settings::{Keeping, Settings};
use super::trust::{Trust, unusable};

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
    let var = |name: &str| around.var(name);
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
    let options = trust.options(plain);
    let wire = trust.wire(plain, around.rates)?;
    let client = wire.connect(&options).map_err(unusable)?;
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
