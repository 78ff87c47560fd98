//! A repository in a bucket: builds the client from settings and environment.

use std::fs;
use std::path::PathBuf;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{Certificate, ClientOptions, HeaderValue, RetryConfig};

use super::error::{Cause, Error};
use super::location;
use super::patience::CONNECT;
use super::settings::Settings;
use super::wire::Wire;
use crate::sys::environment::Environment;

/// The variables that lead to a role's credential, which `object_store` then fetches and renews: web identity, ECS, EKS, EC2.
const ROLE_VARIABLES: [(&str, AmazonS3ConfigKey); 8] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ("AWS_METADATA_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
];

/// A client for the bucket, and the endpoint it talks to.
///
/// # Errors
/// [`Error::Settings`], [`Error::CaFile`]. The store is not asked yet.
pub(super) fn open(settings: &Settings, bucket: &str, environment: &dyn Environment) -> Result<(AmazonS3, String), Error> {
    // An empty variable counts as one that is not set, as the AWS tools have it.
    let var = |name: &str| environment.var(name).filter(|value| !value.is_empty());
    let region = settings.region.clone().or_else(|| var("AWS_REGION")).or_else(|| var("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or_else(|| "us-east-1".into());
    let given = settings.endpoint.clone().or_else(|| var("AWS_ENDPOINT_URL_S3")).or_else(|| var("AWS_ENDPOINT_URL"));
    let allow_http = settings.allow_http || var("AWS_ALLOW_HTTP").is_some_and(|value| value == "true" || value == "1");
    let given = given.map(|text| location::endpoint(&text, allow_http)).transpose()?;
    let endpoint = given.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let base = if settings.virtual_host { location::virtual_host(&endpoint, bucket) } else { endpoint.clone() };

    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_region(region).with_endpoint(&base);
    builder = builder.with_virtual_hosted_style_request(settings.virtual_host);
    // Each try of ours is one request, signed anew; object_store's own retries would repeat an old signature.
    builder = builder.with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    // Not every store has the bulk request, and a denied delete is told per key.
    builder = builder.with_disable_bulk_delete(true).with_unsigned_payload(false);
    let fixed = credential(settings, &var)?;
    let plain = base.starts_with("http://") && fixed.is_some();
    builder = match fixed {
        Some((id, secret, token)) => {
            let builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            if let Some(token) = token { builder.with_token(token) } else { builder }
        }
        None => with_role(builder, &var)?,
    };
    let authority = base.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest)).unwrap_or_default();
    let ca_file = settings.ca_file.clone().or_else(|| var("AWS_CA_BUNDLE").map(PathBuf::from));
    let options = options(ca_file, plain)?.with_allow_http(base.starts_with("http://"));
    let client = builder.with_client_options(options).with_http_connector(Wire { authority: authority.to_owned() }).build();
    let client = client.map_err(|cause| Error::Settings(format!("the repository's client cannot be set up: {cause}")))?;
    Ok((client, endpoint))
}

type Fixed = (String, String, Option<String>);

/// A fixed credential: all of it from the settings, or all of it from the environment.
fn credential(settings: &Settings, var: &dyn Fn(&str) -> Option<String>) -> Result<Option<Fixed>, Error> {
    let half = |which: &str, other: &str| Err(Error::Settings(format!("{which} is set and {other} is not: both belong to one key")));
    match (&settings.access_key_id, &settings.secret_access_key) {
        (Some(id), Some(secret)) => {
            let token = settings.session_token.as_ref().map(|token| token.expose().to_owned());
            return Ok(Some((id.expose().to_owned(), secret.expose().to_owned(), token)));
        }
        (Some(_), None) => return half("access_key_id", "secret_access_key"),
        (None, Some(_)) => return half("secret_access_key", "access_key_id"),
        (None, None) => {}
    }
    match (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => Ok(Some((id, secret, var("AWS_SESSION_TOKEN")))),
        (Some(_), None) => half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        (None, Some(_)) => half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        (None, None) => Ok(None),
    }
}

fn with_role(mut builder: AmazonS3Builder, var: &dyn Fn(&str) -> Option<String>) -> Result<AmazonS3Builder, Error> {
    let mut named = false;
    for (name, key) in ROLE_VARIABLES {
        if let Some(value) = var(name) {
            builder = builder.with_config(key, value);
            named = true;
        }
    }
    if !named && var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(Error::Settings(
            "the repository has no credential: set access_key_id and secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                .into(),
        ));
    }
    Ok(builder)
}

/// Options of the HTTP client. Limits of time lie in the tries themselves, where the size of the body is known.
fn options(ca_file: Option<PathBuf>, plain: bool) -> Result<ClientOptions, Error> {
    let agent = HeaderValue::from_static(concat!("windlass/", env!("CARGO_PKG_VERSION")));
    let mut options = ClientOptions::new().with_user_agent(agent).with_timeout_disabled().with_connect_timeout(CONNECT);
    // Where nothing goes over TLS no certificate is needed, and a machine may have none.
    options = options.with_no_system_certificates(plain);
    if let Some(path) = ca_file {
        let unusable = |cause: String| Error::CaFile { path: path.clone(), cause: Cause(cause) };
        let pem = fs::read(&path).map_err(|cause| unusable(cause.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|cause| unusable(cause.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("it holds no certificate".into()));
        }
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}
